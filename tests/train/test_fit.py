"""A whole training from views in seconds: played, shown, heard, learnt, killed, gone on with."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

pytest.importorskip("torch", reason="PyTorch is not installed: make test-train")

import torch

from rt_ser.errors import ConfigError
from rt_ser.recipes import recipe_named
from rt_ser.types import RATE_HZ
from tests import signals
from tests.train.made_up import EMOTIONS, voice
from tests.train.small_school import ALONE, RECIPE, overall
from train.__main__ import main
from train.examples import noise_examples
from train.net import mixed
from train.prepare import Prepared
from train.recipe import TrainRecipe, load_recipe, recipe_from
from train.run_folder import CHECKPOINT, load_run, write_checkpoint
from train.training import Task, earlier_run, every, train_networks
from train.views.cohort import Cohort
from train.views.distort import Distortion
from train.views.school import found_school
from train.views.teaching import Lesson, lesson_for

KILLED = """
import os, signal, sys, threading, time
from pathlib import Path
import torch
from tests.train.made_up import recorded, small_corpus
from tests import signals
from tests.train.made_up import EMOTIONS, voice
from tests.train.small_school import ALONE
from tests.train.test_fit import task_for
from train.training import train_networks
from train.views.school import found_school
from train.views.teaching import lesson_for

run, recordings = map(Path, sys.argv[1:])
prepared = recorded(small_corpus(), recordings)
school = found_school(prepared, ALONE, None, torch.device("cpu"), jobs=1)

def wait_and_kill():
    while not (run / "checkpoint.pt").exists():
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=wait_and_kill, daemon=True).start()
train_networks(prepared, [(task_for(run, 3, ALONE), lesson_for(school, ALONE, None))])
"""


@pytest.fixture(scope="module")
def folders(
    played: Prepared, lesson: Lesson, tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """Two networks that learnt side by side."""
    root = tmp_path_factory.mktemp("runs")
    train_networks(played, [(task_for(root / str(seed), seed), lesson) for seed in (0, 1)])
    return [root / "0", root / "1"]


def task_for(folder: Path, seed: int, recipe: TrainRecipe = RECIPE) -> Task:
    return Task(recipe=recipe, split=None, seed=seed, folder=folder)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(folder / "weights.pt", weights_only=True)
    return found


def log_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def distortion_of(played: Prepared) -> Distortion:
    features, noise = recipe_named(RECIPE.features), noise_examples(played)
    return Distortion(noise, features, RECIPE.augmentation, torch.device("cpu"))


# Peers ----------------------------------------------------------------------------------

PEERED = replace(RECIPE, name="peered", peers=["tiny"], imitation=0.0, teacher_share=0.75)


def test_a_network_learns_from_its_peers(
    played: Prepared, folders: list[Path], tmp_path: Path
) -> None:
    school = found_school(played, PEERED, None, torch.device("cpu"), jobs=1)
    lesson = lesson_for(school, PEERED, None, [load_run(folders[0])[2]])
    task = replace(
        task_for(tmp_path / "peered", 0, PEERED),
        earlier={"tiny": earlier_run(folders[0], RECIPE, None)},
    )
    train_networks(played, [(task, lesson)])
    losses = [float(row["loss"]) for row in log_of(tmp_path / "peered")]
    assert losses[-1] < losses[0]
    assert load_run(tmp_path / "peered")[1] == PEERED


def test_who_learns_from_an_encoder_must_say_where_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--data", ".", "--recipe", "tenth", "--splits", "all"]
    assert main(["fit", *options]) == ConfigError.exit_code
    assert "recipe='tenth' learns from an encoder: give --weights" in capsys.readouterr().err


def test_the_default_recipe_asks_for_nothing_but_recordings() -> None:
    recipe = load_recipe("plain")
    assert not recipe.has_teacher
    assert not recipe.earlier


# Learning -------------------------------------------------------------------------------


def test_going_on_after_a_kill_gives_the_same_network(
    played: Prepared, labels: Lesson, repo_root: Path, tmp_path: Path
) -> None:
    """The disk filled up too: the log was written, and the checkpoint was not."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train_networks(played, [(task_for(whole, 3, ALONE), labels)])
    (tmp_path / "recordings").mkdir()
    died = subprocess.run(
        [sys.executable, "-c", KILLED, str(killed), str(tmp_path / "recordings")],
        cwd=repo_root, capture_output=True, check=False, timeout=240,
    )  # fmt: skip
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()[-2_000:]
    assert len(log_of(killed)) < len(log_of(whole))
    assert not (killed / "weights.pt").exists()
    with (killed / "log.csv").open("a", encoding="utf-8") as lines:
        lines.write("5,0.1,1.0,\n")
    train_networks(played, [(task_for(killed, 3, ALONE), labels)])
    losses = [[row["loss"] for row in log_of(folder)] for folder in (killed, whole)]
    assert losses[0] == losses[1]
    for name, value in weights_of(whole).items():
        torch.testing.assert_close(weights_of(killed)[name], value, rtol=1e-4, atol=1e-5)


