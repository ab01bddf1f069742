"""CSV: one row an estimate, ready for a spreadsheet or pandas.

Summaries are left out, because a table has one kind of row. Nested values become
columns: ``probs_happy``, ``window_probs_happy``. Text that a spreadsheet would take for
a formula is written with an apostrophe before it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from rt_ser.outputs.events import flatten
from rt_ser.outputs.sink import Event, LineWriter


class CsvSink:
    """Writes a header, then a row for each estimate, to a file or, for ``-``, to stdout.

    The header is written with the first event of any type: a stream without speech leaves
    an empty table, not an empty file.
    """

    def __init__(self, path: str, *, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)
        self._writer = LineWriter(path, head=[line(self._columns)])

    def write(self, event: Event) -> None:
        """Write an estimate's row; any other event is passed over. Raises OutputError."""
        self._writer.begin()
        if event["type"] == "estimate":
            row = flatten(event)
            self._writer.write_line(line([row[column] for column in self._columns]))

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def line(values: Sequence[object]) -> str:
    """Format one row as RFC 4180 has it, without its line end."""
    target = io.StringIO()
    csv.writer(target).writerow([_cell(value) for value in values])
    return target.getvalue().removesuffix("\r\n")


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value[1:] and value[0] in "=+-@\t\r":
        return "'" + value
    return value
