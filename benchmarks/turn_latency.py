"""How long after the end of speech is known does an agent's turn hook hear of it?

    python benchmarks/turn_latency.py [--seconds 20] [--limit-ms 100]

The bundled recording is played in real time, block by block, as a microphone gives it. For
each utterance the clock runs from the arrival of the block that made the voice-activity
detector decide to the first line of the hook: judging, queue and change of thread included.
Fails when one took longer than the limit.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable

import numpy as np
import soundfile

import rt_ser
from rt_ser.aio import AsyncStream
from rt_ser.data import DEMO_RECORDING
from rt_ser.model import Classifier, shared_classifier
from rt_ser.pipeline import Pipeline
from rt_ser.runtime import StreamRunner
from rt_ser.testing import FakeClassifier, ScriptedSource
from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ, AudioChunk


class PacedSource(ScriptedSource):
    """The script in real time; remembers when each block arrived."""

    def __init__(self, samples: F32) -> None:
        super().__init__(samples, (FRAME_SAMPLES,), is_live=True)
        self._began: float | None = None
        self.arrivals: dict[int, float] = {}

    def read(self, timeout_s: float) -> AudioChunk | None:
        """Wait for a block's moment and return it."""
        chunk = super().read(timeout_s)
        if chunk is not None:
            self._began = self._began or time.monotonic()
            wait_s = self._began + chunk.stop / RATE_HZ - time.monotonic()
            time.sleep(max(0.0, wait_s))
            self.arrivals[chunk.stop] = time.monotonic()
        return chunk


Way = Callable[[StreamRunner, Callable[[rt_ser.Utterance], None]], None]


def by_hook(stream: StreamRunner, turn: Callable[[rt_ser.Utterance], None]) -> None:
    """Wait in a thread of the subscription's own."""
    with rt_ser.subscribe(stream, on_utterance=turn) as subscription:
        subscription.wait()


def by_asyncio(stream: StreamRunner, turn: Callable[[rt_ser.Utterance], None]) -> None:
    """Wait in an event loop."""

    async def follow() -> None:
        async for event in AsyncStream(stream).events():
            if isinstance(event, rt_ser.Utterance):
                turn(event)

    asyncio.run(follow())


WAYS: dict[str, Way] = {"hook": by_hook, "asyncio": by_asyncio}


def latencies_ms(way: Way, samples: F32, model: Classifier) -> list[float]:
    """Play the samples once and return one latency for each utterance."""
    source = PacedSource(samples)
    taken: list[float] = []

    def turn(utterance: rt_ser.Utterance) -> None:
        now = time.monotonic()
        taken.append(1000.0 * (now - source.arrivals[utterance.decided]))

    way(StreamRunner(source, Pipeline(model)), turn)
    return taken


def main() -> int:
    """Measure every way and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--limit-ms", type=float, default=100.0)
    parser.add_argument("--fake", action="store_true", help="without a model file")
    options = parser.parse_args()
    samples, _ = soundfile.read(DEMO_RECORDING, dtype="float32")
    samples = np.resize(samples, round(options.seconds * RATE_HZ))
    model = FakeClassifier() if options.fake else shared_classifier(rt_ser.Settings().model.name)
    worst_ms = 0.0
    for name, way in WAYS.items():
        taken = latencies_ms(way, samples, model)
        if not taken:
            print(f"{name}: no utterance ended within {options.seconds} s")
            return 1
        worst_ms = max(worst_ms, *taken)
        print(f"{name:8} {len(taken)} turns: median {np.median(taken):.1f}, longest "
              f"{max(taken):.1f} ms from the decision to the hook")  # fmt: skip
    print(f"limit {options.limit_ms:g} ms: {'kept' if worst_ms <= options.limit_ms else 'BROKEN'}")
    return int(worst_ms > options.limit_ms)


if __name__ == "__main__":
    sys.exit(main())
