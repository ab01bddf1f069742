"""The voice-activity gate by itself, fed frame by frame."""

from __future__ import annotations

from rt_ser.config import EstimateSettings, VadSettings
from rt_ser.framing import Framer
from rt_ser.recipes import RECIPES
from rt_ser.types import F32, AudioChunk, Frame, Segment
from rt_ser.vad import VoiceActivity

WINDOW_SAMPLES = RECIPES["logmel64-v1"].window_samples


def activity(
    vad: VadSettings | None = None, estimate: EstimateSettings | None = None
) -> VoiceActivity:
    return VoiceActivity(
        vad or VadSettings(), estimate or EstimateSettings(), window_samples=WINDOW_SAMPLES
    )


def frames_of(samples: F32) -> list[Frame]:
    return list(Framer().push(AudioChunk(samples=samples, start=0)))


def segments_of(samples: F32, gate: VoiceActivity | None = None) -> list[Segment]:
    """Run a gate over samples to their end."""
    gate = gate or activity()
    found = [gate.push(frame) for frame in frames_of(samples)] + [gate.flush()]
    return [segment for segment in found if segment is not None]
