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
from train.augment import Augmenter
from train.examples import Examples, heard_noise_examples, noise_examples, together
from train.net import Network
from train.prepare import Prepared
from train.progress import work_through
from train.recipe import Augmentation, TrainRecipe

HEARD_SHARE = 0.6
"""Share of noises that are what the voice-activity gate lets through."""

_BATCH = 48
_ROUND = 4
"""Batches in a round; the last holds only bent noises."""

_DECAY = 3e-3
"""Chosen, as was that share, by noises left out of the fit: see ``train/experiments.md``."""


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
    rounds = augmenters(labelled, noise, recipe)
    pooled, speech = _draw(network, rounds, batches, seed)
    weight, bias = logistic(pooled, speech, network.heads["speech"])
    with torch.no_grad():
        network.heads["speech"].weight.copy_(weight)
        network.heads["speech"].bias.copy_(bias)


def augmenters(labelled: Examples, noise: Examples, recipe: TrainRecipe) -> list[Augmenter]:
    """Return what draws each batch of a round: half of all windows are noise, half of it bent."""
    usual = replace(recipe.augmentation, partial=0.8, mixup=0.0, time_masks=0, mel_masks=0)
    bent = replace(
        usual, noise_stretch=1.0, noise_mel_shift=10.0, noise_beats=0.5, tilt=1.5, equaliser=1.0
    )
    features, mixed = recipe_named(recipe.features), _ROUND - 1

    def drawing(noise_share: float, augmentation: Augmentation) -> Augmenter:
        asked = replace(recipe, noise_share=noise_share, augmentation=augmentation)
        return Augmenter(labelled, noise, features, asked)

    return [drawing((0.5 * _ROUND - 1.0) / mixed, usual)] * mixed + [drawing(1.0, bent)]


def _draw(
    network: Network, rounds: list[Augmenter], batches: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    network.eval()

    def see(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng((seed, 1, number))
        batch = rounds[number % len(rounds)].draw(rng, _BATCH)
        with torch.no_grad():
            pooled = network.pooled(torch.from_numpy(batch.inputs).movedim(3, 1))
        return pooled, torch.from_numpy(batch.speech)

    seen = work_through("speech head", see, range(batches))
    return torch.cat([pooled for pooled, _ in seen]), torch.cat([speech for _, speech in seen])


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
