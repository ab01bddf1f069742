"""The network: its shape, its cost, outputs that are logits, and a twin that says the same."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: make test-train")
pytest.importorskip("torch", reason="PyTorch is not installed: make test-train")

import torch

from rt_ser.recipes import RECIPES
from rt_ser.types import F32
from train.net import Network, decay_groups, joined, logits_of, parted
from train.plan import Kind, Shape, plan
from train.recipe import load_recipe
from train.report.work import multiply_accumulates
from train.twin import twin

FEATURES = RECIPES["logmel64-v1"]


@pytest.fixture(scope="module")
def narrow() -> Any:
    torch.manual_seed(0)
    return Network(FEATURES, classes=8, shape=Shape(width=0.25))


def windows(n: int) -> F32:
    shape = (n, FEATURES.window_frames, FEATURES.mels, 1)
    return np.random.default_rng(0).uniform(-1.0, 1.0, shape).astype(np.float32)


def test_two_outputs_of_logits(narrow: Any) -> None:
    found = logits_of(narrow, windows(3))
    assert {name: values.shape for name, values in found.items()} == {
        "emotion": (3, 8), "speech": (3, 1),
    }  # fmt: skip
    assert found["emotion"].min() < 0.0, "no softmax or sigmoid bounds them"


@pytest.mark.parametrize("hidden", [0, 16])
def test_networks_abreast_are_those_networks(hidden: int) -> None:
    """Outputs, gradients and running statistics: nothing of one reaches another."""
    torch.manual_seed(1)
    shape = Shape(width=0.25, hidden=hidden)
    made = {"classes": 8, "shape": shape, "dropout": 0.0}
    alone = [Network(FEATURES, **made).double().train() for _ in range(3)]
    abreast = Network(FEATURES, **made, abreast=3).double().train()
    abreast.load_state_dict(joined([network.state_dict() for network in alone]))
    seen = torch.randn(4, 3, 64, FEATURES.mels, dtype=torch.float64)
    found = {k: v.unflatten(1, (3, -1)) for k, v in abreast(seen).items()}
    sum(values.square().sum() for values in found.values()).backward()
    gradients = parted({k: v.grad for k, v in abreast.named_parameters()}, 3)
    states = parted(abreast.state_dict(), 3)
    for place, network in enumerate(alone):
        wanted = network(seen[:, place : place + 1])
        sum(values.square().sum() for values in wanted.values()).backward()
        for name, values in wanted.items():
            torch.testing.assert_close(found[name][:, place], values)
        for name, value in network.named_parameters():
            torch.testing.assert_close(gradients[place][name], value.grad, rtol=1e-6, atol=1e-9)
        for name, value in network.state_dict().items():
            torch.testing.assert_close(states[place][name], value)


def test_an_untrained_network_has_no_opinion(narrow: Any) -> None:
    """Bold first logits cost many epochs to unlearn."""
    assert np.abs(logits_of(narrow, windows(3))["emotion"]).max() < 1.0


@pytest.mark.parametrize("name", ["plain", "thirteenth", "fifteenth", "fifteenth_open"])
def test_the_full_network_fits_a_small_machine(name: str) -> None:
    """At most 500 kB in int8."""
    shape = load_recipe(name).shape
    parameters = sum(p.numel() for p in Network(FEATURES, classes=8, shape=shape).parameters())
    assert 100_000 < parameters < 400_000


@pytest.mark.parametrize("name", ["open", "research"])
def test_what_ships_asks_little_of_a_processor(repo_root: Path, name: str) -> None:
    """At most 20 million operations a window."""
    assert 10e6 < multiply_accumulates(repo_root / "models" / f"{name}.tflite") <= 20e6


def test_operations_counted_by_hand(tmp_path: Path) -> None:
    """A strided 5x5 convolution, a separable layer, and two dense ones."""
    import tensorflow as tf

    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            layers.Input((32, 16, 1), batch_size=1),
            layers.Conv2D(8, (5, 5), strides=(2, 2), padding="same"),
            layers.DepthwiseConv2D((3, 3), padding="same"),
            layers.Conv2D(16, (1, 1)),
            layers.Flatten(),
            layers.Dense(30),
            layers.Dense(5),
        ]
    )
    path = tmp_path / "small.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    maps = 16 * 8
    wanted = maps * (25 * 8 + 8 * 9 + 8 * 16) + maps * 16 * 30 + 30 * 5
    assert multiply_accumulates(path) == wanted


def test_the_plan_leaves_one_band() -> None:
    bands = FEATURES.mels
    for layer in plan(FEATURES):
        if layer.kind is Kind.BANDS:
            assert layer.kernel[1] == bands // 2
            bands = 1
        bands = math.ceil(bands / layer.strides[1])
    assert bands == 1


def test_the_same_window_gets_the_same_answer_in_any_company(narrow: Any) -> None:
    together = logits_of(narrow, windows(4))["emotion"]
    alone = logits_of(narrow, windows(4)[2:3])["emotion"]
    np.testing.assert_allclose(together[2:3], alone, atol=1e-5)


def test_shorter_windows_are_heard_too(narrow: Any) -> None:
    assert logits_of(narrow, windows(2)[:, :144])["emotion"].shape == (2, 8)


def test_norms_and_biases_do_not_decay(narrow: Any) -> None:
    kernels, others = decay_groups(narrow, 0.03)
    assert (kernels["weight_decay"], others["weight_decay"]) == (0.03, 0.0)
    assert {p.ndim for p in others["params"]} == {1}
    assert len(kernels["params"]) + len(others["params"]) == len(list(narrow.parameters()))


# The twin ---------------------------------------------------------------------------------


SHAPES = [Shape(width=0.25), Shape(width=0.25, hidden=24)]


@pytest.fixture(scope="module", params=SHAPES, ids=["linear", "hidden"])
def lived(request: pytest.FixtureRequest) -> Any:
    """A network whose statistics, scales and heads are no longer those that it began with."""
    torch.manual_seed(1)
    network = Network(FEATURES, classes=8, shape=request.param)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        network.train()
        for _ in range(30):
            network(torch.randn(8, 1, 64, FEATURES.mels))
    return network.eval(), request.param


def test_the_twin_says_the_same(lived: Any) -> None:
    network, shape = lived
    wanted = logits_of(network, windows(4))
    model = twin(network, FEATURES, classes=range(8), shape=shape)
    found = model.predict(windows(4), verbose=0)
    for name in ("emotion", "speech"):
        assert np.ptp(wanted[name]) > 0.05
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-3, atol=1e-3)


def test_the_twin_keeps_some_classes_and_shifts_the_speech_head(lived: Any) -> None:
    network, shape = lived
    wanted = logits_of(network, windows(2))
    model = twin(network, FEATURES, classes=[4, 0], shape=shape, speech_offset=1.5)
    found = model.predict(windows(2), verbose=0)
    np.testing.assert_allclose(found["emotion"], wanted["emotion"][:, [4, 0]], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found["speech"], wanted["speech"] - 1.5, rtol=1e-3, atol=1e-3)
