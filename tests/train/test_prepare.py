"""Preparing: what is decoded, what is dropped and why, and when a cache is good no more."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console

from rt_ser.config import Settings, VadSettings
from rt_ser.errors import InputError
from rt_ser.types import F32, RATE_HZ
from train.__main__ import main
from train.cache import FeatureStore, StoredFeatures, cache_key, probe_signal
from train.clips import clip_features
from train.corpora import Clip
from train.decode import audio_hash, decode
from train.inventory import inventory, show
from train.prepare import duplicates, measure, prepare

calls: list[int] = []


def counted(samples: F32, settings: Settings) -> StoredFeatures:
    """Features of a clip, counting how often they are computed (the probe included)."""
    calls.append(len(samples))
    made = clip_features(samples, settings)
    return StoredFeatures(log_mel=made.log_mel, speech=made.speech, spans=made.spans)


def voice(seed: int) -> F32:
    """Two seconds of something that the gate takes for speech, another one each seed."""
    rng = np.random.default_rng(seed)
    return (probe_signal()[: 2 * RATE_HZ] + 0.002 * rng.standard_normal(2 * RATE_HZ)).astype(
        np.float32
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small CREMA-D with every kind of trouble, and one noise."""
    folder = tmp_path / "data" / "AudioWAV"
    folder.mkdir(parents=True)
    clips = {
        "1001_DFA_ANG_XX": voice(1),
        "1001_IOM_ANG_XX": voice(2),
        "1001_IWL_ANG_XX": voice(1),  # the first again, same label
        "1001_DFA_SAD_XX": voice(3),
        "1001_DFA_HAP_XX": voice(3),  # the same audio, another label
        "1002_DFA_ANG_XX": voice(4),
        "1003_DFA_ANG_XX": voice(4),  # the same audio, another speaker
        "1001_TIE_ANG_XX": np.zeros(RATE_HZ, np.float32),
        "1001_TSI_ANG_XX": voice(5)[:1000],
    }
    for name, samples in clips.items():
        soundfile.write(folder / f"{name}.wav", samples, RATE_HZ)
    (folder / "1001_WSI_ANG_XX.wav").write_bytes(b"RIFF, or so it says")
    noises = tmp_path / "data" / "noise"
    noises.mkdir()
    soundfile.write(noises / "hum.wav", 0.1 * voice(6), RATE_HZ)
    return tmp_path / "data"


def test_faulty_and_doubled_clips_are_dropped_with_reasons(root: Path, tmp_path: Path) -> None:
    prepared = prepare(root, tmp_path / "cache", quiet=True)
    assert [clip.key for clip in prepared.clips] == [
        "cremad/1001_DFA_ANG_XX", "cremad/1001_IOM_ANG_XX",
    ]  # fmt: skip
    reasons = {key.removeprefix("cremad/"): reason for key, reason in prepared.dropped.items()}
    assert reasons["1001_IWL_ANG_XX"] == "the same audio as cremad/1001_DFA_ANG_XX"
    assert reasons["1001_DFA_SAD_XX"] == reasons["1001_DFA_HAP_XX"]
    assert reasons["1002_DFA_ANG_XX"].startswith("the same audio under two names: cremad/1002")
    assert "1003_DFA_ANG_XX" in reasons
    assert reasons["1001_TIE_ANG_XX"] == "silent"
    assert reasons["1001_TSI_ANG_XX"] == "shorter than 0.2 s"
    assert "cannot be read" in reasons["1001_WSI_ANG_XX"]
    assert len(reasons) == 8


def test_no_audio_is_left_twice(root: Path, tmp_path: Path) -> None:
    prepared = prepare(root, tmp_path / "cache", quiet=True)
    measured = prepared.measured()
    fingerprints = [measured[clip.key].fingerprint for clip in prepared.clips]
    assert len(set(fingerprints)) == len(fingerprints)


