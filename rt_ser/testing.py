"""Fakes that ship with the package: stand-ins for a microphone, a model and an output.

They behave like the real thing through the same interfaces, so that programs built on
rt-ser can be tested without a sound card, a model file or patching.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rt_ser.audio.source import ClosedSource, EndOfStream, SourceBase, SourceCounters
from rt_ser.manifest import Manifest
from rt_ser.recipes import recipe_named
from rt_ser.types import F32, AudioChunk, LogMel, Prediction, freeze

LABELS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")


class ScriptedSource(SourceBase):
    """A source that plays given samples in given chunks, with given losses and an end.

    Parameters
    ----------
    samples : ndarray, shape (n,), float32
        Mono audio at the pipeline rate.
    chunk_sizes : sequence of int
        Sizes of the chunks, repeated for as long as there are samples.
    gaps : mapping of int to int
        Index into ``samples`` -> samples lost just before it. A chunk ends there.
    is_live : bool
        Behave as a microphone: chunks carry the moment at which they were captured.
    fails_with : Exception, optional
        Raised by ``read`` after the last chunk, in place of ``EndOfStream``.
    hangs : bool
        After the last chunk give nothing for ever, as a microphone in a silent driver.
    """

    def __init__(
        self,
        samples: F32,
        chunk_sizes: Sequence[int] = (480,),
        *,
        gaps: Mapping[int, int] | None = None,
        is_live: bool = False,
        fails_with: Exception | None = None,
        hangs: bool = False,
    ) -> None:
        if not chunk_sizes or min(chunk_sizes) < 1:
            raise ValueError(f"chunk_sizes={chunk_sizes} must hold positive sizes")
        self._samples = samples
        self._sizes = tuple(chunk_sizes)
        self._gaps = dict(gaps or {})
        self._is_live = is_live
        self._fails_with = fails_with
        self._hangs = hangs
        self._chunks: Iterator[AudioChunk] | None = None
        self.closings = 0

    @property
    def name(self) -> str:
        """``script``."""
        return "script"

    @property
    def is_live(self) -> bool:
        """As given."""
        return self._is_live

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    @property
    def counters(self) -> SourceCounters:
        """The losses of the whole script."""
        return SourceCounters(dropped_samples=sum(self._gaps.values()), gaps=len(self._gaps))

    def open(self) -> None:
        """Start the script from its beginning."""
        self._chunks = self._play()

    def read(self, timeout_s: float) -> AudioChunk | None:
        """Return the next chunk of the script, then end in the way that was asked for."""
        if self._chunks is None:
            raise ClosedSource("script: not open")
        chunk = next(self._chunks, None)
        if chunk is not None:
            return chunk
        if self._fails_with is not None:
            raise self._fails_with
        if self._hangs:
            time.sleep(timeout_s)
            return None
        raise EndOfStream("script")

    def close(self) -> None:
        """End the script and count how often that was asked for."""
        self._chunks = None
        self.closings += 1

    def _play(self) -> Iterator[AudioChunk]:
        sizes = itertools.cycle(self._sizes)
        cuts = [*sorted(cut for cut in self._gaps if 0 < cut < len(self._samples))]
        start = lost = 0
        for stop in (*cuts, len(self._samples)):
            gap = self._gaps.get(start, 0)
            lost += gap
            while start < stop:
                samples = self._samples[start : min(stop, start + next(sizes))]
                yield AudioChunk(
                    samples=freeze(samples),
                    start=start + lost,
                    gap=gap,
                    captured_at=time.monotonic() if self._is_live else None,
                )
                start, gap = start + len(samples), 0


class CollectingSink:
    """An output that keeps every event in ``events``."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.is_closed = False

    def write(self, event: dict[str, Any]) -> None:
        """Keep an event."""
        if self.is_closed:
            raise ValueError("this sink is closed")
        self.events.append(event)

    def close(self) -> None:
        """Take no more events."""
        self.is_closed = True


FAKE_MANIFEST = Manifest(
    name="fake",
    labels=LABELS,
    recipe=recipe_named("logmel64-v1"),
    temperature=1.0,
    sha256="",
    licence="none: there are no weights",
)
"""What :class:`FakeClassifier` says of itself."""


class FakeClassifier:
    """A model whose answer follows from its input alone, without a model file.

    Parameters
    ----------
    manifest : Manifest
        Its labels and feature recipe are kept to.
    says : iterable of str, optional
        Labels to answer with, one a call, the last one for ever. Without it the
        answer depends on every value of the features, so that a pipeline that
        computes them differently is found out.
    speech_prob : float
        The model's opinion that it heard speech, in [0, 1].
    """

    def __init__(
        self,
        *,
        manifest: Manifest = FAKE_MANIFEST,
        says: Iterable[str] = (),
        speech_prob: float = 1.0,
    ) -> None:
        self.manifest = manifest
        self.seen: list[LogMel] = []
        self._says = tuple(says)
        self._speech_prob = speech_prob

    def predict(self, features: LogMel) -> Prediction:
        """Answer and keep the features in ``seen``."""
        scores = self._scripted() if self._says else self._computed(features.values)
        self.seen.append(features)
        weights = np.exp(scores - scores.max())
        return Prediction(
            probs=freeze((weights / weights.sum()).astype(np.float32)),
            speech_prob=self._speech_prob,
            start=features.start,
            stop=features.stop,
            utterance=features.utterance,
            inference_ms=0.0,
        )

    def _scripted(self) -> F32:
        label = self._says[min(len(self.seen), len(self._says) - 1)]
        scores = np.zeros(len(self.manifest.labels), dtype=np.float32)
        scores[self.manifest.labels.index(label)] = 3.0
        return scores

    def _computed(self, values: F32) -> F32:
        """Score each class by a slice of the mel bands, relative to the mean of all."""
        bands = np.array_split(values, len(self.manifest.labels), axis=1)
        scores: F32 = np.array([band.mean() for band in bands], dtype=np.float32)
        scores -= scores.mean()
        return scores
