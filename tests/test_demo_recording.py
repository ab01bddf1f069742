"""The bundled recording is what its cue sheet says, and its script makes it again."""

from __future__ import annotations

import runpy
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import webrtcvad
import yaml

from rt_ser.data import DEMO_CUES, DEMO_RECORDING
from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ

Cues = Sequence[dict[str, Any]]


def level_dbfs(samples: F32) -> float:
    return float(10.0 * np.log10(np.mean(np.square(samples, dtype=np.float64))))


def kinds(cues: Cues, *wanted: str) -> list[dict[str, Any]]:
    return [cue for cue in cues if cue["kind"] in wanted]


def test_it_is_short_small_and_at_the_pipeline_rate(demo_recording: Path) -> None:
    info = soundfile.info(demo_recording)
    assert (info.samplerate, info.channels, info.subtype) == (RATE_HZ, 1, "PCM_16")
    assert 18.0 < info.duration < 24.0
    assert demo_recording.stat().st_size < 300_000


def test_cues_tile_the_recording(demo_cues: Cues, demo_samples: F32) -> None:
    bounds = [(cue["start"], cue["stop"]) for cue in demo_cues]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == len(demo_samples)
    assert [stop for _, stop in bounds[:-1]] == [start for start, _ in bounds[1:]]


def test_speech_stands_far_above_the_silences(demo_cues: Cues, demo_samples: F32) -> None:
    def levels(kind: str) -> list[float]:
        return [level_dbfs(demo_samples[c["start"] : c["stop"]]) for c in kinds(demo_cues, kind)]

    assert len(levels("speech")) >= 4
    assert len({cue["voice"] for cue in kinds(demo_cues, "speech")}) >= 4
    assert min(levels("speech")) > max(levels("silence")) + 40.0
    assert max(levels("silence")) < -75.0


def test_its_noises_and_tone_fool_webrtcvad_alone(demo_cues: Cues, demo_samples: F32) -> None:
    """Otherwise they would prove nothing about the second gate."""
    pcm = np.round(demo_samples * 32767.0).astype(np.int16)
    detector = webrtcvad.Vad(2)
    frames = pcm[: len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    taken = np.array([detector.is_speech(frame.tobytes(), RATE_HZ) for frame in frames])
    for cue in kinds(demo_cues, "white_noise", "pink_noise", "tone"):
        inside = taken[cue["start"] // FRAME_SAMPLES : cue["stop"] // FRAME_SAMPLES]
        assert np.mean(inside) > 0.9, cue["kind"]


def espeak_version() -> str:
    if shutil.which("espeak-ng") is None:
        return ""
    done = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True)
    return done.stdout.split("  ")[0].strip()


def test_its_script_makes_it_again(repo_root: Path, tmp_path: Path) -> None:
    made_with = yaml.safe_load(DEMO_CUES.read_text(encoding="utf-8"))["voice_program"]
    if espeak_version() != made_with:
        pytest.skip(f"needs {made_with}: sudo apt-get install espeak-ng")
    script = runpy.run_path(str(repo_root / "docs" / "make_demo_recording.py"))
    script["main"](tmp_path)
    assert (tmp_path / DEMO_CUES.name).read_bytes() == DEMO_CUES.read_bytes()
    ours, _ = soundfile.read(tmp_path / DEMO_RECORDING.name, dtype="int16")
    bundled, _ = soundfile.read(DEMO_RECORDING, dtype="int16")
    assert np.max(np.abs(ours.astype(int) - bundled.astype(int))) <= 1
