"""What a teacher tells of clips: their places and its opinions of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rt_ser.types import F32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lessons:
    """What a teacher says of clips, by their keys: see :mod:`train.teach.lessons`.

    ``places`` have shape (count,), ``opinions`` (CLASSES,) and sum to 1. A clip may have
    one and not the other.
    """

    count: int
    places: Mapping[str, F32]
    opinions: Mapping[str, F32]


UNTAUGHT = Lessons(count=0, places={}, opinions={})
