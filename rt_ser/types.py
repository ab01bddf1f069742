"""The values that travel through the pipeline, all immutable.

Times are absolute integer sample indices at the pipeline rate; seconds appear
only where a person reads them. Arrays inside these values are read-only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

F32: TypeAlias = NDArray[np.float32]
I16: TypeAlias = NDArray[np.int16]

RATE_HZ = 16_000
"""Sample rate of everything behind the capture boundary, in hertz."""

FRAME_SAMPLES = 480
"""One voice-activity frame: 30 ms at the pipeline rate."""

SILENCE_DBFS = -120.0
"""What digital silence is reported as: no level is lower."""


class State(StrEnum):
    """What an estimate may be taken for.

    ``warming_up``: too little speech heard yet to judge. ``silence``: no speech.
    ``speech``: a judged window of speech. ``unsure``: speech, but no class is
    confident enough. ``stale``: the newest audio is too old to be the present.
    ``muted``: told not to listen, as while an agent speaks itself.
    """

    WARMING_UP = "warming_up"
    SILENCE = "silence"
    SPEECH = "speech"
    UNSURE = "unsure"
    STALE = "stale"
    MUTED = "muted"


def freeze(values: F32) -> F32:
    """Return a read-only view of an array, leaving the caller's own view writable."""
    view = values.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AudioChunk:
    """Consecutive mono samples at the pipeline rate, in any length.

    ``gap`` counts samples lost just before ``start`` (they are included in the
    numbering). ``captured_at`` is monotonic seconds of the last sample, for
    latency figures only; ``None`` where there is no such moment, as in a file.
    """

    samples: F32
    start: int
    gap: int = 0
    captured_at: float | None = None

    @property
    def stop(self) -> int:
        """Index of the first sample after this chunk."""
        return self.start + len(self.samples)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """Exactly ``FRAME_SAMPLES`` mono samples; ``gap`` as in :class:`AudioChunk`."""

    samples: F32
    start: int
    gap: int = 0

    @property
    def stop(self) -> int:
        """Index of the first sample after this frame."""
        return self.start + len(self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of audio that is to be judged: the newest window of an utterance.

    ``speech_samples`` counts the samples in it that the voice-activity gate
    called speech; ``new_speech_samples`` those since the utterance's previous
    segment that the model took for speech.
    """

    start: int
    stop: int
    utterance: int
    speech_samples: int
    new_speech_samples: int
    is_final: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LogMel:
    """One window as the model takes it: level-normalised log-mel, range [-1, 1].

    ``values`` has shape (window_frames, mels) of the feature recipe named ``recipe``.
    """

    values: F32
    start: int
    stop: int
    utterance: int
    recipe: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """What the model says of one window.

    ``probs`` has one calibrated probability per label and sums to 1;
    ``speech_prob`` is the model's own opinion that this was speech at all.
    """

    probs: F32
    speech_prob: float
    start: int
    stop: int
    utterance: int
    inference_ms: float


class Span:
    """What lasts from sample ``start`` to sample ``stop``, in seconds."""

    __slots__ = ()
    start: int
    stop: int

    @property
    def start_s(self) -> float:
        """Where it begins, in seconds of audio time."""
        return self.start / RATE_HZ

    @property
    def stop_s(self) -> float:
        """Where it ends, in seconds of audio time."""
        return self.stop / RATE_HZ


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimate(Span):
    """What is known of the speaker's emotion at sample ``stop``.

    ``start`` and ``stop`` are those of the judged window. ``probs`` is the rolling estimate,
    ``window_probs`` that of the newest window alone; both shape (classes,), in the order of
    ``labels``. ``label`` is the most probable class of ``probs`` and ``confidence`` its
    probability; while nobody speaks, or too little was said yet, they are an empty string
    and 0, so that silence is never given an emotion. ``valence`` and ``arousal`` lie in
    [-1, 1]. ``reason`` says in words why the state is what it is, where ``confidence`` does
    not. ``age_ms`` and ``inference_ms`` are wall-clock figures of a live
    stream and play no part in the signal path.
    """

    label: str
    labels: tuple[str, ...]
    probs: F32
    window_probs: F32
    confidence: float
    state: State
    valence: float
    arousal: float
    speech_prob: float
    start: int
    stop: int
    utterance: int
    is_final: bool
    level_dbfs: float
    speech_samples: int = 0
    age_ms: float | None = None
    inference_ms: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """Newest frame's level, floor and gate, for a level meter and a speech lamp.

    Levels are dBFS RMS, ``SILENCE_DBFS`` for digital silence.
    """

    position: int = 0
    level_dbfs: float = SILENCE_DBFS
    floor_dbfs: float = SILENCE_DBFS
    is_speech: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStats:
    """Counters of one stream. Samples are at the pipeline rate.

    At every moment ``captured_samples = judged_samples + gated_samples +
    pending_samples + dropped_samples``: judged ones lay in a window that the
    model saw, gated ones never did, pending ones are undecided yet, dropped ones
    were lost before the pipeline could see them. ``muted_samples`` says how many of the
    gated ones came while the stream was muted. ``reopened`` counts how often the device had
    to be opened again, ``max_lag_ms`` is the longest way of a block from the converter.
    """

    captured_samples: int = 0
    judged_samples: int = 0
    gated_samples: int = 0
    pending_samples: int = 0
    dropped_samples: int = 0
    speech_samples: int = 0
    overflows: int = 0
    gaps: int = 0
    windows: int = 0
    utterances: int = 0
    vetoed_windows: int = 0
    muted_samples: int = 0
    skipped_estimates: int = 0
    reopened: int = 0
    max_inference_ms: float = 0.0
    max_lag_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Summary:
    """One stream in total: what was heard and what it amounts to.

    ``probs`` is the mean over utterances weighted by their seconds of speech;
    ``label`` is empty and ``probs`` all zero where nothing was judged.
    """

    labels: tuple[str, ...]
    label: str
    probs: F32
    confidence: float
    valence: float
    arousal: float
    duration_samples: int
    speech_samples: int
    utterances: int
    stats: StreamStats = field(default_factory=StreamStats)
