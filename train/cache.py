"""Features of a whole corpus in one file, found again by a key that tells what made them.

The arrays of all clips lie end to end, with the offsets at which each clip begins.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from rt_ser.config import Settings
from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ
from rt_ser.whole import written_whole

_FORMAT = 1
_Kind = TypeVar("_Kind", bound=np.generic)


class ClipFeatures(Protocol):
    """What is kept of a clip.

    ``log_mel`` is float16 of shape (frames, mels), natural log of power; ``speech``
    one flag per voice-activity frame of 30 ms; ``spans`` the utterances' start and
    stop in samples, shape (utterances, 2).
    """

    @property
    def log_mel(self) -> NDArray[np.float16]: ...  # noqa: D102
    @property
    def speech(self) -> NDArray[np.bool_]: ...  # noqa: D102
    @property
    def spans(self) -> NDArray[np.int64]: ...  # noqa: D102


class FeatureFunction(Protocol):
    """Turns the samples of one clip into its features, the way the live pipeline would."""

    def __call__(self, samples: F32, settings: Settings) -> ClipFeatures: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredFeatures:
    """One clip's features, read back: see :class:`ClipFeatures`."""

    log_mel: NDArray[np.float16]
    speech: NDArray[np.bool_]
    spans: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What decoding told of a recording: fingerprint, length, level, clipped share.

    ``peak`` is the largest magnitude; ``clipped`` the share of samples that lie within
    0.1 % of full scale. ``fault`` says why it cannot be used, empty if it can.
    """

    key: str
    fingerprint: str = ""
    samples: int = 0
    peak: float = 0.0
    clipped: float = 0.0
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureStore:
    """All recordings of one corpus with their features."""

    measured: tuple[Measured, ...]
    log_mel: NDArray[np.float16]
    log_mel_offsets: NDArray[np.int64]
    speech: NDArray[np.bool_]
    speech_offsets: NDArray[np.int64]
    spans: NDArray[np.int64]
    span_offsets: NDArray[np.int64]

    def __len__(self) -> int:
        """Count the recordings."""
        return len(self.measured)

    def index(self) -> dict[str, int]:
        """Map each recording's key to its position."""
        return {item.key: position for position, item in enumerate(self.measured)}

    def features(self, position: int) -> StoredFeatures:
        """Return views of one recording's features (all empty where it has a fault)."""
        return StoredFeatures(
            log_mel=_part(self.log_mel, self.log_mel_offsets, position),
            speech=_part(self.speech, self.speech_offsets, position),
            spans=_part(self.spans, self.span_offsets, position),
        )

    @classmethod
    def build(
        cls, measured: Sequence[Measured], features: Sequence[ClipFeatures | None]
    ) -> FeatureStore:
        """Lay features end to end; ``None`` stands for a recording that has a fault."""
        held = [item for item in features if item is not None]
        mels = held[0].log_mel.shape[1] if held else 0
        nothing = StoredFeatures(
            log_mel=np.zeros((0, mels), np.float16),
            speech=np.zeros(0, np.bool_),
            spans=np.zeros((0, 2), np.int64),
        )
        items = [nothing, *(item or nothing for item in features)]
        return cls(
            measured=tuple(measured),
            log_mel=np.concatenate([item.log_mel for item in items]),
            log_mel_offsets=np.cumsum([len(item.log_mel) for item in items]),
            speech=np.concatenate([item.speech for item in items]),
            speech_offsets=np.cumsum([len(item.speech) for item in items]),
            spans=np.concatenate([item.spans.reshape(-1, 2) for item in items]),
            span_offsets=np.cumsum([len(item.spans) for item in items]),
        )

    def save(self, path: Path) -> None:
        """Write the store; a file of that name is whole at every moment."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as draft:
            np.savez(
                draft,
                measured=np.array(json.dumps([asdict(item) for item in self.measured])),
                log_mel=self.log_mel,
                log_mel_offsets=self.log_mel_offsets,
                speech=self.speech,
                speech_offsets=self.speech_offsets,
                spans=self.spans,
                span_offsets=self.span_offsets,
            )

    @classmethod
    def read(cls, path: Path) -> FeatureStore:
        """Read a store that :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            stored = {name: arrays[name] for name in arrays.files}
        measured = tuple(Measured(**item) for item in json.loads(str(stored.pop("measured"))))
        return cls(measured=measured, **stored)


def _part(values: NDArray[_Kind], offsets: NDArray[np.int64], position: int) -> NDArray[_Kind]:
    return values[offsets[position] : offsets[position + 1]]


def probe_signal() -> F32:
    """Make six seconds that sound enough like speech to pass a voice-activity gate.

    Bursts of a buzz at a wandering pitch through two resonances, over faint noise, and all
    of it once more, fading by 50 dB, to tell how well the gate hears what is faint:
    deterministic, so that features of it tell one feature function from another.
    """
    rng = np.random.default_rng(0)
    times = np.arange(3 * RATE_HZ) / RATE_HZ
    pitch_hz = 140.0 + 30.0 * np.sin(2.0 * np.pi * 0.9 * times)
    phase = np.cumsum(pitch_hz) / RATE_HZ
    buzz = sum(
        np.sin(2.0 * np.pi * harmonic * phase)
        * (1.0 / (1.0 + ((harmonic * 140.0 - 600.0) / 150.0) ** 2) + 0.3 / harmonic)
        for harmonic in range(1, 26)
    )
    bursts = (np.sin(2.0 * np.pi * 2.1 * times) > -0.4) & (times > 0.4) & (times < 2.4)
    noise = 0.001 * rng.standard_normal(len(times))
    once = 0.12 * buzz * bursts + noise
    fading = once * 10.0 ** (-50.0 / 20.0 * np.linspace(0.0, 1.0, len(once)))
    return np.concatenate([once, fading]).astype(np.float32)


def cache_key(
    recordings: Sequence[tuple[str, Path]], settings: Settings, features: FeatureFunction
) -> str:
    """Name a corpus's features by everything that they depend on, 16 hex digits.

    That is: the recordings (key, size, time of change), the settings that decide what
    is judged, and what the feature function makes of a fixed probe: so a change of
    recipe or of code shows, and a change of comments does not.
    """
    digest = hashlib.sha256()
    files = [
        (key, stat.st_size, stat.st_mtime_ns) for key, path in recordings for stat in (path.stat(),)
    ]
    frame = (_FORMAT, FRAME_SAMPLES, RATE_HZ)
    judging = (settings.estimate.hop_s, settings.estimate.min_speech_s)
    facts = [frame, files, asdict(settings.vad), judging]
    digest.update(json.dumps(facts, sort_keys=True).encode())
    probe = features(probe_signal(), settings)
    digest.update(str(probe.log_mel.shape).encode())
    digest.update(np.round(probe.log_mel.astype(np.float32), 1).tobytes())
    digest.update(probe.speech.tobytes())
    digest.update(np.ascontiguousarray(probe.spans, np.int64).tobytes())
    return digest.hexdigest()[:16]
