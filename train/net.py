"""The network that is trained, in PyTorch; :mod:`train.twin` turns it into Keras for export.

Two outputs, both logits: ``emotion`` with one value per class and ``speech``, which is
positive where the window holds speech.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from rt_ser.recipes import Recipe
from train.plan import EPSILON, HEADS, Kind, Layer, Shape, plan

_MOMENTUM = 0.02
"""Share of each batch's statistics in the running ones."""


class NormRelu(nn.BatchNorm2d):
    """Batch normalisation and, unless ``linear``, ReLU6."""

    def __init__(self, filters: int, *, linear: bool = False) -> None:
        super().__init__(filters, eps=EPSILON, momentum=_MOMENTUM)
        self.linear = linear

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply it to maps of shape (n, filters, time, bands)."""
        y: torch.Tensor = super().forward(x)
        return y if self.linear else nn.functional.relu6(y, inplace=True)


class Convolution(nn.Module):
    """A convolution, depthwise if ``groups`` says so, without bias, then :class:`NormRelu`."""

    def __init__(
        self, inputs: int, filters: int, layer: Layer | None = None, *, groups: int = 1,
        linear: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        kernel, strides, padding = (1, 1), (1, 1), (0, 0)
        if layer is not None:
            kernel, strides, padding = layer.kernel, layer.strides, layer.padding
        self.conv = nn.Conv2d(inputs, filters, kernel, strides, padding, groups=groups, bias=False)
        self.norm = NormRelu(filters, linear=linear)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply it to maps of shape (n, inputs, time, bands)."""
        y: torch.Tensor = self.norm(self.conv(x))
        return y


class Separable(nn.Module):
    """A depthwise, then a pointwise convolution; residual where the plan says so."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.depthwise = Convolution(layer.inputs, layer.inputs, layer, groups=layer.inputs)
        self.pointwise = Convolution(layer.inputs, layer.filters, linear=layer.residual)
        self.residual = layer.residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply it to maps of shape (n, inputs, time, bands)."""
        y: torch.Tensor = self.pointwise(self.depthwise(x))
        return x + y if self.residual else y


class Bands(Convolution):
    """A convolution over all bands at once: a product of matrices, which is four times as fast."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply it to maps of shape (n, inputs, time, bands); one band is left."""
        rows = x.permute(0, 2, 3, 1).flatten(2)
        kernel = self.conv.weight.permute(0, 2, 3, 1).flatten(1)
        y = nn.functional.linear(rows, kernel).transpose(1, 2)[..., None]
        result: torch.Tensor = self.norm(y)
        return result


def _module(layer: Layer) -> nn.Module:
    if layer.kind is Kind.SEPARABLE:
        return Separable(layer)
    if layer.kind is Kind.BANDS:
        return nn.Sequential(nn.MaxPool2d((1, 2)), Bands(layer.inputs, layer.filters, layer))
    return Convolution(layer.inputs, layer.filters, layer)


class Network(nn.Module):
    """The plan's layers, mean and max pooling over what is left, and the two heads."""

    def __init__(
        self, recipe: Recipe, *, classes: int, shape: Shape | None = None, dropout: float = 0.3
    ) -> None:
        super().__init__()
        layers = plan(recipe, shape)
        self.body = nn.Sequential(*(_module(layer) for layer in layers))
        self.dropout = nn.Dropout(dropout)
        self.pooled_size = 2 * layers[-1].filters
        hidden = (shape or Shape()).hidden
        self.hidden = nn.Linear(self.pooled_size, hidden) if hidden else None
        sizes = {"emotion": (hidden or self.pooled_size, classes), "speech": (self.pooled_size, 1)}
        self.heads = nn.ModuleDict({name: nn.Linear(*sizes[name]) for name in HEADS})
        for head in self.heads.values():
            # small first weights: pooled maxima reach 6, and bold logits cost epochs to unlearn
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return both heads' logits for windows of shape (n, 1, frames, mels)."""
        return self.logits(self.pooled(x))

    def logits(self, pooled: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return both heads' logits for what :meth:`pooled` returned."""
        seen = self.dropout(pooled)
        judged = seen if self.hidden is None else nn.functional.relu6(self.hidden(seen))
        return {"emotion": self.heads["emotion"](judged), "speech": self.heads["speech"](seen)}

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the heads see of such windows, shape (n, 2 * filters)."""
        x = nn.functional.relu6(self.body(x))
        return torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=1)


def decay_groups(network: Network, weight_decay: float) -> list[dict[str, Any]]:
    """Part the parameters into those that decay and those that do not (norms and biases)."""
    kernels = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return [
        {"params": kernels, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
