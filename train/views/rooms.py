"""Rooms, as log-mel features know them: a tail of noise that dies away behind everything.

Reverberation is Gaussian noise under an exponential (Polack 1988), see
:func:`train.distortions.room_response`, which makes it of samples. In a band its power rises
and falls by chance; a tail that does not, as smooth as the exponential, hardly disturbs a
network that a room confuses (``train/experiments.md``).
"""

from __future__ import annotations

import numpy as np
import torch

from rt_ser.features import mel_filterbank
from rt_ser.recipes import Recipe
from rt_ser.types import F32
from train.views.draw import NATS_PER_DB

OVERLAP = np.array([1.0, 2.0, 1.0], np.float32) / np.float32(6.0**0.5)
"""What makes white noise as alike in neighbouring frames as their overlap does: two thirds, and
a sixth in those after next, as of a Hann window of 32 ms every 10 ms."""

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


def reverberated(
    windows: torch.Tensor, most_db: float, cells: torch.Tensor, frame_s: float
) -> torch.Tensor:
    """Add the decaying tail of a small room to the power of each band.

    The tail of what was heard ``t`` seconds ago has fallen by 60 dB in a reverberation
    time of 0.2 to 0.7 s (Sabine), and has from 12 dB less than the direct sound's
    power to ``most_db`` more.

    Parameters
    ----------
    windows : Tensor, shape (n, frames, mels), natural log of power
    cells : Tensor, shape (mels,)
        As :func:`cells` returns them.
    frame_s : float
        From one frame to the next, in seconds.
    """
    n, frames, _ = windows.shape
    times = 0.2 + 0.5 * torch.rand(n, 1, 1, device=windows.device)
    fall = 60.0 * NATS_PER_DB * frame_s / times
    ratio_db = -12.0 + (most_db + 12.0) * torch.rand(n, 1, 1, device=windows.device)
    at = torch.arange(frames, device=windows.device)
    age = (at[:, None] - at[None, :]).clamp(min=0).float()
    decay = (-age[None] * fall).exp() * (age > 0)
    decay = decay * ((ratio_db * NATS_PER_DB).exp() * (fall.exp() - 1.0))
    loudest = windows.amax((1, 2), keepdim=True)
    power = (windows - loudest).exp()
    return _met(power, decay @ power, cells).clamp(min=1e-12).log() + loudest


def _met(direct: torch.Tensor, tail: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Return the power in each band of a direct sound and a tail.

    The tail is noise: in each of a band's cells its amplitude is a complex normal, which
    meets that of the direct sound.
    """
    real, imaginary = _wavering(direct), _wavering(direct)
    share = 0.5 / cells
    both = direct.sqrt() + (share * tail).sqrt() * real
    return both.square() + tail * (1.0 - 2.0 * share + share * imaginary.square())


def _wavering(like: torch.Tensor) -> torch.Tensor:
    """Draw standard normals that are as alike from frame to frame as ``OVERLAP`` makes them."""
    n, frames, mels = like.shape
    drawn = torch.randn(n, frames + len(OVERLAP) - 1, mels, device=like.device)
    parts = [drawn[:, at : at + frames] * weight for at, weight in enumerate(OVERLAP.tolist())]
    return torch.stack(parts).sum(0)