def test_features_are_those_of_the_clip(root: Path, tmp_path: Path) -> None:
    prepared = prepare(root, tmp_path / "cache", quiet=True)
    for clip, features in prepared.features():
        expected = clip_features(decode(clip.path), Settings())
        np.testing.assert_array_equal(features.log_mel, expected.log_mel)
        np.testing.assert_array_equal(features.speech, expected.speech)
        np.testing.assert_array_equal(features.spans, expected.spans)
        assert len(features.spans) > 0
    ((noise, features),) = prepared.unlabelled("noise")
    assert noise.key == "noise/hum"
    assert len(features.log_mel) == pytest.approx(200, abs=5)


def test_what_is_cached_is_not_computed_again(root: Path, tmp_path: Path) -> None:
    calls.clear()
    first = prepare(root, tmp_path / "cache", features=counted, quiet=True)
    computed = len(calls)
    calls.clear()
    second = prepare(root, tmp_path / "cache", features=counted, quiet=True)
    assert computed > 5
    assert calls == [len(probe_signal())] * 2, "only the probe, for either store's name"
    assert second.clips == first.clips
    for (_, one), (_, other) in zip(first.features(), second.features(), strict=True):
        np.testing.assert_array_equal(one.log_mel, other.log_mel)


def louder(samples: F32, settings: Settings) -> StoredFeatures:
    """Features by changed code."""
    made = clip_features(samples, settings)
    return StoredFeatures(log_mel=made.log_mel + 1, speech=made.speech, spans=made.spans)


@pytest.mark.parametrize(
    "change",
    [
        lambda items, settings: (items, replace(settings, vad=VadSettings(mode=3)), counted),
        lambda items, settings: (items, settings, louder),
        lambda items, settings: (items[1:], settings, counted),
        lambda items, settings: ([("renamed", items[0][1]), *items[1:]], settings, counted),
    ],
    ids=["settings", "code", "files", "keys"],
)
def test_a_key_changes_with_whatever_features_depend_on(
    root: Path, change: Callable[..., tuple[object, ...]]
) -> None:
    items = [(path.stem, path) for path in sorted(root.rglob("*.wav"))]
    before = cache_key(items, Settings(), counted)
    assert before == cache_key(items, Settings(), counted)
    assert before == cache_key(items, Settings(), clip_features), "the same by another name"
    assert cache_key(*change(items, Settings())) != before  # type: ignore[arg-type]


def test_a_changed_file_changes_the_key(root: Path) -> None:
    path = root / "AudioWAV" / "1001_DFA_ANG_XX.wav"
    before = cache_key([("a", path)], Settings(), counted)
    soundfile.write(path, voice(9)[:-1], RATE_HZ)
    assert cache_key([("a", path)], Settings(), counted) != before


def test_the_probe_is_taken_for_speech() -> None:
    """Or a change of the gate could not show in it."""
    assert len(clip_features(probe_signal(), Settings()).spans) > 0


def test_a_store_survives_its_file(tmp_path: Path) -> None:
    made = [clip_features(voice(seed), Settings()) for seed in (1, 2)]
    measured = [measure(name, voice(1)) for name in ("one", "gone", "two")]
    store = FeatureStore.build(measured, [made[0], None, made[1]])
    store.save(tmp_path / "store.npz")
    read = FeatureStore.read(tmp_path / "store.npz")
    assert read.measured == store.measured
    assert [len(read.features(position).log_mel) for position in range(3)] == [
        len(made[0].log_mel), 0, len(made[1].log_mel),
    ]  # fmt: skip
    np.testing.assert_array_equal(read.features(2).spans, made[1].spans)
    assert [path.name for path in tmp_path.iterdir()] == ["store.npz"]


