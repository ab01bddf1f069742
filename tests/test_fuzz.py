"""Damaged input ends in a value or in one line that says what is wrong, soon and cheaply."""

from __future__ import annotations

import contextlib
import io
import os
import random
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_ser.audio.wav import MAX_HEADER_BYTES, read_wav_header
from rt_ser.errors import InputError, ModelError, RtSerError
from rt_ser.manifest import read_manifest
from rt_ser.settings_file import load as load_settings
from tests import fuzz

CASES = 3_000
SEED = 1  # always the same damage: what is new is looked for with `make fuzz`


def test_thousands_of_damaged_inputs() -> None:
    """The byte-level fuzzer of `make fuzz`, for a moment."""
    before_mib = fuzz.peak_mib()
    outcomes, failures = fuzz.fuzz(CASES, SEED)
    assert failures == []
    assert sum(outcomes.values()) == CASES
    # Damage that every reader refuses, and that none does, would test little.
    for target in ("wav header", "wav file", "raw pcm", "settings file", "model manifest"):
        kinds = {outcome for name, outcome in outcomes if name == target}
        assert len(kinds) > 1
        assert "value" in kinds
    assert fuzz.peak_mib() - before_mib < fuzz.LIMIT_MIB


def test_the_fuzzer_finds_faults(tmp_path: Path) -> None:
    class Broken(fuzz.Targets):
        def settings_file(self, rng: random.Random) -> None:
            raise ZeroDivisionError("a fault")

    def run_some() -> None:
        for number in range(100):
            fuzz.run_case(1, number, Broken(tmp_path))

    with pytest.raises(ZeroDivisionError):
        run_some()


@given(st.binary(max_size=400))
def test_any_bytes_as_a_wav_header(data: bytes) -> None:
    with pytest.raises(InputError):
        read_wav_header(io.BytesIO(data).read, name="x")


@given(
    tag=st.integers(0, 0xFFFF), channels=st.integers(0, 0xFFFF), rate=st.integers(0, 2**32 - 1),
    align=st.integers(0, 0xFFFF), bits=st.integers(0, 0xFFFF), length=st.integers(0, 2**32 - 1),
    before=st.lists(st.tuples(st.binary(min_size=4, max_size=4), st.integers(0, 2**32 - 1))),
)  # fmt: skip
def test_any_numbers_in_a_wav_header(
    tag: int, channels: int, rate: int, align: int, bits: int, length: int,
    before: list[tuple[bytes, int]],
) -> None:  # fmt: skip
    """Lengths are not believed: no more than the header's cap is ever asked for."""
    chunks = b"".join(struct.pack("<4sI", *chunk) for chunk in before)
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate, 0, align, bits)
    stream = io.BytesIO(b"RIFF\0\0\0\0WAVE" + chunks + fmt + struct.pack("<4sI", b"data", length))
    asked: list[int] = []

    def read(count: int) -> bytes:
        asked.append(count)
        return stream.read(count)

    with contextlib.suppress(InputError):
        header = read_wav_header(read, name="x")
        assert 1 <= header.raw.channels <= 8
        assert header.raw.frame_bytes == align
    assert sum(asked) <= MAX_HEADER_BYTES


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda data: data.decode("latin-1")))
def test_any_text_as_settings_or_manifest(text: str) -> None:
    path = Path(tempfile.gettempdir()) / f"rt-ser-fuzz-{os.getpid()}.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        for read in (lambda: load_settings(file=path, environ={}), lambda: read_manifest(path)):
            with contextlib.suppress(RtSerError):
                read()
    finally:
        path.unlink()


def test_a_few_lines_that_mean_a_billion_values_are_no_manifest(tmp_path: Path) -> None:
    path = tmp_path / "bomb.yaml"
    path.write_bytes(fuzz.ALIASES)
    with pytest.raises(ModelError, match="over 10000 values: this is no manifest"):
        read_manifest(path)
    path.write_text("a: &a [*a]")
    with pytest.raises(ModelError, match="over 10000 values"):
        read_manifest(path)
