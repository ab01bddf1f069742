"""The network: its shape, its cost, and outputs that are logits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: make test-train")

import keras

from rt_ser.recipes import RECIPES
from train.net import build, multiply_accumulates

FEATURES = RECIPES["logmel64-v1"]


@pytest.fixture(scope="module")
def narrow() -> Any:
    keras.utils.set_random_seed(0)
    return build(FEATURES, classes=8, width=0.25)


def windows(n: int) -> np.ndarray[Any, Any]:
    shape = (n, FEATURES.window_frames, FEATURES.mels, 1)
    return np.random.default_rng(0).uniform(-1.0, 1.0, shape).astype(np.float32)


def test_two_outputs_of_logits(narrow: Any) -> None:
    found = narrow.predict(windows(3), verbose=0)
    assert {name: values.shape for name, values in found.items()} == {
        "emotion": (3, 8), "speech": (3, 1),
    }  # fmt: skip
    assert found["emotion"].min() < 0.0, "no softmax or sigmoid bounds them"
    assert narrow.input_shape == (None, FEATURES.window_frames, FEATURES.mels, 1)


def test_an_untrained_network_has_no_opinion(narrow: Any) -> None:
    """Bold first logits cost many epochs to unlearn."""
    assert np.abs(narrow.predict(windows(3), verbose=0)["emotion"]).max() < 1.0


def test_the_full_network_fits_a_small_machine() -> None:
    """At most 500 kB in int8, and under 40 million operations a window."""
    model = build(FEATURES, classes=8)
    assert 100_000 < model.count_params() < 400_000
    assert 10e6 < multiply_accumulates(model) < 40e6


def test_width_scales_the_cost(narrow: Any) -> None:
    half = build(FEATURES, classes=8, width=0.5)
    assert multiply_accumulates(narrow) < 0.5 * multiply_accumulates(half)
    assert narrow.count_params() < 0.6 * half.count_params()


def test_operations_counted_by_hand() -> None:
    """A 3x3 convolution to 4 channels, a depthwise one at half rate, pooling, a dense layer."""
    inputs = keras.Input((8, 6, 1))
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(5)(x))
    assert multiply_accumulates(model) == 8 * 6 * 9 * 4 + 4 * 3 * 9 * 4 + 4 * 5


def test_the_same_window_gets_the_same_answer_in_any_company(narrow: Any) -> None:
    together = narrow.predict(windows(4), verbose=0)["emotion"]
    alone = narrow.predict(windows(4)[2:3], verbose=0)["emotion"]
    np.testing.assert_allclose(together[2:3], alone, atol=1e-5)
