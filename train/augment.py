"""Augmentation of log-mel windows, whole batches at a time.

Everything happens before level normalisation, in natural log of power, so that adding
noise is ``logaddexp`` and an equaliser is an addition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_ser.features import scale_to_unit
from rt_ser.recipes import Recipe
from rt_ser.types import F32
from train.examples import Examples
from train.recipe import Augmentation, TrainRecipe

I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Model inputs and targets.

    ``inputs`` (n, frames, mels, 1); ``targets`` and ``masks`` (n, 2, CLASSES) hold those
    of an example and of the one mixed into it, ``blend`` (n,) the first one's share;
    ``speech`` (n,) is how much of the input is speech; ``labelled`` (n,) is 1 where the
    targets mean anything.
    """

    inputs: F32
    targets: F32
    masks: F32
    blend: F32
    speech: F32
    labelled: F32


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
    rng: np.random.Generator, count: I64, recipe: Recipe, settings: Augmentation
) -> tuple[I64, I64]:
    """Choose which part of each utterance is seen: its newest window, its onset, or any part."""
    frames = recipe.window_frames
    shortest = round(settings.shortest_s * 16000 / recipe.hop_samples)
    full = np.minimum(count, frames)
    short = np.minimum(full, shortest)
    partial = rng.random(len(count)) < settings.partial
    length = np.where(partial, rng.integers(short, full + 1), full)
    spare = count - length
    kind = rng.random(len(count))
    anywhere = rng.integers(0, spare + 1)
    start = np.where(kind < 0.5, 0, np.where(kind < 0.75, spare, anywhere))
    return start, length


def shift_mels(windows: F32, shift: F32) -> F32:
    """Slide each window along the mel axis by ``shift`` bands, edges repeated."""
    mels = windows.shape[2]
    at = np.clip(np.arange(mels)[None, :] + shift[:, None], 0, mels - 1)
    low = np.minimum(at.astype(np.int64), mels - 2)
    share = (at - low).astype(np.float32)[:, None, :]
    below = np.take_along_axis(windows, low[:, None, :], axis=2)
    above = np.take_along_axis(windows, low[:, None, :] + 1, axis=2)
    above -= below
    above *= share
    below += above
    return below


def equaliser(rng: np.random.Generator, n: int, mels: int, settings: Augmentation) -> F32:
    """Draw smooth gain curves over the mel axis, shape (n, 1, mels): a tilt and three waves."""
    axis = np.linspace(-0.5, 0.5, mels)
    curve = rng.normal(0.0, settings.tilt, (n, 1)) * 2.0 * axis
    for order in (1, 2, 3):
        phase = rng.uniform(0.0, 2.0 * np.pi, (n, 1))
        curve += rng.normal(0.0, settings.equaliser / order, (n, 1)) * np.cos(
            2.0 * np.pi * order * axis + phase
        )
    return curve[:, None, :].astype(np.float32)


def levels(windows: F32) -> F32:
    """Return each window's speech level, as ``rt_ser.features.speech_level``, shape (n,)."""
    energy = np.exp(windows).mean(axis=2)
    return np.asarray(np.log(np.square(energy).sum(axis=1) / energy.sum(axis=1)), np.float32)


