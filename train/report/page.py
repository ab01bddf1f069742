"""``docs/results.md``: each figure, its plot, and how to read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from train import leaderboard
from train.plots import NAMES
from train.report.enrollment import enrollment
from train.report.markdown import image, number, paragraph, sections, table, targets_table
from train.report.measures import NOT_MEASURED, Sources, percent, targets
from train.report.noise import false_alarms, noise
from train.report.pool import Card, Scored, interval_over_speakers, spread

_GROUP_NAMES = {"female": "women", "male": "men"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a report is about: a recipe, what was measured of it, and its pooled cards."""

    recipe: str
    sources: Sources
    cards: dict[str, Card]


def page(subject: Subject, baselines: Sequence[str]) -> str:
    """Write the whole page; ``baselines`` are sections that were made already."""
    sources, cards = subject.sources, subject.cards
    return sections(
        "# Results",
        _opening(subject),
        "## What was to be reached",
        targets_table(targets(sources)),
        _READ_TARGETS,
        *baselines,
        _confusion(cards),
        _plotted("Is it right as often as it says?", "reliability", _calibration(cards), cards),
        _plotted("What silence buys", "coverage", _READ_COVERAGE, cards),
        _plotted("How soon it knows", "seconds", _seconds(cards), cards),
        noise(sources),
        false_alarms(sources),
        _people(cards),
        enrollment(sources),
        tried(leaderboard.read()),
        _MAKE,
    )


_READ_TARGETS = """\
*must* is the least that the project set out to reach, *aim* what it hoped for. UAR (unweighted
average recall) is the mean over classes of the share of each that was recognised: guessing gives
12.5 % of eight classes and 16.7 % of six. Spread over folds is how far the figure moves with
other people; over seeds, how far with other chance in training. Differences smaller than
these mean nothing.

No person here was heard in training, but settings were chosen among several by figures of some of
them: those of the network and of its training on folds 2 and 3 of `joint`, the ways back from
people who read on fold 2, RAVDESS and SAVEE left out, how much of *angry* is taken away on these
two corpora, and rooms on the nine actors. A little of those figures is luck on them; what was
tried is in `train/experiments.md`."""

_READ_COVERAGE = """\
Clips are sorted by confidence: the further left, the fewer are answered, and the more of those
rightly. A curve that falls steadily means that its doubt is worth something: a program that
keeps silent below some confidence gains what the curve shows. A flat curve would mean that
confidence says nothing. The right end is plain accuracy on all clips."""

_MAKE = """\
## Making this page

For each network, in `train/runs` or made by `python -m train fit`, its int8 file and figures:

```sh
python -m train export --data DIR train/runs/RECIPE-joint-1-0 --name research --folder DIR1
python -m train evaluate --data DIR --model DIR1/research.tflite --split joint:1 --keep
```

and so on for folds 2 to 5, `cremad_tfds:1`, `loco:ravdess` and `loco:savee`. `robustness` is about
the network of `cremad_tfds:1`, and about those of the five folds on RAVDESS:

```sh
python -m train robustness --data DIR --model DIR0/research.tflite --split cremad_tfds:1 --keep
python -m train robustness --data DIR --model DIR1/research.tflite --split ravdess_folds:1 --keep
python -m train enrollment --data DIR DIR1/research.tflite ... DIR5/research.tflite --keep
python -m train baselines --data DIR
python -m train report
```

All but the last two add files to `train/results/`, `baselines` fills
`train/baselines/results.csv`, and `report` turns both into this page, its plots, and the tables in
README and model cards. The enrollment of `open` is that of `models/open.tflite` with
`--splits cremad_tfds:1 loco:ravdess loco:savee`."""


def tried(rows: Sequence[dict[str, str]]) -> str:
    """Sum up the leaderboard: each recipe's mean over the folds and seeds that were kept."""
    groups: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for row in rows:
        key = (row["protocol"].partition(":")[0], row["corpus"], row["recipe"])
        groups.setdefault(key, []).append(row)
    cells = [
        [protocol, NAMES.get(corpus, corpus), recipe, str(len(found)),
         *_uar_and_deviation(found),
         number(fmean(float(row["size_bytes"]) for row in found) / 1000, 0)]
        for (protocol, corpus, recipe), found in sorted(groups.items())
    ]  # fmt: skip
    text = (
        "Mean UAR over the folds and seeds that were kept, and where there are several seeds of "
        "every fold, by how much that mean moves with them (standard deviation); each model is a "
        "line of `train/leaderboard.csv`, which `python -m train leaderboard` prints."
    )
    headings = ["protocol", "corpus", "recipe", "models", "UAR", "over seeds", "kB"]
    body = table(headings, cells, left=(1, 2)) if cells else f"{NOT_MEASURED.capitalize()}."
    return sections("## What was tried", body, paragraph(text)).rstrip()


def _uar_and_deviation(rows: Sequence[dict[str, str]]) -> tuple[str, str]:
    """Tell a recipe's mean over its folds, and how far it moves from seed to seed, in points."""
    scored = [
        Scored(fold=(row["protocol"],), seed=int(row["seed"]), card=dict(row)) for row in rows
    ]
    pooled = spread(scored, lambda card: 100 * float(card["uar"]))
    if pooled is None:
        return "-", "-"
    if pooled.seed_deviation is None:
        return number(pooled.mean), "-"
    return number(pooled.mean), f"± {pooled.seed_deviation:.1f} ({pooled.seeds})"


