"""A made-up corpus: voices that a gate takes for speech, and noises, ready to be trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from rt_ser.config import Settings
from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ
from tests import signals
from train.cache import FeatureStore, Measured
from train.clips import clip_features
from train.corpora import Clip, Recording
from train.prepare import Prepared

EMOTIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgust")
PATTERN = "." * 12 + "S" * 30 + "." * 3 + "S" * 12 + "." * 18
"""One utterance of 1.26 s of speech in 2.25 s."""


def voice(emotion: int, seed: int) -> F32:
    """Speak with a timbre of the emotion's own, from low to high, and a voice of the seed's."""
    rng = np.random.default_rng((emotion, seed))
    frames = signals.by_pattern(PATTERN).reshape(-1, FRAME_SAMPLES)
    frames = np.roll(frames, int(rng.integers(-3, 4)), axis=0)
    spectrum = np.fft.rfft(frames.reshape(-1).astype(np.float64))
    octaves = np.log2(np.maximum(1.0, np.arange(len(spectrum))) / len(spectrum))
    tilt = 2.0 ** ((emotion - 2.5 + rng.uniform(-0.2, 0.2)) * octaves / 3.0)
    return signals.at_level(np.fft.irfft(spectrum * tilt, frames.size), -24.0)


def cremad_clip(speaker: int, emotion: str, take: str = "DFA") -> Clip:
    """One clip of CREMA-D as it would be found."""
    key = f"cremad/{speaker}_{take}_{emotion}"
    return Clip(
        key=key, path=Path(f"{key}.wav"), corpus="cremad", speaker=f"cremad-{speaker}",
        sex="female", emotion=emotion,
    )  # fmt: skip


def ravdess_clip(speaker: int, emotion: str) -> Clip:
    """One clip of RAVDESS as it would be found."""
    key = f"ravdess/{speaker:02}-{emotion}"
    return Clip(
        key=key, path=Path(f"{key}.wav"), corpus="ravdess", speaker=f"ravdess-{speaker:02}",
        sex="male", emotion=emotion,
    )  # fmt: skip


def noise_recording(source: str, take: int = 0) -> Recording:
    """One take of a noise."""
    key = f"noise/{source}-{take}"
    return Recording(key=key, path=Path(f"{key}.wav"), kind="noise", category="rain", source=source)


def made_up(clips: list[Clip], noises: list[Recording]) -> Prepared:
    """Prepare clips and noises, without a file: features are those of made-up sounds."""
    sounds = {
        clip.key: voice(EMOTIONS.index(clip.emotion) if clip.emotion in EMOTIONS else 0, number)
        for number, clip in enumerate(clips)
    } | {item.key: signals.pink_noise(number)[:32_000] for number, item in enumerate(noises)}
    groups: dict[str, list[str]] = {}
    for clip in clips:
        groups.setdefault(clip.corpus, []).append(clip.key)
    if noises:
        groups["noise"] = [item.key for item in noises]
    stores = {
        name: FeatureStore.build(
            [Measured(key=key, samples=len(sounds[key])) for key in keys],
            [clip_features(sounds[key], Settings()) for key in keys],
        )
        for name, keys in groups.items()
    }
    return Prepared(
        clips=tuple(clips), recordings=tuple(noises), stores=stores, dropped={}, missing=()
    )


def small_corpus(speakers: int = 6) -> Prepared:
    """Speakers of CREMA-D, each with every emotion, and six noises."""
    clips = [
        cremad_clip(1001 + speaker, emotion) for speaker in range(speakers) for emotion in EMOTIONS
    ]
    return made_up(clips, [noise_recording(f"1-{number}") for number in range(6)])


def recorded(prepared: Prepared, folder: Path) -> Prepared:
    """Write the voices of made-up clips into a folder, so that they can be played."""
    clips = []
    for number, clip in enumerate(prepared.clips):
        path = folder / f"{number}.wav"
        samples = voice(EMOTIONS.index(clip.emotion), number)
        soundfile.write(path, samples, RATE_HZ, subtype="FLOAT")
        clips.append(replace(clip, path=path))
    return replace(prepared, clips=tuple(clips))
