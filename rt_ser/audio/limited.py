"""A source that ends by itself after so much audio."""

from __future__ import annotations

from dataclasses import replace

from rt_ser.audio.source import AudioSource, EndOfStream, SourceBase, SourceCounters
from rt_ser.types import RATE_HZ, AudioChunk, freeze


class LimitedSource(SourceBase):
    """Passes another source on, up to an exact sample.

    Audio time decides, not the clock, so the length is that of the audio heard; samples
    that were lost count as time that passed.

    Parameters
    ----------
    source : AudioSource
        What to pass on.
    seconds : float
        Where to end, in seconds of audio, above 0.
    """

    def __init__(self, source: AudioSource, *, seconds: float) -> None:
        self._source = source
        self._limit = max(1, round(seconds * RATE_HZ))
        self._is_over = False

    @property
    def name(self) -> str:
        """The other source's name."""
        return self._source.name

    @property
    def is_live(self) -> bool:
        """Whether the other source is live."""
        return self._source.is_live

    @property
    def counters(self) -> SourceCounters:
        """The other source's counters."""
        return self._source.counters

    @property
    def notes(self) -> tuple[str, ...]:
        """The other source's notes."""
        return self._source.notes

    def open(self) -> None:
        """Open the other source."""
        self._is_over = False
        self._source.open()

    def read(self, timeout_s: float) -> AudioChunk | None:
        """Return the next chunk, cut at the limit; raises what the other source raises."""
        if self._is_over:
            raise EndOfStream(self.name)
        chunk = self._source.read(timeout_s)
        if chunk is None or chunk.stop < self._limit:
            return chunk
        self._is_over = True
        if chunk.start >= self._limit:
            raise EndOfStream(self.name)
        return replace(chunk, samples=freeze(chunk.samples[: self._limit - chunk.start]))

    def close(self) -> None:
        """Close the other source."""
        self._source.close()
