"""The environment that the Makefile works in, also where Debian lacks python3-venv."""

from __future__ import annotations

import hashlib
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the Makefile is for POSIX")


@pytest.fixture
def script(repo_root: Path) -> dict[str, Any]:
    return runpy.run_path(str(repo_root / ".ci" / "make_venv.py"))


def test_it_makes_an_environment_once(script: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "env"
    script["main"](folder)
    made_at = (folder / ".python").stat().st_mtime_ns
    script["main"](folder)
    assert (folder / ".python").stat().st_mtime_ns == made_at
    subprocess.run([str(folder / "bin" / "python"), "-m", "pip", "--version"], check=True)


def test_another_python_makes_it_anew(script: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "env"
    folder.mkdir()
    (folder / "pyvenv.cfg").touch()
    (folder / "leftover").touch()
    (folder / ".python").write_text("/usr 3.10.0\n", encoding="utf-8")
    script["main"](folder)
    assert not (folder / "leftover").exists()


def test_a_folder_of_something_else_is_left_alone(script: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(SystemExit, match="in the way and no virtual environment: remove it"):
        script["main"](tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_pip_is_taken_only_with_the_right_checksum(script: dict[str, Any], tmp_path: Path) -> None:
    published = tmp_path / "pip-0-py3-none-any.whl"
    published.write_bytes(b"a wheel")
    sha256 = hashlib.sha256(b"a wheel").hexdigest()
    (tmp_path / "down").mkdir()
    wheel = script["fetch_pip"](tmp_path / "down", published.as_uri(), sha256)
    assert wheel.read_bytes() == b"a wheel"
    with pytest.raises(SystemExit, match="not the file expected: install it with: sudo apt-get"):
        script["fetch_pip"](tmp_path / "down", published.as_uri(), "0" * 64)


def test_without_a_network_the_remedy_is_named(script: dict[str, Any], tmp_path: Path) -> None:
    missing = (tmp_path / "pip-0-py3-none-any.whl").as_uri()
    with pytest.raises(SystemExit, match="sudo apt-get install python3-venv"):
        script["fetch_pip"](tmp_path, missing)
