"""The page's section on what it is worth to know somebody's ordinary voice."""

from __future__ import annotations

from statistics import fmean

from train.plots import NAMES
from train.report.markdown import number, paragraph, sections, table
from train.report.measures import NOT_MEASURED, Sources, percent

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
    found = sources.enrollments
    if not found:
        return f"{title}\n\n{NOT_MEASURED.capitalize()}."
    corpora = [name for name in NAMES if any(name in item["enrollment"] for item in found)]
    rows = []
    for name in corpora:
        cards = [item["enrollment"][name] for item in found if name in item["enrollment"]]

        def mean(who: str, figure: str, cards: list[dict[str, dict[str, float]]] = cards) -> float:
            return fmean(card[who][figure] for card in cards)

        gain = 100 * (mean("known", "uar") - mean("stranger", "uar"))
        rows.append([
            NAMES[name],
            f"{cards[0]['people']}",
            f"{cards[0]['clips']}",
            number(fmean(card["enrolled_s"] for card in cards)),
            number(percent(mean("stranger", "uar"))),
            number(percent(mean("known", "uar"))),
            number(gain, sign="+"),
            f"{mean('stranger', 'calibration_error'):.3f}, "
            f"{mean('known', 'calibration_error'):.3f}",
        ])  # fmt: skip
    headings = [
        "corpus", "people", "clips", "seconds of speech", "UAR as a stranger", "known", "gain",
        "calibration error, both",
    ]  # fmt: skip
    return sections(title, table(headings, rows), paragraph(" ".join(_TEXT.split()))).rstrip()
