"""A microphone and a recording of the same sound say the same, to the last digit."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from rt_ser.acoustics import level_dbfs
from rt_ser.audio.soundserver import recorded_numbers
from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ
from tests.isolation import environment
from tests.vmic import VirtualMicrophone, missing
from tests.vmic import virtual_microphone as virtual_microphone

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

ROOT = Path(__file__).resolve().parents[1]
SPOKEN_S = 10
OF_THE_CLOCK = {"stream", "time", "monotonic_s", "age_ms", "inference_ms"}


def start(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    """Start the program."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "rt_ser", *arguments],
        cwd=folder,
        env=environment(folder) | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def estimates(text: str) -> list[dict[str, Any]]:
    """Return the estimates among lines of JSON, without what only a live stream tells."""
    events = [json.loads(line) for line in text.splitlines()]
    return [
        {key: value for key, value in event.items() if key not in OF_THE_CLOCK}
        for event in events
        if event["type"] == "estimate"
    ]


def lead_in(heard: list[dict[str, Any]], samples: F32) -> int:
    """Find how many samples of silence the microphone gave before the recording.

    An estimate tells the level of the frame that ends at its last sample or, where it is
    final, none that is known here; so the others are matched against every offset.
    """
    told = [one for one in heard if not one["final"] and one["level_dbfs"] > -60.0][:4]
    stops = [one["stop_sample"] for one in told]

    def mismatch(offset: int) -> float:
        frames = [samples[max(stop - offset - FRAME_SAMPLES, 0) : stop - offset] for stop in stops]
        levels = [level_dbfs(frame) for frame in frames]
        return max(abs(level - one["level_dbfs"]) for level, one in zip(levels, told, strict=True))

    latest = stops[0] - FRAME_SAMPLES
    offsets = range(max(latest - 2 * RATE_HZ, 0), latest)
    best = min(offsets, key=mismatch)
    assert mismatch(best) < 1e-5, "the microphone did not deliver what was played"
    return best


def children(process: int) -> list[int]:
    """Return the numbers of the processes that a process has started: its recorder, and pactl."""
    found = Path(f"/proc/{process}/task").glob("*/children")
    return [int(number) for path in found for number in path.read_text(encoding="ascii").split()]


def test_listening_equals_replaying(
    virtual_microphone: VirtualMicrophone, demo_samples: F32, tmp_path: Path
) -> None:
    """Play into a microphone what `replay` then reads, silence before it included."""
    pcm = np.rint(demo_samples[: SPOKEN_S * RATE_HZ] * 32_768).clip(-32_768, 32_767)
    listener = start("listen", "--jsonl", "live.jsonl", folder=tmp_path)
    try:
        deadline = time.monotonic() + 30.0
        while not any(map(recorded_numbers, children(listener.pid))):
            assert time.monotonic() < deadline, "it does not record"
            time.sleep(0.05)
        time.sleep(0.5)
        time.sleep(virtual_microphone.play(pcm.astype(np.int16)) + 1.5)
        listener.send_signal(signal.SIGINT)
        _, errors = listener.communicate(timeout=20)
    finally:
        listener.kill()
    assert (listener.returncode, errors) == (0, "")
    live = estimates((tmp_path / "live.jsonl").read_text())
    samples = (pcm / 32_768).astype(np.float32)
    silence = np.zeros(lead_in(live, samples), np.float32)
    padded = np.concatenate([silence, samples, np.zeros(RATE_HZ, np.float32)])
    soundfile.write(tmp_path / "same.wav", padded, RATE_HZ, subtype="PCM_16")
    player = start("replay", "same.wav", "--jsonl", folder=tmp_path)
    output, _ = player.communicate(timeout=60)
    replayed = estimates(output)
    assert len(live) > 20
    assert live == replayed
