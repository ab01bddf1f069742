"""A robot that looks at the newest estimate 20 times a second and never waits for it.

In five lines:

    import time, rt_ser
    with rt_ser.listen() as ear:
        while ear.is_running:
            move(ear.latest, ear.meter)       # ready at once, whatever the stream does
            time.sleep(0.05)

This program moves a face of ASCII to a recording:

    python examples/robot_loop.py [RECORDING] [--speed 4]
"""

from __future__ import annotations

import argparse
import time

import rt_ser
from rt_ser.data import DEMO_RECORDING
from rt_ser.runtime import StreamRunner

TICK_S = 0.05
FACES = {"happy": ":D", "surprised": ":o", "angry": ">:(", "fearful": "D:", "disgust": ":S",
         "sad": ":(", "calm": ":)", "neutral": ":|"}  # fmt: skip


def face(estimate: rt_ser.Estimate | None) -> str:
    """Choose a face; where nothing is judged, a listening one."""
    if estimate is None or estimate.state is not rt_ser.State.SPEECH:
        return "-_-"
    return FACES.get(estimate.label, ":|")


def run(ear: StreamRunner) -> tuple[list[str], float]:
    """Loop until the stream ends; return the faces made and the longest look in seconds."""
    shown: list[str] = []
    longest_s = 0.0
    with ear:
        tick = time.monotonic()
        while ear.is_running:
            began = time.perf_counter()
            estimate, meter = ear.latest, ear.meter
            longest_s = max(longest_s, time.perf_counter() - began)
            expression = face(estimate)
            if not shown or shown[-1] != expression:
                shown.append(expression)
                seconds = meter.position / 16_000
                print(f"{seconds:6.1f} s  {meter.level_dbfs:6.1f} dBFS  {expression}")
            tick += TICK_S
            time.sleep(max(0.0, tick - time.monotonic()))
    return shown, longest_s


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording", nargs="?", default=str(DEMO_RECORDING))
    parser.add_argument("--speed", type=float, default=1.0)
    options = parser.parse_args()
    _, longest_s = run(rt_ser.replay(options.recording, speed=options.speed))
    print(f"the longest look took {1e6 * longest_s:.0f} us")
