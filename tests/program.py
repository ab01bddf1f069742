"""The real program, run as people run it, and what it said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.isolation import environment

PROGRAM = [sys.executable, "-W", "error", "-m", "rt_ser"]


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