def _opening(subject: Subject) -> str:
    kept = subject.sources.evaluations
    seeds = sorted({int(item.get("seed") or 0) for item in kept})
    splits = sorted({item["split"] for item in kept})
    measured = (
        f"Recipe `{subject.recipe}`: {len(kept)} {'model' if len(kept) == 1 else 'models'} "
        f"(splits {', '.join(splits)}; seeds {', '.join(map(str, seeds))}), each trained without "
        "the people it is measured on."
        if kept
        else f"Recipe `{subject.recipe}`: {NOT_MEASURED}."
    )
    written = (
        "Written by `python -m train report`; do not edit. Every figure is that of an int8 file "
        "fed clip by clip, as a stream, through the `Analyzer` that ships, voice activity and "
        "all; only what int8 costs is compared on windows cut from features. **No person whose "
        "emotions are judged was heard in training.** A clip in which no speech is found counts "
        "as wrong."
    )
    return sections(paragraph(written), paragraph(measured)).rstrip()


def _plotted(title: str, name: str, text: str, cards: dict[str, Card]) -> str:
    picture = image(name, title) if cards else f"{NOT_MEASURED.capitalize()}."
    return f"## {title}\n\n{picture}\n\n{text}"


def _confusion(cards: dict[str, Card]) -> str:
    pictures = [
        image(f"confusion-{name}", f"Confusion matrix on {NAMES[name]}") for name in cards
    ] or [f"{NOT_MEASURED.capitalize()}."]
    text = """\
A row is what the actor meant, a column what the model said; a row's numbers are per cent and sum
to 100. The diagonal is right, and its mean is the UAR. Look beside it for which emotions are
taken for which: neighbours in energy (angry and happy, sad and neutral) are the usual ones. A
dark column is a class in which the model takes refuge."""
    return sections("## What is taken for what", *pictures, text, _recalls(cards)).rstrip()


def _recalls(cards: dict[str, Card]) -> str:
    parts = []
    for name, card in cards.items():
        shares = [
            (100 * row[index] / max(1, sum(row)), label)
            for index, (label, row) in enumerate(
                zip(card["classes"], card["confusion"], strict=True)
            )
        ]
        best, worst = max(shares), min(shares)
        parts.append(
            f"{NAMES[name]}: best at {best[1]} ({best[0]:.1f} %), worst at {worst[1]} "
            f"({worst[0]:.1f} %)."
        )
    return " ".join(parts)


def _calibration(cards: dict[str, Card]) -> str:
    errors = [
        f"{NAMES[name]} {100 * card['calibration_error']:.1f} points"
        for name, card in cards.items()
    ]
    found = ""
    if errors:
        found = (
            f" The expected calibration error is {', '.join(errors)}: of the clips of all folds "
            "together, each judged by a model that had not heard its speaker; a mean over seeds. "
            "Models of some folds are too sure and of others too modest, which takes itself away "
            "there: how far each is off alone is in the first table. Four speakers, on whose doubt "
            "the temperature of each is set, are few."
        )
    return paragraph(
        "Each marker gathers the clips of which the model was about equally sure. On the diagonal, "
        "70 % sure means right in 70 % of cases; below it the model is too sure of itself, above "
        f"it too modest.{found}"
    )


def _seconds(cards: dict[str, Card]) -> str:
    headings = ["UAR after"]
    rows = []
    for name, card in cards.items():
        entries = card["over_time"]
        headings = ["UAR after", *(_moment(item["seconds"]) for item in entries)]
        rows.append([NAMES[name], *(number(percent(item["uar"])) for item in entries)])
    text = """\
The rolling estimate, scored so many seconds after the beginning of speech; a clip that is over by
then keeps its last estimate, and one of which nothing was said yet counts as wrong. Dotted: the
whole clip, all of its windows weighed together."""
    return sections(table(headings, rows) if rows else "", text).rstrip()


def _moment(seconds: float | None) -> str:
    return "whole clip" if seconds is None else f"{seconds:g} s"


def _people(cards: dict[str, Card]) -> str:
    if not cards:
        return f"## Spread over people\n\n{NOT_MEASURED.capitalize()}."
    text = """\
Each dot is one person whom the model had never heard. The mean over all of a corpus hides that
some are understood nearly always and others hardly at all: expect your own voice anywhere in the
cloud. Women, men and age groups are compared within a corpus only, because corpora differ in
much else. Sex is told by all corpora, age by CREMA-D alone."""
    return sections(
        "## Spread over people",
        image("speakers", "UAR of each speaker"),
        image("groups", "UAR of women, men and age groups"),
        text,
        "\n".join(_differences(name, card) for name, card in cards.items()),
    ).rstrip()


def _differences(name: str, card: Card) -> str:
    """Say in numbers how far groups of a corpus lie apart, and how far by chance."""
    values = [100 * item["uar"] for item in card["by_speaker"].values()]
    low, high = (100 * edge for edge in interval_over_speakers(card))
    said = f"{NAMES[name]}: speakers from {min(values):.1f} to {max(values):.1f}"
    said += f", 95 % interval of their mean {low:.1f} to {high:.1f}" if low == low else ""
    for groups in (card["by_sex"], card["by_age"]):
        if len(groups) > 1:
            uars = {_GROUP_NAMES.get(key, key): 100 * item["uar"] for key, item in groups.items()}
            listed = ", ".join(f"{key} {value:.1f}" for key, value in uars.items())
            said += f"; {listed} (apart by {max(uars.values()) - min(uars.values()):.1f} points)"
    return f"- {said}."
