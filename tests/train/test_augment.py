"""Augmentation: nobody else's rows, the live stream's own input, and one generator decides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_ser.config import Settings
from rt_ser.features import log_mel, model_input, speech_level
from rt_ser.recipes import RECIPES
from rt_ser.types import F32
from tests.compare import bits
from tests.train.made_up import small_corpus, voice
from train.augment import Augmenter
from train.clips import clip_features, rows_of
from train.examples import Examples, labelled_examples, noise_examples
from train.prepare import Prepared
from train.recipe import Augmentation, TrainRecipe
from train.windows import (
    crop,
    equaliser,
    gather,
    in_beats,
    levels,
    plain_windows,
    shift_mels,
)

FEATURES = RECIPES["logmel64-v1"]
RECIPE = TrainRecipe(name="test", noise_share=0.25)
NONE = Augmentation(
    partial=0.0, stretch=0.0, mel_shift=0.0, tilt=0.0, equaliser=0.0, noise=0.0, floor=0.0,
    band_limit=0.0, time_masks=0, mel_masks=0, mixup=0.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return small_corpus(3)


@pytest.fixture(scope="module")
def labelled(prepared: Prepared) -> Examples:
    return labelled_examples(prepared, prepared.clips, RECIPE)


def augmenter(prepared: Prepared, recipe: TrainRecipe = RECIPE) -> Augmenter:
    labelled = labelled_examples(prepared, prepared.clips, recipe)
    return Augmenter(labelled, noise_examples(prepared), FEATURES, recipe)


def marked(counts: list[int]) -> Examples:
    """Examples whose rows say whose they are and which: 1000 x example + row."""
    counts_array = np.array(counts)
    rows = [1_000.0 * index + np.arange(count) for index, count in enumerate(counts)]
    values = np.concatenate(rows)[:, None].repeat(4, axis=1)
    n = len(counts)
    return Examples(
        rows=values, first=np.cumsum(counts_array) - counts_array, count=counts_array,
        targets=np.zeros((n, 8), "f4"), masks=np.ones((n, 8), "f4"),
        is_speech=np.ones(n, bool), weights=np.full(n, 1 / n), clip=np.arange(n),
    )  # fmt: skip


# Which rows -------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=6),
    st.integers(0, 2**32 - 1),
    st.floats(0.0, 1.0),
)
def test_a_crop_lies_inside_its_utterance(counts: list[int], seed: int, partial: float) -> None:
    rng = np.random.default_rng(seed)
    count = np.array(counts)
    start, length = crop(rng, count, FEATURES, replace(NONE, partial=partial), 256)
    assert (start >= 0).all()
    assert (length >= np.minimum(count, 50)).all()
    assert (length <= FEATURES.window_frames).all()
    assert (start + length <= count).all()
    if not partial:
        np.testing.assert_array_equal(length, np.minimum(count, FEATURES.window_frames))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 90), min_size=1, max_size=6),
    st.integers(0, 2**32 - 1),
    st.floats(0.5, 2.0),
)
def test_no_row_of_a_neighbour_is_ever_read(counts: list[int], seed: int, rate: float) -> None:
    examples, rng = marked(counts), np.random.default_rng(seed)
    chosen = rng.integers(0, len(counts), 5)
    length = rng.integers(1, examples.count[chosen] + 1)
    start = rng.integers(0, examples.count[chosen] - length + 1)
    rates = np.full(5, rate, np.float32)
    windows = gather(examples, chosen, start, length, rates, 64)
    assert windows.shape == (5, 64, 4)
    low, high = 1_000.0 * chosen + start, 1_000.0 * chosen + start + length - 1
    assert (windows >= low[:, None, None] - 1e-3).all()
    assert (windows <= high[:, None, None] + 1e-3).all()


def test_at_natural_speed_rows_come_in_order_and_again() -> None:
    windows = gather(
        marked([5, 7]), np.array([1]), np.array([2]), np.array([4]), np.ones(1, "f4"), 10
    )
    expected = 1_000.0 + 2 + np.arange(10) % 4
    np.testing.assert_array_equal(windows[0, :, 0], expected)


def test_faster_reads_further() -> None:
    args = (marked([100]), np.array([0]), np.array([0]), np.array([100]))
    fast = gather(*args, np.array([1.5], "f4"), 20)[0, :, 0]
    np.testing.assert_allclose(fast, 1.5 * np.arange(20), atol=1e-3)


# Bending ----------------------------------------------------------------------------------


def test_a_shift_of_nothing_changes_nothing(labelled: Examples) -> None:
    windows = labelled.rows[None, :256].astype(np.float32)
    np.testing.assert_array_equal(shift_mels(windows, np.zeros(1, "f4")), windows)


@given(st.floats(-6.0, 6.0))
def test_a_shift_slides_the_bands(shift: float) -> None:
    ramp = np.arange(64, dtype=np.float32)[None, None, :].repeat(3, axis=1)
    found = shift_mels(ramp, np.array([shift], np.float32))
    expected = np.clip(np.arange(64) + np.float32(shift), 0, 63)
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-4)


def test_an_equaliser_is_smooth_and_as_strong_as_told(rng: np.random.Generator) -> None:
    curves = equaliser(rng, 4_000, 64, replace(NONE, tilt=1.0))
    assert curves.shape == (4_000, 1, 64)
    assert np.abs(np.diff(curves, n=2, axis=2)).max() < 1e-4, "a tilt is a straight line"
    assert curves[:, 0, -1].std() == pytest.approx(1.0, rel=0.1)
    np.testing.assert_array_equal(equaliser(rng, 3, 64, NONE), np.zeros((3, 1, 64)))


def test_levels_are_those_of_the_live_stream(labelled: Examples) -> None:
    windows = labelled.rows[: 4 * 100].reshape(4, 100, 64).astype(np.float32)
    np.testing.assert_allclose(levels(windows), [speech_level(w) for w in windows], atol=1e-4)


# Parity with the live stream --------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_a_plain_window_is_what_the_live_stream_shows_the_model(seed: int) -> None:
    """Up to the half precision that features are kept in: less than a step of int8 input."""
    samples = voice(seed, seed)
    kept = clip_features(samples, Settings())
    ((start, stop),) = kept.spans
    begin, end = rows_of(int(start), int(stop))
    examples = replace(
        marked([end - begin]), rows=kept.log_mel[begin:end].astype(np.float16)
    )
    (window,) = plain_windows(examples, FEATURES)
    live = model_input(log_mel(samples[start:stop], FEATURES)[-256:], FEATURES)
    assert np.abs(window[:, :, 0] - live).max() < 2.0 / 255.0


# Batches ----------------------------------------------------------------------------------


def test_the_generator_alone_decides(prepared: Prepared) -> None:
    """What makes a resumed run the same run: batch n depends on nothing drawn before it."""
    one, other = augmenter(prepared), augmenter(prepared)
    one.draw(np.random.default_rng((0, 1)), 8)
    first = one.draw(np.random.default_rng((0, 2)), 8)
    assert bits(other.draw(np.random.default_rng((0, 2)), 8)) == bits(first)
    assert bits(other.draw(np.random.default_rng((1, 2)), 8)) != bits(first)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_batch_is_fit_to_train_on(prepared: Prepared, seed: int) -> None:
    batch = augmenter(prepared).draw(np.random.default_rng(seed), 16)
    assert batch.inputs.shape == (16, FEATURES.window_frames, FEATURES.mels, 1)
    assert batch.inputs.dtype == np.float32
    assert np.abs(batch.inputs).max() <= 1.0
    assert batch.targets.shape == batch.masks.shape == (16, 2, 8)
    np.testing.assert_allclose(batch.targets.sum(axis=2), 1.0, atol=1e-5)
    assert not (batch.targets * (batch.masks == 0.0)).any()
    assert (batch.blend >= 0.5).all()
    assert (batch.blend <= 1.0).all()
    assert set(np.unique(batch.speech)) <= {0.0, 1.0}
    np.testing.assert_array_equal(batch.labelled, batch.speech)


def test_noise_is_drawn_as_often_as_told(prepared: Prepared) -> None:
    drawn = augmenter(prepared).draw(np.random.default_rng(0), 600)
    assert 1.0 - drawn.speech.mean() == pytest.approx(0.25, abs=0.06)


def test_speech_is_never_blended_with_noise(prepared: Prepared) -> None:
    """A blend keeps one of its two parts' speech flags, so both must have the same."""
    recipe = replace(RECIPE, noise_share=0.5, augmentation=replace(NONE, mixup=1.0))
    blended = augmenter(prepared, recipe).draw(np.random.default_rng(0), 200)
    plain = augmenter(prepared, replace(recipe, augmentation=NONE)).draw(
        np.random.default_rng(0), 200
    )
    np.testing.assert_array_equal(blended.speech, plain.speech)
    assert 0.3 < (blended.blend < 1.0).mean() < 0.7


