"""The network: a depthwise-separable 2-D stem, temporal blocks, mean and max pooling.

Only operations that TFLite runs in int8. Two outputs, both logits: ``emotion`` with one
value per class and ``speech``, which is positive where the window holds speech.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from rt_ser.recipes import Recipe

Tensor = Any


def _norm_relu(x: Tensor) -> Tensor:
    return layers.ReLU(max_value=6.0)(layers.BatchNormalization(momentum=0.98)(x))


def _separable(
    x: Tensor, filters: int, *, kernel: tuple[int, int] = (3, 3), strides: tuple[int, int] = (1, 1)
) -> Tensor:
    """Apply a depthwise, then a pointwise convolution (Howard et al. 2017).

    Residual where the shapes of input and output agree.
    """
    y = layers.DepthwiseConv2D(kernel, strides=strides, padding="same", use_bias=False)(x)
    y = _norm_relu(y)
    y = layers.Conv2D(filters, 1, use_bias=False)(y)
    if strides == (1, 1) and x.shape[-1] == filters:
        return layers.Add()([x, layers.BatchNormalization(momentum=0.98)(y)])
    return _norm_relu(y)


def _channels(filters: int, width: float) -> int:
    return max(8, 8 * round(filters * width / 8))


def build(recipe: Recipe, *, classes: int, width: float = 1.0, dropout: float = 0.3) -> keras.Model:
    """Build the untrained network for windows of a feature recipe.

    Parameters
    ----------
    recipe : Recipe
        Gives the input shape (window_frames, mels, 1).
    classes : int
        Number of emotions.
    width : float
        Factor on the number of channels.
    dropout : float
        Share of pooled features that training drops, in [0, 1).
    """
    inputs = keras.Input((recipe.window_frames, recipe.mels, 1), name="log_mel")
    x = layers.Conv2D(_channels(24, width), 5, strides=2, padding="same", use_bias=False)(inputs)
    x = _norm_relu(x)
    # time is halved before frequency: pitch lies in the fine structure of the low bands
    x = _separable(x, _channels(48, width), strides=(2, 1))
    x = _separable(x, _channels(96, width), strides=(1, 2))
    x = _separable(x, _channels(96, width))
    x = _separable(x, _channels(144, width), strides=(2, 2))
    x = _separable(x, _channels(144, width))
    x = layers.MaxPooling2D((1, 2))(x)
    x = layers.Conv2D(_channels(192, width), (1, x.shape[2]), use_bias=False)(x)
    x = _norm_relu(x)
    for _ in range(2):
        x = _separable(x, _channels(192, width), kernel=(5, 1))
    x = layers.ReLU(max_value=6.0)(x)
    pooled = layers.Concatenate()(
        [layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)]
    )
    dropped = layers.Dropout(dropout)(pooled)
    # small first weights: pooled maxima reach 6, and bold logits cost many epochs to unlearn
    small = keras.initializers.RandomNormal(stddev=0.01)
    outputs = {
        "emotion": layers.Dense(classes, kernel_initializer=small, name="emotion")(dropped),
        "speech": layers.Dense(1, kernel_initializer=small, name="speech")(dropped),
    }
    return keras.Model(inputs, outputs)


def multiply_accumulates(model: keras.Model) -> int:
    """Count multiply-accumulate operations of one forward pass."""
    total = 0
    for layer in model.layers:
        weights = layer.get_weights()
        if not weights or isinstance(layer, layers.BatchNormalization):
            continue
        shape = layer.output.shape
        positions = shape[1] * shape[2] if len(shape) == 4 else 1
        total += int(weights[0].size) * int(positions)
    return total
