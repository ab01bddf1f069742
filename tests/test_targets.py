"""What is written to, and when: no recording ever, and no file before there is news for it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rt_ser.cli.common import UsageError
from rt_ser.cli.outputs import separate
from rt_ser.cli.replay import run as replay
from rt_ser.errors import OutputError
from rt_ser.outputs.captions import AudacitySink, WebVttSink
from rt_ser.outputs.csv import CsvSink
from rt_ser.outputs.emotionml import EmotionMlSink
from rt_ser.outputs.events import EventStream, estimate_columns
from rt_ser.outputs.jsonl import JsonlSink
from rt_ser.outputs.parquet import ParquetSink
from rt_ser.outputs.sink import Event, LineWriter, Sink
from rt_ser.testing import FAKE_MANIFEST, LABELS
from tests.program import events, run, told
from tests.views import estimate

OLD = b"yesterday's results\n"
OUTPUTS = ("jsonl", "csv", "parquet", "webvtt", "audacity", "emotionml")
SINKS: dict[str, Callable[[str], Sink]] = {
    "jsonl": JsonlSink,
    "csv": lambda path: CsvSink(path, columns=estimate_columns(LABELS, live=False)),
    "webvtt": WebVttSink,
    "audacity": AudacitySink,
    "emotionml": lambda path: EmotionMlSink(path, labels=LABELS),
    "parquet": lambda path: ParquetSink(path, labels=LABELS, live=False),
}


def an_estimate() -> Event:
    return EventStream("talk.wav", FAKE_MANIFEST, live=False).of(estimate())[-1]


def made(name: str, path: Path) -> Sink:
    if name == "parquet":
        pytest.importorskip("pyarrow", reason="pip install 'rt-ser[parquet]'")
    return SINKS[name](str(path))


def refusal(words: list[str]) -> str:
    with pytest.raises(UsageError) as caught:
        replay(words)
    return str(caught.value)


# Recordings -------------------------------------------------------------------------------

NO_TEXT = {
    "a WAV": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "a page of SPHERE": b"NIST_1A\n   1024\nchannel_count -i 1\n" + 600 * b" ",
    "samples": bytes(range(256)) * 4,
    "Latin letters alone": "Grüße".encode("latin-1"),
    "a table": b"PAR1 is how it begins",
}
TABLE_FOR_TABLE = ("a table", "parquet")
TEXT = {
    "nothing": b"",
    "lines": b'{"type":"estimate"}\n',
    "a cut letter": b"a" * 511 + "é".encode(),
    "a mark of UTF-8": "\ufeffa,b\n".encode(),
}


KEPT = [(what, name) for what in NO_TEXT for name in OUTPUTS if (what, name) != TABLE_FOR_TABLE]


@pytest.mark.parametrize(("what", "name"), KEPT)
def test_what_holds_no_text_is_kept(
    what: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = NO_TEXT[what]
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "kept"
    path.write_bytes(content)
    assert refusal(["no.wav", f"--{name}=kept"]) == (
        f"--{name} would overwrite 'kept', which holds no text: give another path"
    )
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", NO_TEXT.values(), ids=NO_TEXT)
def test_what_holds_no_text_is_an_input_after_an_output_flag(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "talk"
    path.write_bytes(content)
    for flag in ("--jsonl", "--csv"):
        assert separate([flag, str(path), "x"]) == [f"{flag}=-", str(path), "x"]
    assert separate(["--parquet", str(path)]) == ["--parquet", str(path)]


@pytest.mark.parametrize("content", TEXT.values(), ids=TEXT)
def test_text_is_overwritten(content: bytes, recording: Path, tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(content)
    done = run("replay", "--jsonl", "out", "talk.wav", "--quiet", home=tmp_path)
    assert (done.returncode, told(done)) == (0, [])
    assert events(path.read_text())[-1]["type"] == "summary"


def test_a_table_takes_the_place_of_a_table(recording: Path, tmp_path: Path) -> None:
    parquet: Any = pytest.importorskip("pyarrow.parquet", reason="pip install 'rt-ser[parquet]'")
    for _ in range(2):
        done = run("replay", "talk.wav", "--parquet", "out", "--quiet", home=tmp_path)
        assert (done.returncode, told(done)) == (0, [])
    assert parquet.read_table(tmp_path / "out").num_rows > 0


@pytest.mark.parametrize("suffix", ["w64", "rf64", "sph", "nist", "aifc", "snd", "voc", "WAV"])
def test_recordings_of_every_kind_are_known_by_name(suffix: str) -> None:
    name = f"talk.{suffix}"
    assert separate(["--csv", name]) == ["--csv=-", name]
    assert refusal(["a.wav", f"--jsonl={name}"]) == (
        f"--jsonl would overwrite the recording {name!r}: give another path"
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_not_opened_to_look_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    words = ["--jsonl", str(path), "a.wav"]  # would wait for ever
    assert separate(words) == words


def test_two_names_of_one_file_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("out")
    for name in ("./out", str(tmp_path / "out"), "link"):
        assert refusal(["a.wav", "--jsonl", "out", "--csv", name]) == (
            f"--jsonl and --csv would both write to {name!r}: give one of them a path"
        )


# What was there before --------------------------------------------------------------------


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_misspelt_recording_leaves_what_was_there(name: str, tmp_path: Path) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow", reason="pip install 'rt-ser[parquet]'")
    path = tmp_path / "out"
    path.write_bytes(OLD)
    done = run("replay", "tlak.wav", f"--{name}=out", "--quiet", home=tmp_path)
    assert (done.returncode, told(done)) == (3, ["rt-ser: tlak.wav: no such file"])
    assert path.read_bytes() == OLD


@pytest.mark.parametrize("name", SINKS)
def test_closing_what_has_not_begun_changes_nothing(name: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(OLD)
    sink = made(name, path)
    sink.close()
    sink.close()
    assert path.read_bytes() == OLD


@pytest.mark.parametrize("name", SINKS)
def test_any_event_begins_a_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(OLD)
    sink = made(name, path)
    sink.write({"type": "notice"})
    begun = path.read_bytes()
    sink.close()
    assert OLD not in path.read_bytes()
    heads = {"csv": b"schema,", "webvtt": b"WEBVTT\n", "emotionml": b"<?xml", "parquet": b"PAR1"}
    assert begun.startswith(heads.get(name, b""))
    if name == "emotionml":
        assert path.read_bytes().endswith(b"</emotionml>\n")
    if name == "parquet":
        parquet: Any = pytest.importorskip("pyarrow.parquet")
        assert parquet.read_table(path).num_rows == 0


@pytest.mark.parametrize("name", SINKS)
def test_a_path_that_cannot_be_written_is_refused_before_anything_begins(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*give another path"):
        made(name, tmp_path / "no" / "out")


def test_a_file_that_is_emptied_meanwhile_goes_on_from_its_start(tmp_path: Path) -> None:
    """As `copytruncate` of logrotate does it."""
    path = tmp_path / "events.jsonl"
    sink = JsonlSink(str(path))
    for _ in range(3):
        sink.write(an_estimate())
    os.truncate(path, 0)
    sink.write(an_estimate())
    sink.close()
    assert json.loads(path.read_bytes()) == an_estimate()


def test_a_writer_begins_once(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(OLD)
    writer = LineWriter(str(path), head=["head"])
    assert path.read_bytes() == OLD
    writer.begin()
    assert path.read_bytes() == b"head\n"
    writer.begin()
    writer.write_line("line")
    writer.close()
    assert path.read_bytes() == b"head\nline\n"
