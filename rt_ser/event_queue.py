"""What lies between the worker that makes events and the thread that takes them."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

from rt_ser.stream_events import StreamEvent
from rt_ser.types import Estimate

POLL_S: Final = 0.1
"""Longest time for which any wait goes without looking whether it should end."""


class EventQueue:
    """A bounded queue for one maker and one taker.

    Parameters
    ----------
    max_events : int
        How many may lie untaken, at least 1.
    waits : bool
        Where it is full: wait for room, or else drop the oldest estimate and count it.
        Utterances, gaps and counters are rare and nothing repeats them, so they go last.
    """

    def __init__(self, max_events: int, *, waits: bool) -> None:
        if max_events < 1:
            raise ValueError(f"max_queue={max_events} must be at least 1")
        self._max = max_events
        self._waits = waits
        self._events: deque[StreamEvent] = deque()
        self._changed = threading.Condition()
        self._is_open = True
        self._discards = False
        self.is_finished = False
        self.skipped = 0

    def put(self, event: StreamEvent) -> None:
        """Append an event."""
        with self._changed:
            if not self._waits and len(self._events) >= self._max:
                self._drop_one()
            # Once released, the last few events may exceed the bound: nobody makes room.
            while len(self._events) >= self._max and self._is_open and not self._discards:
                self._changed.wait(POLL_S)
            if not self._discards:
                self._events.append(event)
            self._changed.notify_all()

    def take(self) -> StreamEvent | None:
        """Wait for the next event; None when there will be no more."""
        with self._changed:
            while not self._events and not self.is_finished:
                # A bound on each wait: on Windows Ctrl-C does not interrupt one.
                self._changed.wait(POLL_S)
            if not self._events:
                return None
            event = self._events.popleft()
            self._changed.notify_all()
            return event

    def release(self) -> None:
        """Let ``put`` wait no more; takes no lock, so a signal handler may call it."""
        self._is_open = False

    def finish(self) -> None:
        """Say that no more events come; those that lie here may still be taken."""
        with self._changed:
            self.is_finished = True
            self._changed.notify_all()

    def drain(self, timeout_s: float | None = None) -> bool:
        """Throw away what lies here and what comes, and tell whether the end came in time."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            self._discards = True
            self._events.clear()
            self._changed.notify_all()
            while not self.is_finished:
                left_s = POLL_S if deadline is None else deadline - time.monotonic()
                if left_s <= 0:
                    return False
                self._changed.wait(min(POLL_S, left_s))
        return True

    def _drop_one(self) -> None:
        events = enumerate(self._events)
        del self._events[next((at for at, event in events if isinstance(event, Estimate)), 0)]
        self.skipped += 1
