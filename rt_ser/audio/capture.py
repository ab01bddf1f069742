"""One microphone being recorded: a thread fills a ring from the recorder's pipe."""

from __future__ import annotations

import json
import subprocess
import threading
from time import monotonic
from typing import IO, Final

from rt_ser.audio.devices import InputDevice
from rt_ser.audio.driver import end_recorder, refusal, start_recorder
from rt_ser.audio.recorder import AUDIO_AFTER_OVERFLOW, OPENED, REFUSED, Record, pause_s, records
from rt_ser.audio.ring import SAMPLE_BYTES, RingBuffer
from rt_ser.errors import DeviceError

OPEN_S: Final = 5.0
"""How long a device may take to open: a sleeping sound server takes up to 2 s."""

BELIEVED_LAG_S: Final = 1.0
"""A converter's clock that starts further off than this is no clock of ours: only the
growth of its distance counts."""


class Capture:
    """A running recorder and the ring that is filled from it.

    ``callbacks`` counts the blocks that came, ``overflows`` the driver's complaints.
    ``lag_s`` is how long the newest block's first frame took from the converter to the
    recorder, and ``max_lag_s`` the longest: behind a sound server it is the only sign of
    an overload. ``has_finished`` tells that no more will come.

    Parameters
    ----------
    device : InputDevice
        Opened at its own rate and channels.
    block_ms : int
        Length of a captured block in milliseconds.
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
        # never sees half of it.
        self._origin_s = self._came_s = monotonic()
        self._next_adc_s = 0.0
        self._clock_offset_s: float | None = None
        self._rate_hz = device.rate_hz
        self._frame_bytes = SAMPLE_BYTES * device.channels
        self._recorder: subprocess.Popen[bytes] | None = None
        self._has_answered = threading.Event()
        self._refusal: DeviceError | None = None
        self._closing = threading.Lock()

    @property
    def process(self) -> int:
        """Number of the process that records; 0 while none does."""
        recorder = self._recorder
        return 0 if recorder is None else recorder.pid

    def start(self) -> None:
        """Open the device and start recording; raises DeviceError."""
        device, most_blocks = self.device, self.ring.capacity // self.block
        layout = device.index, device.name, device.rate_hz, device.channels, self.block
        self._recorder = recorder = start_recorder("record", *layout, most_blocks)
        try:
            threading.Thread(
                target=self._receive, args=(recorder.stdout,), name="rt-ser-capture", daemon=True
            ).start()
            if not self._has_answered.wait(OPEN_S):
                self._refusal = DeviceError(
                    f"input device {device.label!r} does not open: nothing came for "
                    f"{OPEN_S:.0f} s; restart the sound server or plug the microphone in again"
                )
            if self._refusal is not None:
                raise self._refusal
        except BaseException:  # Ctrl-C among them, which may come while a device does not open
            self.abort()
            raise

    def abort(self) -> None:
        """End the recording at once, whichever thread is ending it."""
        with self._closing:
            recorder, self._recorder = self._recorder, None
            if recorder is not None:
                end_recorder(recorder)

    def _receive(self, pipe: IO[bytes]) -> None:
        """Take records until there are no more, in a thread of its own."""
        what = f"input device {self.device.label!r}"
        with pipe:
            for record in records(pipe, self.block * self._frame_bytes):
                if record.kind == REFUSED:
                    self._refusal = refusal(what, json.loads(bytes(record.content)))
                elif record.kind == OPENED:
                    self._has_answered.set()
                else:
                    self.take(record)
        if self._refusal is None and not self._has_answered.is_set():
            self._refusal = refusal(what, {"text": "its recorder crashed"})
        self.has_finished = True
        self._has_answered.set()

    def captured_at(self, position: int) -> float:
        """Return monotonic seconds at which the frame before ``position`` was captured."""
        return self._origin_s + position / self._rate_hz

    def pause_s(self) -> float:
        """Return for how many seconds there will be no further block."""
        return pause_s(self._came_s, self.block / self._rate_hz)

    def take(self, record: Record) -> None:
        """Take a block of float32 frames into the ring."""
        ring, rate_hz = self.ring, self._rate_hz
        frames = len(record.content) // self._frame_bytes
        if record.lost:
            ring.lose(record.lost)
        if record.kind == AUDIO_AFTER_OVERFLOW:
            self.overflows += 1
            ring.lose(self._frames_jumped(record.adc_s))
        ring.write(record.content, frames)
        length_s = frames / rate_hz
        self._next_adc_s = record.adc_s + length_s
        lag_s = record.current_s - record.adc_s
        if self._clock_offset_s is None:
            self._clock_offset_s = 0.0 if 0.0 <= lag_s < BELIEVED_LAG_S else lag_s
        self.lag_s = lag_s = lag_s - self._clock_offset_s
        self.max_lag_s = max(self.max_lag_s, lag_s)
        # PortAudio tells the age of the block's oldest frame
        newest_s = record.came_s - max(0.0, lag_s - length_s)
        self._came_s = record.came_s
        self._origin_s = newest_s - (ring.written + ring.dropped) / rate_hz
        self.callbacks += 1

    def _frames_jumped(self, adc_s: float) -> int:
        """Return how many frames the converter's clock says are missing, at least one."""
        jump_s = adc_s - self._next_adc_s if self._next_adc_s else 0.0
        return max(1, min(round(jump_s * self._rate_hz), self.ring.capacity))
