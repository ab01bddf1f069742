"""What the screen shows, as one immutable value, and the history it is drawn from."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from rt_ser.types import RATE_HZ, Estimate, Meter, State, StreamStats

COVER_S = 0.5
"""How far back one estimate speaks for: two default hops, so that one lost estimate
leaves no hole in the timeline and a pause does."""


class Feed(Protocol):
    """What a running stream lets others look at, at any moment and without waiting."""

    @property
    def latest(self) -> Estimate | None:
        """The newest estimate."""

    @property
    def meter(self) -> Meter:
        """Level, floor and gate of the newest frame."""

    @property
    def stats(self) -> StreamStats:
        """The counters."""

    @property
    def audio_age_s(self) -> float | None:
        """Seconds since the newest audio; None in a replay."""

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong with the input, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A stretch of the timeline, in samples, and what was estimated over it."""

    start: int
    stop: int
    state: State
    label: str
    confidence: float
    valence: float
    arousal: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """Everything that one screen needs. Drawing it has no other input than its size.

    Beyond ``max_age_s`` the newest audio is too old for anything to be shown as being so now.
    """

    source: str
    model: str
    labels: tuple[str, ...]
    is_live: bool
    timeline_s: float
    meter: Meter
    stats: StreamStats
    estimate: Estimate | None
    moments: tuple[Moment, ...]
    audio_age_s: float | None = None
    inference_ms: float | None = None
    findings: tuple[str, ...] = ()
    max_age_s: float = 1.5

    @property
    def position_s(self) -> float:
        """Audio time of the newest frame in seconds."""
        return self.meter.position / RATE_HZ

    @property
    def is_stale(self) -> bool:
        """Whether the newest audio is too old to be shown as the present."""
        said_so = self.estimate is not None and self.estimate.state is State.STALE
        return said_so or (self.audio_age_s is not None and self.audio_age_s > self.max_age_s)


class History:
    """The estimates of the last ``timeline_s`` seconds, added in order by one thread.

    Another thread may take :meth:`moments` at any time. ``inference_ms`` is what the
    newest judgement took.
    """

    def __init__(self, timeline_s: float) -> None:
        self._keep_samples = int((timeline_s + 1.0) * RATE_HZ)
        self._moments: deque[Moment] = deque()
        self._lock = threading.Lock()
        self.inference_ms: float | None = None

    def add(self, estimate: Estimate) -> None:
        """Append one estimate and forget what has scrolled out of sight."""
        if estimate.inference_ms is not None:
            self.inference_ms = estimate.inference_ms
        with self._lock:
            before = self._moments.pop() if self._moments else None
            new = moment(estimate, before.stop if before else 0)
            if before is not None:
                # Waiting for a judgement lasts until there is one.
                waits = before.state is State.WARMING_UP
                self._moments.append(replace(before, stop=new.start) if waits else before)
            self._moments.append(new)
            oldest = estimate.stop - self._keep_samples
            while self._moments[0].stop < oldest:
                self._moments.popleft()

    def moments(self) -> tuple[Moment, ...]:
        """Return what is remembered, oldest first."""
        with self._lock:
            return tuple(self._moments)


def moment(estimate: Estimate, before: int) -> Moment:
    """Give a judgement the stretch since the previous one, but never more than COVER_S.

    What only reports a change of state speaks for no time before it.
    """
    is_judged = estimate.state in (State.SPEECH, State.UNSURE)
    reach = int(COVER_S * RATE_HZ) if is_judged else 0
    start = max(before, estimate.stop - reach)
    return Moment(
        start=min(start, estimate.stop),
        stop=estimate.stop,
        state=estimate.state,
        label=estimate.label,
        confidence=float(estimate.confidence),
        valence=float(estimate.valence),
        arousal=float(estimate.arousal),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Monitor:
    """Puts a stream's newest values and its history together into a View.

    ``source`` is asked for the name each time: one microphone may take another's place.
    """

    feed: Feed
    history: History
    source: Callable[[], str]
    model: str
    labels: tuple[str, ...]
    is_live: bool
    timeline_s: float
    max_age_s: float = 1.5

    def view(self) -> View:
        """Take the newest of everything; waits for nobody."""
        return View(
            source=self.source(),
            model=self.model,
            labels=self.labels,
            is_live=self.is_live,
            timeline_s=self.timeline_s,
            meter=self.feed.meter,
            stats=self.feed.stats,
            estimate=self.feed.latest,
            moments=self.history.moments(),
            audio_age_s=self.feed.audio_age_s,
            inference_ms=self.history.inference_ms,
            findings=self.feed.findings,
            max_age_s=self.max_age_s,
        )
