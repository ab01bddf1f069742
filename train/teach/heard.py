"""What the encoder makes of every clip, in one file of the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rt_ser.errors import ConfigError
from rt_ser.types import RATE_HZ
from train.decode import decode
from train.prepare import Prepared
from train.progress import work_through

if TYPE_CHECKING:
    import torch

    from train.teach.whisper import Encoder

_MARGIN = RATE_HZ // 5
"""Samples that are heard before and after what was judged."""

STEP_FRAMES = 4
STEP_SAMPLES = STEP_FRAMES * 320
"""Of the encoder's frames of 20 ms so many make a step of a clip's course."""

COURSE_LAYERS = (1, 3)
"""Layers, counted from 0, of which courses are kept."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """What the encoder makes of each clip's speech, as a whole and step by step.

    ``keys`` names the clips; ``pooled``, shape (clips, layers * 2 * width), float16, holds
    means and deviations of every layer. ``courses``, shape (steps of all clips, columns),
    float16, holds means over each step of ``STEP_SAMPLES`` of some layers: clip ``i`` has
    ``counts[i]`` steps, the first of which begins at its sample ``starts[i]``.
    """

    keys: tuple[str, ...]
    pooled: NDArray[np.float16]
    courses: NDArray[np.float16]
    counts: NDArray[np.int64]
    starts: NDArray[np.int64]


def cached_at(prepared: Prepared, cache_folder: Path) -> Path:
    """Name the file by the recordings, as they sound, and by what was judged of them."""
    digest = hashlib.sha256(repr((STEP_FRAMES, COURSE_LAYERS)).encode())
    measured = prepared.measured()
    for clip, features in prepared.features():
        digest.update(f"{clip.key} {measured[clip.key].fingerprint}".encode())
        digest.update(np.ascontiguousarray(features.spans, np.int64).tobytes())
    return cache_folder / f"whisper-base-{digest.hexdigest()[:16]}.npz"


def listen(prepared: Prepared, weights: Path, cache_folder: Path, *, jobs: int = 1) -> Path:
    """Let the encoder hear every clip, unless its file is there; return the file.

    Raises
    ------
    InputError
        If the weights are not those that are known.
    """
    path = cached_at(prepared, cache_folder)
    if path.exists():
        return path
    _encoder(weights)
    work = partial(_hear, weights=weights)
    items = [(clip.path, features.spans) for clip, features in prepared.features()]
    pooled, courses, starts = zip(*work_through("teacher", work, items, jobs=jobs), strict=True)
    partial_path = path.with_suffix(".partial.npz")
    np.savez(
        partial_path,
        keys=np.array([clip.key for clip in prepared.clips]),
        pooled=np.stack(pooled),
        courses=np.concatenate(courses),
        counts=np.array([len(course) for course in courses], np.int64),
        starts=np.array(starts, np.int64),
    )
    partial_path.replace(path)
    return path


def read_heard(prepared: Prepared, cache_folder: Path) -> Heard:
    """Read what :func:`listen` wrote.

    Raises
    ------
    ConfigError
        If the encoder has not heard these clips yet.
    """
    path = cached_at(prepared, cache_folder)
    if not path.exists():
        raise ConfigError(f"{path}: no teacher has heard these clips: run python -m train teach")
    with np.load(path, allow_pickle=False) as arrays:
        parts = {name: arrays[name] for name in ("pooled", "courses", "counts", "starts")}
        return Heard(keys=tuple(arrays["keys"].tolist()), **parts)


@cache
def _encoder(weights: Path) -> Encoder:
    import torch

    from train.teach.whisper import Encoder

    torch.set_num_threads(1)
    return Encoder(weights)


def _hear(
    item: tuple[Path, NDArray[np.int64]], *, weights: Path
) -> tuple[NDArray[np.float16], NDArray[np.float16], int]:
    path, spans = item
    samples, start = decode(path), 0
    if len(spans):
        start = max(0, int(spans[:, 0].min()) - _MARGIN)
        samples = samples[start : int(spans[:, 1].max()) + _MARGIN]
    layers = _encoder(weights)(samples)
    return pool(layers), course([layers[number] for number in COURSE_LAYERS]), start


def pool(layers: Sequence[torch.Tensor]) -> NDArray[np.float16]:
    """Lay the means and deviations over time of each layer (frames, width) end to end."""
    parts = [np.concatenate([part.mean(0).numpy(), part.std(0).numpy()]) for part in layers]
    return np.concatenate(parts).astype(np.float16)


def course(layers: Sequence[torch.Tensor]) -> NDArray[np.float16]:
    """Return the means of layers (frames, width) over each whole step, side by side."""
    whole = len(layers[0]) // STEP_FRAMES * STEP_FRAMES
    steps = [part[:whole].unflatten(0, (-1, STEP_FRAMES)).mean(1).numpy() for part in layers]
    return np.concatenate(steps, axis=1).astype(np.float16)
