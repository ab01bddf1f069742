"""The doctor: a verdict for each part of the machine, and a remedy for each that is not well."""

from __future__ import annotations

import json
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rt_ser.cli import main
from rt_ser.cli.checks import FAILED, OK, WARNING, checked, judged
from rt_ser.cli.doctor import lines
from rt_ser.config import Settings
from rt_ser.errors import ModelError
from rt_ser.model import find_manifest
from rt_ser.types import RATE_HZ
from rt_ser.voice import OwnVoice, save_voice
from tests import strategies as some
from tests.vmic import VirtualMicrophone, missing
from tests.vmic import virtual_microphone as virtual_microphone

NAMES = [
    "Python", "runtime", "model", "real time", "PortAudio", "permission", "devices", "device",
    "recording",
]  # fmt: skip


def examine(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run the doctor; return its exit code and its report, checks by name."""
    code = main(["doctor", "--json", *arguments])
    report = json.loads(capfd.readouterr().out)
    assert [check["name"] for check in report["checks"]] == NAMES
    report["checks"] = {check["name"]: check for check in report["checks"]}
    return code, report


def test_a_machine_in_order(
    virtual_microphone: VirtualMicrophone, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = (0.1 * some.noise(8 * RATE_HZ)[:, 0]).astype(np.float32)
    virtual_microphone.play(noise)
    code, report = examine(capfd)
    checks = report["checks"]
    assert code == 0
    assert checks["recording"]["found"].startswith("loudest -3")
    assert checks["model"]["found"].endswith("as it should be")
    assert checks["device"]["found"] == "'default (vmic)', 16000 Hz, 1 channel"
    # The noise has the level of a noisy room, and this machine may be at work.
    assert {check["verdict"] for check in checks.values()} <= {OK, WARNING}


def test_a_muted_microphone_is_told(
    virtual_microphone: VirtualMicrophone, capfd: pytest.CaptureFixture[str]
) -> None:
    virtual_microphone.mute(True)
    try:
        code, report = examine(capfd)
    finally:
        virtual_microphone.mute(False)
    assert (code, report["verdict"]) == (0, WARNING)
    assert report["checks"]["recording"]["remedy"] == "nothing but zeros: unmute the microphone"


def test_a_microphone_that_hangs_does_not_hang_the_doctor(
    virtual_microphone: VirtualMicrophone, capfd: pytest.CaptureFixture[str]
) -> None:
    started = time.monotonic()
    with virtual_microphone.hanging():
        code, report = examine(capfd)
    assert time.monotonic() - started < 20.0
    assert (code, report["verdict"]) == (4, FAILED)
    recording = report["checks"]["recording"]
    assert "hangs: no audio" in recording["found"] + ": " + recording["remedy"]


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_machine_without_a_microphone(capfd: pytest.CaptureFixture[str]) -> None:
    with VirtualMicrophone() as microphone:
        microphone.kill_server()
        time.sleep(0.2)
        code, report = examine(capfd)
    assert (code, report["verdict"]) == (4, FAILED)
    assert report["checks"]["devices"]["found"] == "no input device found"
    assert "plug in a microphone" in report["checks"]["devices"]["remedy"]
    assert report["checks"]["recording"]["verdict"] == "skipped"
    assert report["checks"]["real time"]["verdict"] != FAILED


def test_a_model_that_is_damaged_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    real = find_manifest(Settings().model.name).path
    for path in (real, real.with_suffix(".yaml")):
        shutil.copy(path, tmp_path / path.name)
    damaged = tmp_path / real.name
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    code, report = examine(capfd, "--no-record", "--model", str(damaged))
    assert code == 5
    model = report["checks"]["model"]
    assert model["verdict"] == FAILED
    assert "SHA-256 differs" in model["remedy"]
    assert report["checks"]["Python"]["verdict"] == OK


def test_a_voice_is_looked_at(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    manifest = find_manifest(Settings().model.name)
    mine = OwnVoice(model=manifest.name, sha256=manifest.sha256, shift=(0.1,) * 8, speech_s=9.5)
    save_voice(mine, tmp_path / "me.yaml")
    save_voice(replace(mine, sha256="0"), tmp_path / "old.yaml")
    voice = ["--no-record", "--voice"]
    _, report = examine(capfd, *voice, str(tmp_path / "me.yaml"))
    assert report["checks"]["model"]["found"].endswith("attuned to a voice known for 9.5 s")
    code, report = examine(capfd, *voice, str(tmp_path / "old.yaml"))
    assert code == 5
    assert "make it anew with rt-ser enroll" in report["checks"]["model"]["remedy"]


def test_the_text_has_a_line_for_each_and_no_more_threads(
    capfd: pytest.CaptureFixture[str],
) -> None:
    main(["doctor", "--no-record"])
    text = capfd.readouterr().out.splitlines()
    told = [line for line in text if not line.startswith(" ")]
    assert len(told) == len(NAMES) + 1
    assert not any("Traceback" in line for line in text)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("rt-ser")]


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({}, ""),
        ({"peak": 0.0, "level": -120.0, "floor": -120.0}, "nothing but zeros: unmute"),
        ({"clipped": 0.04}, "it clips: lower the gain"),
        ({"lost": 480}, "audio was lost"),
        ({"floor": -30.0}, "it is noisy"),
        ({"level": -70.0}, "it is faint: raise the gain"),
    ],
)
def test_verdicts_on_a_recording(changes: dict[str, float], remedy: str) -> None:
    healthy = {"peak": 0.3, "level": -20.0, "floor": -65.0, "clipped": 0.0, "lost": 0}
    check = judged(healthy | changes)
    assert check.remedy.startswith(remedy)
    assert check.verdict == (WARNING if remedy else OK)
    assert len(lines(check)) == (2 if remedy else 1)


def test_an_error_becomes_a_line() -> None:
    def look() -> Any:
        raise ModelError("model 'x' is not installed: choose research")

    check = checked("model", look)
    assert (check.verdict, check.exit_code) == (FAILED, 5)
    assert (check.found, check.remedy) == ("model 'x' is not installed", "choose research")
