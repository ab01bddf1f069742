"""Log-mel features: one implementation for training, for batches and for the live stream.

Frames are left-aligned (librosa's ``center=False``), so a frame depends on no sample
before its start and the streaming result is the batch result, bit for bit.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from rt_ser.recipes import Recipe
from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ, Frame, LogMel, Segment, freeze

_POWER_FLOOR = 1e-10
"""Added to no value, only a lower bound: -100 dB re full scale, below 16-bit noise."""


def hz_to_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert hertz to Slaney's mel: linear below 1 kHz, logarithmic above.

    Formula of Slaney's Auditory Toolbox (Interval Research technical report
    1998-010), the one that librosa uses by default.
    """
    step = np.log(6.4) / 27.0
    above = 15.0 + np.log(np.maximum(hz, 1.0) / 1000.0) / step
    return np.where(hz < 1000.0, hz * 3.0 / 200.0, above)


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Invert :func:`hz_to_mel`."""
    step = np.log(6.4) / 27.0
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * np.exp(step * (mel - 15.0)))


@cache
def mel_filterbank(recipe: Recipe) -> NDArray[np.float64]:
    """Return triangular filters of unit area, shape (1 + fft/2, mels)."""
    bins_hz = np.linspace(0.0, RATE_HZ / 2, 1 + recipe.fft_samples // 2)
    limits = hz_to_mel(np.array([recipe.low_hz, recipe.high_hz]))
    edges_hz = mel_to_hz(np.linspace(limits[0], limits[1], recipe.mels + 2))
    ramps = edges_hz[:, None] - bins_hz[None, :]
    widths = np.diff(edges_hz)[:, None]
    rising, falling = -ramps[:-2] / widths[:-1], ramps[2:] / widths[1:]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.ascontiguousarray((triangles * (2.0 / (edges_hz[2:] - edges_hz[:-2]))[:, None]).T)


@cache
def _hann(length: int) -> NDArray[np.float64]:
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)


class LogMelStream:
    """Streaming log-mel with a memory of the newest frames.

    Work is always done on one 30 ms frame's worth of hops at a time, in the same array
    shapes, because the rounding of a matrix product depends on its shape.
    """

    def __init__(self, recipe: Recipe, *, keep_frames: int | None = None) -> None:
        self.recipe = recipe
        self._rows = FRAME_SAMPLES // recipe.hop_samples
        keep = keep_frames or 2 * recipe.window_frames
        self._keep = -(-keep // self._rows) * self._rows
        # every row is stored twice, one memory apart, so any run of rows is contiguous
        self._memory = np.zeros((2 * self._keep, recipe.mels), np.float32)
        self._tail = np.zeros(recipe.fft_samples + FRAME_SAMPLES, np.float64)
        self._stack = np.zeros((self._rows, recipe.fft_samples), np.float64)
        self.reset(0)

    def reset(self, start: int) -> None:
        """Forget all frames; the next sample pushed has the absolute index ``start``."""
        self._origin = start
        self._have = 0
        self._rows_done = 0

    def push(self, frame: Frame) -> F32:
        """Take 30 ms and return the rows they complete, shape (<= 3, mels)."""
        if frame.gap:
            self.reset(frame.start)
        return self._push(frame.samples)

    def _push(self, samples: F32) -> F32:
        hop, size = self.recipe.hop_samples, self.recipe.fft_samples
        self._tail[self._have : self._have + FRAME_SAMPLES] = samples
        self._have += FRAME_SAMPLES
        count = max(0, 1 + (self._have - size) // hop)
        for row in range(count):
            self._stack[row] = self._tail[row * hop : row * hop + size]
        rows = _log_mel_rows(self._stack, self.recipe)[:count]
        self._have -= count * hop
        self._tail[: self._have] = self._tail[count * hop : count * hop + self._have].copy()
        self._store(rows)
        return rows

    def _store(self, rows: F32) -> None:
        for row in rows:
            slot = self._rows_done % self._keep
            self._memory[slot] = row
            self._memory[slot + self._keep] = row
            self._rows_done += 1

    def window(self, segment: Segment) -> LogMel:
        """Return a segment's newest window as model input, see :func:`model_input`.

        Raises ValueError if the segment is too short for one row or is forgotten already.
        """
        return LogMel(
            values=freeze(model_input(self.rows(segment), self.recipe)),
            start=segment.start,
            stop=segment.stop,
            utterance=segment.utterance,
            recipe=self.recipe.name,
        )

    def rows(self, segment: Segment) -> F32:
        """Return the rows that lie wholly inside a segment, at most a window's worth.

        Raises ValueError if the segment is too short for one row or is forgotten already.
        """
        hop, size = self.recipe.hop_samples, self.recipe.fft_samples
        first = max(0, -(-(segment.start - self._origin) // hop))
        last = 1 + (segment.stop - self._origin - size) // hop
        first = max(first, last - self.recipe.window_frames)
        if last <= first or last > self._rows_done or first < self._rows_done - self._keep:
            span = f"{segment.start}..{segment.stop}"
            raise ValueError(f"segment {span} is not in the feature memory")
        slot = first % self._keep
        return self._memory[slot : slot + last - first].copy()


def _log_mel_rows(stack: NDArray[np.float64], recipe: Recipe) -> F32:
    spectrum = np.fft.rfft(stack * _hann(recipe.fft_samples), axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    mel = power @ mel_filterbank(recipe)
    return np.log(np.maximum(mel, _POWER_FLOOR)).astype(np.float32)


def log_mel(samples: F32, recipe: Recipe) -> F32:
    """Compute the log-mel spectrogram of a whole recording.

    Parameters
    ----------
    samples : ndarray, shape (n,), float32, range [-1, 1]
        Mono audio at ``RATE_HZ``.

    Returns
    -------
    ndarray, shape (1 + (n - fft_samples) // hop_samples, mels), float32
        Natural log of mel power; no rows where ``n`` is less than ``fft_samples``.
    """
    stream = LogMelStream(recipe, keep_frames=8)
    padded = np.zeros(-(-len(samples) // FRAME_SAMPLES) * FRAME_SAMPLES, np.float32)
    padded[: len(samples)] = samples
    blocks = [stream._push(block) for block in padded.reshape(-1, FRAME_SAMPLES)]
    count = max(0, 1 + (len(samples) - recipe.fft_samples) // recipe.hop_samples)
    return np.concatenate([np.zeros((0, recipe.mels), np.float32), *blocks])[:count]


def speech_level(values: F32) -> float:
    """Return the level of the speech in a window, natural log of mel power.

    The energy-weighted mean of the frames' energies, so silence and padding in the
    window hardly move it and nothing after the window is looked at.
    """
    energy = np.exp(values.astype(np.float64)).mean(axis=1)
    return float(np.log(np.square(energy).sum() / energy.sum()))


def model_input(values: F32, recipe: Recipe) -> F32:
    """Normalise the level of a window and bring it to the model's length.

    The window's own speech level is subtracted and the result bounded to the recipe's
    range, which is mapped onto [-1, 1]. A window shorter than ``window_frames`` is
    repeated from its start until it fills them, so that pooling over time sees speech only.

    Returns
    -------
    ndarray, shape (window_frames, mels), float32, range [-1, 1]
    """
    scaled = scale_to_unit(values - np.float32(speech_level(values)), recipe)
    indices = np.arange(recipe.window_frames) % len(scaled)
    return np.ascontiguousarray(scaled[indices])


def scale_to_unit(values: F32, recipe: Recipe) -> F32:
    """Bound level-normalised values to the recipe's range and map it onto [-1, 1]."""
    middle, half = (recipe.high + recipe.low) / 2.0, (recipe.high - recipe.low) / 2.0
    scaled: F32 = (np.clip(values, recipe.low, recipe.high) - np.float32(middle)) / np.float32(half)
    return scaled
