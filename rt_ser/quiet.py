"""Keeps C libraries' chatter from a person's terminal.

PortAudio prints failed C expressions, ALSA its configuration search, mpg123 its opinion
of a file and TFLite its choice of kernels to descriptor 2, beside the one line that we say.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_native_stderr() -> Iterator[None]:
    """Send descriptor 2 to nowhere while ``sys.stderr`` goes where it went.

    For a whole program, from its main thread: the descriptor belongs to the process.
    Does nothing where ``sys.stderr`` is not descriptor 2.
    """
    try:
        is_native = sys.stderr.fileno() == 2
    except (AttributeError, OSError, ValueError):
        is_native = False
    if not is_native:
        yield
        return
    before = sys.stderr
    before.flush()
    kept = os.dup(2)
    encoding, errors = before.encoding, before.errors
    with open(os.dup(kept), "w", encoding=encoding, errors=errors, buffering=1) as ours:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        sys.stderr = ours
        try:
            yield
        finally:
            sys.stderr = before
            os.dup2(kept, 2)
            os.close(kept)
