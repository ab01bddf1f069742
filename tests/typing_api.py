"""How a program uses rt-ser, for mypy to check; never run.

``reveal_type`` would only print: ``assert_type`` fails where a type is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import assert_type

import numpy as np

import rt_ser
from rt_ser import (
    Analyzer,
    ConfigError,
    DeviceError,
    Estimate,
    Gap,
    Hooks,
    InputError,
    ModelError,
    Notice,
    OutputError,
    RtSerError,
    Settings,
    State,
    Summary,
    Tally,
    Utterance,
)
from rt_ser.model import Classifier, TfliteClassifier
from rt_ser.stream_events import Change, StreamEvent, Waypoint
from rt_ser.testing import FakeClassifier
from rt_ser.types import F32, Meter, StreamStats


def embeds_an_analyzer(samples: F32) -> None:
    """Feed, flush, reset, look."""
    analyzer = Analyzer(rate_hz=48_000, channels=2, settings=Settings())
    assert_type(analyzer.feed(samples), list[Estimate])
    assert_type(analyzer.feed([0.0, 0.5]), list[Estimate])
    assert_type(analyzer.feed(np.zeros(3, np.int16)), list[Estimate])
    assert_type(analyzer.flush(), list[Estimate])
    assert_type(analyzer.summary(), Summary)
    assert_type(analyzer.labels, tuple[str, ...])
    assert_type(analyzer.meter, Meter)
    assert_type(analyzer.stats, StreamStats)
    analyzer.reset()


def reads_an_estimate(estimate: Estimate) -> str:
    """Use every field a program is likely to want."""
    assert_type(estimate.state, State)
    assert_type(estimate.probs, F32)
    assert_type(estimate.confidence, float)
    assert_type(estimate.valence, float)
    assert_type(estimate.arousal, float)
    assert_type(estimate.start_s, float)
    assert_type(estimate.is_final, bool)
    assert_type(estimate.age_ms, float | None)
    estimate.label = "no"  # type: ignore[misc]
    return estimate.label if estimate.state is State.SPEECH else str(estimate.state)


def iterates_over_streams(recording: Path) -> None:
    """Listen and replay are context managers that iterate."""
    with rt_ser.listen("usb", seconds=5.0) as stream:
        assert_type(iter(stream), Iterator[Estimate])
        for estimate in stream:
            assert_type(estimate, Estimate)
    with rt_ser.replay(recording, speed=1.0, model="research") as stream:
        assert_type(list(stream), list[Estimate])
        assert_type(stream.summary(), Summary)
        assert_type(stream.latest, Estimate | None)


def brings_its_own_model() -> None:
    """Anything with a manifest and ``predict`` will do, the shipped fake included."""
    models: list[Classifier] = [FakeClassifier(), TfliteClassifier.load("research", threads=2)]
    for model in models:
        Analyzer(model)
    Analyzer("research")
    Analyzer(Path("mine.tflite"))
    Analyzer(3)  # type: ignore[arg-type]


def catches_errors() -> int:
    """Each has the exit code of the command line."""
    try:
        Analyzer()
    except (ConfigError, DeviceError, InputError, ModelError, OutputError) as error:
        assert_type(error.exit_code, int)
        return error.exit_code
    except RtSerError as error:
        return error.exit_code
    assert_type(rt_ser.__version__, str)
    return 0


def hears_everything(samples: F32, recording: Path) -> None:
    """Events of each way to run a stream, and the hooks."""

    def turn(utterance: Utterance) -> None:
        assert_type(utterance.label, str)
        assert_type(utterance.speech_s, float)
        assert_type(utterance.change, Change | None)
        assert_type(utterance.trajectory, tuple[Waypoint, ...])

    with Analyzer(hooks=Hooks(on_utterance=turn)) as analyzer:
        assert_type(analyzer.feed_events(samples), list[StreamEvent])
        assert_type(analyzer.flush_events(), list[StreamEvent])
        analyzer.mute()
        analyzer.unmute(hold_off_s=0.2)
    with rt_ser.replay(recording) as stream:
        for event in stream.events():
            assert_type(event, Estimate | Utterance | Gap | Tally | Notice)
    with rt_ser.subscribe(rt_ser.listen(), on_utterance=turn) as subscription:
        assert_type(subscription.wait(1.0), bool)
        assert_type(subscription.stream.latest, Estimate | None)
    rt_ser.subscribe(rt_ser.listen(), on_estimate=turn)  # type: ignore[arg-type]


async def awaits_a_stream(recording: Path) -> None:
    """The same for asyncio."""
    async for estimate in rt_ser.aio.listen():
        assert_type(estimate, Estimate)
    async with rt_ser.aio.replay(recording, speed=2.0) as stream:
        async for event in stream.events():
            assert_type(event, Estimate | Utterance | Gap | Tally | Notice)
        assert_type(await stream.summary(), Summary)
