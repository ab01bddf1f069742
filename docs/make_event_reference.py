"""Write docs/events.md and the JSON Schema from what makes the events: ``make docs``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rt_ser.data import EVENT_SCHEMA
from rt_ser.outputs.events import EventStream
from rt_ser.outputs.kinds import KINDS, json_schema
from rt_ser.outputs.schema import Key, Kind
from rt_ser.stream_events import Change, Gap, Loudest, Notice, Tally, Utterance, Waypoint
from rt_ser.testing import FAKE_MANIFEST, LABELS
from rt_ser.types import RATE_HZ, Estimate, State, StreamStats, Summary

PAGE = Path(__file__).with_name("events.md")
INTRODUCTION = """\
# Events, schema 1

Made by `make docs` from the declarations that make the events (`rt_ser/outputs/kinds.py`); the same
as a [JSON Schema](../rt_ser/data/events.schema.json) lies in the package:
`rt_ser.data.EVENT_SCHEMA`.

Every output tells these events: `--jsonl` one a line, MQTT one a message, a table one estimate a
row. Times are positions in the audio: samples at 16 kHz counted from the start of the stream, lost
ones included, and the same in seconds. A recording gives the same bytes whatever the speed and the
machine; keys marked *live* are left out there, because they tell of the clock.

A reader should pass over keys and types that it does not know: schema 1 may gain some. None will go
or change its meaning under the same number. `rt_ser.outputs.reading.value_of` turns an event
back into the Python value that it tells.
"""


def examples() -> dict[str, dict[str, Any]]:
    """Return one event of each type, made as a live stream makes them."""
    probs = np.array([0.04, 0.02, 0.71, 0.01, 0.08, 0.03, 0.01, 0.1], np.float32)
    happy: dict[str, Any] = {
        "label": "happy", "labels": LABELS, "probs": probs, "confidence": 0.71, "valence": 0.62,
        "arousal": 0.24, "start": 150_240, "stop": 198_240,
    }  # fmt: skip
    estimate = Estimate(
        **happy, window_probs=probs, state=State.SPEECH, speech_prob=0.98, utterance=3,
        is_final=False, level_dbfs=-23.4, speech_samples=42_240, age_ms=41.2, inference_ms=0.31,
    )  # fmt: skip
    course = (
        Waypoint(stop=158_400, label="neutral", confidence=0.41, valence=0.2, arousal=0.05),
        Waypoint(stop=198_240, label="happy", confidence=0.77, valence=0.66, arousal=0.26),
    )
    utterance = Utterance(
        **happy, number=3, decided=205_440, speech_samples=41_280, windows=8, trajectory=course,
        loudest=Loudest(stop=170_400, level_dbfs=-14.2), age_ms=12.5,
        change=Change(label="sad", valence=0.94, arousal=0.5, level_db=4.1, pause_samples=25_600),
    )  # fmt: skip
    stats = StreamStats(captured_samples=320_160, judged_samples=180_480, gated_samples=136_320,
                        pending_samples=3_360, speech_samples=142_080, windows=31, utterances=4,
                        max_inference_ms=0.9)  # fmt: skip
    summary = Summary(
        labels=LABELS, label="happy", probs=probs, confidence=0.71, valence=0.62, arousal=0.24,
        duration_samples=20 * RATE_HZ, speech_samples=142_080, utterances=4, stats=stats,
    )  # fmt: skip
    manifest = replace(FAKE_MANIFEST, name="research", sha256="8c1f0a52b7de")
    stream = EventStream(
        "USB microphone", manifest, live=True, clock=lambda: (1_800_000_000.25, 5_021.75)
    )
    told = [
        event
        for value in (Gap(start=96_000, stop=96_480), estimate, utterance,
                      Tally(stop=320_160, stats=stats),
                      Notice(stop=160_320, kind="clipping", text="input clips in 4 % of blocks: "
                             "lower the gain, or move the microphone away"))
        for event in stream.of(value)
    ]  # fmt: skip
    return {str(event["type"]): dict(event) for event in [*told, stream.end(summary)]}


def allowed(key: Key) -> str:
    """Say in words what a key's value may be."""
    schema = key.schema
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kinds = schema["type"]
    words = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    if "maximum" in schema:
        return f"{words} {schema['minimum']} to {schema['maximum']}"
    if "minimum" in schema:
        return f"{words} from {schema['minimum']}"
    return words


def section(kind: Kind, example: dict[str, Any]) -> Iterator[str]:
    """Yield the lines on one type."""
    yield f"\n## {kind.name}\n\n{kind.doc}\n"
    yield "| key | value | meaning |\n|---|---|---|"
    for key in kind.keys:
        mark = "*live*: " if key.is_live else ""
        yield f"| `{key.name}` | {allowed(key)} | {mark}{key.doc} |"
    yield f"\n```json\n{json.dumps(example, indent=None)}\n```"


def page() -> str:
    """Return the whole text of docs/events.md."""
    shown = examples()
    lines = [INTRODUCTION.rstrip()]
    for kind in KINDS.values():
        lines += section(kind, shown[kind.name])
    names = ", ".join(f"`{name}`" for name in StreamStats.__slots__)
    lines.append(
        f"\n## Counters\n\n{names}. At every moment captured = judged + gated + pending + dropped, "
        "in samples: judged ones lay in a window that the model saw, gated ones never did (muted "
        "ones are among them), pending ones are undecided, dropped ones were lost. "
        "`max_inference_ms` and `max_lag_ms` are told live only.\n"
    )
    return "\n".join(lines)


def schema() -> str:
    """Return the text of the JSON Schema."""
    return json.dumps(json_schema(), indent=1) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    EVENT_SCHEMA.write_text(schema(), encoding="utf-8")
