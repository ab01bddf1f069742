"""Values with arrays in them made comparable, to the bit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

CLOCK = frozenset({"inference_ms", "max_inference_ms", "age_ms", "captured_at"})
"""What a clock measured, which no two runs have in common."""


def bits(value: Any) -> Any:
    """Return something that is equal for two values just when all they hold is, to the bit."""
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    if is_dataclass(value):
        names = [spec.name for spec in fields(value) if spec.name not in CLOCK]
        return type(value).__name__, [(name, bits(getattr(value, name))) for name in names]
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [bits(item) for item in value]
    return value