class Augmenter:
    """Draws augmented batches from labelled utterances and noise."""

    def __init__(
        self, labelled: Examples, noise: Examples, features: Recipe, recipe: TrainRecipe
    ) -> None:
        self._labelled, self._noise = labelled, noise
        self._features, self._recipe = features, recipe
        self._settings = recipe.augmentation
        self._cumulative = np.cumsum(labelled.weights)

    def __len__(self) -> int:
        """Count the labelled utterances."""
        return len(self._labelled)

    def draw(self, rng: np.random.Generator, size: int) -> Batch:
        """Return one batch; the generator alone decides what is in it."""
        chosen = np.searchsorted(self._cumulative, rng.random(size) * self._cumulative[-1])
        chosen = np.minimum(chosen, len(self._labelled) - 1)
        windows = self._windows(rng, self._labelled, chosen)
        speech = np.ones(size, np.float32)
        silent = rng.random(size) < self._recipe.noise_share
        if silent.any():
            windows[silent] = self._windows(rng, self._noise, self._pick_noise(rng, silent.sum()))
            speech[silent] = 0.0
        self._pollute(rng, windows, speech)
        inputs = scale_to_unit(windows - levels(windows)[:, None, None], self._features)
        self._mask(rng, inputs)
        return self._mix(rng, inputs, chosen, speech)

    def _pick_noise(self, rng: np.random.Generator, n: int) -> I64:
        return rng.integers(0, len(self._noise), n)

    def _windows(self, rng: np.random.Generator, source: Examples, chosen: I64) -> F32:
        settings, n = self._settings, len(chosen)
        start, length = crop(rng, source.count[chosen], self._features, settings)
        spread = np.log1p(settings.stretch)
        rate = np.exp(rng.uniform(-spread, spread, n)).astype(np.float32)
        windows = gather(source, chosen, start, length, rate, self._features.window_frames)
        shift = rng.uniform(-settings.mel_shift, settings.mel_shift, n).astype(np.float32)
        windows = shift_mels(windows, shift)
        windows += equaliser(rng, n, windows.shape[2], settings)
        return windows

    def _pollute(self, rng: np.random.Generator, windows: F32, speech: F32) -> None:
        """Add recorded noise, a coloured noise floor and band limits, in place."""
        settings, n = self._settings, len(windows)
        level = levels(windows)
        hit = np.flatnonzero((rng.random(n) < settings.noise) & (speech > 0))
        if len(hit):
            noise = self._windows(rng, self._noise, self._pick_noise(rng, len(hit)))
            snr = rng.uniform(settings.lowest_snr_db, 35.0, len(hit)) * np.log(10.0) / 10.0
            noise += (level[hit] - levels(noise) - snr)[:, None, None].astype(np.float32)
            windows[hit] = np.logaddexp(windows[hit], noise)
        hit = np.flatnonzero(rng.random(n) < settings.floor)
        if len(hit):
            windows[hit] = np.logaddexp(windows[hit], self._floor(rng, level[hit]))
        hit = np.flatnonzero(rng.random(n) < settings.band_limit)
        for index in hit:
            low, high = rng.integers(0, 6), rng.integers(40, 62)
            windows[index, :, :low] = windows[index, :, high:] = level[index] - 12.0

    def _floor(self, rng: np.random.Generator, level: F32) -> F32:
        frames, mels = self._features.window_frames, self._features.mels
        snr = rng.uniform(10.0, 50.0, len(level)) * np.log(10.0) / 10.0
        floor = rng.normal(0.0, 0.4, (len(level), frames, mels)).astype(np.float32)
        floor += equaliser(rng, len(level), mels, self._settings)
        floor += (level - snr).astype(np.float32)[:, None, None]
        return floor

    def _mask(self, rng: np.random.Generator, inputs: F32) -> None:
        """Blank stretches of time and bands with the window's mean (SpecAugment), in place."""
        settings = self._settings
        means = inputs.mean(axis=(1, 2))
        frames, mels = inputs.shape[1:]
        for index, mean in enumerate(means):
            for _ in range(settings.time_masks):
                width = rng.integers(0, settings.time_mask_rows + 1)
                begin = rng.integers(0, frames - width + 1)
                inputs[index, begin : begin + width] = mean
            for _ in range(settings.mel_masks):
                width = rng.integers(0, settings.mel_mask_bands + 1)
                begin = rng.integers(0, mels - width + 1)
                inputs[index, :, begin : begin + width] = mean

    def _mix(self, rng: np.random.Generator, inputs: F32, chosen: I64, speech: F32) -> Batch:
        """Blend some examples with others of the batch (mixup)."""
        settings, n = self._settings, len(inputs)
        other = rng.permutation(n)
        drawn = rng.beta(settings.mixup_alpha, settings.mixup_alpha, n)
        larger = np.maximum(drawn, 1.0 - drawn)
        mixed = (rng.random(n) < settings.mixup) & (speech == speech[other])
        blend: F32 = np.where(mixed, larger, 1.0).astype(np.float32)
        share = blend[:, None, None]
        one = np.float32(1.0)
        targets = self._labelled.targets[chosen]
        masks = self._labelled.masks[chosen]
        return Batch(
            inputs=(inputs * share + inputs[other] * (one - share))[..., None],
            targets=np.stack([targets, targets[other]], axis=1),
            masks=np.stack([masks, masks[other]], axis=1),
            blend=blend,
            speech=speech,
            labelled=speech,
        )


def plain_windows(examples: Examples, features: Recipe) -> F32:
    """Return each example's newest full window without augmentation, as model inputs."""
    length = np.minimum(examples.count, features.window_frames)
    start = examples.count - length
    every = np.arange(len(examples))
    rate = np.ones(len(examples), np.float32)
    windows = gather(examples, every, start, length, rate, features.window_frames)
    inputs = scale_to_unit(windows - levels(windows)[:, None, None], features)
    return inputs[..., None]


