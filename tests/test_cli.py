"""The real program, started as people start it: what it prints, writes and leaves with."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rt_ser.cli import COMMANDS, main
from rt_ser.cli.outputs import separate
from tests.isolation import environment
from tests.program import PROGRAM, events, run, told

HEAVY = {"numpy", "yaml", "rich", "soundfile", "sounddevice", "soxr", "tensorflow", "librosa"}


@pytest.mark.parametrize("arguments", [["--help"], ["replay", "--help"], ["listen", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str], tmp_path: Path, repo_root: Path) -> None:
    code = f"import sys; from rt_ser.cli import main; main({arguments}); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo_root, env=environment(tmp_path),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "rt_ser" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_help(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"] if command else []) == 0
    captured = capfd.readouterr()
    assert captured.out.startswith(f"usage: rt-ser {command or 'COMMAND'} [options]")
    assert captured.err == ""


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("rt-ser ")


def test_records_on_standard_output_are_alone_there(recording: Path, tmp_path: Path) -> None:
    done = run("replay", "talk.wav", "--jsonl", home=tmp_path)
    assert done.returncode == 0
    assert told(done) == []
    lines = events(done.stdout)
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    assert {line["type"] for line in lines[:-1]} == {"estimate", "state", "utterance"}
    assert {line["stream"] for line in lines} == {"talk.wav"}
    summary = lines[-1]
    assert summary["type"] == "summary"
    assert summary["file"] == "talk.wav"
    assert summary["duration_s"] == 9.0
    assert 2.0 < summary["speech_s"] < 8.0
    assert sum(summary["probs"].values()) == pytest.approx(1.0, abs=1e-5)
    assert summary["label"] == max(summary["probs"], key=summary["probs"].get)
    assert any(line.get("final") for line in lines)


def test_neither_speed_nor_block_size_nor_pipe_changes_a_byte(
    recording: Path, tmp_path: Path
) -> None:
    plain = run("replay", "talk.wav", "--jsonl", "-", home=tmp_path).stdout
    paced = run("replay", "talk.wav", "--jsonl", "-", "--speed", "9", home=tmp_path).stdout
    cut = run("replay", "talk.wav", "--jsonl", "--audio-block-ms", "7", home=tmp_path).stdout
    assert plain == paced == cut
    wav = recording.read_bytes()
    piped = run("replay", "-", "--jsonl", home=tmp_path, stdin=wav).stdout
    samples, _ = soundfile.read(recording, dtype="int16")
    raw = run("replay", "-", "--jsonl", "--raw-rate", "16000", home=tmp_path,
              stdin=samples.astype("<i2").tobytes()).stdout  # fmt: skip
    assert raw == piped
    assert piped == plain.replace('"stream":"talk.wav"', '"stream":"-"').replace(
        '"file":"talk.wav"', '"file":"-"'
    )


def test_several_files_have_a_summary_each_and_a_bad_one_does_not_stop_the_rest(
    recording: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    done = run("replay", "talk.wav", "bad.wav", "talk.wav", "--jsonl", "out.jsonl", "--csv",
               "out.csv", "--quiet", home=tmp_path)  # fmt: skip
    assert done.returncode == 3
    assert done.stdout == ""
    assert [line.split(":")[1] for line in told(done)] == [" bad.wav"]
    lines = events((tmp_path / "out.jsonl").read_text())
    ends = [place for place, line in enumerate(lines) if line["type"] == "summary"]
    assert len(ends) == 2
    first, second = lines[: ends[0] + 1], lines[ends[0] + 1 :]
    assert first == second
    with (tmp_path / "out.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) > 20
    assert [float(row["stop_s"]) for row in rows] == [
        line["stop_s"] for line in lines if line["type"] == "estimate"
    ]


def test_flags_may_stand_between_files(recording: Path, tmp_path: Path) -> None:
    done = run("replay", "talk.wav", "--speed", "max", "talk.wav", "--quiet", home=tmp_path)
    assert (done.returncode, told(done), done.stdout) == (0, [], "")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--jsonl talk.wav", "--jsonl=- talk.wav"),
        ("--csv a.FLAC b.mp3", "--csv=- a.FLAC b.mp3"),
        ("talk.wav --jsonl", "talk.wav --jsonl"),
        ("--jsonl out.jsonl talk.wav", "--jsonl out.jsonl talk.wav"),
        ("--jsonl - talk.wav", "--jsonl - talk.wav"),
        ("--speed talk.wav", "--speed talk.wav"),
    ],
)
def test_a_recording_after_an_output_flag_is_not_its_path(words: str, expected: str) -> None:
    assert separate(words.split()) == expected.split()


def test_a_recording_after_an_output_flag_is_heard_and_kept(
    recording: Path, tmp_path: Path
) -> None:
    before = recording.read_bytes()
    done = run("replay", "--jsonl", "talk.wav", "talk.wav", home=tmp_path)
    assert done.returncode == 0
    assert sum(line["type"] == "summary" for line in events(done.stdout)) == 2
    assert recording.read_bytes() == before


def test_a_pipe_gets_a_line_per_change_and_the_totals(recording: Path, tmp_path: Path) -> None:
    done = run("replay", "talk.wav", home=tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    totals = next(place for place, line in enumerate(lines) if line.startswith("talk.wav"))
    assert 2 <= totals <= 40
    states = [line.split()[1] for line in lines[:totals]]
    assert set(states) <= {"warming", "speech", "unsure", "silence"}
    assert "speech" in states or "unsure" in states
    assert lines[totals].startswith("talk.wav  9.0 s of audio, ")
    assert lines[-1] == "  nothing lost"
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout


def test_a_silent_recording_is_no_error(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "none.wav", np.zeros(8_000, np.float32), 16_000)
    done = run("replay", "none.wav", "--jsonl", home=tmp_path)
    assert done.returncode == 0
    (summary,) = events(done.stdout)
    assert (summary["label"], summary["speech_s"], summary["duration_s"]) == ("", 0.0, 0.5)
    shown = run("replay", "none.wav", home=tmp_path)
    assert "  no speech was judged" in shown.stdout.splitlines()


def test_a_reader_that_leaves_ends_it_quietly(recording: Path, tmp_path: Path) -> None:
    root = str(Path(__file__).resolve().parents[1])
    with subprocess.Popen(
        [*PROGRAM, "replay", *["talk.wav"] * 20, "--jsonl"],
        cwd=tmp_path,
        env=environment(tmp_path) | {"PYTHONPATH": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = [line for line in process.stderr.read().splitlines() if line[:5] != b"INFO:"]
    assert errors == []
    assert process.returncode == 141


def test_help_may_be_cut_short(tmp_path: Path) -> None:
    root = str(Path(__file__).resolve().parents[1])
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*PROGRAM, "replay", "--help"], stdout=writer, stderr=subprocess.PIPE, cwd=tmp_path,
        env=environment(tmp_path) | {"PYTHONPATH": root},
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    ("arguments", "code", "errors"),
    [
        ("", 6, ["rt-ser: standard output is closed; give a file to write to"]),
        ("--jsonl", 6, ["rt-ser: standard output is closed; give a file to write to"]),
        ("--quiet --jsonl out.jsonl", 0, []),
    ],
)
def test_a_closed_standard_output_is_said_or_not_needed(
    arguments: str, code: int, errors: list[str], recording: Path, tmp_path: Path
) -> None:
    root = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        ["sh", "-c", f'"$0" -m rt_ser replay talk.wav {arguments} >&-', sys.executable],
        cwd=tmp_path, env=environment(tmp_path) | {"PYTHONPATH": root},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert (done.returncode, told(done)) == (code, errors)


def test_a_truncated_recording_is_heard_as_far_as_it_goes(recording: Path, tmp_path: Path) -> None:
    whole = recording.read_bytes()
    recording.write_bytes(whole[: len(whole) // 2])
    done = run("replay", "talk.wav", "--quiet", "--jsonl", "out.jsonl", home=tmp_path)
    assert done.returncode == 0
    assert told(done) == [
        "rt-ser: note: talk.wav: truncated: 4.50 s of the 9.00 s that its header promises: "
        "judged up to there"
    ]
    summary = events((tmp_path / "out.jsonl").read_text())[-1]
    assert summary["duration_s"] == pytest.approx(4.5, abs=0.01)


@pytest.mark.parametrize(
    ("options", "warnings"), [("--quiet", 1), ("--quiet --log-level error", 0)]
)
def test_quiet_is_silent_about_estimates_and_not_about_trouble(
    options: str, warnings: int, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "nothing.wav", np.zeros(12 * 16_000, np.float32), 16_000)
    done = run("replay", "nothing.wav", *options.split(), home=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert [line.startswith("rt-ser: warning: input is silent") for line in told(done)] == (
        [True] * warnings
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(number: int, recording: Path, tmp_path: Path) -> None:
    """At real speed: what was heard is judged, no line is torn, the summary is there."""
    root = str(Path(__file__).resolve().parents[1])
    with subprocess.Popen(
        [*PROGRAM, "replay", "talk.wav", "talk.wav", "--speed", "1", "--jsonl"],
        cwd=tmp_path,
        env=environment(tmp_path) | {"PYTHONPATH": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        head = [process.stdout.readline() for _ in range(3)]
        process.send_signal(number)
        sent_at = time.monotonic()
        output, errors = process.communicate(timeout=20)
        ended_s = time.monotonic() - sent_at
    lines = events("".join(head) + output)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert ended_s < 2.0
    assert [line["type"] for line in lines].count("summary") == 1
    assert lines[-1]["type"] == "summary"
    assert 0.5 < lines[-1]["duration_s"] < 9.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_signal_ends_waiting_for_a_header(number: int, tmp_path: Path) -> None:
    """Whoever feeds the pipe may never say a word."""
    root = str(Path(__file__).resolve().parents[1])
    os.mkfifo(tmp_path / "out.jsonl")
    with subprocess.Popen(
        [*PROGRAM, "replay", "-", "--jsonl", "out.jsonl"],
        cwd=tmp_path,
        env=environment(tmp_path) | {"PYTHONPATH": root},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        with (tmp_path / "out.jsonl").open() as lines:  # once it has opened its outputs
            time.sleep(2.0)
            process.send_signal(number)
            try:
                code = process.wait(10)
            finally:
                process.kill()
            assert lines.read() == ""
        assert process.stderr is not None
        errors = process.stderr.read()
    assert (code, errors) == (130, "")


def test_debug_may_stand_before_the_command(recording: Path, tmp_path: Path) -> None:
    done = run("--debug", "replay", "talk.wav", "--jsonl", home=tmp_path)
    assert done.returncode == 0
    assert events(done.stdout)[-1]["type"] == "summary"
    failed = run("--debug", "replay", "talk.wav", "--jsonl", "no/out", home=tmp_path)
    assert failed.returncode == 1
    assert "Traceback" in failed.stderr
    assert "OutputError: cannot write 'no/out'" in failed.stderr
    assert run("--debug", "--version", home=tmp_path).stdout.startswith("rt-ser ")
    assert run("--debug", home=tmp_path).stdout.startswith("usage: rt-ser COMMAND")


def test_a_fault_of_our_own_is_one_line_too_unless_debugging(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A standard output that cannot be asked for its descriptor is nobody's mistake."""
    monkeypatch.setattr(sys, "stdout", object())
    assert main(["models"]) == 70
    error = capfd.readouterr().err
    assert error.startswith("rt-ser: a fault in rt-ser: AttributeError: ")
    assert error.endswith("; run it again with --debug\n")
    with pytest.raises(AttributeError):
        main(["models", "--debug"])
