"""A microphone as a source of mono audio at the pipeline rate."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

import numpy as np

from rt_ser.audio.capture import Capture
from rt_ser.audio.convert import Chunker, Converter, samples_at
from rt_ser.audio.devices import find
from rt_ser.audio.ring import RingBlock
from rt_ser.audio.source import ClosedSource, SourceBase, SourceCounters
from rt_ser.errors import DeviceError
from rt_ser.types import F32, AudioChunk

STALL_S: Final = 1.0
"""Silence of the callback after which a device counts as hung."""

FIRST_CALLBACK_S: Final = 5.0
"""The same before the first callback: a sleeping sound server takes up to 2 s."""


class MicrophoneSource(SourceBase):
    """An input device, opened at its own rate and channels and converted.

    Parameters
    ----------
    device : str or int, optional
        Index or part of the name; None for the default device.
    channel : {"first", "mix"}
        Take the first channel, or the mean of all.
    block_ms : int
        Length of a captured block in milliseconds.
    ring_s : float
        Seconds of audio that can wait for a reader before some is dropped.
    max_age_s : float
        A reader that finds more audio than this waiting skips to the newest: what is
        older is no longer the present. The chunk after it tells the gap.
    """

    def __init__(
        self,
        device: str | int | None = None,
        *,
        channel: str = "first",
        block_ms: int = 30,
        ring_s: float = 10.0,
        max_age_s: float = 1.5,
    ) -> None:
        self._spec = device
        self._channel = channel
        self._block_ms = block_ms
        self._ring_s = ring_s
        self._max_age_s = max_age_s
        self._capture: Capture | None = None
        self._is_open = False
        self._name = "default input" if device is None else str(device)
        self._gaps = 0
        self._replaced = 0

    @property
    def name(self) -> str:
        """The device's name, once it is open."""
        return self._name

    @property
    def is_live(self) -> bool:
        """True: a microphone waits for nobody."""
        return True

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing: what a microphone has to say is in its counters."""
        return ()

    @property
    def counters(self) -> SourceCounters:
        """What was lost or mended since ``open``."""
        capture = self._capture
        if capture is None:
            return SourceCounters()
        lost = capture.ring.dropped + capture.ring.skipped
        return SourceCounters(
            overflows=capture.overflows,
            dropped_samples=samples_at(lost, capture.device.rate_hz),
            gaps=self._gaps,
            replaced_frames=self._replaced,
        )

    def open(self) -> None:
        """Find the device and start recording; raises DeviceError."""
        device = find(self._spec)
        capture = Capture(device, block_ms=self._block_ms, ring_s=self._ring_s)
        converter = Converter(device.rate_hz, device.channels, channel=self._channel)
        self._chunker = Chunker(converter)
        self._ready: deque[AudioChunk] = deque()
        self._position = 0
        self._gaps = self._replaced = 0
        self._name = device.label
        capture.start()
        self._capture = capture
        self._is_open = True

    def read(self, timeout_s: float) -> AudioChunk | None:
        """Return the next chunk; see :class:`~rt_ser.audio.source.AudioSource`."""
        deadline = time.monotonic() + timeout_s
        while True:
            capture = self._capture
            if capture is None or not self._is_open:
                raise ClosedSource(f"{self.name}: not open")
            if not self._ready:
                self._take(capture)
            if self._ready:
                return self._ready.popleft()
            # Looked at before waiting and with the ring empty: no sound of its end is lost.
            self._check_alive(capture)
            wait_s = deadline - time.monotonic()
            if wait_s <= 0 or not capture.doorbell.wait(wait_s):
                return None

    def close(self) -> None:
        """Stop recording at once and wake a waiting ``read``."""
        self._is_open = False
        if self._capture is not None:
            self._capture.abort()
            self._capture.doorbell.ring()

    def _take(self, capture: Capture) -> None:
        """Convert a block from the ring into chunks; before a loss the tail comes apart."""
        if capture.ring.available > self._max_age_s * capture.device.rate_hz:
            capture.ring.skip(capture.ring.available - capture.block)
        block = capture.ring.read(capture.block)
        if not len(block.frames):
            return
        self._position += block.lost + len(block.frames)
        chunks = [self._note_loss(block)] if block.lost else []
        frames = self._without_bad_values(block.frames)
        captured_at = capture.captured_at(self._position)
        chunks.append(self._chunker.push(frames, captured_at=captured_at))
        self._ready.extend(chunk for chunk in chunks if chunk is not None)

    def _note_loss(self, block: RingBlock) -> AudioChunk | None:
        self._gaps += 1
        return self._chunker.lose(block.lost)

    def _without_bad_values(self, frames: F32) -> F32:
        """Replace NaN and infinity, which a broken driver delivers, by silence; count them."""
        is_bad = ~np.isfinite(frames)
        if is_bad.any():
            self._replaced += int(is_bad.any(axis=1).sum())
            frames[is_bad] = 0.0
        return frames

    def _check_alive(self, capture: Capture) -> None:
        """Raise DeviceError when the stream has ended or its callbacks have."""
        if capture.has_finished and self._is_open:
            raise DeviceError(
                f"input device {self.name!r} vanished: it was unplugged or the sound server "
                "ended; plug it in again, then see rt-ser devices"
            )
        limit_s = STALL_S if capture.has_called else FIRST_CALLBACK_S
        if time.monotonic() - capture.last_callback > limit_s:
            raise DeviceError(
                f"input device {self.name!r} hangs: no audio for {limit_s:g} s; "
                "plug it in again or choose another, see rt-ser devices"
            )
