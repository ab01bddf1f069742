"""Windows: nobody else's rows, and the live stream's own input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_ser.config import Settings
from rt_ser.features import log_mel, model_input, speech_level
from rt_ser.recipes import RECIPES
from tests.train.made_up import small_corpus, voice
from train.clips import clip_features, rows_of
from train.examples import Examples, labelled_examples
from train.recipe import Augmentation, TrainRecipe
from train.windows import crop, gather, in_beats, levels, plain_windows

FEATURES = RECIPES["logmel64-v1"]
NONE = Augmentation(partial=0.0)


@pytest.fixture(scope="module")
def labelled() -> Examples:
    prepared = small_corpus(3)
    return labelled_examples(prepared, prepared.clips, TrainRecipe(name="test"))


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
    examples = replace(marked([end - begin]), rows=kept.log_mel[begin:end].astype(np.float16))
    (window,) = plain_windows(examples, FEATURES)
    live = model_input(log_mel(samples[start:stop], FEATURES)[-256:], FEATURES)
    assert np.abs(window[:, :, 0] - live).max() < 2.0 / 255.0


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
