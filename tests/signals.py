"""Sounds made from arithmetic: those that no model may be asked about, and one that it may.

All are float32 at the pipeline rate, with an RMS level of ``LEVEL_DBFS`` unless said.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ

LEVEL_DBFS = -20.0
SECONDS = 4.0

F64 = NDArray[np.float64]

_CONTENTS = 8


def at_level(samples: F64, level_dbfs: float = LEVEL_DBFS) -> F32:
    """Scale to an RMS level."""
    rms = np.sqrt(np.mean(np.square(samples)))
    return (samples / rms * 10.0 ** (level_dbfs / 20.0)).astype(np.float32)


def scaled(samples: F32, gain_db: float) -> F32:
    """Make louder by ``gain_db``."""
    return (samples * 10.0 ** (gain_db / 20.0)).astype(np.float32)


def times(seconds: float = SECONDS) -> F64:
    """Return the moment of each sample in seconds."""
    return np.arange(round(seconds * RATE_HZ)) / RATE_HZ


def silence(seconds: float = SECONDS) -> F32:
    """Digital silence."""
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def white_noise(seed: int = 0) -> F32:
    """Gaussian noise of equal power at every frequency."""
    return at_level(np.random.default_rng(seed).standard_normal(len(times())))


def pink_noise(seed: int = 0) -> F32:
    """Gaussian noise of equal power in every octave."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(len(times())))
    return at_level(np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum))))))


def tone(*frequencies_hz: float) -> F32:
    """One or several sines at once."""
    return at_level(sum(np.sin(2.0 * np.pi * hz * times()) for hz in frequencies_hz))


def hum(mains_hz: float = 50.0) -> F32:
    """A transformer: many harmonics of the mains."""
    harmonics = range(1, 21)
    return at_level(sum(np.sin(2.0 * np.pi * k * mains_hz * times()) / k for k in harmonics))


def swelling(samples: F32, *, depth: float, rate_hz: float = 4.0) -> F32:
    """Let a sound swell and fade as often as syllables do, by a share of its amplitude."""
    swell = 1.0 - depth / 2.0 + depth / 2.0 * np.sin(2.0 * np.pi * rate_hz * times())
    return at_level(samples * swell)


def melody(notes_hz: list[float], *, note_s: float, glide_s: float = 0.02) -> F32:
    """Legato notes of ten harmonics, gliding into one another at one loudness."""
    pitch_hz = np.resize(np.repeat(notes_hz, round(note_s * RATE_HZ)), len(times()))
    kernel = np.hanning(round(glide_s * RATE_HZ))
    padded = np.pad(pitch_hz, len(kernel), mode="edge")
    smooth = np.convolve(padded, kernel / kernel.sum(), "same")[len(kernel) : -len(kernel)]
    phase = 2.0 * np.pi * np.cumsum(smooth) / RATE_HZ
    return at_level(sum(np.sin(k * phase) / k for k in range(1, 11)))


def between_silences(samples: F32, seconds: float = 1.0) -> F32:
    """Put digital silence before and after, so that the level gate opens wide."""
    return np.concatenate([silence(seconds), samples, silence(seconds)])


def _syllables() -> F32:
    """Frames, shape (_CONTENTS, FRAME_SAMPLES), that differ as those of speech do."""
    moments = np.arange(FRAME_SAMPLES) / RATE_HZ
    rng = np.random.default_rng(0)
    frames = []
    for index in range(_CONTENTS):
        pitch_hz, formant_hz = 133.0 + 11.0 * index, (500.0, 2100.0, 900.0, 3000.0)[index % 4]
        buzz = sum(
            np.sin(2.0 * np.pi * k * pitch_hz * moments)
            / (1.0 + ((k * pitch_hz - formant_hz) / 120.0) ** 2)
            for k in range(1, 40)
        )
        hiss = 0.02 * rng.standard_normal(FRAME_SAMPLES)
        frames.append(at_level(buzz + hiss, -18.0 - 4.0 * (index % 3)))
    return np.array(frames)


SYLLABLES = _syllables()


def by_pattern(pattern: str) -> F32:
    """Write a sound frame by frame: ``S`` speaks, ``.`` is digital silence.

    Every ``S`` passes the gates for single frames, and any dozen of them in a row is as
    lively as speech; what each sounds like depends on how many came before it.
    """
    frames = np.zeros((len(pattern), FRAME_SAMPLES), np.float32)
    spoken = np.array([mark == "S" for mark in pattern], bool)
    frames[spoken] = SYLLABLES[np.arange(spoken.sum()) % _CONTENTS]
    return frames.reshape(-1)
