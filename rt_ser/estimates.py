"""From predictions to rolling estimates, states and totals.

The rolling estimate is a weighted mean in audio time: see :class:`rt_ser.utterances.Rolling`.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from rt_ser.config import EstimateSettings
from rt_ser.stream_events import Loudest, Utterance
from rt_ser.types import (
    F32,
    Estimate,
    Prediction,
    Segment,
    State,
    StreamStats,
    Summary,
    freeze,
)
from rt_ser.utterances import Rolling, Running, Total, between

CIRCUMPLEX_DEGREES = {
    "happy": 7.8,
    "surprised": 69.8,
    "angry": 99.0,
    "fearful": 116.0,
    "disgust": 141.0,
    "sad": 207.5,
    "calm": 316.2,
}
"""Angle of each class on the circle of affect, 0 pleasant and 90 aroused.

From Russell (1980), "A circumplex model of affect", Journal of Personality and Social
Psychology 39, 1161-1178: the circular ordering of happy, astonished, angry, afraid, sad
and calm. Disgust is not among his words; it stands where "frustrated" does. Neutral, and
any label unknown here, lies at the origin.
"""

PERHAPS_NO_SPEECH = "perhaps no speech"
"""Why an estimate may be unsure of a label that has all confidence."""


def circumplex(labels: tuple[str, ...]) -> F32:
    """Return valence and arousal of each label, shape (labels, 2), range [-1, 1]."""
    points = np.zeros((len(labels), 2), np.float32)
    for row, label in enumerate(labels):
        if label in CIRCUMPLEX_DEGREES:
            angle = math.radians(CIRCUMPLEX_DEGREES[label])
            points[row] = math.cos(angle), math.sin(angle)
    return points


class Estimator:
    """Keeps the rolling estimate and the totals of one stream."""

    def __init__(self, labels: tuple[str, ...], settings: EstimateSettings) -> None:
        self.labels = labels
        self._settings = settings
        self._points = circumplex(labels)
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._rolling = Rolling(len(self.labels), self._settings.time_constant_s)
        self._probs = np.zeros(len(self.labels), np.float32)
        self._window = freeze(np.zeros(len(self.labels), np.float32))
        self._current: Running | None = None
        self._before: Utterance | None = None
        self._total = Total(np.zeros(len(self.labels)))

    def judge(self, prediction: Prediction, segment: Segment, *, level_dbfs: float) -> Estimate:
        """Take a window of speech into account and return the new estimate."""
        self._probs = self._rolling.add(prediction, segment)
        self._window = prediction.probs
        self._add(prediction, segment)
        confidence = float(self._probs.max())
        limits = self._settings
        is_speech = prediction.speech_prob >= limits.unsure_speech_below
        sure = is_speech and confidence >= limits.unsure_below
        return self._estimate(
            state=State.SPEECH if sure else State.UNSURE,
            segment=segment,
            label=self.labels[int(self._probs.argmax())],
            confidence=confidence,
            speech_prob=prediction.speech_prob,
            level_dbfs=level_dbfs,
            inference_ms=prediction.inference_ms,
            reason="" if is_speech else PERHAPS_NO_SPEECH,
        )

    def remark(
        self, state: State, *, stop: int, utterance: int, level_dbfs: float, reason: str = ""
    ) -> Estimate:
        """Return an estimate that says only that the state changed, and why; it has no label."""
        moment = Segment(
            start=stop,
            stop=stop,
            utterance=utterance,
            speech_samples=0,
            new_speech_samples=0,
            is_final=False,
        )
        return self._estimate(
            state=state,
            segment=moment,
            label="",
            confidence=0.0,
            speech_prob=0.0,
            level_dbfs=level_dbfs,
            inference_ms=None,
            reason=reason,
        )

    def close(self, span: tuple[int, int], *, decided: int, loudest: Loudest) -> Utterance | None:
        """End the utterance and return it as a whole; None where no window of it was judged.

        Parameters
        ----------
        span : tuple of int
            Its first sample and its end.
        decided : int
            The sample at which the end was known.
        loudest : Loudest
            Its loudest moment.
        """
        running, self._current = self._current, None
        if running is None or not running.weight:
            return None
        self._total = self._total.with_one_more(running)
        utterance = running.whole(
            span, decided=decided, loudest=loudest, point=self._point(running.mean)
        )
        if self._before is not None:
            utterance = replace(utterance, change=between(self._before, utterance))
        self._before = utterance
        return utterance

    def summary(self, duration_samples: int, stats: StreamStats) -> Summary:
        """Total up the stream: utterances weighted by their speech."""
        total = self._total.with_one_more(self._current)
        probs = total.probs
        valence, arousal = self._point(probs)
        return Summary(
            labels=self.labels,
            label=self.labels[int(probs.argmax())] if total.speech_samples else "",
            probs=freeze(probs),
            confidence=float(probs.max()),
            valence=valence,
            arousal=arousal,
            duration_samples=duration_samples,
            speech_samples=total.speech_samples,
            utterances=total.utterances,
            stats=stats,
        )

    def _add(self, prediction: Prediction, segment: Segment) -> None:
        if self._current is None or self._current.number != segment.utterance:
            self._total = self._total.with_one_more(self._current)
            self._current = Running(segment.utterance, self.labels)
        self._current.add(prediction, segment, self._point(prediction.probs))

    def _point(self, probs: F32) -> tuple[float, float]:
        """Return the expectation of valence and arousal under ``probs``."""
        valence, arousal = probs @ self._points
        return float(valence), float(arousal)

    def _estimate(
        self,
        *,
        state: State,
        segment: Segment,
        label: str,
        confidence: float,
        speech_prob: float,
        level_dbfs: float,
        inference_ms: float | None,
        reason: str = "",
    ) -> Estimate:
        valence, arousal = self._point(self._probs)
        return Estimate(
            label=label,
            labels=self.labels,
            probs=freeze(self._probs.copy()),
            window_probs=self._window,
            confidence=confidence,
            state=state,
            valence=valence,
            arousal=arousal,
            speech_prob=speech_prob,
            start=segment.start,
            stop=segment.stop,
            utterance=segment.utterance,
            is_final=segment.is_final,
            level_dbfs=level_dbfs,
            speech_samples=segment.speech_samples,
            inference_ms=inference_ms,
            reason=reason,
        )
