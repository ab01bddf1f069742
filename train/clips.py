"""One clip's features, by the very stages that serve the live stream."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_ser.config import Settings
from rt_ser.features import log_mel
from rt_ser.framing import Framer
from rt_ser.recipes import RECIPES, Recipe
from rt_ser.types import F32, AudioChunk, Segment
from rt_ser.vad import VoiceActivity

DEFAULT_RECIPE = RECIPES["logmel64-v1"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipFeatures:
    """Log-mel rows of a whole clip and what the voice-activity gate made of it.

    ``log_mel`` has shape (rows, mels), float16, natural log of power; ``speech`` one
    flag per 30 ms frame; ``spans`` the start and stop in samples of every utterance that
    was judged, shape (utterances, 2).
    """

    log_mel: NDArray[np.float16]
    speech: NDArray[np.bool_]
    spans: NDArray[np.int64]


def gate(
    samples: F32, settings: Settings, recipe: Recipe = DEFAULT_RECIPE
) -> tuple[list[Segment], NDArray[np.bool_]]:
    """Return every segment that the live gate would have judged, and its lamp per frame."""
    activity = VoiceActivity(
        settings.vad, settings.estimate, window_samples=recipe.window_samples
    )
    found: list[Segment | None] = []
    lamp: list[bool] = []
    for frame in Framer().push(AudioChunk(samples=samples, start=0)):
        found.append(activity.push(frame))
        lamp.append(activity.meter.is_speech)
    found.append(activity.flush())
    return [segment for segment in found if segment is not None], np.array(lamp, np.bool_)


def clip_features(
    samples: F32, settings: Settings, recipe: Recipe = DEFAULT_RECIPE
) -> ClipFeatures:
    """Compute a clip's log-mel rows and utterances.

    Parameters
    ----------
    samples : ndarray, shape (n,), float32, range [-1, 1]
        Mono audio at the pipeline rate.
    """
    found, lamp = gate(samples, settings, recipe)
    spans: dict[int, tuple[int, int]] = {}
    for segment in found:
        start, stop = spans.get(segment.utterance, (segment.start, segment.stop))
        spans[segment.utterance] = (min(start, segment.start), max(stop, segment.stop))
    return ClipFeatures(
        log_mel=log_mel(samples, recipe).astype(np.float16),
        speech=lamp,
        spans=np.array(list(spans.values()), np.int64).reshape(-1, 2),
    )


def rows_of(start: int, stop: int, recipe: Recipe = DEFAULT_RECIPE) -> tuple[int, int]:
    """Return the range of rows that lie wholly between two sample indices."""
    first = -(-start // recipe.hop_samples)
    return first, 1 + (stop - recipe.fft_samples) // recipe.hop_samples
