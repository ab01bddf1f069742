"""Everything that is shared by networks that learn from views: the views, heard once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from train.clips import DEFAULT_RECIPE
from train.corpora.clip import Clip
from train.examples import training_recordings
from train.prepare import Prepared
from train.progress import tracked
from train.recipe import TrainRecipe
from train.views.draw import Scenery, Views, draw_views, equally_long
from train.views.sounds import Item, Sounds, sounds

_READ_OFTEN = 4
"""Views of a reader's utterance for each of a clip's: there are few readers."""

Hears = Callable[[torch.Tensor], torch.Tensor]
"""Pools windows (n, rows, MELS) of what is heard to (n, any), see :class:`train.views.encoder`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """Views of one length, on a device: which utterances they show, what is seen, and heard.

    ``seen`` (n, frames, mels) is natural log of power, repeated to fill, float16;
    ``pooled`` (n, any) is what the encoder made of each, nothing where there is none.
    """

    utterance: NDArray[np.int64]
    seen: torch.Tensor
    pooled: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class School:
    """The utterances of clips, then of readers, and views of them.

    ``owner`` (utterances,) is the index of each one's clip, -1 for readers; ``count``
    (utterances,) its rows.
    """

    clips: tuple[Clip, ...]
    owner: NDArray[np.int64]
    count: NDArray[np.int64]
    heard: tuple[Heard, ...]


def found_school(
    prepared: Prepared,
    recipe: TrainRecipe,
    encoder: Hears | None,
    device: torch.device,
    *,
    jobs: int,
) -> School:
    """Play, cut and bend every utterance that may ever be trained on, and let it be heard.

    Without an encoder it is only seen, which is enough unless ``recipe.asks_encoder``.
    """
    clips = [(clip, (clip.path, told.spans)) for clip, told in prepared.features()]
    readers: list[Item] = [
        (recording.path, told.spans) for recording, told in training_recordings(prepared, "speech")
    ]
    items = [*(item for _, item in clips), *readers]
    played = sounds(items, heard=encoder is not None, jobs=jobs)
    owner = np.where(played.owner < len(clips), played.owner, -1)
    rng = np.random.default_rng(0)
    scenery = Scenery(played, device)
    hears = encoder or _unheard
    heard = [
        _hear(scenery, _drawn(rng, played, owner, recipe, share, frames), frames, hears)
        for share, frames in recipe.courses
    ]
    return School(
        clips=tuple(clip for clip, _ in clips),
        owner=owner,
        count=played.count[0],
        heard=tuple(heard),
    )


def _drawn(
    rng: np.random.Generator,
    played: Sounds,
    owner: NDArray[np.int64],
    recipe: TrainRecipe,
    share: float,
    frames: int,
) -> Views:
    times = round(recipe.views * share)
    repeats = np.where(owner < 0, _READ_OFTEN * times, times)
    utterances = np.repeat(np.arange(len(owner)), repeats)
    readers = np.flatnonzero(owner < 0)
    return draw_views(rng, played, utterances, frames, recipe.augmentation, readers)


def _unheard(mels: torch.Tensor) -> torch.Tensor:
    return mels.new_zeros(len(mels), 0)


def _hear(scenery: Scenery, views: Views, frames: int, encoder: Hears) -> Heard:
    device = scenery.device
    seen = torch.zeros(len(views), frames, DEFAULT_RECIPE.mels, dtype=torch.float16, device=device)
    pooled: torch.Tensor | None = None
    parts = equally_long(views)
    for part in tracked("views", parts, len(parts)):
        window, mels = scenery.cut(views.take(part))
        rows = torch.from_numpy(part).to(device)
        seen[rows] = window[:, torch.arange(frames, device=device) % window.shape[1]].half()
        with torch.no_grad():
            made = encoder(mels).half()
        if pooled is None:
            pooled = torch.zeros(len(views), made.shape[1], dtype=torch.float16, device=device)
        pooled[rows] = made
    if pooled is None:
        raise ValueError("no view is long enough to be heard")
    return Heard(utterance=views.utterance, seen=seen, pooled=pooled)
