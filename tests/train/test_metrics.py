"""Each measure against values worked out by hand, or against scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train import metrics
from train.metrics import Outcomes

CLASSES = ("neutral", "happy", "sad")


def outcomes(targets: list[int], probs: list[list[float]], speakers: str = "") -> Outcomes:
    """Make outcomes; ``speakers`` has a letter for every clip."""
    return Outcomes(
        classes=CLASSES,
        targets=np.array(targets, np.int64),
        probs=np.array(probs, np.float64).reshape(-1, len(CLASSES)),
        speakers=np.array(list(speakers or "a" * len(targets))),
    )


def one_hot(predictions: Sequence[int | None], sure: float = 1.0) -> list[list[float]]:
    """Give every clip's prediction a probability; ``None`` was not judged."""
    rest = (1.0 - sure) / (len(CLASSES) - 1)
    return [
        [0.0] * len(CLASSES)
        if chosen is None
        else [sure if column == chosen else rest for column in range(len(CLASSES))]
        for chosen in predictions
    ]


# Four neutral clips of which three are right, two happy of which one, one sad, right.
UNBALANCED = outcomes([0, 0, 0, 0, 1, 1, 2], one_hot([0, 0, 0, 2, 1, 0, 2]))


def test_uar_weighs_classes_alike_and_accuracy_clips() -> None:
    assert metrics.uar(UNBALANCED) == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    assert metrics.accuracy(UNBALANCED) == pytest.approx(5 / 7)


def test_macro_f1_is_the_mean_of_each_class_own() -> None:
    expected = (2 * 3 / (4 + 4) + 2 * 1 / (2 + 1) + 2 * 1 / (1 + 2)) / 3
    assert metrics.macro_f1(UNBALANCED) == pytest.approx(expected)


def test_confusion_counts_unjudged_clips_in_a_column_of_their_own() -> None:
    matrix = metrics.confusion(outcomes([0, 0, 1, 2], one_hot([0, None, 2, 2])))
    assert matrix.tolist() == [[1, 0, 0, 1], [0, 0, 1, 0], [0, 0, 1, 0]]


def test_a_clip_that_was_not_judged_is_wrong() -> None:
    # Class 0 is what argmax says of a row of zeros: it must not count as a hit.
    silent = outcomes([0, 0], one_hot([None, 0]))
    assert metrics.accuracy(silent) == 0.5
    assert metrics.uar(silent) == 0.5
    assert silent.judged.tolist() == [False, True]


def test_a_class_without_clips_does_not_count() -> None:
    assert metrics.uar(outcomes([0, 1], one_hot([0, 2]))) == 0.5
    assert np.isnan(metrics.recalls(metrics.confusion(outcomes([0, 1], one_hot([0, 2]))))[2])


def test_no_clips_give_no_figure() -> None:
    nothing = outcomes([], [])
    for measure in (metrics.uar, metrics.accuracy, metrics.macro_f1, metrics.surest_half_gain):
        assert np.isnan(measure(nothing))


@settings(deadline=None)  # the first example pays for scikit-learn's import
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_uar_and_macro_f1_agree_with_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    sklearn = pytest.importorskip("sklearn.metrics", reason="needs the extra train")
    targets, predicted = [list(column) for column in zip(*pairs, strict=True)]
    ours = outcomes(targets, one_hot(predicted))
    present = sorted(set(targets))
    recall = sklearn.recall_score(targets, predicted, labels=present, average="macro")
    f1 = sklearn.f1_score(targets, predicted, labels=present, average="macro")
    assert metrics.uar(ours) == pytest.approx(recall)
    assert metrics.macro_f1(ours) == pytest.approx(f1)


def test_mask_keeps_a_corpus_own_classes_and_sums_to_one() -> None:
    probs = np.array([[0.2, 0.5, 0.1, 0.2], [0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    masked = metrics.mask(probs, ("neutral", "calm", "happy", "sad"), CLASSES)
    assert masked[0] == pytest.approx([0.4, 0.2, 0.4])
    assert masked[1].tolist() == [0.0, 0.0, 0.0], "not judged stays not judged"
    assert masked[2] == pytest.approx([1 / 3] * 3), "nothing left: no opinion"


def test_calibration_error_by_hand() -> None:
    # Ten clips at 0.8, six of them right; ten at 0.5, five right: (0.2 * 10 + 0 * 10) / 20.
    targets = [0] * 20
    chosen = [0] * 6 + [1] * 4
    halves = [0] * 5 + [1] * 5
    result = metrics.reliability(outcomes(targets, one_hot(chosen, 0.8) + one_hot(halves, 0.5)))
    assert result.error == pytest.approx(0.1)
    assert result.counts.sum() == 20
    assert np.nanmax(result.confidence) == pytest.approx(0.8)
    assert sorted(result.accuracy[result.counts > 0]) == pytest.approx([0.5, 0.6])


def test_calibration_bins_hold_their_upper_edge() -> None:
    counts = metrics.reliability(outcomes([0, 0], one_hot([0, 0])), bins=4).counts
    assert counts.tolist() == [0, 0, 0, 2]


def test_calibration_leaves_out_what_was_not_judged() -> None:
    assert metrics.reliability(outcomes([0, 0], one_hot([0, None]))).error == 0.0


def test_coverage_takes_the_surest_first() -> None:
    rows = one_hot([0], 0.9) + one_hot([1], 0.5) + one_hot([0], 0.8) + one_hot([1], 0.6)
    curve = metrics.coverage(outcomes([0, 0, 0, 0], rows))
    assert curve == pytest.approx([1.0, 1.0, 2 / 3, 0.5])
    assert metrics.surest_half_gain(outcomes([0, 0, 0, 0], rows)) == pytest.approx(0.5)


def test_output_shares_are_balanced_over_classes() -> None:
    # Nine neutral clips said neutral, one happy clip said neutral: half of each class' weight.
    rows = one_hot([0] * 9 + [0])
    shares = metrics.output_shares(outcomes([0] * 9 + [1], rows))
    assert shares == pytest.approx([1.0, 0.0, 0.0])
    mixed = metrics.output_shares(outcomes([0, 0, 1, 2], one_hot([0, 1, 1, None])))
    assert mixed == pytest.approx([1 / 6, 1 / 2, 0.0])


def test_interval_draws_speakers_not_clips() -> None:
    # Two speakers, one always right, one always wrong, however many clips they have.
    rows = outcomes([0] * 200, one_hot([0] * 100 + [1] * 100), "a" * 100 + "b" * 100)
    low, high = metrics.speaker_interval(rows, metrics.accuracy)
    assert (low, high) == (0.0, 1.0)


def test_interval_is_the_same_every_time_and_holds_the_figure() -> None:
    rng = np.random.default_rng(1)
    targets = rng.integers(0, 3, 300).tolist()
    chosen = [target if rng.random() < 0.6 else 0 for target in targets]
    rows = outcomes(targets, one_hot(chosen), "abcdefghij" * 30)
    low, high = metrics.speaker_interval(rows, draws=200)
    assert (low, high) == metrics.speaker_interval(rows, draws=200)
    assert low < metrics.uar(rows) < high


def test_one_speaker_has_no_interval() -> None:
    assert np.isnan(metrics.speaker_interval(UNBALANCED)).all()
