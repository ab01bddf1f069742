"""The event schema, version 1: every key of every type, declared once.

From these declarations come the events themselves (:mod:`rt_ser.outputs.events`), the JSON
Schema in the package, the tables in docs/events.md and the columns of a table. A key may
be added within a version; one that goes or changes its meaning makes a new version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from rt_ser.stream_events import MAX_WAYPOINTS, Change, Waypoint
from rt_ser.types import F32, RATE_HZ, SILENCE_DBFS, State, StreamStats

SCHEMA = 1
DIGITS = 6
HASH_DIGITS = 12
"""Digits of the model's SHA-256 that tell it from all others one will ever meet."""

JsonSchema: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What an event needs to know besides the value that it tells."""

    stream: str
    seq: int
    model: str
    model_hash: str
    live: bool
    time: str = ""
    monotonic_s: float = 0.0
    before: State = State.SILENCE
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key: its name, what its value may be, what it means, and where it comes from."""

    name: str
    schema: JsonSchema
    doc: str
    of: Callable[[Any, Context], object]
    is_live: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One type of event."""

    name: str
    doc: str
    keys: tuple[Key, ...]


def number(value: float) -> float:
    """Round for output; -0.0 becomes 0.0."""
    return round(float(value), DIGITS) + 0.0


def by_label(labels: tuple[str, ...], probs: F32) -> dict[str, float]:
    """Pair labels with their rounded probabilities."""
    return {label: number(prob) for label, prob in zip(labels, probs, strict=True)}


def counters(stats: StreamStats, *, live: bool) -> dict[str, int | float]:
    """List the counters; those of wall-clock time are told of a live stream only."""
    values: dict[str, int | float] = asdict(stats)
    for name in ("max_inference_ms", "max_lag_ms"):
        value = values.pop(name)
        if live:
            values[name] = number(value)
    return values


TEXT: JsonSchema = {"type": "string"}
COUNT: JsonSchema = {"type": "integer", "minimum": 0}
SECONDS: JsonSchema = {"type": "number", "minimum": 0}
SHARE: JsonSchema = {"type": "number", "minimum": 0, "maximum": 1}
AFFECT: JsonSchema = {"type": "number", "minimum": -1, "maximum": 1}
LEVEL: JsonSchema = {"type": "number", "minimum": round(SILENCE_DBFS)}
PROBS: JsonSchema = {"type": "object", "additionalProperties": SHARE, "minProperties": 2}
STATE: JsonSchema = {"enum": [str(state) for state in State]}
MILLISECONDS: JsonSchema = {"type": ["number", "null"]}
COUNTERS: JsonSchema = {
    "type": "object",
    "properties": {name: {"type": "number", "minimum": 0} for name in StreamStats.__slots__},
}


def group(**properties: JsonSchema) -> JsonSchema:
    """Describe an object in which every one of these keys is present."""
    return {"type": "object", "properties": properties, "required": list(properties)}


TRAJECTORY: JsonSchema = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_WAYPOINTS,
    "items": group(stop_s=SECONDS, label=TEXT, confidence=SHARE, valence=AFFECT, arousal=AFFECT),
}
LOUDEST = group(stop_s=SECONDS, level_dbfs=LEVEL)
DIFFERENCE: JsonSchema = {"type": "number", "minimum": -2, "maximum": 2}
CHANGE: JsonSchema = {
    **group(
        label=TEXT, valence=DIFFERENCE, arousal=DIFFERENCE, level_db={"type": "number"},
        pause_s=SECONDS,
    ),
    "type": ["object", "null"],
}  # fmt: skip


def key(
    name: str, schema: JsonSchema, doc: str, of: Callable[[Any, Context], object] | None = None
) -> Key:
    """Declare a key; without ``of`` it is the value's attribute of that name."""
    if of is None:
        rounds = "number" in schema.get("type", ())

        def of(value: Any, _context: Context) -> object:
            found = getattr(value, name)
            return number(found) if rounds else found

    return Key(name=name, schema=schema, doc=doc, of=of)


def at(end: str, doc: str) -> tuple[Key, Key]:
    """Declare a moment twice: in samples at 16 kHz, and in seconds."""
    return (
        key(f"{end}_sample", COUNT, doc, lambda value, _: int(getattr(value, end))),
        key(f"{end}_s", SECONDS, "the same in seconds",
            lambda value, _: number(getattr(value, end) / RATE_HZ)),
    )  # fmt: skip


def waypoint(point: Waypoint) -> dict[str, object]:
    """Describe one point of a trajectory."""
    return {
        "stop_s": number(point.stop / RATE_HZ),
        "label": point.label,
        "confidence": number(point.confidence),
        "valence": number(point.valence),
        "arousal": number(point.arousal),
    }


def change(value: Change | None) -> dict[str, object] | None:
    """Describe how an utterance differs from the one before it."""
    if value is None:
        return None
    return {
        "label": value.label,
        "valence": number(value.valence),
        "arousal": number(value.arousal),
        "level_db": number(value.level_db),
        "pause_s": number(value.pause_samples / RATE_HZ),
    }


def live(name: str, schema: JsonSchema, doc: str, of: Callable[[Any, Context], object]) -> Key:
    """Declare a key that a replay's events lack, because it depends on machine or moment."""
    return Key(name=name, schema=schema, doc=doc, of=of, is_live=True)


def milliseconds(name: str, doc: str) -> Key:
    """Declare a live figure that may be unknown."""

    def of(value: Any, _context: Context) -> object:
        found = getattr(value, name)
        return None if found is None else number(found)

    return live(name, MILLISECONDS, doc, of)


def keys_of(kind: Kind, *, live: bool) -> Iterator[Key]:
    """Yield the keys of an event of this type, in the order in which they are written."""
    return (key for key in kind.keys if live or not key.is_live)


def described(kind: Kind, value: object, context: Context) -> dict[str, object]:
    """Return the event that tells ``value``."""
    return {key.name: key.of(value, context) for key in keys_of(kind, live=context.live)}