def test_the_hash_hears_through_padding_and_containers(tmp_path: Path) -> None:
    samples = np.round(voice(1) * 32768) / np.float32(32768)
    padded = np.concatenate([np.zeros(700, np.float32), samples, np.zeros(90, np.float32)])
    assert audio_hash(padded) == audio_hash(samples)
    assert audio_hash(samples) != audio_hash(samples * np.float32(0.9))
    for name in ("a.wav", "a.flac"):
        soundfile.write(tmp_path / name, samples, RATE_HZ, subtype="PCM_16")
    assert audio_hash(decode(tmp_path / "a.wav")) == audio_hash(decode(tmp_path / "a.flac"))


@pytest.mark.parametrize(("rate_hz", "channels"), [(48_000, 1), (44_100, 2), (8_000, 1)])
def test_decoding_brings_any_file_to_the_pipeline_rate(
    tmp_path: Path, rate_hz: int, channels: int
) -> None:
    times = np.arange(rate_hz) / rate_hz
    tone = np.repeat(0.5 * np.sin(2 * np.pi * 440 * times)[:, None], channels, axis=1)
    soundfile.write(tmp_path / "tone.wav", tone, rate_hz, subtype="FLOAT")
    samples = decode(tmp_path / "tone.wav")
    assert samples.dtype == np.float32
    assert samples.shape == (RATE_HZ,)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)
    np.testing.assert_allclose(samples[1000:-1000], expected[1000:-1000], atol=2e-3)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(0, np.float32), "holds no samples"),
        (np.array([0.1, np.nan, 0.1], np.float32), "holds values that are no numbers"),
    ],
)
def test_what_cannot_be_decoded_is_said(tmp_path: Path, samples: F32, message: str) -> None:
    path = tmp_path / "bad.wav"
    soundfile.write(path, samples, RATE_HZ, subtype="FLOAT")
    with pytest.raises(InputError, match=message):
        decode(path)


def clip(key: str, speaker: str, emotion: str) -> Clip:
    """Make a clip of which only these three matter."""
    return Clip(
        key=key, path=Path(), corpus="cremad", speaker=speaker, sex="unknown", emotion=emotion
    )


def test_of_three_alike_one_stays_only_if_all_agree() -> None:
    clips = [clip("a", "x", "sad"), clip("b", "x", "sad"), clip("c", "x", "sad")]
    same = dict.fromkeys("abc", "hash")
    assert set(duplicates(clips, same)) == {"b", "c"}
    assert set(duplicates([*clips[:2], clip("c", "x", "happy")], same)) == {"a", "b", "c"}
    assert duplicates(clips, {"a": "1", "b": "2", "c": "3"}) == {}


def test_the_report_counts_what_is_there(root: Path, tmp_path: Path) -> None:
    report = inventory(prepare(root, tmp_path / "cache", quiet=True))
    assert report["corpora"]["cremad"]["clips"] == 2
    assert report["corpora"]["cremad"]["emotions"] == {"angry": 2}
    assert report["corpora"]["cremad"]["speakers"] == {"cremad-1001": 2}
    assert report["unlabelled"]["noise"]["files"] == 1
    assert len(report["missing"]) == 3 * 82 - 10
    console = Console(width=160, record=True, file=io.StringIO())
    show(report, console)
    text = console.export_text()
    assert "dropped cremad/1001_TIE_ANG_XX: silent" in text
    assert "missing (236): cremad/1001_" in text
    assert "and 224 more" in text
    json.dumps(report)


def test_the_command_prepares_and_writes_its_report(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    arguments = ["prepare", "--data", str(root), "--cache", str(cache), "--jobs", "1"]
    assert main(arguments) == 0
    assert "clips ready for training" in capsys.readouterr().out
    assert json.loads((cache / "report.json").read_text())["corpora"]["cremad"]["clips"] == 2


def test_the_command_says_in_one_line_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", "--data", str(tmp_path / "nowhere")]) == InputError.exit_code
    message = capsys.readouterr().err
    assert message.startswith("train: data=")
    assert message.count("\n") == 1
