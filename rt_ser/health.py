"""Whether what comes in can be worked with: silent, clipped, off centre, too faint.

A stage like the others: it sees frames in order, and what it finds depends on them alone.
A finding is told once, with what to do, and once more when it is over.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from rt_ser.stream_events import Notice
from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ, Frame

WINDOW_S: Final = 10
"""Length of what is looked at, in seconds."""

SILENT_PEAK: Final = 4 / 32768
"""Below this nothing but a converter's own noise comes in: two bits of sixteen."""

FULL_SCALE: Final = 0.985
"""Samples beyond this count as clipped: resampling smooths flat tops a little."""

CLIPPED_RUN: Final = 3
"""Clipped samples that make a clipped frame: one may be chance."""

CLIPPED_SHARE: Final = 0.01
OFFSET: Final = 0.05
FAINT_DBFS: Final = -48.0
"""Speech at this level has lost a third of the bits that 16-bit speech has at -20 dBFS."""

FAINT_FRAMES: Final = 3 * RATE_HZ // FRAME_SAMPLES
"""Three seconds of speech, before it is called faint."""

_WINDOW_FRAMES: Final = WINDOW_S * RATE_HZ // FRAME_SAMPLES
_LOOK_FRAMES: Final = RATE_HZ // FRAME_SAMPLES


@dataclass(frozen=True, slots=True)
class _Measure:
    """What is kept of a frame."""

    peak: float
    mean: float
    is_clipped: bool
    speech_power: float | None


class InputHealth:
    """Watches frames and says what is wrong with the input."""

    def __init__(self) -> None:
        self._measures: deque[_Measure] = deque(maxlen=_WINDOW_FRAMES)
        self._frames = 0
        self._found: dict[str, str] = {}

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong at present, in words; empty where nothing is."""
        return tuple(self._found.values())

    def push(self, frame: Frame, *, is_speech: bool) -> list[Notice]:
        """Take the next frame and return what is to be said now, looking once a second."""
        if frame.gap:
            self._measures.clear()
        self._measures.append(_measured(frame.samples, is_speech=is_speech))
        self._frames += 1
        is_heard = "silent" in self._found and self._measures[-1].peak >= SILENT_PEAK
        if not is_heard and (self._frames % _LOOK_FRAMES or len(self._measures) < _WINDOW_FRAMES):
            return []
        return self._compare(self._look(), frame.stop)

    def _compare(self, found: dict[str, str], stop: int) -> list[Notice]:
        """Tell what is new and what is over."""
        over = [
            Notice(stop=stop, kind=kind, text=text, is_over=True)
            for kind, text in self._found.items()
            if kind not in found
        ]
        new = [
            Notice(stop=stop, kind=kind, text=text)
            for kind, text in found.items()
            if kind not in self._found
        ]
        # A figure that moves is no news.
        self._found = {kind: self._found.get(kind, text) for kind, text in found.items()}
        return over + new

    def _look(self) -> dict[str, str]:
        """Return what is wrong with the window, by kind."""
        peak = max(measure.peak for measure in self._measures)
        if peak < SILENT_PEAK:
            return {"silent": _silent_text(is_zero=peak == 0.0)}
        found = {}
        total = len(self._measures)
        clipped = sum(measure.is_clipped for measure in self._measures) / total
        # Once said it holds until it has all but ceased.
        if clipped >= (CLIPPED_SHARE / 4 if "clipping" in self._found else CLIPPED_SHARE):
            found["clipping"] = (
                f"input clips in {100 * clipped:.0f} % of blocks: lower the gain, or move the "
                "microphone away"
            )
        offset = sum(measure.mean for measure in self._measures) / total
        if abs(offset) >= OFFSET:
            found["offset"] = (
                f"input has a DC offset of {100 * offset:+.0f} %: check cable and sound card, or "
                "use another input"
            )
        return found | self._faint()

    def _faint(self) -> dict[str, str]:
        powers = [m.speech_power for m in self._measures if m.speech_power is not None]
        if len(powers) < FAINT_FRAMES:
            return {"faint": self._found["faint"]} if "faint" in self._found else {}
        level_dbfs = 10 * float(np.log10(max(1e-12, sum(powers) / len(powers))))
        if level_dbfs >= FAINT_DBFS + (3.0 if "faint" in self._found else 0.0):
            return {}
        return {
            "faint": f"input is faint: speech comes at {level_dbfs:.0f} dBFS: raise the gain, or "
            "move the microphone closer"
        }


def _measured(samples: F32, *, is_speech: bool) -> _Measure:
    peak = max(float(np.maximum.reduce(samples)), -float(np.minimum.reduce(samples)))
    clipped = int(np.count_nonzero(np.abs(samples) >= FULL_SCALE)) if peak >= FULL_SCALE else 0
    return _Measure(
        peak=peak,
        mean=float(np.add.reduce(samples)) / len(samples),
        is_clipped=clipped >= CLIPPED_RUN,
        speech_power=float(np.dot(samples, samples)) / len(samples) if is_speech else None,
    )


def _silent_text(*, is_zero: bool) -> str:
    if is_zero:
        return (
            f"input is silent since {WINDOW_S} s, nothing but zeros: it is muted or switched off; "
            "unmute it in the sound settings or on the microphone"
        )
    return (
        f"input is silent since {WINDOW_S} s: check that the microphone is plugged in, is not "
        "muted, and is the one you mean (rt-ser devices)"
    )
