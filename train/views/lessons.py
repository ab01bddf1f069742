"""What the network is taught beside labels: where the teacher places a view, what it hears.

``places`` are a view's coordinates among the training views, by whitened principal
components of what the encoder pooled. ``opinions`` are the emotions that heads on the
encoder hear in it; each comes from heads that were fitted to other speakers, so that an
opinion tells how a view sounds and not what was learnt by heart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from train.calibrate import fit_temperature
from train.learning import one_cycle

PLACES = 128
"""Coordinates of a view that are imitated."""

PARTS = 5
"""Groups of speakers, each of which is judged by heads that were fitted to the others."""

BY_NONE = -2
"""Part of what has no label: people who read."""

_COMPONENTS = 512
_SAMPLE = 32_768
_HEADS = 3
_HIDDEN = 256
_FEWEST_STEPS, _MOST_STEPS = 100, 3000
_EPOCHS = 20
_BATCH = 128
_PEAK_RATE = 3e-3
_DECAY = 0.1
_FARTHEST = 4.0
_AT_ONCE = 16_384
_FEW = 8192


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pupils:
    """Views of one training side, as the teacher knows them; everything lies on one device.

    ``pooled`` (n, any) is what the encoder made of them; ``targets`` (n,) the right
    class, ``fitted`` (n, classes) what heads are fitted to, which crowds' votes may have a
    part in; ``masks`` (n, classes) those that the corpus has, ``drawn`` (n,) how often it is
    drawn. ``part`` (n,) groups speakers; -1 is fitted to by all heads and judged by none,
    ``BY_NONE`` is fitted to by none and judged by none.
    """

    pooled: torch.Tensor
    targets: torch.Tensor
    fitted: torch.Tensor
    masks: torch.Tensor
    drawn: torch.Tensor
    part: torch.Tensor


def lessons(pupils: Pupils) -> tuple[torch.Tensor, torch.Tensor]:
    """Return places (n, PLACES) and opinions (n, classes), zero where there is none."""
    torch.manual_seed(0)
    found, deviations = coordinates(pupils.pooled)
    heads = fit_heads(found, deviations, pupils)
    logits = _ask(heads, found, pupils.part)
    temperature = _temperature(logits, pupils)
    cold = (logits / temperature).masked_fill(pupils.masks == 0, -torch.inf)
    told = cold.softmax(1) * (pupils.part >= 0)[:, None]
    return found[:, :PLACES], told


def coordinates(pooled: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows' whitened principal components, float16, and the deviation that each had.

    They are bounded, the widest first.
    """
    chosen = torch.randperm(len(pooled), device=pooled.device)[:_SAMPLE]
    sample = pooled[chosen].float()
    mean, scale = sample.mean(0), sample.std(0) + 1e-4
    sample = (sample - mean) / scale
    count = min(_COMPONENTS, len(sample) - 1, sample.shape[1])
    _, strengths, axes = torch.svd_lowrank(sample, q=count, niter=3)
    deviations = strengths / (len(sample) - 1) ** 0.5
    axes = axes / deviations
    parts = [
        (((part.float() - mean) / scale) @ axes).clamp(-_FARTHEST, _FARTHEST).half()
        for part in pooled.split(_AT_ONCE)
    ]
    return torch.cat(parts), deviations


class Heads(nn.Module):
    """As many networks of one hidden layer as there are groups of speakers, times three.

    They see components with the deviations that these had: whitened, the faintest, which
    are mostly noise, would count as much as the widest.
    """

    _widths: torch.Tensor

    def __init__(self, deviations: torch.Tensor, classes: int) -> None:
        super().__init__()
        count, inputs = PARTS * _HEADS, len(deviations)
        self.register_buffer("_widths", deviations / deviations.square().mean().sqrt())
        self.first = nn.Parameter((torch.rand(count, inputs, _HIDDEN) * 2 - 1) / inputs**0.5)
        self.second = nn.Parameter((torch.rand(count, _HIDDEN, classes) * 2 - 1) / _HIDDEN**0.5)
        self.first_bias = nn.Parameter(torch.zeros(count, 1, _HIDDEN))
        self.second_bias = nn.Parameter(torch.zeros(count, 1, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (heads, n, classes) of what each head sees, (heads, n, inputs)."""
        x = functional.dropout(x * self._widths, 0.3, self.training)
        x = functional.relu(torch.baddbmm(self.first_bias, x, self.first))
        x = functional.dropout(x, 0.3, self.training)
        return torch.baddbmm(self.second_bias, x, self.second)


def fit_heads(found: torch.Tensor, deviations: torch.Tensor, pupils: Pupils) -> Heads:
    """Fit heads to labels and votes, each corpus scored over its own classes.

    Head ``h`` never sees a view of part ``h % PARTS``.
    """
    device = found.device
    heads = Heads(deviations, pupils.masks.shape[1])
    heads.to(device)
    optimizer = torch.optim.AdamW(
        heads.parameters(), lr=_PEAK_RATE, weight_decay=_DECAY, fused=True
    )
    barred = (1.0 - pupils.masks) * -1e9
    own = torch.arange(PARTS * _HEADS, device=device) % PARTS
    shares = pupils.drawn * (pupils.part != BY_NONE)
    steps = min(_MOST_STEPS, max(_FEWEST_STEPS, _EPOCHS * len(found) // _BATCH))
    order = torch.stack(
        [
            torch.multinomial(shares * (pupils.part != part), steps * _BATCH, replacement=True)
            for part in own.tolist()
        ]
    )
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = one_cycle(step, steps, _PEAK_RATE)
        chosen = order[:, step * _BATCH : (step + 1) * _BATCH]
        logits = heads(found[chosen].float()) + barred[chosen]
        loss = functional.cross_entropy(logits.flatten(0, 1), pupils.fitted[chosen].flatten(0, 1))
        optimizer.zero_grad()
        (loss * len(own)).backward()
        optimizer.step()
    heads.eval()
    return heads


def _ask(heads: Heads, found: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    """Return the mean logits of those heads that were not fitted to a view's speaker."""
    answers = []
    for rows, parts in zip(found.split(_AT_ONCE), part.split(_AT_ONCE), strict=True):
        with torch.no_grad():
            said = heads(rows.float().expand(PARTS * _HEADS, *rows.shape))
        by_part = said.view(_HEADS, PARTS, len(rows), -1).mean(0)
        own = by_part[parts.clamp(min=0), torch.arange(len(rows), device=rows.device)]
        answers.append(torch.where((parts >= 0)[:, None], own, by_part.mean(0)))
    return torch.cat(answers)


def _temperature(logits: torch.Tensor, pupils: Pupils) -> float:
    known = torch.nonzero(pupils.part >= 0)[:, 0]
    known = known[torch.randperm(len(known), device=known.device)[:_FEW]]
    return fit_temperature(
        *(np.asarray(values[known].cpu()) for values in (logits, pupils.masks, pupils.targets))
    )
