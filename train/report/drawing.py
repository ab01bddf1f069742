"""All plots of a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from train import plots
from train.baselines.experiments import Result
from train.report.comparison import bars
from train.report.figures import groups_plot, losses_plot, noise_plot, systems_plot
from train.report.page import Subject


def draw(subject: Subject, results: Sequence[Result], folder: Path) -> list[Path]:
    """Draw what was measured into a folder; plots of what was not are taken away."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.png"):
        stale.unlink()
    figures = {**_of_cards(subject), **_of_robustness(subject), **_of_systems(subject, results)}
    return [plots.save(figure, folder / f"{name}.png") for name, figure in figures.items()]


def _of_cards(subject: Subject) -> dict[str, Figure]:
    cards = subject.cards
    if not cards:
        return {}
    matrices = {
        f"confusion-{name}": plots.confusion_plot(card, title=plots.NAMES[name])
        for name, card in cards.items()
    }
    return {
        **matrices,
        "reliability": plots.reliability_plot(cards),
        "coverage": plots.coverage_plot(cards),
        "seconds": plots.seconds_plot(cards),
        "speakers": plots.speaker_plot(cards),
        "groups": groups_plot(cards),
    }


def _of_robustness(subject: Subject) -> dict[str, Figure]:
    measured = subject.sources.robustness
    if not measured:
        return {}
    return {"noise": noise_plot(measured), "losses": losses_plot(measured)}


def _of_systems(subject: Subject, results: Sequence[Result]) -> dict[str, Figure]:
    sources = subject.sources
    return {
        "systems-ravdess": systems_plot(
            bars("ravdess", sources.ravdess(), results),
            title="RAVDESS, eight emotions",
            chance=100 / 8,
        ),
        "systems-cremad": systems_plot(
            bars("cremad", sources.cremad(), results),
            title="CREMA-D, six emotions",
            chance=100 / 6,
        ),
    }
