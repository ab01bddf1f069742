"""Measure rt-ser on this machine: what an estimate costs, side by side and as ratios.

    python -m benchmarks.run            print a table and write benchmarks/results.md
    python -m benchmarks.run --print    print it only

Rivals are called in turn within one run, so that a busy moment hits them alike. Only
ratios compare between machines; the table names the one it was measured on.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.callback import callback_times_ns, quantiles_us
from rt_ser import Analyzer
from rt_ser.config import Settings
from rt_ser.data import DEMO_RECORDING
from rt_ser.features import LogMelStream, log_mel, model_input
from rt_ser.model import TfliteClassifier
from rt_ser.recipes import Recipe
from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ, Frame, LogMel, Segment
from tests.vmic import VirtualMicrophone, missing

RESULTS = Path(__file__).with_name("results.md")
ROUNDS = 300
STARTS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: milliseconds, and what they are to be seen against."""

    what: str
    median_ms: float
    p99_ms: float
    against: str = ""


def race(rivals: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Row]:
    """Call every rival in turn, ``rounds`` times over, after a tenth of that to warm up."""
    times: dict[str, list[float]] = {name: [] for name in rivals}
    for turn in range(rounds + rounds // 10):
        for name, call in rivals.items():
            began = time.perf_counter()
            call()
            if turn >= rounds // 10:
                times[name].append(1000.0 * (time.perf_counter() - began))
    return {
        name: Row(
            what=name, median_ms=float(np.median(taken)), p99_ms=float(np.percentile(taken, 99))
        )
        for name, taken in times.items()
    }


def compared(rows: Mapping[str, Row]) -> Iterator[Row]:
    """Yield the rows with each median as a multiple of the first one's."""
    first = next(iter(rows.values()))
    for row in rows.values():
        ratio = "" if row is first else f"{row.median_ms / first.median_ms:.1f} x the first"
        yield Row(
            what=row.what,
            median_ms=row.median_ms,
            p99_ms=row.p99_ms,
            against=ratio,
        )


def frames_of(samples: F32) -> list[Frame]:
    """Cut samples into whole frames."""
    starts = range(0, len(samples) - FRAME_SAMPLES + 1, FRAME_SAMPLES)
    return [Frame(samples=samples[start : start + FRAME_SAMPLES], start=start) for start in starts]


def streaming_hop(samples: F32, recipe: Recipe, hop_frames: int) -> Callable[[], object]:
    """Return one hop's work as the pipeline does it: the new frames, then the window."""
    stream = LogMelStream(recipe)
    blocks = [frame.samples for frame in frames_of(samples)]
    position = 0

    def push() -> None:
        nonlocal position
        block = blocks[(position // FRAME_SAMPLES) % len(blocks)]
        stream.push(Frame(samples=block, start=position))
        position += FRAME_SAMPLES

    def hop() -> object:
        for _ in range(hop_frames):
            push()
        start = max(0, position - recipe.window_samples)
        return stream.window(
            Segment(start=start, stop=position, utterance=0, speech_samples=0,
                    new_speech_samples=0, is_final=False)
        )  # fmt: skip

    for _ in blocks:
        push()
    return hop


def librosa_window(window: F32, recipe: Recipe) -> Callable[[], object]:
    """Return the same log-mel of a whole window by librosa, its numba compiled already."""
    import librosa

    def call() -> Any:
        mel = librosa.feature.melspectrogram(
            y=window, sr=RATE_HZ, n_fft=recipe.fft_samples, hop_length=recipe.hop_samples,
            center=False, n_mels=recipe.mels, fmin=recipe.low_hz, fmax=recipe.high_hz,
        )  # fmt: skip
        return np.log(np.maximum(mel, 1e-10))

    call()
    return call


def feature_rows(samples: F32, recipe: Recipe, hop_s: float) -> Iterator[Row]:
    """Measure the features of one judgement: incrementally, anew, and by librosa."""
    window = samples[RATE_HZ : RATE_HZ + recipe.window_samples]
    hop_frames = round(hop_s * RATE_HZ / FRAME_SAMPLES)
    rivals = {
        f"log-mel, {hop_frames} new frames of a stream": streaming_hop(samples, recipe, hop_frames),
        f"log-mel, the whole window anew ({window.size / RATE_HZ:.2f} s)": lambda: log_mel(
            window, recipe
        ),
    }
    if importlib.util.find_spec("librosa"):
        rivals["log-mel, the whole window by librosa"] = librosa_window(window, recipe)
    yield from compared(race(rivals, ROUNDS))


def inference_row(samples: F32, model: TfliteClassifier, hop_s: float) -> Row:
    """Measure one judgement by the network against the time there is for it."""
    recipe = model.manifest.recipe
    window = samples[RATE_HZ : RATE_HZ + recipe.window_samples]
    values = model_input(log_mel(window, recipe), recipe)
    features = LogMel(values=values, start=0, stop=window.size, utterance=0, recipe=recipe.name)
    (row,) = race({"int8 inference, one window": lambda: model.predict(features)}, ROUNDS).values()
    share = f"{row.median_ms / (10.0 * hop_s):.2f} % of the {1000 * hop_s:.0f} ms between two"
    return Row(what=row.what, median_ms=row.median_ms, p99_ms=row.p99_ms, against=share)


def pipeline_row(samples: F32, model: TfliteClassifier) -> Row:
    """Measure everything from samples to estimates, on the bundled recording, in 30 ms blocks."""
    blocks = [frame.samples for frame in frames_of(samples)]
    analyzer = Analyzer(model)

    def whole() -> None:
        analyzer.reset()
        for block in blocks:
            analyzer.feed(block)
        analyzer.flush()

    audio_ms = 1000.0 * len(samples) / RATE_HZ
    (row,) = race({"the pipeline": whole}, 10).values()
    return Row(
        what=f"whole pipeline, {audio_ms / 1000:.1f} s of audio",
        median_ms=row.median_ms,
        p99_ms=row.p99_ms,
        against=f"{audio_ms / row.median_ms:.0f} x real time on one core",
    )


def callback_rows(seconds: float = 30.0) -> Iterator[Row]:
    """Measure what PortAudio waits for us, in its own thread; nothing without PulseAudio."""
    if missing() is not None:
        return
    with VirtualMicrophone(rate_hz=48_000, channels=2):
        times_ns = callback_times_ns(seconds)
    median_us, p99_us, p999_us, _ = quantiles_us(times_ns)
    yield Row(
        what="audio callback, 30 ms of 48 kHz stereo",
        median_ms=median_us / 1000,
        p99_ms=p99_us / 1000,
        against=f"p99.9 {p999_us / 1000:.3f}, {len(times_ns)} callbacks",
    )


def start_rows() -> Iterator[Row]:
    """Measure how long fresh processes take to start."""
    codes = {
        "start Python": "pass",
        "start and import rt_ser": "import rt_ser",
        "start and make an Analyzer": "import rt_ser; rt_ser.Analyzer()",
        "rt-ser --help": "from rt_ser.cli import main; main(['--help'])",
    }

    def process(code: str) -> Callable[[], object]:
        command = [sys.executable, "-c", code]
        return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    yield from compared(race({name: process(code) for name, code in codes.items()}, STARTS))


def processor() -> str:
    """Return the processor's name, as the system tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    named = [line.split(":", 1)[1].strip() for line in text.splitlines() if "model name" in line]
    return named[0] if named else platform.machine()


def installed(package: str) -> str:
    """Return a package's name and version, or that it is missing."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def machine() -> str:
    """Say on what all this was measured."""
    packages = ", ".join(map(installed, ("numpy", "ai-edge-litert", "webrtcvad-wheels", "librosa")))
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{processor()}, {os.cpu_count()} logical cores, {system}; {packages}."


def report(rows: list[Row], model: TfliteClassifier) -> str:
    """Return the page."""
    lines = [f"| {r.what} | {r.median_ms:.3f} | {r.p99_ms:.3f} | {r.against} |" for r in rows]
    return "\n".join(
        [
            "# What it costs",
            "",
            "Made by `make bench`. Milliseconds, median and 99th percentile; model "
            f"`{model.manifest.name}`, one thread.",
            "",
            machine(),
            "",
            "| | median | p99 | |",
            "|---|---:|---:|---|",
            *lines,
            "",
        ]
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Measure rt-ser on this machine.")
    parser.add_argument("--print", action="store_true", help="leave results.md alone")
    options = parser.parse_args()
    samples, _ = soundfile.read(DEMO_RECORDING, dtype="float32")
    settings = Settings()
    model = TfliteClassifier.load(settings.model.name)
    hop_s = settings.estimate.hop_s
    rows = [
        *feature_rows(samples, model.manifest.recipe, hop_s),
        inference_row(samples, model, hop_s),
        pipeline_row(samples, model),
        *callback_rows(),
        *start_rows(),
    ]
    page = report(rows, model)
    print(page)
    if not options.print:
        RESULTS.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
