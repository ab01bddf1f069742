"""One line per change, where standard output is a pipe, a file or a log."""

from __future__ import annotations

from rt_ser.outputs.look import percent
from rt_ser.outputs.parts import clock
from rt_ser.outputs.sink import STDOUT, LineWriter
from rt_ser.types import Estimate, State


class PlainDisplay:
    """Writes a line whenever the state or the label changes, and nothing in between."""

    def __init__(self) -> None:
        self._writer = LineWriter(STDOUT)
        self._shown: tuple[State, str] | None = None

    def start(self) -> None:
        """Do nothing: the first estimate is the first change."""

    def show(self, estimate: Estimate) -> None:
        """Write the estimate if it says something new. Raises OutputError."""
        key = change_key(estimate)
        if key != self._shown:
            self._shown = key
            self._writer.write_line(change_line(estimate))

    def stop(self) -> None:
        """Do nothing: every line is out already."""


def change_key(estimate: Estimate) -> tuple[State, str]:
    """Return what must differ for a new line: the state, and in speech the label."""
    return estimate.state, estimate.label if estimate.state is State.SPEECH else ""


def change_line(estimate: Estimate) -> str:
    """Write one estimate as a line of aligned ASCII text."""
    time_and_state = f"{clock(estimate.stop_s):>9}  {estimate.state.replace('_', ' '):<10}"
    if estimate.state not in (State.SPEECH, State.UNSURE) or not estimate.label:
        return f"{time_and_state}  {estimate.reason}".rstrip()
    return (
        f"{time_and_state}  {estimate.label:<10} {percent(estimate.confidence)}"
        f"  valence {estimate.valence:+.2f}  arousal {estimate.arousal:+.2f}  {estimate.reason}"
    ).rstrip()
