"""The types of events, and the JSON Schema that follows from them."""

from __future__ import annotations

from typing import Any, Final

from rt_ser.outputs.schema import (
    AFFECT,
    CHANGE,
    COUNT,
    COUNTERS,
    LEVEL,
    LOUDEST,
    PROBS,
    SCHEMA,
    SECONDS,
    SHARE,
    STATE,
    TEXT,
    TRAJECTORY,
    Key,
    Kind,
    at,
    by_label,
    change,
    counters,
    key,
    live,
    milliseconds,
    number,
    waypoint,
)
from rt_ser.types import RATE_HZ


def head(name: str) -> tuple[Key, ...]:
    """Declare what every event begins with."""
    return (
        key("schema", {"const": SCHEMA}, "version of this schema", lambda *_: SCHEMA),
        key("type", {"const": name}, "which kind of event this is", lambda *_: name),
        key("stream", TEXT, "which stream: the file as it was named, or the device",
            lambda _, context: context.stream),
        key("seq", COUNT, "number of the event within its stream, from 0, without holes",
            lambda _, context: context.seq),
    )  # fmt: skip


CLOCK = (
    live("time", {"type": "string", "format": "date-time"}, "wall-clock time of telling it, UTC",
         lambda _, context: context.time),
    live("monotonic_s", {"type": "number"}, "the same by the monotonic clock, in seconds",
         lambda _, context: number(context.monotonic_s)),
)  # fmt: skip

MODEL = (
    key("model", TEXT, "name of the model, with `+voice` where it is attuned to one",
        lambda _, context: context.model),
    key("model_hash", TEXT, "first 12 hexadecimal digits of its SHA-256",
        lambda _, context: context.model_hash),
)  # fmt: skip

VERDICT = (
    key("label", TEXT, "most probable class; empty where nothing is judged"),
    key("confidence", SHARE, "its probability"),
)

AFFECTS = (
    key("valence", AFFECT, "unpleasant -1 to pleasant 1, expected under `probs`"),
    key("arousal", AFFECT, "calm -1 to excited 1, expected under `probs`"),
)


def probs(doc: str) -> Key:
    """Declare the probabilities of all classes."""
    return key("probs", PROBS, doc, lambda value, _: by_label(value.labels, value.probs))


def seconds(doc: str, name: str = "speech") -> Key:
    """Declare a duration that the value has in samples."""
    return key(f"{name}_s", SECONDS, doc,
               lambda value, _: number(getattr(value, f"{name}_samples") / RATE_HZ))  # fmt: skip


ESTIMATE: Final = Kind(
    name="estimate",
    doc="What is known at this moment: one for each judged window, four a second of speech, "
    "and one for each change of state.",
    keys=(
        *head("estimate"),
        *at("start", "first sample of the judged window"),
        *at("stop", "end of the judged window: the moment that the estimate is about"),
        key("utterance", COUNT, "number of the stretch of speech, from 0"),
        key("final", {"type": "boolean"}, "whether it is the utterance's last window",
            lambda value, _: bool(value.is_final)),
        key("state", STATE, "what the estimate may be taken for",
            lambda value, _: str(value.state)),
        *VERDICT,
        probs("rolling probability of each class"),
        key("window_probs", PROBS, "that of the newest window alone",
            lambda value, _: by_label(value.labels, value.window_probs)),
        *AFFECTS,
        key("speech_prob", SHARE, "the model's own opinion that it heard speech"),
        seconds("seconds of speech in the window"),
        key("level_dbfs", LEVEL, "level of the newest 30 ms, dBFS"),
        *MODEL,
        *CLOCK,
        milliseconds("age_ms", "age of sample `stop_sample` when it was told"),
        milliseconds("inference_ms", "what the model took"),
    ),
)  # fmt: skip

