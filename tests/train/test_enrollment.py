"""What an own voice is worth: nobody is scored on what it was learnt from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from rt_ser.errors import InputError, ModelError
from rt_ser.model import find_manifest
from rt_ser.types import F32, RATE_HZ
from rt_ser.voice import LEAST_S
from tests.train.made_up import cremad_clip
from train import kept
from train.__main__ import main
from train.corpora import LABELS
from train.enrollment import (
    Fold,
    Hearing,
    Told,
    acquainted,
    figures_of,
    hear,
    learnt,
    measured,
    ordinary_of,
    tell_ordinary,
)
from train.splits import load_split

EMOTIONS = ("neutral", "happy", "neutral", "angry", "neutral", "neutral")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The model that ships, twice."""
    shipped = find_manifest("research").path
    folder = tmp_path_factory.mktemp("fold")
    for path in (shipped, shipped.with_suffix(".yaml")):
        (folder / path.name).write_bytes(path.read_bytes())
    return str(shipped), str(folder / shipped.name)


@pytest.fixture(scope="module")
def told(
    models: tuple[str, str], demo_samples: F32, tmp_path_factory: pytest.TempPathFactory
) -> list[Told]:
    """Two people in each of two folds, who say six things each, as the model hears them."""
    folder = tmp_path_factory.mktemp("clips")
    spoken = demo_samples[: 9 * RATE_HZ]
    found = []
    for number, model in enumerate((models[0], models[0], models[1], models[1])):
        for place, emotion in enumerate(EMOTIONS):
            clip = cremad_clip(1001 + number, emotion, f"T{place}")
            clip = replace(clip, path=folder / f"{number}-{place}.wav")
            heard = np.roll(spoken, 800 * (6 * number + place))[: 5 * RATE_HZ]
            soundfile.write(clip.path, heard, RATE_HZ, subtype="PCM_16")
            found.append(hear(Hearing(fold=Fold(model=model, split="joint:1"), clip=clip)))
    return found


def of(told: list[Told], speaker: str) -> list[Told]:
    return [item for item in told if item.heard.clip.speaker == speaker]


def test_half_of_what_is_neutral_is_learnt_from_and_not_scored(told: list[Told]) -> None:
    own = of(told, told[0].heard.clip.speaker)
    voice, rest = learnt(own, acquainted(own[0].fold.model, ordinary_of(told)))
    assert voice is not None
    assert voice.speech_s >= LEAST_S
    left_out = [item.heard.clip for item in own if item not in rest]
    assert [clip.emotion for clip in left_out] == ["neutral", "neutral"]


def test_which_clips_are_drawn_does_not_depend_on_their_order(told: list[Told]) -> None:
    own = of(told, told[0].heard.clip.speaker)
    manifest = acquainted(own[0].fold.model, ordinary_of(told))
    voice, _ = learnt(own, manifest)
    again, _ = learnt(own[::-1], manifest)
    assert voice == again


def test_of_everybody_other_takes_are_drawn(told: list[Told]) -> None:
    """Takes are named alike of all, and one draw for all would be of the same two."""
    manifest = acquainted(told[0].fold.model, ordinary_of(told))
    drawn = set()
    for number in range(1001, 1021):
        own = [
            replace(item, heard=replace(item.heard, clip=cremad_clip(number, "neutral", f"T{n}")))
            for n, item in enumerate(of(told, told[0].heard.clip.speaker))
        ]
        _, rest = learnt(own, manifest)
        left = {item.heard.clip.key for item in rest}
        drawn.add(tuple(n for n, item in enumerate(own) if item.heard.clip.key not in left))
    assert len(drawn) > 5


def test_the_seconds_are_a_median_over_people(told: list[Told]) -> None:
    """Of whom more clips are scored, who has no voice as of whom few, each counts once."""
    clips = {1001: (6, 0.0), 1002: (1, 8.0), 1003: (2, 9.0)}
    heard = told[0].heard
    pairs = [
        (replace(heard, clip=cremad_clip(speaker, "neutral", f"T{take}")), heard, seconds)
        for speaker, (takes, seconds) in clips.items()
        for take in range(takes)
    ]
    card = figures_of(pairs, load_split("first").classes_of("cremad"))
    assert (card["clips"], card["people"], card["enrolled_s"]) == (9, 3, 8.0)


def test_who_says_too_little_stays_a_stranger(told: list[Told]) -> None:
    own = [replace(item, utterances=()) for item in of(told, told[0].heard.clip.speaker)]
    voice, rest = learnt(own, acquainted(own[0].fold.model, ordinary_of(told)))
    assert voice is None
    assert rest == own


