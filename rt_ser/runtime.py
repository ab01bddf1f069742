"""A stream at work: one worker thread that reads a source and owns the pipeline.

A recording waits for whoever takes the estimates, so nothing is lost and the result
is that of calling the pipeline by hand. A microphone waits for nobody: where the
consumer is slow the oldest estimates are dropped and counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from rt_ser.accounting import with_source
from rt_ser.audio.source import AudioSource, ClosedSource, EndOfStream
from rt_ser.event_queue import POLL_S, EventQueue
from rt_ser.lifetime import NOT_STARTED, Lifetime
from rt_ser.mute import HOLD_OFF_S
from rt_ser.stream_events import StreamEvent, Tally, Utterance
from rt_ser.stream_pipeline import StreamPipeline
from rt_ser.types import RATE_HZ, AudioChunk, Estimate, Meter, State, StreamStats, Summary

STOP_S: Final = 1.0
"""How long ``stop`` waits for the worker."""


class StreamRunner(Lifetime):
    """Runs a source through a pipeline and hands out the estimates.

    A context manager and an iterator of :class:`~rt_ser.types.Estimate` for one
    consuming thread; :meth:`events` gives utterances, gaps and counters too. ``latest``,
    ``meter``, ``stats`` and ``audio_age_s`` may be read, and ``mute``, ``unmute`` and
    ``stop`` called, from any thread; none of them waits for the worker but ``stop``. What
    goes wrong in the worker is raised in the consumer, once what was made before it has
    been taken.

    Parameters
    ----------
    source : AudioSource
        Opened by ``start``, closed at the end.
    pipeline : StreamPipeline
        The worker's alone while the stream runs.
    max_queue : int
        Estimates and other events that may lie untaken, at least 1.
    max_age_s : float
        Where the newest audio of a live source is older, ``latest`` is stale.
    """

    def __init__(
        self,
        source: AudioSource,
        pipeline: StreamPipeline,
        *,
        max_queue: int = 256,
        max_age_s: float = 1.5,
    ) -> None:
        super().__init__()
        self.source = source
        self._pipeline = pipeline
        self._queue = EventQueue(max_queue, waits=not source.is_live)
        self._pipeline_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_started = self._stopping = False
        self._latest: Estimate | None = None
        self._meter = pipeline.meter
        self._stats = pipeline.stats
        self._findings: tuple[str, ...] = ()
        self._newest: AudioChunk | None = None
        self._trouble = ""
        self._max_age_s = max_age_s

    @property
    def latest(self) -> Estimate | None:
        """The newest estimate, whether or not it has been taken; stale if no fresh audio comes."""
        latest, age_s = self._latest, self.audio_age_s
        is_old = age_s is not None and age_s > self._max_age_s
        if latest is None or not is_old or not self.is_running or latest.state is State.STALE:
            return latest
        reason = f"no fresh audio for {age_s:.1f} s"
        return replace(latest, state=State.STALE, label="", confidence=0.0, reason=reason)

    @property
    def meter(self) -> Meter:
        """Level and gate at the newest frame."""
        return self._meter

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong with the input at present, in words, with what to do."""
        return self._findings

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
        return self._thread is not None and not self._queue.is_finished

    def summary(self) -> Summary:
        """Return the stream in total, up to now or to its end."""
        with self._pipeline_lock:
            summary = self._pipeline.summary()
        return replace(summary, stats=self._with_counters(summary.stats))

    def mute(self) -> None:
        """Stop listening, as while an agent speaks itself; any thread may ask for it."""
        self._pipeline.mute()

    def unmute(self, *, hold_off_s: float = HOLD_OFF_S) -> None:
        """Listen again after ``hold_off_s`` more seconds of audio; any thread may ask for it.

        Live, what was captured by now and still waits to be heard stays muted too.
        """
        waiting_s = min(self.audio_age_s or 0.0, self._max_age_s)
        self._pipeline.unmute(hold_off_s=hold_off_s + waiting_s)

    def start(self) -> None:
        """Open the source and start the worker; raises what ``source.open`` raises."""
        if self._is_started:
            raise RuntimeError("a stream runs once: make another StreamRunner")
        self._is_started = True
        try:
            self.source.open()
        except BaseException:
            self._is_started = False
            raise
        # A daemon: no stuck driver may keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="rt-ser-worker", daemon=True)
        try:
            self._thread.start()
        except BaseException:
            self.request_stop()
            self._finish()
            raise

    def request_stop(self) -> None:
        """Ask the worker to end; takes no lock, so a signal handler may call it."""
        self._stopping = True
        self._queue.release()

    def stop(self) -> None:
        """End the stream within a second: open speech is judged, the source closed.

        Estimates not taken yet stay available to the iterator.
        """
        self.request_stop()
        if self._thread is None:
            self._queue.finish()
        elif self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(STOP_S)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Let the stream run to its end without taking estimates; tell whether it ended.

        From here on estimates are not kept, so a replay never waits for a consumer.
        Raises what went wrong in the worker, and RuntimeError before the stream is started.
        """
        self._check_started()
        if not self._queue.drain(timeout_s):
            return False
        self._raise_error()
        return True

    def __iter__(self) -> Iterator[Estimate]:
        """Return the stream itself."""
        return self

    def __next__(self) -> Estimate:
        """Wait for the next estimate; the iteration ends with the stream."""
        for event in self.events():
            if isinstance(event, Estimate):
                return event
        raise StopIteration

    def events(self) -> Iterator[StreamEvent]:
        """Yield all that the stream tells, in order, until it ends.

        An event is given once, whichever way it is asked for: whoever wants more than the
        estimates takes everything from here. Raises RuntimeError before the stream is started.
        """
        self._check_started()
        while (event := self._queue.take()) is not None:
            yield event
        self._raise_error()

    def _check_started(self) -> None:
        """Refuse to wait for what will never come."""
        if not self._is_started and not self._queue.is_finished:
            raise RuntimeError(NOT_STARTED)

    def _run(self) -> None:
        try:
            for chunk in self._chunks():
                with self._pipeline_lock:
                    events = self._pipeline.feed_events(chunk)
                self._newest = chunk
                self._publish(events)
            with self._pipeline_lock:
                events = self._pipeline.flush_events()
            self._publish(events)
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
                    self._trouble = ""
                    yield chunk
                else:
                    self._look_for_trouble()
            yield from self.source.finish()
        except EndOfStream:
            return
        except ClosedSource as error:
            self._error = None if self._stopping else error
        except Exception as error:
            self._error = error

    def _look_for_trouble(self) -> None:
        """Say once why nothing comes: what the source knows, or else that it is so.

        Without the latter, speech that was open when the machine stalled would be told
        as the present whenever the source finds out.
        """
        age_s = self.audio_age_s
        is_overdue = age_s is not None and age_s > self._max_age_s and not self._trouble
        overdue = f"no fresh audio for {self._max_age_s:g} s" if is_overdue else ""
        trouble = self.source.trouble or overdue
        if trouble and trouble != self._trouble:
            self._trouble = trouble
            with self._pipeline_lock:
                events = self._pipeline.interrupt_events(trouble)
            self._publish(events)

    def _publish(self, events: Iterable[StreamEvent]) -> None:
        self._meter = self._pipeline.meter
        self._stats = self._pipeline.stats
        self._findings = self._pipeline.findings
        for event in map(self._completed, events):
            if isinstance(event, Estimate):
                self._latest = event
            self._queue.put(event)

    def _finish(self) -> None:
        try:
            self.source.close()
        except Exception as error:
            self._error = self._error or error
        self._queue.finish()

    def _completed(self, event: StreamEvent) -> StreamEvent:
        """Fill in what only a stream at work can know: ages, and the source's counters."""
        if isinstance(event, Estimate):
            return replace(event, age_ms=self._age_ms(event.stop))
        if isinstance(event, Utterance):
            return replace(event, age_ms=self._age_ms(event.decided))
        if isinstance(event, Tally):
            return replace(event, stats=self._with_counters(event.stats))
        return event

    def _age_ms(self, position: int) -> float | None:
        """Return how old a sample is, where that can be known."""
        age_s = self.audio_age_s
        if age_s is None or self._newest is None:
            return None
        return 1000 * (age_s + (self._newest.stop - position) / RATE_HZ)

    def _with_counters(self, stats: StreamStats) -> StreamStats:
        return with_source(
            stats, self.source.counters, skipped_estimates=self._queue.skipped
        )
