"""Plots of an evaluation, each drawn from its figures alone, as small PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1f2933"
MUTED = "#7b8794"
RULE = "#cbd2d9"
# Blue and orange stay apart for every common colour blindness (Wong 2011); markers differ too.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
MARKERS = ("o", "s", "^", "D")
LINES = ("-", "--", "-.", ":")
NAMES = {"ravdess": "RAVDESS", "cremad": "CREMA-D", "tess": "TESS", "savee": "SAVEE"}
_DPI = 120
_FEWEST = 0.01
"""Share of clips under which a bin's accuracy is chance, and is not drawn."""


def draw_all(figures: dict[str, Any], folder: Path) -> list[Path]:
    """Draw every plot of an evaluation into ``folder`` and return the files."""
    cards = figures["corpora"]
    drawn = {
        f"confusion-{name}": confusion_plot(card, title=NAMES.get(name, name))
        for name, card in cards.items()
    }
    drawn |= {
        "reliability": reliability_plot(cards),
        "coverage": coverage_plot(cards),
        "speakers": speaker_plot(cards),
        "seconds": seconds_plot(cards),
    }
    return [save(figure, folder / f"{name}.png") for name, figure in drawn.items()]


def confusion_plot(card: dict[str, Any], *, title: str) -> Figure:
    """Draw what was said (columns) of each class meant (rows), rows in percent."""
    classes = card["classes"]
    counts = np.array(card["confusion"])
    columns = [*classes, "no speech"]
    if not counts[:, -1].any():
        counts, columns = counts[:, :-1], columns[:-1]
    totals = counts.sum(axis=1, keepdims=True)
    shares = 100.0 * counts / np.maximum(totals, 1)
    figure, axes = canvas(1.6 + 0.62 * len(columns), 1.5 + 0.5 * len(classes))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 55 else INK if share >= 0.5 else RULE
        weight = "bold" if row == column else "normal"
        axes.text(
            column, row, f"{share:.0f}", ha="center", va="center", color=colour, weight=weight
        )
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right")
    axes.set_yticks(range(len(classes)), _with_counts(classes, totals[:, 0]))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("said", color=MUTED)
    axes.set_ylabel("meant (clips)", color=MUTED)
    title_of(axes, f"{title}: UAR {100 * card['uar']:.1f} %", "of each row, in %")
    return figure


def _with_counts(classes: list[str], totals: Any) -> list[str]:
    return [f"{name} ({total})" for name, total in zip(classes, totals, strict=True)]


def reliability_plot(cards: dict[str, Any]) -> Figure:
    """Draw accuracy against confidence; on the diagonal, 70 % sure is right 70 % of the time."""
    figure, axes = canvas(4.6, 4.4)
    axes.plot([0, 100], [0, 100], color=RULE, linewidth=1, zorder=0)
    axes.text(
        14, 12, "as sure as right", rotation=45, rotation_mode="anchor", ha="center", va="top",
        color=MUTED, fontsize=8,
    )  # fmt: skip
    for index, (name, card) in enumerate(cards.items()):
        bins = card["reliability"]
        points = [
            (100 * confidence, 100 * accuracy, count)
            for confidence, accuracy, count in zip(
                bins["confidence"], bins["accuracy"], bins["counts"], strict=True
            )
            if count >= _FEWEST * card["clips"]
        ]
        if not points:
            continue
        across, up, counts = (np.array(column) for column in zip(*points, strict=True))
        label = f"{NAMES.get(name, name)}, error {100 * card['calibration_error']:.1f} points"
        axes.plot(across, up, color=SERIES[index], linestyle=LINES[index], linewidth=1.2)
        sizes = 12 + 160 * counts / counts.sum()
        axes.scatter(
            across, up, s=sizes, color=SERIES[index], marker=MARKERS[index], label=label
        )
    axes.set(xlim=(0, 102), ylim=(0, 102), xlabel="confidence, %", ylabel="accuracy, %")
    legend(axes, "best")
    subtitle = f"marker area: share of clips; bins of less than {_FEWEST:.0%} left out"
    title_of(axes, "Is it right as often as it says?", subtitle)
    return figure


