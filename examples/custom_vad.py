"""A voice-activity detector of your own, such as Silero's, in place of webrtcvad.

    python examples/custom_vad.py [RECORDING]

It is asked about 30 ms at a time, already brought to a level at which speech is well
heard. The noise floor, the hangover and the check that a stretch lives as speech does stay
as they are: no detector is right about noise alone.
"""

from __future__ import annotations

import sys

import numpy as np

import rt_ser
from rt_ser.audio.files import FileSource
from rt_ser.data import DEMO_RECORDING
from rt_ser.model import Classifier, shared_classifier
from rt_ser.pipeline import Pipeline
from rt_ser.runtime import StreamRunner
from rt_ser.types import F32


class LowBandDetector:
    """Calls a frame speech where most of its energy lies in the band of voices.

    One is made for each stretch of audio without a gap, so it may keep a state.
    """

    def __init__(self) -> None:
        self.frames = 0

    def __call__(self, samples: F32) -> bool:
        """Judge 480 samples at 16 kHz, float32 in [-1, 1]."""
        self.frames += 1
        power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
        voice = power[3:100].sum()  # 100 to 3300 Hz
        return bool(voice > 0.6 * power.sum())


def turns_of(recording: str, model: Classifier | None = None) -> int:
    """Replay a recording with the detector and print its turns; return their number."""
    pipeline = Pipeline(model or shared_classifier("research"), detector=LowBandDetector)
    turns = 0
    with StreamRunner(FileSource(recording), pipeline) as stream:
        for event in stream.events():
            if isinstance(event, rt_ser.Utterance):
                turns += 1
                print(f"{event.start_s:5.1f} to {event.stop_s:5.1f} s: {event.label}")
    return turns


if __name__ == "__main__":
    turns_of(sys.argv[1] if len(sys.argv) > 1 else str(DEMO_RECORDING))
