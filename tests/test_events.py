"""The event schema: every type there is, what it holds, and what a replay must not tell."""

from __future__ import annotations

import importlib.util
import json
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_ser.data import EVENT_SCHEMA
from rt_ser.errors import InputError
from rt_ser.outputs.events import EventStream, estimate_columns, flatten, utc
from rt_ser.outputs.kinds import ESTIMATE, KINDS, json_schema
from rt_ser.outputs.reading import value_of
from rt_ser.outputs.schema import SCHEMA, keys_of, number
from rt_ser.outputs.sink import Event
from rt_ser.pipeline import Pipeline
from rt_ser.stream_events import Tally
from rt_ser.testing import FAKE_MANIFEST, LABELS, FakeClassifier
from rt_ser.types import F32, RATE_HZ, State, StreamStats, Summary
from tests import strategies as some
from tests.views import estimate

ROOT = Path(__file__).resolve().parents[1]
ESTIMATE_KEYS = [
    "schema", "type", "stream", "seq", "start_sample", "start_s", "stop_sample", "stop_s",
    "utterance", "final", "state", "label", "confidence", "probs", "window_probs", "valence",
    "arousal", "speech_prob", "speech_s", "level_dbfs", "model", "model_hash",
]  # fmt: skip
LIVE_KEYS = ["time", "monotonic_s", "age_ms", "inference_ms"]


def stream(*, live: bool = False, name: str = "talk.wav") -> EventStream:
    return EventStream(name, FAKE_MANIFEST, live=live, clock=lambda: (1_800_000_000.5, 7.25))


def told(samples: F32, sizes: list[int], *, live: bool = False) -> list[Event]:
    """Everything that the pipeline tells of samples with a gap in them."""
    pipeline, events = Pipeline(FakeClassifier()), stream(live=live)
    chunks = some.scripted(samples, sizes, {5 * RATE_HZ: 480})
    values = [value for chunk in chunks for value in pipeline.feed_events(chunk)]
    values += pipeline.flush_events()
    lines = [event for value in values for event in events.of(value)]
    return [*lines, events.end(pipeline.summary(), file="talk.wav")]


@pytest.fixture(scope="module", params=[False, True], ids=["replay", "live"])
def every_event(request: pytest.FixtureRequest, demo_samples: F32) -> list[Event]:
    silence = np.zeros(11 * RATE_HZ, np.float32)  # of which a notice is given
    return told(np.concatenate((demo_samples, silence)), [480], live=request.param)


def reference() -> ModuleType:
    """Load docs/make_event_reference.py."""
    path = ROOT / "docs" / "make_event_reference.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def of_type(events: list[Event], kind: str) -> list[dict[str, Any]]:
    return [dict(event) for event in events if event["type"] == kind]


# Every type, found by itself --------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_is_told_by_a_real_stream(kind: str, every_event: list[Event]) -> None:
    found = of_type(every_event, kind)
    assert found
    live = "time" in found[0]
    want = [key.name for key in keys_of(KINDS[kind], live=live)]
    assert {tuple(event) for event in found} == {tuple(want)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_comes_back_from_json_as_it_was(kind: str, every_event: list[Event]) -> None:
    for event in of_type(every_event, kind):
        assert json.loads(json.dumps(event, allow_nan=False)) == event


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"state"}))
def test_every_value_comes_back_from_its_event(kind: str, every_event: list[Event]) -> None:
    """Told again, it is the same event."""
    for event in of_type(every_event, kind):
        value = value_of(json.loads(json.dumps(event)))
        again = stream(live="time" in event)
        if isinstance(value, Summary):
            second = again.end(value, file="talk.wav")
        else:
            assert value is not None
            second = again.of(value)[-1]
        assert {**second, "seq": event["seq"]} == event


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_obeys_the_schema_in_the_package(kind: str, every_event: list[Event]) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="pip install 'rt-ser[test]'")
    validator = jsonschema.Draft202012Validator(json.loads(EVENT_SCHEMA.read_text()))
    for event in of_type(every_event, kind):
        assert [error.message for error in validator.iter_errors(event)] == []
        for key in (key.name for key in KINDS[kind].keys if not key.is_live):
            lacking = {name: value for name, value in event.items() if name != key}
            assert not validator.is_valid(lacking), f"{kind} needs no {key}"


