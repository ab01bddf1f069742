"""The real program, started as people start it: what it prints, writes and leaves with."""

from __future__ import annotations

import csv
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from rt_ser.cli import COMMANDS, main
from rt_ser.cli.common import table
from rt_ser.cli.models import card, figures
from rt_ser.cli.outputs import separate
from rt_ser.model import find_manifest
from rt_ser.types import F32
from tests.isolation import environment, isolate

PROGRAM = [sys.executable, "-W", "error", "-m", "rt_ser"]
HEAVY = {"numpy", "yaml", "rich", "soundfile", "sounddevice", "soxr", "tensorflow", "librosa"}


def run(
    *arguments: str, home: Path, stdin: bytes = b"", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the program in ``home`` and return what it did."""
    root = str(Path(__file__).resolve().parents[1])
    return subprocess.run(
        [*PROGRAM, *arguments],
        cwd=home,
        env=environment(home) | {"PYTHONPATH": root} | variables,
        input=stdin.decode("latin-1"),
        encoding="latin-1",
        capture_output=True,
        timeout=120,
    )


def events(text: str) -> list[dict[str, Any]]:
    """Parse lines of JSON."""
    return [json.loads(line) for line in text.splitlines()]


def told(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what the program told people, without the runtime's own remarks."""
    return [line for line in done.stderr.splitlines() if not line.startswith("INFO:")]


@pytest.fixture
def recording(demo_samples: F32, tmp_path: Path) -> Path:
    """The first nine seconds of the bundled recording, as 16-bit PCM."""
    path = tmp_path / "talk.wav"
    soundfile.write(path, demo_samples[:144_000], 16_000, subtype="PCM_16")
    return path


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


def on_terminal(
    arguments: Sequence[str],
    home: Path,
    *,
    sizes: Sequence[tuple[int, int]] = ((80, 24),),
    **variables: str,
) -> tuple[int, str]:
    """Run the program on a pseudo-terminal; return its exit code and all it drew.

    The terminal has the first of ``sizes`` (columns, rows) and takes on the next one
    for every second of the screen.
    """
    pty = pytest.importorskip("pty", reason="no pseudo-terminals on this system")
    termios = pytest.importorskip("termios")
    root = str(Path(__file__).resolve().parents[1])
    kept = {name: value for name, value in environment(home).items()
            if name not in ("COLUMNS", "LINES")}  # fmt: skip
    known = {"PYTHONPATH": root, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, sizes[0][::-1])
    process = subprocess.Popen(
        [*PROGRAM, *arguments], cwd=home, env=kept | known | variables,
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    drawn = bytearray()
    began = shown_at = time.monotonic()
    while time.monotonic() - began < 60:
        if b"\x1b[?1049h" not in drawn:
            shown_at = time.monotonic()
        turn = min(int(time.monotonic() - shown_at), len(sizes) - 1)
        termios.tcsetwinsize(ours, sizes[turn][::-1])
        if select.select([ours], [], [], 0.1)[0]:
            try:
                drawn += os.read(ours, 65_536)
            except OSError:  # how Linux says that the other side has closed
                break
        elif process.poll() is not None:
            break
    os.close(ours)
    return process.wait(timeout=10), drawn.decode()


def screens(drawn: str) -> list[list[str]]:
    """Return the lines of every screen that was drawn, without colours."""
    shown = drawn.split("\x1b[?1049h")[1].split("\x1b[?1049l")[0]
    plain = re.sub(
        r"\x1b\[[0-9;?]*[A-Za-z]", lambda code: "\f" if code[0][-1] == "H" else "", shown
    )
    return [screen.splitlines() for screen in plain.split("\f") if screen.strip()]


@pytest.mark.parametrize(("columns", "rows"), [(60, 20), (100, 30)])
def test_a_terminal_gets_the_screen_and_gets_itself_back(
    columns: int, rows: int, recording: Path, tmp_path: Path
) -> None:
    arguments = ["replay", "talk.wav", "--speed", "4"]
    code, drawn = on_terminal(arguments, tmp_path, sizes=[(columns, rows)])
    assert code == 0
    assert drawn.count("\x1b[?1049h") == drawn.count("\x1b[?1049l") == 1
    assert drawn.count("\x1b[?25l") <= drawn.count("\x1b[?25h")
    shown = screens(drawn)
    assert len(shown) >= 10, "nine seconds at four times the speed, ten a second"
    for part in ("-60 s", "valence", "neutral", "overflows", "speech", "█"):
        assert part in "\n".join(shown[-1]), part
    after = drawn.split("\x1b[?1049l")[1]
    assert "talk.wav" in after
    assert "nothing lost" in after
    assert "Traceback" not in drawn


def test_a_terminal_may_change_its_size(recording: Path, tmp_path: Path) -> None:
    sizes = [(100, 30), (60, 20), (30, 8), (80, 24)]
    arguments = ["replay", "talk.wav", "--speed", "1.5"]
    code, drawn = on_terminal(arguments, tmp_path, sizes=sizes)
    assert code == 0
    seen = {(max(map(len, screen)), len(screen)) for screen in screens(drawn)}
    assert set(sizes) <= seen
    assert "Traceback" not in drawn


def test_a_terminal_without_unicode_or_colour_gets_neither(recording: Path, tmp_path: Path) -> None:
    code, drawn = on_terminal(
        ["replay", "talk.wav", "--speed", "9"], tmp_path,
        LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0", NO_COLOR="1",
    )  # fmt: skip
    assert code == 0
    assert drawn.isascii()
    assert "#####" in drawn
    assert "\x1b[38;" not in drawn
    assert "\x1b[3" not in drawn.replace("\x1b[39m", "")


def test_records_on_a_terminal_are_not_drawn_over(recording: Path, tmp_path: Path) -> None:
    code, drawn = on_terminal(["replay", "talk.wav", "--speed", "max", "--jsonl"], tmp_path)
    lines = [line for line in drawn.splitlines() if not line.startswith("INFO:")]
    assert code == 0
    assert "\x1b" not in drawn
    assert events("\n".join(lines))[-1]["type"] == "summary"


def test_config_tells_where_each_value_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    isolate(monkeypatch, tmp_path)
    monkeypatch.delenv("RT_SER_MODEL_NAME", raising=False)
    monkeypatch.setenv("RT_SER_VAD_HANGOVER_S", "0.6")
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text('audio:\n  device: "USB: front"\n')
    assert main(["config", "--config", "my.yaml", "--vad-mode", "3"]) == 0
    text = capfd.readouterr().out
    told = {line.split(":")[0].strip(): line.split("# ")[-1] for line in text.splitlines()}
    assert told["# settings file"] == "settings file: my.yaml"
    assert told["device"] == "my.yaml line 2"
    assert told["hangover_s"] == "RT_SER_VAD_HANGOVER_S"
    assert told["mode"] == "--vad-mode"
    assert told["onset_frames"] == "default"
    tree = yaml.safe_load(text)
    assert (tree["audio"]["device"], tree["vad"]["mode"]) == ("USB: front", 3)
    Path("again.yaml").write_text(text)
    monkeypatch.delenv("RT_SER_VAD_HANGOVER_S")
    assert main(["config", "--config", "again.yaml"]) == 0
    assert yaml.safe_load(capfd.readouterr().out) == tree


def test_config_explains_every_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    isolate(monkeypatch, tmp_path)
    assert main(["config", "--explain"]) == 0
    lines = capfd.readouterr().out.splitlines()
    mode = next(line for line in lines if line.startswith("  mode:"))
    assert mode.endswith("# webrtcvad aggressiveness (a whole number from 0 to 3)")


def test_models_are_listed_with_licence_and_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    isolate(monkeypatch, tmp_path)
    name = os.environ.get("RT_SER_MODEL_NAME", "research")
    assert main(["models", name]) == 0
    text = capfd.readouterr().out
    for title in ("licence", "labels", "features", "figures", "data", "file"):
        assert f"\n  {title} " in text, title
    assert "checksum right" in text
    damaged = "\n".join(card(find_manifest(name), ValueError("damaged")))  # type: ignore[arg-type]
    assert "DAMAGED" in damaged


def test_figures_of_any_depth_are_told_on_lines_of_their_own() -> None:
    metrics = {
        "command": "python -m train evaluate",
        "corpora": {"RAVDESS": {"uar": 58.123456, "confusion": [[1]]}, "CREMA-D": {"uar": 64}},
    }
    assert list(figures("", metrics)) == [
        "command python -m train evaluate",
        "corpora RAVDESS: uar 58.1235",
        "corpora CREMA-D: uar 64",
    ]


def test_the_screenshot_is_drawn_by_the_program_itself(tmp_path: Path, repo_root: Path) -> None:
    path = tmp_path / "screen.svg"
    done = subprocess.run(
        [sys.executable, "docs/make_screenshot.py", "--output", str(path)],
        cwd=repo_root,
        env=environment(tmp_path) | {"PYTHONPATH": str(repo_root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    drawn = path.read_text(encoding="utf-8").replace("&#160;", " ")
    for part in ("replaying demo.flac", "surprised", "timeline", "valence", "overflows"):
        assert part in drawn, part


def test_columns_of_a_table_line_up() -> None:
    assert table([("a", "bbb"), ("aa", "b")]) == ["a   bbb", "aa  b"]


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