UTTERANCE: Final = Kind(
    name="utterance",
    doc="A stretch of speech as a whole, once it has ended: what an agent wants per turn. It "
    "owes nothing to what was said before. Speech too short to be judged "
    "(`estimate.min_speech_s`) and noise give none.",
    keys=(
        *head("utterance"),
        *at("start", "where it begins"),
        *at("stop", "where it ends"),
        *at("decided", "where its end was known, a hangover after the last speech"),
        key("utterance", COUNT, "its number, from 0", lambda value, _: int(value.number)),
        *VERDICT,
        probs("mean over its windows, weighted by the cube of the speech in them"),
        *AFFECTS,
        seconds("seconds of speech in it"),
        key("windows", COUNT, "how many windows were judged"),
        key("loudest", LOUDEST, "its loudest 30 ms: where they end, and their level",
            lambda value, _: {"stop_s": number(value.loudest.stop / RATE_HZ),
                              "level_dbfs": number(value.loudest.level_dbfs)}),
        key("trajectory", TRAJECTORY, "its course: what windows evenly spaced, and the last "
            "one, said each by itself", lambda value, _: [*map(waypoint, value.trajectory)]),
        key("change", CHANGE, "since the utterance before: its label, differences of valence, "
            "arousal and loudest level, and the pause between; null for the first",
            lambda value, _: change(value.change)),
        *MODEL,
        *CLOCK,
        milliseconds("age_ms", "age of sample `decided_sample` when it was told"),
    ),
)  # fmt: skip

STATE_CHANGE: Final = Kind(
    name="state",
    doc="The state is another one than before. It comes right before the estimate that has it.",
    keys=(
        *head("state"),
        *at("stop", "where the state changed"),
        key("state", STATE, "the new state", lambda value, _: str(value.state)),
        key("before", STATE, "the one before", lambda _, context: str(context.before)),
        key("reason", TEXT, "why, in words, where the confidence does not tell; else empty"),
        *CLOCK,
    ),
)  # fmt: skip

GAP: Final = Kind(
    name="gap",
    doc="Audio was lost. Nothing that is told spans it.",
    keys=(
        *head("gap"),
        *at("start", "first sample that is missing"),
        *at("stop", "first sample that is there again"),
        *CLOCK,
    ),
)

STATS: Final = Kind(
    name="stats",
    doc="The counters so far, every ten seconds of audio.",
    keys=(
        *head("stats"),
        *at("stop", "audio position"),
        key("counters", COUNTERS, "see below",
            lambda value, context: counters(value.stats, live=context.live)),
        *CLOCK,
    ),
)  # fmt: skip

NOTICE: Final = Kind(
    name="notice",
    doc="Something is wrong with the input, or is no longer: said once each.",
    keys=(
        *head("notice"),
        *at("stop", "where it was found"),
        key("kind", {"enum": ["silent", "clipping", "offset", "faint"]}, "what it is"),
        key("text", TEXT, "the same for a person, with what to do"),
        key("over", {"type": "boolean"}, "whether it has ceased",
            lambda value, _: bool(value.is_over)),
        *CLOCK,
    ),
)  # fmt: skip

SUMMARY: Final = Kind(
    name="summary",
    doc="The stream in total; its last event.",
    keys=(
        *head("summary"),
        key("file", {"type": ["string", "null"]}, "the recording, or null for a device",
            lambda _, context: context.file),
        seconds("seconds of audio", "duration"),
        seconds("seconds of judged speech"),
        key("utterances", COUNT, "how many `utterance` events there were"),
        *VERDICT,
        probs("mean over the utterances, weighted by their speech; zeros where there was none"),
        *AFFECTS,
        key("counters", COUNTERS, "see below",
            lambda value, context: counters(value.stats, live=context.live)),
        *MODEL,
        *CLOCK,
    ),
)  # fmt: skip

KINDS: Final = {
    kind.name: kind for kind in (ESTIMATE, UTTERANCE, STATE_CHANGE, GAP, STATS, NOTICE, SUMMARY)
}
"""Every type of event by its name."""


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one event."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:rt-ser:event:{SCHEMA}",
        "title": f"rt-ser event, version {SCHEMA}",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in KINDS],
        "$defs": {
            name: {
                "description": kind.doc,
                "type": "object",
                "properties": {
                    key.name: {"description": key.doc, **key.schema} for key in kind.keys
                },
                "required": [key.name for key in kind.keys if not key.is_live],
            }
            for name, kind in KINDS.items()
        },
    }