def coverage_plot(cards: dict[str, Any]) -> Figure:
    """Draw the accuracy on the surest share of clips; a good measure of doubt falls steadily."""
    figure, axes = canvas(5.2, 3.6)
    for index, (name, card) in enumerate(cards.items()):
        shares, right = (100 * np.array(column) for column in zip(*card["coverage"], strict=True))
        line(axes, index, shares, right, NAMES.get(name, name))
    axes.set(xlim=(0, 102), xlabel="share of clips answered, the surest first, %")
    axes.set_ylabel("accuracy, %")
    legend(axes, "lower left")
    title_of(axes, "What silence buys", "accuracy when only the surest clips are answered")
    return figure


def seconds_plot(cards: dict[str, Any]) -> Figure:
    """Draw UAR over the seconds since the onset of speech, and that of the whole clip."""
    figure, axes = canvas(5.2, 3.6)
    for index, (name, card) in enumerate(cards.items()):
        timed = [item for item in card["over_time"] if item["seconds"] is not None]
        seconds = [item["seconds"] for item in timed]
        line(axes, index, seconds, [100 * item["uar"] for item in timed], NAMES.get(name, name))
        axes.axhline(100 * card["uar"], color=SERIES[index], linestyle=":", linewidth=1)
    axes.set(ylim=(0, None), xlabel="seconds after the onset of speech", ylabel="UAR, %")
    legend(axes, "lower right")
    title_of(axes, "How soon it knows", "rolling estimate; dotted: the whole clip")
    return figure


def speaker_plot(cards: dict[str, Any]) -> Figure:
    """Draw each unseen speaker's UAR as a dot, with each corpus's own UAR as a bar."""
    figure, axes = canvas(5.2, 1.3 + 0.6 * len(cards))
    for index, card in enumerate(cards.values()):
        values = sorted(
            100 * item["uar"] for item in card["by_speaker"].values() if item["uar"] is not None
        )
        # Dots that would cover each other take turns above and below the line.
        heights = index + 0.09 * (np.arange(len(values)) % 3 - 1)
        axes.scatter(
            values, heights, s=26, color=SERIES[index], marker=MARKERS[index], alpha=0.8
        )
        axes.plot([100 * card["uar"]] * 2, [index - 0.3, index + 0.3], color=INK, linewidth=2)
    names = [
        f"{NAMES.get(name, name)} ({len(card['by_speaker'])})" for name, card in cards.items()
    ]
    axes.set_yticks(range(len(names)), names)
    axes.set(xlim=(0, 100), ylim=(len(names) - 0.5, -0.5), xlabel="UAR, %")
    title_of(axes, "Spread over people", "a dot a speaker; bar: all of them")
    return figure


def training_plot(rows: Sequence[dict[str, str]]) -> Figure:
    """Draw a run's log: its loss, and its UAR on speakers kept for calibration, by epoch."""
    figure, axes = canvas(5.2, 3.6)
    line(axes, 0, [int(row["epoch"]) for row in rows], [float(row["loss"]) for row in rows], "loss")
    looked = [row for row in rows if row["dev_uar"]]
    if looked:
        right = axes.twinx()
        right.spines[["top", "left"]].set_visible(False)
        right.set(ylim=(0, 100), ylabel="UAR of the speakers kept aside, %")
        right.yaxis.label.set_color(MUTED)
        epochs = [int(row["epoch"]) for row in looked]
        line(right, 1, epochs, [100 * float(row["dev_uar"]) for row in looked], "UAR")
        legend(right, "upper right")
    axes.set(xlabel="epoch", ylabel="loss")
    legend(axes, "lower left")
    title_of(axes, "Training", "the running average of weights is what is looked at")
    return figure


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure of so many inches with quiet axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(RULE)
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.label.set_color(MUTED)
    axes.yaxis.label.set_color(MUTED)
    return figure, axes


def line(axes: Axes, index: int, across: Any, up: Any, label: str) -> None:
    """Draw a series in the colour, dash and marker of its index."""
    axes.plot(
        across, up, color=SERIES[index], linestyle=LINES[index], marker=MARKERS[index],
        markersize=4, linewidth=1.5, label=label,
    )  # fmt: skip


def legend(axes: Axes, where: str) -> None:
    """Name the series, if there are any."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc=where, frameon=False, fontsize=8)


def title_of(axes: Axes, title: str, subtitle: str) -> None:
    """Write what a plot shows above it, and how to take it in a smaller line."""
    axes.set_title(f"{title}\n", loc="left", fontsize=11, color=INK, weight="bold")
    axes.text(0, 1.02, subtitle, transform=axes.transAxes, fontsize=8.5, color=MUTED)


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG and return the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # No software version in the file, so that the same figures give the same bytes.
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})
    return path