def test_without_augmentation_a_batch_holds_plain_windows(
    prepared: Prepared, labelled: Examples
) -> None:
    recipe = replace(RECIPE, noise_share=0.0, augmentation=NONE)
    batch = augmenter(prepared, recipe).draw(np.random.default_rng(0), 24)
    plain = plain_windows(labelled, FEATURES)

    def is_plain(window: F32) -> bool:
        return bool((np.abs(plain - window).max(axis=(1, 2, 3)) < 1e-5).any())

    assert all(is_plain(window) for window in batch.inputs)
    assert (batch.blend == 1.0).all()


def test_masks_blank_what_they_cover(prepared: Prepared, labelled: Examples) -> None:
    bent = replace(NONE, time_masks=1, time_mask_rows=40)
    recipe = replace(RECIPE, noise_share=0.0, augmentation=bent)
    batch = augmenter(prepared, recipe).draw(np.random.default_rng(0), 24)
    flat = (batch.inputs[..., 0].std(axis=2) < 1e-6) & (batch.inputs[:, :, 0, 0] > -1.0)
    assert 10 < flat.sum(axis=1).mean() < 30
    assert flat.sum(axis=1).max() <= 40


def test_examples_are_drawn_by_their_weight(prepared: Prepared, labelled: Examples) -> None:
    lone = replace(labelled, weights=np.eye(len(labelled))[5])
    recipe = replace(RECIPE, noise_share=0.0)
    drawn = Augmenter(lone, noise_examples(prepared), FEATURES, recipe).draw(
        np.random.default_rng(0), 12
    )
    np.testing.assert_array_equal(drawn.targets[:, 0], labelled.targets[[5] * 12])


