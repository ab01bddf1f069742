"""Files and pipes: every line is whole and out at once, and every failure is told once."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rt_ser.errors import OutputError
from rt_ser.outputs.csv import CsvSink
from rt_ser.outputs.csv import line as csv_line
from rt_ser.outputs.events import EventStream, estimate_columns
from rt_ser.outputs.jsonl import JsonlSink
from rt_ser.outputs.sink import Event, LineWriter, PipeClosed
from rt_ser.testing import FAKE_MANIFEST, LABELS
from tests.views import estimate


def event(seq: int = 0, stream: str = "talk.wav") -> Event:
    (_, told) = EventStream(stream, FAKE_MANIFEST, live=False).of(estimate())
    return {**told, "seq": seq}


def test_each_event_is_a_line_that_is_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    sink = JsonlSink(str(path))
    for seq in range(3):
        sink.write(event(seq))
        lines = path.read_text(encoding="ascii").splitlines()
        assert [json.loads(line)["seq"] for line in lines] == list(range(seq + 1))
    sink.close()
    sink.close()
    assert json.loads(lines[0]) == event(0)


def test_names_in_any_script_and_of_broken_bytes_stay_ascii(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    sink = JsonlSink(str(path))
    sink.write(event(stream="gespräch 中文 \udcff\n.wav"))
    sink.close()
    assert json.loads(path.read_bytes())["stream"] == "gespräch 中文 \\udcff\n.wav"
    assert path.read_bytes().count(b"\n") == 1


def test_not_a_number_never_reaches_a_file(tmp_path: Path) -> None:
    sink = JsonlSink(str(tmp_path / "out.jsonl"))
    with pytest.raises(ValueError, match="Out of range float"):
        sink.write({"type": "estimate", "valence": float("nan")})
    sink.close()
    assert (tmp_path / "out.jsonl").read_bytes() == b""


def test_a_table_has_a_header_and_a_row_an_estimate(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    sink = CsvSink(str(path), columns=estimate_columns(LABELS, live=False))
    sink.write(event(0))
    assert path.read_text().startswith("schema,type,stream,seq,")
    sink.write({"type": "summary"})
    sink.write(event(1))
    sink.close()
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["seq"] for row in rows] == ["0", "1"]
    first = rows[0]
    assert (first["probs_happy"], first["final"], first["stop_s"]) == ("0.72", "false", "12.5")


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM", "'@SUM"),
        ("-", "-"),
        ("a,b", '"a,b"'),
        ('say "so"', '"say ""so"""'),
        ("two\nlines", '"two\nlines"'),
        (-1.5, "-1.5"),
        (None, '""'),
    ],
)
def test_cells_are_quoted_and_are_no_formulas(value: object, cell: str) -> None:
    assert csv_line([value]) == cell


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "no/such/out.jsonl",
            "cannot write 'no/such/out.jsonl': there is no folder 'no/such'; "
            "create it or give another path",
        ),
        (".", "cannot write '.': Is a directory; give another path"),
    ],
)
def test_a_path_that_cannot_be_written_is_named(
    path: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError) as caught:
        JsonlSink(path)
    assert str(caught.value) == message


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_told_at_the_line_that_does_not_fit() -> None:
    sink = JsonlSink("/dev/full")
    with pytest.raises(OutputError) as caught:
        sink.write(event())
    assert str(caught.value) == (
        "cannot write '/dev/full': No space left on device; give another path"
    )
    sink.close()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_reader_that_leaves_ends_a_named_pipe(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = LineWriter(str(path))
    writer.write_line("heard")
    assert os.read(reader, 100) == b"heard\n"
    os.close(reader)
    with pytest.raises(PipeClosed):
        writer.write_line("unheard")
    writer.close()


WRITE_FOR_EVER = """
import sys
from rt_ser.outputs.sink import LineWriter, PipeClosed
writer = LineWriter("-")
try:
    for number in range(1_000_000):
        writer.write_line(f"line {number}")
except PipeClosed as error:
    print("still harmless")
    sys.exit(error.exit_code)
"""


def test_a_reader_that_leaves_standard_output_is_no_error_at_exit(repo_root: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER],
        cwd=repo_root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"line 0\n"
        process.stdout.close()
        errors = process.stderr.read()
    assert errors == b""
    assert process.returncode == 141


def test_a_slow_reader_of_a_non_blocking_pipe_loses_nothing(repo_root: Path) -> None:
    code = (
        "import os\nfrom rt_ser.outputs.sink import LineWriter\n"
        "os.set_blocking(1, False)\nwriter = LineWriter('-')\n"
        "for number in range(20000): writer.write_line(f'line {number}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo_root, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [f"line {number}" for number in range(20_000)]
