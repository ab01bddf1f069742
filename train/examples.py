"""Training examples: utterances laid end to end in memory, drawn with balance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_ser.errors import InputError
from rt_ser.types import F32
from train.cache import StoredFeatures
from train.clips import DEFAULT_RECIPE, rows_of
from train.corpora import Recording
from train.corpora.clip import CORPUS_LABELS, LABELS, Clip
from train.prepare import Prepared
from train.recipe import TrainRecipe

CLASSES = len(LABELS)

_NOISE_ROWS = 1500
_SHORTEST_ROWS = 50


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


def is_training_source(source: str) -> bool:
    """Tell whether a noise, or a reader, may be trained on; every third is kept for testing."""
    return int(hashlib.sha256(source.encode()).hexdigest(), 16) % 3 != 0


def soft_target(clip: Clip, *, vote_weight: float, smoothing: float) -> F32:
    """Return a clip's class distribution: its label, blended with a crowd's votes, smoothed.

    Where there are votes they have ``vote_weight`` of it, and of all that ``smoothing`` is
    spread evenly over the corpus's classes; both are shares from 0 to 1.
    """
    mask = class_mask(clip.corpus)
    target = np.zeros(CLASSES, np.float32)
    target[clip.target] = 1.0
    if clip.votes is not None and vote_weight and sum(clip.votes):
        votes = np.array(clip.votes, np.float32) * mask
        target = (1 - vote_weight) * target + vote_weight * votes / votes.sum()
    target = (1 - smoothing) * target + smoothing * mask / mask.sum()
    return np.asarray(target, np.float32)


def class_mask(corpus: str) -> F32:
    """Return 1 for each class that a corpus has, 0 elsewhere, shape (CLASSES,)."""
    return np.array([float(label in CORPUS_LABELS[corpus]) for label in LABELS], np.float32)


def labelled_examples(
    prepared: Prepared, clips: Iterable[Clip], recipe: TrainRecipe
) -> Examples:
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
    shares = {"vote_weight": recipe.vote_weight, "smoothing": recipe.label_smoothing}
    return Examples(
        rows=np.concatenate(rows),
        first=np.array(first, np.int64),
        count=np.array(count, np.int64),
        targets=np.array([soft_target(clip, **shares) for clip in used]).reshape(-1, CLASSES),
        masks=np.array([class_mask(clip.corpus) for clip in used]).reshape(-1, CLASSES),
        is_speech=np.ones(len(used), np.bool_),
        weights=utterance_weights(used, np.array(count, np.int64), recipe),
        clip=np.array(source, np.int64),
    )


def utterance_weights(
    clips: Sequence[Clip], count: NDArray[np.int64], recipe: TrainRecipe
) -> NDArray[np.float64]:
    """Weigh each utterance by its corpus's share and its class's rarity in that corpus."""
    groups = [(clip.corpus, clip.emotion) for clip in clips]
    sizes = {group: groups.count(group) for group in set(groups)}
    largest = {c: max(n for (corpus, _), n in sizes.items() if corpus == c) for c, _ in groups}
    weights = np.array(
        [
            recipe.corpus_weight[corpus]
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
    parts = [
        features.log_mel[:_NOISE_ROWS]
        for _, features in training_recordings(prepared, "noise")
        if len(features.log_mel) > _SHORTEST_ROWS
    ]
    if not parts:
        raise InputError("no noise to train on: put recordings of noises into noise/ of the data")
    return _noises(parts)


def heard_noise_examples(prepared: Prepared) -> Examples | None:
    """Collect what the voice-activity gate takes for speech in those noises; None if nothing."""
    spans = [
        features.log_mel[slice(*rows_of(int(start), int(stop)))]
        for _, features in training_recordings(prepared, "noise")
        for start, stop in features.spans
    ]
    parts = [part for part in spans if len(part) > _SHORTEST_ROWS]
    return _noises(parts) if parts else None


def training_recordings(
    prepared: Prepared, kind: str
) -> Iterator[tuple[Recording, StoredFeatures]]:
    """Yield the recordings of a kind, ``noise`` or ``speech``, that may be trained on."""
    if kind in prepared.stores:
        for recording, features in prepared.unlabelled(kind):
            if is_training_source(recording.source):
                yield recording, features


def _noises(parts: Sequence[NDArray[np.float16]]) -> Examples:
    nothing = np.zeros(CLASSES, np.float32)
    even = np.full(len(parts), 1.0 / len(parts))
    return _end_to_end(parts, nothing, nothing + 1.0, even, np.arange(len(parts)), speech=False)


def _end_to_end(
    parts: Sequence[NDArray[np.float16]],
    target: F32,
    mask: F32,
    weights: NDArray[np.float64],
    clip: NDArray[np.int64],
    *,
    speech: bool,
) -> Examples:
    """Lay out parts that all have the same target and mask."""
    sizes = np.array([len(part) for part in parts])
    return Examples(
        rows=np.concatenate(parts),
        first=np.cumsum(sizes) - sizes,
        count=sizes,
        targets=np.tile(target, (len(parts), 1)),
        masks=np.tile(mask, (len(parts), 1)),
        is_speech=np.full(len(parts), speech),
        weights=weights,
        clip=clip,
    )


def trained_labels(corpora: Iterable[str]) -> tuple[str, ...]:
    """Return the labels that any of the corpora has, in the order of ``LABELS``."""
    known = {label for corpus in corpora for label in CORPUS_LABELS[corpus]}
    return tuple(label for label in LABELS if label in known)


def read_target(mask: F32) -> F32:
    """Return what speech read aloud is taught to sound like: every class of the mask alike.

    No corpus says how readers feel. Told that they are neutral, a network calls everything
    neutral that is not one of its corpora; told nothing, it calls them angry and disgusted
    (``train/experiments.md``). That nobody knows is outlier exposure (Hendrycks et al. 2019).
    """
    return np.asarray(mask / mask.sum(), np.float32)


def read_examples(prepared: Prepared, labels: Sequence[str] = LABELS) -> Examples | None:
    """Collect speech read aloud by those readers who may be trained on; None without any.

    ``labels`` are the classes that the network learns.
    """
    parts = [
        features.log_mel[slice(*rows_of(int(start), int(stop)))]
        for _, features in training_recordings(prepared, "speech")
        for start, stop in features.spans
    ]
    if not parts:
        return None
    sizes = np.array([len(part) for part in parts])
    mask = np.array([float(label in labels) for label in LABELS], np.float32)
    weights = sizes / sizes.sum()
    clip = np.full(len(parts), -1)
    return _end_to_end(parts, read_target(mask), mask, weights, clip, speech=True)


def together(most: Examples, others: Examples | None, share: float) -> Examples:
    """Return both, ``share`` of the weight going to ``others``."""
    if others is None or not share:
        return most
    joined = {
        name: np.concatenate([getattr(most, name), getattr(others, name)])
        for name in ("rows", "count", "targets", "masks", "is_speech", "clip")
    }
    return Examples(
        first=np.concatenate([most.first, others.first + len(most.rows)]),
        weights=np.concatenate([most.weights * (1.0 - share), others.weights * share]),
        **joined,
    )
