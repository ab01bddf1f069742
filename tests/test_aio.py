"""asyncio over the same runtime: every event comes, and the loop is never held up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

import rt_ser
from rt_ser import Estimate, State, Utterance
from rt_ser.aio import AsyncStream
from rt_ser.errors import DeviceError
from rt_ser.pipeline import Pipeline
from rt_ser.runtime import StreamRunner
from rt_ser.testing import FakeClassifier, ScriptedSource
from rt_ser.types import F32
from tests.compare import bits
from tests.streams import by_hand, script

Result = TypeVar("Result")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(asyncio.wait_for(work, 30.0))


def test_async_iteration_gives_the_estimates(demo_samples: F32) -> None:
    async def listen() -> list[Estimate]:
        return [estimate async for estimate in AsyncStream(script(demo_samples))]

    want = [event for event in by_hand(demo_samples) if isinstance(event, Estimate)]
    assert bits(run(listen())) == bits(want)


def test_async_events_are_everything(demo_samples: F32) -> None:
    async def listen() -> tuple[list[Any], Any]:
        async with AsyncStream(script(demo_samples)) as stream:
            events = [event async for event in stream.events()]
            return events, await stream.summary()

    events, summary = run(listen())
    assert bits(events) == bits(by_hand(demo_samples))
    assert summary.utterances == sum(isinstance(event, Utterance) for event in events)


def test_leaving_an_async_loop_ends_the_stream(demo_samples: F32) -> None:
    async def listen() -> StreamRunner:
        runner = script(demo_samples, hangs=True)
        async with AsyncStream(runner) as stream:
            async for _ in stream:
                break
        return runner

    assert not run(listen()).is_running


def test_what_was_told_before_the_end_may_be_taken_after_it(demo_samples: F32) -> None:
    async def listen() -> tuple[list[Any], list[Any]]:
        stream = AsyncStream(script(demo_samples))
        heard = []
        async with stream:
            async for event in stream.events():
                heard.append(event)
                break
        heard += [event async for event in stream.events()]
        return heard, [event async for event in stream.events()]

    heard, after = run(listen())
    assert len(heard) > 1
    assert bits(heard[0]) == bits(by_hand(demo_samples)[0])
    assert after == []


def test_iterating_again_gives_nothing(demo_samples: F32) -> None:
    async def listen() -> list[int]:
        stream = AsyncStream(script(demo_samples))
        return [len([estimate async for estimate in stream]) for _ in range(2)]

    first, second = run(listen())
    assert first > second == 0


def test_an_async_stream_runs_once(demo_samples: F32) -> None:
    async def listen() -> None:
        stream = AsyncStream(script(demo_samples))
        for _ in range(2):
            async with stream:
                pass

    with pytest.raises(RuntimeError, match="a stream runs once: make another"):
        run(listen())


def test_the_loop_goes_on_while_streams_are_waited_for(demo_samples: F32) -> None:
    """More streams than the default executor has threads, all silent, and a busy loop."""

    async def wait_for_nothing(stream: AsyncStream) -> None:
        async with stream:
            async for _ in stream:
                raise AssertionError("nothing was said")

    async def main() -> float:
        silence = np.zeros(480, np.float32)
        streams = [AsyncStream(script(silence, hangs=True)) for _ in range(40)]
        tasks = [asyncio.create_task(wait_for_nothing(stream)) for stream in streams]
        began, turns = time.monotonic(), 0
        while turns <= 10 and time.monotonic() - began < 5.0:
            await asyncio.sleep(0.005)
            turns += 1
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not any(stream.runner.is_running for stream in streams)
        return turns

    assert run(main()) > 10


def test_cancelling_a_wait_loses_nothing(demo_samples: F32) -> None:
    async def listen() -> list[Any]:
        heard: list[Any] = []
        async with AsyncStream(script(demo_samples)) as stream:
            for _ in range(10_000):
                try:
                    async with asyncio.timeout(0.001):
                        async for event in stream.events():
                            heard.append(event)
                        return heard
                except TimeoutError:
                    continue
        return heard

    assert bits(run(listen())) == bits(by_hand(demo_samples))


def test_async_errors_come_to_who_iterates(demo_samples: F32) -> None:
    async def listen() -> list[Estimate]:
        broken = script(demo_samples, fails_with=DeviceError("gone"))
        return [estimate async for estimate in AsyncStream(broken)]

    with pytest.raises(DeviceError, match="gone"):
        run(listen())


class OpensSlowly(ScriptedSource):
    """A source whose driver takes its time, and counts how often it was opened."""

    openings = 0

    def open(self) -> None:
        time.sleep(0.3)
        super().open()
        self.openings += 1


def at_work() -> list[threading.Thread]:
    """Return the threads that open a stream, read it or wait for it."""
    names = "rt-ser-aio", "rt-ser-worker"
    return [thread for thread in threading.enumerate() if thread.name.startswith(names)]


async def enter(stream: AsyncStream) -> None:
    async with stream:
        pass


async def iterate(stream: AsyncStream) -> None:
    async for _ in stream:
        pass


@pytest.mark.parametrize("use", [enter, iterate])
def test_a_stream_that_is_cancelled_while_it_opens_is_closed_again(
    use: Callable[[AsyncStream], Coroutine[Any, Any, None]],
) -> None:
    source = OpensSlowly(np.zeros(480, np.float32), is_live=True, hangs=True)

    async def listen() -> StreamRunner:
        stream = AsyncStream(StreamRunner(source, Pipeline(FakeClassifier())))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await use(stream)
        deadline = time.monotonic() + 10.0
        while at_work() and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        assert not at_work()
        return stream.runner

    assert not run(listen()).is_running
    assert source.openings == source.closings == 1


def test_a_recording_is_replayed_for_asyncio(demo_recording: Path) -> None:
    async def listen() -> tuple[int, bool]:
        stream = rt_ser.aio.replay(demo_recording, model=FakeClassifier())
        stream.mute()
        count = len([estimate async for estimate in stream])
        return count, stream.latest is not None and stream.latest.state is State.MUTED

    assert run(listen()) == (1, True)
