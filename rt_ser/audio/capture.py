"""One open PortAudio stream: its callback copies and counts, a reader takes the rest."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any, Final

from rt_ser.audio.devices import InputDevice, portaudio
from rt_ser.audio.ring import RingBuffer
from rt_ser.types import F32

_MAX_LAG_S: Final = 60.0


class Doorbell:
    """Wakes one waiting thread; ringing it never waits for anything.

    An Event would make the callback take the lock that the waiting thread holds.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake the waiting thread, or the next one to wait."""
        with contextlib.suppress(RuntimeError):  # it has been rung and not heard yet
            self._lock.release()

    def wait(self, timeout_s: float) -> bool:
        """Wait until it rings; tell whether it did."""
        return self._lock.acquire(timeout=max(0.0, timeout_s))


class Capture:
    """A running input stream and the ring that it fills.

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
        self.doorbell = Doorbell()
        self.overflows = 0
        self.has_finished = False
        self.last_callback = time.monotonic()
        self.has_called = False
        # Stream position in frames, losses included, and when it was captured: one object,
        # so that the reader never sees half of it.
        self._stamp = (0, self.last_callback)
        self._next_adc_s = 0.0
        self._stream: Any = None
        self._closing = threading.Lock()

    def start(self) -> None:
        """Open the device and start recording; raises DeviceError."""
        with portaudio(f"input device {self.device.label!r}") as sounddevice:
            self._stream = sounddevice.InputStream(
                device=self.device.index,
                samplerate=self.device.rate_hz,
                channels=self.device.channels,
                blocksize=self.block,
                dtype="float32",
                callback=self.take,
                finished_callback=self._on_finished,
            )
            self.last_callback = time.monotonic()
            self._stream.start()

    def abort(self) -> None:
        """End the stream at once: ``stop`` would wait for ever on a stalled device.

        Returns when it has ended, whichever thread is ending it: PortAudio hangs when it
        is terminated meanwhile.
        """
        with self._closing:
            stream, self._stream = self._stream, None
            if stream is not None:
                stream.abort(ignore_errors=True)
                stream.close(ignore_errors=True)

    def captured_at(self, position: int) -> float:
        """Return monotonic seconds at which the frame before ``position`` was captured."""
        stamp_position, stamp_s = self._stamp
        return stamp_s - (stamp_position - position) / self.device.rate_hz

    def take(self, indata: F32, frames: int, timing: Any, status: Any) -> None:
        """Take a block from PortAudio, in its own thread: copy and count, nothing else."""
        now = time.monotonic()
        if status and status.input_overflow:
            self.overflows += 1
            self.ring.lose(self._frames_jumped(timing.inputBufferAdcTime))
        self._next_adc_s = timing.inputBufferAdcTime + frames / self.device.rate_hz
        self.ring.write(indata)
        # Age of the block's newest frame: PortAudio tells that of its oldest.
        age_s = timing.currentTime - self._next_adc_s
        captured = now - age_s if 0 <= age_s < _MAX_LAG_S else now
        self._stamp = (self.ring.written + self.ring.dropped, captured)
        self.last_callback = now
        self.has_called = True
        self.doorbell.ring()

    def _frames_jumped(self, adc_s: float) -> int:
        """Return how many frames the converter's clock says are missing, at least one."""
        jump_s = adc_s - self._next_adc_s if self._next_adc_s else 0.0
        return max(1, min(round(jump_s * self.device.rate_hz), self.ring.capacity))

    def _on_finished(self) -> None:
        self.has_finished = True
        self.doorbell.ring()
