"""The TFLite runtime, whichever is installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from rt_ser.errors import ModelError

RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite")
"""Modules with an ``Interpreter``, the one to prefer first."""

_REMEDY = "install one with: pip install ai-edge-litert (or, on 32-bit ARM, tflite-runtime)"


def open_interpreter(content: bytes, *, threads: int = 1, name: str = "the model") -> Any:
    """Return an interpreter of a model with its tensors allocated.

    Parameters
    ----------
    content : bytes
        The ``.tflite`` file.
    threads : int
        Inference threads.
    name : str
        What messages call it.

    Raises
    ------
    ModelError
        If no runtime works, or the bytes are no model that it can run.
    """
    interpreter_class = find_runtime()
    try:
        interpreter = interpreter_class(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else "unknown fault"
        raise ModelError(f"{name} cannot be run ({first}): export it again") from None
    return interpreter


def find_runtime() -> Callable[..., Any]:
    """Return the first installed runtime's interpreter class.

    tflite-runtime is built against numpy 1 and under numpy 2 breaks only when used, in
    ways that look like a damaged model, so its numpy is checked here.

    Raises
    ------
    ModelError
        If none can be imported.
    """
    reasons = []
    for name in RUNTIMES:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        if name.startswith("tflite_runtime") and int(np.__version__.split(".")[0]) >= 2:
            reasons.append(f"tflite-runtime needs numpy<2 and numpy is {np.__version__}")
            continue
        found: Callable[..., Any] = module.Interpreter
        return found
    why = "; ".join(reasons) or "no TFLite runtime is installed"
    raise ModelError(f"{why}: {_REMEDY}")
