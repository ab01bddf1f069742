"""Many streams and one model; hooks and subscriptions over the same runtime."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rt_ser
from rt_ser import Analyzer, Estimate, Hooks, ModelError, State, Utterance
from rt_ser.errors import DeviceError
from rt_ser.event_queue import EventQueue
from rt_ser.model import SharedClassifier, TfliteClassifier, find_manifest, shared_classifier
from rt_ser.pipeline import Pipeline
from rt_ser.runtime import StreamRunner
from rt_ser.testing import FakeClassifier, ScriptedSource
from rt_ser.types import F32, RATE_HZ, AudioChunk, LogMel
from tests import tiny_models as tiny
from tests.compare import bits
from tests.streams import by_hand, script


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a model of one layer."""
    return tiny.write_model(tmp_path_factory.mktemp("models"), tiny.linear_model())


def windows(count: int) -> list[LogMel]:
    """Windows that differ, for the tiny model."""
    size = (tiny.RECIPE.window_frames, tiny.RECIPE.mels)
    rng = np.random.default_rng(5)
    return [
        LogMel(
            values=rng.uniform(-1, 1, size).astype(np.float32),
            start=number,
            stop=number + 1,
            utterance=0,
            recipe=tiny.RECIPE.name,
        )
        for number in range(count)
    ]


# One model --------------------------------------------------------------------------------


def test_streams_with_the_same_model_share_it(model: Path) -> None:
    one, two = shared_classifier(model), shared_classifier(str(model))
    assert one is two
    assert shared_classifier(model, threads=2) is not one
    assert one.manifest == find_manifest(model)


def test_a_model_is_let_go_of_with_its_last_stream(model: Path) -> None:
    first = shared_classifier(model, threads=3)
    reference = id(first)
    del first
    second = shared_classifier(model, threads=3)
    assert second.interpreters == 1
    assert isinstance(reference, int)


def test_one_thread_needs_one_interpreter(model: Path) -> None:
    shared = SharedClassifier(find_manifest(model), max_interpreters=4)
    for window in windows(20):
        shared.predict(window)
    assert shared.interpreters == 1


@pytest.mark.parametrize("most", [1, 3])
def test_threads_get_the_answers_of_one_alone(model: Path, most: int) -> None:
    shared = SharedClassifier(find_manifest(model), max_interpreters=most)
    alone = TfliteClassifier.load(model)
    asked = windows(200)
    want = [bits(alone.predict(window)) for window in asked]
    with ThreadPoolExecutor(8) as threads:
        answers = [bits(answer) for answer in threads.map(shared.predict, asked)]
    assert answers == want
    assert 1 <= shared.interpreters <= most


def test_a_pool_needs_room_for_one(model: Path) -> None:
    with pytest.raises(ValueError, match="max_interpreters=0 must be at least 1"):
        SharedClassifier(find_manifest(model), max_interpreters=0)


def test_a_missing_model_is_named() -> None:
    with pytest.raises(ModelError, match="'nothing' is not installed"):
        shared_classifier("nothing")


