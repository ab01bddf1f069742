"""Estimates and summaries as plain JSON values: one schema for every output.

A replay's events hold nothing that depends on the machine or the moment, so the same
audio gives the same bytes at any speed. Wall-clock figures are added for a live stream
only. Numbers are rounded here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

import numpy as np

from rt_ser.outputs.sink import Event
from rt_ser.types import RATE_HZ, Estimate, State, StreamStats, Summary

SCHEMA = 1
DIGITS = 6


def number(value: float) -> float:
    """Round for output; -0.0 becomes 0.0."""
    return round(float(value), DIGITS) + 0.0


def by_label(labels: Iterable[str], probs: Iterable[float]) -> dict[str, float]:
    """Pair labels with their rounded probabilities."""
    return {label: number(prob) for label, prob in zip(labels, probs, strict=True)}


def estimate_event(estimate: Estimate, *, stream: str, seq: int, live: bool) -> Event:
    """Describe one estimate.

    Parameters
    ----------
    estimate : Estimate
        What the pipeline said.
    stream : str
        Which stream: a file as it was named, or a device.
    seq : int
        Number of the event within its stream, from 0, without holes: a reader that
        misses a number has missed an event.
    live : bool
        Whether to add ``age_ms`` and ``inference_ms``.
    """
    event: dict[str, object] = {
        "schema": SCHEMA,
        "type": "estimate",
        "stream": stream,
        "seq": seq,
        "start_sample": int(estimate.start),
        "stop_sample": int(estimate.stop),
        "start_s": number(estimate.start_s),
        "stop_s": number(estimate.stop_s),
        "utterance": int(estimate.utterance),
        "final": bool(estimate.is_final),
        "state": str(estimate.state),
        "label": estimate.label,
        "confidence": number(estimate.confidence),
        "probs": by_label(estimate.labels, estimate.probs),
        "window_probs": by_label(estimate.labels, estimate.window_probs),
        "valence": number(estimate.valence),
        "arousal": number(estimate.arousal),
        "speech_prob": number(estimate.speech_prob),
        "speech_s": number(estimate.speech_samples / RATE_HZ),
        "level_dbfs": number(estimate.level_dbfs),
    }
    if live:
        event["age_ms"] = _optional(estimate.age_ms)
        event["inference_ms"] = _optional(estimate.inference_ms)
    return event


def summary_event(
    summary: Summary, *, stream: str, seq: int, live: bool, file: str | None = None
) -> Event:
    """Describe a whole stream, the last event of it; ``file`` where it came from one."""
    return {
        "schema": SCHEMA,
        "type": "summary",
        "stream": stream,
        "seq": seq,
        "file": file,
        "duration_s": number(summary.duration_samples / RATE_HZ),
        "speech_s": number(summary.speech_samples / RATE_HZ),
        "utterances": int(summary.utterances),
        "label": summary.label,
        "confidence": number(summary.confidence),
        "probs": by_label(summary.labels, summary.probs),
        "valence": number(summary.valence),
        "arousal": number(summary.arousal),
        "counters": counters(summary.stats, live=live),
    }


def counters(stats: StreamStats, *, live: bool) -> dict[str, int | float]:
    """List the counters; how long inference took is told of a live stream only."""
    values: dict[str, int | float] = asdict(stats)
    if live:
        values["max_inference_ms"] = number(stats.max_inference_ms)
    else:
        del values["max_inference_ms"]
    return values


def flatten(event: Event) -> dict[str, object]:
    """Spread nested mappings into keys named ``outer_inner``, for a table's columns."""
    row: dict[str, object] = {}
    for key, value in event.items():
        if isinstance(value, Mapping):
            row |= {f"{key}_{inner}": part for inner, part in value.items()}
        else:
            row[key] = value
    return row


def estimate_columns(labels: tuple[str, ...], *, live: bool) -> list[str]:
    """Name the columns of a table of estimates, from the event that fills them."""
    nothing = np.zeros(len(labels), np.float32)
    blank = Estimate(
        label="",
        labels=labels,
        probs=nothing,
        window_probs=nothing,
        confidence=0.0,
        state=State.WARMING_UP,
        valence=0.0,
        arousal=0.0,
        speech_prob=0.0,
        start=0,
        stop=0,
        utterance=0,
        is_final=False,
        level_dbfs=-120.0,
    )
    return list(flatten(estimate_event(blank, stream="", seq=0, live=live)))


def _optional(value: float | None) -> float | None:
    return None if value is None else number(value)
