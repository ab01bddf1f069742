"""Who may import whom, how long a thing may be, and what ``import rt_ser`` may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

LEVEL_0 = {
    "types", "errors", "config", "data", "quiet",
    "acoustics", "evidence", "recipes", "manifest", "interpreter",
    "event_queue", "hooks", "ledger", "lifetime", "mute",
    "stream_events", "stream_pipeline", "utterances", "voice", "whole", "yaml_file",
}  # fmt: skip
STAGES = {"framing", "health", "vad", "features", "model", "estimates"}
EVERYTHING = {"*"}

MAY_IMPORT: dict[str, set[str]] = {
    **dict.fromkeys(LEVEL_0, LEVEL_0),
    **dict.fromkeys(STAGES, LEVEL_0),
    "testing": LEVEL_0 | {"audio.source"},
    "audio": LEVEL_0 | {"audio"},
    "outputs": LEVEL_0 | {"outputs"},
    "settings_file": LEVEL_0,
    "pipeline": LEVEL_0 | STAGES,
    "accounting": LEVEL_0 | {"audio"},
    "runtime": LEVEL_0 | {"accounting", "audio", "pipeline"},
    "api": LEVEL_0 | {"audio", "features", "model", "pipeline", "runtime", "subscription"},
    "subscription": LEVEL_0 | {"runtime"},
    "aio": LEVEL_0 | {"api", "model", "runtime"},
    "cli": EVERYTHING,
    "__init__": EVERYTHING,
    "__main__": {"cli"},
}
"""Part of rt_ser -> the parts that it may import. A part that is missing here is refused."""

TRAIN_MAY_IMPORT = LEVEL_0 | STAGES | {"audio.files", "audio.convert", "pipeline"}
EVALUATE_MAY_IMPORT = TRAIN_MAY_IMPORT | {"api", "__init__"}

THIRD_PARTY: dict[str, set[str]] = {
    **{part: {"numpy", "yaml"} for part in LEVEL_0 | STAGES},
    "vad": {"numpy", "webrtcvad"},
    "interpreter": {"numpy", "ai_edge_litert", "tflite_runtime", "tensorflow"},
    "testing": {"numpy"},
    "audio": {"numpy", "sounddevice", "soundfile", "soxr"},
    "outputs": {"numpy", "rich"},
    "settings_file": {"yaml"},
    "pipeline": {"numpy"},
    "accounting": set(),
    "runtime": {"numpy"},
    "api": {"numpy"},
    "aio": set(),
    "subscription": set(),
    "cli": {"numpy", "yaml", "rich"},
    "__init__": set(),
    "__main__": set(),
}

HEAVY = {"sounddevice", "soundfile", "librosa", "tensorflow", "rich", "matplotlib", "sklearn"}
MODULE_LINES = 300
FUNCTION_LINES = 60

RT_SER_MODULES = sorted((ROOT / "rt_ser").rglob("*.py"))
TRAIN_MODULES = sorted((ROOT / "train").rglob("*.py"))


def dotted_name(path: Path) -> str:
    """``rt_ser/audio/ring.py`` -> ``rt_ser.audio.ring``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def imported(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, wherever in it; relative imports resolved."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = path.parent.relative_to(ROOT).parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            is_package = (ROOT / module.replace(".", "/") / "__init__.py").exists()
            if is_package:
                yield from (f"{module}.{alias.name}" for alias in node.names)
            else:
                yield module


def part_of(dotted: str) -> str:
    """``rt_ser.audio.ring`` -> ``audio``; the package itself is ``__init__``."""
    parts = dotted.split(".")
    if len(parts) == 1:
        return "__init__"
    known = parts[1] in MAY_IMPORT or (ROOT / "rt_ser" / parts[1]).exists()
    return parts[1] if known or (ROOT / "rt_ser" / f"{parts[1]}.py").exists() else "__init__"


def forbidden(path: Path, allowed: set[str]) -> list[str]:
    """Return the imports of rt_ser parts that a file has no right to."""
    if allowed == EVERYTHING:
        return []
    own = [name for name in imported(path) if name.split(".")[0] == "rt_ser"]
    return [
        name
        for name in own
        if part_of(name) not in allowed
        and not any(f"{name}.".startswith(f"rt_ser.{entry}.") for entry in allowed)
    ]


def strangers(path: Path, allowed: set[str]) -> list[str]:
    """Return the third-party packages that a file imports without being allowed to."""
    tops = {name.split(".")[0] for name in imported(path)}
    return sorted(tops - sys.stdlib_module_names - allowed - {"rt_ser", "train", "_typeshed"})


@pytest.mark.parametrize("path", RT_SER_MODULES, ids=dotted_name)
def test_imports_keep_the_layers(path: Path) -> None:
    part = part_of(dotted_name(path))
    assert part in MAY_IMPORT, f"{part} is new: give it a layer in MAY_IMPORT"
    assert forbidden(path, MAY_IMPORT[part]) == []


@pytest.mark.parametrize("path", RT_SER_MODULES, ids=dotted_name)
def test_third_party_imports_stay_where_they_belong(path: Path) -> None:
    assert strangers(path, THIRD_PARTY[part_of(dotted_name(path))]) == []


@pytest.mark.parametrize("path", RT_SER_MODULES, ids=dotted_name)
def test_rt_ser_never_imports_train(path: Path) -> None:
    assert [name for name in imported(path) if name.split(".")[0] == "train"] == []


@pytest.mark.parametrize("path", TRAIN_MODULES, ids=dotted_name)
def test_train_uses_the_stages_and_not_the_runtime(path: Path) -> None:
    listens = path.stem in ("evaluate", "enrollment")
    assert forbidden(path, EVALUATE_MAY_IMPORT if listens else TRAIN_MAY_IMPORT) == []


@pytest.mark.parametrize("path", RT_SER_MODULES + TRAIN_MODULES, ids=dotted_name)
def test_modules_and_functions_stay_short(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= MODULE_LINES
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    lengths = {
        node.name: (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(ast.parse(source))
        if isinstance(node, functions)
    }
    assert {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES} == {}


def test_import_rt_ser_loads_nothing_heavy() -> None:
    code = "import sys, rt_ser; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True,
        check=True,
    )
    assert HEAVY & {name.split(".")[0] for name in done.stdout.split()} == set()


def test_the_checks_see_a_wrong_edge() -> None:
    """The rules above must be able to fail: here vad.py is denied what it imports."""
    wrong = ROOT / "rt_ser" / "vad.py"
    assert "types" in {part_of(name) for name in imported(wrong)}
    assert forbidden(wrong, LEVEL_0 - {"types"}) != []
    assert strangers(wrong, set()) == ["numpy", "webrtcvad"]
