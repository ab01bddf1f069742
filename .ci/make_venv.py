"""Make the virtual environment that the Makefile works in; do nothing if it is there.

    python3 .ci/make_venv.py FOLDER

A bare Debian splits ensurepip off into the package python3-venv. Where it is missing, the
environment is made without pip, and pip itself comes from PyPI, its checksum compared.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import venv
from pathlib import Path

MINIMUM = (3, 11)
PIP_URL = (
    "https://files.pythonhosted.org/packages/07/25/"
    "ee8c38ae72d66b844ce8eb9711ba905dba21ca1a8a0c960057c41cd23337/pip-26.3-py3-none-any.whl"
)
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
REMEDY = "install it with: sudo apt-get install python3-venv"


def fetch_pip(folder: Path, url: str = PIP_URL, sha256: str = PIP_SHA256) -> Path:
    """Download pip's wheel into a folder; SystemExit with the remedy if that fails."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            content = answer.read()
    except (urllib.error.URLError, OSError) as error:
        raise SystemExit(f"rt-ser: this Python has no ensurepip ({error}): {REMEDY}") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise SystemExit(f"rt-ser: {url} is not the file expected: {REMEDY}")
    wheel = folder / url.rsplit("/", 1)[-1]
    wheel.write_bytes(content)
    return wheel


def add_pip(folder: Path) -> None:
    """Put pip into an environment that was made without it."""
    print("rt-ser: this Python has no ensurepip (Debian: python3-venv); taking pip from PyPI")
    with tempfile.TemporaryDirectory() as download:
        wheel = fetch_pip(Path(download))
        python = str(folder / "bin" / "python")
        subprocess.run([python, f"{wheel}/pip", "install", "-q", "--no-index", wheel], check=True)


def make(folder: Path) -> None:
    """Build the environment anew, replacing one of another Python."""
    if folder.exists() and not (folder / "pyvenv.cfg").exists():
        raise SystemExit(f"rt-ser: {folder} is in the way and no virtual environment: remove it")
    shutil.rmtree(folder, ignore_errors=True)
    has_ensurepip = importlib.util.find_spec("ensurepip") is not None
    venv.create(folder, with_pip=has_ensurepip, symlinks=True)
    if not has_ensurepip:
        add_pip(folder)


def main(folder: Path) -> None:
    """Make the environment unless one of this very Python is there already."""
    if sys.version_info < MINIMUM:
        raise SystemExit(
            f"rt-ser: Python 3.11 or newer is needed, {sys.executable} is "
            f"{sys.version.split()[0]}: name another, as in make demo PYTHON=python3.12"
        )
    stamp = folder / ".python"
    identity = f"{sys.base_prefix} {sys.version}\n"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == identity:
        return
    print(f"rt-ser: making {folder} with Python {sys.version.split()[0]}", flush=True)
    make(folder)
    stamp.write_text(identity, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
