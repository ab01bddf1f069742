"""A whole training from views in seconds: played, shown, heard, learnt, killed, gone on with."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

pytest.importorskip("torch", reason="PyTorch is not installed: make test-train")

import torch

from rt_ser.errors import ConfigError
from rt_ser.features import scale_to_unit, speech_level
from rt_ser.recipes import recipe_named
from rt_ser.types import RATE_HZ
from tests.train.made_up import EMOTIONS, small_corpus, voice
from train.examples import noise_examples
from train.export import load_run
from train.fit import CHECKPOINT
from train.net import mixed
from train.prepare import Prepared
from train.recipe import Augmentation, TrainRecipe
from train.study import Task, every, study
from train.trainer import write_checkpoint
from train.views.cohort import Cohort
from train.views.distort import Distortion
from train.views.school import School, found_school
from train.views.teaching import Lesson, lesson_for

RECIPE = TrainRecipe(
    name="tiny", width=0.25, batch=8, epochs=4, epoch_examples=64, dev_speakers=1, views=5,
    short_share=0.6, short_frames=64, peak_rate=0.01, average=0.9, noise_share=0.2, dropout=0.1,
    teacher_share=0.5, imitation=0.5, corpus_weight={"cremad": 1.0},
    augmentation=Augmentation(noise=0.2, mixup=0.2, shortest_s=0.2),
)  # fmt: skip


def overall(mels: torch.Tensor) -> torch.Tensor:
    """Hear means and deviations of what is heard: an encoder of no layers."""
    return torch.cat([mels.mean(1), mels.std(1)], dim=1)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Made-up clips, and their recordings as files."""
    folder, found = tmp_path_factory.mktemp("recordings"), small_corpus()
    clips = []
    for number, clip in enumerate(found.clips):
        path = folder / f"{number}.wav"
        samples = voice(EMOTIONS.index(clip.emotion), number)
        soundfile.write(path, samples, RATE_HZ, subtype="FLOAT")
        clips.append(replace(clip, path=path))
    return replace(found, clips=tuple(clips))


@pytest.fixture(scope="module")
def school(prepared: Prepared) -> School:
    return found_school(prepared, RECIPE, overall, torch.device("cpu"), jobs=1)


@pytest.fixture(scope="module")
def lesson(school: School) -> Lesson:
    return lesson_for(school, RECIPE, None)


