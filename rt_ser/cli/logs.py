"""Where log messages go: to standard error, one line each, and never across the screen."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Iterator
from typing import Final

from rt_ser.cli.common import Parser, tell

LEVELS: Final = ("debug", "info", "warning", "error")
_MOST_HELD: Final = 50


class StderrLog(logging.Handler):
    """Tells each message as one line; while it is held back the newest are kept for later."""

    def __init__(self) -> None:
        super().__init__()
        self._held: deque[str] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a message, or keep it."""
        try:
            line = f"{record.levelname.lower()}: {record.getMessage()}"
            if self._held is None:
                tell(line)
            else:
                self._held.append(line)
        except Exception:
            self.handleError(record)

    @contextlib.contextmanager
    def held_back(self) -> Iterator[None]:
        """Keep messages while something else has the terminal, and tell them after it."""
        self._held = deque(maxlen=_MOST_HELD)
        try:
            yield
        finally:
            held, self._held = self._held, None
            for line in held:
                tell(line)


def add_log_level(parser: Parser) -> None:
    """Add ``--log-level``."""
    parser.add_argument(
        "--log-level",
        choices=LEVELS,
        default="warning",
        help="tell on standard error what happens from this level on (default: warning)",
    )


@contextlib.contextmanager
def logging_to(handler: logging.Handler, level: str) -> Iterator[None]:
    """Hand the messages of rt-ser from a level on to a handler."""
    logger = logging.getLogger("rt_ser")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
