"""What is started, ended and asked what went wrong, as a context manager."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final, Self

NOT_STARTED: Final = (
    "a stream that was not started: use it in a with statement, or call start()"
)
"""What is said to whoever waits for one."""


class Lifetime(ABC):
    """Starts on entering and stops on leaving; an error is kept until somebody sees it."""

    def __init__(self) -> None:
        self._error: BaseException | None = None

    @abstractmethod
    def start(self) -> None:
        """Begin."""

    @abstractmethod
    def stop(self) -> None:
        """End, whatever state it is in."""

    def __enter__(self) -> Self:
        """Begin."""
        self.start()
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *exc: object) -> None:
        """End; an error that nobody has seen is raised unless one is under way."""
        self.stop()
        if exc_type is None:
            self._raise_error()

    def _raise_error(self) -> None:
        """Raise what went wrong, once."""
        error, self._error = self._error, None
        if error is not None:
            raise error
