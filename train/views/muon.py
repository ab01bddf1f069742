"""Muon: steps of equal length in every direction, for kernels that are matrices.

Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks": the singular
values of the mean gradient are brought near 1, so that what few examples teach is learnt as
fast as what all of them do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.optim.optimizer import Optimizer

_MOMENTUM = 0.95
_ROUNDS = 5
_ODD = (3.4445, -4.7750, 2.0315)
"""Coefficients of x, x^3 and x^5 in a round: singular values from 0 to 1 go to 0.7 to 1.2."""

_AS_LONG_AS_ADAM = 0.2
"""Root mean square of a step (Liu et al. 2025, "Muon is scalable for LLM training", eq. 4)."""


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Bring all singular values of matrices (n, rows, columns) near 1."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    first, third, fifth = _ODD
    for _ in range(_ROUNDS):
        square = x @ x.transpose(1, 2)
        x = first * x + (third * square + fifth * square @ square) @ x
    return x.transpose(1, 2) if tall else x


class Muon(Optimizer):  # type: ignore[misc]  # has no types
    """For kernels of networks ``abreast``, each a matrix of its own; ``lr`` is a tensor."""

    def __init__(
        self,
        kernels: Sequence[torch.nn.Parameter],
        *,
        lr: torch.Tensor,
        weight_decay: float,
        abreast: int,
    ) -> None:
        super().__init__(kernels, {"lr": lr, "weight_decay": weight_decay})
        self._abreast = abreast

    def step(self, closure: Any = None) -> None:
        """Move every kernel against its mean gradient."""
        with torch.no_grad():
            for group in self.param_groups:
                for kernel in group["params"]:
                    self._move(kernel, group["lr"], group["weight_decay"])

    def _move(self, kernel: torch.Tensor, rate: torch.Tensor, decay: float) -> None:
        mean = self.state[kernel].setdefault("exp_avg", torch.zeros_like(kernel))
        mean.lerp_(kernel.grad, 1.0 - _MOMENTUM)
        ahead = torch.lerp(kernel.grad, mean, _MOMENTUM).flatten(1)
        steps = orthogonal(ahead.unflatten(0, (self._abreast, -1)))
        length = _AS_LONG_AS_ADAM * max(steps.shape[1:]) ** 0.5
        kernel.mul_(1.0 - rate * decay)
        kernel.sub_(steps.flatten(0, 1).reshape(kernel.shape) * (length * rate))
