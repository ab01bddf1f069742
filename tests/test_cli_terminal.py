"""The real program on a terminal: what it draws there, and that it gives the terminal back."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.isolation import environment
from tests.program import PROGRAM, events


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
