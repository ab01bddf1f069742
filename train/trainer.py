"""One training run's moving parts: the network, its optimiser, its average, its checkpoint."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from rt_ser.errors import ConfigError
from rt_ser.recipes import recipe_named
from rt_ser.types import F32
from train.augment import Batch
from train.examples import CLASSES
from train.net import Network, decay_groups
from train.recipe import TrainRecipe

_NEVER = -1e9

Outputs = dict[str, torch.Tensor]


def masked_log_softmax(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return log probabilities over the classes whose mask is 1."""
    return functional.log_softmax(logits + (1.0 - masks) * _NEVER, dim=1)


def losses_of(
    outputs: Outputs, batch: dict[str, torch.Tensor], speech_weight: float
) -> torch.Tensor:
    """Cross-entropy over each corpus's own classes, plus that of the speech head, shape (n,).

    Scaled so that the mean over the batch is one over what is labelled.
    """
    logits, blend, labelled = outputs["emotion"], batch["blend"], batch["labelled"]
    each = [
        -(batch["targets"][:, i] * masked_log_softmax(logits, batch["masks"][:, i])).sum(1)
        for i in (0, 1)
    ]
    emotion = blend * each[0] + (1.0 - blend) * each[1]
    speech = functional.binary_cross_entropy_with_logits(
        outputs["speech"][:, 0], batch["speech"] * 0.98 + 0.01, reduction="none"
    )
    return emotion * labelled / labelled.mean() + speech_weight * speech


def one_cycle(step: int, total: int, peak: float) -> float:
    """Rise to ``peak`` over the first quarter and fall to nearly zero by cosine (Smith 2018)."""
    rise = max(1, total // 4)
    if step < rise:
        return peak * (0.04 + 0.96 * step / rise)
    fallen = (step - rise) / max(1, total - rise)
    return peak * (0.5 + 0.5 * math.cos(math.pi * fallen)) + 1e-6


def write_checkpoint(path: Path, recipe: TrainRecipe, state: dict[str, Any]) -> None:
    """Write a state of training by a recipe; the file is whole at every moment."""
    partial = path.with_suffix(".partial")
    torch.save({"recipe": repr(recipe), **state}, partial)
    partial.replace(path)


def read_checkpoint(path: Path, recipe: TrainRecipe, device: torch.device) -> dict[str, Any]:
    """Read what :func:`write_checkpoint` wrote.

    Raises
    ------
    ConfigError
        If the file belongs to another recipe.
    """
    kept: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    if kept["recipe"] != repr(recipe):
        raise ConfigError(
            f"{path}: left by another recipe than {recipe.name!r} now is: "
            "delete the folder, or train into another"
        )
    return kept


class Trainer:
    """A network, its optimiser and the running average of its weights.

    Trains on the first CUDA device if there is one, else on the processor.
    """

    def __init__(self, recipe: TrainRecipe, total_steps: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.recipe, self.total = recipe, total_steps
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        features = recipe_named(recipe.features)
        self.network = Network(
            features, classes=CLASSES, shape=recipe.shape, dropout=recipe.dropout
        ).to(self.device)
        self.average = copy.deepcopy(self.network).eval()
        groups = decay_groups(self.network, recipe.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, lr=1e-4, fused=True)

    def step(self, batch: Batch, number: int) -> float:
        """Take one optimiser step and return the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = one_cycle(number, self.total, self.recipe.peak_rate)
        tensors = {
            name: torch.from_numpy(getattr(batch, name)).to(self.device) for name in Batch.__slots__
        }
        self.network.train()
        outputs = self.network(tensors["inputs"].movedim(3, 1))
        loss = losses_of(outputs, tensors, self.recipe.speech_loss).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self._follow(min(self.recipe.average, (1.0 + number) / (10.0 + number)))
        return float(loss.detach())

    def _follow(self, decay: float) -> None:
        """Let the average of weights and running statistics follow the network."""
        kept, new = self.average.state_dict(), self.network.state_dict()
        moving = [name for name, value in kept.items() if value.is_floating_point()]
        torch._foreach_lerp_([kept[n] for n in moving], [new[n] for n in moving], 1.0 - decay)

    def save(self, path: Path, number: int) -> None:
        """Write everything that resuming needs; the file is whole at every moment."""
        state = {"step": number, "random": torch.get_rng_state(), **self._state()}
        write_checkpoint(path, self.recipe, state)

    def restore(self, path: Path) -> int:
        """Read what :meth:`save` wrote and return the number of the next step.

        Raises
        ------
        ConfigError
            If the file belongs to another recipe.
        """
        kept = read_checkpoint(path, self.recipe, self.device)
        self.network.load_state_dict(kept["network"])
        self.average.load_state_dict(kept["average"])
        self.optimizer.load_state_dict(kept["optimizer"])
        torch.set_rng_state(kept["random"].cpu())
        return int(kept["step"])

    def _state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }


def logits_of(network: Network, inputs: F32, size: int = 64) -> dict[str, F32]:
    """Return both heads' logits for windows of shape (n, frames, mels, 1), without training."""
    network.eval()
    device = next(network.parameters()).device
    with torch.no_grad():
        parts = [
            network(torch.from_numpy(inputs[first : first + size]).to(device).movedim(3, 1))
            for first in range(0, len(inputs), size)
        ]
    return {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}
