"""Measure the audio callback as PortAudio calls it, in its own thread.

    python benchmarks/callback.py                 30 s on a virtual microphone, 48 kHz stereo
    python benchmarks/callback.py --seconds 5

Wall-clock time is what PortAudio has to wait for us; processor time is what is ours of it,
the rest being other programs and threads. Needs pulseaudio, as the tests do.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from benchmarks.run import machine
from rt_ser.audio.capture import Capture
from rt_ser.audio.devices import find
from rt_ser.types import F32
from tests.vmic import VirtualMicrophone


class TimedCapture(Capture):
    """A capture that notes how long each of its callbacks took, in nanoseconds."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.wall_ns: list[int] = []
        self.processor_ns: list[int] = []

    def take(self, indata: F32, frames: int, timing: Any, status: Any) -> None:
        """Take a block as ever."""
        began_ns, processor_ns = time.perf_counter_ns(), time.thread_time_ns()
        super().take(indata, frames, timing, status)
        self.processor_ns.append(time.thread_time_ns() - processor_ns)
        self.wall_ns.append(time.perf_counter_ns() - began_ns)


def row(name: str, times_ns: list[int]) -> str:
    """Return a line of the table, in microseconds."""
    median, p99, most = np.percentile(np.array(times_ns) / 1000, [50, 99, 100])
    return f"| {name} | {median:.1f} | {p99:.1f} | {most:.1f} |"


def main() -> None:
    """Record for a while and print the table."""
    parser = argparse.ArgumentParser(description="Measure the audio callback.")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--block-ms", type=int, default=30)
    seconds, block_ms = vars(parser.parse_args()).values()
    with VirtualMicrophone(rate_hz=48_000, channels=2):
        capture = TimedCapture(find(None), block_ms=block_ms, ring_s=10.0)
        capture.start()
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            capture.doorbell.wait(0.1)
            capture.ring.read(capture.block)
        capture.abort()
    print(f"{machine()}\n\n| {capture.callbacks} callbacks, us | median | p99 | most |")
    print("|---|---:|---:|---:|")
    print(row("wall clock", capture.wall_ns))
    print(row("processor", capture.processor_ns))


if __name__ == "__main__":
    main()
