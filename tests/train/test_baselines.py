"""Baselines: told apart what can be, no speaker on both sides, results kept once."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from rt_ser.types import RATE_HZ
from tests.train.made_up import EMOTIONS, voice
from train.__main__ import main
from train.baselines import PLANS, experiments, network, svm
from train.baselines.experiments import RANDOM, SYSTEMS, Result, at_random, by_fold, keep, read
from train.baselines.features import SETS, Described, describe, means, tutorial
from train.corpora import CORPUS_LABELS, Clip
from train.splits import Split, protocols

CODES = {"neutral": "NEU", "happy": "HAP", "sad": "SAD", "angry": "ANG", "fearful": "FEA",
         "disgust": "DIS"}  # fmt: skip


@pytest.fixture
def sklearn() -> Any:
    return pytest.importorskip("sklearn", reason="scikit-learn is missing: make test-train")


@pytest.fixture
def librosa() -> Any:
    return pytest.importorskip("librosa", reason="librosa is missing: make test-train")


def people(speakers: int, emotions: tuple[str, ...] = EMOTIONS) -> list[Clip]:
    return [
        Clip(
            key=f"cremad/{1001 + speaker}-{emotion}-{take}", path=Path(), corpus="cremad",
            speaker=f"cremad-{1001 + speaker}", sex="female", emotion=emotion,
        )
        for speaker in range(speakers) for emotion in emotions for take in range(3)
    ]  # fmt: skip


def vectors(clips: list[Clip], *, copies: int = 1, by: str = "emotion") -> Described:
    """Two features that tell the emotion, or the speaker alone, and noise."""
    rng = np.random.default_rng(0)
    names = sorted({getattr(clip, by) for clip in clips})
    corner = {name: rng.normal(0.0, 4.0, 6) for name in names}
    rows = [
        [corner[getattr(clip, by)] + rng.normal(0.0, 0.3, 6) for _ in range(copies)]
        for clip in clips
    ]
    return Described(keys=tuple(clip.key for clip in clips), values=np.array(rows, np.float32))


def test_an_svm_tells_apart_what_can_be(sklearn: Any) -> None:
    clips = people(4)
    split = Split(name="mine:1", test=frozenset({"cremad-1001"}))
    (result,) = by_fold("egemaps-svm", clips, vectors(clips), [split], "made by hand")
    assert result.uar == 1.0
    assert (result.protocol, result.fold, result.clips) == ("mine", "1", 18)


def test_a_random_split_pays_for_knowing_the_voice(sklearn: Any) -> None:
    """Each speaker has emotions of their own: to know the voice is to know what is said."""
    clips = [clip for clip in people(6) if EMOTIONS[int(clip.speaker[-1]) - 1] == clip.emotion]
    described = vectors(clips, copies=3, by="speaker")
    split = Split(name="fair:1", test=frozenset({"cremad-1001"}))
    (fair,) = by_fold("egemaps-svm", clips, described, [split], "")
    unfair = at_random("egemaps-svm", clips, described, "")
    assert unfair.accuracy == 1.0
    assert fair.accuracy == 0.0


def test_the_kernel_is_that_of_the_library(sklearn: Any, rng: np.random.Generator) -> None:
    from sklearn.metrics.pairwise import rbf_kernel

    left, right = rng.normal(size=(5, 7)), rng.normal(size=(3, 7))
    np.testing.assert_allclose(svm.rbf(left, right, gamma=0.1), rbf_kernel(left, right, gamma=0.1))


def test_a_feature_that_never_varies_is_no_harm(sklearn: Any) -> None:
    known = np.array([[0, 1], [1, 1], [0, 1], [1, 1]], np.float32)
    said = svm.classify(known, np.array([0, 1, 0, 1]), np.array([[0, 5], [1, 5]], np.float32))
    assert said.tolist() == [0, 1]


def test_the_tutorial_network_learns(tensorflow: Any, sklearn: Any) -> None:
    clips = people(4, ("angry", "sad"))
    described = vectors(clips)
    classes = CORPUS_LABELS["cremad"]
    targets = np.array([classes.index(clip.emotion) for clip in clips], np.int64)
    values = np.tile(described.values[:, 0], (1, 30))
    said = network.classify(values, targets, values, classes=len(classes), epochs=20)
    assert (said == targets).mean() > 0.9


def test_tutorial_features_are_180_means_of_three_copies(librosa: Any) -> None:
    samples = voice(4, 0)
    found = tutorial(samples)
    assert found.shape == (3, 180)
    np.testing.assert_array_equal(found[0], means(samples))
    assert np.isfinite(found).all()
    noisy, shifted = np.abs(found[1:] - found[0]).mean(axis=1)
    assert noisy > 2 * shifted > 0
    np.testing.assert_array_equal(found, tutorial(samples))


@pytest.mark.parametrize(("feature_set", "size"), [("eGeMAPSv02", 88), ("ComParE_2016", 6373)])
def test_functionals_have_their_published_size(
    feature_set: str, size: int, repo_root: Path
) -> None:
    pytest.importorskip("opensmile", reason="openSMILE is missing: pip install opensmile")
    # On its own, because openSMILE aborts in a process that has loaded TensorFlow.
    code = (
        "import sys; from tests.train.made_up import voice; "
        "from train.baselines.features import functionals; "
        "print(functionals(voice(4, 0), feature_set=sys.argv[1]).shape)"
    )
    command = [sys.executable, "-c", code, feature_set]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"(1, {size})"


def test_vectors_are_computed_once(librosa: Any, tmp_path: Path) -> None:
    path = tmp_path / "1001_DFA_ANG_XX.wav"
    soundfile.write(path, voice(4, 0), RATE_HZ)
    clip = replace(people(1)[0], path=path)
    first = describe([clip], "tutorial", tmp_path / "cache", quiet=True)
    (kept,) = (tmp_path / "cache").iterdir()
    written = kept.stat().st_mtime_ns
    again = describe([clip], "tutorial", tmp_path / "cache", quiet=True)
    assert kept.stat().st_mtime_ns == written
    np.testing.assert_array_equal(first.of([clip], copies=True), again.of([clip], copies=True))
    assert again.of([clip]).shape == (1, 1, 180)


def row(fold: str, uar: float, system: str = "egemaps-svm") -> Result:
    return Result(
        system=system, corpus="ravdess", protocol="mine", fold=fold, clips=9, uar=uar,
        accuracy=uar, command="made by hand",
    )  # fmt: skip


def test_a_result_is_kept_once(tmp_path: Path) -> None:
    table = tmp_path / "results.csv"
    assert read(table) == []
    keep([row("1", 0.4), row("2", 0.5)], table)
    keep([row("1", 0.6), row("1", 0.3, "other")], table)
    assert [(item.system, item.fold, item.uar) for item in read(table)] == [
        ("egemaps-svm", "1", 0.6),
        ("egemaps-svm", "2", 0.5),
        ("other", "1", 0.3),
    ]


def test_plans_name_what_there_is() -> None:
    assert set(PLANS) == set(SYSTEMS)
    assert set(SYSTEMS.values()) == set(SETS)
    named = {name for plan in PLANS.values() for name in plan} - {RANDOM}
    assert named <= set(protocols())


def test_what_nobody_measures_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    argv = ["baselines", "--data", str(tmp_path), "--system", "egemaps-svm"]
    assert main([*argv, "--protocol", RANDOM]) == 2
    assert "tutorial-cnn by random, ravdess_folds" in capsys.readouterr().err


def test_what_is_kept_is_complete() -> None:
    """Every result in the repository is of a plan, a true share, and says how it was made."""
    for item in read(experiments.TABLE):
        assert item.protocol in PLANS[item.system]
        assert 0.0 < item.uar < 1.0
        assert item.command.startswith("python -m train baselines")
