"""What a stream tells besides estimates: utterances as a whole, gaps and counters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from rt_ser.types import F32, RATE_HZ, Estimate, Span, StreamStats

MAX_WAYPOINTS = 32
"""Points that the course of an utterance is told in, however long it lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waypoint:
    """One point of an utterance's course: what its window that ends at ``stop`` said."""

    stop: int
    label: str
    confidence: float
    valence: float
    arousal: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Loudest:
    """The loudest 30 ms of an utterance: sample index of their end, and level."""

    stop: int
    level_dbfs: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How an utterance differs from the one before it.

    ``label`` is that of the one before; ``valence`` and ``arousal`` are differences in
    [-2, 2], ``level_db`` that of the loudest moments, ``pause_samples`` what lay between.
    """

    label: str
    valence: float
    arousal: float
    level_db: float
    pause_samples: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Utterance(Span):
    """A stretch of speech as a whole, told when it has ended: what an agent wants per turn.

    ``probs`` is the mean over its own windows, weighted by the cube of the speech in
    them, and owes nothing to what was said before. ``trajectory`` has at most
    ``MAX_WAYPOINTS`` points, evenly spaced but for the last one, which is at its end.
    ``decided`` is the sample at which the end was known, a hangover after the last speech.
    ``change`` is None for the first one. ``age_ms`` is how long ago ``decided`` was, in a
    live stream.
    """

    number: int
    labels: tuple[str, ...]
    label: str
    probs: F32
    confidence: float
    valence: float
    arousal: float
    start: int
    stop: int
    decided: int
    speech_samples: int
    windows: int
    trajectory: tuple[Waypoint, ...]
    loudest: Loudest
    change: Change | None = None
    age_ms: float | None = None

    @property
    def speech_s(self) -> float:
        """Seconds of speech in it."""
        return self.speech_samples / RATE_HZ


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Samples ``start`` to ``stop`` were lost before anything could hear them."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The counters when the stream was at sample ``stop``."""

    stop: int
    stats: StreamStats


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something is wrong with the input, known at sample ``stop``; or, ``is_over``, no longer.

    ``kind`` is one of silent, clipping, offset and faint; ``text`` says it to a person, with
    what to do.
    """

    stop: int
    kind: str
    text: str
    is_over: bool = False


StreamEvent: TypeAlias = Estimate | Utterance | Gap | Tally | Notice
"""Everything that a stream tells, in order."""


def only_estimates(events: Iterable[StreamEvent]) -> list[Estimate]:
    """Return the estimates among what a stream tells."""
    return [event for event in events if isinstance(event, Estimate)]
