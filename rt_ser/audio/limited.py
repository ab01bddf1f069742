"""A source that ends by itself after so much audio."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

from rt_ser.audio.source import AudioSource, EndOfStream, SourceBase, SourceCounters
from rt_ser.errors import InputError
from rt_ser.types import RATE_HZ, AudioChunk, freeze

GRACE_S: Final = 3.0
"""Time that a device is given to come back after the end it would have had."""


class LimitedSource(SourceBase):
    """Passes another source on, up to an exact sample.

    Audio time decides, not the clock, so the length is that of the audio heard; samples
    that were lost count as time that passed. Only where a live source gives nothing any more
    the clock decides, ``GRACE_S`` later.

    Parameters
    ----------
    source : AudioSource
        What to pass on.
    seconds : float
        Where to end, in seconds of audio, above 0.

    Raises
    ------
    InputError
        ``seconds`` is not above 0, or no number.
    """

    def __init__(self, source: AudioSource, *, seconds: float) -> None:
        if not 0 < seconds < float("inf"):
            raise InputError(f"seconds={seconds:g} is not allowed: give a number above 0")
        self._source = source
        self._limit = max(1, round(seconds * RATE_HZ))
        self._is_over = False
        self._latest_end_s = 0.0

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
        """The other source's counters, up to the limit."""
        counters = self._source.counters
        return replace(counters, captured_samples=min(counters.captured_samples, self._limit))

    @property
    def notes(self) -> tuple[str, ...]:
        """The other source's notes."""
        return self._source.notes

    @property
    def trouble(self) -> str:
        """The other source's trouble."""
        return self._source.trouble

    def open(self) -> None:
        """Open the other source."""
        self._is_over = False
        self._source.open()
        self._latest_end_s = time.monotonic() + self._limit / RATE_HZ + GRACE_S

    def read(self, timeout_s: float) -> AudioChunk | None:
        """Return the next chunk, cut at the limit; raises what the other source raises."""
        if self._is_over:
            raise EndOfStream(self.name)
        chunk = self._source.read(timeout_s)
        if chunk is None:
            self._is_over = self.is_live and time.monotonic() > self._latest_end_s
            return None
        cut = self._cut(chunk)
        if cut is None:
            raise EndOfStream(self.name)
        return cut

    def finish(self) -> list[AudioChunk]:
        """End the other source and return what was left, up to the limit."""
        cut = [] if self._is_over else map(self._cut, self._source.finish())
        return [chunk for chunk in cut if chunk is not None]

    def close(self) -> None:
        """Close the other source."""
        self._source.close()

    def _cut(self, chunk: AudioChunk) -> AudioChunk | None:
        """Return the part of a chunk that lies before the limit."""
        if chunk.stop < self._limit:
            return chunk
        self._is_over = True
        if chunk.start >= self._limit:
            return None
        return replace(chunk, samples=freeze(chunk.samples[: self._limit - chunk.start]))
