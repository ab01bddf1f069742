"""What every output is, and the one place where lines leave the process."""

from __future__ import annotations

import io
import os
import select
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from rt_ser.errors import OutputError

Event: TypeAlias = Mapping[str, object]
"""One event as plain JSON values, keys in the order in which they are written."""

STDOUT = "-"


class Sink(Protocol):
    """Takes events in order; closing twice is harmless."""

    def write(self, event: Event) -> None:
        """Write one event completely. Raises OutputError when it cannot be kept."""

    def close(self) -> None:
        """Let go of whatever is held open."""


@runtime_checkable
class LossySink(Protocol):
    """An output that drops events rather than wait for a network, and counts them."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def dropped(self) -> int: ...  # noqa: D102


class PipeClosed(OutputError):  # noqa: N818 - the end of a pipe, as in anyio
    """The reader of a pipe has left, as ``head`` does: no fault, but the end.

    The exit code is the shell's own for a program ended by SIGPIPE.
    """

    exit_code = 141


class LineWriter:
    """Writes whole lines, each visible to a reader at once.

    Bytes go straight to the descriptor: with no buffer in between, a full disk is
    noticed at the line that does not fit and cannot complain again at exit. They go to the
    end of the file, wherever that is by then, so that whoever rotates it may empty it.

    Parameters
    ----------
    path : str
        A file to (over)write, or ``-`` for standard output. What it holds stays until
        there is something to write: see :meth:`begin`.
    head : sequence of str
        Lines to begin with.

    Raises
    ------
    OutputError
        If the file cannot be opened for writing.
    """

    def __init__(self, path: str, *, head: Sequence[str] = ()) -> None:
        self.path = path
        self.name = "standard output" if path == STDOUT else repr(path)
        self.has_begun = False
        self._head = tuple(head)
        self._raw = self._open()

    def _open(self) -> io.RawIOBase:
        if self.path == STDOUT:
            if sys.stdout is None:
                raise OutputError("standard output is closed; give a file to write to")
            sys.stdout.flush()
            return io.FileIO(sys.stdout.fileno(), "wb", closefd=False)
        try:
            return io.FileIO(self.path, "ab")
        except OSError as error:
            raise OutputError(f"cannot write {self.name}: {self._why(error)}") from None

    def _why(self, error: OSError) -> str:
        folder = Path(self.path).parent
        if isinstance(error, FileNotFoundError) and not folder.exists():
            return f"there is no folder {str(folder)!r}; create it or give another path"
        return f"{error.strerror or error}; give another path"

    def begin(self) -> None:
        """Empty the file and write its head, once. Raises PipeClosed or OutputError."""
        if self.has_begun:
            return
        self.has_begun = True
        try:
            is_file = stat.S_ISREG(os.fstat(self._raw.fileno()).st_mode)
            if is_file and self.path != STDOUT:
                self._raw.truncate(0)
        except OSError as error:
            raise OutputError(f"cannot write {self.name}: {self._why(error)}") from None
        for line in self._head:
            self.write_line(line)

    def write_line(self, line: str) -> None:
        """Write ``line`` and a newline. Raises PipeClosed or OutputError."""
        self.begin()
        rest = memoryview(f"{line}\n".encode(errors="backslashreplace"))
        try:
            while rest:
                written = self._raw.write(rest)
                if written is None:  # a non-blocking pipe that is full at the moment
                    select.select([], [self._raw], [])
                rest = rest[written or 0 :]
        except BrokenPipeError:
            self._discard()
            raise PipeClosed(f"the reader of {self.name} has gone") from None
        except OSError as error:
            self._discard()
            raise OutputError(f"cannot write {self.name}: {self._why(error)}") from None

    def _discard(self) -> None:
        """Send what is still to come nowhere, so that no later flush fails again."""
        if self.path == STDOUT:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._raw.fileno())
            os.close(nowhere)

    def close(self) -> None:
        """Close the file, which stays as it was if nothing began; standard output stays open."""
        self._raw.close()
