"""Many folds and seeds become one figure with its spread, and one card to draw from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np

from train.scorecard import AGE_GROUPS

Card = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One corpus of one evaluation: which fold, of which seed."""

    fold: tuple[str, ...]
    seed: int
    card: Card


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A figure's mean, and how far it moves over folds and over seeds.

    ``low`` and ``high`` are the worst and the best fold, each a mean over its seeds;
    ``seed_deviation`` is the standard deviation over the seeds that have all folds,
    ``None`` where there are fewer than two.
    """

    mean: float
    low: float
    high: float
    folds: int
    seeds: int
    seed_deviation: float | None


def scored(evaluations: Sequence[Card], corpus: str, protocols: Sequence[str]) -> list[Scored]:
    """Find a corpus's cards among evaluations of some protocols, each fold and seed once.

    A fold is its speakers: the same ones may be tested by more than one protocol, of which
    the first that is named counts.
    """
    found: dict[tuple[tuple[str, ...], int], Scored] = {}
    for protocol in protocols:
        for figures in evaluations:
            card = figures["corpora"].get(corpus)
            if card is None or figures["split"].partition(":")[0] != protocol:
                continue
            fold, seed = tuple(sorted(card["by_speaker"])), int(figures.get("seed") or 0)
            found.setdefault((fold, seed), Scored(fold=fold, seed=seed, card=card))
    return list(found.values())


def spread(items: Sequence[Scored], figure: Callable[[Card], float | None]) -> Spread | None:
    """Pool one figure over folds and seeds; ``None`` where it is nowhere to be found."""
    values = {(item.fold, item.seed): figure(item.card) for item in items}
    known = {place: value for place, value in values.items() if value is not None}
    if not known:
        return None
    folds = sorted({fold for fold, _ in known})
    seeds = sorted({seed for _, seed in known})
    by_fold = [fmean(value for (at, _), value in known.items() if at == fold) for fold in folds]
    complete = [
        fmean(known[fold, seed] for fold in folds)
        for seed in seeds
        if all((fold, seed) in known for fold in folds)
    ]
    return Spread(
        mean=fmean(by_fold),
        low=min(by_fold),
        high=max(by_fold),
        folds=len(folds),
        seeds=len(seeds),
        seed_deviation=stdev(complete) if len(complete) > 1 else None,
    )


def mean_of(items: Sequence[Scored], figure: Callable[[Card], float | None]) -> float | None:
    """Return a figure's mean over folds and seeds."""
    pooled = spread(items, figure)
    return None if pooled is None else pooled.mean


def calibration_error(items: Sequence[Scored]) -> float | None:
    """Return the expected calibration error over the clips of all folds, a mean over seeds.

    Folds are put together before they are binned: alone, a fold's few clips in each of 15
    bins would scatter by as much as what is measured.
    """
    seeds = sorted({item.seed for item in items})
    errors = [
        _calibration_error(_reliability([item.card for item in items if item.seed == seed]))
        for seed in seeds
    ]
    return fmean(errors) if errors else None


def pooled_card(items: Sequence[Scored]) -> Card:
    """Merge cards into one that the plots can draw: counts add up, other figures are means.

    ``clips`` counts a clip once however many seeds have judged it.
    """
    cards = [item.card for item in items]
    seeds = len({item.seed for item in items})
    bins = _reliability(cards)
    return {
        "classes": cards[0]["classes"],
        "clips": round(sum(card["clips"] for card in cards) / seeds),
        "uar": mean_of(items, lambda card: card["uar"]),
        "confusion": _confusion(cards, seeds),
        "calibration_error": calibration_error(items),
        "reliability": bins,
        "coverage": np.mean([card["coverage"] for card in cards], axis=0).tolist(),
        "over_time": _over_time(items),
        "by_speaker": _groups(cards, "by_speaker"),
        "by_sex": _groups(cards, "by_sex"),
        "by_age": _groups(cards, "by_age"),
    }


def interval_over_speakers(card: Card, *, draws: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Return a 95 % bootstrap interval of the mean over speakers of their UAR."""
    values = np.array([item["uar"] for item in card["by_speaker"].values()], np.float64)
    if len(values) < 2:
        return float("nan"), float("nan")
    picks = np.random.default_rng(seed).integers(0, len(values), (draws, len(values)))
    low, high = np.quantile(values[picks].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _confusion(cards: Sequence[Card], seeds: int) -> list[list[int]]:
    """Add up the counts of all folds and return their mean over the seeds."""
    total = np.sum([card["confusion"] for card in cards], axis=0)
    return [[int(count) for count in row] for row in np.rint(total / seeds)]


def _reliability(cards: Sequence[Card]) -> Card:
    """Add up the bins: their clips, and the mean confidence and accuracy of those."""
    counts = np.sum([card["reliability"]["counts"] for card in cards], axis=0)
    pooled: Card = {"counts": counts.tolist()}
    for name in ("confidence", "accuracy"):
        sums = np.zeros(len(counts))
        for card in cards:
            bins = card["reliability"]
            sums += [
                count * (value or 0.0)
                for count, value in zip(bins["counts"], bins[name], strict=True)
            ]
        pooled[name] = [
            float(total / count) if count else None
            for total, count in zip(sums, counts, strict=True)
        ]
    return pooled


def _calibration_error(bins: Card) -> float:
    """Return the expected calibration error of pooled bins (Guo et al. 2017, eq. 3)."""
    gaps = [
        count * abs(confidence - accuracy)
        for count, confidence, accuracy in zip(
            bins["counts"], bins["confidence"], bins["accuracy"], strict=True
        )
        if count
    ]
    return float(sum(gaps) / max(1, sum(bins["counts"])))


def _over_time(items: Sequence[Scored]) -> list[Card]:
    times = [entry["seconds"] for entry in items[0].card["over_time"]]
    return [
        {
            "seconds": seconds,
            "uar": mean_of(items, lambda card, at=at: card["over_time"][at]["uar"]),  # type: ignore[misc]
        }
        for at, seconds in enumerate(times)
    ]


def _place(name: str) -> tuple[int, str]:
    """Order groups as people would: women, men, the young first; speakers by name."""
    known = ("female", "male", *AGE_GROUPS)
    return (known.index(name) if name in known else len(known), name)


def _groups(cards: Sequence[Card], by: str) -> dict[str, Card]:
    """Average each group's UAR, weighted by its clips: its folds, and its seeds."""
    names = sorted({name for card in cards for name in card[by]}, key=_place)
    pooled = {}
    for name in names:
        parts = [card[by][name] for card in cards if name in card[by]]
        clips = [part["clips"] for part in parts]
        uar = float(np.average([part["uar"] for part in parts], weights=clips))
        pooled[name] = {"clips": sum(clips), "uar": uar}
    return pooled
