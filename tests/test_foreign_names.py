"""Names of files whose bytes are no UTF-8, as old discs and other systems have them."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from rt_ser.outputs.events import EventStream
from rt_ser.testing import FAKE_MANIFEST
from tests.program import events, run, told
from tests.views import estimate

NAME = os.fsdecode(b"caf\xe9.wav")
SPOKEN = "caf\\udce9.wav"


@pytest.fixture
def foreign(recording: Path) -> Path:
    """The recording once more, under a name in Latin-1."""
    try:
        (recording.parent / NAME).write_bytes(recording.read_bytes())
    except OSError:
        pytest.skip("this file system takes no such name: run it on Linux")
    return recording


def test_a_batch_with_such_a_name_is_heard_whole(foreign: Path, tmp_path: Path) -> None:
    parquet: Any = pytest.importorskip("pyarrow.parquet", reason="pip install 'rt-ser[parquet]'")
    names = ("jsonl", "csv", "parquet", "emotionml")
    flags = [f"--{name}=out.{name}" for name in names]
    done = run("replay", "talk.wav", NAME, "talk.wav", "--quiet", *flags, home=tmp_path)
    assert (done.returncode, told(done)) == (0, [])
    lines = events((tmp_path / "out.jsonl").read_text("ascii"))
    ends = [line for line in lines if line["type"] == "summary"]
    assert [end["file"] for end in ends] == ["talk.wav", SPOKEN, "talk.wav"]
    assert [end["stream"] for end in ends] == ["talk.wav", SPOKEN, "talk.wav"]
    assert len({end["duration_s"] for end in ends}) == 1
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as stream:
        assert {row["stream"] for row in csv.DictReader(stream)} == {"talk.wav", SPOKEN}
    column = parquet.read_table(tmp_path / "out.parquet").column("stream").to_pylist()
    assert set(column) == {"talk.wav", SPOKEN}
    text = (tmp_path / "out.emotionml").read_text("utf-8")
    ElementTree.fromstring(text.encode())
    assert "caf%5Cudce9.wav#t=" in text


def test_such_a_name_is_shown_to_people(foreign: Path, tmp_path: Path) -> None:
    done = run("replay", NAME, home=tmp_path)
    assert (done.returncode, told(done)) == (0, [])
    assert any("9.0 s of audio" in line for line in done.stdout.splitlines())


def test_a_damaged_file_of_such_a_name_is_told_in_a_line(tmp_path: Path, foreign: Path) -> None:
    (tmp_path / NAME).write_bytes(b"no sound")
    done = run("replay", NAME, "talk.wav", "--quiet", "--jsonl", "out.jsonl", home=tmp_path)
    assert done.returncode == 3
    (line,) = told(done)
    assert line.startswith(f"rt-ser: {SPOKEN}: no audio that can be decoded")
    assert events((tmp_path / "out.jsonl").read_text())[-1]["file"] == "talk.wav"


def test_a_table_may_have_such_a_name(foreign: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pip install 'rt-ser[parquet]'")
    table = os.fsdecode(b"caf\xe9.parquet")
    done = run("replay", "talk.wav", "--quiet", "--parquet", table, home=tmp_path)
    assert (done.returncode, told(done)) == (0, [])
    assert (tmp_path / table).read_bytes()[:4] == b"PAR1"


def test_whatever_the_name_an_event_is_utf_8() -> None:
    stream = EventStream("gespräch 中文 \udcff", FAKE_MANIFEST, live=True)
    for event in stream.of(estimate()):
        assert event["stream"] == "gespräch 中文 \\udcff"
        str(event).encode("utf-8")
