"""The last minute: height is confidence, colour and letters are the emotion.

Columns stand for fixed stretches of audio time and keep their content while they
scroll, so that nothing flickers; only the newest column still changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from rich.text import Text

from rt_ser.outputs.look import FAINT, Look, colour, letters, painted
from rt_ser.outputs.view import Moment, View
from rt_ser.types import RATE_HZ, State

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300)
_QUIET = Moment(
    start=0, stop=0, state=State.SILENCE, label="", confidence=0.0, valence=0.0, arousal=0.0
)


def columns(view: View, width: int) -> list[Moment | None]:
    """Sort the moments into ``width`` columns, oldest first.

    ``None`` is time before the stream began. A column holds the newest moment that
    touches it; one that none touches is silence.
    """
    column_s = view.timeline_s / width
    newest = int(max(view.meter.position - 1, 0) / RATE_HZ / column_s)
    first = newest - width + 1
    found: list[Moment | None] = [None if first + i < 0 else _QUIET for i in range(width)]
    for moment in view.moments:
        start = int(moment.start / RATE_HZ / column_s)
        stop = int(max(moment.stop - 1, moment.start) / RATE_HZ / column_s)
        for place in range(max(start - first, 0), min(stop - first + 1, width)):
            found[place] = moment
    return found


def chart(view: View, look: Look, width: int, height: int) -> list[Text]:
    """Draw the confidence over time, ``height`` lines high."""
    drawn = [_column(moment, view, look, height) for moment in columns(view, width)]
    return [painted((glyphs[row], style) for glyphs, style in drawn) for row in range(height)]


def _column(moment: Moment | None, view: View, look: Look, height: int) -> tuple[str, str]:
    """Return one column's glyphs from top to bottom, and their style."""
    if moment is None:
        return " " * height, ""
    if not is_heard(moment):
        return look.quiet.rjust(height), FAINT
    style = colour(moment.label, view.labels) if moment.state is State.SPEECH else FAINT
    steps = len(look.rises)
    filled = min(max(round(moment.confidence * height * steps), 1), height * steps)
    whole, rest = divmod(filled, steps)
    glyphs = look.rises[-1] * whole + (look.rises[rest - 1] if rest else "")
    return glyphs.ljust(height)[::-1], style


def is_heard(moment: Moment) -> bool:
    """Whether somebody spoke at that moment."""
    return moment.state in (State.SPEECH, State.UNSURE, State.WARMING_UP)


def names(view: View, look: Look, width: int) -> Text:
    """Write under the chart which emotion each stretch is, in full where there is room.

    ``?`` is speech that no class is sure of, ``~`` speech not judged yet.
    """
    line = Text(no_wrap=True, end="")
    named = letters(view.labels)
    for key, run in groupby(columns(view, width), _key):
        cells = len(list(run))
        if not key:
            line.append(" " * cells)
            continue
        text = key if len(key) < cells else named.get(key, key[0])
        line.append(text, colour(key, view.labels) if key in view.labels else FAINT)
        line.append(look.line * (cells - len(text)), FAINT)
    return line


def _key(moment: Moment | None) -> str:
    if moment is None or not is_heard(moment):
        return ""
    marks = {State.UNSURE: "?", State.WARMING_UP: "~"}
    return marks.get(moment.state, moment.label)


def ticks(seconds: float, width: int) -> Iterator[tuple[int, str]]:
    """Yield the axis ticks, oldest first: column and text, at most five or so."""
    step = next((step for step in _STEPS_S if seconds / step <= 4.5), _STEPS_S[-1])
    for count in range(int(seconds / step), -1, -1):
        place = round((width - 1) * (1 - count * step / seconds))
        yield place, f"-{count * step} s" if count else "now"


def axis(seconds: float, look: Look, width: int) -> list[Text]:
    """Draw the time axis: a line with ticks, and how long ago each tick is."""
    line = [look.line] * width
    texts = [" "] * width
    for place, text in ticks(seconds, width):
        line[place] = look.tick
        start = min(max(place - len(text) // 2, 0), width - len(text))
        if start >= 0:
            texts[start : start + len(text)] = text
    return [Text("".join(cells), FAINT, no_wrap=True, end="") for cells in (line, texts)]
