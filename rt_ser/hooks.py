"""Functions to be called with what a stream tells, one for each kind of event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from rt_ser.stream_events import Gap, Notice, StreamEvent, Tally, Utterance
from rt_ser.types import Estimate

Told = TypeVar("Told", Estimate, Utterance, Gap, Tally, Notice, StreamEvent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What to call; what is not given is not called.

    ``on_utterance`` is the turn hook of an agent: it comes when a stretch of speech has
    ended. ``on_event`` is called with everything, after the one that is meant for it.
    What a hook raises ends the stream, or comes out of the analyzer's ``feed``.
    """

    on_estimate: Callable[[Estimate], object] | None = None
    on_utterance: Callable[[Utterance], object] | None = None
    on_gap: Callable[[Gap], object] | None = None
    on_tally: Callable[[Tally], object] | None = None
    on_notice: Callable[[Notice], object] | None = None
    on_event: Callable[[StreamEvent], object] | None = None

    def __call__(self, event: StreamEvent) -> None:
        """Call what is meant for ``event``."""
        if isinstance(event, Estimate):
            _call(self.on_estimate, event)
        elif isinstance(event, Utterance):
            _call(self.on_utterance, event)
        elif isinstance(event, Gap):
            _call(self.on_gap, event)
        elif isinstance(event, Tally):
            _call(self.on_tally, event)
        else:
            _call(self.on_notice, event)
        _call(self.on_event, event)


def _call(hook: Callable[[Told], object] | None, event: Told) -> None:
    if hook is not None:
        hook(event)
