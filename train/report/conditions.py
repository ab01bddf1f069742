"""What was measured in noise, rooms and silence, by one model or several, as single figures."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from train.corpora import CORPORA
from train.report.pool import Card

READERS, UNHEARD_READERS = "read_speech", "held_out_read_speech"
"""All who read aloud, and those of them who served nowhere in training."""


def mean(values: Sequence[Any], weights: Sequence[float] | None = None) -> float | None:
    """Return the mean of the values that are there, if any is, weighted where that is said."""
    pairs = zip(values, weights or [1.0] * len(values), strict=True)
    known = [(float(value), weight) for value, weight in pairs if value is not None]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else None


def corpora_of(robustness: Sequence[Card]) -> list[str]:
    """Return the corpora that were measured under conditions, by any of the measurements."""
    seen = {
        corpus
        for measured in robustness
        for item in measured["conditions"]
        for corpus in item["corpora"]
    }
    return [corpus for corpus in CORPORA if corpus in seen]


def condition_loss(robustness: Sequence[Card], name: str) -> float | None:
    """Return the points of UAR that a condition costs, the mean over corpora of each one's."""
    return mean(
        [condition_mean(robustness, name, corpus, "loss") for corpus in corpora_of(robustness)]
    )


def condition_mean(robustness: Sequence[Card], name: str, corpus: str, figure: str) -> float | None:
    """Return a corpus's figure under a condition, averaged over the measurements."""
    return mean(
        [
            item["corpora"][corpus][figure]
            for measured in robustness
            for item in measured["conditions"]
            if item["name"] == name and corpus in item["corpora"]
        ]
    )


UNHEARD = ("held_out_noise", "silence", "tones")
"""Sounds without speech that served nowhere in training."""


def false_alarms(robustness: Sequence[Card], kinds: Collection[str]) -> float | None:
    """Return the confident emotions an hour where nobody speaks, averaged over the models."""
    heard = [(_without_speech(item, kinds, "emotions"), _hours(item, kinds)) for item in robustness]
    return mean([emotions / hours if hours else None for emotions, hours in heard])


def hours_without_speech(robustness: Sequence[Card], kinds: Collection[str]) -> float:
    """Return how long the sounds of some kinds are that each model heard; 0 without any."""
    return min((_hours(item, kinds) for item in robustness), default=0.0)


def _hours(measured: Card, kinds: Collection[str]) -> float:
    return _without_speech(measured, kinds, "seconds") / 3600


def _without_speech(measured: Card, kinds: Collection[str], figure: str) -> float:
    """Add up what one measurement tells of the sounds of some kinds."""
    told = measured["non_speech"].items()
    return sum(float(one[figure]) for kind, one in told if kind in kinds)


def strong_while_reading(robustness: Sequence[Card], who: str = UNHEARD_READERS) -> float | None:
    """Return the per cent of reading aloud called angry, fearful or disgust, likewise."""
    return mean([100.0 * item[who]["strong_share"] for item in robustness])
