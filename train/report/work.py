"""What a window costs: multiplications counted from the file that ships."""

from __future__ import annotations

import math
from pathlib import Path

from rt_ser.interpreter import open_interpreter

_PRODUCTS = ("CONV_2D", "FULLY_CONNECTED")


def multiply_accumulates(model: Path) -> int:
    """Count the multiplications and additions of convolutions and dense layers per window."""
    interpreter = open_interpreter(model.read_bytes(), name=model.name)
    shapes = {
        item["index"]: [int(size) for size in item["shape"]]
        for item in interpreter.get_tensor_details()
    }
    total = 0
    for operation in interpreter._get_ops_details():
        name, (output, *_) = operation["op_name"], operation["outputs"]
        if name in _PRODUCTS:
            total += math.prod(shapes[output]) * math.prod(shapes[operation["inputs"][1]][1:])
        elif name == "DEPTHWISE_CONV_2D":
            total += math.prod(shapes[output]) * math.prod(shapes[operation["inputs"][1]][1:3])
    return total
