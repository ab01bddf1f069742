"""Whole streams of samples at hand, and what is told of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rt_ser import Analyzer
from rt_ser.config import Settings
from rt_ser.pipeline import Pipeline
from rt_ser.runtime import StreamRunner
from rt_ser.stream_events import StreamEvent
from rt_ser.testing import FakeClassifier, ScriptedSource
from rt_ser.types import F32, AudioChunk, Estimate, LogMel, State
from tests import signals

TALK = signals.by_pattern("." * 20 + "S" * 50 + "." * 30 + "S" * 30 + "." * 6 + "S" * 25 + "." * 20)
"""Two utterances, 1.5 s and 1.65 s of speech, in 5.4 s."""

TOLD = {State.SPEECH, State.UNSURE}


def fresh(**changes: Any) -> Pipeline:
    return Pipeline(FakeClassifier(), Settings(**changes))


def one_chunk(samples: F32, start: int = 0) -> AudioChunk:
    return AudioChunk(samples=samples, start=start)


def heard(chunks: Iterable[AudioChunk], pipeline: Pipeline | None = None) -> list[Estimate]:
    """Feed chunks to a pipeline and flush it."""
    pipeline = pipeline or fresh()
    found = [estimate for chunk in chunks for estimate in pipeline.feed(chunk)]
    return found + pipeline.flush()


def windows(pipeline: Pipeline) -> list[LogMel]:
    """Return everything that the model was asked about."""
    classifier = pipeline._classifier
    assert isinstance(classifier, FakeClassifier)
    return classifier.seen


def judged(estimates: Iterable[Estimate]) -> list[Estimate]:
    return [estimate for estimate in estimates if estimate.state in TOLD]


def script(samples: F32, **options: Any) -> StreamRunner:
    return StreamRunner(ScriptedSource(samples, **options), Pipeline(FakeClassifier()))


def by_hand(samples: F32) -> list[StreamEvent]:
    analyzer = Analyzer(FakeClassifier())
    return analyzer.feed_events(samples) + analyzer.flush_events()