def test_a_run_says_what_it_was(folders: list[Path]) -> None:
    told = yaml.safe_load((folders[1] / "run.yaml").read_text(encoding="utf-8"))
    assert (told["split"], told["seed"]) == (None, 1)
    assert len(told["held"]) == 1
    assert recipe_from(told["recipe"], source="run.yaml") == RECIPE
    assert told["recipe"] == asdict(RECIPE)


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
    played: Prepared, lesson: Lesson, folders: list[Path], tmp_path: Path
) -> None:
    """What a network is beside another one it is beside one of another recipe of the same way."""
    others = replace(RECIPE, name="others", corpus_weight={"cremad": 2.0})
    found, recipes = [tmp_path / "0", tmp_path / "1"], (RECIPE, others)
    tasks = [task_for(folder, seed, recipes[seed]) for seed, folder in enumerate(found)]
    train_networks(played, [(task, lesson) for task in tasks])
    assert load_run(found[1])[1] == others
    for one, other in zip(found, folders, strict=True):
        for name, value in weights_of(one).items():
            torch.testing.assert_close(weights_of(other)[name], value, rtol=1e-4, atol=1e-5)


def test_going_on_gives_the_same_network(played: Prepared, lesson: Lesson, tmp_path: Path) -> None:
    """The checkpoint holds all that a step changes: weights, moments, averages, randomness."""
    whole, stopped = ([tmp_path / f"{name}{seed}" for seed in (3, 4)] for name in ("a", "b"))
    train_networks(played, [(task_for(folder, 3 + i), lesson) for i, folder in enumerate(whole)])
    distortion = distortion_of(played)
    cohort = Cohort(RECIPE, [lesson.courses] * 2, distortion, [3, 4], [None, None])
    for _ in range(cohort.total // 2):
        cohort.step()
    for folder, state in zip(stopped, cohort.states(), strict=True):
        folder.mkdir()
        write_checkpoint(folder / CHECKPOINT, RECIPE, state)
    torch.manual_seed(77)
    train_networks(played, [(task_for(folder, 3 + i), lesson) for i, folder in enumerate(stopped)])
    for one, other in zip(whole, stopped, strict=True):
        for name, value in weights_of(one).items():
            torch.testing.assert_close(weights_of(other)[name], value, rtol=1e-4, atol=1e-5)
        ends = [(row["epoch"], row["loss"]) for row in log_of(other)]
        assert ends == [(row["epoch"], row["loss"]) for row in log_of(one)][-len(ends) :]


def test_networks_side_by_side_are_shown_one_school(played: Prepared, lesson: Lesson) -> None:
    noise = distortion_of(played)
    others = tuple(replace(course, seen=course.seen.clone()) for course in lesson.courses)
    with pytest.raises(ValueError, match="must be shown views of one school"):
        Cohort(RECIPE, [lesson.courses, others], noise, [0, 1], [None, None])


def test_a_network_goes_on_from_another_one_s_weights(
    played: Prepared, lesson: Lesson, folders: list[Path], tmp_path: Path
) -> None:
    """At a rate near zero it stays where it began."""
    still = replace(RECIPE, name="further", start="tiny", peak_rate=0.0, epochs=1)
    task = replace(
        task_for(tmp_path / "further", 0, still),
        earlier={"tiny": earlier_run(folders[0], RECIPE, None)},
    )
    train_networks(played, [(task, lesson)])
    before, after = weights_of(folders[0]), weights_of(tmp_path / "further")
    kernels = [name for name, value in before.items() if value.ndim > 1]
    assert kernels
    for name in kernels:
        torch.testing.assert_close(after[name], before[name], atol=1e-4, rtol=1e-3)


def test_a_network_does_not_go_on_from_one_that_heard_others(folders: list[Path]) -> None:
    """It would have heard those who are to be tested."""
    further = replace(RECIPE, name="further", start="tiny")
    with pytest.raises(ConfigError, match="left out split=None and not 'joint:5'"):
        earlier_run(folders[0], further, "joint:5")
    with pytest.raises(ConfigError, match="has another shape than recipe='further'"):
        earlier_run(folders[0], replace(further, hidden=8), None)


def test_a_finished_run_is_not_trained_further(
    played: Prepared, lesson: Lesson, folders: list[Path]
) -> None:
    before, log = weights_of(folders[1]), log_of(folders[1])
    about = (folders[1] / "run.yaml").stat()
    train_networks(played, [(task_for(folders[1], 1), lesson)])
    assert (folders[1] / "run.yaml").stat().st_mtime_ns == about.st_mtime_ns
    for name, value in before.items():
        torch.testing.assert_close(weights_of(folders[1])[name], value)
    assert log_of(folders[1]) == log


def test_a_checkpoint_of_another_recipe_is_refused(
    played: Prepared, lesson: Lesson, folders: list[Path]
) -> None:
    before = yaml.safe_load((folders[0] / "run.yaml").read_text(encoding="utf-8"))
    other = replace(RECIPE, weight_decay=0.5)
    with pytest.raises(ConfigError, match="left by another recipe than 'tiny' now is"):
        train_networks(played, [(task_for(folders[0], 0, other), lesson)])
    assert yaml.safe_load((folders[0] / "run.yaml").read_text(encoding="utf-8")) == before


def test_recipes_that_teach_in_other_ways_are_not_fitted_together(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--data", ".", "--weights", "x", "--splits", "all", "--recipe"]
    assert main(["fit", *options, "tenth", "tenth_open", "eleventh"]) == ConfigError.exit_code
    told = capsys.readouterr().err
    assert "recipes='tenth', 'eleventh' differ in more than whose voices they learn from" in told


def test_a_split_that_there_is_not_is_told_before_anybody_listens(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["fit", "--data", ".", "--splits", "joint:1", "joint:9"]) == ConfigError.exit_code
    assert "split='joint:9' is not known: give one of joint:1" in capsys.readouterr().err


def test_a_missing_start_is_told_before_anybody_listens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", ".", "--recipe", "eleventh", "--weights", "x", "--splits", "joint:1"]
    assert main(["fit", *options, "--starts", str(tmp_path)]) == ConfigError.exit_code
    told = capsys.readouterr().err
    assert f"{tmp_path / 'tenth-joint-1-0'}: no weights.pt there: finish it with" in told


def test_earlier_networks_have_their_shares_in_what_is_written(
    played: Prepared, lesson: Lesson, folders: list[Path], tmp_path: Path
) -> None:
    """At a rate near zero what is new is the first of them, but for its running statistics."""
    shares = {"tiny": 0.25, "other": 0.5}
    mean = replace(
        RECIPE, name="mean", start="tiny", earlier_shares=shares, peak_rate=0.0, epochs=1
    )
    earlier = {
        name: earlier_run(folder, mean, None)
        for name, folder in zip(("tiny", "other"), folders, strict=True)
    }
    train_networks(
        played, [(replace(task_for(tmp_path / "mean", 0, mean), earlier=earlier), lesson)]
    )
    one, other = (weights_of(folder) for folder in folders)
    found = weights_of(tmp_path / "mean")
    kernels = [name for name, value in found.items() if value.ndim > 1]
    assert kernels
    for name in kernels:
        expected = (one[name] + other[name]) / 2.0
        torch.testing.assert_close(found[name], expected, atol=1e-4, rtol=1e-3)


def test_offsets_are_a_mean_as_weights_are(
    played: Prepared, lesson: Lesson, folders: list[Path], tmp_path: Path
) -> None:
    mean = replace(RECIPE, name="mean", start="tiny", earlier_shares={"tiny": 0.5}, epochs=1)
    lower = replace(lesson, offsets=lesson.offsets - 1.0)
    task = replace(
        task_for(tmp_path / "mean", 0, mean),
        earlier={"tiny": earlier_run(folders[0], RECIPE, None)},
    )
    train_networks(played, [(task, lower)])
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
def test_a_gpu_replays_what_it_recorded(played: Prepared, tmp_path: Path) -> None:
    school = found_school(played, RECIPE, overall, torch.device("cuda"), jobs=1)
    train_networks(played, [(task_for(tmp_path / "gpu", 0), lesson_for(school, RECIPE, None))])
    assert all(value.isfinite().all() for value in weights_of(tmp_path / "gpu").values())


# The command ------------------------------------------------------------------------------

TINY = """
width: 0.25
batch: 8
epochs: 2
epoch_examples: 32
dev_speakers: 1
views: 2
corpus_weight: {cremad: 1.0}
"""


def test_from_a_folder_of_recordings_to_a_finished_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prepared, played, learnt and saved by one command; asked again, it is done at once."""
    (tmp_path / "data" / "AudioWAV").mkdir(parents=True)
    (tmp_path / "data" / "noise").mkdir()
    for speaker in (1001, 1002):
        for number, emotion in enumerate(EMOTIONS):
            name = f"{speaker}_DFA_{emotion[:3].upper()}_XX.wav"
            soundfile.write(tmp_path / "data" / "AudioWAV" / name, voice(number, speaker), RATE_HZ)
    for number in range(4):
        noise = signals.pink_noise(number)[:32_000]
        soundfile.write(tmp_path / "data" / "noise" / f"1-{number}-A-10.wav", noise, RATE_HZ)
    (tmp_path / "mine.yaml").write_text(TINY, encoding="utf-8")
    command = [
        "fit", "--data", str(tmp_path / "data"), "--cache", str(tmp_path / "cache"),
        "--recipe", str(tmp_path / "mine.yaml"), "--runs", str(tmp_path / "runs"),
    ]  # fmt: skip
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "step 8 of 8: " in told
    assert f"saved weights.pt of 1 networks below {tmp_path / 'runs'}" in told
    run, recipe, _ = load_run(tmp_path / "runs" / "mine-all-0")
    assert (recipe.name, run["split"], len(run["held"])) == ("mine", None, 1)
    assert main(command) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path / 'runs' / 'mine-all-0'}: finished before, see run.yaml and log.csv there\n"
    )
    (tmp_path / "mine.yaml").write_text(TINY + "weight_decay: 0.5\n", encoding="utf-8")
    assert main(command) == ConfigError.exit_code
    assert "mine-all-0: left by another recipe than 'mine' now is" in capsys.readouterr().err
