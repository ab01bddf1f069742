"""Measurements that are committed: one small JSON file per model and what was measured.

``python -m train evaluate --keep``, ``robustness --keep`` and ``enrollment --keep`` write
them, ``report`` reads them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rt_ser.errors import InputError
from rt_ser.whole import write_text_whole

FOLDER = Path(__file__).with_name("results")
EVALUATION, ROBUSTNESS, ENROLLMENT = "evaluation", "robustness", "enrollment"


def kind_of(figures: dict[str, Any]) -> str:
    """Tell the kind of a measurement by what is in it.

    Raises
    ------
    InputError
        If it is none of them.
    """
    if "enrollment" in figures:
        return ENROLLMENT
    if "conditions" in figures:
        return ROBUSTNESS
    if "corpora" in figures:
        return EVALUATION
    raise InputError("neither evaluate nor robustness wrote this: it holds no such figures")


def name_of(figures: dict[str, Any]) -> str:
    """Name a measurement's file by what was measured: recipe, split and seed."""
    kind = kind_of(figures)
    recipe = figures.get("recipe") or Path(figures["model"]).stem
    seed = 0 if figures.get("seed") is None else figures["seed"]
    return f"{recipe}-{figures['split'].replace(':', '-')}-{seed}-{kind}.json"


def keep(figures: dict[str, Any], folder: Path = FOLDER) -> Path:
    """Write a measurement, in place of an earlier one of the same recipe, split and seed.

    The file is whole at every moment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name_of(figures)
    write_text_whole(path, json.dumps(figures, separators=(",", ":")) + "\n")
    return path


def keep_all_of(folder: Path, target: Path = FOLDER) -> list[Path]:
    """Keep what ``evaluate`` and ``robustness`` left in a folder.

    Raises
    ------
    InputError
        If there is nothing of theirs in it, or a file is damaged.
    """
    named = [folder / f"{kind}.json" for kind in (EVALUATION, ROBUSTNESS)]
    found = [path for path in named if path.exists()]
    if not found:
        raise InputError(f"{folder}: holds no {' nor '.join(path.name for path in named)}")
    return [keep(figures, target) for figures in [_figures_in(path) for path in found]]


def read(kind: str, folder: Path = FOLDER) -> list[dict[str, Any]]:
    """Return all measurements of a kind, in order of their files' names.

    Raises
    ------
    InputError
        If a file is damaged.
    """
    return [_figures_in(path) for path in sorted(folder.glob(f"*-{kind}.json"))]


def _figures_in(path: Path) -> dict[str, Any]:
    """Read a measurement; it must say what was measured, so that it can be named."""
    mend = "measure it again, or get the file again"
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}: {mend}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no whole JSON ({error}): {mend}") from None
    if not isinstance(figures, dict):
        raise InputError(f"{path}: no figures by name: {mend}")
    try:
        name_of(figures)
    except (InputError, LookupError, TypeError, AttributeError):
        raise InputError(f"{path}: says not what was measured: {mend}") from None
    return figures
