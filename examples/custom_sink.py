"""An output of your own: anything with ``write`` and ``close`` takes the events.

    python examples/custom_sink.py [RECORDING] [DIARY.sqlite]

This one keeps a diary of turns in SQLite. Keep one only of people who know of it.
"""

from __future__ import annotations

import json
import sqlite3
import sys

import rt_ser
from rt_ser.data import DEMO_RECORDING
from rt_ser.model import Classifier, shared_classifier
from rt_ser.outputs.events import EventStream
from rt_ser.outputs.sink import Event, Sink


class Diary:
    """A table with a row for each utterance."""

    def __init__(self, path: str) -> None:
        self._base = sqlite3.connect(path)
        self._base.execute("CREATE TABLE IF NOT EXISTS turns (start_s, stop_s, label, event)")

    def write(self, event: Event) -> None:
        """Keep an utterance; pass everything else over."""
        if event["type"] == "utterance":
            row = (event["start_s"], event["stop_s"], event["label"], json.dumps(event))
            with self._base:
                self._base.execute("INSERT INTO turns VALUES (?, ?, ?, ?)", row)

    def close(self) -> None:
        """Close the table."""
        self._base.close()


def record(recording: str, sink: Sink, model: Classifier | None = None) -> None:
    """Hand a recording's events to a sink."""
    model = model or shared_classifier("research")
    events = EventStream(recording, model.manifest, live=False)
    with rt_ser.replay(recording, model=model) as stream:
        for told in stream.events():
            for event in events.of(told):
                sink.write(event)
    sink.write(events.end(stream.summary(), file=recording))


if __name__ == "__main__":
    arguments = [*sys.argv[1:3], str(DEMO_RECORDING), "diary.sqlite"][:2]
    if len(sys.argv) == 2:
        arguments[1] = "diary.sqlite"
    diary = Diary(arguments[1])
    record(arguments[0], diary)
    diary.close()
