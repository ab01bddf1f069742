"""Calibration: the temperature of single windows and of means, and what the speech head loses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rt_ser.recipes import RECIPES
from rt_ser.types import F32
from tests.train.made_up import small_corpus
from train.calibrate import (
    SPEECH_LOST,
    fit_temperature,
    growing_windows,
    prior_offsets,
    recalls_mean,
    speech_offset,
    temperature_of,
)
from train.corpora.clip import LABELS
from train.examples import Examples, labelled_examples
from train.recipe import TrainRecipe
from train.windows import plain_windows

FEATURES = RECIPES["logmel64-v1"]


@pytest.fixture(scope="module")
def examples() -> Examples:
    prepared = small_corpus()
    return labelled_examples(prepared, prepared.clips, TrainRecipe(name="test"))


# Temperature ------------------------------------------------------------------------------


def drawn(temperature: float, n: int = 6_000) -> tuple[F32, F32, np.ndarray[Any, Any]]:
    """Logits that are right at a known temperature, no masks, and what came true."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0.0, 3.0, (n, 8)).astype(np.float32)
    weights = np.exp(logits / temperature)
    edges = (weights / weights.sum(axis=1, keepdims=True)).cumsum(axis=1)
    targets = (rng.random((n, 1)) > edges).sum(axis=1)
    return logits, np.ones((n, 8), np.float32), np.minimum(targets, 7)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_of_calibrated_logits_is_found(temperature: float) -> None:
    assert fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.08)


def test_bolder_logits_need_a_higher_temperature() -> None:
    logits, masks, targets = drawn(1.0)
    once, twice = (fit_temperature(k * logits, masks, targets) for k in (1.0, 2.0))
    assert twice == pytest.approx(2.0 * once, rel=0.05)


def test_classes_that_a_corpus_lacks_do_not_count() -> None:
    logits, masks, targets = drawn(1.5)
    kept = targets < 6
    masks[:, 6:] = 0.0
    shouting = logits.copy()
    shouting[:, 6:] = 80.0
    quiet, loud = (
        fit_temperature(values[kept], masks[kept], targets[kept]) for values in (logits, shouting)
    )
    assert quiet == loud


def test_means_of_windows_are_scored_and_not_the_windows() -> None:
    """Ten sure windows that contradict each other make one unsure clip: be bolder."""
    logits, masks, targets = drawn(1.0)
    noisy = np.repeat(logits, 10, axis=0)
    noisy += np.random.default_rng(1).normal(0.0, 3.0, noisy.shape).astype(np.float32)
    owners = np.repeat(np.arange(len(logits)), 10)
    many = (np.repeat(masks, 10, axis=0), np.repeat(targets, 10))
    alone = fit_temperature(noisy, *many)
    together = fit_temperature(noisy, *many, owners=owners, weights=np.ones(len(owners)))
    assert together < 0.8 * alone


# Growing windows --------------------------------------------------------------------------


def test_windows_grow_with_the_utterance_and_then_slide(examples: Examples) -> None:
    found = growing_windows(examples, FEATURES)
    assert set(found.owners) == set(examples.clip)
    for clip in np.unique(examples.clip):
        counts = examples.count[examples.clip == clip]
        steps = sum(len({*range(50, count, 24), count}) for count in counts.tolist())
        assert (found.owners == clip).sum() == steps
    assert found.inputs.shape == (len(found.owners), FEATURES.window_frames, FEATURES.mels, 1)
    assert found.weights.min() >= 0.05**3
    assert found.weights.max() <= 2.56**3 + 1e-9


def test_the_last_window_of_an_utterance_is_its_newest(examples: Examples) -> None:
    found = growing_windows(examples, FEATURES)
    last = np.flatnonzero(found.owners == examples.clip[0])[-1]
    np.testing.assert_array_equal(found.inputs[last], plain_windows(examples, FEATURES)[0])


def test_nothing_to_calibrate_on_changes_nothing(examples: Examples) -> None:
    prepared = small_corpus()
    empty = labelled_examples(prepared, [], TrainRecipe(name="test"))

    def never(inputs: F32) -> F32:
        raise AssertionError(inputs.shape)

    assert temperature_of(empty, FEATURES, never) == 1.0
    assert speech_offset(empty, FEATURES, never) == 0.0


