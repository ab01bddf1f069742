"""From a finished run to an int8 file that hears the demo, and what its manifest tells."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: make test-train")
pytest.importorskip("torch", reason="PyTorch is not installed: make test-train")

import torch

from rt_ser import Analyzer
from rt_ser.manifest import read_manifest
from rt_ser.model import TfliteClassifier
from rt_ser.recipes import RECIPES
from rt_ser.testing import LABELS
from rt_ser.types import F32, State
from tests.train.small_school import STRAIGHT
from train.examples import labelled_examples, trained_labels
from train.export import export, licence_of
from train.net import logits_of
from train.prepare import Prepared
from train.quantise import run_int8
from train.recipe import TrainRecipe
from train.run_folder import load_run
from train.training import Task, train_networks
from train.views.school import found_school
from train.views.teaching import lesson_for
from train.windows import plain_windows

# Keras's own, in exporting a model under numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CREMAD = trained_labels(["cremad"])

RECIPE = TrainRecipe(
    name="tiny", width=0.25, batch=8, epochs=4, epoch_examples=64, dev_speakers=1,
    peak_rate=0.01, average=0.9, noise_share=0.2, dropout=0.1, label_smoothing=0.0,
    corpus_weight={"cremad": 1.0}, augmentation=STRAIGHT,
)  # fmt: skip


@pytest.fixture(scope="module")
def run(played: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    school = found_school(played, RECIPE, None, torch.device("cpu"), jobs=1)
    task = Task(recipe=RECIPE, split=None, seed=3, folder=folder)
    train_networks(played, [(task, lesson_for(school, RECIPE, None))])
    return folder


@pytest.fixture(scope="module")
def exported(played: Prepared, run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "deep"  # is made
    return export(played, run, name="tiny", summary="of no use", folder=folder)


def inputs_of(played: Prepared) -> F32:
    examples = labelled_examples(played, played.clips, RECIPE)
    return plain_windows(examples, RECIPES[RECIPE.features])


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
    played: Prepared, run: Path, exported: Path
) -> None:
    inputs = inputs_of(played)
    _, _, network = load_run(run)
    wanted = logits_of(network, inputs)["emotion"][:, [LABELS.index(name) for name in CREMAD]]
    found = run_int8(exported.read_bytes(), inputs)[len(CREMAD)]
    assert np.abs(found - wanted).mean() < 0.05 * np.ptp(np.append(wanted, 0.0))


def test_what_strangers_are_heard_as_too_often_is_taken_away(
    played: Prepared, run: Path, exported: Path, tmp_path: Path
) -> None:
    """A class's logit falls by as much as the recipe says, and nothing else changes."""
    told = yaml.safe_load((run / "run.yaml").read_text(encoding="utf-8"))
    told["recipe"]["stranger_offsets"] = {"angry": 1.0}
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "run.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")
    lowered = export(played, tmp_path / "run", name="tiny", summary="", folder=tmp_path)
    inputs = inputs_of(played)
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
