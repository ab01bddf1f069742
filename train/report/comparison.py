"""Our figures beside those of others: fair baselines, the tutorial's mistake, publications."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from train.baselines.experiments import RANDOM, Result
from train.report.figures import Bar
from train.report.markdown import image, number, paragraph, sections, table
from train.report.measures import NOT_MEASURED, Sources, uar
from train.report.pool import Scored, spread

PUBLISHED = Path(__file__).with_name("published.csv")

_NAMES = {
    "egemaps-svm": "openSMILE eGeMAPS, RBF SVM",
    "compare-svm": "openSMILE ComParE, RBF SVM",
    "tutorial-cnn": "180 mean features, 1-D CNN",
}
_CORPORA = ("ravdess", "cremad")


def published(path: Path = PUBLISHED) -> list[dict[str, str]]:
    """Read the figures of others, each with its source."""
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def baseline(
    results: Sequence[Result], system: str, protocols: Sequence[str]
) -> tuple[float, float, list[float]] | None:
    """Return a baseline's mean UAR and accuracy and its folds' UARs in per cent.

    They are those of the first protocol that was measured.
    """
    for protocol in protocols:
        rows = [item for item in results if (item.system, item.protocol) == (system, protocol)]
        if rows:
            folds = [100 * item.uar for item in rows]
            return fmean(folds), 100 * fmean(item.accuracy for item in rows), folds
    return None


def bars(corpus: str, ours: Sequence[Scored], results: Sequence[Result]) -> list[Bar]:
    """Collect what the plot of a corpus shows, the lowest first."""
    found = []
    pooled = spread(ours, uar)
    if pooled is not None:
        found.append(Bar(name="rt-ser, int8, live pipeline", value=pooled.mean, kind="ours"))
    protocols = {"ravdess": ("ravdess_folds",), "cremad": ("cremad_5fold", "cremad_tfds")}[corpus]
    for system, name in _NAMES.items():
        measured = baseline(results, system, protocols)
        if measured is not None:
            found.append(Bar(name=name, value=measured[0], kind="fair"))
    unfair = baseline(results, "tutorial-cnn", (RANDOM,))
    if unfair is not None and corpus == "ravdess":
        name = f"{_NAMES['tutorial-cnn']}, random split"
        found.append(Bar(name=name, value=unfair[0], kind="unfair"))
    found += [
        Bar(name=_quoted(row), value=float(row[corpus]), kind="quoted")
        for row in published()
        if row[corpus] and row["size"] and not _shares_speakers(row, corpus)
    ]
    return sorted(found, key=lambda bar: bar.value)


def _quoted(row: dict[str, str]) -> str:
    """Name a published system, and its figure where that is no UAR."""
    measure = ", accuracy" if row["note"].startswith("accuracy") else ""
    return f"{row['system']} ({row['size']}){measure}"


def _shares_speakers(row: dict[str, str], corpus: str) -> bool:
    return corpus == "cremad" and "speakers shared" in row["note"]


def comparison_section(sources: Sources, results: Sequence[Result]) -> str:
    """Write the table that shows why our figures look lower and are worth more."""
    return sections(
        "## Beside others",
        image("systems-ravdess", "RAVDESS: systems side by side"),
        image("systems-cremad", "CREMA-D: systems side by side"),
        _measured_table(sources, results),
        _text(results),
        "### Published figures",
        _published_table(),
        paragraph(
            "Quoted as published, on other folds, other actors or with speakers on both sides "
            "where the note says so; they are a landmark and no ranking."
        ),
    ).rstrip()


def _measured_table(sources: Sources, results: Sequence[Result]) -> str:
    rows = []
    unfair = baseline(results, "tutorial-cnn", (RANDOM,))
    if unfair is not None:
        told = f"{unfair[0]:.1f} (accuracy {unfair[1]:.1f})"
        rows.append([f"{_NAMES['tutorial-cnn']}: random split, copies", "**no**", told, "-", "-"])
    for system, name in reversed(_NAMES.items()):
        cells = [
            _cell(baseline(results, system, (protocol,)))
            for protocol in ("ravdess_folds", "cremad_tfds", "cremad_5fold")
        ]
        rows.append([name, "yes", *cells])
    ours = [
        _our_cell(items)
        for items in (sources.ravdess(), sources.cremad_tfds(), sources.cremad_folds())
    ]
    rows.append(["**rt-ser, int8, through the live pipeline**", "yes", *ours])
    headings = ["system", "unseen people", "RAVDESS, 8", "CREMA-D, 6, nine actors",
                "CREMA-D, 6, five folds"]  # fmt: skip
    return table(headings, rows, left=(1,))


def _cell(measured: tuple[float, float, list[float]] | None) -> str:
    if measured is None:
        return "-"
    mean, _, folds = measured
    return f"{mean:.1f}" + (f" ({min(folds):.1f} to {max(folds):.1f})" if len(folds) > 1 else "")


def _our_cell(items: Sequence[Scored]) -> str:
    pooled = spread(items, uar)
    if pooled is None:
        return NOT_MEASURED
    several = f" ({pooled.low:.1f} to {pooled.high:.1f})" if pooled.folds > 1 else ""
    return f"**{pooled.mean:.1f}**{several}"


def _text(results: Sequence[Result]) -> str:
    unfair = baseline(results, "tutorial-cnn", (RANDOM,))
    fair = baseline(results, "tutorial-cnn", ("ravdess_folds",))
    lead = ""
    if unfair is not None and fair is not None:
        lead = (
            "The first two lines are the same network on the same 180 features. With noisy and "
            "shifted copies made first and everything parted at random, it reaches "
            f"{unfair[0]:.1f} %; asked about people whom it has never heard, {fair[0]:.1f} %. The "
            f"{unfair[0] - fair[0]:.0f} points between them are recordings and voices recognised, "
            "not emotions. Figures of 85 to 98 % on RAVDESS are mostly of the first kind. "
        )
    return paragraph(
        f"{lead}UAR in per cent, folds from the worst to the best in brackets. The baselines see "
        "each clip as a whole and neatly cut, in float; ours is an int8 network behind a "
        "voice-activity gate, fed as a stream. openSMILE 3 functionals (Eyben et al. 2016, "
        "Schuller et al. 2016) are standardised on the training speakers; SVM with C = 1, gamma = "
        "1 / features, classes weighted alike, nothing tuned. The baselines are trained on the "
        "corpus that they are tested on, ours on all of them, and had a teacher meanwhile: the "
        "encoder of Whisper base, nothing of which ships."
    )


def _published_table() -> str:
    rows = [
        [
            row["system"],
            row["size"] or "-",
            number(float(row["ravdess"]) if row["ravdess"] else None),
            number(float(row["cremad"]) if row["cremad"] else None),
            row["note"] or "-",
            row["source"],
        ]
        for row in published()
    ]
    headings = ["system", "parameters", "RAVDESS, 8", "CREMA-D, 6", "note", "source"]
    return table(headings, rows, left=(4, 5))
