"""Emotion in speech, live and on the machine it is heard on.

``Analyzer`` takes samples, ``listen`` a microphone and ``replay`` a recording; ``subscribe``
calls functions while a stream runs, and ``aio`` has the same for asyncio. Importing this
package loads none of the audio, screen or training libraries.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rt_ser import aio as aio
    from rt_ser.api import Analyzer as Analyzer
    from rt_ser.api import listen as listen
    from rt_ser.api import replay as replay
    from rt_ser.api import subscribe as subscribe
    from rt_ser.config import Settings as Settings
    from rt_ser.errors import ConfigError as ConfigError
    from rt_ser.errors import DeviceError as DeviceError
    from rt_ser.errors import InputError as InputError
    from rt_ser.errors import ModelError as ModelError
    from rt_ser.errors import OutputError as OutputError
    from rt_ser.errors import RtSerError as RtSerError
    from rt_ser.hooks import Hooks as Hooks
    from rt_ser.stream_events import Gap as Gap
    from rt_ser.stream_events import Notice as Notice
    from rt_ser.stream_events import Tally as Tally
    from rt_ser.stream_events import Utterance as Utterance
    from rt_ser.types import Estimate as Estimate
    from rt_ser.types import State as State
    from rt_ser.types import Summary as Summary

__version__ = "0.1.0"

_HOMES = {
    "rt_ser.api": ("Analyzer", "listen", "replay", "subscribe"),
    "rt_ser.config": ("Settings",),
    "rt_ser.errors": (
        "ConfigError",
        "DeviceError",
        "InputError",
        "ModelError",
        "OutputError",
        "RtSerError",
    ),
    "rt_ser.hooks": ("Hooks",),
    "rt_ser.stream_events": ("Gap", "Notice", "Tally", "Utterance"),
    "rt_ser.types": ("Estimate", "State", "Summary"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [*sorted(_HOME_OF), "__version__"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name == "aio":
        return importlib.import_module("rt_ser.aio")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'rt_ser' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
