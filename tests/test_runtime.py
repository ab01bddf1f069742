"""The worker: nothing lost in a replay, nothing old live, and an end within a second."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from rt_ser.audio.source import ClosedSource
from rt_ser.errors import DeviceError
from rt_ser.runtime import StreamRunner
from rt_ser.testing import LABELS, ScriptedSource
from rt_ser.types import RATE_HZ, AudioChunk, Estimate, Meter, State, StreamStats, Summary
from tests import strategies as some

HOP = 1_600
SAMPLES = some.noise(2 * RATE_HZ)[:, 0]


class CountingPipeline:
    """A pipeline that says something every ``HOP`` samples and once more at the end."""

    def __init__(self, *, seconds_per_chunk: float = 0.0, fails_at: int | None = None) -> None:
        self.meter = Meter()
        self.stats = StreamStats()
        self.findings: tuple[str, ...] = ()
        self.threads: set[int] = set()
        self._seconds_per_chunk = seconds_per_chunk
        self._fails_at = fails_at

    def feed_events(self, chunk: AudioChunk) -> list[Estimate]:
        """Say what ends in this chunk."""
        self.threads.add(threading.get_ident())
        if self._fails_at is not None and chunk.stop > self._fails_at:
            raise ArithmeticError("the model is broken")
        time.sleep(self._seconds_per_chunk)
        position = self.stats.captured_samples
        gaps = self.stats.gaps + bool(chunk.gap)
        self.stats = replace(self.stats, captured_samples=chunk.stop, gaps=gaps)
        self.meter = Meter(position=chunk.stop)
        first = position // HOP + 1
        return [self._estimate(hop * HOP) for hop in range(first, chunk.stop // HOP + 1)]

    def flush_events(self) -> list[Estimate]:
        """Say the last thing."""
        return [self._estimate(self.stats.captured_samples, is_final=True)]

    def summary(self) -> Summary:
        """Sum up."""
        return Summary(
            labels=LABELS, label="", probs=np.zeros(8, np.float32), confidence=0.0, valence=0.0,
            arousal=0.0, duration_samples=self.stats.captured_samples, speech_samples=0,
            utterances=0, stats=self.stats,
        )  # fmt: skip

    def _estimate(self, stop: int, *, is_final: bool = False) -> Estimate:
        return Estimate(
            label="calm", labels=LABELS, probs=np.zeros(8, np.float32),
            window_probs=np.zeros(8, np.float32), confidence=0.0, state=State.SPEECH, valence=0.0,
            arousal=0.0, speech_prob=1.0, start=0, stop=stop, utterance=0, is_final=is_final,
            level_dbfs=-20.0,
        )  # fmt: skip


def stops(estimates: list[Estimate]) -> list[tuple[int, bool]]:
    """What tells two runs of the pipeline apart."""
    return [(estimate.stop, estimate.is_final) for estimate in estimates]


def by_hand(samples: int) -> list[tuple[int, bool]]:
    """What the pipeline says without any thread."""
    return [*((stop, False) for stop in range(HOP, samples + 1, HOP)), (samples, True)]


@settings(max_examples=15, deadline=None)
@given(some.chunk_sizes())
def test_a_replay_gives_what_the_pipeline_gives_by_hand(sizes: list[int]) -> None:
    with StreamRunner(ScriptedSource(SAMPLES, sizes), CountingPipeline(), max_queue=2) as runner:
        assert stops(list(runner)) == by_hand(len(SAMPLES))
        assert list(runner) == []
    assert runner.stats.skipped_estimates == 0


def test_a_replay_waits_for_a_slow_consumer() -> None:
    pipeline = CountingPipeline()
    runner = StreamRunner(ScriptedSource(SAMPLES), pipeline, max_queue=3)
    with runner:
        time.sleep(0.1)
        assert pipeline.stats.captured_samples <= 4 * HOP + 480
        assert stops(list(runner)) == by_hand(len(SAMPLES))


def test_live_the_oldest_estimates_give_way() -> None:
    source = ScriptedSource(SAMPLES, is_live=True)
    with StreamRunner(source, CountingPipeline(), max_queue=3) as runner:
        while runner.is_running:
            time.sleep(0.01)
        assert stops(list(runner)) == by_hand(len(SAMPLES))[-3:]
        assert runner.stats.skipped_estimates == len(by_hand(len(SAMPLES))) - 3
        assert runner.summary().stats.skipped_estimates == runner.stats.skipped_estimates


def test_the_newest_is_there_without_taking_any() -> None:
    with StreamRunner(ScriptedSource(SAMPLES, is_live=True), CountingPipeline()) as runner:
        assert runner.wait(5.0)
        assert runner.latest is not None
        assert runner.latest.stop == len(SAMPLES)
        assert runner.meter.position == runner.stats.captured_samples == len(SAMPLES)
        assert runner.summary().duration_samples == len(SAMPLES)
        assert not runner.is_running


def test_waiting_needs_no_consumer() -> None:
    with StreamRunner(ScriptedSource(SAMPLES), CountingPipeline(), max_queue=1) as runner:
        assert runner.wait(5.0)
        assert list(runner) == []


def test_waiting_ends_in_time() -> None:
    with StreamRunner(ScriptedSource(SAMPLES, hangs=True), CountingPipeline()) as runner:
        started = time.monotonic()
        assert not runner.wait(0.25)
        assert 0.2 < time.monotonic() - started < 5.0


def test_one_thread_owns_the_pipeline() -> None:
    pipeline = CountingPipeline()
    with StreamRunner(ScriptedSource(SAMPLES), pipeline) as runner:
        runner.wait(5.0)
    assert len(pipeline.threads) == 1
    assert threading.get_ident() not in pipeline.threads


def test_ages_are_those_of_the_newest_sample() -> None:
    source = ScriptedSource(SAMPLES, [HOP + 160], is_live=True)
    pipeline = CountingPipeline(seconds_per_chunk=0.02)
    with StreamRunner(source, pipeline) as runner:
        first = next(runner)
        assert first.age_ms is not None
        # The estimate ends 10 ms before its chunk does, and the pipeline took 20 ms.
        assert 29.0 < first.age_ms < 1000.0
        age_s = runner.audio_age_s
        assert age_s is not None
        assert 0.0 <= age_s < 1.0


def test_a_replay_has_no_ages() -> None:
    with StreamRunner(ScriptedSource(SAMPLES), CountingPipeline()) as runner:
        assert {estimate.age_ms for estimate in runner} == {None}
        assert runner.audio_age_s is None


@pytest.mark.parametrize("is_live", [True, False])
def test_stopping_takes_less_than_a_second_and_flushes(is_live: bool) -> None:
    source = ScriptedSource(SAMPLES[: 3 * HOP], is_live=is_live, hangs=True)
    runner = StreamRunner(source, CountingPipeline())
    runner.start()
    assert next(runner).stop == HOP
    started = time.monotonic()
    runner.stop()
    assert time.monotonic() - started < 1.0
    rest = stops(list(runner))
    assert rest[-1][1]
    assert source.closings == 1
    assert not runner.is_running
    runner.stop()


def test_stopping_a_replay_that_waits_for_room() -> None:
    runner = StreamRunner(ScriptedSource(SAMPLES), CountingPipeline(), max_queue=1)
    runner.start()
    time.sleep(0.05)
    started = time.monotonic()
    runner.stop()
    assert time.monotonic() - started < 1.0
    assert next(reversed(list(runner))).is_final


def test_a_request_to_stop_is_enough() -> None:
    with StreamRunner(ScriptedSource(SAMPLES, hangs=True), CountingPipeline()) as runner:
        runner.request_stop()
        assert runner.wait(1.0)


def test_leaving_early_stops_the_stream() -> None:
    source = ScriptedSource(SAMPLES, hangs=True)
    with StreamRunner(source, CountingPipeline()) as runner:
        for estimate in runner:
            if estimate.stop >= 2 * HOP:
                break
    assert source.closings == 1


def test_a_broken_source_is_heard_of_once_and_what_it_gave_is_summed_up() -> None:
    failure = DeviceError("input device 'x' vanished")
    with StreamRunner(ScriptedSource(SAMPLES, fails_with=failure), CountingPipeline()) as runner:
        with pytest.raises(DeviceError, match="vanished"):
            list(runner)
        assert runner.summary().duration_samples == len(SAMPLES)
        assert list(runner) == []


def test_what_came_before_a_failure_is_delivered() -> None:
    source = ScriptedSource(SAMPLES, fails_with=DeviceError("gone"))
    seen: list[Estimate] = []
    with pytest.raises(DeviceError, match="gone"):
        collect(StreamRunner(source, CountingPipeline()), seen)
    assert stops(seen) == by_hand(len(SAMPLES))


def collect(runner: StreamRunner, seen: list[Estimate]) -> None:
    """Run a stream as a program would."""
    with runner:
        for estimate in runner:
            seen.append(estimate)


def watch(runner: StreamRunner) -> None:
    """Run a stream without taking its estimates, as a display does."""
    with runner:
        while runner.is_running:
            time.sleep(0.01)


def test_a_broken_pipeline_is_heard_of() -> None:
    source = ScriptedSource(SAMPLES)
    runner = StreamRunner(source, CountingPipeline(fails_at=5 * HOP))
    runner.start()
    with pytest.raises(ArithmeticError, match="the model is broken"):
        runner.wait(5.0)
    assert source.closings == 1


def test_an_error_that_nobody_saw_is_raised_on_leaving() -> None:
    source = ScriptedSource(SAMPLES, is_live=True, fails_with=DeviceError("gone"))
    with pytest.raises(DeviceError, match="gone"):
        watch(StreamRunner(source, CountingPipeline()))


def test_an_error_under_way_is_not_replaced() -> None:
    source = ScriptedSource(SAMPLES, is_live=True, fails_with=DeviceError("gone"))
    runner = StreamRunner(source, CountingPipeline())
    runner.start()
    while runner.is_running:
        time.sleep(0.01)
    error = KeyError("mine")
    assert runner.__exit__(KeyError, error, None) is None


def test_a_source_that_does_not_open_fails_at_once() -> None:
    class Absent(ScriptedSource):
        def open(self) -> None:
            raise DeviceError("no input device found")

    runner = StreamRunner(Absent(SAMPLES), CountingPipeline())
    with pytest.raises(DeviceError, match="no input device"):
        runner.start()
    with pytest.raises(RuntimeError, match="not started"):
        next(runner)
    runner.stop()
    assert list(runner) == []


def test_a_stream_that_was_not_started_is_not_waited_for() -> None:
    runner = StreamRunner(ScriptedSource(SAMPLES), CountingPipeline())
    for wait in (lambda: list(runner), lambda: next(runner.events()), runner.wait):
        with pytest.raises(RuntimeError, match=r"not started: use it in a with .* call start"):
            wait()
    with runner:
        assert stops(list(runner)) == by_hand(len(SAMPLES))


def test_a_source_closed_by_someone_else_is_an_error() -> None:
    source = ScriptedSource(SAMPLES, is_live=True, hangs=True)
    runner = StreamRunner(source, CountingPipeline())
    runner.start()
    assert next(runner).stop == HOP
    source.close()
    with pytest.raises(ClosedSource):
        runner.wait(2.0)


def test_gaps_reach_the_pipeline() -> None:
    source = ScriptedSource(SAMPLES, gaps={0: 5, 1_000: 160, 9_000: 3})
    with StreamRunner(source, CountingPipeline()) as runner:
        runner.wait(5.0)
        assert runner.stats.gaps == 3
        assert runner.stats.captured_samples == len(SAMPLES) + 168


def test_a_stream_runs_once() -> None:
    with StreamRunner(ScriptedSource(SAMPLES), CountingPipeline()) as runner:
        with pytest.raises(RuntimeError, match="runs once"):
            runner.start()
        runner.wait(5.0)


def test_a_queue_needs_room_for_one() -> None:
    with pytest.raises(ValueError, match="max_queue=0 must be at least 1"):
        StreamRunner(ScriptedSource(SAMPLES), CountingPipeline(), max_queue=0)
