"""Robustness: the same clips under every condition, and counting what nobody meant."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from rich.console import Console

from rt_ser.errors import InputError
from rt_ser.types import RATE_HZ, Estimate, State, freeze
from tests.train.test_evaluate import clip, probs_of
from train import robustness
from train.__main__ import main
from train.corpora import LABELS, load_noise, load_speech
from train.distortions import rms
from train.examples import is_training_source
from train.false_alarms import Told, count, name_of, per_hour, share_of_time
from train.robustness import CONDITIONS, every_nth, held_out_noises
from train.tables import show_robustness
from train.tones import chords


def estimate(label: str, state: State) -> Estimate:
    probs = freeze(probs_of(label or None))
    return Estimate(
        label=label, labels=LABELS, probs=probs, window_probs=probs, confidence=0.6,
        state=state, valence=0.0, arousal=0.0, speech_prob=1.0, start=0, stop=RATE_HZ,
        utterance=0, is_final=False, level_dbfs=-20.0,
    )  # fmt: skip


def told(key: str, emotions: int, *, seconds: float = 60.0, strong: int = 0) -> Told:
    return Told(key=key, seconds=seconds, judged=20, confident=10, emotions=emotions, strong=strong)


def test_only_confident_claims_count() -> None:
    counted = count(
        "rain",
        2.0,
        [
            estimate("angry", State.SPEECH),
            estimate("happy", State.SPEECH),
            estimate("calm", State.SPEECH),
            estimate("angry", State.UNSURE),
            estimate("", State.SILENCE),
        ],
    )
    assert (counted.judged, counted.confident) == (4, 3)
    assert (counted.emotions, counted.strong) == (2, 1)


def test_emotions_an_hour_name_the_worst() -> None:
    rate = per_hour([told("noise/esc10/dog_bark/1-2-A", 3), told("rain", 0), told("tap", 5)])
    assert rate["emotions_per_hour"] == pytest.approx(8 * 20)
    assert rate["worst"] == [
        {"name": "tap", "emotions": 5},
        {"name": "dog_bark/1-2-A", "emotions": 3},
    ]
    assert per_hour([])["emotions_per_hour"] is None


def test_a_recording_is_named_by_its_kind() -> None:
    assert name_of("noise/esc10/sea_waves/1-28135-A") == "sea_waves/1-28135-A"
    assert name_of("siren") == "siren"


def test_reading_is_measured_in_judged_time() -> None:
    share = share_of_time([told("a", 4, strong=3), told("b", 2, strong=1)])
    assert share["strong_share"] == pytest.approx(4 / 40)
    assert share["confident_share"] == pytest.approx(20 / 40)
    assert share_of_time([])["strong_share"] is None


def test_one_in_a_few_is_taken_from_every_speaker() -> None:
    clips = [clip(number, "angry", speaker=f"cremad-{number % 4}") for number in range(400)]
    taken = every_nth(clips, 4)
    assert len(taken) == 100
    assert len({item.speaker for item in taken}) == 4
    assert taken == every_nth(list(reversed(clips)), 4)


def test_test_noises_are_none_that_was_trained_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no noise to test with"):
        held_out_noises(tmp_path)
    write_noises(tmp_path)
    held = held_out_noises(tmp_path)
    assert 0 < len(held) < 12
    assert not any(is_training_source(item.source) for item in held)


def test_all_ratios_have_the_same_noise(tmp_path: Path) -> None:
    write_noises(tmp_path)
    noises = [item.path for item in held_out_noises(tmp_path)]
    voice = chords(3.0)
    added = [
        CONDITIONS[name].distort(voice, np.random.default_rng(1), noises) - voice
        for name in ("snr20", "snr10")
    ]
    assert 20 * np.log10(rms(added[1]) / rms(added[0])) == pytest.approx(10.0, abs=0.01)
    np.testing.assert_allclose(added[1], added[0] * 10**0.5, atol=1e-5)


@pytest.mark.parametrize("name", CONDITIONS)
def test_every_condition_keeps_length_and_range(name: str, tmp_path: Path) -> None:
    write_noises(tmp_path)
    noises = [item.path for item in held_out_noises(tmp_path)]
    voice = chords(2.0)
    again = [CONDITIONS[name].distort(voice, np.random.default_rng(5), noises) for _ in range(2)]
    assert again[0].shape == voice.shape
    assert again[0].dtype == np.float32
    assert np.abs(again[0]).max() <= 1.0
    np.testing.assert_array_equal(again[0], again[1])


def write_noises(root: Path) -> None:
    (root / "noise" / "rain").mkdir(parents=True, exist_ok=True)
    for number in range(12):
        noise = np.random.default_rng(number).standard_normal(RATE_HZ) * 0.1
        path = root / "noise" / "rain" / f"1-{number}-A.wav"
        soundfile.write(path, noise.clip(-1, 1), RATE_HZ)


def write_corpus(root: Path, samples: Any) -> None:
    audio = root / "CREMA-D" / "AudioWAV"
    audio.mkdir(parents=True)
    (root / "speech").mkdir()
    for code in ("ANG", "SAD"):
        soundfile.write(audio / f"1015_DFA_{code}_XX.wav", samples, RATE_HZ)
    soundfile.write(root / "speech" / "1-2-3.wav", samples, RATE_HZ)


def test_the_command_writes_every_figure(
    tmp_path: Path, repo_root: Path, demo_samples: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole run over two clips with the model that ships, three conditions of them."""
    write_noises(tmp_path)
    write_corpus(tmp_path, demo_samples[: 3 * RATE_HZ])
    few = {name: CONDITIONS[name] for name in ("clean", "snr5", "quiet")}
    monkeypatch.setattr(robustness, "CONDITIONS", few)
    model = repo_root / "models" / "research.tflite"
    argv = ["robustness", "--data", str(tmp_path), "--model", str(model), "--jobs", "1"]
    assert main([*argv, "--split", "everything", "--out", str(tmp_path / "out")]) == 0
    figures = json.loads((tmp_path / "out" / "robustness.json").read_text(encoding="utf-8"))
    assert [item["name"] for item in figures["conditions"]] == list(few)
    for item in figures["conditions"]:
        card = item["corpora"]["cremad"]
        assert card["clips"] == 2
        clean = figures["conditions"][0]["corpora"]["cremad"]["uar"]
        assert card["loss"] == pytest.approx(100 * (clean - card["uar"]))
        assert item["mean_loss"] == card["loss"]
    assert figures["non_speech"]["noise"]["recordings"] == len(load_noise(tmp_path))
    assert figures["non_speech"]["silence"]["emotions"] == 0
    assert figures["read_speech"]["recordings"] == len(load_speech(tmp_path))
    screen = io.StringIO()
    show_robustness(figures, Console(width=200, file=screen))
    assert "noise, 5 dB SNR" in screen.getvalue()


def test_a_split_that_was_trained_on_is_refused(
    tmp_path: Path, demo_samples: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path, demo_samples[: 3 * RATE_HZ])
    model = tmp_path / "mine.tflite"
    model.touch()
    model.with_suffix(".yaml").write_text("training: {split: 'ravdess_folds:1'}")
    argv = ["robustness", "--data", str(tmp_path), "--model", str(model)]
    assert main([*argv, "--split", "cremad_tfds"]) == 2
    assert "this model was trained on" in capsys.readouterr().err
