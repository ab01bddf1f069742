"""Figures of merit for emotion recognition, unweighted average recall (UAR) first.

Classes are balanced by the measure, not by the data: UAR is the mean over classes of
the share of each that was recognised (Schuller et al. 2009, the INTERSPEECH Emotion
Challenge), so chance is one in as many classes as there are. Where a clip was not judged
at all, because no speech was found in it, it counts as wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

F64: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

BINS = 15
"""Equal-width confidence bins of the expected calibration error (Guo et al. 2017)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """What a model said of a set of clips.

    ``classes`` are those that are scored, in the order of the columns of ``probs``,
    shape (clips, classes), whose rows sum to 1, or to 0 where a clip was not judged.
    ``targets``, shape (clips,), are indices into ``classes``.
    """

    classes: tuple[str, ...]
    targets: Ints
    probs: F64
    speakers: NDArray[np.str_]

    def __len__(self) -> int:
        """Count the clips."""
        return len(self.targets)

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Which clips the model had an opinion of, shape (clips,)."""
        return np.asarray(self.probs.sum(axis=1) > 0.0, np.bool_)

    @property
    def confidences(self) -> F64:
        """The largest probability of each clip, shape (clips,); 0 where not judged."""
        return np.asarray(self.probs.max(axis=1), np.float64)

    @property
    def predicted(self) -> Ints:
        """Index of the most probable class, or ``len(classes)`` where not judged."""
        return np.where(self.judged, self.probs.argmax(axis=1), len(self.classes))

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which clips were recognised, shape (clips,)."""
        return np.asarray(self.predicted == self.targets, np.bool_)

    def take(self, rows: Ints | NDArray[np.bool_]) -> Outcomes:
        """Return some of the clips, by index or mask; indices may repeat."""
        return replace(
            self,
            targets=self.targets[rows],
            probs=self.probs[rows],
            speakers=self.speakers[rows],
        )


def mask(probs: F64, labels: tuple[str, ...], classes: tuple[str, ...]) -> F64:
    """Keep the columns of ``classes`` among ``labels`` and let each row sum to 1 again.

    Rows of zeros (not judged) stay so. Where a row has nothing left in the classes that
    are scored, all of them are equally likely.
    """
    kept = probs[:, [labels.index(name) for name in classes]].astype(np.float64)
    totals = kept.sum(axis=1, keepdims=True)
    judged = probs.sum(axis=1, keepdims=True) > 0.0
    even = np.full_like(kept, 1.0 / len(classes)) * judged
    return np.where(totals > 0.0, kept / np.where(totals > 0.0, totals, 1.0), even)


def confusion(outcomes: Outcomes) -> Ints:
    """Count clips by target (rows) and prediction (columns), the last column not judged.

    Returns
    -------
    ndarray, shape (classes, classes + 1), int64
    """
    count = len(outcomes.classes)
    cells = outcomes.targets * (count + 1) + outcomes.predicted
    return np.bincount(cells, minlength=count * (count + 1)).reshape(count, count + 1)


def recalls(matrix: Ints) -> F64:
    """Return the share of each class that was recognised; nan for a class without clips."""
    totals = matrix.sum(axis=1)
    hits = np.diagonal(matrix)
    return np.where(totals > 0, hits / np.maximum(totals, 1), np.nan)


def uar(outcomes: Outcomes) -> float:
    """Return the unweighted average recall over the classes that occur, 0 to 1."""
    if not len(outcomes):
        return float("nan")
    return float(np.nanmean(recalls(confusion(outcomes))))


def accuracy(outcomes: Outcomes) -> float:
    """Return the share of clips recognised ("weighted accuracy", WA), 0 to 1."""
    return float(outcomes.correct.mean()) if len(outcomes) else float("nan")


def macro_f1(outcomes: Outcomes) -> float:
    """Return the mean over the classes that occur of 2 hits / (clips + predictions)."""
    matrix = confusion(outcomes)
    totals = matrix.sum(axis=1)
    predictions = matrix[:, :-1].sum(axis=0)
    scores = 2.0 * np.diagonal(matrix) / np.maximum(totals + predictions, 1)
    return float(scores[totals > 0].mean()) if totals.any() else float("nan")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reliability:
    """Accuracy against confidence: per bin the clips, their mean confidence and accuracy.

    ``error`` is the expected calibration error; arrays have shape (bins,), nan where a
    bin is empty.
    """

    counts: Ints
    confidence: F64
    accuracy: F64
    error: float


def reliability(outcomes: Outcomes, bins: int = BINS) -> Reliability:
    """Compare confidence with accuracy over the judged clips (Guo et al. 2017, eq. 3)."""
    judged = outcomes.take(outcomes.judged)
    places = np.clip(np.ceil(judged.confidences * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    confidence = np.bincount(places, judged.confidences, minlength=bins)
    hits = np.bincount(places, judged.correct.astype(np.float64), minlength=bins)
    total = max(1, len(judged))
    filled = np.where(counts > 0, counts, np.nan)
    return Reliability(
        counts=counts,
        confidence=confidence / filled,
        accuracy=hits / filled,
        error=float(np.abs(confidence - hits).sum() / total),
    )


def coverage(outcomes: Outcomes) -> F64:
    """Return the accuracy on the surest k clips for every k, shape (clips,).

    The last value is the accuracy on all. Equal confidences are taken in the clips'
    order, which says nothing of their being right.
    """
    order = np.argsort(-outcomes.confidences, kind="stable")
    return np.cumsum(outcomes.correct[order]) / np.arange(1, len(outcomes) + 1)


def surest_half_gain(outcomes: Outcomes) -> float:
    """Return by how much accuracy on the surer half of clips exceeds that on all."""
    if not len(outcomes):
        return float("nan")
    curve = coverage(outcomes)
    return float(curve[(len(curve) + 1) // 2 - 1] - curve[-1])


def output_shares(outcomes: Outcomes) -> F64:
    """Return how often each class is said, had all classes as many clips, shape (classes,).

    A share far above one in as many classes means that the model takes refuge in one.
    """
    matrix = confusion(outcomes)
    rows = matrix[matrix.sum(axis=1) > 0].astype(np.float64)
    shares: F64 = (rows / rows.sum(axis=1, keepdims=True)).mean(axis=0)[:-1]
    return shares


def speaker_interval(
    outcomes: Outcomes,
    measure: Callable[[Outcomes], float] = uar,
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Estimate how far a figure would move with other speakers: a bootstrap interval.

    Whole speakers are drawn with replacement, because clips of one voice are alike and
    drawing clips would promise too much (percentile method, Efron & Tibshirani 1993).
    With a single speaker there is nothing to draw, and both ends are nan.
    """
    rows = [np.flatnonzero(outcomes.speakers == name) for name in np.unique(outcomes.speakers)]
    if len(rows) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    values = [
        measure(outcomes.take(np.concatenate([rows[index] for index in picks])))
        for picks in rng.integers(0, len(rows), size=(draws, len(rows)))
    ]
    low, high = np.quantile(values, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)
