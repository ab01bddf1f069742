"""Trouble with a server, told in the log when it begins and when it is over."""

from __future__ import annotations

import logging


class Trouble:
    """Warns once of each kind of trouble, until it is over; for one thread.

    Parameters
    ----------
    log : logging.Logger
        Where it is told.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._told: set[str] = set()

    def begins(self, kind: str, text: str) -> None:
        """Warn, unless this kind has been told of since all was well."""
        if kind not in self._told:
            self._told.add(kind)
            self._log.warning("%s", text)

    def is_over(self, text: str) -> None:
        """Say so where there was any."""
        if self._told:
            self._told.clear()
            self._log.info("%s", text)
