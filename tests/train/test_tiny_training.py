"""A whole training in seconds: fit, be killed, go on, export, and hear the demo with the result."""

from __future__ import annotations

import csv
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: make test-train")
pytest.importorskip("torch", reason="PyTorch is not installed: make test-train")

import torch

from rt_ser import Analyzer
from rt_ser.errors import ConfigError
from rt_ser.manifest import read_manifest
from rt_ser.model import TfliteClassifier
from rt_ser.recipes import RECIPES
from rt_ser.testing import LABELS
from rt_ser.types import F32, State
from tests.train.made_up import small_corpus
from train.examples import labelled_examples, trained_labels
from train.export import export, licence_of, load_run
from train.fit import batches, fit, taken
from train.prepare import Prepared
from train.quantise import run_int8
from train.recipe import Augmentation, TrainRecipe, recipe_from
from train.trainer import logits_of, masked_log_softmax, one_cycle
from train.windows import plain_windows

# Keras's own, in exporting a model under numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CREMAD = trained_labels(["cremad"])

# Bent as little as possible: a loss that falls within 32 steps must not hang on luck.
PLAIN = Augmentation(
    partial=0.0, stretch=0.0, mel_shift=0.0, tilt=0.0, equaliser=0.0, noise=0.0, floor=0.0,
    band_limit=0.0, time_masks=0, mel_masks=0, mixup=0.0,
)  # fmt: skip
RECIPE = TrainRecipe(
    name="tiny", width=0.25, batch=8, epochs=4, epoch_examples=64, dev_speakers=1,
    peak_rate=0.01, average=0.9, noise_share=0.2, dropout=0.1, label_smoothing=0.0,
    corpus_weight={"cremad": 1.0}, augmentation=PLAIN,
)  # fmt: skip

KILLED = """
import os, signal, sys, threading, time
from pathlib import Path
from tests.train.made_up import small_corpus
from tests.train.test_tiny_training import RECIPE
from train.fit import fit

run = Path(sys.argv[1])

def wait_and_kill():
    while not (run / "checkpoint.pt").exists():
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=wait_and_kill, daemon=True).start()
fit(small_corpus(), RECIPE, split=None, seed=3, run=run)
"""


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return small_corpus()


