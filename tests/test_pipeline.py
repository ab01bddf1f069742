"""The signal path: nothing but the samples matters, and every one of them is accounted for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rt_ser.config import EstimateSettings, Settings, VadSettings
from rt_ser.features import log_mel, model_input
from rt_ser.pipeline import Pipeline
from rt_ser.recipes import RECIPES
from rt_ser.testing import LABELS, FakeClassifier
from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ, AudioChunk, Estimate, LogMel, State
from rt_ser.vad import LOOKBACK_SAMPLES
from tests import signals
from tests import strategies as some
from tests.compare import bits

RECIPE = RECIPES["logmel64-v1"]
TALK = signals.by_pattern("." * 20 + "S" * 50 + "." * 30 + "S" * 30 + "." * 6 + "S" * 25 + "." * 20)
"""Two utterances, 1.5 s and 1.65 s of speech, in 5.4 s."""

TOLD = {State.SPEECH, State.UNSURE}


def fresh(**changes: Any) -> Pipeline:
    return Pipeline(FakeClassifier(), Settings(**changes))


def one_chunk(samples: F32, start: int = 0) -> AudioChunk:
    return AudioChunk(samples=samples, start=start)


def heard(chunks: Iterable[AudioChunk], pipeline: Pipeline | None = None) -> list[Estimate]:
    """Feed chunks to a pipeline and flush it."""
    pipeline = pipeline or fresh()
    found = [estimate for chunk in chunks for estimate in pipeline.feed(chunk)]
    return found + pipeline.flush()


def windows(pipeline: Pipeline) -> list[LogMel]:
    """Return everything that the model was asked about."""
    classifier = pipeline._classifier
    assert isinstance(classifier, FakeClassifier)
    return classifier.seen


def judged(estimates: Iterable[Estimate]) -> list[Estimate]:
    return [estimate for estimate in estimates if estimate.state in TOLD]


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


# What is judged and when ------------------------------------------------------------------


@pytest.mark.parametrize(
    "sound",
    [
        signals.silence(), signals.white_noise(), signals.pink_noise(), signals.tone(440.0),
        signals.tone(261.6, 329.6, 392.0), signals.hum(),
        signals.melody([262.0, 330.0, 392.0, 523.0], note_s=0.3),
    ],
    ids=["silence", "white", "pink", "tone", "chord", "hum", "melody"],
)  # fmt: skip
def test_what_is_no_speech_never_reaches_the_model(sound: F32) -> None:
    pipeline = fresh()
    estimates = heard([one_chunk(signals.between_silences(sound))], pipeline)
    assert windows(pipeline) == []
    assert {estimate.label for estimate in estimates} <= {""}
    assert {estimate.state for estimate in estimates} <= {State.WARMING_UP, State.SILENCE}
    assert pipeline.summary().label == ""
    assert pipeline.stats.gated_samples == pipeline.stats.captured_samples


def test_every_spoken_cue_of_the_demo_is_judged_and_nothing_else(
    demo_samples: F32, demo_cues: list[dict[str, Any]]
) -> None:
    estimates = judged(heard([one_chunk(demo_samples)]))
    for cue in demo_cues:
        inside = [e for e in estimates if e.start < cue["stop"] and e.stop > cue["start"]]
        if cue["kind"] == "speech":
            assert [e for e in inside if e.is_final], cue
        else:
            assert not [e for e in inside if e.start >= cue["start"] and e.stop <= cue["stop"]], cue


def test_first_after_half_a_second_then_every_hop_then_at_the_end() -> None:
    """Speech begins at 20 x 30 ms: 0.51 s of it, then steps of 0.24 s; the rest by the oracle."""
    first = [e for e in judged(heard([one_chunk(TALK)])) if e.utterance == 0]
    assert [e.stop // FRAME_SAMPLES for e in first] == [37, 45, 53, 61, 69, 72]
    assert [e.is_final for e in first] == [False] * 5 + [True]
    assert first[0].speech_samples == round(0.51 * RATE_HZ)


@pytest.mark.parametrize(("hop_s", "min_speech_s"), [(0.03, 0.39), (0.12, 0.6), (1.2, 1.0)])
def test_hop_and_minimum_are_settings(hop_s: float, min_speech_s: float) -> None:
    changed = EstimateSettings(hop_s=hop_s, min_speech_s=min_speech_s)
    estimates = judged(heard([one_chunk(TALK)], fresh(estimate=changed)))
    said = [e for e in estimates if e.utterance == 0 and not e.is_final]
    assert said[0].stop == 20 * FRAME_SAMPLES + round(min_speech_s * RATE_HZ / 480) * 480
    assert {b.stop - a.stop for a, b in pairwise(said)} <= {round(hop_s * RATE_HZ)}


def test_an_utterance_that_is_open_at_the_end_is_closed() -> None:
    pipeline = fresh()
    said = pipeline.feed(one_chunk(TALK[: 60 * FRAME_SAMPLES]))
    assert not any(estimate.is_final for estimate in said)
    final, silence = pipeline.flush()
    assert (final.is_final, final.stop) == (True, 60 * FRAME_SAMPLES)
    assert (silence.state, silence.label) == (State.SILENCE, "")
    assert pipeline.flush() == []


@pytest.mark.parametrize("hangover_s", [0.06, 1.0, 3.0])
def test_any_hangover_can_be_set(hangover_s: float) -> None:
    """A long one keeps the last window of an utterance waiting; it is judged all the same."""
    long = signals.by_pattern("." * 20 + "S" * 80 + "." + "S" * 80 + "." * 110)
    pipeline = fresh(vad=VadSettings(hangover_s=hangover_s))
    (final,) = [e for e in heard([one_chunk(long)], pipeline) if e.is_final]
    assert final.stop == (181 + 2) * FRAME_SAMPLES
    window = final.stop // FRAME_SAMPLES - final.start // FRAME_SAMPLES
    assert final.speech_samples == (window - 2 - 1 * (window > 82)) * FRAME_SAMPLES


# States -----------------------------------------------------------------------------------


def states(estimates: Sequence[Estimate]) -> list[str]:
    """Return the states in order, each once where it is told several times in a row."""
    told = [str(estimate.state) for estimate in estimates]
    return [state for index, state in enumerate(told) if index == 0 or told[index - 1] != state]


def test_the_sequence_of_states() -> None:
    sure = Settings(estimate=EstimateSettings(unsure_below=0.0))
    estimates = heard([one_chunk(TALK)], Pipeline(FakeClassifier(), sure))
    assert states(estimates) == ["warming_up", "speech", "silence"] * 2
    remarks = [e for e in estimates if e.state not in TOLD]
    assert [e.stop // FRAME_SAMPLES for e in remarks] == [23, 85, 103, 176]


def test_what_ends_stale_ends_stale() -> None:
    """Nobody knows that it was silent at the end: the microphone was gone."""
    pipeline = fresh()
    pipeline.feed(one_chunk(TALK[: 60 * FRAME_SAMPLES]))
    remark = pipeline.interrupt_events("gone")[-1]
    assert isinstance(remark, Estimate)
    assert remark.state is State.STALE
    assert pipeline.flush_events() == []


def test_too_little_speech_is_warming_up_and_then_silence() -> None:
    short = signals.by_pattern("." * 10 + "S" * 10 + "." * 20)
    assert states(heard([one_chunk(short)])) == ["warming_up", "silence"]


def test_unsure_where_no_class_stands_out() -> None:
    limits = Settings(estimate=EstimateSettings(unsure_below=1.0))
    estimates = heard([one_chunk(TALK)], Pipeline(FakeClassifier(), limits))
    assert states(estimates) == ["warming_up", "unsure", "silence"] * 2
    assert all(estimate.label in LABELS for estimate in judged(estimates))


@settings(max_examples=15, deadline=None)
@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), some.gaps(len(TALK)))
def test_silence_never_has_a_label(
    speech_prob: float, unsure_below: float, lost: dict[int, int]
) -> None:
    limits = Settings(estimate=EstimateSettings(unsure_below=unsure_below))
    pipeline = Pipeline(FakeClassifier(speech_prob=speech_prob), limits)
    for estimate in heard(some.scripted(TALK, [999], lost), pipeline):
        if estimate.state in TOLD:
            assert estimate.label in LABELS
            assert estimate.confidence > 0.0
        else:
            assert (estimate.label, estimate.confidence) == ("", 0.0)


def test_what_the_model_vetoes_is_silence() -> None:
    pipeline = Pipeline(FakeClassifier(speech_prob=0.4))
    estimates = heard([one_chunk(TALK)], pipeline)
    assert judged(estimates) == []
    assert states(estimates) == ["warming_up", "silence"] * 2
    stats = pipeline.stats
    assert stats.vetoed_windows == stats.windows > 10
    assert pipeline.summary().label == ""
    lenient = Settings(estimate=EstimateSettings(min_speech_prob=0.4))
    assert judged(heard([one_chunk(TALK)], Pipeline(FakeClassifier(speech_prob=0.4), lenient)))


def test_what_the_model_says_is_what_is_told() -> None:
    says = ["happy", "angry"]
    pipeline = Pipeline(
        FakeClassifier(says=says), Settings(estimate=EstimateSettings(time_constant_s=0.0))
    )
    first, second, *_ = judged(heard([one_chunk(TALK)], pipeline))
    assert [first.label, second.label] == says
    assert first.labels == pipeline.labels == LABELS


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
