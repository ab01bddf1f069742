"""What a stream at work asks of the signal path that it drives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rt_ser.stream_events import StreamEvent
from rt_ser.types import AudioChunk, Meter, StreamStats, Summary


class StreamPipeline(Protocol):
    """The part of :class:`rt_ser.pipeline.Pipeline` that a stream at work needs."""

    @property
    def meter(self) -> Meter: ...  # noqa: D102
    @property
    def stats(self) -> StreamStats: ...  # noqa: D102
    @property
    def findings(self) -> tuple[str, ...]: ...  # noqa: D102

    def feed_events(self, chunk: AudioChunk) -> Sequence[StreamEvent]:
        """Take in a chunk."""

    def flush_events(self) -> Sequence[StreamEvent]:
        """Close what is open."""

    def interrupt_events(self, reason: str) -> Sequence[StreamEvent]:
        """Take note that no audio comes for now."""

    def mute(self) -> None:
        """Listen no more."""

    def unmute(self, *, hold_off_s: float) -> None:
        """Listen again after some seconds."""

    def summary(self) -> Summary:
        """Sum up the stream."""
