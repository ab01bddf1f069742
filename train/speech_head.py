"""The speech head once more, fitted to what it will be asked when everything else is done.

While the network learns, noises are a few windows of a batch, cut anywhere. In use the
head sees what the voice-activity gate took for speech, from its first half second on. So
the head alone, a logistic regression on what the network pools, is fitted again to
windows that begin and grow as they do in use, half of them noise. There are few noises to
be had, so half of these are bent beyond recognition, some so that they knock or tick.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from rt_ser.recipes import recipe_named
from train.examples import Examples, heard_noise_examples, noise_examples, together
from train.net import Network
from train.prepare import Prepared
from train.progress import tracked
from train.recipe import Augmentation, TrainRecipe
from train.views.distort import BACKWARDS, Distortion, curves, heights
from train.views.draw import shifted
from train.windows import crop, gather, in_beats

HEARD_SHARE = 0.6
"""Share of noises that are what the voice-activity gate lets through."""

_BATCH = 48
_ROUND = 4
"""Batches in a round; the last holds only bent noises."""

_IN_BEATS = 0.5
"""Share of bent noises that are heard in beats."""

_DECAY = 3e-3
"""Chosen, as was the share of heard noises, by noises left out of the fit: see
``train/experiments.md``."""


def fit_speech_head(
    network: Network,
    prepared: Prepared,
    labelled: Examples,
    recipe: TrainRecipe,
    *,
    batches: int = 400,
    seed: int = 0,
) -> None:
    """Replace the speech head's weights; the emotion head and all below stay as they are.

    ``labelled`` are the utterances that the network was trained on.
    """
    noise = together(noise_examples(prepared), heard_noise_examples(prepared), HEARD_SHARE)
    questions = Questions(labelled, noise, recipe, seed)
    network.eval()
    seen = []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for number in tracked("speech head", range(batches), batches):
            inputs, speech = questions.draw(is_bent=(number + 1) % _ROUND == 0)
            seen.append((network.pooled(inputs[:, None]), speech))
    pooled, speech = (torch.cat(parts) for parts in zip(*seen, strict=True))
    weight, bias = logistic(pooled, speech, network.heads["speech"])
    with torch.no_grad():
        network.heads["speech"].weight.copy_(weight)
        network.heads["speech"].bias.copy_(bias)


class Questions:
    """Draws windows of voices and of noise, as the head is asked about them.

    ``seed`` decides which stretches they are, PyTorch's own generator how they are bent.
    """

    def __init__(self, labelled: Examples, noise: Examples, recipe: TrainRecipe, seed: int) -> None:
        self._labelled, self._noise = labelled, noise
        self._features = recipe_named(recipe.features)
        self._rng = np.random.default_rng(seed)
        self._usual = replace(recipe.augmentation, partial=0.8, time_masks=0, mel_masks=0)
        self._bent = replace(
            self._usual, noise_stretch=1.0, noise_mel_shift=10.0, tilt=1.5, equaliser=1.0
        )
        self._distort = Distortion(noise, self._features, self._usual, torch.device("cpu"))

    def draw(self, *, is_bent: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Return inputs (n, frames, mels) and speech (n,), 1 where somebody speaks.

        Over a round half of the windows are noise: all of the batch that ``is_bent``, and a
        third of the others.
        """
        voices = 0 if is_bent else round(_BATCH * 0.5 * _ROUND / (_ROUND - 1))
        settings = self._bent if is_bent else self._usual
        noises = self._stretches(
            self._noise, _BATCH - voices, settings, settings.noise_stretch, settings.noise_mel_shift
        )
        turned = self._rng.random(len(noises)) < BACKWARDS
        noises[turned] = noises[turned].flip(1)
        if is_bent:
            beaten = self._rng.random(len(noises)) < _IN_BEATS
            noises[beaten] = torch.from_numpy(in_beats(self._rng, noises[beaten].numpy()))
        spoken = self._stretches(
            self._labelled, voices, settings, settings.stretch, settings.mel_shift
        )
        speech = (torch.arange(_BATCH) < voices).float()
        return self._distort(torch.cat([spoken, noises]), 0), speech

    def _stretches(
        self, examples: Examples, n: int, settings: Augmentation, stretch: float, mel_shift: float
    ) -> torch.Tensor:
        """Cut ``n`` windows that begin and grow as in use, at other speeds, pitches and tones."""
        frames = self._features.window_frames
        chosen = self._rng.choice(len(examples), n, p=examples.weights)
        start, length = crop(self._rng, examples.count[chosen], self._features, settings, frames)
        spread = np.log1p(stretch)
        rate = np.exp(self._rng.uniform(-spread, spread, n)).astype(np.float32)
        windows = torch.from_numpy(gather(examples, chosen, start, length, rate, frames))
        shift = torch.from_numpy(self._rng.uniform(-mel_shift, mel_shift, n).astype(np.float32))
        tones = heights(settings.tilt, settings.equaliser, windows.device)
        return shifted(windows, shift) + curves(n, tones, self._features.mels)


def logistic(
    pooled: torch.Tensor, speech: torch.Tensor, start: torch.nn.Linear
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fit a logistic regression with a little ridge, from the weights that a head has.

    Parameters
    ----------
    pooled : Tensor, shape (n, features)
    speech : Tensor, shape (n,)
        1 for speech, 0 for noise.
    start : Linear
        Where to start from.
    """
    weight = start.weight.detach().clone().requires_grad_()
    bias = start.bias.detach().clone().requires_grad_()
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        logits = functional.linear(pooled, weight, bias)[:, 0]
        value = functional.binary_cross_entropy_with_logits(logits, speech)
        value = value + _DECAY * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weight.detach(), bias.detach()
