"""Many folds and seeds become one figure with its spread, and one card to draw from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

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

    Folds are put together before they are binned: a fold's few clips in each of 15 bins
    scatter by several hundredths even where a model is right as often as it says. What this
    hides is that models of some folds are too sure and of others too modest: see
    :func:`calibration_errors`. Seeds that lack a fold count only where none is complete.
    """
    folds = {item.fold for item in items}
    by_seed = [
        [item for item in items if item.seed == seed]
        for seed in sorted({item.seed for item in items})
    ]
    complete = [own for own in by_seed if {item.fold for item in own} == folds]
    errors = [_calibration_error(_reliability(own)) for own in complete or by_seed]
    return fmean(errors) if errors else None


def calibration_errors(items: Sequence[Scored]) -> list[float]:
    """Return the expected calibration error of each fold, a mean over its seeds, sorted."""
    by_fold = [
        [item for item in items if item.fold == fold] for fold in {item.fold for item in items}
    ]
    pooled = [mean_of(own, lambda card: card["calibration_error"]) for own in by_fold]
    return sorted(error for error in pooled if error is not None)


def pooled_card(items: Sequence[Scored]) -> Card:
    """Merge cards into one that the plots can draw: counts add up, other figures are means.

    Every fold counts once, however many seeds have judged it, and a clip likewise.
    """
    cards = [item.card for item in items]
    counts = _weighted(items, lambda card: np.array(card["clips"], np.float64))
    return {
        "classes": cards[0]["classes"],
        "clips": round(float(counts)),
        "uar": mean_of(items, lambda card: card["uar"]),
        "confusion": _confusion(items),
        "calibration_error": calibration_error(items),
        "reliability": _reliability(items),
        "coverage": (
            _weighted(items, lambda card: np.array(card["coverage"], np.float64))
            / sum(_shares(items))
        ).tolist(),
        "over_time": _over_time(items),
        "by_speaker": _groups(items, "by_speaker"),
        "by_sex": _groups(items, "by_sex"),
        "by_age": _groups(items, "by_age"),
    }


def interval_over_speakers(card: Card, *, draws: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Return a 95 % bootstrap interval of the mean over speakers of their UAR."""
    values = np.array([item["uar"] for item in card["by_speaker"].values()], np.float64)
    if len(values) < 2:
        return float("nan"), float("nan")
    picks = np.random.default_rng(seed).integers(0, len(values), (draws, len(values)))
    low, high = np.quantile(values[picks].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _shares(items: Sequence[Scored]) -> list[float]:
    """Return by how much each card counts: together those of a fold count as one."""
    seeds = Counter(item.fold for item in items)
    return [1.0 / seeds[item.fold] for item in items]


def _weighted(items: Sequence[Scored], figure: Callable[[Card], NDArray[Any]]) -> NDArray[Any]:
    """Add a figure up over folds, each of which is a mean over its seeds."""
    pairs = zip(_shares(items), items, strict=True)
    return np.asarray(np.sum([share * figure(item.card) for share, item in pairs], axis=0))


def _confusion(items: Sequence[Scored]) -> list[list[int]]:
    """Add up the counts of all folds, each a mean over its seeds."""
    total = _weighted(items, lambda card: np.array(card["confusion"], np.float64))
    return [[int(count) for count in row] for row in np.rint(total)]


def _reliability(items: Sequence[Scored]) -> Card:
    """Add up the bins: their clips, and the mean confidence and accuracy of those."""

    def summed(name: str) -> NDArray[Any]:
        def figure(card: Card) -> NDArray[Any]:
            bins = card["reliability"]
            values = np.array([value or 0.0 for value in bins[name]])
            return np.asarray(values * np.array(bins["counts"]))

        return _weighted(items, figure)

    counts = _weighted(items, lambda card: np.array(card["reliability"]["counts"], np.float64))
    pooled: Card = {"counts": counts.tolist()}
    for name in ("confidence", "accuracy"):
        pooled[name] = [
            float(total / count) if count else None
            for total, count in zip(summed(name), counts, strict=True)
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


def _groups(items: Sequence[Scored], by: str) -> dict[str, Card]:
    """Average each group's UAR over its folds, weighted by clips; each fold counts once."""
    names = sorted({name for item in items for name in item.card[by]}, key=_place)
    pooled = {}
    for name in names:
        parts = [
            (share * item.card[by][name]["clips"], item.card[by][name]["uar"])
            for share, item in zip(_shares(items), items, strict=True)
            if name in item.card[by]
        ]
        clips, uars = zip(*parts, strict=True)
        pooled[name] = {
            "clips": round(sum(clips)),
            "uar": float(np.average(uars, weights=clips)),
        }
    return pooled