@pytest.fixture(scope="module")
def run(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    fit(prepared, RECIPE, split=None, seed=3, run=folder)
    return folder


@pytest.fixture(scope="module")
def exported(prepared: Prepared, run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    return export(prepared, run, name="tiny", summary="of no use", folder=folder)


def log_of(run: Path) -> list[dict[str, str]]:
    with (run / "log.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def weights_of(run: Path) -> list[np.ndarray[Any, Any]]:
    return [value.numpy() for value in torch.load(run / "weights.pt", weights_only=True).values()]


def inputs_of(prepared: Prepared) -> F32:
    examples = labelled_examples(prepared, prepared.clips, RECIPE)
    return plain_windows(examples, RECIPES[RECIPE.features])


# Fitting ----------------------------------------------------------------------------------


def test_the_loss_falls_and_is_written_down(run: Path) -> None:
    log = log_of(run)
    assert [row["epoch"] for row in log] == ["1", "2", "3", "4"]
    losses = [float(row["loss"]) for row in log]
    assert losses[-1] < losses[0]
    assert 0.0 <= float(log[-1]["dev_uar"]) <= 1.0
    assert {row["dev_uar"] for row in log[:-1]} == {""}
    assert (run / "log.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_says_what_it_was(run: Path) -> None:
    told = yaml.safe_load((run / "run.yaml").read_text(encoding="utf-8"))
    assert (told["split"], told["seed"]) == (None, 3)
    assert len(told["held"]) == 1
    assert recipe_from(told["recipe"], source="run.yaml") == RECIPE
    assert told["recipe"] == asdict(RECIPE)


def test_going_on_after_a_kill_gives_the_same_network(
    prepared: Prepared, run: Path, repo_root: Path, tmp_path: Path
) -> None:
    """The checkpoint holds all that a step changes: weights, moments, averages, randomness."""
    killed = tmp_path / "killed"
    died = subprocess.run(
        [sys.executable, "-c", KILLED, str(killed)], cwd=repo_root, capture_output=True,
        check=False, timeout=240,
    )  # fmt: skip
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()[-2_000:]
    assert len(log_of(killed)) < RECIPE.epochs
    assert not (killed / "weights.pt").exists()
    fit(prepared, RECIPE, split=None, seed=3, run=killed)
    assert [row["loss"] for row in log_of(killed)] == [row["loss"] for row in log_of(run)]
    for resumed, whole in zip(weights_of(killed), weights_of(run), strict=True):
        np.testing.assert_allclose(resumed, whole, rtol=1e-4, atol=1e-5)


def test_epochs_that_will_be_repeated_are_told_once(
    prepared: Prepared, run: Path, tmp_path: Path
) -> None:
    """The disk filled up after the log was written and before the checkpoint was."""
    again = tmp_path / "again"
    shutil.copytree(run, again)
    with (again / "log.csv").open("a", encoding="utf-8") as lines:
        lines.write("5,0.1,1.0,\n")
    fit(prepared, RECIPE, split=None, seed=3, run=again)
    assert log_of(again) == log_of(run)


def test_a_finished_run_is_not_trained_further(prepared: Prepared, run: Path) -> None:
    before, log = weights_of(run), log_of(run)
    fit(prepared, RECIPE, split=None, seed=3, run=run)
    for one, other in zip(before, weights_of(run), strict=True):
        np.testing.assert_array_equal(one, other)
    assert log_of(run) == log


def test_a_checkpoint_of_another_recipe_is_refused(
    prepared: Prepared, run: Path, tmp_path: Path
) -> None:
    shutil.copytree(run, tmp_path / "copy")
    other = replace(RECIPE, weight_decay=0.5)
    with pytest.raises(ConfigError, match="left by another recipe than 'tiny' now is"):
        fit(prepared, other, split=None, seed=3, run=tmp_path / "copy")
    told = yaml.safe_load((tmp_path / "copy" / "run.yaml").read_text(encoding="utf-8"))
    assert told["recipe"]["weight_decay"] == RECIPE.weight_decay, "nothing is overwritten"


def test_a_split_that_leaves_nobody_is_refused(prepared: Prepared, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        fit(prepared, RECIPE, split="loco:cremad", seed=0, run=tmp_path)
    assert str(caught.value) == "split='loco:cremad' leaves nothing to train on: choose another"


def test_batches_drawn_ahead_are_those_of_their_number() -> None:
    class Counter:
        def draw(self, rng: np.random.Generator, size: int, frames: int) -> Any:
            return float(rng.random()), size, frames

    with batches(Counter(), RECIPE, 7, 2) as ready:  # type: ignore[arg-type]
        found = [ready.get(timeout=10) for _ in range(6)]
    assert found == [(np.random.default_rng((7, n)).random(), 8, 256) for n in range(2, 8)]


def test_a_batch_that_cannot_be_drawn_ends_training() -> None:
    class Broken:
        def draw(self, rng: np.random.Generator, size: int, frames: int) -> Any:
            raise ValueError("no such rows")

    with (
        batches(Broken(), RECIPE, 7, 0) as ready,  # type: ignore[arg-type]
        pytest.raises(ValueError, match="no such rows"),
    ):
        taken(ready)


def test_masked_classes_get_no_probability() -> None:
    logits, masks = torch.tensor([[1.0, 50.0, 2.0]]), torch.tensor([[1.0, 0.0, 1.0]])
    probs = masked_log_softmax(logits, masks).exp().numpy()
    np.testing.assert_allclose(probs, [[0.268941, 0.0, 0.731059]], atol=1e-5)


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [one_cycle(step, 100, 0.01) for step in range(100)]
    assert int(np.argmax(rates)) == 25
    assert max(rates) == pytest.approx(0.01, rel=1e-3)
    assert rates[0] == pytest.approx(0.0004)
    assert 0.0 < rates[-1] < 1e-4
    assert rates == sorted(rates[:26]) + sorted(rates[26:], reverse=True)


# Exporting --------------------------------------------------------------------------------


def test_the_export_loads_and_says_what_it_is(exported: Path) -> None:
    classifier = TfliteClassifier.load(exported)
    manifest = classifier.manifest
    assert (manifest.name, manifest.labels) == ("tiny", CREMAD)
    assert manifest.recipe is RECIPES[RECIPE.features]
    assert 0.25 <= manifest.temperature <= 4.0
    assert manifest.licence.startswith("CC BY 4.0; commercial use allowed")
    assert [entry["name"].split()[0] for entry in manifest.data] == ["CREMA-D", "ESC-10"]
    tree = yaml.safe_load(exported.with_suffix(".yaml").read_text(encoding="utf-8"))
    assert tree["size_bytes"] == exported.stat().st_size
    assert tree["training"] == {
        "split": None, "seed": 3, "recipe": "tiny", "corpora": ["cremad"],
    }  # fmt: skip
    assert read_manifest(exported.with_suffix(".yaml")) == manifest


def test_the_licence_is_that_of_the_strictest_data() -> None:
    free = licence_of(["cremad"])
    assert free.startswith("CC BY 4.0")
    for bound in ("ravdess", "tess", "savee"):
        assert "non-commercial" in licence_of(["cremad", bound])


def test_int8_says_what_the_trained_network_says(
    prepared: Prepared, run: Path, exported: Path
) -> None:
    inputs = inputs_of(prepared)
    _, _, network = load_run(run)
    wanted = logits_of(network, inputs)["emotion"][:, [LABELS.index(name) for name in CREMAD]]
    found = run_int8(exported.read_bytes(), inputs)[len(CREMAD)]
    assert np.abs(found - wanted).mean() < 0.05 * np.ptp(np.append(wanted, 0.0))


def test_what_strangers_are_heard_as_too_often_is_taken_away(
    prepared: Prepared, run: Path, exported: Path, tmp_path: Path
) -> None:
    """A class's logit falls by as much as the recipe says, and nothing else changes."""
    told = yaml.safe_load((run / "run.yaml").read_text(encoding="utf-8"))
    told["recipe"]["stranger_offsets"] = {"angry": 1.0}
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "run.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")
    lowered = export(prepared, tmp_path / "run", name="tiny", summary="", folder=tmp_path)
    inputs = inputs_of(prepared)
    before, after = (
        run_int8(file.read_bytes(), inputs)[len(CREMAD)].mean(axis=0)
        for file in (exported, lowered)
    )
    wanted = [float(label == "angry") for label in CREMAD]
    np.testing.assert_allclose(before - after, wanted, atol=0.05)


def test_the_trained_network_hears_the_demo(
    exported: Path, demo_samples: F32, demo_cues: list[dict[str, Any]]
) -> None:
    from rt_ser.config import EstimateSettings, Settings

    settings = Settings(estimate=EstimateSettings(min_speech_prob=0.0))
    analyzer = Analyzer(exported, settings=settings)
    estimates = analyzer.feed(demo_samples) + analyzer.flush()
    judged = [e for e in estimates if e.state in (State.SPEECH, State.UNSURE)]
    assert len([e for e in judged if e.is_final]) >= 4
    assert all(e.label in CREMAD for e in judged)
    assert analyzer.summary().label in CREMAD
    assert analyzer.stats.windows == len(judged)
