"""Parquet: the table of estimates in typed columns, for pandas, polars, DuckDB and R."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rt_ser.errors import OutputError
from rt_ser.outputs.events import flatten
from rt_ser.outputs.extras import need
from rt_ser.outputs.kinds import ESTIMATE
from rt_ser.outputs.schema import PROBS, keys_of
from rt_ser.outputs.sink import Event

GROUP_ROWS = 4096
"""Estimates held in memory before they are written: a quarter of an hour of speech."""


class ParquetSink:
    """Writes the estimates as one table; it can be read once the sink is closed.

    Raises
    ------
    OutputError
        If pyarrow is missing or the file cannot be written.
    """

    def __init__(self, path: str, *, labels: tuple[str, ...], live: bool) -> None:
        self._arrow = need("pyarrow", extra="parquet")
        self._parquet = need("pyarrow.parquet", extra="parquet")
        self._path = path
        self._schema = self._typed(column_types(labels, live=live))
        self._rows: list[dict[str, object]] = []
        self._has_begun = False
        self._file: Any = None
        self._writer: Any = None
        try:
            # Whether it can be written is to be known before anything is heard; what it holds
            # stays until then.
            if not Path(path).is_fifo():
                Path(path).open("ab").close()
        except OSError as error:
            raise self._failed(error) from None

    def write(self, event: Event) -> None:
        """Keep an estimate's row; any other event is passed over. Raises OutputError."""
        self._begin()
        if event["type"] == "estimate":
            self._rows.append(flatten(event))
            if len(self._rows) >= GROUP_ROWS:
                self._write_rows()

    def close(self) -> None:
        """Write what is left and the end of a table that has begun."""
        try:
            if self._rows and self._writer is not None:
                self._write_rows()
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.close()
                self._file.close()
        except OSError as error:
            raise self._failed(error) from None

    def _begin(self) -> None:
        """Put an empty table in the place of what was there, once."""
        if self._has_begun:
            return
        self._has_begun = True
        try:
            # As bytes, because pyarrow takes no name that is not UTF-8 as text.
            self._file = self._arrow.OSFile(os.fsencode(self._path), "wb")
            self._writer = self._parquet.ParquetWriter(self._file, self._schema)
        except OSError as error:
            raise self._failed(error) from None

    def _write_rows(self) -> None:
        rows, self._rows = self._rows, []
        try:
            self._writer.write_table(self._arrow.Table.from_pylist(rows, schema=self._schema))
        except OSError as error:
            self._writer = None
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> OutputError:
        why = error.strerror or str(error).splitlines()[0]
        return OutputError(f"cannot write {self._path!r}: {why}; give another path")

    def _typed(self, types: Mapping[str, str]) -> Any:
        return self._arrow.schema(
            [(name, self._arrow.type_for_alias(kind)) for name, kind in types.items()]
        )


_TYPES = {"string": "string", "integer": "int64", "number": "double", "boolean": "bool"}


def column_types(labels: tuple[str, ...], *, live: bool) -> dict[str, str]:
    """Return each column's name and Arrow type, as the event schema has them."""
    types: dict[str, str] = {}
    for key in keys_of(ESTIMATE, live=live):
        if key.schema is PROBS:
            types |= dict.fromkeys((f"{key.name}_{label}" for label in labels), "double")
            continue
        kind = key.schema.get("type", "integer" if key.name == "schema" else "string")
        types[key.name] = _TYPES[kind[0] if isinstance(kind, list) else kind]
    return types
