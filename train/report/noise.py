"""The page's sections on what noise costs, and on emotions where there are none."""

from __future__ import annotations

from collections.abc import Sequence

from train.plots import NAMES
from train.report import conditions
from train.report.markdown import image, number, paragraph, sections, table
from train.report.measures import NOT_MEASURED, Sources, percent
from train.report.pool import Card


def noise(sources: Sources) -> str:
    """Return the section on noise, rooms and telephones."""
    if not sources.robustness:
        return f"## What noise, rooms and lines cost\n\n{NOT_MEASURED.capitalize()}."
    measured = [
        item["split"] if item["every"] == 1 else f"{item['split']}, one clip in {item['every']}"
        for item in sources.robustness
    ]
    text = f"""
The same clips under every condition ({"; ".join(measured)}). Noise is that of the
recordings that served nowhere in training, from a random place on, its level set against the
speech without pauses; every ratio has the same noise. Louder and fainter mean 16 bits of a sound
card, cut off at full scale. The telephone passes 300 to 3400 Hz at 8 kHz in mu-law (ITU-T
G.711). The room is simulated (noise that dies away, Polack 1988): 40 cubic metres, reverberation
of 0.3 to 0.5 s, direct sound by the distance (Kuttruff). A loss below zero is chance: how far
a figure moves with other people is in the first table."""
    return sections(
        "## What noise, rooms and lines cost",
        image("noise", "UAR over the signal-to-noise ratio"),
        image("losses", "Points of UAR lost under other conditions"),
        _losses(sources.robustness),
        paragraph(" ".join(text.split())),
    ).rstrip()


def _losses(robustness: Sequence[Card]) -> str:
    corpora = conditions.corpora_of(robustness)
    headings = ["condition", *(NAMES[name] for name in corpora), "mean loss", "at most"]
    rows = []
    for item in robustness[0]["conditions"]:
        cells = []
        for corpus in corpora:
            uar, lost = (
                conditions.condition_mean(robustness, item["name"], corpus, figure)
                for figure in ("uar", "loss")
            )
            if uar is None or lost is None:
                cells.append(number(None))
            else:
                cells.append(f"{number(percent(uar))} ({number(-lost, sign='+')})")
        loss = conditions.condition_loss(robustness, item["name"])
        rows.append([item["title"], *cells, number(loss), number(item["limit"], 0)])
    return table(headings, rows)


def false_alarms(sources: Sources) -> str:
    """Return the section on what is told where nobody speaks or feels."""
    if not sources.robustness:
        return f"## Emotions where there are none\n\n{NOT_MEASURED.capitalize()}."
    first = sources.robustness[0]
    rows = [
        [
            name.replace("_", " "),
            f"{told['seconds'] / 60:.1f}",
            str(told["emotions"]),
            number(told["emotions_per_hour"]),
            ", ".join(f"{item['name']} ({item['emotions']})" for item in told["worst"][:4]) or "-",
        ]
        for name, told in first["non_speech"].items()
    ]
    read, unheard = first[conditions.READERS], first[conditions.UNHEARD_READERS]
    text = f"""\
An estimate counts where its state is *speech* and its label neither neutral nor calm: about four
of them a second could be told. Held-out noises, silence and tones are what served nowhere in
training; the others are what a model may know already. So few minutes cannot tell one an hour
from none: where none was heard in *n* hours, up to 3 / *n* an hour are possible (95 %). Of
{unheard["seconds"] / 60:.0f} minutes in which {unheard["recordings"]} people read aloud
who served nowhere in training, {number(percent(unheard["strong_share"]))} % of the judged time was
confidently called angry, fearful or disgust, and {number(percent(unheard["emotion_share"]))} %
anything but neutral or calm; of all {read["recordings"]} readers, two thirds of whom a model
may have been told that nobody knows what they feel, {number(percent(read["strong_share"]))} and
{number(percent(read["emotion_share"]))} %. Nobody knows what they felt; readers seldom rage.
{_of_all(sources.robustness)}"""
    headings = ["where", "minutes", "emotions", "an hour", "most of them in"]
    return sections(
        "## Emotions where there are none",
        table(headings, rows, left=(4,)),
        paragraph(" ".join(text.split())),
    ).rstrip()


def _of_all(robustness: Sequence[Card]) -> str:
    """Say what all models have together where more than one was measured; the table has one."""
    if len(robustness) == 1:
        return ""
    rate = conditions.false_alarms(robustness, conditions.UNHEARD)
    share = conditions.strong_while_reading(robustness)
    return (
        f"All this is of the model of {robustness[0]['split']}; the {len(robustness)} models, each "
        f"of which left out other speakers, have {number(rate)} an hour and {number(share)} % on "
        "average, of sounds and readers that served nowhere in training."
    )
