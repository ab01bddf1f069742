"""Small pieces of Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence

from train.report.measures import NOT_MEASURED, Measured

_WIDTH = 100


def paragraph(text: str) -> str:
    """Break text into lines as long as those of the pages that people write."""
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, left: Collection[int] = ()
) -> str:
    """Return a table; the first column and those in ``left`` are set left, the others right."""
    marks = ["---" if at in (0, *left) else "---:" for at in range(len(headings))]
    lines = [headings, marks, *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def number(value: float | None, digits: int = 1, sign: str = "-") -> str:
    """Write a number, or a dash where there is none; ``sign`` "+" writes either sign."""
    return "-" if value is None else f"{round(value, digits) + 0.0:{sign}.{digits}f}"


def limit(value: float | None) -> str:
    """Write a target without digits that it does not need; a dash where there is none."""
    return "-" if value is None else f"{value:g}"


def targets_table(lines: Sequence[Measured]) -> str:
    """Return the table of what was to be reached and what was."""
    rows = [
        [
            item.title,
            NOT_MEASURED if item.value is None else f"**{number(item.value, item.digits)}**",
            limit(item.must),
            f"{item.aim:g}",
            "" if item.value is None else item.verdict,
            item.detail,
        ]
        for item in lines
    ]
    headings = ["measure", "measured", "must", "aim", "verdict", "spread"]
    return table(headings, rows, left=(4, 5))


def image(name: str, text: str, folder: str = "results") -> str:
    """Return a picture by its name without ending."""
    return f"![{text}]({folder}/{name}.png)"


def sections(*parts: str) -> str:
    """Join what is not empty, an empty line between."""
    return "\n\n".join(part for part in parts if part) + "\n"
