"""All figures of one corpus, as plain values fit for JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_ser.types import F32
from train import metrics
from train.corpora import LABELS, Clip
from train.metrics import F64, Outcomes

CURVE_S = (0.5, 1.0, 1.5, 2.0, 3.0)
"""Seconds after the onset of speech at which the rolling estimate is scored."""

CROWD_AGREEMENT = 0.6
"""Share of listeners that must agree for the crowd's vote to count as a second truth."""

_COVERAGE_STEPS = np.linspace(0.1, 1.0, 19)
_AGES = (("under 30", 0, 29), ("30 to 49", 30, 49), ("50 and over", 50, 200))

AGE_GROUPS = tuple(name for name, _, _ in _AGES)
"""Groups that speakers are compared by, the youngest first."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """What a model said of one clip, over all of its labels.

    ``probs`` is the clip's summary, shape (labels,), all zero if nothing was judged;
    ``curve`` the rolling estimate at each of ``CURVE_S``, shape (times, labels), zero
    before the first judgement.
    """

    clip: Clip
    probs: F32
    curve: F32


def outcomes_of(
    heard: Sequence[Heard], classes: tuple[str, ...], probs: NDArray[np.floating[Any]] | None = None
) -> Outcomes:
    """Mask the summaries, or other ``probs`` of the same clips, to a corpus's classes."""
    said = np.array([item.probs for item in heard]) if probs is None else probs
    return Outcomes(
        classes=classes,
        targets=np.array([classes.index(item.clip.emotion) for item in heard], np.int64),
        probs=metrics.mask(said.astype(np.float64), LABELS, classes),
        speakers=np.array([item.clip.speaker for item in heard]),
    )


def scorecard(heard: Sequence[Heard], classes: tuple[str, ...]) -> dict[str, Any]:
    """Compute every figure of one corpus's clips.

    ``classes`` are those that the corpus has and the protocol scores; probabilities of
    others are taken away before anything is measured.
    """
    outcomes = outcomes_of(heard, classes)
    bins = metrics.reliability(outcomes)
    shares = metrics.output_shares(outcomes)
    card = {
        "classes": list(classes),
        **_headline(outcomes),
        "uar_interval": [plain(value) for value in metrics.speaker_interval(outcomes)],
        "macro_f1": plain(metrics.macro_f1(outcomes)),
        "recalls": _by_class(classes, metrics.recalls(metrics.confusion(outcomes))),
        "confusion": metrics.confusion(outcomes).tolist(),
        "calibration_error": plain(bins.error),
        "reliability": {
            "counts": bins.counts.tolist(),
            "confidence": [plain(value) for value in bins.confidence],
            "accuracy": [plain(value) for value in bins.accuracy],
        },
        "surest_half_gain": plain(metrics.surest_half_gain(outcomes)),
        "coverage": _coverage(outcomes),
        "output_shares": _by_class(classes, shares),
        "over_time": _over_time(heard, classes),
        "by_speaker": _groups(outcomes, [item.clip.speaker for item in heard]),
        "by_sex": _groups(outcomes, [item.clip.sex for item in heard]),
        "by_age": _groups(outcomes, [age_group(item.clip.age) for item in heard]),
    }
    crowd = _against_crowd(heard, classes)
    return card if crowd is None else {**card, "crowd": crowd}


def plain(value: float) -> float | None:
    """Round to six digits; ``None`` for what is not a number, which JSON does not know."""
    return None if math.isnan(value) else round(float(value), 6)


def age_group(age: int | None) -> str:
    """Name the group that an age in years belongs to."""
    for name, low, high in _AGES:
        if age is not None and low <= age <= high:
            return name
    return "unknown"


def _headline(outcomes: Outcomes) -> dict[str, Any]:
    return {
        "clips": len(outcomes),
        "no_speech": int((~outcomes.judged).sum()),
        "uar": plain(metrics.uar(outcomes)),
        "accuracy": plain(metrics.accuracy(outcomes)),
    }


def _by_class(classes: tuple[str, ...], values: F64) -> dict[str, float | None]:
    return {name: plain(value) for name, value in zip(classes, values, strict=True)}


def _groups(outcomes: Outcomes, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the headline figures of every group of clips; none if there is but one unknown."""
    array = np.array(names)
    found = [name for name in sorted(set(names)) if name != "unknown"]
    return {name: _headline(outcomes.take(array == name)) for name in found}


def _coverage(outcomes: Outcomes) -> list[list[float | None]]:
    """Return [share of clips, accuracy on that surest share] pairs."""
    curve = metrics.coverage(outcomes)
    counts = np.maximum(1, np.rint(_COVERAGE_STEPS * len(curve)).astype(np.int64))
    return [[plain(count / len(curve)), plain(curve[count - 1])] for count in counts]


def _over_time(heard: Sequence[Heard], classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """Score the rolling estimate at fixed times after onset; the last entry is the whole clip."""
    curves = np.array([item.curve for item in heard])
    entries = [
        {"seconds": seconds, **_headline(outcomes_of(heard, classes, curves[:, index]))}
        for index, seconds in enumerate(CURVE_S)
    ]
    return [*entries, {"seconds": None, **_headline(outcomes_of(heard, classes))}]


def crowd_label(clip: Clip, classes: tuple[str, ...]) -> str | None:
    """Return what most listeners heard, or ``None`` where too few agree or nobody was asked."""
    if clip.votes is None or not sum(clip.votes):
        return None
    top = int(np.argmax(clip.votes))
    agreed = clip.votes[top] >= CROWD_AGREEMENT * sum(clip.votes)
    return LABELS[top] if agreed and LABELS[top] in classes else None


def _against_crowd(heard: Sequence[Heard], classes: tuple[str, ...]) -> dict[str, Any] | None:
    """Score against the voice-only majority vote instead of the actor's intention.

    ``intended_uar`` is what somebody would have who told every intention rightly.
    """
    votes = [crowd_label(item.clip, classes) for item in heard]
    agreed = np.array([vote is not None for vote in votes])
    if not agreed.any():
        return None
    rows = outcomes_of(heard, classes).take(agreed)
    targets = np.array([classes.index(vote) for vote in votes if vote is not None], np.int64)
    against = replace(rows, targets=targets)
    intended = replace(against, probs=np.eye(len(classes))[rows.targets])
    people = {"agreement": CROWD_AGREEMENT, "clips_of": len(heard)}
    return {**people, **_headline(against), "intended_uar": plain(metrics.uar(intended))}
