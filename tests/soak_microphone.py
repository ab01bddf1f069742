"""Hours at a real device: PortAudio, a virtual microphone, the real model, faults at random.

    python tests/soak_microphone.py --hours 0.2

Speech is played into the microphone; now and then the device hangs, is unplugged or muted,
its server dies, the program that embeds the stream keeps the interpreter busy, or whoever
takes its events is slow. Speech comes from the corpora in RT_SER_DATA where there are
any, from the bundled recording otherwise. The seed is printed; ``--seed`` repeats the
faults. At the end the books must balance and nothing may have grown. Where there is no
PulseAudio the microphone is imitated, as in soak.py.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rt_ser.audio.files import FileSource
from rt_ser.audio.microphone import microphone as default_microphone
from rt_ser.audio.source import EndOfStream
from rt_ser.config import Settings
from rt_ser.data import DEMO_RECORDING
from rt_ser.runtime import StreamRunner
from rt_ser.stream_events import StreamEvent
from rt_ser.types import F32, RATE_HZ, Estimate, State
from tests.soak import MAX_QUEUE, soak, whole_pipeline
from tests.soak_watch import Watcher, books
from tests.vmic import FAULTS, VirtualMicrophone, missing

CLIPS = 60
"""How many of the corpora's recordings are played."""

ALLOWED_MIB = 4.0
"""What PortAudio, PulseAudio's client and their threads may take each time anew."""

NEVER_OLDER_S = 0.5
"""What an estimate's age may be over the age that is allowed for audio: a window's work."""


class Life(threading.Thread):
    """Something that goes on until the soak ends, by chance."""

    def __init__(self, does: Callable[[], float]) -> None:
        super().__init__(daemon=True)
        self._does = does
        self.ending = threading.Event()

    def run(self) -> None:
        """Do it again and again; what it returns is the pause after it, in seconds."""
        pause_s = 2.0
        while not self.ending.wait(pause_s):
            try:
                pause_s = self._does()
            except (OSError, subprocess.SubprocessError):
                pause_s = 0.5  # the server is dead at present

    def end(self) -> None:
        """End after what is under way."""
        self.ending.set()
        self.join(30.0)


def clips(chance: random.Random) -> list[F32]:
    """Return recordings of speech, mono at the pipeline rate."""
    root = Path(os.environ.get("RT_SER_DATA", "../shared/data"))
    kinds = {".wav", ".flac", ".opus", ".ogg"}
    found = [path for path in sorted(root.rglob("*")) if path.suffix in kinds]
    speech = [path for path in found if "noise" not in path.parts]
    chosen = chance.sample(speech, min(CLIPS, len(speech))) or [DEMO_RECORDING]
    return [decoded(path) for path in chosen]


def decoded(path: Path) -> F32:
    """Return a recording's samples."""
    parts: list[F32] = []
    with FileSource(str(path)) as source, contextlib.suppress(EndOfStream):
        while True:
            chunk = source.read(0.1)
            parts += [] if chunk is None else [chunk.samples]
    return np.concatenate(parts)


class Soak:
    """What happens to one stream, and what it made of it."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.faults: Counter[str] = Counter()
        self.oldest_ms = 0.0
        self.events = 0

    def speaker(self, device: VirtualMicrophone) -> Life:
        """Play speech, and silence between."""
        chance = random.Random(self._chance.random())
        spoken = clips(chance)

        def speak() -> float:
            return device.play(chance.choice(spoken)) + chance.expovariate(1 / 2.0)

        return Life(speak)

    def troublemaker(self, device: VirtualMicrophone) -> Life:
        """Do to the device what drivers do, and to the process what programs do."""
        chance = random.Random(self._chance.random())

        def harm() -> float:
            fault = chance.choice((*FAULTS, "busy interpreter"))
            seconds = chance.uniform(0.5, 4.0)
            self.faults[fault] += 1
            if fault == "busy interpreter":
                compute(seconds)
            else:
                device.inflict(fault, seconds)
            return chance.expovariate(1 / 12.0)

        return Life(harm)

    def take(self, event: StreamEvent) -> None:
        """Take an event, slowly at times."""
        self.events += 1
        if isinstance(event, Estimate) and event.state is not State.STALE:
            self.oldest_ms = max(self.oldest_ms, event.age_ms or 0.0)
        if self._chance.random() < 0.002:
            self.faults["slow consumer"] += 1
            time.sleep(self._chance.uniform(0.5, 5.0))


def compute(seconds: float) -> None:
    """Keep the interpreter busy."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        sum(range(2_000))


def soak_device(hours: float, *, seed: int) -> dict[str, object]:
    """Listen for so long and return what was found."""
    life, settings = Soak(seed), Settings()
    with VirtualMicrophone() as device:
        others = [life.speaker(device), life.troublemaker(device)]
        source = default_microphone(settings.audio)
        runner = StreamRunner(
            source, whole_pipeline(), max_queue=MAX_QUEUE, max_age_s=settings.audio.max_age_s
        )
        with runner:
            watcher = Watcher(runner, hours, seed, mutes=0.001)
            for thread in (watcher, *others):
                thread.start()
            held = [(open_files(), threading.active_count())]
            threading.Timer(3600 * hours, runner.stop).start()
            for event in runner.events():
                life.take(event)
            held.append((open_files(), threading.active_count()))
            for other in others:
                other.end()
            watcher.join(5.0)
    stats = runner.stats
    return books(runner, watcher) | {
        "seed": seed,
        "events": life.events,
        "faults": dict(life.faults),
        "skipped_estimates": stats.skipped_estimates,
        "dropped_s": round(stats.dropped_samples / RATE_HZ, 1),
        "max_lag_ms": round(stats.max_lag_ms),
        "oldest_estimate_ms": round(life.oldest_ms),
        "open_files_and_threads": held,
    }


def open_files() -> int:
    """Return how many files and sockets this process holds open."""
    return len(os.listdir("/proc/self/fd"))


def is_sound(found: dict[str, object]) -> bool:
    """Judge a soak: the books, memory, and that nothing old was told as the present."""
    oldest_s = float(str(found.get("oldest_estimate_ms", 0))) / 1000
    return (
        found["unbalanced"] == found["unaccounted"] == 0
        and float(str(found["growth_mib"])) < ALLOWED_MIB
        and oldest_s < Settings().audio.max_age_s + NEVER_OLDER_S
    )


def main() -> int:
    """Soak, print, and judge."""
    parser = argparse.ArgumentParser(description="Listen to a virtual microphone for hours.")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    if (reason := missing()) is None:
        found = soak_device(options.hours, seed=options.seed)
    else:
        print(f"the microphone is imitated: {reason}", file=sys.stderr)
        found = soak(options.hours, seed=options.seed, is_whole=True, is_paced=True)
    print(json.dumps(found, indent=1))
    return 0 if is_sound(found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
