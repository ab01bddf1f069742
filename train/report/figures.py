"""Plots that only a report has: noise, losses, groups of people, and other systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from train import plots
from train.plots import INK, LINES, MARKERS, MUTED, NAMES, RULE, SERIES
from train.report.conditions import condition_mean, corpora_of
from train.report.pool import Card

_RATIOS = (("snr20", 20), ("snr10", 10), ("snr5", 5))
_OTHERS = ("quiet", "loud", "telephone", "room", "room1m")
_CLEAN_AT = 27
"""Where "as recorded" stands on an axis of decibels."""

_GROUPS = ("female", "male", "under 30", "30 to 49", "50 and over")
_GROUP_NAMES = {"female": "women", "male": "men"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One system's figure in per cent; ``kind`` is ``ours``, ``fair``, ``unfair`` or ``quoted``."""

    name: str
    value: float
    kind: str


def noise_plot(robustness: Sequence[Card]) -> Figure:
    """Draw UAR over the signal-to-noise ratio, a line a corpus."""
    figure, axes = plots.canvas(5.2, 3.6)
    for index, corpus in enumerate(corpora_of(robustness)):
        clean = condition_mean(robustness, "clean", corpus, "uar")
        noisy = [condition_mean(robustness, name, corpus, "uar") for name, _ in _RATIOS]
        across = [_CLEAN_AT, *(ratio for _, ratio in _RATIOS)]
        values = [100 * value for value in (clean, *noisy) if value is not None]
        if len(values) == len(across):
            plots.line(axes, index, across, values, NAMES.get(corpus, corpus))
    axes.set_xticks([_CLEAN_AT, 20, 10, 5], ["as recorded", "20", "10", "5"])
    axes.set(xlim=(29, 3), ylim=(0, 1.06 * axes.get_ylim()[1]))
    axes.set(xlabel="speech above noise, dB", ylabel="UAR, %")
    plots.legend(axes, "lower left")
    plots.title_of(axes, "What noise costs", "recordings of noise that were not trained on")
    return figure


def losses_plot(robustness: Sequence[Card]) -> Figure:
    """Draw the points of UAR that each other condition costs, beside what was allowed."""
    conditions = [item for item in robustness[0]["conditions"] if item["name"] in _OTHERS]
    corpora = corpora_of(robustness)
    figure, axes = plots.canvas(5.6, 1.4 + 0.55 * len(conditions))
    for row, item in enumerate(conditions):
        if item["limit"] is not None:
            limits = [item["limit"]] * 2
            axes.plot(limits, [row - 0.36, row + 0.36], color=INK, linewidth=1.6, zorder=1)
        for index, corpus in enumerate(corpora):
            loss = condition_mean(robustness, item["name"], corpus, "loss") or 0.0
            height = row + 0.16 * (index - (len(corpora) - 1) / 2)
            label = NAMES.get(corpus, corpus) if row == 0 else None
            axes.plot([0, loss], [height] * 2, color=SERIES[index], linewidth=1.2, zorder=2)
            axes.scatter(
                [loss], [height], s=34, color=SERIES[index], marker=MARKERS[index], label=label,
                zorder=3,
            )  # fmt: skip
    axes.axvline(0, color=RULE, linewidth=1, zorder=0)
    axes.set_yticks(range(len(conditions)), [item["title"] for item in conditions])
    axes.set(ylim=(len(conditions) - 0.5, -0.5), xlabel="points of UAR lost")
    plots.legend(axes, "best")
    plots.title_of(axes, "What else it has to bear", "bar: the most that was to be lost")
    return figure


def groups_plot(cards: dict[str, Card]) -> Figure:
    """Draw the UAR of women, men and age groups, a marker a corpus."""
    known = [
        name
        for name in _GROUPS
        if any(name in {**card["by_sex"], **card["by_age"]} for card in cards.values())
    ]
    figure, axes = plots.canvas(5.2, 1.4 + 0.42 * len(known))
    for index, (corpus, card) in enumerate(cards.items()):
        groups = {**card["by_sex"], **card["by_age"]}
        rows = [row for row, name in enumerate(known) if name in groups]
        across = [100 * groups[known[row]]["uar"] for row in rows]
        label = NAMES.get(corpus, corpus)
        axes.scatter(
            across, rows, s=46, color=SERIES[index], marker=MARKERS[index], label=label, zorder=2
        )
        whole = 100 * card["uar"]
        axes.axvline(whole, color=SERIES[index], linestyle=LINES[index], linewidth=1, zorder=0)
    axes.set_yticks(range(len(known)), [_GROUP_NAMES.get(name, name) for name in known])
    axes.set(xlim=(0, 100), ylim=(len(known) - 0.5, -0.5), xlabel="UAR, %")
    plots.legend(axes, "lower left")
    plots.title_of(axes, "Who is understood how well", "lines: all speakers of the corpus")
    return figure


_FILLS: dict[str, dict[str, Any]] = {
    "ours": {"color": SERIES[0]},
    "fair": {"color": "#9fb3c8"},
    "unfair": {"facecolor": "white", "edgecolor": SERIES[1], "hatch": "////", "linewidth": 1.2},
    "quoted": {"facecolor": "white", "edgecolor": MUTED, "linewidth": 1.0},
}
_MEANINGS = {
    "ours": "rt-ser, unseen speakers",
    "fair": "baseline, unseen speakers",
    "unfair": "baseline, test copies in training",
    "quoted": "published, unseen speakers",
}


def systems_plot(bars: Sequence[Bar], *, title: str, chance: float) -> Figure:
    """Draw systems side by side, telling apart those that had heard what they were tested on."""
    figure, axes = plots.canvas(6.6, 1.9 + 0.36 * len(bars))
    for row, bar in enumerate(bars):
        first = bar.kind not in {other.kind for other in bars[:row]}
        label = _MEANINGS[bar.kind] if first else None
        axes.barh(row, bar.value, height=0.66, label=label, **_FILLS[bar.kind])
        weight = "bold" if bar.kind == "ours" else "normal"
        axes.text(
            bar.value + 1, row, f"{bar.value:.1f}", va="center", fontsize=9, color=INK,
            weight=weight,
        )  # fmt: skip
    axes.axvline(chance, color=INK, linestyle=":", linewidth=1, label="guessing")
    axes.set_yticks(range(len(bars)), [bar.name for bar in bars])
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(0, 100), ylim=(len(bars) - 0.3, -0.6), xlabel="UAR, %")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    is_mixed = any(bar.kind == "unfair" for bar in bars)
    striped = "striped: voices and copies of test clips lie in training"
    plots.title_of(axes, title, striped if is_mixed else "nobody who is tested was trained on")
    return figure
