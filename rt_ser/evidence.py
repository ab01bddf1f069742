"""What the newest frames amount to: how loud they are, and whether they live as speech does."""

from __future__ import annotations

from collections import deque

import numpy as np

from rt_ser.acoustics import BANDS, band_energies, harmonicity
from rt_ser.types import F32, SILENCE_DBFS

FLOOR_SPAN = 100
"""Frames (3 s) over whose minimum level the noise floor is taken."""

HEARING_DBFS = -20.0
"""RMS level at which detectors hear well."""

_PERIODIC = 0.6
_MIN_LIVELINESS = 1.15
_MIN_LEVEL_SPREAD_DB = 1.0
_MIN_PERIODIC_SHARE = 0.06


class LevelTracker:
    """Noise floor and loudness of the last three seconds, from frame levels in dBFS.

    The floor is the lowest level (minimum statistics, Martin 2001); the gain brings the
    highest one to where detectors hear well, and never looks into the future.
    """

    def __init__(self) -> None:
        self._levels: deque[float] = deque(maxlen=FLOOR_SPAN)

    def push(self, level: float) -> None:
        """Take the newest frame's level."""
        self._levels.append(level)

    @property
    def floor_dbfs(self) -> float:
        """The noise floor; that of digital silence before any frame."""
        return min(self._levels, default=SILENCE_DBFS)

    @property
    def gain(self) -> float:
        """Linear gain of 0 to 40 dB for the next look at the signal."""
        missing_db = HEARING_DBFS - max(self._levels, default=SILENCE_DBFS)
        return float(10.0 ** (min(40.0, max(0.0, missing_db)) / 20.0))


class Evidence:
    """What the newest speech frames of an utterance look like, for the third gate.

    Liveliness is the standard deviation over time of the log energy in a band, averaged
    over bands: about 0.6 for stationary noise, 0 for a tone, 1.3 or more for nine in
    ten windows of speech. It follows the long-term signal variability of Ghosh, Tsiartas
    and Narayanan (2011). The first frame and the newest are left out: the abrupt
    onset and end of a tone reach every band, and would make a siren as lively as speech.
    """

    def __init__(self, frames: int) -> None:
        self._bands = np.zeros((frames, BANDS))
        self._levels = np.zeros(frames)
        self._periodic = np.zeros(frames, bool)
        self.count = 0

    def clear(self) -> None:
        """Forget all frames."""
        self.count = 0

    def push(self, samples: F32, level: float) -> None:
        """Add one frame of speech, displacing the oldest when full."""
        slot = self.count % len(self._levels)
        self._bands[slot] = band_energies(samples)
        self._levels[slot] = level
        self._periodic[slot] = harmonicity(samples) > _PERIODIC
        self.count += 1

    def is_lively(self) -> bool:
        """Tell whether the frames vary, in spectrum and level, as speech does."""
        size = len(self._levels)
        kept = np.arange(size) < self.count
        kept[(self.count - 1) % size] = False
        kept[0] &= self.count > size
        if kept.sum() < 2:
            return False
        liveliness = float(self._bands[kept].std(axis=0).mean())
        periodic = float(self._periodic[kept].mean())
        spread = float(self._levels[kept].std())
        return (
            liveliness + 0.5 * periodic >= _MIN_LIVELINESS
            and spread >= _MIN_LEVEL_SPREAD_DB
            and periodic >= _MIN_PERIODIC_SHARE
        )
