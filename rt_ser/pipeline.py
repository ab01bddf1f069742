"""The whole signal path: chunks in, estimates out. No threads, no clock, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from rt_ser.config import Settings
from rt_ser.estimates import Estimator
from rt_ser.features import LogMelStream
from rt_ser.framing import Framer
from rt_ser.model import Classifier
from rt_ser.types import (
    FRAME_SAMPLES,
    AudioChunk,
    Estimate,
    Frame,
    Meter,
    Segment,
    State,
    StreamStats,
    Summary,
)
from rt_ser.vad import LOOKBACK_SAMPLES, VoiceActivity


@dataclass(slots=True)
class _Ledger:
    """Every sample that came in is judged, gated, dropped, or pending; see StreamStats."""

    captured: int = 0
    judged: int = 0
    gated: int = 0
    dropped: int = 0
    gaps: int = 0
    decided_to: int = 0

    def judge(self, start: int, stop: int) -> None:
        """Book a judged window; what lies undecided before it was gated."""
        self.gate(start)
        self.judged += max(0, stop - max(start, self.decided_to))
        self.decided_to = max(self.decided_to, stop)

    def gate(self, upto: int) -> None:
        """Book everything undecided before ``upto`` as gated."""
        self.gated += max(0, upto - self.decided_to)
        self.decided_to = max(self.decided_to, upto)

    def lose(self, chunk: AudioChunk) -> None:
        """Book the samples lost just before a chunk; what lies undecided before was gated."""
        self.gate(chunk.start - chunk.gap)
        self.captured += chunk.gap
        self.dropped += chunk.gap
        self.gaps += 1
        self.decided_to = chunk.start


class Pipeline:
    """One stream's signal path.

    The result depends on the samples alone: not on how they are cut into chunks, how
    fast they come, or what the clock says.

    Parameters
    ----------
    classifier : Classifier
        The model; it may serve several pipelines, one call at a time.
    settings : Settings
        Its ``vad`` and ``estimate`` sections matter here.
    """

    def __init__(self, classifier: Classifier, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self._classifier = classifier
        manifest = classifier.manifest
        recipe = manifest.recipe
        self.labels = tuple(manifest.labels)
        self._framer = Framer()
        self._activity = VoiceActivity(
            self._settings.vad, self._settings.estimate, window_samples=recipe.window_samples
        )
        # An utterance's last window is judged when the hangover after it is over.
        hangover_rows = self._activity.timing.hangover * FRAME_SAMPLES // recipe.hop_samples
        self._features = LogMelStream(recipe, keep_frames=recipe.window_frames + hangover_rows)
        self._estimator = Estimator(self.labels, self._settings.estimate)
        self.reset()

    def reset(self) -> None:
        """Forget everything, as if newly made."""
        self._framer.reset()
        self._features.reset(0)
        self._activity.reset()
        self._estimator.reset()
        self._ledger = _Ledger()
        self._said = State.SILENCE
        self._windows = self._vetoed = 0
        self._max_inference_ms = 0.0

    @property
    def meter(self) -> Meter:
        """Level, floor and gate of the newest frame."""
        return self._activity.meter

    @property
    def stats(self) -> StreamStats:
        """The counters up to now."""
        ledger = self._ledger
        settled = ledger.judged + ledger.gated + ledger.dropped
        return StreamStats(
            captured_samples=ledger.captured,
            judged_samples=ledger.judged,
            gated_samples=ledger.gated,
            pending_samples=ledger.captured - settled,
            dropped_samples=ledger.dropped,
            speech_samples=self._activity.speech_samples,
            gaps=ledger.gaps,
            windows=self._windows,
            utterances=self._activity.utterances,
            vetoed_windows=self._vetoed + self._activity.vetoed,
            max_inference_ms=self._max_inference_ms,
        )

    def feed(self, chunk: AudioChunk) -> list[Estimate]:
        """Take the next chunk and return the estimates that it gives rise to, if any.

        There is one for every judged window and one for every change of state.
        """
        estimates: list[Estimate] = []
        if chunk.gap:
            estimates += self._close()
            self._ledger.lose(chunk)
        self._ledger.captured += len(chunk.samples)
        for frame in self._framer.push(chunk):
            estimates += self._take(frame)
        return estimates

    def flush(self) -> list[Estimate]:
        """Close the open utterance, as at the end of a recording, and return what that gives.

        What follows, if anything, is heard as after a gap: nothing spans the two.
        """
        estimates = self._close()
        self._framer.flush()
        self._ledger.gate(self._framer.position)
        self._activity.restart()
        self._features.reset(self._framer.position)
        return estimates

    def summary(self) -> Summary:
        """Return the stream in total up to now."""
        return self._estimator.summary(self._ledger.captured, self.stats)

    def _take(self, frame: Frame) -> list[Estimate]:
        self._features.push(frame)
        segment = self._activity.push(frame)
        estimates = [] if segment is None else self._judge(segment)
        if self._activity.opened_at is None:
            self._ledger.gate(frame.stop - LOOKBACK_SAMPLES)
        return estimates + self._follow_state()

    def _close(self) -> list[Estimate]:
        segment = self._activity.flush()
        estimates = [] if segment is None else self._judge(segment)
        return estimates + self._follow_state()

    def _judge(self, segment: Segment) -> list[Estimate]:
        """Ask the model, unless what it hears is no speech to it either."""
        prediction = self._classifier.predict(self._features.window(segment))
        self._windows += 1
        self._max_inference_ms = max(self._max_inference_ms, prediction.inference_ms)
        self._ledger.judge(segment.start, segment.stop)
        if prediction.speech_prob < self._settings.estimate.min_speech_prob:
            self._vetoed += 1
            self._activity.veto()
            return []
        level = self._activity.meter.level_dbfs
        estimate = self._estimator.judge(prediction, segment, level_dbfs=level)
        self._said = estimate.state
        return [estimate]

    def _follow_state(self) -> list[Estimate]:
        """Say so once where the state is no longer the last one told."""
        activity = self._activity
        if activity.is_warming_up:
            state = State.WARMING_UP
        elif activity.is_judged:
            return []
        else:
            state = State.SILENCE
        if state is self._said:
            return []
        self._said = state
        meter = activity.meter
        return [
            self._estimator.remark(
                state,
                stop=meter.position,
                utterance=max(0, activity.utterances - 1),
                level_dbfs=meter.level_dbfs,
            )
        ]
