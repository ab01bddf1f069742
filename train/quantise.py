"""From a trained network to a full-integer int8 TFLite file, and its temperature."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rt_ser.interpreter import open_interpreter
from rt_ser.types import F32


def to_int8(model: keras.Model, representative: F32) -> bytes:
    """Convert a network to TFLite with int8 weights, activations, input and outputs.

    Parameters
    ----------
    model : keras.Model
        Input (n, frames, mels, 1) in [-1, 1].
    representative : ndarray, shape (n, frames, mels, 1)
        Windows from which the ranges of activations are taken. A window that spans
        [-1, 1] is added, which pins the input's scale whatever the data hold.
    """
    pinned = np.linspace(-1.0, 1.0, representative[0].size, dtype=np.float32)
    windows = [pinned.reshape(representative[0].shape), *representative]

    def calibration() -> Iterator[list[F32]]:
        for window in windows:
            yield [window[None]]

    with TemporaryDirectory() as folder:
        model.export(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = calibration
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        content: bytes = converter.convert()
    return content


def run_int8(content: bytes, inputs: F32) -> dict[int, F32]:
    """Return an int8 file's dequantised outputs by their size, each (n, size)."""
    interpreter = open_interpreter(content, threads=2)
    entry = interpreter.get_input_details()[0]
    scale, zero_point = entry["quantization"]
    results: dict[int, list[F32]] = {}
    for window in inputs:
        steps = np.clip(np.rint(window / scale) + zero_point, -128, 127).astype(np.int8)
        interpreter.set_tensor(entry["index"], steps[None])
        interpreter.invoke()
        for details in interpreter.get_output_details():
            step, zero = details["quantization"]
            value = (interpreter.get_tensor(details["index"])[0].astype(np.float32) - zero) * step
            results.setdefault(value.size, []).append(value)
    return {size: np.array(values, np.float32) for size, values in results.items()}


def unbiased(
    as_keras: Callable[..., keras.Model], offsets: F32, columns: Sequence[int], windows: F32
) -> tuple[keras.Model, bytes]:
    """Return a float network, and an int8 file whose class logits equal its on average.

    By what int8 adds to a class's logits they are lowered (bias correction, Nagel et al. 2019,
    "Data-free quantization through weight equalization and bias correction"); what it adds to
    all of them changes no probability.

    Parameters
    ----------
    as_keras : callable
        Builds the network for ``offsets`` (all classes,), see :func:`train.twin.twin`.
    columns : sequence of int
        Places of the network's classes among all classes.
    windows : ndarray, shape (n, frames, mels, 1)
        On which that is measured, and from which the ranges of activations are taken.
    """
    model = as_keras(offsets=offsets)
    told = model.predict(windows, batch_size=64, verbose=0)["emotion"]
    added = run_int8(to_int8(model, windows), windows)[len(columns)] - told
    lowered = offsets.copy()
    lowered[list(columns)] += added.mean(axis=0) - added.mean()
    return model, to_int8(as_keras(offsets=lowered), windows)


def quantisation(content: bytes) -> dict[str, Any]:
    """Describe the input's and outputs' scales and zero points, for a manifest."""
    interpreter = open_interpreter(content)
    tensors = {
        "input": interpreter.get_input_details()[0],
        **{f"output_{int(d['shape'][-1])}": d for d in interpreter.get_output_details()},
    }
    return {
        "scheme": "full integer, int8",
        **{
            name: {"scale": float(d["quantization"][0]), "zero_point": int(d["quantization"][1])}
            for name, d in tensors.items()
        },
    }
