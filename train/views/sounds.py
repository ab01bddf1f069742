"""Every utterance at several speeds, as the network and as its teacher see it.

A recording played slower or faster has another pitch, other formants and another tempo, as
if somebody else had said it: voices that no corpus has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rt_ser.features import log_mel
from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ
from train.clips import DEFAULT_RECIPE, rows_of
from train.decode import decode
from train.progress import work_through
from train.views.heard_mel import MELS, heard_mel

SPEEDS = (1.0, 0.86, 0.91, 0.955, 1.045, 1.1, 1.16)
"""As fast as it was recorded first; the others are between two and two and a half semitones
lower or higher at the most."""

_MARGIN = 7 * FRAME_SAMPLES
"""Samples around what was judged: the frames at its edges reach beyond it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sounds:
    """Utterances laid end to end, all of one speed after the other.

    ``seen`` has shape (rows, mels) and is natural log of power, ``heard`` (rows,
    MELS) and decimal log, both float16 and in step, a row every 10 ms; ``heard`` has no
    columns where there is no teacher to hear anything. ``first`` and
    ``count`` have shape (speeds, utterances); ``owner`` (utterances,) is the index of each
    one's recording among those given.
    """

    seen: NDArray[np.float16]
    heard: NDArray[np.float16]
    first: NDArray[np.int64]
    count: NDArray[np.int64]
    owner: NDArray[np.int64]

    def __len__(self) -> int:
        """Count the utterances."""
        return len(self.owner)


Item = tuple[Path, NDArray[np.int64]]
"""A recording and the spans of its utterances, as :class:`train.cache.StoredFeatures` has them."""

_Rows = list[tuple[NDArray[np.float16], NDArray[np.float16]]]


def sounds(
    items: Sequence[Item],
    *,
    heard: bool = True,
    speeds: Sequence[float] = SPEEDS,
    jobs: int = 1,
    title: str = "speeds",
    quiet: bool = False,
) -> Sounds:
    """Play every recording at every speed; keep what is seen and, if so, heard of utterances."""
    work = partial(_at_speeds, speeds=tuple(speeds), heard=heard)
    found = work_through(title, work, list(items), jobs=jobs, quiet=quiet)
    owner = [index for index, (_, spans) in enumerate(items) for _ in spans]
    rows = [
        utterance for place in range(len(speeds)) for item in found for utterance in item[place]
    ]
    count = np.array([len(seen) for seen, _ in rows], np.int64)
    first = np.cumsum(count) - count
    mels = MELS if heard else 0
    nothing = (np.zeros((0, DEFAULT_RECIPE.mels), np.float16), np.zeros((0, mels), np.float16))
    return Sounds(
        seen=np.concatenate([nothing[0], *(seen for seen, _ in rows)]),
        heard=np.concatenate([nothing[1], *(its for _, its in rows)]),
        first=first.reshape(len(speeds), -1),
        count=count.reshape(len(speeds), -1),
        owner=np.array(owner, np.int64),
    )


def _at_speeds(item: Item, *, speeds: Sequence[float], heard: bool) -> list[_Rows]:
    path, spans = item
    if not len(spans):
        return [[] for _ in speeds]
    samples = decode(path)
    begin = max(0, int(spans.min()) - _MARGIN) // FRAME_SAMPLES * FRAME_SAMPLES
    samples, spans = samples[begin : int(spans.max()) + _MARGIN], spans - begin
    return [utterances(samples, spans, speed, heard=heard) for speed in speeds]


def utterances(
    samples: F32, spans: NDArray[np.int64], speed: float, *, heard: bool = True
) -> _Rows:
    """Return the rows of each span, (rows, mels) and (rows, MELS), played at a speed.

    Parameters
    ----------
    samples : ndarray, shape (n,), float32, range [-1, 1]
    spans : ndarray, shape (utterances, 2)
        Start and stop in ``samples``.
    speed : float
        2 is twice as fast and an octave higher.
    heard : bool
        Whether somebody hears them; else the latter are (rows, 0).
    """
    import soxr

    played = samples if speed == 1.0 else soxr.resample(samples, speed * RATE_HZ, RATE_HZ)
    seen = log_mel(played, DEFAULT_RECIPE).astype(np.float16)
    mels = (heard_mel(played) if heard else np.zeros((len(seen), 0))).astype(np.float16)
    parts = []
    for start, stop in np.rint(spans / speed).astype(np.int64).tolist():
        first, last = rows_of(start, min(stop, len(played)))
        parts.append((seen[first:last], mels[first:last]))
    return parts
