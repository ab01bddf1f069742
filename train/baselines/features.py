"""What the baselines see of a clip: one vector of statistics, kept beside the features.

Nothing here is streamed or gated: each clip is described as a whole, which is more than
a live pipeline may know.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rt_ser.errors import ConfigError
from rt_ser.types import F32, RATE_HZ
from rt_ser.whole import written_whole
from train.corpora import Clip
from train.decode import decode
from train.progress import work_through

MFCC, CHROMA, MEL = 40, 12, 128
"""What tutorials take of each: 180 means over time."""

_VERSION = 2
_MOST_NOISE = 0.035
"""Of a clip's peak; how much of it is drawn anew for each clip."""
_MOST_SHIFT = 5000
"""Samples by which a copy is shifted in time at most, its end put before its beginning."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Described:
    """Clips with their vectors: ``values`` has shape (clips, copies, features).

    The first copy is the recording itself; any others are altered ones of it.
    """

    keys: tuple[str, ...]
    values: F32

    def of(self, clips: Sequence[Clip], *, copies: bool = False) -> F32:
        """Return the vectors of some clips, shape (clips, copies or 1, features)."""
        places = {key: row for row, key in enumerate(self.keys)}
        chosen = self.values[[places[clip.key] for clip in clips]]
        return chosen if copies else chosen[:, :1]


def functionals(samples: F32, *, feature_set: str) -> F32:
    """Describe a clip by an openSMILE set: ``eGeMAPSv02`` (88) or ``ComParE_2016`` (6373).

    Sources: Eyben et al. 2016 (eGeMAPS), Schuller et al. 2016 (ComParE).

    Returns
    -------
    ndarray, shape (1, features), float32; 0 where openSMILE gives no number

    Raises
    ------
    ConfigError
        If openSMILE is not installed.
    """
    table = _smile(feature_set).process_signal(samples, RATE_HZ)
    values = table.to_numpy(np.float32)
    return np.asarray(np.nan_to_num(values, posinf=0.0, neginf=0.0), np.float32)


@functools.cache
def _smile(feature_set: str) -> Any:
    try:
        import opensmile
    except ImportError as error:
        raise ConfigError(
            "openSMILE is not installed, which the baselines need (free for research): "
            "pip install -e '.[train,baselines]'"
        ) from error
    return opensmile.Smile(
        feature_set=opensmile.FeatureSet[feature_set],
        feature_level=opensmile.FeatureLevel.Functionals,
    )


def tutorial(samples: F32) -> F32:
    """Describe a clip and its two altered copies as tutorials do: 180 means over time.

    The copies are one with white noise and one shifted in time, whose means hardly differ.

    Returns
    -------
    ndarray, shape (3, 180), float32: MFCC, chroma, mel of each
    """
    random = np.random.default_rng(len(samples))
    level = _MOST_NOISE * random.uniform() * float(np.abs(samples).max())
    noisy = samples + level * random.standard_normal(len(samples), np.float32)
    shifted = np.roll(samples, round(random.uniform(-_MOST_SHIFT, _MOST_SHIFT)))
    return np.stack([means(copy) for copy in (samples, noisy, shifted)])


def means(samples: F32) -> F32:
    """Return means over time of MFCC, chroma and mel power, shape (180,)."""
    import librosa.feature

    magnitudes = np.abs(librosa.stft(samples))
    # Tuning fixed: to estimate it from a voice takes long and means nothing.
    parts = (
        librosa.feature.mfcc(y=samples, sr=RATE_HZ, n_mfcc=MFCC),
        librosa.feature.chroma_stft(S=magnitudes, sr=RATE_HZ, n_chroma=CHROMA, tuning=0.0),
        librosa.feature.melspectrogram(y=samples, sr=RATE_HZ, n_mels=MEL),
    )
    return np.concatenate([part.mean(axis=1) for part in parts]).astype(np.float32)


SETS: dict[str, Callable[[F32], F32]] = {
    "egemaps": functools.partial(functionals, feature_set="eGeMAPSv02"),
    "compare": functools.partial(functionals, feature_set="ComParE_2016"),
    "tutorial": tutorial,
}
"""Functions from samples to vectors, shape (copies, features), by name."""


def describe(
    clips: Sequence[Clip], name: str, cache: Path, *, jobs: int = 1, quiet: bool = False
) -> Described:
    """Compute, or read from the cache, a set of ``SETS`` for clips of one corpus."""
    path = cache / f"baseline-{name}-{clips[0].corpus}-{_digest(clips)}.npz"
    if not path.exists():
        work = functools.partial(_of_clip, name=name)
        rows = work_through(f"{name} {clips[0].corpus}", work, clips, jobs=jobs, quiet=quiet)
        _save(path, clips, np.stack(rows))
    with np.load(path, allow_pickle=False) as arrays:
        return Described(keys=tuple(arrays["keys"].tolist()), values=arrays["values"])


def _of_clip(clip: Clip, *, name: str) -> F32:
    return SETS[name](decode(clip.path))


def _save(path: Path, clips: Sequence[Clip], values: F32) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as draft:
        np.savez(draft, keys=np.array([clip.key for clip in clips]), values=values)


def _digest(clips: Sequence[Clip]) -> str:
    """Name the recordings that a file of vectors was made of."""
    facts = [(clip.key, clip.path.stat().st_size, clip.path.stat().st_mtime_ns) for clip in clips]
    return hashlib.sha256(json.dumps([_VERSION, facts]).encode()).hexdigest()[:16]
