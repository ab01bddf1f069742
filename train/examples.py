"""Training examples: utterances laid end to end in memory, drawn with balance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_ser.errors import InputError
from rt_ser.types import F32
from train.clips import DEFAULT_RECIPE, rows_of
from train.corpora.clip import CORPUS_LABELS, LABELS, Clip
from train.prepare import Prepared
from train.recipe import TrainRecipe

CLASSES = len(LABELS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examples:
    """Utterances of clips, and noise, with what is known of each.

    ``rows`` has shape (all rows, mels), float16. ``first`` and ``count`` give each
    example's rows; ``targets`` its class distribution, ``masks`` the classes its corpus
    has, both shape (n, CLASSES); ``is_speech`` is False for noise, whose targets are all
    zero. ``weights`` sum to 1.
    """

    rows: NDArray[np.float16]
    first: NDArray[np.int64]
    count: NDArray[np.int64]
    targets: F32
    masks: F32
    is_speech: NDArray[np.bool_]
    weights: NDArray[np.float64]
    clip: NDArray[np.int64]

    def __len__(self) -> int:
        """Count the examples."""
        return len(self.first)


def is_training_noise(source: str) -> bool:
    """Tell whether takes of a noise may be trained on; every third source is kept for testing."""
    return int(hashlib.sha256(source.encode()).hexdigest(), 16) % 3 != 0


def dev_speakers(clips: Sequence[Clip], count: int, seed: int = 0) -> frozenset[str]:
    """Choose speakers to keep out of training for calibration, in proportion to corpora.

    SAVEE and TESS have too few speakers to give one up.
    """
    names = sorted({clip.speaker for clip in clips if clip.corpus in ("ravdess", "cremad")})
    rng = np.random.default_rng(seed)
    by_corpus = [[name for name in names if name.startswith(c)] for c in ("cremad", "ravdess")]
    shares = [count - count // 3, count // 3]
    chosen = [
        rng.choice(group, min(share, len(group)), replace=False)
        for group, share in zip(by_corpus, shares, strict=True)
        if group
    ]
    return frozenset(str(name) for part in chosen for name in part)


def soft_target(clip: Clip, recipe: TrainRecipe) -> F32:
    """Return a clip's class distribution: its label, smoothed, blended with the crowd's votes."""
    mask = class_mask(clip.corpus)
    target = np.zeros(CLASSES, np.float32)
    target[clip.target] = 1.0
    if clip.votes is not None and recipe.vote_weight and sum(clip.votes):
        votes = np.array(clip.votes, np.float32) * mask
        target = (1 - recipe.vote_weight) * target + recipe.vote_weight * votes / votes.sum()
    smooth = recipe.label_smoothing
    return np.asarray((1 - smooth) * target + smooth * mask / mask.sum(), np.float32)


def class_mask(corpus: str) -> F32:
    """Return 1 for each class that a corpus has, 0 elsewhere, shape (CLASSES,)."""
    return np.array([float(label in CORPUS_LABELS[corpus]) for label in LABELS], np.float32)


def labelled_examples(prepared: Prepared, clips: Iterable[Clip], recipe: TrainRecipe) -> Examples:
    """Collect the utterances of the clips, weighted by corpus and class; maybe none at all."""
    wanted = {clip.key for clip in clips}
    rows = [np.zeros((0, DEFAULT_RECIPE.mels), np.float16)]
    first: list[int] = []
    count: list[int] = []
    source: list[int] = []
    kept: list[Clip] = []
    position = 0
    for clip, features in prepared.features():
        if clip.key not in wanted:
            continue
        for start, stop in features.spans:
            begin, end = rows_of(int(start), int(stop))
            part = features.log_mel[begin:end]
            rows.append(part)
            first.append(position)
            count.append(len(part))
            source.append(len(kept))
            position += len(part)
        kept.append(clip)
    used = [kept[index] for index in source]
    return Examples(
        rows=np.concatenate(rows),
        first=np.array(first, np.int64),
        count=np.array(count, np.int64),
        targets=np.array([soft_target(clip, recipe) for clip in used]).reshape(-1, CLASSES),
        masks=np.array([class_mask(clip.corpus) for clip in used]).reshape(-1, CLASSES),
        is_speech=np.ones(len(used), np.bool_),
        weights=_weights(used, np.array(count, np.int64), recipe),
        clip=np.array(source, np.int64),
    )


def _weights(
    clips: Sequence[Clip], count: NDArray[np.int64], recipe: TrainRecipe
) -> NDArray[np.float64]:
    """Weigh each utterance by its corpus's share and its class's rarity in that corpus."""
    groups = [(clip.corpus, clip.emotion) for clip in clips]
    sizes = {group: groups.count(group) for group in set(groups)}
    largest = {c: max(n for (corpus, _), n in sizes.items() if corpus == c) for c, _ in groups}
    weights = np.array(
        [
            recipe.corpus_weight.get(corpus, 1.0)
            * (largest[corpus] / sizes[corpus, emotion]) ** recipe.class_balance
            for corpus, emotion in groups
        ]
    )
    weights *= np.minimum(1.0, count / 100.0)
    return np.asarray(weights / weights.sum(), np.float64)


def noise_examples(prepared: Prepared) -> Examples:
    """Collect the noise recordings that may be trained on, up to 15 s of each.

    Raises
    ------
    InputError
        If there are none.
    """
    found = prepared.unlabelled("noise") if "noise" in prepared.stores else ()
    parts = [
        features.log_mel
        for recording, features in found
        if is_training_noise(recording.source) and len(features.log_mel) > 50
    ]
    if not parts:
        raise InputError("no noise to train on: put recordings of noises into noise/ of the data")
    sizes = np.array([min(len(part), 1500) for part in parts])
    zeros = np.zeros((len(parts), CLASSES), np.float32)
    return Examples(
        rows=np.concatenate([part[:1500] for part in parts]),
        first=np.cumsum(sizes) - sizes,
        count=sizes,
        targets=zeros,
        masks=np.ones_like(zeros),
        is_speech=np.zeros(len(parts), np.bool_),
        weights=np.full(len(parts), 1.0 / len(parts)),
        clip=np.arange(len(parts)),
    )
