"""The signal path: nothing but the samples matters, and every one of them is accounted for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rt_ser.features import log_mel, model_input
from rt_ser.pipeline import Pipeline
from rt_ser.recipes import RECIPES
from rt_ser.testing import LABELS, FakeClassifier
from rt_ser.types import F32, FRAME_SAMPLES, AudioChunk
from rt_ser.vad import LOOKBACK_SAMPLES
from tests import signals
from tests import strategies as some
from tests.compare import bits
from tests.streams import TALK, fresh, heard, judged, one_chunk, windows

RECIPE = RECIPES["logmel64-v1"]


# Nothing but the samples matters ----------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(some.chunk_sizes(largest=5_000))
@example([1])
@example([len(TALK)])
def test_any_chunking_gives_the_same_estimates(sizes: list[int]) -> None:
    whole, cut = fresh(), fresh()
    expected = heard([one_chunk(TALK)], whole)
    assert len(judged(expected)) > 10
    assert bits(heard(some.scripted(TALK, sizes), cut)) == bits(expected)
    assert bits(windows(cut)) == bits(windows(whole))
    assert bits(cut.stats) == bits(whole.stats)
    assert bits(cut.summary()) == bits(whole.summary())


@settings(max_examples=15, deadline=None)
@given(some.chunk_sizes(largest=5_000), some.gaps(len(TALK)))
def test_any_chunking_does_so_with_gaps_too(sizes: list[int], lost: dict[int, int]) -> None:
    whole = heard(some.scripted(TALK, [len(TALK)], lost))
    assert bits(heard(some.scripted(TALK, sizes, lost))) == bits(whole)


def test_the_demo_is_the_same_however_it_is_cut(demo_samples: F32) -> None:
    whole = heard([one_chunk(demo_samples)])
    for size in (160, 480, 4_999):
        assert bits(heard(some.scripted(demo_samples, [size]))) == bits(whole)


def test_the_model_sees_the_features_of_the_samples_alone(demo_samples: F32) -> None:
    """As training computes them: batch log-mel of the judged stretch, brought to length."""
    pipeline = fresh()
    heard([one_chunk(demo_samples)], pipeline)
    assert len(windows(pipeline)) > 20
    for seen in windows(pipeline):
        rows = log_mel(demo_samples[seen.start : seen.stop], RECIPE)[-RECIPE.window_frames :]
        np.testing.assert_array_equal(seen.values, model_input(rows, RECIPE))
        assert seen.recipe == RECIPE.name


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 400))
def test_what_comes_later_changes_nothing_said_before(frames: int) -> None:
    """No look into the future, not even by level normalisation."""
    stop = min(frames * FRAME_SAMPLES, len(TALK))
    early = fresh().feed(one_chunk(TALK[:stop]))
    assert bits(fresh().feed(one_chunk(TALK))[: len(early)]) == bits(early)


@settings(max_examples=8, deadline=None)
@given(st.floats(-20.0, 10.0))
def test_loudness_changes_little(gain_db: float) -> None:
    plain = judged(heard([one_chunk(TALK)]))
    other = judged(heard([one_chunk(signals.scaled(TALK, gain_db))]))
    assert [estimate.stop for estimate in other] == [estimate.stop for estimate in plain]
    for one, two in zip(plain, other, strict=True):
        np.testing.assert_allclose(one.probs, two.probs, atol=1e-3)
        assert two.level_dbfs - one.level_dbfs == pytest.approx(gain_db, abs=0.01) or (
            one.level_dbfs == -120.0
        )


def test_a_stream_that_starts_later_differs_in_its_numbers_only() -> None:
    """Whole frames of silence before it shift every index and change nothing else."""
    quiet = 40 * FRAME_SAMPLES
    plain = judged(heard([one_chunk(TALK)]))
    moved = judged(heard([one_chunk(np.concatenate([np.zeros(quiet, np.float32), TALK]))]))
    assert [e.stop for e in moved] == [e.stop + quiet for e in plain]
    assert [bits(e.probs) for e in moved] == [bits(e.probs) for e in plain]


# Every sample is accounted for ------------------------------------------------------------


class Account:
    """Keeps the books of a stream by itself, from what goes in and what the model is asked."""

    def __init__(self, length: int) -> None:
        self._fate = np.full(length, "", "U6")
        self._captured = self._judged = self._lost = self._windows = 0

    def add(self, chunk: AudioChunk) -> None:
        """Take note of a chunk and the loss before it."""
        self._captured += chunk.gap + len(chunk.samples)
        self._lost += chunk.gap
        self._fate[chunk.start - chunk.gap : chunk.start] = "lost"

    def check(self, pipeline: Pipeline, *, flushed: bool = False) -> None:
        """Compare with the books of a pipeline."""
        for window in windows(pipeline)[self._windows :]:
            stretch = self._fate[window.start : window.stop]
            assert not (stretch == "lost").any()
            self._judged += int((stretch != "judged").sum())
            stretch[:] = "judged"
            self._windows += 1
        stats = pipeline.stats
        settled = stats.judged_samples + stats.gated_samples + stats.dropped_samples
        assert stats.captured_samples == self._captured == settled + stats.pending_samples
        assert (stats.dropped_samples, stats.judged_samples) == (self._lost, self._judged)
        assert stats.gated_samples >= 0
        assert stats.pending_samples >= 0
        if flushed:
            assert stats.pending_samples == 0
        if pipeline._activity.opened_at is None:
            assert stats.pending_samples < FRAME_SAMPLES + LOOKBACK_SAMPLES


@settings(max_examples=20, deadline=None)
@given(
    some.chunk_sizes(largest=5_000),
    some.gaps(len(TALK)),
    st.lists(st.integers(0, 200), max_size=4),
    st.floats(0.0, 1.0),
)
@example([100], {}, [0, 0], 1.0)
@example([7_777], {0: 5, len(TALK) - 5: 9_000}, [], 1.0)
def test_no_sample_is_lost_or_counted_twice(
    sizes: list[int], lost: dict[int, int], flush_after: list[int], speech_prob: float
) -> None:
    """At every moment, with losses and flushes at random places and a model that vetoes."""
    pipeline = Pipeline(FakeClassifier(speech_prob=speech_prob))
    chunks = some.scripted(TALK, sizes, lost)
    account = Account(chunks[-1].stop)
    for number, chunk in enumerate(chunks):
        account.add(chunk)
        pipeline.feed(chunk)
        account.check(pipeline)
        if number in flush_after:
            pipeline.flush()
            account.check(pipeline, flushed=True)
    pipeline.flush()
    account.check(pipeline, flushed=True)
    assert pipeline.stats.gaps == sum(bool(chunk.gap) for chunk in chunks)
    assert pipeline.stats.windows == len(windows(pipeline))


def test_what_the_demo_amounts_to(demo_samples: F32) -> None:
    pipeline = fresh()
    estimates = heard([one_chunk(demo_samples)], pipeline)
    stats, summary = pipeline.stats, pipeline.summary()
    assert stats.captured_samples == summary.duration_samples == len(demo_samples)
    assert stats.windows == len(judged(estimates))
    assert stats.speech_samples == summary.speech_samples
    finals = [estimate for estimate in estimates if estimate.is_final]
    assert summary.utterances == len(finals)
    assert bits(summary.stats) == bits(stats)
    assert summary.label in LABELS
    assert summary.probs.sum() == pytest.approx(1.0, abs=1e-5)


@settings(max_examples=15, deadline=None)
@given(some.chunk_sizes(largest=5_000), some.gaps(len(TALK)))
def test_nothing_spans_a_gap(sizes: list[int], lost: dict[int, int]) -> None:
    """Neither what the model sees nor what is said of it reaches over lost audio."""
    pipeline = fresh()
    chunks = some.scripted(TALK, sizes, lost)
    timeline = np.full(chunks[-1].stop, np.nan, np.float32)
    for chunk in chunks:
        timeline[chunk.start : chunk.stop] = chunk.samples
    said = heard(chunks, pipeline)
    for seen in windows(pipeline):
        rows = log_mel(timeline[seen.start : seen.stop], RECIPE)[-RECIPE.window_frames :]
        np.testing.assert_array_equal(seen.values, model_input(rows, RECIPE))
    for estimate in judged(said):
        assert np.isfinite(timeline[estimate.start : estimate.stop]).all()


def test_after_a_gap_it_hears_as_if_for_the_first_time() -> None:
    pipeline = fresh()
    pipeline.feed(one_chunk(TALK[: 60 * FRAME_SAMPLES + 123]))
    offset = 60 * FRAME_SAMPLES + 123 + 777
    later = heard([AudioChunk(samples=TALK, start=offset, gap=777)], pipeline)
    alone = fresh()
    heard([one_chunk(TALK)], alone)
    after_gap = [seen for seen in windows(pipeline) if seen.start >= offset]
    assert [bits(seen.values) for seen in after_gap] == [
        bits(seen.values) for seen in windows(alone)
    ]
    assert [seen.start - offset for seen in after_gap] == [seen.start for seen in windows(alone)]
    assert judged(later)[0].is_final, "the utterance before the gap is closed, not dropped"
    assert judged(later)[0].stop <= offset - 777


@pytest.mark.parametrize("extra", [0, 123])
def test_after_a_flush_it_hears_as_if_for_the_first_time(extra: int) -> None:
    """A flush in the middle of an unfinished frame or at the end of one: both are an end."""
    pipeline = fresh()
    stop = 60 * FRAME_SAMPLES + extra
    heard([one_chunk(TALK[:stop])], pipeline)
    before = len(windows(pipeline))
    onset = signals.by_pattern("S" * 30 + "." * 20 + "S" * 40)
    heard([one_chunk(onset, stop)], pipeline)
    alone = fresh()
    heard([one_chunk(onset)], alone)
    after = windows(pipeline)[before:]
    assert [bits(seen.values) for seen in after] == [bits(seen.values) for seen in windows(alone)]
    assert [seen.start - stop for seen in after] == [seen.start for seen in windows(alone)]


# Beginnings -------------------------------------------------------------------------------


@pytest.mark.parametrize("flushed", [True, False])
def test_reset_is_as_new(flushed: bool) -> None:
    used = fresh()
    for chunk in some.scripted(TALK[: 70 * FRAME_SAMPLES + 99], [700], {5_000: 321}):
        used.feed(chunk)
    if flushed:
        used.flush()
    used.reset()
    new = fresh()
    assert bits(used.stats) == bits(new.stats)
    assert bits(used.meter) == bits(new.meter)
    assert bits(used.summary()) == bits(new.summary())
    chunks = some.scripted(TALK, [1_234], {30_000: 50})
    assert bits(heard(chunks, used)) == bits(heard(chunks, new))
    assert bits(used.stats) == bits(new.stats)
    assert bits(used.summary()) == bits(new.summary())


def test_two_pipelines_share_a_model_and_nothing_else() -> None:
    classifier = FakeClassifier()
    one, other = Pipeline(classifier), Pipeline(classifier)
    mixed = []
    for chunk in some.scripted(TALK, [2_000]):
        mixed += one.feed(chunk)
        other.feed(AudioChunk(samples=chunk.samples[::-1].copy(), start=chunk.start))
    assert bits(mixed + one.flush()) == bits(heard([one_chunk(TALK)]))


def test_an_empty_stream() -> None:
    pipeline = fresh()
    assert heard([], pipeline) == []
    assert heard([one_chunk(TALK[:0])], pipeline) == []
    assert pipeline.stats.captured_samples == 0
    assert pipeline.summary().label == ""