MEMORY = """
import sys, tracemalloc
import numpy as np
from rt_ser import Analyzer
from rt_ser.model import TfliteClassifier
def resident_kib():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1])
noise = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
def analyzers(count):
    made = [Analyzer(sys.argv[1]) for _ in range(count)]
    for one in made:
        one.feed(noise)
    return made
first = analyzers(1)
before = resident_kib()
many = analyzers(32)
after = resident_kib()
alone = [TfliteClassifier.load(sys.argv[1]) for _ in range(32)]
print((after - before) / 32, (resident_kib() - after) / 32)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_a_stream_costs_no_model(repo_root: Path) -> None:
    """Memory of an analyzer with the shared model, and of one more interpreter, in KiB."""
    models = sorted((repo_root / "models").glob("*.tflite"))
    if not models:
        pytest.skip("no model is installed: python -m train export makes one")
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(models[0])],
        cwd=repo_root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    stream_kib, interpreter_kib = map(float, done.stdout.split())
    print(f"a stream {stream_kib:.0f} KiB, an interpreter {interpreter_kib:.0f} KiB")
    assert stream_kib < 600
    assert stream_kib < interpreter_kib


# Hooks ------------------------------------------------------------------------------------


def test_hooks_hear_what_feeding_tells(demo_samples: F32) -> None:
    heard: list[Any] = []
    turns: list[Utterance] = []
    hooks = Hooks(on_event=heard.append, on_utterance=turns.append)
    with Analyzer(FakeClassifier(), hooks=hooks) as analyzer:
        for part in np.array_split(demo_samples, 99):
            analyzer.feed(part)
    assert bits(heard) == bits(by_hand(demo_samples))
    assert bits(turns) == bits([event for event in heard if isinstance(event, Utterance)])


def test_open_speech_is_closed_when_nothing_fresh_comes(demo_samples: F32) -> None:
    """The source sees nothing wrong, as while the machine stalls and all that comes is old."""
    opening = Analyzer(FakeClassifier())
    length = next(
        stop for stop in range(0, len(demo_samples), 480)
        if any(told.label for told in opening.feed(demo_samples[stop : stop + 480]))
    )  # fmt: skip
    source = ScriptedSource(demo_samples[: length + 480], is_live=True, hangs=True)
    runner = StreamRunner(source, Pipeline(FakeClassifier()), max_age_s=0.5)
    events = []
    with runner:
        for event in runner.events():
            events.append(event)
            if isinstance(event, Estimate) and event.state is State.STALE:
                break
        age_s = runner.audio_age_s
    *_, last, turn, stale = events
    assert age_s is not None
    assert 0.5 < age_s < 2.5
    assert isinstance(last, Estimate)
    assert last.is_final
    assert isinstance(turn, Utterance)
    assert stale.reason == "no fresh audio for 0.5 s"


def test_each_kind_of_event_has_its_hook(demo_samples: F32) -> None:
    kinds: dict[str, list[Any]] = {
        name: [] for name in ("estimate", "utterance", "gap", "tally", "event")
    }
    hooks = Hooks(**{f"on_{name}": taken.append for name, taken in kinds.items()})
    with script(demo_samples, gaps={RATE_HZ: 160}) as stream:
        for event in stream.events():
            hooks(event)
    assert all(kinds.values())
    assert len(kinds["event"]) == sum(len(kinds[name]) for name in kinds.keys() - {"event"})


def test_an_analyzer_is_muted_while_an_agent_speaks(demo_samples: F32) -> None:
    analyzer = Analyzer(FakeClassifier(), rate_hz=16_000)
    analyzer.mute()
    muted = analyzer.feed(demo_samples)
    assert [estimate.state for estimate in muted] == [State.MUTED]
    assert analyzer.is_muted
    analyzer.unmute(hold_off_s=0.0)
    assert not analyzer.is_muted
    assert any(estimate.label for estimate in analyzer.feed(demo_samples))
    assert analyzer.stats.muted_samples == len(demo_samples)


def test_a_slow_listener_loses_estimates_and_never_a_turn(demo_samples: F32) -> None:
    told = by_hand(demo_samples)
    queue = EventQueue(8, waits=False)
    for event in told:
        queue.put(event)
    queue.finish()
    left = [*iter(queue.take, None)]
    assert len(left) == 8
    assert queue.skipped == len(told) - 8
    turns = [event.number for event in told if isinstance(event, Utterance)]
    assert [event.number for event in left if isinstance(event, Utterance)] == turns


@pytest.mark.parametrize("lost", [1_000, 4_800, 160_000])
def test_an_echo_dies_away_in_lost_time_too(lost: int) -> None:
    """The hold-off goes on while a device is away; what was lost was not muted."""
    pipeline, silence = Pipeline(FakeClassifier()), np.zeros(480, np.float32)
    pipeline.mute()
    pipeline.feed_events(AudioChunk(samples=silence, start=0))
    pipeline.unmute(hold_off_s=0.3)
    heard = np.zeros(4_800, np.float32)
    pipeline.feed_events(AudioChunk(samples=heard, start=480 + lost, gap=lost))
    left = max(0, 4_800 - lost)
    assert not pipeline.is_muted
    stats = pipeline.stats
    assert (stats.muted_samples, stats.dropped_samples) == (480 + left, lost)
    settled = stats.judged_samples + stats.gated_samples + stats.dropped_samples
    assert stats.captured_samples == settled + stats.pending_samples == 480 + lost + 4_800


def test_what_was_captured_while_muted_is_never_heard() -> None:
    """The worker lags half a second behind; what it has not heard yet is the echo."""
    unmuted: list[float] = []

    class Slow(Pipeline):
        def unmute(self, *, hold_off_s: float = 0.0) -> None:
            unmuted.append(hold_off_s)

    source = ScriptedSource(np.zeros(960, np.float32), is_live=True, hangs=True)
    with StreamRunner(source, Slow(FakeClassifier())) as stream:
        while stream.audio_age_s is None:
            time.sleep(0.01)
        stream.unmute(hold_off_s=0.3)
        time.sleep(0.5)
        stream.unmute(hold_off_s=0.3)
        time.sleep(1.3)
        stream.unmute(hold_off_s=0.3)
    assert 0.3 <= unmuted[0] < 0.7
    assert 0.8 <= unmuted[1] < 1.6
    assert unmuted[2] == pytest.approx(1.8)
    with script(np.zeros(960, np.float32)) as replayed:
        replayed.wait(5.0)
        assert replayed.audio_age_s is None
        replayed.unmute()


# Subscriptions ----------------------------------------------------------------------------


def test_a_subscription_calls_from_one_thread_of_its_own(demo_samples: F32) -> None:
    heard: list[Any] = []
    threads: set[int] = set()
    subscription = rt_ser.subscribe(
        script(demo_samples),
        on_event=heard.append,
        on_utterance=lambda _: threads.add(threading.get_ident()),
    )
    with subscription:
        assert subscription.wait(30.0)
    assert bits(heard) == bits(by_hand(demo_samples))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_what_a_hook_raises_ends_the_stream_and_is_seen(demo_samples: F32) -> None:
    def fail(_utterance: Utterance) -> None:
        raise KeyError("mine")

    subscription = rt_ser.subscribe(script(demo_samples, hangs=True), on_utterance=fail)
    with pytest.raises(KeyError, match="mine"), subscription:
        subscription.wait(30.0)
    assert not subscription.stream.is_running


def test_a_subscription_that_was_not_started_is_not_waited_for(demo_samples: F32) -> None:
    subscription = rt_ser.subscribe(script(demo_samples))
    with pytest.raises(RuntimeError, match="a stream that was not started"):
        subscription.wait()
    subscription.stop()


def test_a_hook_may_stop_its_own_stream(demo_samples: F32) -> None:
    turns: list[Utterance] = []

    def once(utterance: Utterance) -> None:
        turns.append(utterance)
        subscription.stop()

    subscription = rt_ser.subscribe(script(demo_samples, hangs=True), on_utterance=once)
    with subscription:
        assert subscription.wait(30.0)
    assert turns


def test_a_stream_that_fails_is_heard_of_by_whoever_waits(demo_samples: F32) -> None:
    broken = script(demo_samples, fails_with=DeviceError("gone"))
    with pytest.raises(DeviceError, match="gone"), rt_ser.subscribe(broken) as subscription:
        subscription.wait(30.0)


def test_waiting_for_a_subscription_ends_in_time(demo_samples: F32) -> None:
    with rt_ser.subscribe(script(demo_samples[:100], hangs=True)) as subscription:
        assert not subscription.wait(0.05)
