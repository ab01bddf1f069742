"""Estimates and views made by hand, for the tests of outputs and screen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rt_ser.outputs.view import Moment, View, moment
from rt_ser.testing import LABELS
from rt_ser.types import RATE_HZ, Estimate, Meter, State, StreamStats, freeze


def estimate(label: str = "happy", confidence: float = 0.72, **changes: Any) -> Estimate:
    """Return an estimate at 12.5 s in which the other classes share the rest evenly."""
    probs = np.full(len(LABELS), (1 - confidence) / (len(LABELS) - 1), np.float32)
    if label:
        probs[LABELS.index(label)] = confidence
    values: dict[str, Any] = {
        "label": label,
        "labels": LABELS,
        "probs": freeze(probs),
        "window_probs": freeze(probs),
        "confidence": confidence,
        "state": State.SPEECH,
        "valence": 0.5,
        "arousal": 0.25,
        "speech_prob": 0.9,
        "start": 11 * RATE_HZ,
        "stop": 25 * RATE_HZ // 2,
        "utterance": 3,
        "is_final": False,
        "level_dbfs": -23.25,
        "speech_samples": 3 * RATE_HZ // 2,
    }
    return Estimate(**values | changes)


def history() -> tuple[Moment, ...]:
    """Return a minute: happy, a pause, angry, unsure, and two seconds not judged yet."""
    spoken = [
        *((second, "happy", State.SPEECH) for second in range(2, 20)),
        *((second, "angry", State.SPEECH) for second in range(30, 45)),
        *((second, "angry", State.UNSURE) for second in range(45, 50)),
        *((second, "", State.WARMING_UP) for second in range(57, 60)),
    ]
    moments: list[Moment] = []
    for second, label, state in spoken:
        for part in range(2):
            stop = int((second + (part + 1) / 2) * RATE_HZ)
            one = estimate(label, 0.6 if label else 0.0, stop=stop)
            before = moments[-1].stop if moments else 0
            moments.append(replace(moment(one, before), state=state))
    return tuple(moments)


def view(**changes: Any) -> View:
    """Return a view one minute into a stream in which somebody is happy."""
    values: dict[str, Any] = {
        "source": "USB microphone",
        "model": "research",
        "labels": LABELS,
        "is_live": True,
        "timeline_s": 60.0,
        "meter": Meter(position=60 * RATE_HZ, level_dbfs=-23.0, floor_dbfs=-58.0, is_speech=True),
        "stats": StreamStats(),
        "estimate": estimate(),
        "moments": history(),
        "audio_age_s": 0.084,
        "inference_ms": 0.31,
    }
    return View(**values | changes)
