"""What a teacher tells of clips: their places, their courses and its opinions of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rt_ser.types import F32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """Where a teacher places a clip step by step.

    ``steps`` has shape (n, any); the middle of the first step is the clip's sample
    ``start``, and each next one lies ``step_samples`` later.
    """

    steps: NDArray[np.float16]
    start: int
    step_samples: int

    def at(self, samples: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return what lies at these samples of the clip, between steps in proportion."""
        where = np.clip((samples - self.start) / self.step_samples, 0, len(self.steps) - 1)
        low = np.minimum(where.astype(np.int64), max(0, len(self.steps) - 2))
        high = np.minimum(low + 1, len(self.steps) - 1)
        share = (where - low)[:, None]
        mixed = self.steps[low] * (1.0 - share) + self.steps[high] * share
        return np.asarray(mixed, np.float16)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lessons:
    """What a teacher says of clips, by their keys: see :mod:`train.teach.lessons`.

    ``places`` have shape (count,), ``opinions`` (CLASSES,) and sum to 1. A clip may have
    one and not the other; it has its course where it has its place.
    """

    count: int
    places: Mapping[str, F32]
    opinions: Mapping[str, F32]
    courses: Mapping[str, Course] = field(default_factory=dict)

    @property
    def course_count(self) -> int:
        """Coordinates of a step of a course."""
        return next((course.steps.shape[1] for course in self.courses.values()), 0)


UNTAUGHT = Lessons(count=0, places={}, opinions={})
