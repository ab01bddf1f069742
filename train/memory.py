"""Freed memory, kept: taken anew, it would be cleared page by page, at every step again."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_SETTINGS = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 2**28}


def keep_freed_memory() -> bool:
    """Ask glibc to keep what this process frees, see mallopt(3), and tell whether it did.

    A network's maps are as large at every step, tens of megabytes each, and such blocks go
    back to the system unless told otherwise. Steps on a processor then take a fifth
    to a quarter longer.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, another system
        return False
    return all(mallopt(name, value) for name, value in _SETTINGS.items())
