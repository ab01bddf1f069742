"""Hooks: functions that are called when there is something to tell.

    python examples/callbacks.py [RECORDING]

With audio of your own, hand the hooks to an Analyzer; they are then called by ``feed``.
"""

from __future__ import annotations

import sys

import numpy as np

import rt_ser
from rt_ser.data import DEMO_RECORDING
from rt_ser.model import Classifier
from rt_ser.stream_events import StreamEvent
from rt_ser.types import F32


def show(event: StreamEvent) -> None:
    """Print one line for each turn and each loss."""
    if isinstance(event, rt_ser.Utterance):
        print(f"turn {event.number}: {event.label} {event.confidence:.0%}")
    elif isinstance(event, rt_ser.Gap):
        print(f"lost {event.stop - event.start} samples")


def from_a_stream(recording: str, model: Classifier | None = None) -> None:
    """Have a stream call: from a thread of its own, in order."""
    stream = rt_ser.replay(recording, model=model)
    with rt_ser.subscribe(stream, on_event=show) as subscription:
        subscription.wait()


def from_samples(samples: F32, model: Classifier | None = None) -> int:
    """Push samples: hooks are called before ``feed`` returns. Return the number of turns."""
    turns: list[rt_ser.Utterance] = []
    with rt_ser.Analyzer(model, hooks=rt_ser.Hooks(on_utterance=turns.append)) as analyzer:
        for block in np.array_split(samples, max(1, len(samples) // 1_600)):
            analyzer.feed(block)
    return len(turns)


if __name__ == "__main__":
    from_a_stream(sys.argv[1] if len(sys.argv) > 1 else str(DEMO_RECORDING))
