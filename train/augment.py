"""Augmentation of log-mel windows, whole batches at a time.

Everything happens before level normalisation, in natural log of power, so that adding
noise is ``logaddexp`` and an equaliser is an addition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rt_ser.features import scale_to_unit
from rt_ser.recipes import Recipe
from rt_ser.types import F32
from train.examples import Examples
from train.recipe import TrainRecipe
from train.rooms import reverberate
from train.windows import (
    I64,
    crop,
    equaliser,
    gather,
    in_beats,
    levels,
    shift_mels,
)


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


class Augmenter:
    """Draws augmented batches from labelled utterances and noise."""

    def __init__(
        self, labelled: Examples, noise: Examples, features: Recipe, recipe: TrainRecipe
    ) -> None:
        self._labelled, self._noise = labelled, noise
        self._features, self._recipe = features, recipe
        self._settings = recipe.augmentation
        self._cumulative = np.cumsum(labelled.weights)
        self._noise_cumulative = np.cumsum(noise.weights)

    def __len__(self) -> int:
        """Count the labelled utterances."""
        return len(self._labelled)

    def draw(self, rng: np.random.Generator, size: int, frames: int | None = None) -> Batch:
        """Return one batch; the generator alone decides what is in it.

        ``frames`` is the length of its windows, the feature recipe's if not given.
        """
        frames = frames or self._features.window_frames
        chosen = np.searchsorted(self._cumulative, rng.random(size) * self._cumulative[-1])
        chosen = np.minimum(chosen, len(self._labelled) - 1)
        windows = self._voices(rng, chosen, frames)
        speech = np.ones(size, np.float32)
        silent = np.flatnonzero(rng.random(size) < self._recipe.noise_share)
        if len(silent):
            windows[silent] = self._noises(rng, len(silent), frames)
            speech[silent] = 0.0
        self._pollute(rng, windows, speech)
        inputs = scale_to_unit(windows - levels(windows)[:, None, None], self._features)
        self._mask(rng, inputs)
        return self._mix(rng, inputs, chosen, speech)

    def _voices(self, rng: np.random.Generator, chosen: I64, frames: int) -> F32:
        settings = self._settings
        windows = self._windows(
            rng, self._labelled, chosen, frames, settings.stretch, settings.mel_shift
        )
        hit = np.flatnonzero(rng.random(len(chosen)) < settings.reverb)
        if len(hit):
            windows[hit] = reverberate(
                rng, windows[hit], self._features, settings.reverb_most_db
            )
        return windows

    def _noises(self, rng: np.random.Generator, n: int, frames: int) -> F32:
        """Bend noises further than voices, and lay some over others: there are few of them."""
        settings = self._settings
        drawn = [
            self._windows(
                rng,
                self._noise,
                np.minimum(
                    np.searchsorted(self._noise_cumulative, rng.random(n)), len(self._noise) - 1
                ),
                frames,
                settings.noise_stretch,
                settings.noise_mel_shift,
            )
            for _ in range(2)
        ]
        first, second = drawn
        backwards = rng.random(n) < 0.3
        first[backwards] = first[backwards, ::-1]
        fainter = rng.uniform(0.0, 20.0, n) * np.log(10.0) / 10.0
        fainter += np.where(rng.random(n) < 0.5, 1000.0, 0.0)
        second += (levels(first) - levels(second) - fainter)[:, None, None].astype(np.float32)
        noises: F32 = np.logaddexp(first, second)
        if settings.noise_beats:
            hit = np.flatnonzero(rng.random(n) < settings.noise_beats)
            noises[hit] = in_beats(rng, noises[hit])
        return noises

    def _windows(
        self,
        rng: np.random.Generator,
        source: Examples,
        chosen: I64,
        frames: int,
        stretch: float,
        mel_shift: float,
    ) -> F32:
        settings, n = self._settings, len(chosen)
        start, length = crop(rng, source.count[chosen], self._features, settings, frames)
        spread = np.log1p(stretch)
        rate = np.exp(rng.uniform(-spread, spread, n)).astype(np.float32)
        windows = gather(source, chosen, start, length, rate, frames)
        windows = shift_mels(windows, rng.uniform(-mel_shift, mel_shift, n).astype(np.float32))
        windows += equaliser(rng, n, windows.shape[2], settings)
        return windows

    def _pollute(self, rng: np.random.Generator, windows: F32, speech: F32) -> None:
        """Add recorded noise, a coloured noise floor and band limits, in place."""
        settings, n = self._settings, len(windows)
        level = levels(windows)
        hit = np.flatnonzero((rng.random(n) < settings.noise) & (speech > 0))
        if len(hit):
            noise = self._noises(rng, len(hit), windows.shape[1])
            snr = rng.uniform(settings.lowest_snr_db, 35.0, len(hit)) * np.log(10.0) / 10.0
            noise += (level[hit] - levels(noise) - snr)[:, None, None].astype(np.float32)
            windows[hit] = np.logaddexp(windows[hit], noise)
        hit = np.flatnonzero(rng.random(n) < settings.floor)
        if len(hit):
            windows[hit] = np.logaddexp(
                windows[hit], self._floor(rng, level[hit], windows.shape[1])
            )
        hit = np.flatnonzero(rng.random(n) < settings.band_limit)
        for index in hit:
            low, high = rng.integers(0, 10), rng.integers(42, 62)
            windows[index, :, :low] = windows[index, :, high:] = level[index] - 12.0

    def _floor(self, rng: np.random.Generator, level: F32, frames: int) -> F32:
        mels = self._features.mels
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
