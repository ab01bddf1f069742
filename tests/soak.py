"""Hours of listening with faults at random, in minutes.

    python tests/soak.py --hours 10                 as CI does: features and model are left out
    python tests/soak.py --hours 1000 --whole       with the real features and the real model
    python tests/soak.py --hours 2 --real-time      at the pace of a microphone, for leaks that
                                                    only time brings about; see also
                                                    soak_microphone.py

A source that nobody paces plays speech, noise and silence and does to the stream what
microphones and drivers do; an agent mutes it now and then. At the end the books must
balance, no queue may have grown, and memory must be where it was after warming up.
The seed of the faults is printed; ``--seed`` repeats them.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator

import numpy as np
import soundfile

from rt_ser.audio.source import EndOfStream, SourceBase, SourceCounters
from rt_ser.config import Settings
from rt_ser.data import DEMO_RECORDING
from rt_ser.pipeline import Pipeline
from rt_ser.runtime import StreamRunner
from rt_ser.testing import FAKE_MANIFEST, LABELS
from rt_ser.types import F32, RATE_HZ, AudioChunk, Frame, LogMel, Prediction, Segment, freeze
from tests.soak_watch import Watcher, books

MAX_QUEUE = 64
BLOCK = 480


class FaultySource(SourceBase):
    """A live source of so many hours that loses audio, falls silent, hangs and floods.

    Parameters
    ----------
    hours : float
        Of audio, losses included.
    seed : int
        Of everything that happens by chance.
    is_paced : bool
        Give audio at the pace of a microphone.
    """

    def __init__(self, hours: float, *, seed: int, is_paced: bool) -> None:
        self._random = random.Random(seed)
        self._limit = round(hours * 3600 * RATE_HZ)
        self._is_paced = is_paced
        self._sounds = sounds(seed)
        self._position = self._lost = self._gaps = self._reopened = 0
        self._chunks: Iterator[AudioChunk | None] = iter(())
        self.faults: dict[str, int] = {}
        self._trouble = ""

    name = "soak"
    is_live = True
    notes = ()

    @property
    def trouble(self) -> str:
        """Why nothing comes."""
        return self._trouble

    @property
    def counters(self) -> SourceCounters:
        """What was captured and lost."""
        return SourceCounters(
            captured_samples=self._position, dropped_samples=self._lost, gaps=self._gaps,
            reopened=self._reopened,
        )  # fmt: skip

    def open(self) -> None:
        """Begin."""
        self._chunks = self._play()

    def close(self) -> None:
        """End."""
        self._chunks = iter(())

    def read(self, timeout_s: float) -> AudioChunk | None:
        """Return the next chunk, or None during an outage."""
        try:
            return next(self._chunks)
        except StopIteration:
            raise EndOfStream(self.name) from None

    def _play(self) -> Iterator[AudioChunk | None]:
        gap = 0
        while self._position < self._limit:
            gap = yield from self._stretch(gap)
            gap = yield from self._fault()

    def _stretch(self, gap: int) -> Iterator[AudioChunk]:
        """Play some seconds in chunks of some size."""
        kinds = ("silence", "room", "speech", "clipped", "offset")
        kind = self._random.choices(kinds, weights=(6, 6, 5, 0.3, 0.3))[0]
        sound = self._sounds[kind]
        size = self._random.choice((160, 480, 1_440, 4_800, 16_000))
        length = round(self._random.expovariate(1 / 40.0) * RATE_HZ) + size
        for at in range(0, length, size):
            place = at % (len(sound) - size)
            start = self._position + gap
            samples = freeze(sound[place : place + size])
            self._position = start + len(samples)
            self._lost += gap
            self._gaps += bool(gap)
            if self._is_paced:
                time.sleep(size / RATE_HZ)
            yield AudioChunk(
                samples=samples, start=start, gap=gap, captured_at=time.monotonic()
            )
            gap = 0
        return gap

    def _fault(self) -> Iterator[AudioChunk | None]:
        """Do something to the stream; returns the gap that it leaves."""
        fault = self._random.choice(("nothing", "overflow", "hang", "unplugged", "server died"))
        self.faults[fault] = self.faults.get(fault, 0) + 1
        if fault == "nothing":
            return 0
        if fault == "overflow":
            return self._random.randrange(1, RATE_HZ)
        self._trouble = f"microphone 'soak' is gone: {fault}"
        for _ in range(self._random.randrange(1, 4)):
            yield None
        self._trouble = ""
        self._reopened += 1
        return self._random.randrange(RATE_HZ // 2, 120 * RATE_HZ)


def sounds(seed: int) -> dict[str, F32]:
    """Return a minute of each kind of sound, at least."""
    rng = np.random.default_rng(seed)
    speech, _ = soundfile.read(DEMO_RECORDING, dtype="float32")
    room = (1e-3 * rng.standard_normal(60 * RATE_HZ)).astype(np.float32)
    return {
        "silence": np.zeros(60 * RATE_HZ, np.float32),
        "room": room,
        "speech": np.tile(speech, 3),
        "clipped": np.clip(room * np.float32(2_000), -1, 1),
        "offset": room + np.float32(0.2),
    }


class CheapClassifier:
    """Says something else each time, and remembers nothing."""

    manifest = FAKE_MANIFEST

    def __init__(self) -> None:
        self._calls = 0

    def predict(self, features: LogMel) -> Prediction:
        """Answer."""
        self._calls += 1
        probs = np.full(len(LABELS), 0.02, np.float32)
        probs[self._calls % len(LABELS)] = 1 - 0.02 * (len(LABELS) - 1)
        return Prediction(
            probs=freeze(probs), speech_prob=1.0, start=features.start, stop=features.stop,
            utterance=features.utterance, inference_ms=0.1,
        )  # fmt: skip


class NoFeatures:
    """Stands in for the spectra, which take most of the time and are the same every time."""

    def __init__(self, recipe: str) -> None:
        self._recipe = recipe
        self._values = np.zeros((1, 1), np.float32)

    def push(self, frame: Frame) -> None:
        """Pass over a frame."""

    def reset(self, position: int) -> None:
        """Do nothing."""

    def window(self, segment: Segment) -> LogMel:
        """Return an empty window."""
        return LogMel(
            values=self._values, start=segment.start, stop=segment.stop,
            utterance=segment.utterance, recipe=self._recipe,
        )  # fmt: skip


def cheap_pipeline() -> Pipeline:
    """Return a pipeline whose spectra and model cost nothing; all else is real."""
    pipeline = Pipeline(CheapClassifier())
    pipeline._features = NoFeatures(FAKE_MANIFEST.recipe.name)  # type: ignore[assignment]
    return pipeline


def whole_pipeline() -> Pipeline:
    """Return a pipeline with the real model."""
    from rt_ser.model import shared_classifier

    return Pipeline(shared_classifier(Settings().model.name))


def soak(hours: float, *, seed: int, is_whole: bool, is_paced: bool) -> dict[str, object]:
    """Run the soak and return what was found."""
    source = FaultySource(hours, seed=seed, is_paced=is_paced)
    pipeline = whole_pipeline() if is_whole else cheap_pipeline()
    started = time.monotonic()
    taken = 0
    with StreamRunner(source, pipeline, max_queue=MAX_QUEUE) as runner:
        watcher = Watcher(runner, hours, seed)
        watcher.start()
        for _ in runner.events():
            taken += 1
        watcher.join(5.0)
    return books(runner, watcher) | {
        "took_s": round(time.monotonic() - started, 1),
        "seed": seed,
        "events": taken,
        "faults": source.faults,
    }


def main() -> int:
    """Soak, print, and judge."""
    parser = argparse.ArgumentParser(description="Listen for hours with faults at random.")
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--whole", action="store_true", help="with real features and model")
    parser.add_argument("--real-time", action="store_true", help="at the pace of a microphone")
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    found = soak(
        options.hours, seed=options.seed, is_whole=options.whole, is_paced=options.real_time
    )
    print(json.dumps(found, indent=1))
    is_sound = found["unbalanced"] == found["unaccounted"] == 0
    return 0 if is_sound and float(str(found["growth_mib"])) < 2.0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
