"""Tables inside pages that people write: README and model cards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rt_ser.whole import write_text_whole
from train.baselines.experiments import Result
from train.plots import NAMES
from train.report.comparison import baseline
from train.report.enrollment import enrollment_table
from train.report.markdown import image, limit, number, paragraph, sections, table
from train.report.measures import NOT_MEASURED, Measured, percent, targets
from train.report.page import Subject

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def refill(path: Path, text: str) -> bool:
    """Put text between a page's markers; tell whether there are any."""
    if not path.exists():
        return False
    page = path.read_text(encoding="utf-8")
    before, found, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        return False
    write_text_whole(path, f"{before}{BEGIN}\n{text.strip()}\n{END}{after}")
    return True


def short_table(lines: Sequence[Measured]) -> str:
    """Return the lines that have a target, each with whether it is reached."""
    rows = [
        [
            item.title,
            NOT_MEASURED if item.value is None else f"**{number(item.value, item.digits)}**",
            f"{limit(item.must)} / {limit(item.aim)}",
            "" if item.value is None else item.verdict,
            item.detail,
        ]
        for item in lines
        if item.must is not None
    ]
    return table(["measure", "measured", "target / aim", "", "spread"], rows, left=(3, 4))


def readme_block(subject: Subject, results: Sequence[Result]) -> str:
    """Return what README shows: the figures, one plot, and why they look low."""
    return sections(
        paragraph(
            f"The recipe of the model that ships, `{subject.recipe}`: int8 files through the live "
            "pipeline, on people whom they have never heard. UAR in per cent; each measure with "
            "the target that was set for it and what was hoped for."
        ),
        short_table(targets(subject.sources)),
        _seconds(subject),
        image("systems-ravdess", "RAVDESS: systems side by side", "docs/results"),
        _mistake(results),
        paragraph(
            "Every figure with its plot and how to read it, noise, rooms, spread over people, and "
            "what others reach: [docs/results.md](docs/results.md)."
        ),
    )


def card_block(subject: Subject) -> str:
    """Return what a model card shows: the figures and those of groups of people."""
    rows = [
        [NAMES[name], key, str(group["clips"]), number(percent(group["uar"]))]
        for name, card in subject.cards.items()
        for groups in (card["by_sex"], card["by_age"])
        for key, group in groups.items()
    ]
    return sections(
        paragraph(
            f"Recipe `{subject.recipe}`, int8 through the live pipeline, people never heard in "
            "training; UAR in per cent. Written by `python -m train report`."
        ),
        short_table([item for item in targets(subject.sources) if item.value is not None]),
        table(["corpus", "group", "clips judged", "UAR"], rows, left=(1,)) if rows else "",
        _known(subject),
    )


def _known(subject: Subject) -> str:
    """Return what it is worth to know a voice, where that was measured."""
    if not subject.sources.enrollments:
        return ""
    told = "The same people, once `rt-ser enroll` has learnt their voices from clips left out here:"
    return sections(paragraph(told), enrollment_table(subject.sources.enrollments))


def _seconds(subject: Subject) -> str:
    rows = [
        [NAMES[name], *(number(percent(item["uar"])) for item in card["over_time"])]
        for name, card in subject.cards.items()
    ]
    if not rows:
        return ""
    entries = next(iter(subject.cards.values()))["over_time"]
    moments = ["whole clip" if item["seconds"] is None else f"{item['seconds']:g} s"
               for item in entries]  # fmt: skip
    return table(["UAR of the rolling estimate after", *moments], rows)


def _mistake(results: Sequence[Result]) -> str:
    unfair = baseline(results, "tutorial-cnn", ("random",))
    fair = baseline(results, "tutorial-cnn", ("ravdess_folds",))
    if unfair is None or fair is None:
        return ""
    return paragraph(
        f"*Why other figures look higher: the network of most tutorials reaches {unfair[0]:.1f} % "
        "on RAVDESS where voices and altered copies of test clips lie in training (striped), and "
        f"{fair[0]:.1f} % on people whom it has never heard.*"
    )
