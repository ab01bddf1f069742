"""The event schema: its keys in order, its rounding, and what a replay must not tell."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_ser.outputs.events import (
    SCHEMA,
    estimate_columns,
    estimate_event,
    number,
    summary_event,
)
from rt_ser.testing import LABELS
from rt_ser.types import RATE_HZ, State, StreamStats, Summary
from tests.views import estimate

ESTIMATE_KEYS = [
    "schema", "type", "stream", "seq", "start_sample", "stop_sample", "start_s", "stop_s",
    "utterance", "final", "state", "label", "confidence", "probs", "window_probs", "valence",
    "arousal", "speech_prob", "speech_s", "level_dbfs",
]  # fmt: skip
SUMMARY_KEYS = [
    "schema", "type", "stream", "seq", "file", "duration_s", "speech_s", "utterances", "label",
    "confidence", "probs", "valence", "arousal", "counters",
]  # fmt: skip


def summary() -> Summary:
    probs = np.array([0.1, 0, 0.6, 0.3, 0, 0, 0, 0], np.float32)
    return Summary(
        labels=LABELS,
        label="happy",
        probs=probs,
        confidence=float(probs[2]),
        valence=0.4,
        arousal=0.2,
        duration_samples=20 * RATE_HZ,
        speech_samples=12 * RATE_HZ,
        utterances=5,
        stats=StreamStats(captured_samples=320_000, windows=40, max_inference_ms=3.5),
    )


def test_an_estimate_has_these_keys_in_this_order() -> None:
    event = estimate_event(estimate(), stream="talk.wav", seq=7, live=False)
    assert list(event) == ESTIMATE_KEYS
    assert event["schema"] == SCHEMA == 1
    assert event["type"] == "estimate"
    assert (event["stream"], event["seq"], event["utterance"]) == ("talk.wav", 7, 3)
    assert (event["start_sample"], event["stop_sample"]) == (176_000, 200_000)
    assert (event["start_s"], event["stop_s"], event["speech_s"]) == (11.0, 12.5, 1.5)
    assert (event["state"], event["final"]) == ("speech", False)
    assert event["probs"] == dict.fromkeys(LABELS, 0.04) | {"happy": 0.72}


def test_only_a_live_estimate_tells_of_the_clock() -> None:
    late = estimate(age_ms=84.12345678, inference_ms=0.31)
    replayed = estimate_event(late, stream="a", seq=0, live=False)
    live = estimate_event(late, stream="a", seq=0, live=True)
    assert list(live) == [*ESTIMATE_KEYS, "age_ms", "inference_ms"]
    assert (live["age_ms"], live["inference_ms"]) == (84.123457, 0.31)
    assert {key: live[key] for key in ESTIMATE_KEYS} == replayed


def test_a_summary_has_these_keys_and_every_counter() -> None:
    event = summary_event(summary(), stream="talk.wav", seq=8, live=True, file="talk.wav")
    assert list(event) == SUMMARY_KEYS
    assert (event["duration_s"], event["speech_s"]) == (20.0, 12.0)
    counters = event["counters"]
    assert isinstance(counters, dict)
    assert set(counters) == set(StreamStats.__slots__)
    assert (counters["captured_samples"], counters["windows"]) == (320_000, 40)


def test_a_replays_summary_does_not_depend_on_how_fast_the_machine_is() -> None:
    event = summary_event(summary(), stream="a", seq=0, live=False)
    counters = event["counters"]
    assert isinstance(counters, dict)
    assert set(counters) == set(StreamStats.__slots__) - {"max_inference_ms"}


@pytest.mark.parametrize("state", list(State))
def test_events_are_plain_json_of_less_than_a_kilobyte(state: State) -> None:
    one = estimate(state=state, age_ms=1234.567891, inference_ms=12.345678)
    event = estimate_event(one, stream="USB microphone", seq=123_456, live=True)
    text = json.dumps(event, allow_nan=False, separators=(",", ":"))
    assert json.loads(text) == event
    assert len(text) < 1024


def test_columns_of_a_table_are_the_events_keys_spread_out() -> None:
    columns = estimate_columns(LABELS, live=False)
    assert columns[:4] == ["schema", "type", "stream", "seq"]
    assert [name for name in columns if name.startswith("probs_")] == [
        f"probs_{label}" for label in LABELS
    ]
    assert columns[-1] == "level_dbfs"
    assert estimate_columns(LABELS, live=True)[-2:] == ["age_ms", "inference_ms"]


@given(st.floats(-1e6, 1e6))
def test_rounding_is_to_six_digits_and_knows_no_negative_zero(value: float) -> None:
    rounded = number(value)
    assert abs(rounded - value) <= 5.1e-7 + 1e-12 * abs(value)
    assert str(rounded) != "-0.0"
