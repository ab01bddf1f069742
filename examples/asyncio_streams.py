"""Two streams in one event loop, beside whatever else it does; they share one model.

Run it with ``python examples/asyncio_streams.py [RECORDING ...]``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import rt_ser
from rt_ser.data import DEMO_RECORDING
from rt_ser.model import Classifier


async def follow(name: str, recording: str, model: Classifier | None) -> int:
    """Print each turn of one stream and return how many there were."""
    turns = 0
    async with rt_ser.aio.replay(recording, model=model) as stream:
        async for event in stream.events():
            if isinstance(event, rt_ser.Utterance):
                turns += 1
                print(f"{name}: {event.stop_s:5.1f} s  {event.label} {event.confidence:.0%}")
    return turns


async def main(recordings: Sequence[str], model: Classifier | None = None) -> list[int]:
    """Follow all recordings at once."""
    streams = [follow(f"ear {ear}", path, model) for ear, path in enumerate(recordings)]
    return await asyncio.gather(*streams)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:] or [str(DEMO_RECORDING)] * 2))
