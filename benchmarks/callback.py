"""Measure the audio callback as PortAudio calls it, in its own thread of a recorder.

    python -m benchmarks.callback                 30 s on a virtual microphone, 48 kHz stereo
    python -m benchmarks.callback --seconds 5

Wall-clock time is what PortAudio has to wait for us; processor time is what is ours of it,
the rest being other programs and threads. Needs pulseaudio, as the tests do.
"""

from __future__ import annotations

import argparse
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np

from rt_ser.audio.devices import find
from rt_ser.audio.recorder import Recorder, record
from tests.vmic import VirtualMicrophone

QUANTILES = {"median": 50.0, "p99": 99.0, "p99.9": 99.9, "most": 100.0}


class TimedRecorder(Recorder):
    """A recorder that notes how long each of its callbacks took, in nanoseconds."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.wall_ns: list[int] = []
        self.processor_ns: list[int] = []

    def take(self, *arguments: Any) -> None:
        """Take a block as ever."""
        processor_ns = time.thread_time_ns()  # asks the kernel: outside of what is timed
        began_ns = time.perf_counter_ns()
        super().take(*arguments)
        took_ns = time.perf_counter_ns() - began_ns
        self.processor_ns.append(time.thread_time_ns() - processor_ns)
        self.wall_ns.append(took_ns)


def measure(seconds: float, *, block_ms: int = 30) -> TimedRecorder:
    """Record from the default microphone into a pipe that another process empties."""
    device = find(None)
    block = device.rate_hz * block_ms // 1000
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader:
        assert reader.stdin is not None
        recorder = TimedRecorder(reader.stdin, 300, block_ms / 1000)
        threading.Timer(seconds, recorder.finish).start()
        record(recorder, device.index, device.name, device.rate_hz, device.channels, block)
    return recorder


def callback_times_ns(seconds: float) -> list[int]:
    """Measure in a fresh process: PortAudio knows no device that came after it was first asked."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_wall_ns, seconds).result()


def _wall_ns(seconds: float) -> list[int]:
    return measure(seconds).wall_ns


def quantiles_us(times_ns: Sequence[int]) -> list[float]:
    """Return the quantiles of the table, in microseconds."""
    if not times_ns:
        raise SystemExit("the virtual microphone gave no audio, so nothing is measured: try again")
    return [float(value) for value in np.percentile(times_ns, list(QUANTILES.values())) / 1000]


def main() -> None:
    """Record for a while and print the table."""
    parser = argparse.ArgumentParser(description="Measure the audio callback.")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--block-ms", type=int, default=30)
    options = parser.parse_args()
    print(f"| us | callbacks | {' | '.join(QUANTILES)} |")
    print(f"|---|---:{'|---:' * len(QUANTILES)}|")
    with VirtualMicrophone(rate_hz=48_000, channels=2):
        recorder = measure(options.seconds, block_ms=options.block_ms)
    for name in ("wall", "processor"):
        times_ns = getattr(recorder, f"{name}_ns")
        figures = " | ".join(f"{value:.1f}" for value in quantiles_us(times_ns))
        print(f"| {name} | {len(times_ns)} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
