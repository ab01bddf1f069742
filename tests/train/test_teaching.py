"""What a training side is shown and taught: nobody who is tested has a part in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: make test-train")

import torch

from rt_ser.errors import ConfigError
from rt_ser.features import scale_to_unit, speech_level
from rt_ser.recipes import recipe_named
from tests.train.small_school import RECIPE
from train.examples import CLASSES
from train.net import Network
from train.prepare import Prepared
from train.views.school import School, found_school
from train.views.teaching import Lesson, lesson_for

# Views of a corpus ------------------------------------------------------------------------


def test_every_utterance_is_seen_and_heard_as_often_as_the_recipe_says(school: School) -> None:
    assert [heard.seen.shape[1:] for heard in school.heard] == [(64, 64), (256, 64)]
    for heard, times in zip(school.heard, (3, 2), strict=True):
        assert set(np.bincount(heard.utterance)) == {times}
        assert heard.pooled.shape == (len(heard.utterance), 160)
        assert heard.seen.isfinite().all()
        assert heard.pooled.isfinite().all()


TESTED = {"cremad-1001", "cremad-1006"}
"""Those of the made-up speakers who are tested in the fifth fold."""


@pytest.fixture(scope="module")
def fifth(school: School) -> Lesson:
    return lesson_for(school, replace(RECIPE, dev_speakers=0), "joint:5")


def test_nobody_who_is_tested_is_learnt_from(school: School, fifth: Lesson) -> None:
    everybody = {clip.speaker for clip in school.clips}
    assert everybody > TESTED
    for course, heard in zip(fifth.courses, school.heard, strict=True):
        owners = school.owner[heard.utterance[course.rows.numpy()]]
        assert {school.clips[owner].speaker for owner in owners} == everybody - TESTED


def test_how_those_sound_who_are_tested_changes_nothing(school: School, fifth: Lesson) -> None:
    changed = []
    for heard in school.heard:
        owners = school.owner[heard.utterance]
        tested = torch.tensor([school.clips[owner].speaker in TESTED for owner in owners])
        changed.append(
            replace(
                heard,
                pooled=torch.where(tested[:, None], 7.0, heard.pooled),
                seen=torch.where(tested[:, None, None], 0.0, heard.seen),
            )
        )
    other = replace(school, heard=tuple(changed))
    again = lesson_for(other, replace(RECIPE, dev_speakers=0), "joint:5")
    for first, second in zip(fifth.courses, again.courses, strict=True):
        torch.testing.assert_close(first.places, second.places)
        torch.testing.assert_close(first.targets, second.targets)
        torch.testing.assert_close(first.seen[first.rows], second.seen[second.rows])


def test_targets_are_distributions_over_the_corpus_s_classes(lesson: Lesson) -> None:
    for course in lesson.courses:
        torch.testing.assert_close(course.targets.sum(1), torch.ones(len(course.targets)))
        assert (course.targets[course.masks == 0] == 0).all()
        assert course.steps > 0
    assert len(lesson.held) == 1


# Peers ------------------------------------------------------------------------------------

PEERED = replace(RECIPE, name="peered", peers=["tiny"], imitation=0.0, teacher_share=0.75)


def untrained(seed: int) -> Network:
    torch.manual_seed(seed)
    features = recipe_named(RECIPE.features)
    return Network(features, classes=CLASSES, shape=RECIPE.shape).eval()


def test_peers_need_no_encoder_and_are_believed_as_far_as_the_recipe_says(
    played: Prepared,
) -> None:
    """A target is a quarter the label and, of the rest, what both networks say of the view."""
    peers = [untrained(0), untrained(1)]
    school = found_school(played, PEERED, None, torch.device("cpu"), jobs=1)
    taught = lesson_for(school, PEERED, None, peers)
    plain = lesson_for(school, replace(PEERED, teacher_share=0.0), None, peers)
    features = recipe_named(RECIPE.features)
    for course, label in zip(taught.courses, plain.courses, strict=True):
        seen = course.seen[course.rows[:5]].float().numpy()
        inputs = np.stack([window - speech_level(window) for window in seen])
        inputs = torch.from_numpy(scale_to_unit(inputs, features))[:, None]
        with torch.no_grad():
            logits = [peer(inputs)["emotion"] for peer in peers]
        barred = (1.0 - course.masks[:5]) * -1e9
        said = sum((one + barred).softmax(1) for one in logits) / 2.0
        torch.testing.assert_close(
            course.targets[:5], 0.25 * label.targets[:5] + 0.75 * said, atol=1e-4, rtol=1e-3
        )


# Labels alone -----------------------------------------------------------------------------


def test_without_a_teacher_labels_tell_everything(school: School, labels: Lesson) -> None:
    wanted = lesson_for(school, replace(RECIPE, teacher_share=0.0), None)
    for course, other in zip(labels.courses, wanted.courses, strict=True):
        torch.testing.assert_close(course.targets, other.targets)
        assert (course.targets.max(1).values > 0.89).all()
        assert not course.places.any()


def test_a_split_that_leaves_nobody_is_refused(school: School) -> None:
    with pytest.raises(ConfigError) as caught:
        lesson_for(school, RECIPE, "loco:cremad")
    assert str(caught.value) == "split='loco:cremad' leaves nothing to train on: choose another"
