"""Libraries that only some outputs need, imported when they are used."""

from __future__ import annotations

import importlib
from typing import Any

from rt_ser.errors import OutputError


def need(module: str, *, extra: str) -> Any:
    """Import a module of an extra.

    Raises
    ------
    OutputError
        Where it is missing: with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.split(".")[0]
        raise OutputError(f"{package} is missing: pip install 'rt-ser[{extra}]'") from None