def test_every_speaker_counts_as_much(told: list[Told]) -> None:
    speakers = sorted({item.heard.clip.speaker for item in told})
    means = [ordinary_of(of(told, speaker)) for speaker in speakers]
    twice = [*told, *of(told, speakers[0])]
    assert ordinary_of(twice) == pytest.approx(np.mean(means, axis=0), abs=1e-5)


def test_everybody_is_heard_twice_and_compared(told: list[Told]) -> None:
    card = measured(told, jobs=1)["cremad"]
    assert (card["people"], card["clips"]) == (4, 4 * 4)
    assert card["enrolled_s"] >= LEAST_S
    for who in ("stranger", "known"):
        assert 0.0 <= card[who]["uar"] <= 1.0
        assert 0.0 <= card[who]["calibration_error"] <= 1.0


def test_how_strangers_sound_is_taken_from_other_folds(told: list[Told]) -> None:
    with pytest.raises(InputError, match="nobody says anything neutral in other folds"):
        measured([item for item in told if item.fold == told[0].fold], jobs=1)


def test_a_manifest_is_told_how_strangers_sound(models: tuple[str, str]) -> None:
    path = Path(models[1]).with_suffix(".yaml")
    before = yaml.safe_load(path.read_text())
    tell_ordinary(path, np.linspace(-8.0, -0.5, len(LABELS)).astype(np.float32))
    after = yaml.safe_load(path.read_text())
    assert find_manifest(models[1]).ordinary == pytest.approx(np.linspace(-8.0, -0.5, 8), abs=1e-3)
    assert {**after, "ordinary": before["ordinary"]} == before


@pytest.fixture
def recordings(tmp_path: Path, demo_samples: F32) -> Path:
    """One of the nine validation actors of CREMA-D, as found on disk."""
    audio = tmp_path / "data" / "CREMA-D" / "AudioWAV"
    audio.mkdir(parents=True)
    actor = min(load_split("cremad_tfds:1").test).removeprefix("cremad-")
    for number, code in enumerate(("NEU", "ANG", "HAP", "SAD")):
        spoken = np.roll(demo_samples[: 6 * RATE_HZ], 900 * number)
        soundfile.write(audio / f"{actor}_DFA_{code}_XX.wav", spoken, RATE_HZ)
    return tmp_path / "data"


def test_of_one_fold_the_manifest_is_told_and_no_more(
    recordings: Path, models: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: make test-train")
    manifest = Path(models[1]).with_suffix(".yaml")
    tell_ordinary(manifest, np.full(len(LABELS), -9.0, np.float32))
    argv = ["enrollment", "--data", str(recordings), models[1], "--jobs", "1"]
    assert main([*argv, "--record", str(manifest)]) == 0
    ordinary = find_manifest(models[1]).ordinary
    assert ordinary is not None
    assert np.exp(ordinary).sum() == pytest.approx(1.0, abs=0.01)
    assert main(argv) == InputError.exit_code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith(
        "train: nobody says anything neutral in other folds: give more files or splits\n"
    )


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("labels: [\n", "line 2: not valid YAML"),
        ("name: mine\n", "labels=None must be among neutral, "),
        ("labels: [bored]\n", "labels=['bored'] must be among neutral, "),
    ],
)
def test_a_manifest_that_cannot_be_told_is_refused_before_anything_is_heard(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, wrong: str
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: make test-train")
    manifest = tmp_path / "mine.yaml"
    manifest.write_text(content)
    argv = ["enrollment", "--data", str(tmp_path), str(tmp_path / "gone.tflite"), "--record"]
    assert main([*argv, str(manifest)]) == ModelError.exit_code
    told = capsys.readouterr().err
    assert told.startswith(f"train: {manifest}")
    assert wrong in told
    assert told.endswith(": export the model again\n")


def test_what_ships_was_measured() -> None:
    """The kept figures are of the recipe that ships, and the manifest knows strangers."""
    manifest = find_manifest("research")
    recipe = yaml.safe_load(manifest.path.with_suffix(".yaml").read_text())["training"]["recipe"]
    found = [item for item in kept.read(kept.ENROLLMENT) if item["recipe"] == recipe]
    assert found
    assert manifest.ordinary is not None
    for figures in found:
        assert set(figures["enrollment"]) == {"ravdess", "cremad", "savee"}
