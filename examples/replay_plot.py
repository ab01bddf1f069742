"""A recording as a figure: cells for Jupyter, VS Code or Spyder, or one program.

Needs ``pip install matplotlib``; ``python examples/replay_plot.py [RECORDING] [FIGURE.png]``.
"""

from __future__ import annotations

# %% Replay, as fast as it goes, and keep everything
import sys

import numpy as np

import rt_ser
from rt_ser.data import DEMO_RECORDING
from rt_ser.model import Classifier
from rt_ser.stream_events import StreamEvent


def heard(recording: str, model: Classifier | None = None) -> list[StreamEvent]:
    """Return all that a recording gives."""
    with rt_ser.replay(recording, model=model) as stream:
        return list(stream.events())


# %% Draw probabilities over time, and a box around each utterance
def plot(events: list[StreamEvent], path: str) -> int:
    """Save a figure and return how many utterances are in it."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    judged = [event for event in events if isinstance(event, rt_ser.Estimate) and event.label]
    turns = [event for event in events if isinstance(event, rt_ser.Utterance)]
    figure, (top, bottom) = pyplot.subplots(2, 1, sharex=True, figsize=(10, 5))
    if judged:
        times = [estimate.stop_s for estimate in judged]
        probs = np.array([estimate.probs for estimate in judged])
        for column, label in enumerate(judged[0].labels):
            top.plot(times, probs[:, column], label=label)
        bottom.plot(times, [estimate.valence for estimate in judged], label="valence")
        bottom.plot(times, [estimate.arousal for estimate in judged], label="arousal")
    for turn in turns:
        top.axvspan(turn.start_s, turn.stop_s, alpha=0.1)
        top.text(turn.start_s, 1.02, f"{turn.label} {turn.confidence:.0%}")
    top.set(ylim=(0, 1), ylabel="probability")
    bottom.set(ylim=(-1, 1), xlabel="seconds")
    for axes in (top, bottom):
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(path, bbox_inches="tight")
    pyplot.close(figure)
    return len(turns)


# %% With the bundled recording
if __name__ == "__main__":
    names = [*sys.argv[1:], str(DEMO_RECORDING), "emotions.png"]
    recording, picture = names[:2] if len(sys.argv) != 2 else (names[0], "emotions.png")
    print(f"{plot(heard(recording), picture)} utterances in {picture}")
