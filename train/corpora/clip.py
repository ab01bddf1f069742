"""One recording of a corpus, and the walk over folders that finds them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LABELS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
"""The project's eight classes, in the order of the model's outputs."""

CORPUS_LABELS: dict[str, tuple[str, ...]] = {
    "ravdess": LABELS,
    "cremad": ("neutral", "happy", "sad", "angry", "fearful", "disgust"),
    "tess": ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised"),
    "savee": ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised"),
}
"""The classes each corpus has; its figures are scored over these alone."""

EXTENSIONS = (".wav", ".flac", ".opus", ".ogg", ".mp3")
"""Audio files that are looked at, the one to prefer first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One labelled recording.

    ``key`` is stable wherever the file lies (``"cremad/1001_IEO_ANG_HI"``).
    ``speaker`` is ``"corpus-id"``, ``sex`` is ``female``, ``male`` or ``unknown``,
    ``age`` in years where the corpus tells. ``intensity`` is ``normal``/``strong``
    (RAVDESS), ``low``/``medium``/``high`` (CREMA-D) or ``unspecified``. ``votes``
    counts the listeners who heard each of ``LABELS`` in the voice alone (CREMA-D).
    """

    key: str
    path: Path
    corpus: str
    speaker: str
    sex: str
    emotion: str
    intensity: str = "unspecified"
    sentence: str = ""
    age: int | None = None
    votes: tuple[int, ...] | None = None

    @property
    def target(self) -> int:
        """Index of the emotion in ``LABELS``."""
        return LABELS.index(self.emotion)


def audio_files(root: Path) -> Iterator[Path]:
    """Yield every audio file below ``root``, each folder once even where links form a ring."""
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in EXTENSIONS and not name.startswith("."):
                yield Path(folder, name)


def _preference(path: Path) -> tuple[int, int, str]:
    """Shallow before deep, original coding before transcoded, then by name."""
    return len(path.parts), EXTENSIONS.index(path.suffix.lower()), str(path)


def collect(root: Path, parse: Callable[[Path], Clip | None]) -> list[Clip]:
    """Parse every audio file below ``root`` and keep one file per key, sorted by key.

    The copies of a tree that some mirrors carry inside themselves share their keys
    with the outer one, and so count once.
    """
    best: dict[str, Clip] = {}
    for path in audio_files(root):
        clip = parse(path)
        if clip is None:
            continue
        held = best.get(clip.key)
        if held is None or _preference(clip.path) < _preference(held.path):
            best[clip.key] = clip
    return [best[key] for key in sorted(best)]


def speakers(clips: Iterable[Clip]) -> list[str]:
    """Return the speakers that occur, sorted."""
    return sorted({clip.speaker for clip in clips})


def generator_of(name: str) -> np.random.Generator:
    """Return a random generator that depends on a clip's or a speaker's name alone."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]))
