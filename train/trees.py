"""YAML that people or earlier commands wrote: whatever is wrong with it is told in one line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeGuard

from rt_ser.errors import ConfigError, RtSerError
from rt_ser.yaml_file import read_mapping

_MOST_BYTES = 64 * 1024


def read_tree(
    path: Path,
    *,
    kind: str,
    mend: str,
    error: type[RtSerError] = ConfigError,
    may_be_empty: bool = False,
) -> dict[str, Any]:
    """Read a file that holds one mapping.

    ``kind`` says what it should be, ``mend`` what to do where it is not: then ``error`` is raised.
    """
    try:
        return read_mapping(path, most_bytes=_MOST_BYTES, kind=kind, may_be_empty=may_be_empty)
    except OSError as wrong:
        raise error(f"{path}: {wrong.strerror or wrong}: {mend}") from None
    except ValueError as wrong:
        raise error(f"{wrong}: {mend}") from None


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_count(value: Any) -> bool:
    """Tell whether a value is a whole number, 0 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_names(value: Any) -> TypeGuard[list[str]]:
    """Tell whether a value is a list of texts."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def is_numbers_by_name(value: Any) -> bool:
    """Tell whether a value maps texts to finite numbers."""
    return isinstance(value, dict) and all(
        isinstance(name, str) and is_number(number) for name, number in value.items()
    )
