"""A microphone as a source of mono audio at the pipeline rate."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from functools import partial

import numpy as np

from rt_ser.audio.capture import Capture
from rt_ser.audio.convert import Chunker, Converter, samples_at
from rt_ser.audio.devices import InputDevice
from rt_ser.audio.keeper import Keeper
from rt_ser.audio.limited import LimitedSource
from rt_ser.audio.pcm import MAX_MAGNITUDE, first_unusable
from rt_ser.audio.source import AudioSource, ClosedSource, SourceBase, SourceCounters
from rt_ser.config import AudioSettings
from rt_ser.types import F32, AudioChunk


def microphone(
    settings: AudioSettings, *, device: str | int | None = None, seconds: float | None = None
) -> AudioSource:
    """Return the microphone that the settings ask for, not open yet.

    Parameters
    ----------
    device : str or int, optional
        In place of the settings' own.
    seconds : float, optional
        Where to end, in seconds of audio; never if not given.

    Raises
    ------
    InputError
        ``seconds`` is not above 0.
    """
    source = MicrophoneSource(
        settings.device if device is None else device,
        channel=settings.channel,
        block_ms=settings.block_ms,
        ring_s=settings.ring_s,
        max_age_s=settings.max_age_s,
        device_fallback=settings.device_fallback,
    )
    return source if seconds is None else LimitedSource(source, seconds=seconds)


class Doorbell:
    """Wakes one waiting thread; ringing it never waits for anything.

    An Event would have a signal's handler wait for the lock that its own thread holds.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake the waiting thread, or the next one to wait."""
        # Where it has been rung and not heard yet there is nothing left to do.
        with contextlib.suppress(RuntimeError):
            self._lock.release()

    def wait(self, timeout_s: float) -> None:
        """Wait until it rings, ``timeout_s`` at most."""
        self._lock.acquire(timeout=timeout_s)


