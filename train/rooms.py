"""Rooms, as log-mel features know them: a tail of noise that dies away behind everything.

Reverberation is Gaussian noise under an exponential (Polack 1988), see
:func:`train.distortions.room_response`, which makes it of samples. In a band its power rises
and falls by chance; a tail that does not, as smooth as the exponential, hardly disturbs a
network that a room confuses (``train/experiments.md``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rt_ser.features import mel_filterbank
from rt_ser.recipes import Recipe
from rt_ser.types import F32, RATE_HZ

OVERLAP = np.array([1.0, 2.0, 1.0], np.float32) / np.float32(6.0**0.5)
"""What makes white noise as alike in neighbouring frames as their overlap does: two thirds, and
a sixth in those after next, as of a Hann window of 32 ms every 10 ms."""

MORE = len(OVERLAP) - 1
"""Frames that are lost when others are made alike."""

_LIKENESS = (1.0, 4.0 / 9.0, 1.0 / 36.0)
"""Correlation of a noise's power in bins of a spectrum that are 0, 1 and 2 apart: the squares of
2/3 and 1/6, which are those of a Hann window's spectrum."""

_MOST = 5.0


def cells(features: Recipe) -> F32:
    """Return how many independent values of a tail's spectrum each band averages.

    The fewer, the more its power wavers. Of white noise a band has up to eight; a voice
    excites few of them, at its harmonics, so that there are never more than five: then
    neighbouring frames differ as much as where recordings were convolved with responses.

    Returns
    -------
    ndarray, shape (mels,), float32
    """
    filters = mel_filterbank(features)
    size = len(filters)
    alike = sum(
        value * (2.0 if apart else 1.0) * (filters[: size - apart] * filters[apart:]).sum(axis=0)
        for apart, value in enumerate(_LIKENESS)
    )
    return np.asarray(1.0 / (alike / filters.sum(axis=0) ** 2 + 1.0 / _MOST), np.float32)


def reverberate(
    rng: np.random.Generator, windows: F32, recipe: Recipe, most_db: float = 0.0
) -> F32:
    """Add the decaying tail of a small room to the power of each band.

    The tail of what was heard ``t`` seconds ago has fallen by 60 dB in a reverberation
    time of 0.2 to 0.7 s (Sabine), and has from 12 dB less than the direct sound's power to
    ``most_db`` more.

    Parameters
    ----------
    windows : ndarray, shape (n, frames, mels), natural log of power
    """
    n = len(windows)
    times = rng.uniform(0.2, 0.7, n)
    keep = 10.0 ** (-6.0 * recipe.hop_samples / RATE_HZ / times)
    ratio = 10.0 ** (rng.uniform(-1.2, most_db / 10.0, n))
    direct = np.exp(windows)
    tails = np.zeros_like(direct)
    share, keep = (ratio * (1.0 - keep) / keep)[:, None], keep[:, None]
    for frame in range(1, direct.shape[1]):
        tails[:, frame] = (tails[:, frame - 1] + direct[:, frame - 1] * share) * keep
    shape = (n, direct.shape[1] + MORE, direct.shape[2])
    real, imaginary = (wavering(rng.standard_normal(shape, np.float32)) for _ in range(2))
    power = met(direct, tails, real, imaginary, cells(recipe))
    return np.asarray(np.log(np.maximum(power, np.finfo(np.float32).tiny)), np.float32)


def met(direct: Any, tail: Any, real: Any, imaginary: Any, cells: Any) -> Any:
    """Return the power in each band of a direct sound and a tail, arrays or tensors alike.

    The tail is noise: in each of a band's :func:`cells` its amplitude is a complex normal,
    which meets that of the direct sound. All but ``cells`` have shape (n, frames, mels);
    ``real`` and ``imaginary`` are what :func:`wavering` returns.
    """
    share = 0.5 / cells
    both = direct**0.5 + (share * tail) ** 0.5 * real
    return both**2 + tail * (1.0 - 2.0 * share + share * imaginary**2)


def wavering(drawn: Any) -> Any:
    """Make standard normals, ``MORE`` frames of them than are wanted, alike from frame to frame."""
    frames = drawn.shape[1] - MORE
    return sum(drawn[:, at : at + frames] * weight for at, weight in enumerate(OVERLAP.tolist()))
