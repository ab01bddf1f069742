"""Overload: what is too old is skipped and counted, and the books balance at every moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_ser.accounting import with_source
from rt_ser.audio.microphone import MicrophoneSource
from rt_ser.audio.source import SourceCounters
from rt_ser.pipeline import Pipeline
from rt_ser.runtime import StreamRunner
from rt_ser.stream_events import StreamEvent
from rt_ser.testing import FakeClassifier
from rt_ser.types import RATE_HZ, AudioChunk, StreamStats
from tests.vmic import VirtualMicrophone, missing
from tests.vmic import virtual_microphone as virtual_microphone

needs_microphone = pytest.mark.skipif(missing() is not None, reason=str(missing()))
MAX_AGE_S = 1.0


class SlowPipeline(Pipeline):
    """A pipeline that holds the worker up now and then; it notes how old its chunks are."""

    def __init__(self, pauses_s: Sequence[float]) -> None:
        super().__init__(FakeClassifier())
        self.ages_s: list[float] = []
        self._pauses_s = list(pauses_s)

    def feed_events(self, chunk: AudioChunk) -> list[StreamEvent]:
        """Take the next chunk, and one time in ten some time."""
        assert chunk.captured_at is not None
        self.ages_s.append(time.monotonic() - chunk.captured_at)
        if len(self.ages_s) % 10 == 0 and self._pauses_s:
            time.sleep(self._pauses_s.pop())
        return super().feed_events(chunk)


def balance(stats: StreamStats) -> int:
    """Samples that nobody can account for."""
    known = stats.judged_samples + stats.gated_samples + stats.dropped_samples
    return stats.captured_samples - known - stats.pending_samples


class Auditor(threading.Thread):
    """Looks at the books of a running stream all the time."""

    def __init__(self, runner: StreamRunner) -> None:
        super().__init__(daemon=True)
        self._runner = runner
        self.balances: list[int] = []
        self.captured: list[int] = []

    def run(self) -> None:
        """Note them until the stream ends."""
        while self._runner.is_running:
            stats = self._runner.stats
            self.balances.append(balance(stats))
            self.captured.append(stats.captured_samples)
            time.sleep(0.002)


@pytest.mark.parametrize("ring_s", [10.0, 0.5])
def test_a_slow_worker_skips_to_fresh_audio(
    virtual_microphone: VirtualMicrophone, ring_s: float
) -> None:
    """Two hold-ups: the one within the age that is allowed costs nothing, the other is skipped."""
    pipeline = SlowPipeline([2.0, 0.3])
    source = MicrophoneSource(max_age_s=MAX_AGE_S, ring_s=ring_s)
    with StreamRunner(source, pipeline, max_age_s=MAX_AGE_S) as runner:
        auditor = Auditor(runner)
        auditor.start()
        deadline = time.monotonic() + 10.0
        while len(pipeline.ages_s) < 60 and time.monotonic() < deadline:
            time.sleep(0.02)
        runner.stop()
        auditor.join(2.0)
    stats = runner.stats
    assert max(pipeline.ages_s) < MAX_AGE_S + 0.2
    assert stats.dropped_samples > 0.5 * RATE_HZ
    assert 1 <= stats.gaps <= 3
    assert set(auditor.balances) == {0}
    assert auditor.captured == sorted(auditor.captured)
    assert stats.pending_samples == balance(stats) == 0


@needs_microphone
def test_a_flood_is_cut_to_what_is_fresh(tmp_path: Path) -> None:
    """Half a minute of audio at once, as after a stall of the whole machine."""
    with VirtualMicrophone() as microphone:
        pipe = tmp_path / "flood"
        microphone.control(
            "load-module", "module-pipe-source", "source_name=flood", f"file={pipe}",
            "rate=16000", "channels=1", "format=s16le",
        )  # fmt: skip
        microphone.control("set-default-source", "flood")
        samples = np.random.default_rng(3).integers(-9_000, 9_000, 30 * RATE_HZ, np.int16)
        pipeline = SlowPipeline([])
        source = MicrophoneSource(max_age_s=MAX_AGE_S, ring_s=2.0)
        with StreamRunner(source, pipeline, max_age_s=MAX_AGE_S) as runner:
            auditor = Auditor(runner)
            auditor.start()
            writer = threading.Thread(target=lambda: pipe.write_bytes(samples.tobytes()))
            writer.start()
            writer.join(10.0)
            time.sleep(1.0)
            runner.stop()
            auditor.join(2.0)
        assert set(auditor.balances) == {0}
        assert max(pipeline.ages_s, default=0.0) < MAX_AGE_S + 0.2
        assert balance(runner.stats) == runner.stats.pending_samples == 0


def test_audio_that_comes_too_late_is_not_judged(virtual_microphone: VirtualMicrophone) -> None:
    """A lag behind a sound server: the clock of its converter says how old a block is."""
    source = MicrophoneSource(max_age_s=MAX_AGE_S)
    with source:
        first = read_one(source)
        capture = source._capture
        capture._clock_offset_s = -3.0  # as if every block had taken 3 s more
        came = capture.callbacks
        while capture.callbacks == came:  # what came before is as fresh as it was
            time.sleep(0.005)
        assert all(source.read(0.05) is None for _ in range(8))
        assert source.counters.dropped_samples > 0.1 * RATE_HZ
        assert source.counters.max_lag_s > 3.0
        deadline = time.monotonic() + 8.0
        while not source.trouble and time.monotonic() < deadline:
            source.read(0.05)
        assert "lags: its audio comes 3.0 s late" in source.trouble
        again = read_one(source)
        assert again.gap > RATE_HZ // 2
        assert again.start > first.stop
        assert source.counters.reopened == 1


def test_what_grew_old_unseen_is_not_judged(
    virtual_microphone: VirtualMicrophone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Audio comes in while the ring is looked at: what is read of it has the last word."""
    monkeypatch.setattr(MicrophoneSource, "_skip_what_is_old", lambda *_told: None)
    with MicrophoneSource(max_age_s=0.5) as source:
        first = read_one(source)
        time.sleep(1.5)
        chunk = read_one(source)
        assert chunk.captured_at is not None
        assert time.monotonic() - chunk.captured_at < 0.5 + 0.2
        assert chunk.gap > 0.5 * RATE_HZ
        assert chunk.start - first.stop == chunk.gap
        assert source.counters.dropped_samples == chunk.gap


def read_one(source: MicrophoneSource) -> AudioChunk:
    """Return the next chunk, however long it takes."""
    deadline = time.monotonic() + 8.0
    while time.monotonic() < deadline:
        chunk = source.read(0.1)
        if chunk is not None:
            return chunk
    raise AssertionError("no audio")


@given(*[st.integers(0, 10**12)] * 4, st.integers(0, 10**12), st.integers(0, 10**12))
def test_the_books_balance_whenever_the_two_halves_are_read(
    judged: int, gated: int, pending: int, dropped: int, captured: int, lost: int
) -> None:
    stats = StreamStats(
        captured_samples=judged + gated + pending + dropped, judged_samples=judged,
        gated_samples=gated, pending_samples=pending, dropped_samples=dropped,
    )  # fmt: skip
    counters = SourceCounters(captured_samples=captured, dropped_samples=lost)
    whole = with_source(stats, counters, skipped_estimates=3)
    assert balance(whole) == 0
    assert whole.captured_samples == max(captured, stats.captured_samples)
    assert whole.dropped_samples >= dropped
    assert whole.pending_samples >= pending
    assert whole.skipped_estimates == 3
