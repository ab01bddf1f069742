"""The shape of the network, as data: trained in PyTorch and exported from Keras by one plan.

A depthwise-separable 2-D stem, temporal blocks, mean and max pooling, and two outputs.
Only operations that TFLite runs in int8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from rt_ser.recipes import Recipe

EPSILON = 1e-3
"""Added to the variance in every batch normalisation."""

HEADS = ("emotion", "speech")


class Kind(Enum):
    """What a layer does; each is followed by batch normalisation and ReLU6."""

    CONV = "conv"
    """A plain convolution."""
    SEPARABLE = "separable"
    """Depthwise, then pointwise (Howard et al. 2017); residual where shapes agree."""
    BANDS = "bands"
    """Max over pairs of bands, then one convolution over all that are left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of the plan; ``kernel`` and ``strides`` are (time, bands)."""

    kind: Kind
    inputs: int
    filters: int
    kernel: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)

    @property
    def residual(self) -> bool:
        """Whether the input is added to the output."""
        return (
            self.kind is Kind.SEPARABLE and self.strides == (1, 1) and self.inputs == self.filters
        )

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros on both sides that keep the size where the stride is 1."""
        return (0, 0) if self.kind is Kind.BANDS else (self.kernel[0] // 2, self.kernel[1] // 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What recipes choose of the network.

    ``middle`` and ``high`` are the stem's channels at 16 and at 8 bands, ``blocks`` how many
    temporal blocks follow and ``reach`` how many steps of 80 ms each of them sees. ``hidden``
    units lie between what is pooled and the emotions, none if 0. ``width`` scales every number
    of channels.
    """

    width: float = 1.0
    middle: int = 64
    high: int = 104
    blocks: int = 2
    reach: int = 5
    hidden: int = 0


def channels(filters: int, width: float) -> int:
    """Scale a number of channels, to a multiple of 8."""
    return max(8, 8 * round(filters * width / 8))


def plan(recipe: Recipe, shape: Shape | None = None) -> tuple[Layer, ...]:
    """Lay out the network for windows of a feature recipe.

    Time is halved before frequency: pitch lies in the fine structure of the low bands.
    """
    shape = shape or Shape()
    stem = [
        (Kind.CONV, 16, (5, 5), (2, 2)),
        (Kind.SEPARABLE, 32, (3, 3), (2, 1)),
        (Kind.SEPARABLE, shape.middle, (3, 3), (1, 2)),
        (Kind.SEPARABLE, shape.middle, (3, 3), (1, 1)),
        (Kind.SEPARABLE, shape.high, (3, 3), (2, 2)),
        (Kind.SEPARABLE, shape.high, (3, 3), (1, 1)),
    ]
    bands = recipe.mels // math.prod(strides[1] for _, _, _, strides in stem) // 2
    temporal = [(Kind.SEPARABLE, 192, (shape.reach, 1), (1, 1))] * shape.blocks
    layers = []
    inputs = 1
    for kind, filters, kernel, strides in [*stem, (Kind.BANDS, 192, (1, bands), (1, 1)), *temporal]:
        filters = channels(filters, shape.width)
        layers.append(
            Layer(kind=kind, inputs=inputs, filters=filters, kernel=kernel, strides=strides)
        )
        inputs = filters
    return tuple(layers)
