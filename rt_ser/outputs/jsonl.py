"""JSON Lines: one event a line, written and flushed as it happens."""

from __future__ import annotations

import json

from rt_ser.outputs.sink import Event, LineWriter


class JsonlSink:
    """Writes each event as one line of ASCII JSON to a file or, for ``-``, to stdout."""

    def __init__(self, path: str) -> None:
        self._writer = LineWriter(path)

    def write(self, event: Event) -> None:
        """Write one event. Raises OutputError; not-a-number is a ValueError, never text."""
        self._writer.write_line(json.dumps(event, allow_nan=False, separators=(",", ":")))

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
