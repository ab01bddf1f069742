"""An output that may have to wait, as a network does, while its caller never waits."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Final

from rt_ser.outputs.sink import Event
from rt_ser.outputs.trouble import Trouble

_LOG = logging.getLogger(__name__)

MAX_QUEUE: Final = 256
"""Events that may wait to be sent: about a minute of speech."""

CLOSE_S: Final = 2.0
"""How long closing waits for what is still to be sent."""

_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 10.0


class BackgroundSink:
    """Sends events from a thread of its own, and reconnects with growing pauses.

    When more than ``MAX_QUEUE`` events wait, the oldest is dropped and counted in
    ``dropped``, as is what could not be sent by the end. Subclasses say how to connect, send
    and disconnect; an ``OSError`` of theirs means that the connection is gone, and the event
    is sent again over the next. Any other error is the event's own, which is dropped. What goes
    wrong is logged once until all is well again.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.dropped = 0
        self._events: deque[Event] = deque()
        self._changed = threading.Condition()
        self._closes_at: float | None = None
        self._trouble = Trouble(_LOG)
        self._thread = threading.Thread(target=self._run, name=f"rt-ser-{name}", daemon=True)
        self._thread.start()

    def write(self, event: Event) -> None:
        """Leave an event to be sent; returns at once."""
        with self._changed:
            if len(self._events) >= MAX_QUEUE:
                self._events.popleft()
                self.dropped += 1
            self._events.append(event)
            self._changed.notify_all()

    def close(self) -> None:
        """Send what is left, for two seconds at most."""
        with self._changed:
            if self._closes_at is None:
                self._closes_at = time.monotonic() + CLOSE_S
            self._changed.notify_all()
        self._thread.join(CLOSE_S + 0.5)

    def connect(self) -> None:
        """Open the connection; raises OSError."""
        raise NotImplementedError

    def send(self, event: Event) -> None:
        """Send one event; raises OSError."""
        raise NotImplementedError

    def disconnect(self) -> None:
        """Close the connection, whatever its state."""
        raise NotImplementedError

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        is_connected = False
        event = self._take()
        while event is not None and not self._is_over():
            try:
                if not is_connected:
                    self.connect()
                    is_connected, pause_s = True, _FIRST_PAUSE_S
                    self._trouble.is_over(f"{self.name}: connected again")
                self.send(event)
                event = self._take()
            except OSError as error:
                reason = error.strerror or str(error)
                self._trouble.begins("connection", f"{self.name}: {reason}: trying again")
                self.disconnect()
                is_connected = False
                self._pause(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            except Exception as error:
                self._trouble.begins("event", f"{self.name}: an event cannot be sent: {error}")
                with self._changed:
                    self.dropped += 1
                event = self._take()
        with self._changed:
            self.dropped += len(self._events) + (event is not None)
        self.disconnect()

    def _take(self) -> Event | None:
        """Wait for the next event; None when there will be no more."""
        with self._changed:
            while not self._events and self._closes_at is None:
                self._changed.wait()
            return self._events.popleft() if self._events else None

    def _pause(self, seconds: float) -> None:
        with self._changed:
            if self._closes_at is None:
                self._changed.wait_for(lambda: self._closes_at is not None, seconds)
            else:
                self._changed.wait(min(seconds, 0.1))

    def _is_over(self) -> bool:
        return self._closes_at is not None and time.monotonic() >= self._closes_at
