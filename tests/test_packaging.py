"""The wheel that people install, rather than the source tree."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import rt_ser

SHIPPED_DATA = {
    "models": {".tflite", ".yaml", ".md"},
    "rt_ser/data": {".flac", ".yaml", ".json"},
}

TRAINING_ONLY = ("joblib", "librosa", "matplotlib", "opensmile", "sklearn", "tensorflow", "torch")


def test_all_tests_are_found_without_what_only_training_needs(repo_root: Path) -> None:
    """``make test`` installs none of it: modules that need some skip, and do not fail."""
    code = (
        "import sys, pytest\n"
        f"sys.modules.update(dict.fromkeys({TRAINING_ONLY!r}))\n"
        "sys.exit(pytest.main(['--collect-only', '-q', '-p', 'no:cacheprovider', 'tests']))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.fixture(scope="module")
def wheel(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that the checkout gains no build folder."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repo_root / name, source)
    for name in ("rt_ser", "models"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(repo_root / name, source / name, ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), "."]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    if done.returncode and "setuptools" in done.stderr and "No matching" in done.stderr:
        pytest.skip("building a wheel takes setuptools from PyPI, which is out of reach")
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    """What lies in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_module_is_in_the_wheel(names: set[str], repo_root: Path) -> None:
    modules = {str(path.relative_to(repo_root)) for path in (repo_root / "rt_ser").rglob("*.py")}
    assert modules - names == set()
    assert "rt_ser/models/__init__.py" in names
    assert "rt_ser/py.typed" in names


@pytest.mark.parametrize("folder", SHIPPED_DATA)
def test_models_and_recording_are_in_the_wheel(
    names: set[str], repo_root: Path, folder: str
) -> None:
    inside = folder if folder.startswith("rt_ser") else f"rt_ser/{folder}"
    tracked = [path for path in (repo_root / folder).iterdir() if path.is_file()]
    shipped = {f"{inside}/{path.name}" for path in tracked if path.suffix in SHIPPED_DATA[folder]}
    assert shipped
    assert shipped - names == set()


def test_nothing_else_is_in_the_wheel(names: set[str]) -> None:
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"rt_ser"}


def test_the_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < 2_000_000


def test_the_wheel_runs_without_the_source_tree(wheel: Path, tmp_path: Path) -> None:
    """Unpacked elsewhere, it finds its own model and plays its own recording."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import rt_ser, rt_ser.data, sys\n"
        "assert rt_ser.__file__.startswith(sys.argv[1]), rt_ser.__file__\n"
        "with rt_ser.replay(rt_ser.data.DEMO_RECORDING) as estimates:\n"
        "    print(sum(1 for _ in estimates))\n"
    )
    site = str(tmp_path / "site")
    bootstrap = f"import sys; sys.path.insert(0, {site!r})\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", bootstrap, site], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


def test_metadata_names_every_dependency_with_bounds(repo_root: Path) -> None:
    """Every run-time dependency says from which version it is known to work."""
    parser = configparser.ConfigParser()
    parser.read(repo_root / "setup.cfg", encoding="utf-8")
    lines = parser["options"]["install_requires"].split("\n")
    needed = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in needed if ">=" not in line] == []


def test_the_version_is_the_same_everywhere(repo_root: Path) -> None:
    parser = configparser.ConfigParser()
    parser.read(repo_root / "setup.cfg", encoding="utf-8")
    assert parser["metadata"]["version"] == rt_ser.__version__
    changes = (repo_root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## {rt_ser.__version__}" in changes


def test_constraints_are_plain_pins(repo_root: Path) -> None:
    lines = (repo_root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins
    assert [pin for pin in pins if pin.count("==") != 1 or "/" in pin] == []
