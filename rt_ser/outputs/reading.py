"""Events back into the values that they tell, as when a log is looked at later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rt_ser.errors import InputError
from rt_ser.outputs.sink import Event
from rt_ser.stream_events import (
    Change,
    Gap,
    Loudest,
    Notice,
    StreamEvent,
    Tally,
    Utterance,
    Waypoint,
)
from rt_ser.types import F32, RATE_HZ, Estimate, State, StreamStats, Summary, freeze


def value_of(event: Event) -> StreamEvent | Summary | None:
    """Return what an event tells; None for a type that only repeats another, or is unknown.

    Keys and counters that this version does not know are passed over.

    Raises
    ------
    InputError
        If a key is missing or holds something else than schema 1 allows.
    """
    try:
        build = _BUILDERS.get(str(event["type"]))
        return None if build is None else build(dict(event))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"no event of schema 1: {type(error).__name__}: {error}") from None


def _samples(seconds: float) -> int:
    return round(float(seconds) * RATE_HZ)


def _probs(event: Mapping[str, Any], key: str = "probs") -> F32:
    return freeze(np.array([*event[key].values()], np.float32))


def _verdict(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what estimates, utterances and summaries have in common."""
    same = {name: event[name] for name in ("label", "confidence", "valence", "arousal")}
    return same | {"labels": tuple(event["probs"]), "probs": _probs(event)}


def _estimate(event: dict[str, Any]) -> Estimate:
    return Estimate(
        **_verdict(event),
        window_probs=_probs(event, "window_probs"),
        state=State(event["state"]),
        speech_prob=event["speech_prob"],
        start=event["start_sample"],
        stop=event["stop_sample"],
        utterance=event["utterance"],
        is_final=event["final"],
        level_dbfs=event["level_dbfs"],
        speech_samples=_samples(event["speech_s"]),
        age_ms=event.get("age_ms"),
        inference_ms=event.get("inference_ms"),
    )


def _utterance(event: dict[str, Any]) -> Utterance:
    change, loudest = event["change"], event["loudest"]
    return Utterance(
        **_verdict(event),
        number=event["utterance"],
        start=event["start_sample"],
        stop=event["stop_sample"],
        decided=event["decided_sample"],
        speech_samples=_samples(event["speech_s"]),
        windows=event["windows"],
        trajectory=tuple(
            Waypoint(
                stop=_samples(point["stop_s"]),
                **{name: point[name] for name in ("label", "confidence", "valence", "arousal")},
            )
            for point in event["trajectory"]
        ),
        loudest=Loudest(stop=_samples(loudest["stop_s"]), level_dbfs=loudest["level_dbfs"]),
        change=None if change is None else _change(change),
        age_ms=event.get("age_ms"),
    )


def _change(change: dict[str, Any]) -> Change:
    same = {name: change[name] for name in ("label", "valence", "arousal", "level_db")}
    return Change(**same, pause_samples=_samples(change["pause_s"]))


def _gap(event: dict[str, Any]) -> Gap:
    return Gap(start=event["start_sample"], stop=event["stop_sample"])


def _stats(counters: Mapping[str, Any]) -> StreamStats:
    """Return the counters that this version knows; schema 1 may gain some."""
    known = set(StreamStats.__slots__)
    return StreamStats(**{name: value for name, value in counters.items() if name in known})


def _tally(event: dict[str, Any]) -> Tally:
    return Tally(stop=event["stop_sample"], stats=_stats(event["counters"]))


def _notice(event: dict[str, Any]) -> Notice:
    return Notice(
        stop=event["stop_sample"], kind=event["kind"], text=event["text"], is_over=event["over"]
    )


def _summary(event: dict[str, Any]) -> Summary:
    return Summary(
        **_verdict(event),
        duration_samples=_samples(event["duration_s"]),
        speech_samples=_samples(event["speech_s"]),
        utterances=event["utterances"],
        stats=_stats(event["counters"]),
    )


_BUILDERS: dict[str, Callable[[dict[str, Any]], StreamEvent | Summary]] = {
    "estimate": _estimate,
    "utterance": _utterance,
    "gap": _gap,
    "stats": _tally,
    "notice": _notice,
    "summary": _summary,
}
