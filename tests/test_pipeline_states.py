"""The signal path: what is judged and when, and the state that is told meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_ser.config import EstimateSettings, Settings, VadSettings
from rt_ser.pipeline import Pipeline
from rt_ser.stream_events import StreamEvent, Utterance
from rt_ser.testing import LABELS, FakeClassifier
from rt_ser.types import (
    F32,
    FRAME_SAMPLES,
    RATE_HZ,
    Estimate,
    LogMel,
    Prediction,
    State,
)
from tests import signals
from tests import strategies as some
from tests.streams import TALK, TOLD, fresh, heard, judged, one_chunk, windows

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
    assert stats.speech_samples == 0
    assert pipeline.summary().label == ""
    lenient = Settings(estimate=EstimateSettings(min_speech_prob=0.4))
    assert judged(heard([one_chunk(TALK)], Pipeline(FakeClassifier(speech_prob=0.4), lenient)))


class LateBeliever(FakeClassifier):
    """A model that hears no speech in the first few windows."""

    def __init__(self, doubts: int) -> None:
        super().__init__()
        self._doubts = doubts

    def predict(self, features: LogMel) -> Prediction:
        """Answer as ever, but for the doubts."""
        prediction = super().predict(features)
        return replace(prediction, speech_prob=float(len(self.seen) > self._doubts))


@pytest.mark.parametrize("doubts", range(6))
def test_what_is_vetoed_at_first_and_then_taken_for_speech_is_counted(doubts: int) -> None:
    """Windows overlap: what the first that is believed holds was spoken, all of it."""
    one = TALK[: 95 * FRAME_SAMPLES]
    believed = only_utterances(Pipeline(LateBeliever(0)).feed_events(one_chunk(one)))
    pipeline = Pipeline(LateBeliever(doubts))
    found = only_utterances(pipeline.feed_events(one_chunk(one)))
    assert believed[0].windows == 6 > doubts
    assert [turn.windows for turn in found] == [6 - doubts]
    assert [turn.speech_samples for turn in found] == [believed[0].speech_samples]
    assert pipeline.stats.speech_samples == pipeline.summary().speech_samples
    assert pipeline.summary().speech_samples == believed[0].speech_samples


def only_utterances(events: Sequence[StreamEvent]) -> list[Utterance]:
    return [event for event in events if isinstance(event, Utterance)]


def test_what_the_model_says_is_what_is_told() -> None:
    says = ["happy", "angry"]
    pipeline = Pipeline(
        FakeClassifier(says=says), Settings(estimate=EstimateSettings(time_constant_s=0.0))
    )
    first, second, *_ = judged(heard([one_chunk(TALK)], pipeline))
    assert [first.label, second.label] == says
    assert first.labels == pipeline.labels == LABELS