def test_the_temperature_is_found_through_the_windows(examples: Examples) -> None:
    """An oracle that is far too timid is made bold."""
    windows = growing_windows(examples, FEATURES)
    meant = examples.targets.argmax(axis=1).tolist()
    classes = dict(zip(examples.clip.tolist(), meant, strict=True))

    def timid(inputs: F32) -> F32:
        assert len(inputs) == len(windows.owners)
        return 0.2 * np.eye(8, dtype=np.float32)[[classes[int(o)] for o in windows.owners]]

    assert temperature_of(examples, FEATURES, timid) == pytest.approx(0.25)


def test_the_recall_of_an_oracle_and_of_one_that_knows_one_word(examples: Examples) -> None:
    windows = growing_windows(examples, FEATURES)
    meant = dict(zip(examples.clip.tolist(), examples.targets.argmax(axis=1), strict=True))
    right = np.array([meant[owner] for owner in windows.owners.tolist()])
    eye = np.eye(8, dtype=np.float32)
    assert recalls_mean(examples, FEATURES, lambda _: eye[right]) == 1.0
    one_word = np.tile(3.0 * eye[int(right[0])], (len(right), 1))
    classes = len(set(meant.values()))
    assert recalls_mean(examples, FEATURES, lambda _: one_word) == pytest.approx(1.0 / classes)


def test_classes_that_a_protocol_leaves_out_cannot_be_said(examples: Examples) -> None:
    windows = growing_windows(examples, FEATURES)
    meant = dict(zip(examples.clip.tolist(), examples.targets.argmax(axis=1), strict=True))
    right = np.array([meant[owner] for owner in windows.owners.tolist()])
    told = sorted(set(meant.values()))
    other = next(index for index in range(8) if index not in told)
    logits = np.eye(8, dtype=np.float32)[right]
    logits[:, other] = 2.0
    wide = replace(examples, masks=np.ones_like(examples.masks))
    assert recalls_mean(wide, FEATURES, lambda _: logits) == 0.0
    classes = [LABELS[index] for index in told]
    assert recalls_mean(wide, FEATURES, lambda _: logits, classes) == 1.0


def test_the_speech_head_may_veto_one_window_in_a_hundred(examples: Examples) -> None:
    rng = np.random.default_rng(0)
    asked: list[F32] = []

    def ask(inputs: F32) -> F32:
        asked.append(rng.normal(3.0, 1.0, (len(inputs), 1)).astype(np.float32))
        return asked[-1]

    offset = speech_offset(examples, FEATURES, ask)
    assert (asked[0] < offset).mean() == pytest.approx(SPEECH_LOST, abs=1.0 / len(asked[0]))
    assert speech_offset(examples, FEATURES, lambda x: np.full((len(x), 1), -4.0, "f4")) == 0.0


# Priors -----------------------------------------------------------------------------------


def offsets_of(targets: list[list[float]], masks: list[list[int]]) -> F32:
    n = len(targets)
    return prior_offsets(np.full(n, 1.0 / n), np.array(targets, "f4"), np.array(masks, "f4"))


def test_a_class_that_was_taught_too_often_is_taken_back() -> None:
    found = offsets_of([[0.6, 0.3, 0.1]], [[1, 1, 1]])
    np.testing.assert_allclose(found - found[0], np.log([1.0, 0.5, 1 / 6]), atol=1e-6)
    assert found.mean() == pytest.approx(0.0, abs=1e-6)


def test_a_class_is_compared_only_within_corpora_that_have_it() -> None:
    """Few clips of a third class in another corpus do not make it rare."""
    found = offsets_of([[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]], [[1, 1, 0], [1, 1, 1]])
    np.testing.assert_allclose(found, 0.0, atol=1e-6)


def test_classes_never_taught_are_left_alone() -> None:
    assert offsets_of([[0.8, 0.2, 0.0]], [[1, 1, 0]])[2] == 0.0