class MicrophoneSource(SourceBase):
    """An input device, opened at its own rate and channels and converted.

    When it hangs, is unplugged, or its sound server dies, ``read`` gives nothing and
    ``trouble`` says why; the device is found again by its name and opened as soon as it
    is there. The chunk after that tells the gap, in real time.

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
        A reader that finds older audio than this waiting skips to the newest: it is no
        longer the present. The chunk after it tells the gap.
    device_fallback : bool
        Whether another device will do where this one is gone.
    """

    def __init__(
        self,
        device: str | int | None = None,
        *,
        channel: str = "first",
        block_ms: int = 30,
        ring_s: float = 10.0,
        max_age_s: float = 1.5,
        device_fallback: bool = False,
    ) -> None:
        self._spec = device
        self._channel = channel
        self._block_ms = block_ms
        self._ring_s = ring_s
        self._max_age_s = max_age_s
        self._device_fallback = device_fallback
        self._keeper: Keeper | None = None
        self._closed = Doorbell()
        self._is_open = False
        self._given_name = "default input" if device is None else str(device)

    @property
    def name(self) -> str:
        """The device's name, once it is open."""
        return self._given_name if self._keeper is None else self._keeper.device.label

    @property
    def is_live(self) -> bool:
        """True: a microphone waits for nobody."""
        return True

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing: what a microphone has to say is in its counters."""
        return ()

    @property
    def trouble(self) -> str:
        """Why nothing comes at present, with what to do; empty while it works."""
        return "" if self._keeper is None else self._keeper.trouble

    @property
    def counters(self) -> SourceCounters:
        """What was captured, lost or mended since ``open``."""
        keeper = self._keeper
        if keeper is None:
            return SourceCounters()
        capture, chunker = self._capture, self._chunker
        rate_hz = capture.device.rate_hz
        untold = capture.ring.dropped + capture.ring.skipped - self._told_lost
        return SourceCounters(
            captured_samples=chunker.origin + samples_at(capture.ring.position, rate_hz),
            overflows=self._overflows + capture.overflows,
            dropped_samples=chunker.lost + samples_at(max(0, untold), rate_hz),
            gaps=self._gaps,
            replaced_frames=self._replaced,
            reopened=keeper.reopened,
            max_lag_s=max(self._max_lag_s, capture.max_lag_s),
        )

    def open(self) -> None:
        """Find the device and start recording; raises DeviceError."""
        keeper = Keeper(
            self._spec,
            # Nothing of ours: a driver that does not let go keeps the keeper to the very end.
            partial(Capture, block_ms=self._block_ms, ring_s=self._ring_s),
            max_lag_s=self._max_age_s,
            may_fall_back=self._device_fallback,
        )
        self._capture = keeper.capture
        self._chunker = Chunker(self._converter(keeper.device))
        self._ready: deque[AudioChunk] = deque()
        self._position = self._told_lost = 0
        self._gaps = self._replaced = self._overflows = 0
        self._max_lag_s = 0.0
        keeper.open()
        self._keeper = keeper
        self._is_open = True

    def read(self, timeout_s: float) -> AudioChunk | None:
        """Return the next chunk; see :class:`~rt_ser.audio.source.AudioSource`."""
        deadline = time.monotonic() + timeout_s
        while True:
            if self._keeper is None or not self._is_open:
                raise ClosedSource(f"{self.name}: not open")
            if not self._ready:
                self._take(self._keeper)
            if self._ready:
                return self._ready.popleft()
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return None
            self._closed.wait(min(left_s, self._capture.pause_s()))

    def finish(self) -> list[AudioChunk]:
        """Stop recording and return what had been captured up to now, the resampler's tail too."""
        keeper = self._keeper
        if keeper is None or not self._is_open:
            return []
        self.close()
        while self._take(keeper):
            pass
        tail = self._chunker.flush()
        rest = [*self._ready, *([] if tail is None else [tail])]
        self._ready.clear()
        return rest

    def close(self) -> None:
        """Stop recording at once and wake a waiting ``read``."""
        self._is_open = False
        if self._keeper is not None:
            self._keeper.close()
        self._closed.ring()

    def _converter(self, device: InputDevice) -> Converter:
        return Converter(device.rate_hz, device.channels, channel=self._channel)

    def _take(self, keeper: Keeper) -> bool:
        """Convert a block from the ring into chunks; tell whether there was one."""
        newest = keeper.capture
        # Looked at in this order: what has been replaced is written to no more.
        if newest is not self._capture and not self._capture.ring.available:
            self._go_on_with(newest)
        capture = self._capture
        # Taken once: in a flood the next block makes everything before it older.
        origin_s = capture.captured_at(0)
        self._skip_what_is_old(capture, origin_s)
        block = capture.ring.read(capture.block)
        if not len(block.frames):
            return False
        self._position += block.lost + len(block.frames)
        captured_at = origin_s + self._position / capture.device.rate_hz
        # What waited was looked at while more came in; what was read is certain.
        is_old = captured_at < time.monotonic() - self._max_age_s
        lost = block.lost + (len(block.frames) if is_old else 0)
        if lost:
            self._gaps += 1
            self._told_lost += block.lost
            self._put(self._chunker.lose(lost))
        if not is_old:
            frames = self._without_bad_values(block.frames)
            self._put(self._chunker.push(frames, captured_at=captured_at))
        return True

    def _put(self, chunk: AudioChunk | None) -> None:
        if chunk is not None:
            self._ready.append(chunk)

    def _go_on_with(self, newest: Capture) -> None:
        """Read from the stream that was opened in place of one that failed."""
        failed, self._capture = self._capture, newest
        lost_s = newest.captured_at(0) - failed.captured_at(self._position)
        self._put(self._chunker.restart(self._converter(newest.device), lost_s=max(0.0, lost_s)))
        self._overflows += failed.overflows
        self._max_lag_s = max(self._max_lag_s, failed.max_lag_s)
        self._gaps += 1
        self._position = self._told_lost = 0

    def _skip_what_is_old(self, capture: Capture, origin_s: float) -> None:
        """Pass over audio that is no longer the present, all but the newest block if that is."""
        ring, rate_hz = capture.ring, capture.device.rate_hz
        waiting = ring.available
        oldest_allowed = (time.monotonic() - self._max_age_s - origin_s) * rate_hz
        if not waiting or (
            waiting <= self._max_age_s * rate_hz and ring.oldest >= oldest_allowed
        ):
            return
        is_late = ring.newest < oldest_allowed
        ring.skip(waiting if is_late else max(0, waiting - capture.block))

    def _without_bad_values(self, frames: F32) -> F32:
        """Replace what is no audio, which a broken driver delivers, by silence; count it."""
        if first_unusable(frames) is not None:
            is_bad = ~(np.abs(frames) <= MAX_MAGNITUDE)
            self._replaced += int(is_bad.any(axis=1).sum())
            frames[is_bad] = 0.0
        return frames
