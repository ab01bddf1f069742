"""What a network must not mind: as much of it as the recipe says, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="PyTorch is not installed: make test-train")

import torch

from rt_ser.recipes import RECIPES
from tests.train.made_up import small_corpus
from tests.train.small_school import STRAIGHT
from train.examples import Examples, noise_examples
from train.recipe import Augmentation
from train.views.distort import Distortion, without_steady

FEATURES = RECIPES["logmel64-v1"]
CPU = torch.device("cpu")


def some(count: int) -> torch.Tensor:
    """Windows of noise, as precise as features are kept."""
    drawn = np.random.default_rng(0).normal(-8.0, 2.0, (count, 96, 64))
    return torch.from_numpy(drawn.astype(np.float16).astype(np.float32))


@pytest.fixture(scope="module")
def windows() -> torch.Tensor:
    return some(32)


@cache
def made_up_noise() -> Examples:
    return noise_examples(small_corpus(2))


def distorted(windows: torch.Tensor, bent: Augmentation, silent: bool = False) -> torch.Tensor:
    torch.manual_seed(3)
    made = Distortion(made_up_noise(), FEATURES, bent, CPU)
    inputs: torch.Tensor = made(windows, len(windows) if silent else 0)
    assert inputs.shape == windows.shape
    assert inputs.isfinite().all()
    assert inputs.abs().max() <= 1.0 + 1e-6
    return inputs


def test_undistorted_is_what_the_pipeline_asks_the_model(windows: torch.Tensor) -> None:
    from rt_ser.features import model_input

    recipe = replace(FEATURES, window_frames=96)
    wanted = np.stack([model_input(window, recipe) for window in windows.numpy()])
    np.testing.assert_allclose(distorted(windows, STRAIGHT).numpy(), wanted, atol=1e-5)


HARD = Augmentation(
    noise=1.0, floor=1.0, band_limit=1.0, reverb=1.0, reverb_most_db=6.0, time_mask_rows=12,
    microphone=1.0, denoise=1.0, contrast=0.4, telephone=0.5,
)  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(st.floats(-6.0, 6.0))
def test_nothing_depends_on_how_loud_the_recording_was(louder: float) -> None:
    windows = some(4)
    torch.testing.assert_close(
        distorted(windows + louder, HARD), distorted(windows, HARD), atol=2e-3, rtol=0.0
    )


@pytest.mark.parametrize(
    "way", ["noise", "floor", "band_limit", "telephone", "reverb", "microphone", "denoise"]
)
@pytest.mark.parametrize(("share", "count"), [(0.25, 8), (0.1, 4), (0.01, 1), (1.0, 32)])
def test_as_many_windows_are_bent_as_the_recipe_says(
    windows: torch.Tensor, way: str, share: float, count: int
) -> None:
    """Rounded up, so that no way is lost on a small batch; all the others stay as they are."""
    plain, bent = (distorted(windows, replace(STRAIGHT, **{way: each})) for each in (0.0, share))
    assert int((plain != bent).any(2).any(1).sum()) == count


def test_the_first_windows_are_noise_alone(windows: torch.Tensor) -> None:
    torch.manual_seed(3)
    made = Distortion(made_up_noise(), FEATURES, STRAIGHT, CPU)
    before = windows.clone()
    inputs = made(windows, 5)
    plain = distorted(windows, STRAIGHT)
    torch.testing.assert_close(inputs[5:], plain[5:])
    assert (inputs[:5] != plain[:5]).flatten(1).any(1).all()
    assert torch.equal(windows, before)


def test_where_nobody_speaks_nothing_of_the_voice_is_left(windows: torch.Tensor) -> None:
    others = windows.flip(0)
    torch.testing.assert_close(
        distorted(windows, STRAIGHT, silent=True), distorted(others, STRAIGHT, silent=True)
    )


def test_a_room_adds_what_was_said_before(windows: torch.Tensor) -> None:
    """After a burst the echo dies away; before it there is none."""
    burst = torch.full_like(windows, -20.0)
    burst[:, 40:44] = 0.0
    plain, wet = (distorted(burst, replace(STRAIGHT, reverb=share)) for share in (0.0, 1.0))
    torch.testing.assert_close(wet[:, :40], plain[:, :40], atol=0.2, rtol=0.0)
    tail = (wet - plain)[:, 44:60].mean((0, 2))
    assert tail[0] > 0.1
    assert (tail.diff() < 0.05).all(), "every band's tail wavers, their mean hardly does"


def test_another_microphone_changes_the_tone_and_nothing_else(windows: torch.Tensor) -> None:
    """The gain of a band is the same from the first row to the last, and smooth over bands."""
    soft = windows * 0.1  # so that nothing is cut off
    plain, other = (distorted(soft, replace(STRAIGHT, microphone=share)) for share in (0.0, 1.0))
    whole = (plain.abs() < 1.0).all(1) & (other.abs() < 1.0).all(1)
    gain = other - plain
    steady = gain.std(1)[whole]
    assert steady.numel() > 100
    assert steady.max() < 1e-4
    assert gain.mean(1).std(1).median() > 0.05
    assert gain.mean(1).diff(dim=1).abs().median() < 0.05


def test_without_what_is_steady_pauses_are_deeper_and_voices_as_they_were() -> None:
    voice = torch.full((1, 100, 64), -12.0)
    voice[:, 30:60, 5:40] = 0.0
    hum = torch.logaddexp(voice, torch.full_like(voice, -6.0))
    cleaned = without_steady(hum, torch.ones(1, 1, 1))
    assert (cleaned <= hum + 1e-5).all()
    torch.testing.assert_close(cleaned[:, 30:60, 5:40], hum[:, 30:60, 5:40], atol=0.01, rtol=0.0)
    assert (cleaned[:, :30] < hum[:, :30] - 2.0).all()
    torch.testing.assert_close(without_steady(hum, torch.zeros(1, 1, 1)), hum)


def test_contrast_spreads_what_lies_around_the_speech_level(windows: torch.Tensor) -> None:
    soft = windows * 0.1  # so that nothing is cut off
    plain, other = (distorted(soft, replace(STRAIGHT, contrast=most)) for most in (0.0, 0.4))
    spread = (other.std((1, 2)) / plain.std((1, 2))).log()
    assert spread.abs().max() <= 0.4 + 1e-4
    assert spread.min() < -0.2
    assert spread.max() > 0.2
    for first, second in zip(plain, other, strict=True):
        assert np.corrcoef(first.flatten(), second.flatten())[0, 1] > 0.9999


def test_a_telephone_carries_from_300_to_3400_hz(windows: torch.Tensor) -> None:
    soft = windows * 0.1  # so that nothing that is carried is cut off
    plain, called = (distorted(soft, replace(STRAIGHT, telephone=share)) for share in (0, 1))
    silenced = (called == called.amin((1, 2), keepdim=True)).all(1)
    assert silenced[:, :6].all()
    assert silenced[:, 50:].all()
    assert (called - plain)[:, :, 10:44].std((1, 2)).max() < 1e-4


def test_masks_hide_stretches_of_time_and_bands(windows: torch.Tensor) -> None:
    masks = replace(STRAIGHT, time_masks=2, time_mask_rows=20, mel_masks=2, mel_mask_bands=8)
    plain, masked = distorted(windows, STRAIGHT), distorted(windows, masks)
    hidden = plain != masked
    assert 0.02 < hidden.float().mean() < 0.4
    means = plain.mean((1, 2), keepdim=True).expand_as(plain)
    torch.testing.assert_close(masked[hidden], means[hidden])
