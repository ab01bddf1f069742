"""The page's section on what it is worth to know somebody's ordinary voice."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from train.plots import NAMES
from train.report.markdown import number, paragraph, sections, table
from train.report.measures import NOT_MEASURED, Sources, percent
from train.report.pool import Card

_TEXT = """\
Some people sound angry or sad to a model whenever they speak. `rt-ser enroll` learns from a few
seconds of ordinary speech by how much, and takes it off. Here everybody's voice was learnt from
up to four neutral clips of theirs, drawn by chance and at most half of what there is, through the
live pipeline; they are not among the clips that are scored, and how strangers sound who feel
nothing was taken from the other folds. The seconds are the median of the speech that was learnt
from. A few people of a corpus say little: those of SAVEE are three men. What a class is lowered or
raised by at most, half a nat, and how far few seconds are believed were chosen on the same people,
so a little of the gain may be luck on them."""


def enrollment(sources: Sources) -> str:
    """Return the section: UAR of the same clips as a stranger's and as a known person's."""
    title = "## What it is worth to know a voice"
    if not sources.enrollments:
        return f"{title}\n\n{NOT_MEASURED.capitalize()}."
    text = paragraph(" ".join(_TEXT.split()))
    return sections(title, enrollment_table(sources.enrollments), text).rstrip()


def enrollment_table(found: Sequence[Card]) -> str:
    """Return what was measured, a row for each corpus; mean over what was kept."""
    cards = {
        name: [item["enrollment"][name] for item in found if name in item["enrollment"]]
        for name in NAMES
    }
    rows = [_row(NAMES[name], some) for name, some in cards.items() if some]
    headings = [
        "corpus", "people", "clips", "seconds of speech", "UAR as a stranger", "known", "gain",
        "calibration error, both",
    ]  # fmt: skip
    return table(headings, rows)


def _row(corpus: str, cards: Sequence[Card]) -> list[str]:
    uars, errors = (
        [fmean(card[who][figure] for card in cards) for who in ("stranger", "known")]
        for figure in ("uar", "calibration_error")
    )
    return [
        corpus,
        str(cards[0]["people"]),
        str(cards[0]["clips"]),
        number(fmean(card["enrolled_s"] for card in cards)),
        *(number(percent(value)) for value in uars),
        number(100 * (uars[1] - uars[0]), sign="+"),
        f"{errors[0]:.3f}, {errors[1]:.3f}",
    ]
