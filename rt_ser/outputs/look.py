"""Glyphs, colours and the few text helpers that every part of the screen uses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from rich.cells import cell_len
from rich.text import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One set of glyphs, each a single cell wide."""

    full: str
    parts: str
    rises: str
    line: str
    upright: str
    corners: str
    cross: str
    tick: str
    lamp_on: str
    lamp_off: str
    floor: str
    pointer: str
    marker: str
    trail: str
    quiet: str
    dot: str
    ellipsis: str


UNICODE = Look(
    full="█",
    parts="▏▎▍▌▋▊▉",
    rises="▁▂▃▄▅▆▇█",
    line="─",
    upright="│",
    corners="╭╮╰╯",
    cross="┼",
    tick="┴",
    lamp_on="●",
    lamp_off="○",
    floor="┃",
    pointer="▸",
    marker="●",
    trail="•",
    quiet="·",
    dot="·",
    ellipsis="…",
)

ASCII = Look(
    full="#",
    parts="",
    rises="-=+*#",
    line="-",
    upright="|",
    corners="++++",
    cross="+",
    tick="+",
    lamp_on="*",
    lamp_off="o",
    floor="!",
    pointer=">",
    marker="@",
    trail=".",
    quiet=".",
    dot="|",
    ellipsis="~",
)

FAINT = "grey58"
STRONG = "bold"
GOOD = "#57b894"
CAUTION = "#e5b567"
ALARM = "#e06c60"

COLOURS = {
    "neutral": "#a3adba",
    "calm": "#4fb8a8",
    "happy": "#e8b93e",
    "sad": "#5d8fe8",
    "angry": "#e2574c",
    "fearful": "#b184e0",
    "disgust": "#8aab3f",
    "surprised": "#ee8f5f",
}
_SPARE_COLOURS = ("#d787af", "#5fafd7", "#afaf5f", "#af87d7")


def look_for(encoding: str | None, *, ascii_only: bool, term: str = "") -> Look:
    """Choose the glyphs that a terminal can show.

    ASCII where it is asked for, where the encoding has no block characters, and on the
    Linux console, whose fonts lack the eighth blocks.
    """
    if ascii_only or term == "linux":
        return ASCII
    try:
        "".join(str(getattr(UNICODE, name)) for name in UNICODE.__slots__).encode(
            encoding or "ascii"
        )
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def colour(label: str, labels: tuple[str, ...] = ()) -> str:
    """Return a label's colour; one that is not of the usual eight gets a spare one."""
    if label in COLOURS:
        return COLOURS[label]
    spare = [name for name in labels if name not in COLOURS]
    place = spare.index(label) if label in spare else 0
    return _SPARE_COLOURS[place % len(_SPARE_COLOURS)]


def letters(labels: Iterable[str]) -> dict[str, str]:
    """Give every label one letter of its own name, the first that is not taken yet."""
    chosen: dict[str, str] = {}
    for label in labels:
        free = (letter for letter in label if letter not in chosen.values())
        chosen[label] = next(free, "*")
    return chosen


def clean(text: str, look: Look) -> str:
    """Make a foreign name safe to show: no control characters, ASCII where that is the look.

    A device's or file's name must not be able to move the cursor or recolour the screen.
    """
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text.encode("ascii", "replace").decode() if look is ASCII else text


def shorten(text: Text, width: int, look: Look) -> Text:
    """Return a copy of at most ``width`` cells, cut with an ellipsis where it was longer."""
    line = text.copy()
    line.no_wrap = True
    line.end = ""
    if cell_len(line.plain) > width:
        line.truncate(max(width - 1, 0), overflow="crop")
        line.append(look.ellipsis if width > 0 else "", FAINT)
    return line


def fit(text: Text, width: int, look: Look) -> Text:
    """Return a copy of exactly ``width`` cells: padded, or cut with an ellipsis."""
    line = shorten(text, width, look)
    line.append(" " * (width - cell_len(line.plain)))
    return line


def spread(left: Text, right: Text, width: int, look: Look) -> Text:
    """Put two texts at the two ends of a line; the left one gives way."""
    room = width - cell_len(right.plain)
    if room <= 0:
        return fit(right, width, look)
    return Text.assemble(fit(left, room, look), right, no_wrap=True, end="")


def painted(cells: Iterable[tuple[str, str]]) -> Text:
    """Join glyphs with their styles into a line, neighbours of one style as one span.

    A span a cell would make drawing several times slower.
    """
    runs = (
        (style, "".join(glyph for glyph, _ in run)) for style, run in groupby(cells, itemgetter(1))
    )
    return Text.assemble(*((text, style) for style, text in runs), no_wrap=True, end="")


def bar(fraction: float, width: int, look: Look) -> str:
    """Draw a horizontal bar of at most ``width`` cells, to an eighth of a cell."""
    steps = len(look.parts) + 1
    filled = round(min(max(fraction, 0.0), 1.0) * width * steps)
    whole, rest = divmod(filled, steps)
    return look.full * whole + (look.parts[rest - 1] if rest else "")


def percent(fraction: float) -> str:
    """Write a probability as a percentage, five cells wide."""
    return f"{round(100 * fraction):3d} %"
