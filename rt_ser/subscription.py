"""A stream whose events come by themselves, to hooks called from a thread of their own."""

from __future__ import annotations

import threading
import time

from rt_ser.event_queue import POLL_S
from rt_ser.hooks import Hooks
from rt_ser.lifetime import NOT_STARTED, Lifetime
from rt_ser.runtime import StreamRunner


class Subscription(Lifetime):
    """Runs a stream in the background and calls hooks with what it tells.

    A context manager. All hooks are called from one thread, in order, and while one runs
    the others wait: live, a hook that takes long makes estimates go missing (they are
    counted), never audio. What a hook raises ends the stream and is raised again by
    ``wait`` or on leaving. ``stream`` may be looked at, muted and stopped at any time,
    from a hook too.

    Parameters
    ----------
    stream : StreamRunner
        As ``rt_ser.listen`` or ``rt_ser.replay`` returns it, not started yet.
    hooks : Hooks
        What to call.
    """

    def __init__(self, stream: StreamRunner, hooks: Hooks) -> None:
        super().__init__()
        self.stream = stream
        self._hooks = hooks
        self._thread = threading.Thread(target=self._run, name="rt-ser-hooks", daemon=True)

    def start(self) -> None:
        """Start listening; raises what opening the source raises."""
        self.stream.start()
        self._thread.start()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the stream's end; tell whether it came.

        Raises what went wrong, and RuntimeError before the stream is started.
        """
        if self._thread.ident is None:
            raise RuntimeError(NOT_STARTED)
        if not self._ends_within(timeout_s):
            return False
        self._raise_error()
        return True

    def stop(self) -> None:
        """End the stream; the hooks hear what was still open."""
        self.stream.stop()
        if self._thread is not threading.current_thread():
            self._ends_within(None)

    def _ends_within(self, timeout_s: float | None) -> bool:
        """Wait for the hooks' thread to end; tell whether it did."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while self._thread.is_alive():
            # A bound on each wait: on Windows Ctrl-C does not interrupt one.
            left_s = POLL_S if deadline is None else deadline - time.monotonic()
            if left_s <= 0:
                return False
            self._thread.join(min(POLL_S, left_s))
        return True

    def _run(self) -> None:
        try:
            for event in self.stream.events():
                self._hooks(event)
        except BaseException as error:
            self._error = error
            self.stream.stop()
