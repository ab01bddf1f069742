"""The network that is trained, in PyTorch; :mod:`train.twin` turns it into Keras for export.

Two outputs, both logits: ``emotion`` with one value per class and ``speech``, which is
positive where the window holds speech.

Several networks of one shape can be one module, ``abreast``, their channels side by side in
groups that never meet: on a GPU they then cost little more than one of them. Every weight's
and statistic's first axis holds one network after the other, see :func:`parted`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from rt_ser.recipes import Recipe
from rt_ser.types import F32
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
    """A convolution without bias, then :class:`NormRelu`: of every channel alone, or of all.

    Of networks ``abreast`` each has its own. These are sums and products that a compiler can
    join: where groups are many and small, libraries for convolutions take twice as long.
    """

    def __init__(
        self, inputs: int, filters: int, layer: Layer | None = None, *, abreast: int,
        depthwise: bool = False, linear: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        kernel, strides, padding = (1, 1), (1, 1), (0, 0)
        if layer is not None:
            kernel, strides, padding = layer.kernel, layer.strides, layer.padding
        inputs, filters = abreast * inputs, abreast * filters
        groups = inputs if depthwise else abreast
        self.conv = nn.Conv2d(inputs, filters, kernel, strides, padding, groups=groups, bias=False)
        self.norm = NormRelu(filters, linear=linear)
        self.abreast, self.depthwise = abreast, depthwise

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply it to maps of shape (n, inputs, time, bands)."""
        if self.abreast == 1:
            y = self._alone(x)
        else:
            y = _added(x, self.conv) if self.depthwise else _multiplied(x, self.conv)
        normed: torch.Tensor = self.norm(y)
        return normed

    def _alone(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(x)
        return y


class Bands(Convolution):
    """A convolution over all bands at once: a product of matrices, which is four times as fast."""

    def _alone(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.permute(0, 2, 3, 1).flatten(2)
        kernel = self.conv.weight.permute(0, 2, 3, 1).flatten(1)
        return nn.functional.linear(rows, kernel).transpose(1, 2)[..., None]


def _under(x: torch.Tensor, conv: nn.Conv2d) -> list[torch.Tensor]:
    """Return what lies under each element of a kernel, all (n, inputs, time, bands)."""
    above, beside = conv.padding
    if above or beside:
        x = nn.functional.pad(x, (beside, beside, above, above))
    (high, wide), (down, right) = conv.kernel_size, conv.stride
    rows = [slice(i, x.shape[2] - high + i + 1, down) for i in range(high)]
    columns = [slice(i, x.shape[3] - wide + i + 1, right) for i in range(wide)]
    return [x[:, :, row, column] for row, column in itertools.product(rows, columns)]


def _added(x: torch.Tensor, conv: nn.Conv2d) -> torch.Tensor:
    """Convolve every channel alone: one element of all kernels after the other."""
    kernels = conv.weight.flatten(1).to(x.dtype)[..., None, None]
    parts = [part * kernels[:, place] for place, part in enumerate(_under(x, conv))]
    return functools.reduce(torch.add, parts)


def _multiplied(x: torch.Tensor, conv: nn.Conv2d) -> torch.Tensor:
    """Convolve all channels of a group: a product of matrices for each window and group."""
    under = torch.stack(_under(x, conv), 2).unflatten(1, (conv.groups, -1))
    kernels = conv.weight.flatten(1).unflatten(0, (conv.groups, -1))
    maps = torch.matmul(kernels, under.flatten(2, 3).flatten(3))
    return maps.flatten(1, 2).unflatten(2, under.shape[4:])


class Separable(nn.Module):
    """A depthwise, then a pointwise convolution; residual where the plan says so."""

    def __init__(self, layer: Layer, abreast: int) -> None:
        super().__init__()
        self.residual = layer.residual
        self.depthwise = Convolution(
            layer.inputs, layer.inputs, layer, abreast=abreast, depthwise=True
        )
        self.pointwise = Convolution(
            layer.inputs, layer.filters, abreast=abreast, linear=layer.residual
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply it to maps of shape (n, inputs, time, bands)."""
        y: torch.Tensor = self.pointwise(self.depthwise(x))
        return x + y if self.residual else y


class Lines(nn.Linear):
    """A linear layer of each network, on what all of them see side by side."""

    def __init__(self, inputs: int, outputs: int, abreast: int) -> None:
        super().__init__(inputs, abreast * outputs)
        self.abreast = abreast

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn (n, abreast * inputs) into (n, abreast * outputs)."""
        if self.abreast == 1:
            return super().forward(x)
        rows = x.unflatten(1, (self.abreast, -1)).transpose(0, 1)
        kernels = self.weight.unflatten(0, (self.abreast, -1)).transpose(1, 2)
        return torch.bmm(rows, kernels).transpose(0, 1).flatten(1) + self.bias


def _module(layer: Layer, abreast: int) -> nn.Module:
    if layer.kind is Kind.SEPARABLE:
        return Separable(layer, abreast)
    if layer.kind is Kind.BANDS:
        bands = Bands(layer.inputs, layer.filters, layer, abreast=abreast)
        return nn.Sequential(nn.MaxPool2d((1, 2)), bands)
    return Convolution(layer.inputs, layer.filters, layer, abreast=abreast)


class Network(nn.Module):
    """The plan's layers, mean and max pooling over what is left, and the two heads."""

    def __init__(
        self,
        recipe: Recipe,
        *,
        classes: int,
        shape: Shape | None = None,
        dropout: float = 0.3,
        abreast: int = 1,
    ) -> None:
        super().__init__()
        layers = plan(recipe, shape)
        self.abreast = abreast
        self.body = nn.Sequential(*(_module(layer, abreast) for layer in layers))
        self.dropout = nn.Dropout(dropout)
        self.pooled_size = 2 * layers[-1].filters
        hidden = (shape or Shape()).hidden
        self.hidden = Lines(self.pooled_size, hidden, abreast) if hidden else None
        sizes = {"emotion": (hidden or self.pooled_size, classes), "speech": (self.pooled_size, 1)}
        self.heads = nn.ModuleDict({name: Lines(*sizes[name], abreast) for name in HEADS})
        for head in self.heads.values():
            # small first weights: pooled maxima reach 6, and bold logits cost epochs to unlearn
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
        if abreast == 1:
            self.to(memory_format=torch.channels_last)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return both heads' logits for windows of shape (n, abreast, frames, mels).

        They have shape (n, abreast * classes) and (n, abreast).
        """
        return self.logits(self.pooled(x))

    def logits(self, pooled: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return both heads' logits for what :meth:`pooled` returned."""
        seen = self.dropout(pooled)
        judged = seen if self.hidden is None else nn.functional.relu6(self.hidden(seen))
        return {"emotion": self.heads["emotion"](judged), "speech": self.heads["speech"](seen)}

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the heads see of such windows, shape (n, abreast * pooled_size)."""
        x = nn.functional.relu6(self.body(x)).unflatten(1, (self.abreast, -1))
        return torch.cat([x.mean((3, 4)), x.amax((3, 4))], dim=2).flatten(1)


def joined(parts: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Return the state of networks abreast from the states of each."""
    first = parts[0]
    return {
        name: torch.cat([part[name] for part in parts]) if value.ndim else value
        for name, value in first.items()
    }


def parted(state: Mapping[str, torch.Tensor], abreast: int) -> list[dict[str, torch.Tensor]]:
    """Return the state of each of networks abreast; counts of batches are common to all."""
    parts = {
        name: value.chunk(abreast) if value.ndim else (value,) * abreast
        for name, value in state.items()
    }
    return [{name: values[place] for name, values in parts.items()} for place in range(abreast)]


def mixed(
    new: Mapping[str, torch.Tensor],
    earlier: Mapping[str, Mapping[str, torch.Tensor]],
    shares: Mapping[str, float],
) -> dict[str, torch.Tensor]:
    """Return a mean of states in which earlier ones have ``shares`` and the new one the rest.

    Counts, which are whole, stay new.
    """
    return {
        name: mean_of(value, {one: earlier[one][name] for one in shares}, shares)
        if value.is_floating_point()
        else value
        for name, value in new.items()
    }


def mean_of(new: Any, earlier: Mapping[str, Any], shares: Mapping[str, float]) -> Any:
    """Return a mean of tensors, or arrays, where ``earlier`` ones have ``shares``, as above."""
    return sum((share * (earlier[one] - new) for one, share in shares.items()), start=new)


def decay_groups(network: Network, weight_decay: float) -> list[dict[str, Any]]:
    """Part the parameters into those that decay and those that do not (norms and biases)."""
    kernels = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return [
        {"params": kernels, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


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