# Beats ------------------------------------------------------------------------------------


def test_beats_fall_and_rise_by_up_to_35_db_in_all_bands_alike() -> None:
    rng = np.random.default_rng(3)
    windows = rng.normal(0.0, 1.0, (40, 256, 8)).astype(np.float32)
    fainter = windows - in_beats(rng, windows)
    np.testing.assert_allclose(fainter, fainter[:, :, :1].repeat(8, axis=2), atol=1e-5)
    assert fainter.min() > -1e-5
    assert fainter.max() < 8.0 + 1e-5
    assert (np.ptp(fainter[:, :, 0], axis=1) > 0.5).all()
    peaks = (np.diff(np.sign(np.diff(fainter[:, :, 0], axis=1)), axis=1) > 0).sum(axis=1)
    assert (peaks >= 1).all()


def test_noises_in_beats_are_those_noises_made_fainter(prepared: Prepared) -> None:
    """A share of one and of none draw the same noises: the beats come last."""
    plain = replace(RECIPE, noise_share=1.0, augmentation=NONE)
    beaten = replace(plain, augmentation=replace(NONE, noise_beats=1.0))
    one, other = (
        augmenter(prepared, recipe)._noises(np.random.default_rng(5), 16, FEATURES.window_frames)
        for recipe in (plain, beaten)
    )
    assert (other <= one + 1e-5).all()
    assert (other < one - 1.0).any(axis=(1, 2)).all()
