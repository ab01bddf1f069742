"""The teacher: its file is read, another one refused."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: make test-train")

import torch

from rt_ser.errors import InputError
from tests.train.made_up import voice
from train.views.encoder import POOLED, Encoder, read_weights, variables
from train.views.heard_mel import heard_mel


def test_variables_are_read_back() -> None:
    arrays = {"encoder/a": np.arange(6, dtype="<f2").reshape(2, 3), "b": np.array(7, "<i1")}
    codes = {"<f2": 4, "|i1": 1}
    content = struct.pack("<IH", 6, 5) + b"Kind\0" + struct.pack("<II", 3, len(arrays))
    for name, value in arrays.items():
        content += struct.pack("<H", len(name) + 1) + name.encode() + b"\0"
        content += struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)
        content += struct.pack("<BI", codes[value.dtype.str], value.nbytes) + value.tobytes()
    found = dict(variables(content))
    assert found.keys() == arrays.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("content", [None, b"", b"something else"])
def test_other_weights_are_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.bin"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.bin") as caught:
        read_weights(path)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.skipif("RT_SER_TEACHER" not in os.environ, reason="RT_SER_TEACHER: no weights given")
def test_the_encoder_cannot_tell_how_loud_a_window_is() -> None:
    encoder = Encoder(read_weights(Path(os.environ["RT_SER_TEACHER"])), torch.device("cpu"))
    mels = torch.from_numpy(heard_mel(voice(3, 1)))[None, :96]
    found = encoder(torch.cat([mels, mels + 1.0]))
    assert found.shape == (2, POOLED)
    torch.testing.assert_close(found[0], found[1], atol=1e-3, rtol=1e-3)
