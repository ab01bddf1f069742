"""Voice activity: frames in, stretches of speech worth judging out.

Three gates in a row. Every frame must pass webrtcvad and rise above an adaptive noise
floor; frames that do open, hold and close an utterance through a state machine with
onset voting and hangover; and a window is only handed on when it is as lively as speech
is, because webrtcvad calls white noise, pure tones, rain and engines speech.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from itertools import islice
from typing import TypeAlias

import numpy as np
import webrtcvad

from rt_ser.acoustics import level_dbfs
from rt_ser.config import EstimateSettings, VadSettings
from rt_ser.evidence import HEARING_DBFS, Evidence, LevelTracker
from rt_ser.stream_events import Loudest
from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ, SILENCE_DBFS, Frame, Meter, Segment

ONSET_SPAN = 5
"""Frames among which ``onset_frames`` must be speech for an utterance to open."""

MARGIN_FRAMES = 2
"""Frames of audio kept before the first and after the last frame of speech."""

LOOKBACK_SAMPLES = (ONSET_SPAN + MARGIN_FRAMES) * FRAME_SAMPLES
"""How far before the newest frame an utterance that opens now can begin."""

_RELEASE_DB = 3.0
_MOST_GAIN_DB = 60.0


class Phase(Enum):
    """Where the state machine stands."""

    QUIET = auto()
    TALKING = auto()
    HANGOVER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The settings in frames."""

    hop: int
    min_speech: int
    hangover: int
    window: int

    @classmethod
    def of(cls, vad: VadSettings, estimate: EstimateSettings, window_samples: int) -> Timing:
        """Round seconds to whole frames, at least one."""
        frames_per_s = RATE_HZ / FRAME_SAMPLES
        return cls(
            hop=max(1, round(estimate.hop_s * frames_per_s)),
            min_speech=max(1, round(estimate.min_speech_s * frames_per_s)),
            hangover=max(1, round(vad.hangover_s * frames_per_s)),
            window=-(-window_samples // FRAME_SAMPLES),
        )


Detector: TypeAlias = Callable[[F32], bool]
"""Tells of one frame at a good hearing level, float32 in [-1, 1], whether it is speech."""


class WebRtcDetector:
    """webrtcvad, at one of its modes.

    It knows absolute levels in six bands from 80 Hz to 4 kHz, and a telephone leaves two of
    these nearly empty. How loud speech must be is for the other gates to say, so every frame
    is brought to one level and it judges the spectrum alone: see "A gate that hears
    telephones" in train/experiments.md.
    """

    def __init__(self, mode: int) -> None:
        self._webrtc = webrtcvad.Vad(mode)

    def __call__(self, samples: F32) -> bool:
        """Ask about one frame."""
        pcm = np.clip(np.rint(32768.0 * at_hearing_level(samples)), -32768, 32767).astype("<i2")
        return bool(self._webrtc.is_speech(pcm.tobytes(), RATE_HZ))


def at_hearing_level(samples: F32) -> F32:
    """Return a frame brought to ``HEARING_DBFS``, or as near as 60 dB of gain bring it."""
    gain_db = min(_MOST_GAIN_DB, HEARING_DBFS - level_dbfs(samples))
    return samples * np.float32(10.0 ** (gain_db / 20.0))


class VoiceActivity:
    """Turn frames into segments to judge; all state is counted in frames.

    ``detector`` makes what is asked about each frame, webrtcvad if not given; it is called
    again after every gap, because what it made may remember what came before.
    """

    def __init__(
        self,
        vad: VadSettings,
        estimate: EstimateSettings,
        *,
        window_samples: int,
        detector: Callable[[], Detector] | None = None,
    ) -> None:
        self._new_detector = detector or partial(WebRtcDetector, vad.mode)
        self._settings = vad
        self.timing = Timing.of(vad, estimate, window_samples)
        self._evidence = Evidence(self.timing.window)
        self.reset()

    def reset(self) -> None:
        """Forget everything, utterance numbers too."""
        self.utterances = 0
        self.vetoed = 0
        self.speech_samples = 0
        self.meter = Meter()
        self.restart()

    def restart(self) -> None:
        """Forget all audio, as after a gap; an open utterance is dropped unfinished."""
        self._detector = self._new_detector()
        self._levels = LevelTracker()
        self.phase = Phase.QUIET
        self._recent: deque[tuple[Frame, float, bool]] = deque(maxlen=ONSET_SPAN)
        self._earliest: int | None = None
        # A closing utterance hands its hangover back and still needs a whole window.
        self._speech_flags: deque[bool] = deque(maxlen=self.timing.window + self.timing.hangover)
        self._verdict: bool | None = None
        self._new_speech = self._told_speech = 0
        self._start = 0
        self.loudest = Loudest(stop=0, level_dbfs=SILENCE_DBFS)

    @property
    def opened_at(self) -> int | None:
        """First sample of the open utterance, ``None`` while there is none."""
        return None if self.phase is Phase.QUIET else self._start

    @property
    def span(self) -> tuple[int, int]:
        """First sample and end of the newest utterance, which is closed; margins included."""
        return self._start, self._earliest or 0

    @property
    def is_warming_up(self) -> bool:
        """Whether an utterance is open that is too short to be judged yet."""
        return self.phase is not Phase.QUIET and self._verdict is None

    @property
    def is_judged(self) -> bool:
        """Whether an utterance is open whose newest window was taken for speech."""
        return self.phase is not Phase.QUIET and self._verdict is True

    def veto(self) -> None:
        """Take note that the model did not hear speech in the newest segment.

        A later one overlaps it: the frames in question are counted with that one, if at all.
        """
        self._verdict = False
        self._new_speech += self._told_speech
        self.speech_samples -= self._told_speech * FRAME_SAMPLES
        self._told_speech = 0

    def push(self, frame: Frame) -> Segment | None:
        """Take the next frame and return a segment if one is due.

        After a frame with a gap, nothing from before it is used any more; call
        :meth:`flush` first to have the utterance before it closed properly.
        """
        if frame.gap:
            self.restart()
        if self._earliest is None:
            self._earliest = frame.start
        level = level_dbfs(frame.samples)
        speech = self._is_speech(frame, level)
        self.meter = Meter(
            position=frame.stop,
            level_dbfs=level,
            floor_dbfs=self._levels.floor_dbfs,
            is_speech=self.phase is not Phase.QUIET or speech,
        )
        if self.phase is Phase.QUIET:
            self._listen(frame, level, speech)
            return None
        return self._follow(frame, level, speech)

    def flush(self) -> Segment | None:
        """Close the open utterance, if any, and return its last segment if it is worth one."""
        return None if self.phase is Phase.QUIET else self._close()

    def _is_speech(self, frame: Frame, level: float) -> bool:
        self._levels.push(level)
        settings = self._settings
        if level < settings.min_level_dbfs:
            return False
        margin = settings.min_snr_db - (0.0 if self.phase is Phase.QUIET else _RELEASE_DB)
        if level < self._levels.floor_dbfs + margin:
            return False
        return self._detector(frame.samples * np.float32(self._levels.gain))

    def _listen(self, frame: Frame, level: float, speech: bool) -> None:
        self._recent.append((frame, level, speech))
        if sum(flag for _, _, flag in self._recent) < self._settings.onset_frames:
            return
        self._open()

    def _open(self) -> None:
        spoken = [(frame, level) for frame, level, flag in self._recent if flag]
        earliest = self._earliest if self._earliest is not None else 0
        first = spoken[0][0].start - MARGIN_FRAMES * FRAME_SAMPLES
        self._start = max(earliest, first)
        self._speech_flags.clear()
        self._evidence.clear()
        before = (spoken[0][0].start - self._start) // FRAME_SAMPLES
        self._speech_flags.extend([False] * before)
        for frame, level, flag in self._recent:
            if frame.start < spoken[0][0].start:
                continue
            self._speech_flags.append(flag)
            if flag:
                self._evidence.push(frame.samples, level)
        frame, level = max(spoken, key=lambda pair: pair[1])
        self.loudest = Loudest(stop=frame.stop, level_dbfs=level)
        self._last_speech_stop = spoken[-1][0].stop
        self._stop = self._recent[-1][0].stop
        self._new_speech = len(spoken)
        self._since_judged = self.timing.hop
        self._silent = 0
        self._verdict = None
        self._recent.clear()
        self.phase = Phase.TALKING
        self.utterances += 1

    def _follow(self, frame: Frame, level: float, speech: bool) -> Segment | None:
        self._stop = frame.stop
        self._speech_flags.append(speech)
        self._since_judged += 1
        if speech:
            self._evidence.push(frame.samples, level)
            if level > self.loudest.level_dbfs:
                self.loudest = Loudest(stop=frame.stop, level_dbfs=level)
            self._last_speech_stop = frame.stop
            self._new_speech += 1
            self._silent = 0
            self.phase = Phase.TALKING
            return self._judge_if_due()
        self._silent += 1
        self.phase = Phase.HANGOVER
        return self._close() if self._silent >= self.timing.hangover else None

    def _judge_if_due(self) -> Segment | None:
        due = self._since_judged >= self.timing.hop
        if not due or self._evidence.count < self.timing.min_speech:
            return None
        self._since_judged = 0
        return self._segment(self._stop, is_final=False)

    def _close(self) -> Segment | None:
        self.phase = Phase.QUIET
        stop = min(self._stop, self._last_speech_stop + MARGIN_FRAMES * FRAME_SAMPLES)
        self._earliest = stop
        if self._evidence.count < self.timing.min_speech:
            return None
        for _ in range((self._stop - stop) // FRAME_SAMPLES):
            self._speech_flags.pop()
        return self._segment(stop, is_final=True)

    def _segment(self, stop: int, *, is_final: bool) -> Segment | None:
        if not self._evidence.is_lively():
            self.vetoed += 1
            self._verdict = False
            return None
        start = max(self._start, stop - self.timing.window * FRAME_SAMPLES)
        heard = sum(islice(reversed(self._speech_flags), (stop - start) // FRAME_SAMPLES))
        # What was vetoed before and has left the window since is speech to nobody.
        fresh, self._new_speech = min(self._new_speech, heard), 0
        self._verdict = True
        self._told_speech = fresh
        self.speech_samples += fresh * FRAME_SAMPLES
        return Segment(
            start=start,
            stop=stop,
            utterance=self.utterances - 1,
            speech_samples=heard * FRAME_SAMPLES,
            new_speech_samples=fresh * FRAME_SAMPLES,
            is_final=is_final,
        )
