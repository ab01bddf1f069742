"""What one training side is taught: nobody else's view has a part in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rt_ser.errors import ConfigError
from rt_ser.recipes import recipe_named
from rt_ser.types import F32
from train.calibrate import prior_offsets
from train.examples import CLASSES, class_mask, read_target, soft_target, utterance_weights
from train.net import Network
from train.recipe import TrainRecipe
from train.splits import dev_speakers, load_split, parts_of
from train.views.course import Course
from train.views.lessons import BY_NONE, PARTS, Pupils, lessons
from train.views.peers import opinions_of
from train.views.school import School

I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesson:
    """What networks are taught, and what their manifests will tell.

    ``held`` are the speakers kept out of training for calibration; ``offsets`` (CLASSES,)
    as :func:`train.calibrate.prior_offsets` returns them.
    """

    courses: tuple[Course, ...]
    held: tuple[str, ...]
    offsets: F32


def lesson_for(
    school: School, recipe: TrainRecipe, split: str | None, peers: Sequence[Network] = ()
) -> Lesson:
    """Prepare what networks learn that leave a split's test speakers out.

    Their teachers are ``peers``, who left them out too, or heads on what the school heard;
    where a recipe has no teacher, labels tell everything.

    Raises
    ------
    ConfigError
        If nobody is left to be learnt from.
    """
    allowed = [clip for clip in school.clips if clip.corpus in recipe.corpora]
    if split is not None:
        allowed, _ = load_split(split).divide(allowed)
    held = dev_speakers(allowed, recipe.dev_speakers)
    keys = {clip.key for clip in allowed if clip.speaker not in held}
    if not keys:
        raise ConfigError(f"split={split!r} leaves nothing to train on: choose another")
    seen = np.array([clip.key in keys for clip in school.clips])
    is_read = (school.owner < 0) & (recipe.read_share > 0)
    told = _told(school, recipe, np.flatnonzero(is_read | (school.owner >= 0) & seen[school.owner]))
    rows = [np.flatnonzero(told.drawn[heard.utterance] > 0) for heard in school.heard]
    shown = np.concatenate(
        [heard.utterance[row] for heard, row in zip(school.heard, rows, strict=True)]
    )
    pupils = _pupils(school, rows, told, shown)
    targets = torch.from_numpy(told.soft[shown]).to(pupils.masks.device)
    places = torch.zeros(len(targets), 1, device=targets.device)
    if recipe.has_teacher:
        if peers:
            opinions, is_judged = _seen_by(peers, school, rows, pupils, recipe)
        else:
            places, opinions = lessons(pupils)
            is_judged = pupils.part >= 0
        targets = targets + recipe.teacher_share * is_judged[:, None] * (opinions - targets)
    often = _often(told.drawn, shown) * (told.part[shown] != BY_NONE)
    return Lesson(
        courses=_courses(school, recipe, rows, told, (targets, pupils.masks, places)),
        held=tuple(sorted(held)),
        offsets=prior_offsets(often, np.asarray(targets.cpu()), told.masks[shown]),
    )


def _pupils(school: School, rows: list[I64], told: _Told, shown: I64) -> Pupils:
    device = school.heard[0].seen.device
    pooled = [
        heard.pooled[torch.from_numpy(row).to(device)]
        for heard, row in zip(school.heard, rows, strict=True)
    ]
    known = {
        name: torch.from_numpy(getattr(told, name)[shown]).to(device)
        for name in ("targets", "fitted", "masks", "drawn", "part")
    }
    return Pupils(pooled=torch.cat(pooled), **known)


def _seen_by(
    peers: Sequence[Network], school: School, rows: list[I64], pupils: Pupils, recipe: TrainRecipe
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return peers' opinions of the views, and which views they may judge."""
    device, features = pupils.masks.device, recipe_named(recipe.features)
    masks = pupils.masks.split([len(row) for row in rows])
    opinions = [
        opinions_of(peers, heard.seen[torch.from_numpy(row).to(device)], mask, features)
        for heard, row, mask in zip(school.heard, rows, masks, strict=True)
    ]
    return torch.cat(opinions), pupils.part != BY_NONE


def _courses(
    school: School,
    recipe: TrainRecipe,
    rows: list[I64],
    told: _Told,
    known: tuple[torch.Tensor, ...],
) -> tuple[Course, ...]:
    """Lay out a course for each length of views; ``known`` is of all views, end to end."""
    sizes = [len(row) for row in rows]
    parts = zip(*(values.split(sizes) for values in known), strict=True)
    courses = []
    for heard, row, (share, _), part in zip(school.heard, rows, recipe.courses, parts, strict=True):
        often = torch.from_numpy(_often(told.drawn, heard.utterance[row]))
        courses.append(
            Course(
                steps=round(share * recipe.epochs * recipe.steps_per_epoch),
                seen=heard.seen,
                rows=torch.from_numpy(row).to(heard.seen.device),
                often=often.to(heard.seen.device),
                targets=part[0],
                masks=part[1],
                places=part[2],
            )
        )
    return tuple(courses)


def _often(drawn: F32, shown: I64) -> NDArray[np.float64]:
    """Return how often each view is drawn, so that utterances are drawn as often as they are."""
    views = np.maximum(np.bincount(shown, minlength=len(drawn)), 1)
    often: NDArray[np.float64] = (drawn / views)[shown].astype(np.float64)
    return often


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Told:
    """What is known of utterances without listening, see :class:`Pupils`."""

    targets: I64
    soft: F32
    fitted: F32
    masks: F32
    drawn: F32
    part: I64


def _told(school: School, recipe: TrainRecipe, utterances: I64) -> _Told:
    n = len(school.owner)
    labelled = utterances[school.owner[utterances] >= 0]
    readers = utterances[school.owner[utterances] < 0]
    clips = [school.clips[school.owner[index]] for index in labelled]
    targets, part = np.zeros(n, np.int64), np.full(n, BY_NONE)
    soft, masks = np.zeros((n, CLASSES), np.float32), np.zeros((n, CLASSES), np.float32)
    fitted, drawn = np.zeros((n, CLASSES), np.float32), np.zeros(n, np.float32)
    targets[labelled] = [clip.target for clip in clips]
    soft[labelled] = [
        soft_target(clip, vote_weight=recipe.vote_weight, smoothing=recipe.label_smoothing)
        for clip in clips
    ]
    fitted[labelled] = [
        soft_target(clip, vote_weight=recipe.teacher_votes, smoothing=0.0) for clip in clips
    ]
    masks[labelled] = [class_mask(clip.corpus) for clip in clips]
    part[labelled] = parts_of(clips, PARTS)
    share = recipe.read_share if len(readers) else 0.0
    drawn[labelled] = (1.0 - share) * utterance_weights(clips, school.count[labelled], recipe)
    if share:
        known = masks[labelled].max(axis=0)
        soft[readers], masks[readers] = read_target(known), known
        drawn[readers] = share * school.count[readers] / school.count[readers].sum()
    return _Told(targets=targets, soft=soft, fitted=fitted, masks=masks, drawn=drawn, part=part)
