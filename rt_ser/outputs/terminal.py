"""The live screen: pulls the newest View several times a second and draws it.

Drawing happens in rich's own refresh thread. It takes what is newest at that moment and
neither the worker nor the reader of estimates ever waits for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from rich.console import Console
from rich.live import Live

from rt_ser.outputs.dashboard import Dashboard
from rt_ser.outputs.look import Look
from rt_ser.outputs.view import Monitor
from rt_ser.types import Estimate


def terminal_console(*, no_color: bool) -> Console:
    """Return a console on standard output that interprets nothing in what it prints."""
    return Console(
        file=sys.stdout,
        no_color=True if no_color else None,
        markup=False,
        emoji=False,
        highlight=False,
    )


def is_screen(environ: Mapping[str, str] | None = None) -> bool:
    """Whether standard output is a terminal that can be drawn on."""
    environ = os.environ if environ is None else environ
    return sys.stdout is not None and sys.stdout.isatty() and environ.get("TERM") != "dumb"


class TerminalDisplay:
    """The dashboard on the terminal's alternate screen.

    Parameters
    ----------
    monitor : Monitor
        Where the newest View comes from.
    look : Look
        The glyphs to draw with.
    console : Console
        Where to draw.
    refresh_hz : float
        How often.
    """

    def __init__(
        self, monitor: Monitor, *, look: Look, console: Console, refresh_hz: float
    ) -> None:
        self._monitor = monitor
        self._look = look
        self._live = Live(
            console=console,
            screen=True,
            refresh_per_second=refresh_hz,
            redirect_stdout=False,
            redirect_stderr=False,
            get_renderable=self.renderable,
        )

    def renderable(self) -> Dashboard:
        """Return the screen of this moment."""
        return Dashboard(view=self._monitor.view(), look=self._look)

    def start(self) -> None:
        """Switch to the alternate screen and begin to refresh it."""
        self._live.start(refresh=True)

    def show(self, estimate: Estimate) -> None:
        """Add one estimate to the timeline."""
        self._monitor.history.add(estimate)

    def stop(self) -> None:
        """Leave the alternate screen."""
        self._live.stop()
