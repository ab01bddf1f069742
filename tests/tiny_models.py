"""Models small enough to be written by hand, so that what they answer can be worked out."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from rt_ser.recipes import RECIPES
from rt_ser.testing import LABELS

RECIPE = RECIPES["logmel64-v1"]
SHAPE = (1, RECIPE.window_frames, RECIPE.mels, 1)
INPUT_SCALE, INPUT_ZERO = 2.0 / 255.0, -1
WEIGHT_SCALE = 1.0 / 2_048.0
OUTPUT_SCALE, OUTPUT_ZERO = 0.08, 10


def band_weights(rows: int, shape: tuple[int, ...] = SHAPE) -> NDArray[np.int8]:
    """Weights, shape (rows, frames * mels), by which each output hears a band of its own."""
    weights = np.zeros((rows, *shape[1:3]), np.int8)
    for row, bands in enumerate(np.array_split(np.arange(shape[2]), rows)):
        weights[row][:, bands] = 1 + row
    return weights.reshape(rows, -1)


def logits_of(values: NDArray[np.float32], weights: NDArray[np.int8]) -> NDArray[np.float64]:
    """Work out what a layer of such weights answers, before rounding, shape (rows,)."""
    steps = np.clip(np.rint(values / np.float32(INPUT_SCALE)), -127, 128)
    return (weights.astype(np.float64) @ steps.reshape(-1)) * INPUT_SCALE * WEIGHT_SCALE


def linear_model(
    outputs: tuple[int, ...] = (len(LABELS), 1),
    *,
    shape: tuple[int, ...] = SHAPE,
    is_float: bool = False,
) -> bytes:
    """Return a ``.tflite`` file with one fully connected layer for each size in ``outputs``."""
    schema = pytest.importorskip(
        "ai_edge_litert.schema_py_generated", reason="this runtime cannot write models"
    )
    return _Writer(schema, is_float=is_float).model(outputs, shape)


class _Writer:
    """Writes the flatbuffer; https://ai.google.dev/edge/litert/models/quantization_spec."""

    def __init__(self, schema: Any, *, is_float: bool) -> None:
        self._schema = schema
        self._kind = schema.TensorType.FLOAT32 if is_float else schema.TensorType.INT8
        self._numpy = np.float32 if is_float else np.int8
        self._buffers = [schema.BufferT()]
        self._tensors: list[Any] = []

    def model(self, outputs: tuple[int, ...], shape: tuple[int, ...]) -> bytes:
        schema = self._schema
        entry = self._tensor("input", shape, INPUT_SCALE, INPUT_ZERO)
        operators, ends = [], []
        for size in outputs:
            layer = band_weights(size, shape).astype(self._numpy)
            weights = self._tensor("weights", layer.shape, WEIGHT_SCALE, 0, layer)
            ends.append(self._tensor("output", (1, size), OUTPUT_SCALE, OUTPUT_ZERO))
            operators.append(self._fully_connected([entry, weights, -1], ends[-1]))
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self._tensors, operators
        graph.inputs, graph.outputs = [entry], ends
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
        code.version = 4
        model = schema.ModelT()
        model.version, model.operatorCodes = 3, [code]
        model.subgraphs, model.buffers = [graph], self._buffers
        return self._packed(model)

    def _tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        scale: float,
        zero: int,
        values: NDArray[Any] | None = None,
    ) -> int:
        schema = self._schema
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, list(shape), self._kind
        if self._kind == schema.TensorType.INT8:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero]
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            tensor.buffer = len(self._buffers)
            self._buffers.append(buffer)
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _fully_connected(self, inputs: list[int], output: int) -> Any:
        schema = self._schema
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = 0, inputs, [output]
        operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        operator.builtinOptions = schema.FullyConnectedOptionsT()
        return operator

    @staticmethod
    def _packed(model: Any) -> bytes:
        import flatbuffers

        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def write_model(
    folder: Path,
    content: bytes,
    *,
    name: str = "tiny",
    labels: tuple[str, ...] = LABELS,
    temperature: float = 1.0,
) -> Path:
    """Write ``NAME.tflite`` with a manifest that fits it; return its path."""
    path = folder / f"{name}.tflite"
    path.write_bytes(content)
    tree = {
        "name": name,
        "labels": list(labels),
        "rate_hz": 16_000,
        "features": RECIPE.parameters(),
        "temperature": temperature,
        "licence": "MIT",
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    path.with_suffix(".yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    return path
