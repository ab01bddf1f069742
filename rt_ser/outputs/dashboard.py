"""The screen as a pure function of a View and a size.

Two arrangements: framed panels where there is room, else plain lines, of which the less
important give way as the terminal shrinks. Every line is exactly as wide as asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from rt_ser.outputs import parts, plane, timeline
from rt_ser.outputs.look import FAINT, Look, clean, fit, shorten
from rt_ser.outputs.view import View

WIDEST = 132
FRAMED_WIDTH = 76
PLANE_CELLS = 28
TALLEST_CHART = 5
STATUS_LINES = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dashboard:
    """Renders a View at whatever size the console has at that moment."""

    view: View
    look: Look

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the screen's lines."""
        for line in compose(self.view, self.look, options.max_width, options.size.height):
            line.end = "\n"
            yield line


def compose(view: View, look: Look, width: int, height: int) -> list[Text]:
    """Lay the view out in at most ``height`` lines of at most ``width`` cells."""
    width = min(width, WIDEST)
    if width >= FRAMED_WIDTH and height >= framed_height(view):
        return framed(view, look, width, height)
    return plain(view, look, width, height)


def framed_height(view: View) -> int:
    """Return the lines that the framed arrangement needs at least."""
    return 3 + (4 + len(view.labels)) + 6 + STATUS_LINES


def framed(view: View, look: Look, width: int, height: int) -> list[Text]:
    """Arrange the parts in panels; spare lines go to the scale and the chart."""
    inner = width - 4
    spare = height - framed_height(view)
    status = parts.status_lines(view, look, inner, STATUS_LINES)
    has_scale = spare >= 2
    rise = 1 + min(spare - has_scale, TALLEST_CHART - 1)
    level = [parts.level_line(view, look, inner)]
    if has_scale:
        level.append(parts.level_scale(look, inner))
    title = Text.assemble("rt-ser ", (look.dot, FAINT), " ", _source(view, look, width // 2))
    lines = panel(level, look, width, title, Text(parts.clock(view.position_s)))
    lines += _now_and_plane(view, look, width)
    history = [
        *timeline.chart(view, look, inner, rise),
        timeline.names(view, look, inner),
        *timeline.axis(view.timeline_s, look, inner),
    ]
    lines += panel(history, look, width, Text("timeline"), Text("height: confidence"))
    return lines + [fit(Text.assemble("  ", line), width, look) for line in status]


def _source(view: View, look: Look, width: int) -> Text:
    kind = "listening to " if view.is_live else "replaying "
    return shorten(Text(kind + clean(view.source, look)), width, look)


def _now_and_plane(view: View, look: Look, width: int) -> list[Text]:
    """Put the label with its bars beside the valence/arousal plane."""
    right_width = PLANE_CELLS + 4 + max(0, (width - 96) // 6)
    left_width = width - right_width
    inner = left_width - 4
    bars = parts.emotion_bars(view, look, inner)
    left = [parts.headline(view, look, inner), Text(), *bars]
    point = plane.plane(view, look, right_width - 4, len(bars) + 1)
    right = [*point, plane.readings(view)]
    boxes = (
        panel(left, look, left_width, Text("now"), Text("rolling")),
        panel(right, look, right_width, Text("valence / arousal"), Text()),
    )
    return [Text.assemble(a, b, no_wrap=True, end="") for a, b in zip(*boxes, strict=True)]


def panel(
    lines: Sequence[Text], look: Look, width: int, title: Text, right_title: Text
) -> list[Text]:
    """Draw a frame around lines, with a title at each end of its upper edge."""
    left_top, right_top, left_bottom, right_bottom = tuple(look.corners)
    right = Text.assemble(" ", (right_title.plain, FAINT), " ") if right_title else Text()
    room = width - 4 - right.cell_len
    name = Text.assemble(" ", shorten(title, room - 2, look), " ")
    top = Text.assemble(
        (left_top + look.line, FAINT),
        name,
        (look.line * (room - name.cell_len), FAINT),
        right,
        (look.line + right_top, FAINT),
    )
    side = (look.upright, FAINT)
    body = [Text.assemble(side, " ", fit(line, width - 4, look), " ", side) for line in lines]
    bottom = Text(left_bottom + look.line * (width - 2) + right_bottom, FAINT)
    return [fit(line, width, look) for line in (top, *body, bottom)]


def plain(view: View, look: Look, width: int, height: int) -> list[Text]:
    """Arrange as many parts as fit, the most telling first, without frames."""
    bars = parts.emotion_bars(view, look, width)
    history = [timeline.names(view, look, width), timeline.axis(view.timeline_s, look, width)[1]]
    status = parts.status_lines(view, look, width)
    wanted: list[tuple[int, int, list[Text]]] = [
        # place on the screen, importance, lines
        (2, 0, [parts.headline(view, look, width)]),
        (1, 1, [parts.level_line(view, look, width)]),
        (4, 2, bars),
        (6, 3, timeline.chart(view, look, width, 1)),
        (7, 4, history),
        (8, 5, status[-1:]),
        (5, 6, [parts.gauges(view, look, width)]),
        (8, 7, status[:-1]),
        (0, 8, [parts.header(view, look, width)]),
        (3, 9, [Text()]),
    ]
    chosen: list[tuple[int, int, list[Text]]] = []
    room = height
    for part in sorted(wanted, key=lambda part: part[1]):
        if len(part[2]) <= room:
            chosen.append(part)
            room -= len(part[2])
    chosen.sort(key=lambda part: (part[0], -part[1]))
    return [fit(line, width, look) for part in chosen for line in part[2]]
