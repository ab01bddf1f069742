"""Quantising: integers all through, a pinned input, and little lost."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: make test-train")
pytest.importorskip("torch", reason="PyTorch is not installed: make test-train")

import torch

from rt_ser.interpreter import open_interpreter
from rt_ser.model import TfliteClassifier
from rt_ser.recipes import RECIPES
from rt_ser.testing import LABELS
from rt_ser.types import F32, LogMel
from tests import tiny_models as tiny
from tests.train.made_up import small_corpus
from train.examples import labelled_examples
from train.net import Network
from train.plan import Shape
from train.quantise import quantisation, run_int8, to_int8, unbiased
from train.recipe import TrainRecipe
from train.twin import twin
from train.windows import plain_windows

FEATURES = RECIPES["logmel64-v1"]


@pytest.fixture(scope="module")
def inputs() -> F32:
    prepared = small_corpus(4)
    examples = labelled_examples(prepared, prepared.clips, TrainRecipe(name="test"))
    return plain_windows(examples, FEATURES)


@pytest.fixture(scope="module")
def as_keras(inputs: F32) -> Callable[..., Any]:
    """A network that has seen the inputs' statistics and has something to say of them."""
    torch.manual_seed(0)
    made = Network(FEATURES, classes=len(LABELS), shape=Shape(width=0.25), dropout=0.0).train()
    with torch.no_grad():
        for _ in range(100):
            made(torch.from_numpy(inputs[:8]).movedim(3, 1))
        for head in made.heads.values():
            head.weight.mul_(200.0)
            head.bias.add_(0.3)
    classes, shape = range(len(LABELS)), Shape(width=0.25)
    return functools.partial(twin, made.eval(), FEATURES, classes=classes, shape=shape)


@pytest.fixture(scope="module")
def model(as_keras: Callable[..., Any]) -> Any:
    return as_keras()


@pytest.fixture(scope="module")
def content(model: Any, inputs: F32) -> bytes:
    return to_int8(model, inputs)


def test_every_tensor_is_an_integer(content: bytes) -> None:
    interpreter = open_interpreter(content)
    kinds = {details["dtype"] for details in interpreter.get_tensor_details()}
    assert kinds <= {np.int8, np.int32, np.int64}
    ends = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    assert {details["dtype"] for details in ends} == {np.int8}


def test_little_is_lost(model: Any, content: bytes, inputs: F32) -> None:
    """Logits within a twentieth of their range on average, and nearly always the same winner."""
    wanted = model.predict(inputs, verbose=0)
    found = run_int8(content, inputs)
    for name, size in (("emotion", len(LABELS)), ("speech", 1)):
        assert found[size].shape == wanted[name].shape
        error = np.abs(found[size] - wanted[name])
        assert error.mean() < 0.05 * np.ptp(np.append(wanted[name], 0.0))
    same = found[len(LABELS)].argmax(axis=1) == wanted["emotion"].argmax(axis=1)
    assert same.mean() > 0.85


def test_no_class_is_favoured(as_keras: Callable[..., Any], inputs: F32) -> None:
    """As far as the outputs' scale goes, whatever the classes' offsets are."""
    offsets = np.linspace(-0.5, 0.5, len(LABELS), dtype=np.float32)
    model, content = unbiased(as_keras, offsets, range(len(LABELS)), inputs)
    wanted = model.predict(inputs, verbose=0)["emotion"]
    same = as_keras(offsets=offsets).predict(inputs, verbose=0)["emotion"]
    np.testing.assert_allclose(wanted, same)

    def favour(file: bytes) -> F32:
        added = (run_int8(file, inputs)[len(LABELS)] - wanted).mean(axis=0)
        return np.abs(added - added.mean())

    step = quantisation(content)[f"output_{len(LABELS)}"]["scale"]
    assert favour(to_int8(model, inputs)).max() > step
    assert favour(content).max() < 0.5 * step


def test_the_inputs_scale_is_pinned_whatever_the_data_hold(model: Any, inputs: F32) -> None:
    """Quiet data alone would leave no steps for loud input."""
    quiet = 0.05 * inputs[:8]
    entry = quantisation(to_int8(model, quiet))["input"]
    assert entry["scale"] == pytest.approx(2.0 / 255.0, rel=1e-3)
    assert abs(entry["zero_point"]) <= 1


def test_full_scale_does_not_wrap_round() -> None:
    """By a model of one layer, which tells loud input from quiet."""
    ends = np.array([-9.0, -1.0, 0.99, 1.0, 9.0], np.float32)
    windows = np.ones((5, *tiny.SHAPE[1:]), np.float32) * ends[:, None, None, None]
    found = run_int8(tiny.linear_model(), windows)[len(LABELS)]
    np.testing.assert_allclose(found[1], found[0], atol=2.0 * tiny.OUTPUT_SCALE)
    np.testing.assert_allclose(found[2], found[4], atol=2.0 * tiny.OUTPUT_SCALE)
    np.testing.assert_allclose(found[3], found[4], atol=2.0 * tiny.OUTPUT_SCALE)
    assert (found[4] > found[0]).all()


def test_the_live_classifier_says_the_same(content: bytes, inputs: F32, tmp_path: Path) -> None:
    path = tiny.write_model(tmp_path, content, temperature=1.7)
    classifier = TfliteClassifier.load(path)
    outputs = run_int8(content, inputs[:10])
    for index, window in enumerate(inputs[:10]):
        said = classifier.predict(
            LogMel(values=window[:, :, 0], start=0, stop=1, utterance=0, recipe=FEATURES.name)
        )
        scaled = outputs[len(LABELS)][index].astype(np.float64) / 1.7
        expected = np.exp(scaled - scaled.max())
        np.testing.assert_allclose(said.probs, expected / expected.sum(), atol=1e-5)
        speech = 1.0 / (1.0 + np.exp(-float(outputs[1][index, 0])))
        assert said.speech_prob == pytest.approx(speech, abs=1e-6)


def test_what_the_manifest_says_of_it(content: bytes) -> None:
    told = quantisation(content)
    interpreter = open_interpreter(content)
    assert told["scheme"] == "full integer, int8"
    assert set(told) == {"scheme", "input", "output_8", "output_1"}
    scale, zero_point = interpreter.get_input_details()[0]["quantization"]
    assert told["input"] == {"scale": pytest.approx(scale), "zero_point": zero_point}
