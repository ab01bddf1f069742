"""What Whisper's encoder hears, in step with ``rt_ser``'s own features."""

from __future__ import annotations

import numpy as np

from rt_ser.features import mel_filterbank
from rt_ser.recipes import Recipe
from rt_ser.types import F32

MELS = 80
_SAMPLES, _HOP = 400, 160
_CENTRE = 56
"""By how many samples the middle of one of our frames, of 512, lies behind that of one of these."""
_FILTERS = Recipe(
    name="whisper", fft_samples=_SAMPLES, hop_samples=_HOP, mels=MELS, low_hz=0.0, high_hz=8000.0,
    window_frames=3000, low=-8.0, high=0.0,
)  # fmt: skip


def heard_mel(samples: F32) -> F32:
    """Return decimal logs of mel power, a row every 10 ms, in step with ``rt_ser``'s own.

    Parameters
    ----------
    samples : ndarray, shape (n,), float32, range [-1, 1]
        Mono, 16 kHz.

    Returns
    -------
    ndarray, shape (rows, MELS), float32
    """
    if len(samples) < _CENTRE + _SAMPLES:
        return np.zeros((0, MELS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples[_CENTRE:], _SAMPLES)[::_HOP]
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(_SAMPLES) / _SAMPLES)
    spectrum = np.fft.rfft(frames * hann, axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return np.log10(np.maximum(power @ mel_filterbank(_FILTERS), 1e-10)).astype(np.float32)
