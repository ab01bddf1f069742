"""Files that are whole at every moment: a stop in the middle leaves what was there before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a file beside ``path`` to write to, which takes its place once that is done.

    Where writing fails nothing is left of it. The given name ends as ``path``
    does and holds the number of the process, so that two may write at a time.
    """
    draft = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_text_whole(path: Path, text: str) -> None:
    """Write a text file, in place of what was there before."""
    with written_whole(path) as draft:
        draft.write_text(text, encoding="utf-8")
