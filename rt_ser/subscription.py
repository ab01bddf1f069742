"""A stream whose events come by themselves, to hooks called from a thread of their own."""

from __future__ import annotations

import threading

from rt_ser.hooks import Hooks
from rt_ser.lifetime import Lifetime
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
        """Wait for the stream's end; tell whether it came. Raises what went wrong."""
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        self._raise_error()
        return True

    def stop(self) -> None:
        """End the stream; the hooks hear what was still open."""
        self.stream.stop()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        try:
            for event in self.stream.events():
                self._hooks(event)
        except BaseException as error:
            self._error = error
            self.stream.stop()
