"""One open PortAudio stream: its callback copies and counts, a reader takes the rest."""

from __future__ import annotations

import threading
from time import monotonic
from typing import Any, Final

from rt_ser.audio.devices import InputDevice
from rt_ser.audio.driver import end_stream, open_stream
from rt_ser.audio.ring import RingBuffer

BELIEVED_LAG_S: Final = 1.0
"""A converter's clock that starts further off than this is no clock of ours: only the
growth of its distance counts."""


class Doorbell:
    """Wakes one waiting thread; ringing it never waits for anything.

    An Event would make the callback take the lock that the waiting thread holds.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake the waiting thread, or the next one to wait."""
        lock = self._lock
        if lock.locked():  # else it has been rung and not heard yet
            # Another thread may ring between the two; then there is nothing left to do.
            # contextlib.suppress would cost the callback more than all the rest of this.
            try:  # noqa: SIM105
                lock.release()
            except RuntimeError:
                pass

    def wait(self, timeout_s: float) -> bool:
        """Wait until it rings; tell whether it did."""
        return self._lock.acquire(timeout=max(0.0, timeout_s))


class Capture:
    """A running input stream and the ring that it fills.

    ``callbacks`` counts the blocks that came, ``overflows`` the driver's complaints.
    ``lag_s`` is how long the newest block's first frame took from the converter to us, and
    ``max_lag_s`` the longest: behind a sound server it is the only sign of an overload.

    Parameters
    ----------
    device : InputDevice
        Opened at its own rate and channels.
    block_ms : int
        Length of a callback's block in milliseconds.
    ring_s : float
        Length of the ring in seconds.
    doorbell : Doorbell, optional
        Rung when there is something to read.
    """

    def __init__(
        self,
        device: InputDevice,
        *,
        block_ms: int,
        ring_s: float,
        doorbell: Doorbell | None = None,
    ) -> None:
        self.device = device
        self.block = max(1, device.rate_hz * block_ms // 1000)
        self.ring = RingBuffer(max(self.block, round(ring_s * device.rate_hz)), device.channels)
        self.doorbell = doorbell or Doorbell()
        self.overflows = 0
        self.callbacks = 0
        self.has_finished = False
        self.lag_s = self.max_lag_s = 0.0
        # When frame 0 was captured as the newest block has it: one number, so that the reader
        # never sees half of it, and no object that could set off a garbage collection.
        self._origin_s = monotonic()
        self._next_adc_s = 0.0
        self._clock_offset_s: float | None = None
        self._rate_hz = device.rate_hz
        self._stream: Any = None
        self._closing = threading.Lock()

    def start(self) -> None:
        """Open the device and start recording; raises DeviceError."""
        self._stream = open_stream(
            self.device,
            blocksize=self.block,
            callback=self.take,
            finished_callback=self._on_finished,
        )

    def abort(self) -> None:
        """End the stream at once; returns when it has ended, whichever thread is ending it."""
        with self._closing:
            stream, self._stream = self._stream, None
            if stream is not None:
                end_stream(stream)

    def captured_at(self, position: int) -> float:
        """Return monotonic seconds at which the frame before ``position`` was captured."""
        return self._origin_s + position / self._rate_hz

    def take(self, block: bytes | memoryview, frames: int, timing: Any, status: Any) -> None:
        """Take a block from PortAudio, in its own thread: copy and count, nothing else.

        It finds the processor's caches cold: each step costs many times what it does in
        a loop, so that nothing is done here that the reader can do.
        """
        now = monotonic()
        ring = self.ring
        adc_s = timing.inputBufferAdcTime
        if status and status.input_overflow:
            self.overflows += 1
            ring.lose(self._frames_jumped(adc_s))
        ring.write(block, frames)
        rate_hz = self._rate_hz
        length_s = frames / rate_hz
        self._next_adc_s = adc_s + length_s
        lag_s = timing.currentTime - adc_s
        offset_s = self._clock_offset_s
        if offset_s is None:
            offset_s = self._clock_offset_s = 0.0 if 0.0 <= lag_s < BELIEVED_LAG_S else lag_s
        self.lag_s = lag_s = lag_s - offset_s
        if lag_s > self.max_lag_s:
            self.max_lag_s = lag_s
        if lag_s > length_s:
            now -= lag_s - length_s  # PortAudio tells the age of the block's oldest frame
        self._origin_s = now - (ring.written + ring.dropped) / rate_hz
        self.callbacks += 1
        self.doorbell.ring()

    def _frames_jumped(self, adc_s: float) -> int:
        """Return how many frames the converter's clock says are missing, at least one."""
        jump_s = adc_s - self._next_adc_s if self._next_adc_s else 0.0
        return max(1, min(round(jump_s * self._rate_hz), self.ring.capacity))

    def _on_finished(self) -> None:
        self.has_finished = True
        self.doorbell.ring()
