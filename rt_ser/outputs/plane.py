"""Valence and arousal as a point in Russell's plane, with its path of late."""

from __future__ import annotations

from rich.text import Text

from rt_ser.outputs.look import FAINT, STRONG, Look, colour, painted
from rt_ser.outputs.timeline import is_heard
from rt_ser.outputs.view import View
from rt_ser.types import RATE_HZ, State

TRAIL_S = 8.0


def place(valence: float, arousal: float, width: int, height: int) -> tuple[int, int]:
    """Return the column and row of a point, both coordinates being in [-1, 1]."""
    column = round((min(max(valence, -1.0), 1.0) + 1) / 2 * (width - 1))
    row = round((1 - min(max(arousal, -1.0), 1.0)) / 2 * (height - 1))
    return column, row


def plane(view: View, look: Look, width: int, height: int) -> list[Text]:
    """Draw the plane: valence to the right, arousal upwards, zero where the axes cross.

    The words in the corners name the quadrants after Russell (1980).
    """
    cells = _empty(look, width, height)
    since = view.meter.position - int(TRAIL_S * RATE_HZ)
    for moment in view.moments:
        if moment.stop >= since and is_heard(moment) and moment.label:
            column, row = place(moment.valence, moment.arousal, width, height)
            cells[row][column] = (look.trail, FAINT)
    estimate = view.estimate
    if estimate is not None and estimate.label:
        column, row = place(estimate.valence, estimate.arousal, width, height)
        is_now = estimate.state is State.SPEECH
        tint = colour(estimate.label, estimate.labels) if is_now else STRONG
        cells[row][column] = (look.marker, f"bold {tint}" if is_now else tint)
    return [painted(row) for row in cells]


def _empty(look: Look, width: int, height: int) -> list[list[tuple[str, str]]]:
    """Return the plane without a point: axes and the quadrants' names."""
    cells = [[(" ", FAINT)] * width for _ in range(height)]
    middle_column, middle_row = (width - 1) // 2, (height - 1) // 2
    for column in range(width):
        cells[middle_row][column] = (look.line, FAINT)
    for row in cells:
        row[middle_column] = (look.upright, FAINT)
    cells[middle_row][middle_column] = (look.cross, FAINT)
    for text, row_number, is_left in (
        ("tense", 0, True),
        ("excited", 0, False),
        ("gloomy", height - 1, True),
        ("relaxed", height - 1, False),
    ):
        start = 0 if is_left else width - len(text)
        if len(text) <= middle_column:
            cells[row_number][start : start + len(text)] = [(glyph, FAINT) for glyph in text]
    return cells


def readings(view: View) -> Text:
    """Write both values in figures."""
    estimate = view.estimate
    valence, arousal = (estimate.valence, estimate.arousal) if estimate else (0.0, 0.0)
    return Text.assemble(
        ("valence ", FAINT), f"{valence:+.2f}", ("  arousal ", FAINT), f"{arousal:+.2f}"
    )
