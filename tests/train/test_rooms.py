"""Rooms in log-mel features do what rooms made of samples do."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: make test-train")

import torch

from rt_ser.features import log_mel
from rt_ser.recipes import RECIPES
from rt_ser.types import F32, RATE_HZ
from train.distortions import convolved, room_response
from train.views.rooms import OVERLAP, cells, reverberated

FEATURES = RECIPES["logmel64-v1"]


def rough(rows: F32) -> float:
    """Tell how much neighbouring frames differ, natural log of power."""
    return float(np.abs(np.diff(rows, axis=0)).mean())


def tail_of_noise(rng: np.random.Generator) -> F32:
    """Let a click die away in a room: rows of what is left of it."""
    click = np.zeros(RATE_HZ, np.float32)
    click[4000] = 1.0
    response = room_response(rt60_s=0.5, direct_db=-3.0, rng=rng)
    return log_mel(convolved(click, response), FEATURES)[30:60]


def test_a_wide_band_averages_more_than_a_narrow_one_and_never_more_than_five() -> None:
    found = cells(FEATURES)
    assert found.shape == (FEATURES.mels,)
    assert 1.0 < found[:10].max() < 1.3
    assert 2.5 < found[-1] < 5.0


def test_neighbouring_frames_are_as_alike_as_their_overlap_makes_them() -> None:
    assert np.isclose(OVERLAP @ OVERLAP, 1.0)
    assert np.isclose(OVERLAP[1:] @ OVERLAP[:-1], 2.0 / 3.0)


def wet(windows: torch.Tensor, most_db: float) -> F32:
    torch.manual_seed(0)
    averaged = torch.from_numpy(cells(FEATURES))
    found: F32 = reverberated(windows, most_db, averaged, FEATURES.hop_samples / RATE_HZ).numpy()
    assert np.isfinite(found).all()
    return found


def test_a_tail_wavers_as_one_of_samples_does() -> None:
    """Within a third, where a tail that only dies away is ten times too smooth."""
    rng = np.random.default_rng(0)
    real = np.mean([rough(tail_of_noise(rng)) for _ in range(20)])
    burst = torch.full((20, 60, FEATURES.mels), -30.0)
    burst[:, 10:13] = 0.0
    made = np.mean([rough(rows) for rows in wet(burst, 9.0)[:, 15:45]])
    assert 0.67 * real < made < 1.5 * real


def test_a_room_adds_power_and_changes_nothing_before_it() -> None:
    burst = torch.full((200, 60, FEATURES.mels), -12.0)
    burst[:, 20:24] = 0.0
    found = wet(burst, 6.0)
    assert np.abs(found[:, :20].mean(axis=(0, 2)) + 12.0).max() < 0.5
    assert np.exp(found[:, 24:34]).mean() > 10.0 * np.exp(-12.0)
