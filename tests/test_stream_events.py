"""What a stream tells besides estimates: utterances, gaps, counters, and being muted."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_ser.mute import Mute
from rt_ser.pipeline import TALLY_SAMPLES, Pipeline
from rt_ser.stream_events import MAX_WAYPOINTS, Gap, StreamEvent, Tally, Utterance, Waypoint
from rt_ser.testing import FakeClassifier
from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ, AudioChunk, Estimate, State
from rt_ser.utterances import Trajectory
from tests import strategies as some
from tests.compare import bits


def events_of(chunks: Iterable[AudioChunk], pipeline: Pipeline | None = None) -> list[StreamEvent]:
    pipeline = pipeline or Pipeline(FakeClassifier())
    told = [event for chunk in chunks for event in pipeline.feed_events(chunk)]
    return told + pipeline.flush_events()


def utterances(events: Iterable[StreamEvent]) -> list[Utterance]:
    return [event for event in events if isinstance(event, Utterance)]


def estimates(events: Iterable[StreamEvent]) -> list[Estimate]:
    return [event for event in events if isinstance(event, Estimate)]


@pytest.fixture(scope="module")
def heard(demo_samples: F32) -> list[StreamEvent]:
    return events_of(some.scripted(demo_samples, [480]))


def test_each_stretch_of_speech_is_told_as_a_whole(
    heard: list[StreamEvent], demo_samples: F32
) -> None:
    told = utterances(heard)
    assert len(told) >= 4
    assert all(before.stop <= after.start for before, after in pairwise(told))
    for one in told:
        assert one.start < one.loudest.stop <= one.stop <= one.decided <= len(demo_samples)
        assert 0 < one.speech_samples <= one.stop - one.start
        assert one.probs.sum() == pytest.approx(1.0, abs=1e-5)
        assert one.label == one.labels[int(one.probs.argmax())]
        assert one.confidence == float(one.probs.max())
        with pytest.raises(ValueError, match="read-only"):
            one.probs[0] = 1.0


def test_an_utterance_adds_up_its_own_windows(heard: list[StreamEvent]) -> None:
    for one in utterances(heard):
        windows = [
            estimate
            for estimate in estimates(heard)
            if estimate.label and estimate.utterance == one.number
        ]
        weights = np.array([estimate.speech_samples for estimate in windows], float) ** 3
        mean = weights @ np.array([estimate.window_probs for estimate in windows]) / weights.sum()
        np.testing.assert_allclose(one.probs, mean, atol=1e-6)
        assert one.windows == len(windows)
        assert one.trajectory[-1].stop == windows[-1].stop
        assert {point.stop for point in one.trajectory} <= {each.stop for each in windows}


def test_the_loudest_moment_is_where_it_is(heard: list[StreamEvent], demo_samples: F32) -> None:
    for one in utterances(heard):
        frames = demo_samples[one.start : one.stop].reshape(-1, FRAME_SAMPLES)
        power = np.square(frames.astype(np.float64)).mean(axis=1)
        assert one.loudest.stop == one.start + (int(power.argmax()) + 1) * FRAME_SAMPLES
        assert one.loudest.level_dbfs == pytest.approx(10 * np.log10(power.max()), abs=1e-6)


def test_the_change_is_that_since_the_utterance_before(heard: list[StreamEvent]) -> None:
    told = utterances(heard)
    assert told[0].change is None
    for before, after in pairwise(told):
        assert after.change is not None
        assert after.change.label == before.label
        assert after.change.valence == after.valence - before.valence
        assert after.change.pause_samples == after.start - before.stop > 0


def test_an_utterance_comes_between_its_last_estimate_and_the_silence(
    heard: list[StreamEvent],
) -> None:
    for place, event in enumerate(heard):
        if isinstance(event, Utterance):
            before, after = heard[place - 1], heard[place + 1]
            assert isinstance(before, Estimate)
            assert isinstance(after, Estimate)
            assert before.utterance == event.number
            assert after.state is State.SILENCE


@settings(max_examples=10, deadline=None)
@given(sizes=some.chunk_sizes(largest=20_000), lost=some.gaps(6 * RATE_HZ))
def test_what_is_told_does_not_depend_on_how_chunks_are_cut(
    demo_samples: F32, sizes: list[int], lost: dict[int, int]
) -> None:
    speech = demo_samples[: 6 * RATE_HZ]
    want = events_of(some.scripted(speech, [480], lost))
    assert bits(events_of(some.scripted(speech, sizes, lost))) == bits(want)
    assert sum(isinstance(event, Gap) for event in want) == len(lost)


def test_feeding_gives_the_estimates_among_the_events(
    heard: list[StreamEvent], demo_samples: F32
) -> None:
    pipeline = Pipeline(FakeClassifier())
    fed = pipeline.feed(AudioChunk(samples=demo_samples, start=0)) + pipeline.flush()
    assert bits(fed) == bits(estimates(heard))


def test_a_gap_is_told_where_it_is_and_closes_the_utterance(demo_samples: F32) -> None:
    first = utterances(events_of(some.scripted(demo_samples, [480])))[0]
    middle = (first.start + first.stop) // 2
    told = events_of(some.scripted(demo_samples[: 4 * RATE_HZ], [480], {middle: 800}))
    (gap,) = [event for event in told if isinstance(event, Gap)]
    assert (gap.start, gap.stop) == (middle, middle + 800)
    place = told.index(gap)
    assert all(one.stop <= gap.start for one in utterances(told[:place]))
    assert all(one.start >= gap.stop for one in utterances(told[place:]))


def test_the_counters_are_told_every_ten_seconds(heard: list[StreamEvent]) -> None:
    tallies = [event for event in heard if isinstance(event, Tally)]
    assert [tally.stop // TALLY_SAMPLES for tally in tallies] == [1, 2]
    for tally in tallies:
        stats = tally.stats
        settled = stats.judged_samples + stats.gated_samples + stats.dropped_samples
        assert stats.captured_samples == tally.stop == settled + stats.pending_samples


@given(st.integers(1, 3_000))
def test_a_trajectory_is_short_even_and_ends_at_the_end(count: int) -> None:
    course = Trajectory()
    for stop in range(count):
        course.add(Waypoint(stop=stop, label="", confidence=0.0, valence=0.0, arousal=0.0))
    stops = [point.stop for point in course.points()]
    assert (stops[0], stops[-1]) == (0, count - 1)
    assert len(stops) == count if count < MAX_WAYPOINTS else len(stops) >= MAX_WAYPOINTS // 2
    assert len(stops) <= MAX_WAYPOINTS
    assert len({after - before for before, after in pairwise(stops[:-1])}) <= 1


# Muting -----------------------------------------------------------------------------------


def chunks(samples: F32) -> list[AudioChunk]:
    return some.scripted(samples, [480])


def test_nothing_is_heard_while_muted_and_every_sample_counted(demo_samples: F32) -> None:
    pipeline = Pipeline(FakeClassifier())
    pipeline.mute()
    told = [event for chunk in chunks(demo_samples) for event in pipeline.feed_events(chunk)]
    assert [one.state for one in estimates(told)] == [State.MUTED]
    assert pipeline.is_muted
    stats = pipeline.stats
    assert stats.captured_samples == stats.muted_samples == stats.gated_samples
    assert stats.captured_samples == len(demo_samples)
    assert stats.pending_samples == 0
    assert pipeline.meter.position == len(demo_samples)


def test_unmuting_hears_what_comes_after_the_hold_off(demo_samples: F32) -> None:
    """From there on it is as if the stream had begun there, only that time has gone on."""
    pipeline = Pipeline(FakeClassifier())
    pipeline.mute()
    ignored = 3 * RATE_HZ + 123
    pipeline.feed(AudioChunk(samples=demo_samples[:ignored], start=0))
    pipeline.unmute(hold_off_s=0.25)
    rest = demo_samples[ignored:]
    told = pipeline.feed_events(AudioChunk(samples=rest, start=ignored)) + pipeline.flush_events()
    deaf = ignored + RATE_HZ // 4
    fresh = events_of([AudioChunk(samples=demo_samples[deaf:], start=0)])
    assert [one.start - deaf for one in utterances(told)] == [
        one.start for one in utterances(fresh)
    ]
    assert bits([one.probs for one in utterances(told)]) == bits(
        [one.probs for one in utterances(fresh)]
    )
    assert pipeline.stats.muted_samples == deaf
    assert not any(isinstance(event, Gap) for event in told)


def test_muting_closes_the_open_utterance(demo_samples: F32) -> None:
    first = utterances(events_of(chunks(demo_samples)))[0]
    pipeline = Pipeline(FakeClassifier())
    cut = (first.start + first.stop) // 2
    spoken = pipeline.feed_events(AudioChunk(samples=demo_samples[:cut], start=0))
    assert utterances(spoken) == []
    pipeline.mute()
    told = pipeline.feed_events(AudioChunk(samples=demo_samples[cut : cut + 960], start=cut))
    assert [one.number for one in utterances(told)] == [0]
    assert estimates(told)[-1].state is State.MUTED


@settings(max_examples=15, deadline=None)
@given(
    switches=st.lists(st.tuples(st.booleans(), st.integers(1, 9_000)), max_size=30),
    hold_off_s=st.floats(0.0, 0.5),
)
def test_the_accounts_hold_however_often_it_is_muted(
    demo_samples: F32, switches: list[tuple[bool, int]], hold_off_s: float
) -> None:
    pipeline = Pipeline(FakeClassifier())
    position = 0
    for muted, size in switches:
        pipeline.mute() if muted else pipeline.unmute(hold_off_s=hold_off_s)
        part = demo_samples[position : position + size]
        pipeline.feed(AudioChunk(samples=part, start=position))
        position += len(part)
        stats = pipeline.stats
        assert stats.captured_samples == position
        assert 0 <= stats.muted_samples <= stats.gated_samples
        assert stats.pending_samples >= 0
    pipeline.flush()
    stats = pipeline.stats
    assert stats.judged_samples + stats.gated_samples == position
    assert stats.pending_samples == 0


def test_unmuting_what_is_not_muted_changes_nothing() -> None:
    mute = Mute()
    mute.end(1_000)
    assert not mute.is_on
    assert mute.take(500) == 0
    with pytest.raises(ValueError, match="hold_off_samples=-1 must be 0 or more"):
        mute.end(-1)


def test_a_signal_handler_may_mute_whatever_it_interrupts() -> None:
    """Of all places where a signal can come, inside of unmuting in the same thread is the worst."""
    mute = Mute()
    nested = threading.Event()

    def interrupted() -> None:
        with mute._lock:
            mute.begin()
        nested.set()

    threading.Thread(target=interrupted, daemon=True).start()
    assert nested.wait(5.0)
    assert mute.is_on
