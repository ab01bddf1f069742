"""Measures of one 30 ms frame: level, band energies and periodicity. Pure functions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ, SILENCE_DBFS

F64 = NDArray[np.float64]

BANDS = 16
"""Bands of :func:`band_energies`, spaced evenly in log frequency over 100-7000 Hz."""

_FFT = 1024
_PITCH_LAGS = slice(RATE_HZ // 400, RATE_HZ // 66)


def _band_matrix() -> F64:
    bins = np.linspace(0.0, RATE_HZ / 2, 1 + _FFT // 2)
    edges = np.geomspace(100.0, 7000.0, BANDS + 1)
    member = (bins[:, None] >= edges[:-1]) & (bins[:, None] < edges[1:])
    return np.asarray(member / member.sum(axis=0), np.float64)


_BAND_MATRIX = _band_matrix()
_HANN = np.hanning(FRAME_SAMPLES)
_LAG_OVERLAP = FRAME_SAMPLES - np.arange(_FFT)[_PITCH_LAGS]


def level_dbfs(samples: F32) -> float:
    """Return the RMS level, where a full-scale square wave is 0 dBFS."""
    power = float(np.dot(samples, samples)) / max(1, len(samples))
    return max(SILENCE_DBFS, 10.0 * math.log10(power)) if power > 0.0 else SILENCE_DBFS


def band_energies(samples: F32) -> F64:
    """Return the natural log of mean power in each band, shape (BANDS,).

    ``samples`` is one frame, shape (FRAME_SAMPLES,). The floor is 16-bit rounding noise.
    """
    spectrum = np.fft.rfft(samples * _HANN, _FFT)
    power = spectrum.real**2 + spectrum.imag**2
    bands: F64 = np.log(power @ _BAND_MATRIX + 1e-8)
    return bands


def harmonicity(samples: F32) -> float:
    """Return the highest normalised autocorrelation at a pitch of 66 to 400 Hz.

    About 1 for a periodic frame and near 0 for noise; 0 for digital silence. The
    autocorrelation is the inverse transform of the power spectrum (Wiener-Khinchin),
    each lag divided by the share of the frame that it overlaps (Boersma 1993).
    """
    spectrum = np.fft.rfft(samples - samples.mean(), _FFT)
    correlation = np.fft.irfft(spectrum.real**2 + spectrum.imag**2)
    if correlation[0] < 1e-9:
        return 0.0
    return float((correlation[_PITCH_LAGS] / _LAG_OVERLAP).max() * FRAME_SAMPLES / correlation[0])
