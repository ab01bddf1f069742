"""What lies in a run's folder: whole at every moment, and refused in one line where it is not."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("torch", reason="PyTorch is not installed: make test-train")

import torch

from rt_ser.errors import ConfigError, ModelError
from rt_ser.recipes import recipe_named
from train.__main__ import main
from train.examples import CLASSES
from train.net import Network
from train.recipe import TrainRecipe, load_recipe
from train.run_folder import (
    ABOUT,
    CHECKPOINT,
    WEIGHTS,
    is_finished,
    load_run,
    read_checkpoint,
    run_name,
    write_about,
    write_checkpoint,
)
from train.training import earlier_run

RECIPE = TrainRecipe(name="tiny", width=0.25)


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A finished run of a network that was never trained."""
    network = Network(recipe_named(RECIPE.features), classes=CLASSES, shape=RECIPE.shape)
    torch.save(network.state_dict(), tmp_path / WEIGHTS)
    write(tmp_path)
    return tmp_path


def write(run: Path, *, seed: int = 0) -> None:
    offsets = np.linspace(-0.1, 0.1, CLASSES).astype(np.float32)
    write_about(run, RECIPE, split=None, seed=seed, held=["cremad-1001"], offsets=offsets)


def test_what_was_written_is_read(finished: Path) -> None:
    told, recipe, _ = load_run(finished)
    assert (told["split"], told["seed"], told["held"]) == (None, 0, ["cremad-1001"])
    assert recipe == RECIPE
    assert is_finished(finished, RECIPE)


def test_every_run_that_is_kept_can_be_read(repo_root: Path) -> None:
    runs = sorted((repo_root / "train" / "runs").iterdir())
    assert runs
    for run in runs:
        assert run.name.startswith(load_run(run)[1].name)


def test_what_is_unchanged_is_not_written_again(finished: Path) -> None:
    before = (finished / ABOUT).stat()
    write(finished)
    assert (finished / ABOUT).stat().st_mtime_ns == before.st_mtime_ns
    assert (finished / ABOUT).stat().st_ino == before.st_ino
    write(finished, seed=7)
    assert load_run(finished)[0]["seed"] == 7


def test_wherever_it_is_cut_off_it_is_refused(finished: Path) -> None:
    """Many a part of a YAML file is a YAML file, and what it lacks is no default."""
    whole = (finished / ABOUT).read_bytes()
    for length in range(0, len(whole) - len("0.0\n"), 13):
        (finished / ABOUT).write_bytes(whole[:length])
        for read in (load_run, lambda run: is_finished(run, RECIPE)):
            with pytest.raises(ConfigError, match=r"run\.yaml.*: get it again, or") as caught:
                read(finished)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("split", 3),
        ("seed", "first"),
        ("held", "cremad-1001"),
        ("offsets", [0.0] * (CLASSES - 1)),
        ("offsets", ["high"] * CLASSES),
        ("recipe", "tiny"),
    ],
)
def test_what_is_of_another_type_is_refused(finished: Path, key: str, value: object) -> None:
    told = yaml.safe_load((finished / ABOUT).read_text())
    (finished / ABOUT).write_text(yaml.safe_dump({**told, key: value}))
    with pytest.raises(ConfigError, match=rf"run\.yaml: {key}=.* is damaged: get it again, or"):
        load_run(finished)


def test_a_key_that_is_missing_is_named(finished: Path) -> None:
    told = yaml.safe_load((finished / ABOUT).read_text())
    (finished / ABOUT).write_text(yaml.safe_dump({k: v for k, v in told.items() if k != "held"}))
    with pytest.raises(ConfigError, match=r"run\.yaml: held is missing: get it again, or"):
        load_run(finished)
    told["recipe"] = {k: v for k, v in asdict(RECIPE).items() if k not in ("batch", "peers")}
    (finished / ABOUT).write_text(yaml.safe_dump(told))
    with pytest.raises(ConfigError, match=r"run\.yaml: recipe lacks \['batch'\]: get it again, or"):
        load_run(finished)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_weights_that_are_cut_off_are_refused(finished: Path, share: float) -> None:
    whole = (finished / WEIGHTS).read_bytes()
    (finished / WEIGHTS).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelError, match=r"weights\.pt: cannot be read \(.*: get it again") as told:
        load_run(finished)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("value", [[1], {"a": 1}, {"a": torch.zeros(1)}])
def test_weights_of_something_else_are_refused(finished: Path, value: object) -> None:
    torch.save(value, finished / WEIGHTS)
    with pytest.raises(ModelError, match=r"weights\.pt: cannot be read \("):
        load_run(finished)


def test_a_checkpoint_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    write_checkpoint(path, RECIPE, {"number": 3})
    assert read_checkpoint(path, RECIPE, torch.device("cpu"))["number"] == 3
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ModelError, match=r"checkpoint\.pt: cannot be read \(.*\): delete it to"):
        read_checkpoint(path, RECIPE, torch.device("cpu"))


def test_fit_tells_of_a_damaged_run_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plain-all-0").mkdir()
    (tmp_path / "plain-all-0" / ABOUT).touch()
    assert main(["fit", "--data", ".", "--runs", str(tmp_path)]) == ConfigError.exit_code
    told = capsys.readouterr().err
    assert told.startswith(f"train: {tmp_path / 'plain-all-0' / ABOUT}: no mapping of keys")
    assert told.count("\n") == 1


def test_a_network_builds_on_none_that_heard_other_corpora(finished: Path) -> None:
    """It would be exported, and tested on strangers, as if it had heard its own alone."""
    few = replace(RECIPE, name="few", corpus_weight={"cremad": 1.0, "tess": 1.0})
    with pytest.raises(ConfigError, match="has heard ravdess, savee, which recipe='few' does not"):
        earlier_run(finished, few, None)
    more = replace(RECIPE, name="more", corpus_weight={**RECIPE.corpus_weight, "other": 1.0})
    earlier_run(finished, more, None)


@pytest.mark.parametrize("wrong", ["eleventh_open", "fourteenth_open", "thirteenth_open"])
def test_neither_start_nor_share_nor_peer_may_have_heard_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    recipe = load_recipe("fifteenth_open")
    assert recipe.start == "eleventh_open"
    assert set(recipe.earlier_shares) == {"fourteenth_open"}
    assert "thirteenth_open" in recipe.peers
    network = Network(recipe_named(recipe.features), classes=CLASSES, shape=recipe.shape)
    for name in recipe.earlier:
        folder = tmp_path / run_name(name, None, 0)
        folder.mkdir()
        its = load_recipe(name)
        if name == wrong:
            its = replace(its, corpus_weight={"cremad": 1.0, "savee": 1.0})
        offsets = np.zeros(CLASSES, np.float32)
        write_about(folder, its, split=None, seed=0, held=[], offsets=offsets)
        torch.save(network.state_dict(), folder / WEIGHTS)
    argv = ["fit", "--data", str(tmp_path), "--recipe", recipe.name, "--starts", str(tmp_path)]
    assert main([*argv, "--runs", str(tmp_path / "runs")]) == ConfigError.exit_code
    told = capsys.readouterr().err
    assert f"{wrong}-all-0: has heard savee, which recipe='fifteenth_open' does not train" in told
