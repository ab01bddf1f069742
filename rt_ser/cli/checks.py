"""What `rt-ser doctor` looks at: each check finds one thing out and says what to do."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rt_ser.config import Settings
from rt_ser.errors import DeviceError, RtSerError

if TYPE_CHECKING:
    from rt_ser.audio.devices import InputDevice

OK, WARNING, FAILED, SKIPPED = "ok", "warning", "failed", "skipped"
RECORD_S: Final = 3.0
ROOMY: Final = 0.25
TIGHT: Final = 0.8
FAINT_DBFS: Final = -60.0
NOISY_DBFS: Final = -35.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the report; ``exit_code`` is what a failed one makes the program end with."""

    name: str
    verdict: str
    found: str
    remedy: str = ""
    exit_code: int = 0


def checked(name: str, look: Callable[[], Check]) -> Check:
    """Run a check; an error on purpose is what it found."""
    try:
        return look()
    except RtSerError as error:
        found, _, remedy = str(error).partition(": ")
        return Check(
            name=name, verdict=FAILED, found=found, remedy=remedy, exit_code=error.exit_code
        )


def python() -> Check:
    """Tell Python and the system; one that is too old does not come as far as this."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Check(name="Python", verdict=OK, found=found)


def portaudio() -> Check:
    """Load PortAudio."""
    from rt_ser.audio.driver import inventory

    return Check(name="PortAudio", verdict=OK, found=inventory()["release"].split(",")[0])


def permission() -> Check:
    """Look whether this user may record, where the system shows it as files."""
    name = "permission"
    nodes = sorted(Path("/dev/snd").glob("pcm*c"))
    if sys.platform != "linux" or not nodes:
        from rt_ser.audio.soundserver import default_source

        source = default_source() if sys.platform == "linux" else None
        found = "no sound card; a sound server answers" if source else "the system does not show it"
        return Check(name=name, verdict=OK if source else SKIPPED, found=found)
    allowed = [node for node in nodes if os.access(node, os.R_OK | os.W_OK)]
    if allowed:
        return Check(name=name, verdict=OK, found=f"may use {len(allowed)} of {len(nodes)} inputs")
    return Check(
        name=name, verdict=FAILED, found=f"{nodes[0]} may not be opened",
        remedy="sudo usermod -aG audio $USER, then log in again", exit_code=DeviceError.exit_code,
    )  # fmt: skip


def devices() -> Check:
    """Count the microphones."""
    from rt_ser.audio.devices import choose, list_inputs

    inputs = list_inputs()
    default = choose(inputs, None)
    found = f"{len(inputs)} found, default {default.label!r}"
    return Check(name="devices", verdict=OK, found=found)


def device(settings: Settings) -> Check:
    """Find the microphone that would be listened to, and its layout."""
    from rt_ser.audio.devices import find

    wanted: InputDevice = find(settings.audio.device)
    plural = "" if wanted.channels == 1 else "s"
    found = f"{wanted.label!r}, {wanted.rate_hz} Hz, {wanted.channels} channel{plural}"
    if wanted.rate_hz < 16_000:
        remedy = "such a rate lacks half of what the model hears: use another microphone"
        return Check(name="device", verdict=WARNING, found=found, remedy=remedy)
    return Check(name="device", verdict=OK, found=found)


def runtime() -> Check:
    """Find the TFLite runtime."""
    from importlib.metadata import PackageNotFoundError, version

    from rt_ser.interpreter import find_runtime

    module = find_runtime().__module__.split(".")[0]
    try:
        found = f"{module} {version(module.replace('_', '-'))}"
    except PackageNotFoundError:
        found = module
    return Check(name="runtime", verdict=OK, found=found)


def model(settings: Settings) -> Check:
    """Compare the model with its checksum, and with the voice that it is attuned to."""
    from rt_ser.manifest import read_model
    from rt_ser.model import find_manifest
    from rt_ser.voice import read_voice

    manifest = find_manifest(settings.model.name)
    size_kb = len(read_model(manifest)) / 1000
    found = f"{manifest.name}, {size_kb:.0f} kB, SHA-256 {manifest.sha256[:12]} as it should be"
    if settings.model.voice:
        voice = read_voice(Path(settings.model.voice), manifest)
        found += f"; attuned to a voice known for {voice.speech_s:g} s"
    return Check(name="model", verdict=OK, found=found)


def budget(settings: Settings) -> Check:
    """Measure features and inference of the bundled recording against the time there is."""
    import numpy as np

    from rt_ser.api import Analyzer
    from rt_ser.audio.files import load
    from rt_ser.data import DEMO_RECORDING
    from rt_ser.types import RATE_HZ

    samples = load(str(DEMO_RECORDING))
    analyzer = Analyzer(settings=settings)
    hop_s = settings.estimate.hop_s
    times_s = []
    for block in np.array_split(samples, max(1, round(len(samples) / (hop_s * RATE_HZ)))):
        began_s = time.perf_counter()
        analyzer.feed(block)
        times_s.append(time.perf_counter() - began_s)
    longest_s = float(np.percentile(times_s[1:], 99))
    share = longest_s / hop_s
    found = (
        f"{1000 * longest_s:.1f} ms of work in {1000 * hop_s:.0f} ms (p99), "
        f"{100 * share:.0f} % of one core"
    )
    if share < ROOMY:
        return Check(name="real time", verdict=OK, found=found)
    verdict = WARNING if share < TIGHT else FAILED
    remedy = "end other programs, or judge less often: --estimate-hop-s 0.48"
    return Check(name="real time", verdict=verdict, found=found, remedy=remedy, exit_code=1)


def recording(settings: Settings) -> Check:
    """Record for three seconds, in memory, and measure."""
    import numpy as np

    from rt_ser.acoustics import level_dbfs
    from rt_ser.audio.microphone import microphone
    from rt_ser.audio.source import EndOfStream
    from rt_ser.health import CLIPPED_RUN, FULL_SCALE
    from rt_ser.types import FRAME_SAMPLES

    parts = []
    trouble = ""
    with microphone(settings.audio, seconds=RECORD_S) as source:
        while True:
            try:
                chunk = source.read(0.2)
            except EndOfStream:
                break
            trouble = source.trouble or trouble
            if chunk is not None:
                parts.append(chunk.samples)
        counters = source.counters
    if not parts:
        raise DeviceError(trouble or "no audio came: plug the microphone in again")
    samples = np.concatenate(parts)
    whole = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    levels = [level_dbfs(frame) for frame in whole]
    clipped = np.count_nonzero(np.abs(whole) >= FULL_SCALE, axis=1) >= CLIPPED_RUN
    measures = {
        "peak": float(np.abs(samples).max()),
        "level": max(levels),
        "floor": float(np.percentile(levels, 10)),
        "clipped": float(clipped.mean()),
        "lost": counters.dropped_samples,
    }
    return judged(measures)


def judged(measures: dict[str, Any]) -> Check:
    """Give a verdict on a recording's measures, the worst thing first."""
    from rt_ser import health

    found = (
        f"loudest {measures['level']:.0f} dBFS, noise floor {measures['floor']:.0f} dBFS, "
        f"clipped {100 * measures['clipped']:.0f} %, {measures['lost']} samples lost"
    )
    remedies = (
        (measures["peak"] == 0.0, "nothing but zeros: unmute the microphone"),
        (measures["clipped"] >= health.CLIPPED_SHARE, "it clips: lower the gain"),
        (measures["lost"] > 0, "audio was lost: give this machine less to do"),
        (measures["floor"] > NOISY_DBFS, "it is noisy: move the microphone closer, away from fans"),
        (measures["level"] < FAINT_DBFS, "it is faint: raise the gain, or speak during the check"),
    )
    remedy = next((text for is_so, text in remedies if is_so), "")
    return Check(
        name="recording", verdict=WARNING if remedy else OK, found=found, remedy=remedy
    )
