"""From a device's or file's own rate and channels to mono at the pipeline rate."""

from __future__ import annotations

import numpy as np
import soxr

from rt_ser.audio.pcm import check_layout, to_float32
from rt_ser.errors import InputError
from rt_ser.types import F32, RATE_HZ, AudioChunk, freeze

CHANNEL_CHOICES = ("first", "mix")


def samples_at(frames: int, rate_hz: int) -> int:
    """Return how many pipeline samples a number of native frames amounts to.

    ``frames * 16000 / rate_hz`` rounded half up, in integers: the length law of every
    conversion, so that nothing drifts however long a stream runs.
    """
    return (2 * frames * RATE_HZ + rate_hz) // (2 * rate_hz)


def to_mono(frames: F32, channel: str) -> F32:
    """Reduce frames, shape (n, channels), to shape (n,): the first channel or the mean."""
    if channel == "first" or frames.shape[1] == 1:
        return frames[:, 0].copy()
    # Added one by one: the order of a library reduction could depend on the length.
    total = frames[:, 0].copy()
    for index in range(1, frames.shape[1]):
        total += frames[:, index]
    return total * np.float32(1 / frames.shape[1])


class Converter:
    """Streaming conversion whose output does not depend on how the input is cut.

    The resampler (soxr, "HQ") sees blocks of one fixed size, 10 ms, whatever is
    pushed, hence every output bit is the same for any chunking. 16 kHz passes through
    untouched. Output lags by up to 40 ms at 44.1 and 48 kHz.

    Parameters
    ----------
    rate_hz : int
        Native rate, 4000 to 384000.
    channels : int
        Native channels, 1 to 8.
    channel : {"first", "mix"}
        Take the first channel, or the mean of all.

    Raises
    ------
    InputError
        One of them is out of range.
    """

    def __init__(self, rate_hz: int, channels: int, *, channel: str = "first") -> None:
        check_layout(rate_hz, channels, name="audio")
        if channel not in CHANNEL_CHOICES:
            raise InputError(f"channel={channel!r} is not one of {', '.join(CHANNEL_CHOICES)}")
        self.rate_hz = rate_hz = int(rate_hz)  # sounddevice tells whole rates as floats
        self.channels = channels
        self._channel = channel
        self._block = max(1, rate_hz // 100)
        self._start_stretch()

    def push(self, frames: F32) -> F32:
        """Convert frames, shape (n, channels) or (n,) where mono; return what is ready.

        Parameters
        ----------
        frames : ndarray, shape (n, channels), float32, or any dtype of ``to_float32``

        Returns
        -------
        ndarray, shape (m,), float32, mono at 16 kHz; m may be 0

        Raises
        ------
        InputError
            The shape does not have this converter's channels.
        """
        if frames.ndim == 1 and self.channels == 1:
            frames = frames[:, np.newaxis]
        if frames.ndim != 2 or frames.shape[1] != self.channels:
            raise InputError(
                f"samples of shape {frames.shape} are not (n, {self.channels}): "
                f"give one column for each of {self.channels} channels"
            )
        mono = to_mono(to_float32(frames), self._channel)
        self._received += len(mono)
        if self.rate_hz == RATE_HZ:
            self._emitted += len(mono)
            return mono
        return self._resample(mono)

    def flush(self) -> F32:
        """Return the tail and start afresh.

        Since the last flush exactly ``samples_at(frames pushed, rate_hz)`` samples
        have then been returned.
        """
        owed = samples_at(self._received, self.rate_hz) - self._emitted
        if self.rate_hz == RATE_HZ or not self._received:
            tail = np.zeros(0, dtype=np.float32)
        else:
            tail = self._stream.resample_chunk(self._rest, last=True)[:owed]
            # soxr rounds its length the same way; should a version not, silence is honest.
            tail = np.pad(tail, (0, owed - len(tail)))
        self._start_stretch()
        return tail

    def _start_stretch(self) -> None:
        self._received = 0
        self._emitted = 0
        self._rest: F32 = np.zeros(0, dtype=np.float32)
        self._stream = soxr.ResampleStream(self.rate_hz, RATE_HZ, 1, dtype="float32", quality="HQ")

    def _resample(self, mono: F32) -> F32:
        """Feed the resampler every whole block there is and keep the rest."""
        pending = np.concatenate((self._rest, mono))
        whole = len(pending) - len(pending) % self._block
        parts = [
            self._stream.resample_chunk(pending[start : start + self._block])
            for start in range(0, whole, self._block)
        ]
        self._rest = pending[whole:].copy()
        converted = np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)
        self._emitted += len(converted)
        return converted


class Chunker:
    """Numbers converted audio: native frames and losses in, AudioChunks out.

    The position is that of the native stream, losses included, by the length law; a
    loss ends the resampler's stretch, so nothing is filtered across it. ``lost`` counts
    the samples lost so far.
    """

    def __init__(self, converter: Converter, *, start: int = 0) -> None:
        self._converter = converter
        self._origin = start
        self._position = start
        self._gap = 0
        self._native = 0
        self._captured_at: float | None = None
        self.lost = 0

    @property
    def position(self) -> int:
        """Index of the next sample, before any gap not yet handed on."""
        return self._position

    @property
    def origin(self) -> int:
        """Index of the sample with which the present stream begins."""
        return self._origin

    def push(self, frames: F32, *, captured_at: float | None = None) -> AudioChunk | None:
        """Convert frames, shape (n, channels); return the chunk that is ready, if any.

        ``captured_at`` is monotonic seconds of the last frame.
        """
        samples = self._converter.push(frames)
        self._native += len(frames)
        self._captured_at = captured_at
        return self._chunk(samples)

    def lose(self, frames: int) -> AudioChunk | None:
        """Note native frames lost here; return the tail of the audio before, if any."""
        tail = self.flush()
        self._native += frames
        reached = self._position + self._gap
        self._lose_samples(self._target() - reached)
        return tail

    def restart(self, converter: Converter, *, lost_s: float) -> AudioChunk | None:
        """Go on with another stream of any rate, which begins ``lost_s`` later.

        Returns the tail of the audio before, if any.
        """
        tail = self.flush()
        self._converter, self._captured_at = converter, None
        self._lose_samples(round(lost_s * RATE_HZ))
        self._origin = self._position + self._gap
        self._native = 0
        return tail

    def _lose_samples(self, samples: int) -> None:
        """Lengthen the gap; a loss of less than one sample is a break all the same."""
        self._gap += max(1, samples)
        self.lost += max(1, samples)

    def flush(self) -> AudioChunk | None:
        """Return what the resampler still holds, if anything."""
        return self._chunk(self._converter.flush())

    def _target(self) -> int:
        return self._origin + samples_at(self._native, self._converter.rate_hz)

    def _chunk(self, samples: F32) -> AudioChunk | None:
        if not len(samples):
            return None
        captured_at = self._captured_at
        start = self._position + self._gap
        stop = start + len(samples)
        if captured_at is not None:
            captured_at -= max(0, self._target() - stop) / RATE_HZ
        chunk = AudioChunk(
            samples=freeze(samples), start=start, gap=self._gap, captured_at=captured_at
        )
        self._position, self._gap = stop, 0
        return chunk
