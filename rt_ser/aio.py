"""Streams for asyncio: the same runtime, waited for without blocking the loop.

>>> async for estimate in rt_ser.aio.listen():
...     print(estimate.state, estimate.label)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Self, TypeVar

from rt_ser import api
from rt_ser.config import Settings
from rt_ser.model import Classifier
from rt_ser.mute import HOLD_OFF_S
from rt_ser.runtime import StreamRunner
from rt_ser.stream_events import StreamEvent
from rt_ser.types import Estimate, Meter, StreamStats, Summary

Result = TypeVar("Result")


class AsyncStream:
    """A stream at work, for one event loop and one task that takes its events.

    ``async for`` gives estimates, :meth:`events` everything; each event is given once. The
    stream starts with the first of them, or with ``async with``, which also ends it when it
    is left early; what was told by then may still be taken. Cancelling a wait loses no event.
    The properties never wait; ``mute`` and ``unmute`` may be called at any time.

    Parameters
    ----------
    runner : StreamRunner
        Not started yet. All waiting for it is done in two threads of this stream's own, so
        any number of streams may be waited for at once.
    """

    def __init__(self, runner: StreamRunner) -> None:
        self.runner = runner
        # None, once it has ended: the loop's own, as nothing is waited for any more.
        self._threads: ThreadPoolExecutor | None = ThreadPoolExecutor(
            2, thread_name_prefix="rt-ser-aio"
        )
        self._source = runner.events()
        self._pending: asyncio.Future[StreamEvent | None] | None = None
        self._is_started = False

    @property
    def latest(self) -> Estimate | None:
        """The newest estimate, whether or not it has been taken."""
        return self.runner.latest

    @property
    def meter(self) -> Meter:
        """Level and gate at the newest frame."""
        return self.runner.meter

    @property
    def stats(self) -> StreamStats:
        """The counters up to now."""
        return self.runner.stats

    def mute(self) -> None:
        """Stop listening, as while an agent speaks itself."""
        self.runner.mute()

    def unmute(self, *, hold_off_s: float = HOLD_OFF_S) -> None:
        """Listen again after ``hold_off_s`` more seconds of audio."""
        self.runner.unmute(hold_off_s=hold_off_s)

    async def summary(self) -> Summary:
        """Return the stream in total, up to now or to its end."""
        return await asyncio.to_thread(self.runner.summary)

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        """Yield all that the stream tells, in order, until it ends."""
        starts = not self._is_started
        if starts:
            await self._start()
        try:
            while (event := await self._next()) is not None:
                yield event
        finally:
            if starts:
                await self.aclose()

    async def aclose(self) -> None:
        """End the stream: open speech is judged, the source closed."""
        await self._end(None)

    def __aiter__(self) -> AsyncIterator[Estimate]:
        """Iterate over the estimates."""
        return self._estimates()

    async def __aenter__(self) -> Self:
        """Start the stream; raises what opening the source raises."""
        await self._start()
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, *exc: object) -> None:
        """End the stream; an error that nobody has seen is raised unless one is under way."""
        await self._end(exc_type)

    async def _estimates(self) -> AsyncIterator[Estimate]:
        async with aclosing(self.events()) as events:
            async for event in events:
                if isinstance(event, Estimate):
                    yield event

    async def _next(self) -> StreamEvent | None:
        """Wait for the next event; where that is cancelled, the next call gets it."""
        if self._pending is None:
            loop = asyncio.get_running_loop()
            self._pending = loop.run_in_executor(self._threads, next, self._source, None)
        try:
            event = await asyncio.shield(self._pending)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._pending = None
            raise
        self._pending = None
        return event

    async def _start(self) -> None:
        self._is_started = True
        try:
            await self._wait_for(self.runner.start)
        except BaseException:
            # Where this was cancelled, a thread still opens the source: it is to be closed then.
            self.runner.request_stop()
            self._let_threads_go()
            raise

    async def _end(self, exc_type: type[BaseException] | None) -> None:
        try:
            await self._wait_for(lambda: self.runner.__exit__(exc_type))
        finally:
            self._let_threads_go()

    def _let_threads_go(self) -> None:
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)

    async def _wait_for(self, call: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def listen(
    device: str | int | None = None,
    *,
    seconds: float | None = None,
    model: str | Path | Classifier | None = None,
    settings: Settings | None = None,
) -> AsyncStream:
    """Listen to a microphone, see :func:`rt_ser.listen`."""
    return AsyncStream(api.listen(device, seconds=seconds, model=model, settings=settings))


def replay(
    path: str | Path,
    *,
    speed: float | None = None,
    model: str | Path | Classifier | None = None,
    settings: Settings | None = None,
) -> AsyncStream:
    """Replay a recording as a stream, see :func:`rt_ser.replay`."""
    return AsyncStream(api.replay(path, speed=speed, model=model, settings=settings))
