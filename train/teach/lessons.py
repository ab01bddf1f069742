"""What the network is taught beside labels: where the encoder places a clip, what it hears.

``places`` are a clip's coordinates among the training clips, by whitened principal
components of what the encoder pooled. ``opinions`` are the emotions that heads on the
encoder hear in it; each comes from heads that were fitted to other speakers, so that an
opinion tells how a clip sounds and not what was learnt by heart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rt_ser.types import F32
from train.calibrate import fit_temperature
from train.corpora.clip import LABELS, Clip
from train.examples import class_mask
from train.progress import work_through
from train.taught import Lessons
from train.teach.heard import Heard
from train.trainer import one_cycle

PLACES = 128
"""Coordinates of a clip that are imitated."""

_COMPONENTS = 512
_PARTS = 5
_HEADS = 3
_HIDDEN = 256
_EPOCHS = 20
_FEWEST_STEPS = 200
_BATCH = 64
_PEAK_RATE = 1e-3
_FARTHEST = 4.0


def lessons(heard: Heard, clips: Sequence[Clip], weight: Mapping[str, float]) -> Lessons:
    """Prepare lessons for the clips that are trained on; no other clip has a part in them.

    Parameters
    ----------
    heard : Heard
        What the encoder made of these clips, and perhaps of others.
    clips : sequence of Clip
        Those that are trained on.
    weight : mapping
        How often a clip of each corpus is drawn.
    """
    rows = {key: row for row, key in enumerate(heard.keys)}
    found = places(heard.pooled[[rows[clip.key] for clip in clips]].astype(np.float32))
    told = _opinions(found, clips, weight)
    return Lessons(
        count=min(PLACES, found.shape[1]),
        places={clip.key: one[:PLACES] for clip, one in zip(clips, found, strict=True)},
        opinions={clip.key: one for clip, one in zip(clips, told, strict=True) if one.any()},
    )


def places(pooled: F32) -> F32:
    """Return rows' whitened principal components, bounded, the widest first."""
    from sklearn.decomposition import PCA

    pooled = (pooled - pooled.mean(axis=0)) / (pooled.std(axis=0) + 1e-4)
    count = min(_COMPONENTS, len(pooled) - 1, pooled.shape[1])
    analysis = PCA(count, whiten=True, svd_solver="randomized", random_state=0)
    return np.asarray(np.clip(analysis.fit_transform(pooled), -_FARTHEST, _FARTHEST), np.float32)


def parts_of(clips: Sequence[Clip], parts: int = _PARTS) -> NDArray[np.int64]:
    """Put every clip into one of some parts, whole speakers, each corpus spread over them.

    -1 where a corpus has one speaker only: nobody else could give an opinion of it.
    """
    part: dict[str, int] = {}
    for corpus in sorted({clip.corpus for clip in clips}):
        speakers = sorted({clip.speaker for clip in clips if clip.corpus == corpus})
        part |= {name: place % parts for place, name in enumerate(speakers)}
        if len(speakers) == 1:
            part[speakers[0]] = -1
    return np.array([part[clip.speaker] for clip in clips], np.int64)


def _opinions(found: F32, clips: Sequence[Clip], weight: Mapping[str, float]) -> F32:
    masks = np.array([class_mask(clip.corpus) for clip in clips])
    targets = np.array([clip.target for clip in clips])
    drawn = np.array([weight[clip.corpus] for clip in clips])
    part = parts_of(clips)
    logits = np.zeros((len(clips), len(LABELS)), np.float32)

    def ask(job: tuple[int, int]) -> None:
        own, seed = job
        others = part != own
        head = fit_head(found[others], targets[others], masks[others], drawn[others], seed)
        with torch.no_grad():
            logits[~others] += head(torch.from_numpy(found[~others])).numpy() / _HEADS

    jobs = [(own, seed) for own in sorted({*part.tolist()} - {-1}) for seed in range(_HEADS)]
    work_through("opinions", ask, jobs)
    known = part >= 0
    temperature = fit_temperature(logits[known], masks[known], targets[known])
    cold = np.where(masks > 0, logits / temperature, -np.inf)
    told = np.exp(cold - cold.max(axis=1, keepdims=True))
    told /= told.sum(axis=1, keepdims=True)
    told[~known] = 0.0
    return np.asarray(told, np.float32)


def fit_head(
    found: F32, targets: NDArray[np.int64], masks: F32, drawn: NDArray[np.float64], seed: int
) -> nn.Module:
    """Fit one hidden layer to labels, each corpus scored over its own classes."""
    torch.manual_seed(seed)
    head = nn.Sequential(
        nn.Dropout(0.3), nn.Linear(found.shape[1], _HIDDEN), nn.ReLU(),
        nn.Dropout(0.3), nn.Linear(_HIDDEN, len(LABELS)),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(head.parameters(), lr=_PEAK_RATE, weight_decay=1e-2)
    inputs, wanted = torch.from_numpy(found), torch.from_numpy(targets)
    barred = torch.from_numpy((1.0 - masks) * -1e9).float()
    steps = max(_FEWEST_STEPS, _EPOCHS * len(targets) // _BATCH)
    order = torch.multinomial(torch.from_numpy(drawn), steps * _BATCH, replacement=True)
    for step, chosen in enumerate(order.split(_BATCH)):
        for group in optimizer.param_groups:
            group["lr"] = one_cycle(step, steps, _PEAK_RATE)
        loss = nn.functional.cross_entropy(head(inputs[chosen]) + barred[chosen], wanted[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return head.eval()
