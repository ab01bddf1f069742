"""What a person watches while a stream runs, chosen by where it can be shown."""

from __future__ import annotations

from typing import Protocol

from rt_ser.types import Estimate


class Display(Protocol):
    """Shows a running stream between :meth:`start` and :meth:`stop`."""

    def start(self) -> None:
        """Begin to show."""

    def show(self, estimate: Estimate) -> None:
        """Take note of one more estimate. Returns at once."""

    def stop(self) -> None:
        """Give the terminal back as it was. Harmless when repeated."""


class NoDisplay:
    """Shows nothing: for ``--quiet``, and where standard output carries records."""

    def start(self) -> None:
        """Do nothing."""

    def show(self, estimate: Estimate) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""
