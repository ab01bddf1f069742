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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """Means and deviations of the encoder's layers over each clip's speech.

    ``keys`` names the clips; ``pooled`` has shape (clips, layers * 2 * width), float16.
    """

    keys: tuple[str, ...]
    pooled: NDArray[np.float16]


def cached_at(prepared: Prepared, cache_folder: Path) -> Path:
    """Name the file by the recordings, as they sound, and by what was judged of them."""
    digest = hashlib.sha256()
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
    pooled = np.stack(work_through("teacher", work, items, jobs=jobs))
    partial_path = path.with_suffix(".partial.npz")
    np.savez(partial_path, keys=np.array([clip.key for clip in prepared.clips]), pooled=pooled)
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
        return Heard(keys=tuple(arrays["keys"].tolist()), pooled=arrays["pooled"])


@cache
def _encoder(weights: Path) -> Encoder:
    import torch

    from train.teach.whisper import Encoder

    torch.set_num_threads(1)
    return Encoder(weights)


def _hear(item: tuple[Path, NDArray[np.int64]], *, weights: Path) -> NDArray[np.float16]:
    path, spans = item
    samples = decode(path)
    if len(spans):
        first, last = int(spans[:, 0].min()), int(spans[:, 1].max())
        samples = samples[max(0, first - _MARGIN) : last + _MARGIN]
    return pool(_encoder(weights)(samples))


def pool(layers: Sequence[torch.Tensor]) -> NDArray[np.float16]:
    """Lay the means and deviations over time of each layer (frames, width) end to end."""
    parts = [np.concatenate([part.mean(0).numpy(), part.std(0).numpy()]) for part in layers]
    return np.concatenate(parts).astype(np.float16)