def test_the_schema_itself_is_a_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="pip install 'rt-ser[test]'")
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_schema_and_page_are_made_from_the_declarations() -> None:
    made = reference()
    advice = "write it anew: make docs"
    assert EVENT_SCHEMA.read_text(encoding="utf-8") == made.schema(), advice
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    assert page == made.page(), advice
    assert set(made.examples()) == set(KINDS)


# What they hold ---------------------------------------------------------------------------


def test_numbers_count_every_event_without_holes(every_event: list[Event]) -> None:
    assert [event["seq"] for event in every_event] == list(range(len(every_event)))
    assert every_event[-1]["type"] == "summary"
    assert {event["schema"] for event in every_event} == {SCHEMA} == {1}


def test_the_same_samples_make_the_same_bytes(demo_samples: F32) -> None:
    want = json.dumps(told(demo_samples, [480]))
    assert json.dumps(told(demo_samples, [1, 77_777])) == want
    assert json.dumps(told(demo_samples, [31, 480, 5_000])) == want


def test_a_replay_tells_nothing_of_the_clock(demo_samples: F32) -> None:
    live = {key.name for kind in KINDS.values() for key in kind.keys if key.is_live}
    assert live == set(LIVE_KEYS)
    for event in told(demo_samples, [480]):
        assert live.isdisjoint(event)
        counters = event.get("counters", {})
        assert isinstance(counters, dict)
        assert "max_inference_ms" not in counters


def test_states_are_told_when_they_change_and_only_then(every_event: list[Event]) -> None:
    changes = of_type(every_event, "state")
    assert changes[0]["before"] == "silence"
    assert all(after["before"] == before["state"] for before, after in pairwise(changes))
    assert all(one["state"] != one["before"] for one in changes)
    state = "silence"
    for event, following in pairwise(every_event):
        if event["type"] == "state":
            assert following["type"] == "estimate"
            state = str(event["state"])
        elif event["type"] == "estimate":
            assert event["state"] == state


def test_a_live_estimate_has_these_keys_in_this_order() -> None:
    late = estimate(age_ms=84.12345678, inference_ms=0.31)
    change, live = stream(live=True).of(late)
    assert list(live) == [*ESTIMATE_KEYS, *LIVE_KEYS]
    assert (change["type"], change["state"], change["seq"]) == ("state", "speech", 0)
    assert (live["type"], live["stream"], live["seq"]) == ("estimate", "talk.wav", 1)
    assert (live["utterance"], live["final"], live["state"]) == (3, False, "speech")
    assert (live["start_sample"], live["stop_sample"]) == (176_000, 200_000)
    assert (live["start_s"], live["stop_s"], live["speech_s"]) == (11.0, 12.5, 1.5)
    assert live["probs"] == dict.fromkeys(LABELS, 0.04) | {"happy": 0.72}
    assert (live["model"], live["model_hash"]) == ("fake", "")
    assert (live["time"], live["monotonic_s"]) == ("2027-01-15T08:00:00.500Z", 7.25)
    assert (live["age_ms"], live["inference_ms"]) == (84.123457, 0.31)
    (_, replayed) = stream().of(late)
    assert replayed == {key: live[key] for key in ESTIMATE_KEYS}


def test_utterances_add_up_to_the_summary(every_event: list[Event]) -> None:
    spoken = of_type(every_event, "utterance")
    (summary,) = of_type(every_event, "summary")
    assert summary["utterances"] == len(spoken)
    assert summary["speech_s"] == pytest.approx(sum(one["speech_s"] for one in spoken))
    assert set(summary["counters"]) <= set(StreamStats.__slots__)