@pytest.fixture(scope="module")
def folders(
    prepared: Prepared, lesson: Lesson, tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """Two networks that learnt side by side."""
    root = tmp_path_factory.mktemp("runs")
    study(prepared, [(task_for(root / str(seed), seed), lesson) for seed in (0, 1)])
    return [root / "0", root / "1"]


def task_for(folder: Path, seed: int, recipe: TrainRecipe = RECIPE) -> Task:
    return Task(recipe=recipe, split=None, seed=seed, folder=folder)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(folder / "weights.pt", weights_only=True)
    return found


def log_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def distortion_of(prepared: Prepared) -> Distortion:
    features, noise = recipe_named(RECIPE.features), noise_examples(prepared)
    return Distortion(noise, features, RECIPE.augmentation, torch.device("cpu"))


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


def test_peers_need_no_encoder_and_are_believed_as_far_as_the_recipe_says(
    prepared: Prepared, folders: list[Path]
) -> None:
    """A target is a quarter the label and, of the rest, what both networks say of the view."""
    peers = [load_run(folder)[2] for folder in folders]
    school = found_school(prepared, PEERED, None, torch.device("cpu"), jobs=1)
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


def test_a_network_learns_from_its_peers(
    prepared: Prepared, folders: list[Path], tmp_path: Path
) -> None:
    school = found_school(prepared, PEERED, None, torch.device("cpu"), jobs=1)
    lesson = lesson_for(school, PEERED, None, [load_run(folders[0])[2]])
    task = replace(task_for(tmp_path / "peered", 0, PEERED), earlier={"tiny": folders[0]})
    study(prepared, [(task, lesson)])
    losses = [float(row["loss"]) for row in log_of(tmp_path / "peered")]
    assert losses[-1] < losses[0]
    assert load_run(tmp_path / "peered")[1] == PEERED


def test_who_learns_from_an_encoder_must_say_where_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from train.__main__ import main

    options = ["--data", ".", "--recipe", "tenth", "--splits", "all"]
    assert main(["study", *options]) == ConfigError.exit_code
    assert "recipe='tenth' learns from an encoder: give --weights" in capsys.readouterr().err


# Learning ---------------------------------------------------------------------------------


def test_networks_side_by_side_learn_and_differ_by_their_seed(folders: list[Path]) -> None:
    total = RECIPE.epochs * RECIPE.steps_per_epoch
    for folder in folders:
        log = log_of(folder)
        assert len(log) == total // every(total) + (total % every(total) > 0)
        losses = [float(row["loss"]) for row in log]
        assert losses[-1] < losses[0]
        assert 0.0 <= float(log[-1]["dev_uar"]) <= 1.0
        assert (folder / "log.png").read_bytes().startswith(b"\x89PNG")
        told, recipe, network = load_run(folder)
        assert recipe == RECIPE
        assert len(told["offsets"]) == 8
        assert all(value.isfinite().all() for value in network.state_dict().values())
    one, two = map(weights_of, folders)
    assert any((one[name] != two[name]).any() for name in one)


def test_side_by_side_they_may_learn_from_other_voices(
    prepared: Prepared, lesson: Lesson, folders: list[Path], tmp_path: Path
) -> None:
    """What a network is beside another one it is beside one of another recipe of the same way."""
    others = replace(RECIPE, name="others", corpus_weight={"cremad": 2.0})
    found, recipes = [tmp_path / "0", tmp_path / "1"], (RECIPE, others)
    tasks = [task_for(folder, seed, recipes[seed]) for seed, folder in enumerate(found)]
    study(prepared, [(task, lesson) for task in tasks])
    assert load_run(found[1])[1] == others
    for one, other in zip(found, folders, strict=True):
        for name, value in weights_of(one).items():
            torch.testing.assert_close(weights_of(other)[name], value, rtol=1e-4, atol=1e-5)


def test_going_on_gives_the_same_network(
    prepared: Prepared, lesson: Lesson, tmp_path: Path
) -> None:
    """The checkpoint holds all that a step changes: weights, moments, averages, randomness."""
    whole, stopped = ([tmp_path / f"{name}{seed}" for seed in (3, 4)] for name in ("a", "b"))
    study(prepared, [(task_for(folder, 3 + i), lesson) for i, folder in enumerate(whole)])
    distortion = distortion_of(prepared)
    cohort = Cohort(RECIPE, [lesson.courses] * 2, distortion, [3, 4], [None, None])
    for _ in range(cohort.total // 2):
        cohort.step()
    for folder, state in zip(stopped, cohort.states(), strict=True):
        folder.mkdir()
        write_checkpoint(folder / CHECKPOINT, RECIPE, state)
    torch.manual_seed(77)
    study(prepared, [(task_for(folder, 3 + i), lesson) for i, folder in enumerate(stopped)])
    for one, other in zip(whole, stopped, strict=True):
        for name, value in weights_of(one).items():
            torch.testing.assert_close(weights_of(other)[name], value, rtol=1e-4, atol=1e-5)
        ends = [(row["epoch"], row["loss"]) for row in log_of(other)]
        assert ends == [(row["epoch"], row["loss"]) for row in log_of(one)][-len(ends) :]


def test_networks_side_by_side_are_shown_one_school(prepared: Prepared, lesson: Lesson) -> None:
    noise = distortion_of(prepared)
    others = tuple(replace(course, seen=course.seen.clone()) for course in lesson.courses)
    with pytest.raises(ValueError, match="must be shown views of one school"):
        Cohort(RECIPE, [lesson.courses, others], noise, [0, 1], [None, None])


def test_a_network_goes_on_from_another_one_s_weights(
    prepared: Prepared, lesson: Lesson, folders: list[Path], tmp_path: Path
) -> None:
    """At a rate near zero it stays where it began."""
    still = replace(RECIPE, name="further", start="tiny", peak_rate=0.0, epochs=1)
    task = replace(task_for(tmp_path / "further", 0, still), earlier={"tiny": folders[0]})
    study(prepared, [(task, lesson)])
    before, after = weights_of(folders[0]), weights_of(tmp_path / "further")
    kernels = [name for name, value in before.items() if value.ndim > 1]
    assert kernels
    for name in kernels:
        torch.testing.assert_close(after[name], before[name], atol=1e-4, rtol=1e-3)


def test_a_network_does_not_go_on_from_one_that_heard_others(
    prepared: Prepared, fifth: Lesson, folders: list[Path], tmp_path: Path
) -> None:
    """It would have heard those who are to be tested."""
    further, earlier = replace(RECIPE, name="further", start="tiny"), {"tiny": folders[0]}
    task = replace(task_for(tmp_path / "leak", 0, further), split="joint:5", earlier=earlier)
    with pytest.raises(ConfigError, match="left out split=None and not 'joint:5'"):
        study(prepared, [(task, fifth)])
    shaped = replace(further, hidden=8)
    other = replace(task_for(tmp_path / "shape", 0, shaped), earlier=earlier)
    with pytest.raises(ConfigError, match="has another shape than recipe='further'"):
        study(prepared, [(other, fifth)])
    assert not (tmp_path / "leak").exists()


def test_a_finished_run_is_not_trained_further(
    prepared: Prepared, lesson: Lesson, folders: list[Path]
) -> None:
    before, log = weights_of(folders[1]), log_of(folders[1])
    study(prepared, [(task_for(folders[1], 1), lesson)])
    for name, value in before.items():
        torch.testing.assert_close(weights_of(folders[1])[name], value)
    assert log_of(folders[1]) == log


def test_a_checkpoint_of_another_recipe_is_refused(
    prepared: Prepared, lesson: Lesson, folders: list[Path]
) -> None:
    before = yaml.safe_load((folders[0] / "run.yaml").read_text(encoding="utf-8"))
    other = replace(RECIPE, weight_decay=0.5)
    with pytest.raises(ConfigError, match="left by another recipe than 'tiny' now is"):
        study(prepared, [(task_for(folders[0], 0, other), lesson)])
    assert yaml.safe_load((folders[0] / "run.yaml").read_text(encoding="utf-8")) == before


def test_a_recipe_without_a_teacher_says_what_to_use(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from train.__main__ import main

    options = ["--data", ".", "--recipe", "third", "--weights", "x", "--splits", "all"]
    assert main(["study", *options]) == ConfigError.exit_code
    assert "recipe='third' has no teacher: use python -m train fit" in capsys.readouterr().err


def test_recipes_that_teach_in_other_ways_are_not_studied_together(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from train.__main__ import main

    options = ["--data", ".", "--weights", "x", "--splits", "all", "--recipe"]
    assert main(["study", *options, "tenth", "tenth_open", "eleventh"]) == ConfigError.exit_code
    told = capsys.readouterr().err
    assert "recipes='tenth', 'eleventh' differ in more than whose voices they learn from" in told


def test_a_missing_start_is_told_before_anybody_listens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from train.__main__ import main

    options = ["--data", ".", "--recipe", "eleventh", "--weights", "x", "--splits", "joint:1"]
    assert main(["study", *options, "--starts", str(tmp_path)]) == ConfigError.exit_code
    told = capsys.readouterr().err
    assert f"{tmp_path / 'tenth-joint-1-0'}: no weights.pt there: finish it with" in told


def test_earlier_networks_have_their_shares_in_what_is_written(
    prepared: Prepared, lesson: Lesson, folders: list[Path], tmp_path: Path
) -> None:
    """At a rate near zero what is new is the first of them, but for its running statistics."""
    shares = {"tiny": 0.25, "other": 0.5}
    mean = replace(
        RECIPE, name="mean", start="tiny", earlier_shares=shares, peak_rate=0.0, epochs=1
    )
    earlier = {"tiny": folders[0], "other": folders[1]}
    study(prepared, [(replace(task_for(tmp_path / "mean", 0, mean), earlier=earlier), lesson)])
    one, other = (weights_of(folder) for folder in folders)
    found = weights_of(tmp_path / "mean")
    kernels = [name for name, value in found.items() if value.ndim > 1]
    assert kernels
    for name in kernels:
        expected = (one[name] + other[name]) / 2.0
        torch.testing.assert_close(found[name], expected, atol=1e-4, rtol=1e-3)


def test_offsets_are_a_mean_as_weights_are(
    prepared: Prepared, lesson: Lesson, folders: list[Path], tmp_path: Path
) -> None:
    mean = replace(RECIPE, name="mean", start="tiny", earlier_shares={"tiny": 0.5}, epochs=1)
    lower = replace(lesson, offsets=lesson.offsets - 1.0)
    task = replace(task_for(tmp_path / "mean", 0, mean), earlier={"tiny": folders[0]})
    study(prepared, [(task, lower)])
    before, after = (
        np.array(load_run(folder)[0]["offsets"]) for folder in (folders[0], task.folder)
    )
    np.testing.assert_allclose(before - after, 0.5, atol=2e-4)


def test_a_mean_of_weights_counts_as_the_newest_does() -> None:
    new = {"kernel": torch.tensor([1.0, 3.0]), "count": torch.tensor(7)}
    old = {"kernel": torch.tensor([3.0, -1.0]), "count": torch.tensor(2)}
    oldest = {"kernel": torch.tensor([5.0, 3.0]), "count": torch.tensor(1)}
    found = mixed(new, {"old": old, "oldest": oldest}, {"old": 0.25, "oldest": 0.5})
    assert found["kernel"].tolist() == [3.5, 2.0]
    assert found["count"] == 7
    assert mixed(new, {"old": old}, {})["kernel"].tolist() == [1.0, 3.0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_replays_what_it_recorded(prepared: Prepared, tmp_path: Path) -> None:
    school = found_school(prepared, RECIPE, overall, torch.device("cuda"), jobs=1)
    study(prepared, [(task_for(tmp_path / "gpu", 0), lesson_for(school, RECIPE, None))])
    assert all(value.isfinite().all() for value in weights_of(tmp_path / "gpu").values())
