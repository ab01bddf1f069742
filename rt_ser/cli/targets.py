"""What must never be written to: whatever is a recording by its name or by what it holds."""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path
from typing import Final

HEADERLESS = {".raw", ".pcm"}
RECORDINGS = HEADERLESS | {
    ".wav", ".wave", ".w64", ".rf64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff",
    ".aifc", ".au", ".snd", ".caf", ".voc", ".sph", ".nist", ".m4a", ".aac", ".wma", ".mp4",
    ".mkv", ".webm",
}  # fmt: skip
"""How a recording's name ends, so that nothing is ever written to one."""

_HEAD_BYTES: Final = 512
_SPHERE: Final = b"NIST_1A"
"""How a SPHERE file begins: with a page of text before its samples."""

_PARQUET: Final = b"PAR1"


def is_named_like_a_recording(path: str) -> bool:
    """Whether a path ends as a recording's does."""
    return Path(path).suffix.lower() in RECORDINGS


def holds_no_text(path: str) -> bool:
    """Whether a plain file is there that holds something else than text, as a recording does.

    Pipes and devices are not opened, and a file that may not be read counts as text: it
    says why itself when it is written to.
    """
    head = _head(path)
    if head.startswith((_SPHERE, _PARQUET)) or b"\0" in head:
        return True
    try:
        # A letter that the last byte cuts in two is none of this file's faults.
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return True
    return False


def holds_a_table(path: str) -> bool:
    """Whether a plain file is there that begins like a Parquet table."""
    return _head(path).startswith(_PARQUET)


def _head(path: str) -> bytes:
    """Return how a plain file begins; nothing of whatever else there is."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return b""
        with open(path, "rb") as stream:
            return stream.read(_HEAD_BYTES)
    except (OSError, ValueError):
        return b""