@pytest.mark.parametrize("state", list(State))
def test_an_estimate_is_a_line_of_less_than_a_kilobyte(state: State) -> None:
    worst = estimate(
        confidence=0.123456789, state=state, age_ms=1234.567891, inference_ms=12.345678,
        start=10_123_456_789, stop=10_123_456_789, level_dbfs=-123.456789, valence=-0.123456789,
        arousal=-0.123456789, speech_prob=0.123456789, speech_samples=31_111,
    )  # fmt: skip
    long = EventStream("USB microphone of the hall", FAKE_MANIFEST, live=True)
    event = long.of(worst)[-1] | {"model_hash": "0" * 12, "seq": 123_456_789}
    assert len(json.dumps(event, separators=(",", ":"))) < 1000


def test_columns_of_a_table_are_the_events_keys_spread_out() -> None:
    for live in (False, True):
        row = flatten(stream(live=live).of(estimate())[-1])
        assert estimate_columns(LABELS, live=live) == list(row)
    assert [name for name in row if name.startswith("probs_")] == [
        f"probs_{label}" for label in LABELS
    ]


@given(st.floats(-1e6, 1e6))
def test_rounding_is_to_six_digits_and_knows_no_negative_zero(value: float) -> None:
    rounded = number(value)
    assert abs(rounded - value) <= 5.1e-7 + 1e-12 * abs(value)
    assert str(rounded) != "-0.0"


def test_times_are_utc_to_the_millisecond() -> None:
    assert utc(0.0) == "1970-01-01T00:00:00.000Z"
    assert utc(1_800_000_000.98765) == "2027-01-15T08:00:00.987Z"


# Reading ----------------------------------------------------------------------------------


def test_unknown_types_are_passed_over() -> None:
    assert value_of({"schema": 1, "type": "weather"}) is None


@pytest.mark.parametrize("kind", ["stats", "summary"])
def test_counters_that_came_later_are_passed_over(kind: str, every_event: list[Event]) -> None:
    """As docs/events.md promises: schema 1 may gain some."""
    jsonschema = pytest.importorskip("jsonschema", reason="pip install 'rt-ser[test]'")
    event: dict[str, Any] = dict(of_type(every_event, kind)[0])
    later = event | {"counters": event["counters"] | {"sneezes": 3}, "weather": "fair"}
    jsonschema.Draft202012Validator(json.loads(EVENT_SCHEMA.read_text())).validate(later)
    told, before = value_of(later), value_of(event)
    assert isinstance(told, Tally | Summary)
    assert isinstance(before, Tally | Summary)
    assert told.stats == before.stats


@pytest.mark.parametrize("wrong", [{"state": "sulking"}, {"probs": 3}, {"start_sample": None}, {}])
def test_what_is_no_event_is_refused(wrong: dict[str, Any]) -> None:
    (_, event) = stream().of(estimate())
    broken = {key: value for key, value in event.items() if key != "valence"} | wrong
    if "start_sample" in wrong:
        broken["valence"] = None
        del broken["start_sample"]
    with pytest.raises(InputError, match="no event of schema 1"):
        value_of(broken)


@given(
    key=st.sampled_from(sorted({key.name for kind in KINDS.values() for key in kind.keys})),
    kind=st.sampled_from(sorted(KINDS)),
    nonsense=st.none() | st.text() | st.floats() | st.lists(st.integers()) | st.just({"a": "b"}),
)
def test_nonsense_in_an_event_is_refused_in_our_own_words(
    key: str, kind: str, nonsense: object
) -> None:
    event = reference().examples()[kind] | {key: nonsense}
    with suppress(InputError):
        value_of(event)


def test_the_declared_estimate_is_complete() -> None:
    assert [key.name for key in ESTIMATE.keys] == [*ESTIMATE_KEYS, *LIVE_KEYS]
