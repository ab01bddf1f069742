"""How a network learns: what counts as an error, and how fast it learns when."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

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
