"""A stream at work: one worker thread that reads a source and owns the pipeline.

A recording waits for whoever takes the estimates, so nothing is lost and the result
is that of calling the pipeline by hand. A microphone waits for nobody: where the
consumer is slow the oldest estimates are dropped and counted.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Final, Protocol, Self

from rt_ser.audio.source import AudioSource, ClosedSource, EndOfStream
from rt_ser.types import RATE_HZ, AudioChunk, Estimate, Meter, StreamStats, Summary

POLL_S: Final = 0.1
"""Longest time for which any wait goes without looking whether it should end."""

STOP_S: Final = 1.0
"""How long ``stop`` waits for the worker."""


class StreamPipeline(Protocol):
    """The part of :class:`rt_ser.pipeline.Pipeline` that a stream drives."""

    @property
    def meter(self) -> Meter: ...  # noqa: D102
    @property
    def stats(self) -> StreamStats: ...  # noqa: D102

    def feed(self, chunk: AudioChunk) -> list[Estimate]:
        """Take in a chunk."""

    def flush(self) -> list[Estimate]:
        """Close what is open."""

    def summary(self) -> Summary:
        """Sum up the stream."""


class StreamRunner:
    """Runs a source through a pipeline and hands out the estimates.

    A context manager and an iterator of :class:`~rt_ser.types.Estimate` for one
    consuming thread. ``latest``, ``meter``, ``stats`` and ``audio_age_s`` may be read
    from any thread and never wait for the worker. What goes wrong in the worker is
    raised in the consumer, once the estimates made before it have been taken.

    Parameters
    ----------
    source : AudioSource
        Opened by ``start``, closed at the end.
    pipeline : StreamPipeline
        The worker's alone while the stream runs.
    max_queue : int
        Estimates that may lie untaken, at least 1.
    """

    def __init__(
        self, source: AudioSource, pipeline: StreamPipeline, *, max_queue: int = 256
    ) -> None:
        if max_queue < 1:
            raise ValueError(f"max_queue={max_queue} must be at least 1")
        self.source = source
        self._pipeline = pipeline
        self._max_queue = max_queue
        self._queue: deque[Estimate] = deque()
        self._changed = threading.Condition()
        self._pipeline_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._discarding = False
        self._done = False
        self._error: BaseException | None = None
        self._skipped = 0
        self._latest: Estimate | None = None
        self._meter = pipeline.meter
        self._stats = pipeline.stats
        self._newest: AudioChunk | None = None

    @property
    def latest(self) -> Estimate | None:
        """The newest estimate, whether or not it has been taken."""
        return self._latest

    @property
    def meter(self) -> Meter:
        """Level and gate at the newest frame."""
        return self._meter

    @property
    def stats(self) -> StreamStats:
        """Counters of the pipeline, the source and the queue."""
        return self._with_counters(self._stats)

    @property
    def audio_age_s(self) -> float | None:
        """Seconds since the newest audio that reached the pipeline; None in a replay."""
        newest = self._newest
        if newest is None or newest.captured_at is None:
            return None
        return max(0.0, time.monotonic() - newest.captured_at)

    @property
    def is_running(self) -> bool:
        """Whether the worker is at work."""
        return self._thread is not None and not self._done

    def summary(self) -> Summary:
        """Return the stream in total, up to now or to its end."""
        with self._pipeline_lock:
            summary = self._pipeline.summary()
        return replace(summary, stats=self._with_counters(summary.stats))

    def start(self) -> None:
        """Open the source and start the worker; raises what ``source.open`` raises."""
        if self._thread is not None:
            raise RuntimeError("a stream runs once: make another StreamRunner")
        self.source.open()
        # A daemon: no stuck driver may keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="rt-ser-worker", daemon=True)
        self._thread.start()

    def request_stop(self) -> None:
        """Ask the worker to end; takes no lock, so a signal handler may call it."""
        self._stopping = True

    def stop(self) -> None:
        """End the stream within a second: open speech is judged, the source closed.

        Estimates not taken yet stay available to the iterator.
        """
        self.request_stop()
        with self._changed:
            self._changed.notify_all()
        if self._thread is None:
            self._done = True
        elif self._thread is not threading.current_thread():
            self._thread.join(STOP_S)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Let the stream run to its end without taking estimates; tell whether it ended.

        From here on estimates are not kept, so a replay never waits for a consumer.
        Raises what went wrong in the worker.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            self._discarding = True
            self._queue.clear()
            self._changed.notify_all()
            while not self._done:
                left_s = POLL_S if deadline is None else deadline - time.monotonic()
                if left_s <= 0:
                    return False
                self._changed.wait(min(POLL_S, left_s))
        self._raise_error()
        return True

    def __enter__(self) -> Self:
        """Start the stream."""
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the stream; an error that nobody has seen is raised unless one is under way."""
        self.stop()
        if exc_type is None:
            self._raise_error()

    def __iter__(self) -> Iterator[Estimate]:
        """Return the stream itself."""
        return self

    def __next__(self) -> Estimate:
        """Wait for the next estimate; the iteration ends with the stream."""
        with self._changed:
            while not self._queue and not self._done:
                # A bound on each wait: on Windows Ctrl-C does not interrupt one.
                self._changed.wait(POLL_S)
            if self._queue:
                estimate = self._queue.popleft()
                self._changed.notify_all()
                return estimate
        self._raise_error()
        raise StopIteration

    def _run(self) -> None:
        try:
            for chunk in self._chunks():
                with self._pipeline_lock:
                    estimates = self._pipeline.feed(chunk)
                self._newest = chunk
                self._publish(estimates)
            with self._pipeline_lock:
                estimates = self._pipeline.flush()
            self._publish(estimates)
        except BaseException as error:
            self._error = self._error or error
        finally:
            self._finish()

    def _chunks(self) -> Iterator[AudioChunk]:
        """Yield chunks until the source ends, fails or the stream is stopped.

        A failure is kept for later: what was heard before it is still judged.
        """
        try:
            while not self._stopping:
                chunk = self.source.read(POLL_S)
                if chunk is not None:
                    yield chunk
        except EndOfStream:
            return
        except ClosedSource as error:
            self._error = None if self._stopping else error
        except Exception as error:
            self._error = error

    def _publish(self, estimates: Iterable[Estimate]) -> None:
        self._meter = self._pipeline.meter
        self._stats = self._pipeline.stats
        for estimate in estimates:
            self._deliver(self._with_age(estimate))

    def _deliver(self, estimate: Estimate) -> None:
        """Queue an estimate: live by dropping the oldest, in a replay by waiting for room."""
        with self._changed:
            self._latest = estimate
            if self.source.is_live and len(self._queue) >= self._max_queue:
                self._queue.popleft()
                self._skipped += 1
            while self._must_wait():
                self._changed.wait(POLL_S)
            if not self._discarding:
                self._queue.append(estimate)
            self._changed.notify_all()

    def _must_wait(self) -> bool:
        # Once stopping, the last few estimates may exceed the bound: nobody makes room.
        is_full = len(self._queue) >= self._max_queue
        return is_full and not self._stopping and not self._discarding

    def _finish(self) -> None:
        try:
            self.source.close()
        except Exception as error:
            self._error = self._error or error
        with self._changed:
            self._done = True
            self._changed.notify_all()

    def _with_age(self, estimate: Estimate) -> Estimate:
        """Fill in how old the estimate's newest sample is, where that can be known."""
        age_s = self.audio_age_s
        if age_s is None or self._newest is None:
            return estimate
        behind_s = (self._newest.stop - estimate.stop) / RATE_HZ
        return replace(estimate, age_ms=1000 * (age_s + behind_s))

    def _with_counters(self, stats: StreamStats) -> StreamStats:
        return replace(
            stats, overflows=self.source.counters.overflows, skipped_estimates=self._skipped
        )

    def _raise_error(self) -> None:
        """Raise the worker's error, once."""
        error, self._error = self._error, None
        if error is not None:
            raise error
