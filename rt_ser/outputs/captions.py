"""What was heard in a recording, to be seen beside it: WebVTT and Audacity labels.

Both have one entry an utterance, with its label and confidence.
"""

from __future__ import annotations

from typing import Any, ClassVar

from rt_ser.outputs.sink import Event, LineWriter


class _UtteranceSink:
    """Writes one entry for each utterance of a stream."""

    head: ClassVar[tuple[str, ...]] = ()

    def __init__(self, path: str) -> None:
        self._writer = LineWriter(path, head=self.head)

    def write(self, event: Event) -> None:
        """Write an utterance; any other event is passed over. Raises OutputError."""
        self._writer.begin()
        if event["type"] == "utterance":
            self._writer.write_line(self.entry(dict(event)))

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def entry(self, event: dict[str, Any]) -> str:
        """Return the entry of one utterance."""
        raise NotImplementedError


class WebVttSink(_UtteranceSink):
    """WebVTT, which players and browsers show as captions (W3C, 2019)."""

    head = ("WEBVTT", "")

    def entry(self, event: dict[str, Any]) -> str:
        """Return a cue, numbered like the utterance."""
        span = f"{timestamp(event['start_s'])} --> {timestamp(event['stop_s'])}"
        text = caption(event).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return f"{event['utterance']}\n{span}\n{text}\n"


class AudacitySink(_UtteranceSink):
    """An Audacity label track: start, end and text, separated by tabs."""

    def entry(self, event: dict[str, Any]) -> str:
        """Return a label."""
        return f"{event['start_s']:.6f}\t{event['stop_s']:.6f}\t{caption(event)}"


def caption(event: dict[str, Any]) -> str:
    """Say in a few words how something was said."""
    label = " ".join(str(event["label"]).split())
    return f"{label} {round(100 * event['confidence'])} %"


def timestamp(seconds: float) -> str:
    """Write a time as WebVTT has it."""
    milliseconds = round(1000 * seconds)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"
