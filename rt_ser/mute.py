"""Whether to listen: told by any thread, taken note of where the next samples come."""

from __future__ import annotations

import threading

HOLD_OFF_S = 0.3
"""Audio ignored after unmuting, in which an echo of one's own voice dies away."""


class Mute:
    """A switch with a hold-off, counted in samples. Thread-safe; a signal handler may use it."""

    def __init__(self) -> None:
        # Reentrant: a signal may interrupt the very thread that holds it.
        self._lock = threading.RLock()
        self._left: int | None = 0

    @property
    def is_on(self) -> bool:
        """Whether the next sample is to be ignored."""
        return self._left != 0

    def begin(self) -> None:
        """Ignore everything from the next sample on."""
        with self._lock:
            self._left = None

    def end(self, hold_off_samples: int) -> None:
        """Ignore only so many samples more; nothing changes where it was not on."""
        if hold_off_samples < 0:
            raise ValueError(f"hold_off_samples={hold_off_samples} must be 0 or more")
        with self._lock:
            if self._left is None:
                self._left = hold_off_samples

    def take(self, samples: int) -> int:
        """Return how many of the next samples are to be ignored, and count them down."""
        with self._lock:
            if self._left is None:
                return samples
            ignored = min(self._left, samples)
            self._left -= ignored
            return ignored
