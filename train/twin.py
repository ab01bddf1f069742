"""The trained network once more in Keras, from which the TFLite converter starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import torch
from keras import layers
from torch import nn

from rt_ser.recipes import Recipe
from rt_ser.types import F32
from train.net import Network
from train.plan import EPSILON, HEADS, Kind, Layer, Shape, plan

Tensor = Any


def _norm_relu(x: Tensor, *, linear: bool = False) -> Tensor:
    x = layers.BatchNormalization(epsilon=EPSILON)(x)
    return x if linear else layers.ReLU(max_value=6.0)(x)


def _padded(x: Tensor, layer: Layer) -> Tensor:
    """Pad as PyTorch does: evenly, where "same" pads a strided convolution on one side."""
    return layers.ZeroPadding2D(layer.padding)(x) if any(layer.padding) else x


def _apply(x: Tensor, layer: Layer) -> Tensor:
    even = {"strides": layer.strides, "use_bias": False}
    if layer.strides == (1, 1) and layer.kind is not Kind.BANDS:
        even["padding"] = "same"
        padded = x
    else:
        padded = _padded(x, layer)
    if layer.kind is Kind.SEPARABLE:
        y = _norm_relu(layers.DepthwiseConv2D(layer.kernel, **even)(padded))
        y = layers.Conv2D(layer.filters, 1, use_bias=False)(y)
        y = _norm_relu(y, linear=layer.residual)
        return layers.Add()([x, y]) if layer.residual else y
    if layer.kind is Kind.BANDS:
        padded = layers.MaxPooling2D((1, 2))(padded)
    return _norm_relu(layers.Conv2D(layer.filters, layer.kernel, **even)(padded))


def build_twin(recipe: Recipe, *, classes: int, shape: Shape | None = None) -> keras.Model:
    """Build the plan in Keras, for windows of shape (n, frames, mels, 1)."""
    inputs = keras.Input((recipe.window_frames, recipe.mels, 1), name="log_mel")
    x = inputs
    for layer in plan(recipe, shape):
        x = _apply(x, layer)
    x = layers.ReLU(max_value=6.0)(x)
    pooled = layers.Concatenate()(
        [layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)]
    )
    judged, hidden = pooled, (shape or Shape()).hidden
    if hidden:
        judged = layers.ReLU(max_value=6.0)(layers.Dense(hidden, name="hidden")(pooled))
    heads = zip(HEADS, (judged, pooled), (classes, 1), strict=True)
    outputs = {name: layers.Dense(size, name=name)(seen) for name, seen, size in heads}
    return keras.Model(inputs, outputs)


def twin(
    network: Network,
    recipe: Recipe,
    *,
    classes: Sequence[int],
    shape: Shape | None = None,
    offsets: F32 | None = None,
    speech_offset: float = 0.0,
) -> keras.Model:
    """Return the Keras model that computes what ``network`` does when it is not training.

    Parameters
    ----------
    network : Network
        What was trained, of that shape.
    recipe : Recipe
        The features it was trained on.
    classes : sequence of int
        Which of its classes are kept, in this order.
    shape : Shape, optional
        That of the network.
    offsets : ndarray, shape (classes,), optional
        Taken away from the logits of all of the network's classes.
    speech_offset : float
        Taken away from the logit of the speech head.
    """
    model = build_twin(recipe, classes=len(classes), shape=shape)
    sources = _weights(network.body)
    kept = {"emotion": list(classes), "speech": [0]}
    less = {"emotion": np.zeros(max(classes) + 1), "speech": np.array([speech_offset])}
    if offsets is not None:
        less["emotion"] = offsets.astype(np.float64)
    for layer in model.layers:
        if layer.name == "hidden" and network.hidden is not None:
            layer.set_weights([_array(network.hidden.weight).T, _array(network.hidden.bias)])
        elif isinstance(layer, layers.Dense):
            head, rows = network.heads[layer.name], kept[layer.name]
            bias = _array(head.bias)[rows] - less[layer.name][rows].astype(np.float32)
            layer.set_weights([_array(head.weight)[rows].T, bias])
        elif layer.weights:
            layer.set_weights(next(sources))
    return model


def _weights(body: nn.Module) -> Iterator[list[np.ndarray[Any, Any]]]:
    """Yield the weights of the layers that have any, in order and in Keras's shapes."""
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            order = (2, 3, 0, 1) if module.groups > 1 else (2, 3, 1, 0)
            yield [_array(module.weight).transpose(order)]
        elif isinstance(module, nn.BatchNorm2d):
            parts = (module.weight, module.bias, module.running_mean, module.running_var)
            yield [_array(part) for part in parts if part is not None]


def _array(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    return np.asarray(tensor.detach().cpu())
