"""Windows of examples: which stretch is seen, and what the network is asked about it.

Until they are model inputs, windows are natural log of power.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rt_ser.features import scale_to_unit
from rt_ser.recipes import Recipe
from rt_ser.types import F32, RATE_HZ
from train.examples import Examples
from train.recipe import Augmentation

I64 = NDArray[np.int64]


def gather(examples: Examples, chosen: I64, start: I64, length: I64, rate: F32, frames: int) -> F32:
    """Return windows of rows, read at ``rate`` and repeated to fill, shape (n, frames, mels)."""
    at = (np.arange(frames)[None, :] * rate[:, None]) % np.maximum(length, 1)[:, None]
    low = np.minimum(at.astype(np.int64), length[:, None] - 1)
    high = (low + 1) % length[:, None]
    base = (examples.first[chosen] + start)[:, None]
    share = (at - low).astype(np.float32)[:, :, None]
    below: F32 = examples.rows[base + low].astype(np.float32)
    above = examples.rows[base + high].astype(np.float32)
    above -= below
    above *= share
    below += above
    return below


def crop(
    rng: np.random.Generator, count: I64, recipe: Recipe, settings: Augmentation, frames: int
) -> tuple[I64, I64]:
    """Choose which part of each utterance is seen: its newest window, its onset, or any part."""
    shortest = round(settings.shortest_s * RATE_HZ / recipe.hop_samples)
    full = np.minimum(count, frames)
    short = np.minimum(full, shortest)
    partial = rng.random(len(count)) < settings.partial
    length = np.where(partial, rng.integers(short, full + 1), full)
    spare = count - length
    kind = rng.random(len(count))
    anywhere = rng.integers(0, spare + 1)
    start = np.where(kind < 0.5, 0, np.where(kind < 0.75, spare, anywhere))
    return start, length


def in_beats(rng: np.random.Generator, windows: F32) -> F32:
    """Let windows be heard in beats: each rises and dies away again and again, by up to 35 dB.

    A period of 60 ms to 1 s, and for each window an attack and a decay of its own; shape as
    given, (n, frames, mels).
    """
    n, frames, _ = windows.shape
    period = np.exp(rng.uniform(np.log(6.0), np.log(100.0), (n, 1)))
    attack = rng.uniform(0.0, 0.3, (n, 1)) * period
    decay = np.exp(rng.uniform(np.log(0.7), np.log(0.5 * period + 1.0)))
    phase = (np.arange(frames) + rng.uniform(0.0, period)) % period
    fainter = np.where(phase < attack, (attack - phase) * 2.0, (phase - attack) / decay)
    fainter = np.minimum(fainter, rng.uniform(2.0, 8.0, (n, 1)))
    return np.asarray(windows - fainter[:, :, None], np.float32)


def levels(windows: F32) -> F32:
    """Return each window's speech level, as ``rt_ser.features.speech_level``, shape (n,)."""
    energy = np.exp(windows).mean(axis=2)
    return np.asarray(np.log(np.square(energy).sum(axis=1) / energy.sum(axis=1)), np.float32)


def windows_of(examples: Examples, features: Recipe, chosen: I64, start: I64, length: I64) -> F32:
    """Return stretches of examples as model inputs, without augmentation."""
    rate = np.ones(len(chosen), np.float32)
    windows = gather(examples, chosen, start, length, rate, features.window_frames)
    inputs = scale_to_unit(windows - levels(windows)[:, None, None], features)
    return inputs[..., None]


def plain_windows(examples: Examples, features: Recipe) -> F32:
    """Return each example's newest full window without augmentation, as model inputs."""
    length = np.minimum(examples.count, features.window_frames)
    return windows_of(examples, features, np.arange(len(examples)), examples.count - length, length)
