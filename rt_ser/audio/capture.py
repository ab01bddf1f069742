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

LATE_S: Final = 0.001
"""How long after a block is due one looks for it: sooner would often be too soon."""

LOOK_AGAIN_S: Final = 0.003
LOOK_SELDOM_S: Final = 0.03
"""The shortest and the longest pause between two looks for a block that is overdue."""


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
    """

    def __init__(self, device: InputDevice, *, block_ms: int, ring_s: float) -> None:
        self.device = device
        self.block = max(1, device.rate_hz * block_ms // 1000)
        self.ring = RingBuffer(max(self.block, round(ring_s * device.rate_hz)), device.channels)
        self.overflows = 0
        self.callbacks = 0
        self.has_finished = False
        self.lag_s = self.max_lag_s = 0.0
        # When frame 0 was captured as the newest block has it: one number, so that the reader
        # never sees half of it, and no object that could set off a garbage collection.
        self._origin_s = self._came_s = monotonic()
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

    def pause_s(self) -> float:
        """Return for how many seconds there will be no further block.

        The reader looks when one is due. The callback does not wake it: that took as long
        as all the rest of it, and had the two contend for the interpreter.
        """
        overdue_s = monotonic() - self._came_s - self.block / self._rate_hz
        return max(LATE_S - overdue_s, min(max(LOOK_AGAIN_S, overdue_s / 4), LOOK_SELDOM_S))

    def take(self, block: bytes | memoryview, frames: int, timing: Any, status: Any) -> None:
        """Take a block from PortAudio, in its own thread: copy and count, nothing else.

        It finds the processor's caches cold: each step costs many times what it does in
        a loop, so that nothing is done here that the reader can do.
        """
        self._came_s = now = monotonic()
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

    def _frames_jumped(self, adc_s: float) -> int:
        """Return how many frames the converter's clock says are missing, at least one."""
        jump_s = adc_s - self._next_adc_s if self._next_adc_s else 0.0
        return max(1, min(round(jump_s * self._rate_hz), self.ring.capacity))

    def _on_finished(self) -> None:
        self.has_finished = True
