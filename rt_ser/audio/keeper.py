"""Keeps one microphone open: watches it, and opens it again when it has failed.

All that a driver may hang in happens in a thread of its own, so that whoever reads is
never held up: to a reader a broken microphone is one that gives nothing for a reason.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from rt_ser.audio.capture import Capture
from rt_ser.audio.devices import InputDevice, choose, find, find_again, list_inputs
from rt_ser.audio.soundserver import recorded_numbers, source_names
from rt_ser.errors import DeviceError

TICK_S: Final = 0.1
"""How often a running stream is looked at."""

STALL_TICKS: Final = 7
"""Looks in a row without a callback between them after which a device counts as hung.
Looks and not seconds: after a machine has slept, audio gets its time to come."""

FIRST_TICKS: Final = 30
"""The same before the first callback: a sleeping sound server takes up to 2 s."""

LATE_TICKS: Final = 10
"""Looks in a row at audio that comes too late after which the stream is made anew."""

MOVED_TICKS: Final = 10
"""Looks between two questions to the sound server, of about 5 ms each."""

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 1.0
CLOSE_S: Final = 0.6
"""How long ``close`` waits for a driver that is at work."""

_LOG = logging.getLogger(__name__)


class Keeper:
    """One microphone, kept open.

    ``capture`` is what there is to read from, the newest one; ``trouble`` says in words
    why nothing comes from it, or is empty. Both may be read from any thread.

    Parameters
    ----------
    spec : str or int, optional
        The device as a person names it.
    make_capture : callable
        Makes a Capture of a device, not started yet.
    max_lag_s : float
        Where audio comes later than this for a second the stream is made anew.
    may_fall_back : bool
        Whether another device will do when the first one does not come back.
    """

    def __init__(
        self,
        spec: str | int | None,
        make_capture: Callable[[InputDevice], Capture],
        *,
        max_lag_s: float,
        may_fall_back: bool,
    ) -> None:
        self._spec = spec
        self._make_capture = make_capture
        self._max_lag_s = max_lag_s
        self._may_fall_back = may_fall_back
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rt-ser-microphone", daemon=True)
        device = find(spec)
        self.capture = make_capture(device)
        self.device = device
        self.trouble = ""
        self.reopened = 0
        # The sound server's number for the source, where it has been seen there: none is
        # given twice, so that while it is recorded nothing else need be asked.
        self._source_number = ""
        self._warned = ""

    def open(self) -> None:
        """Start recording; raises DeviceError. Failures after this are waited out."""
        self.capture.start()
        self._thread.start()

    def close(self) -> None:
        """End recording; a driver that does not let go is left to itself."""
        self._closing.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(CLOSE_S)

    def _run(self) -> None:
        try:
            self._keep()
        finally:
            self.capture.abort()

    def _keep(self) -> None:
        """Watch the stream and open it again for as long as it is wanted."""
        while trouble := self._watch(self.capture):
            failed_s = time.monotonic()
            self.trouble = trouble
            _LOG.warning("%s", trouble)
            self.capture.abort()
            capture = self._open_again()
            if capture is None:
                return
            self.capture, self.device = capture, capture.device
            self._source_number = ""  # the server may be another one, which counts anew
            self.trouble = ""
            self.reopened += 1
            lasted_s = time.monotonic() - failed_s
            _LOG.warning("microphone %r is back after %.1f s", self.device.label, lasted_s)

    def _watch(self, capture: Capture) -> str:
        """Wait until the stream fails and return why, or until it is to end."""
        seen = idle = late = ticks = 0
        while not self._closing.wait(TICK_S):
            ticks += 1
            idle = idle + 1 if capture.callbacks == seen else 0
            seen = capture.callbacks
            late = late + 1 if capture.lag_s > self._max_lag_s else 0
            if trouble := self._trouble_of(capture, idle, late):
                return trouble
            if ticks % MOVED_TICKS == 0 and (trouble := self._asked_whether_moved()):
                return trouble
        return ""

    def _asked_whether_moved(self) -> str:
        try:
            return self._moved()
        except Exception as error:
            self._warn("cannot ask the sound server", error)
            return ""

    def _warn(self, what: str, error: Exception) -> None:
        """Tell of what nobody foresaw, once while it stays the same, and go on."""
        text = f"microphone {self.device.label!r}: {what}: {type(error).__name__}: {error}"
        if text != self._warned:
            self._warned = text
            _LOG.warning("%s", text)

    def _trouble_of(self, capture: Capture, idle: int, late: int) -> str:
        """Say what is wrong with a stream, given looks in a row at nothing new or too old."""
        name = f"microphone {self.device.label!r}"
        if capture.has_finished:
            return (
                f"{name} vanished: it was unplugged or the sound server ended; "
                "plug it in again, it is then found by itself"
            )
        limit = STALL_TICKS if capture.callbacks else FIRST_TICKS
        if idle >= limit:
            return (
                f"{name} hangs: no audio for {limit * TICK_S:.1f} s; it is being opened again, "
                "plug it in again if that does not help"
            )
        if late >= LATE_TICKS:
            return (
                f"{name} lags: its audio comes {capture.lag_s:.1f} s late; it is being opened "
                "again, give this machine less to do if that does not help"
            )
        return ""

    def _moved(self) -> str:
        """Ask a sound server whether it still records what it was asked to.

        A source that goes away is replaced in silence, and callbacks go on, even when it
        has come back, with a number of its own. One that somebody has exchanged on purpose
        is followed.
        """
        ours = self.device.server_source
        numbers = recorded_numbers(self.capture.process) if ours else set()
        if not numbers or self._source_number in numbers:
            return ""
        names = source_names()
        if ours in names and self._source_number not in ("", names[ours]):
            return f"microphone {self.device.label!r} was away for a moment: it is opened again"
        recorded = {name for name, number in names.items() if number in numbers}
        if ours in recorded:
            self._source_number = names[ours]
        if ours in recorded or not recorded:
            return ""
        other = min(recorded)
        if ours not in names and not self._may_fall_back:
            return (
                f"microphone {self.device.label!r} vanished and the sound server offers {other!r} "
                "in its place; plug it in again, or allow others with --device-fallback"
            )
        _LOG.warning("the sound server records from %r now, no longer from %r", other, ours)
        self.device = replace(self.device, server_source=other)
        return ""

    def _open_again(self) -> Capture | None:
        """Try until audio comes; None when it is to end."""
        pause_s = FIRST_PAUSE_S
        while not self._closing.wait(pause_s):
            try:
                return self._attempt()
            except DeviceError as error:
                _LOG.info("%s", error)
            except Exception as error:
                self._warn("cannot be opened again yet", error)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return None

    def _attempt(self) -> Capture:
        """Open the same microphone, by its name, and wait for its first block."""
        capture = self._make_capture(self._find())
        try:
            capture.start()
            for _ in range(FIRST_TICKS):
                if capture.callbacks or capture.has_finished or self._closing.wait(TICK_S):
                    break
            if not capture.callbacks:
                raise DeviceError(f"microphone {capture.device.label!r} gives no audio yet")
        except BaseException:
            capture.abort()
            raise
        return capture

    def _find(self) -> InputDevice:
        inputs = list_inputs()
        device = find_again(inputs, self.device)
        if device is not None:
            return device
        if not self._may_fall_back:
            raise DeviceError(f"microphone {self.device.label!r} is not there")
        try:
            return choose(inputs, self._spec)
        except DeviceError:
            return choose(inputs, None)
