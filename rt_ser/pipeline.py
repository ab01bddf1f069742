"""The whole signal path: chunks in, estimates out. No threads, no clock, no I/O."""

from __future__ import annotations

from collections.abc import Callable

from rt_ser.config import Settings
from rt_ser.estimates import Estimator
from rt_ser.features import LogMelStream
from rt_ser.framing import Framer
from rt_ser.health import InputHealth
from rt_ser.ledger import Ledger
from rt_ser.model import Classifier
from rt_ser.mute import HOLD_OFF_S, Mute
from rt_ser.stream_events import Gap, StreamEvent, Tally, only_estimates
from rt_ser.types import (
    FRAME_SAMPLES,
    RATE_HZ,
    AudioChunk,
    Estimate,
    Frame,
    Meter,
    Segment,
    State,
    StreamStats,
    Summary,
)
from rt_ser.vad import LOOKBACK_SAMPLES, Detector, VoiceActivity

TALLY_SAMPLES = 10 * RATE_HZ
"""Audio time between two tallies of the counters."""


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
    detector : callable, optional
        Makes what tells speech from other sounds in a frame; webrtcvad if not given.
    """

    def __init__(
        self,
        classifier: Classifier,
        settings: Settings | None = None,
        *,
        detector: Callable[[], Detector] | None = None,
    ) -> None:
        self._settings = settings or Settings()
        self._classifier = classifier
        manifest = classifier.manifest
        recipe = manifest.recipe
        self.labels = tuple(manifest.labels)
        self._framer = Framer()
        self._activity = VoiceActivity(
            self._settings.vad,
            self._settings.estimate,
            window_samples=recipe.window_samples,
            detector=detector,
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
        self._ledger = Ledger()
        self._mute = Mute()
        self._health = InputHealth()
        self._ignored = 0
        self._next_tally = TALLY_SAMPLES
        self._said = State.SILENCE
        self._windows = self._vetoed = 0
        self._max_inference_ms = 0.0

    @property
    def meter(self) -> Meter:
        """Level, floor and gate of the newest frame."""
        return self._activity.meter

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong with the input at present, in words, with what to do."""
        return self._health.findings

    @property
    def stats(self) -> StreamStats:
        """The counters up to now."""
        return self._stats_at(self._ledger.captured)

    @property
    def is_muted(self) -> bool:
        """Whether what is fed next is not listened to; the hold-off counts as muted."""
        return self._mute.is_on

    def mute(self) -> None:
        """Stop listening from the next chunk on, as while an agent speaks itself.

        Speech that is open is closed and judged as it stands. Muted samples are counted as
        gated, and time goes on. Any thread may call this.
        """
        self._mute.begin()

    def unmute(self, *, hold_off_s: float = HOLD_OFF_S) -> None:
        """Listen again after ``hold_off_s`` more seconds, lost ones included, as echoes die away.

        What comes then is heard as after a gap. Any thread may call this.
        """
        self._mute.end(round(hold_off_s * RATE_HZ))

    def feed(self, chunk: AudioChunk) -> list[Estimate]:
        """Take the next chunk and return the estimates that it gives rise to, if any.

        There is one for every judged window and one for every change of state.
        """
        return only_estimates(self.feed_events(chunk))

    def flush(self) -> list[Estimate]:
        """Close the open utterance, as at the end of a recording, and return what that gives.

        What follows, if anything, is heard as after a gap: nothing spans the two.
        """
        return only_estimates(self.flush_events())

    def feed_events(self, chunk: AudioChunk) -> list[StreamEvent]:
        """Take the next chunk and return all that there is to tell, in order.

        Besides the estimates: every utterance as a whole when it has ended, every gap,
        and the counters every ten seconds of audio.
        """
        events: list[StreamEvent] = []
        if chunk.gap:
            # After an interruption everything is closed, and said, already.
            events += [] if self._said is State.STALE else self._close()
            self._ledger.lose(chunk)
            self._mute.take(chunk.gap)  # an echo dies away in lost time as well
            events.append(Gap(start=chunk.start - chunk.gap, stop=chunk.start))
        self._ledger.captured += len(chunk.samples)
        muted = self._mute.take(len(chunk.samples))
        if muted:
            events += self._ignore(chunk.start, muted)
        if muted < len(chunk.samples) or not muted:
            for frame in self._framer.push(self._heard(chunk, muted)):
                events += self._take(frame)
        return events

    def flush_events(self) -> list[StreamEvent]:
        """Close the open utterance like :meth:`flush` and return all that there is to tell."""
        # what is stale stays so: that nobody speaks now is more than is known
        events = [] if self._said is State.STALE else self._close()
        self._framer.flush()
        self._ledger.gate(self._framer.position)
        self._activity.restart()
        self._features.reset(self._framer.position)
        return events

    def interrupt_events(self, reason: str) -> list[StreamEvent]:
        """Take note that no audio comes any more, for now, and return all there is to tell.

        Open speech is judged as it stands, and the state is then ``stale`` for ``reason``,
        until a chunk comes.
        """
        events = self._close_utterance()
        return [*events, self._remark(State.STALE, reason)]

    def summary(self) -> Summary:
        """Return the stream in total up to now."""
        return self._estimator.summary(self._ledger.captured, self.stats)

    def _take(self, frame: Frame) -> list[StreamEvent]:
        was_open = self._activity.opened_at is not None
        self._features.push(frame)
        segment = self._activity.push(frame)
        events = [] if segment is None else self._judge(segment)
        if self._activity.opened_at is None:
            self._ledger.gate(frame.stop - LOOKBACK_SAMPLES)
            events += self._end() if was_open else []
        notices = self._health.push(frame, is_speech=self._activity.meter.is_speech)
        return [*events, *self._follow_state(), *notices, *self._count(frame.stop)]

    def _close(self) -> list[StreamEvent]:
        """Close the open utterance and say that there is none now."""
        return self._close_utterance() + self._follow_state()

    def _close_utterance(self) -> list[StreamEvent]:
        if self._activity.opened_at is None:
            return []
        segment = self._activity.flush()
        return ([] if segment is None else self._judge(segment)) + self._end()

    def _end(self) -> list[StreamEvent]:
        """Tell the utterance that has just closed as a whole."""
        utterance = self._estimator.close(
            self._activity.span,
            decided=self._activity.meter.position,
            loudest=self._activity.loudest,
        )
        return [] if utterance is None else [utterance]

    def _ignore(self, start: int, samples: int) -> list[StreamEvent]:
        """Let muted samples pass: they are counted, and nothing hears them."""
        events: list[StreamEvent] = []
        if not self._ignored:
            events += self._close_utterance()
            self._framer.flush()
            self._activity.restart()
        self._ignored += samples
        self._ledger.muted += samples
        self._ledger.gate(start + samples)
        self._activity.meter = Meter(position=start + samples)
        if self._said is not State.MUTED:
            events.append(self._remark(State.MUTED))
        return events + self._count(start + samples)

    def _heard(self, chunk: AudioChunk, muted: int) -> AudioChunk:
        """Return what follows the muted samples of a chunk, marked as after a gap."""
        if not self._ignored:
            return chunk
        ignored, self._ignored = self._ignored, 0
        return AudioChunk(
            samples=chunk.samples[muted:], start=chunk.start + muted, gap=chunk.gap + ignored
        )

    def _count(self, position: int) -> list[StreamEvent]:
        """Tell the counters when it is time; they do not depend on how chunks are cut."""
        if position < self._next_tally:
            return []
        self._next_tally += TALLY_SAMPLES * (1 + (position - self._next_tally) // TALLY_SAMPLES)
        pending = max(0, position - self._ledger.decided_to)
        return [Tally(stop=position, stats=self._stats_at(self._ledger.settled + pending))]

    def _stats_at(self, captured: int) -> StreamStats:
        ledger = self._ledger
        return StreamStats(
            captured_samples=captured,
            judged_samples=ledger.judged,
            gated_samples=ledger.gated,
            pending_samples=captured - ledger.settled,
            dropped_samples=ledger.dropped,
            muted_samples=ledger.muted,
            speech_samples=self._activity.speech_samples,
            gaps=ledger.gaps,
            windows=self._windows,
            utterances=self._activity.utterances,
            vetoed_windows=self._vetoed + self._activity.vetoed,
            max_inference_ms=self._max_inference_ms,
        )

    def _judge(self, segment: Segment) -> list[StreamEvent]:
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

    def _follow_state(self) -> list[StreamEvent]:
        """Say so once where the state is no longer the last one told."""
        activity = self._activity
        if self._ignored:
            return []
        if activity.is_warming_up:
            state = State.WARMING_UP
        elif activity.is_judged:
            return []
        else:
            state = State.SILENCE
        return [] if state is self._said else [self._remark(state)]

    def _remark(self, state: State, reason: str = "") -> Estimate:
        self._said = state
        meter = self._activity.meter
        return self._estimator.remark(
            state,
            stop=meter.position,
            utterance=max(0, self._activity.utterances - 1),
            level_dbfs=meter.level_dbfs,
            reason=reason,
        )
