"""Measurements that are committed: one small JSON file per model and what was measured.

``python -m train evaluate --keep``, ``robustness --keep`` and ``enrollment --keep`` write
them, ``report`` reads them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rt_ser.errors import InputError

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
    """Write a measurement, in place of an earlier one of the same recipe, split and seed."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name_of(figures)
    path.write_text(json.dumps(figures, separators=(",", ":")) + "\n", encoding="utf-8")
    return path


def keep_all_of(folder: Path, target: Path = FOLDER) -> list[Path]:
    """Keep what ``evaluate`` and ``robustness`` left in a folder.

    Raises
    ------
    InputError
        If there is nothing of theirs in it.
    """
    found = [folder / f"{kind}.json" for kind in (EVALUATION, ROBUSTNESS)]
    texts = [path.read_text(encoding="utf-8") for path in found if path.exists()]
    if not texts:
        raise InputError(f"{folder}: holds no {' nor '.join(path.name for path in found)}")
    return [keep(json.loads(text), target) for text in texts]


def read(kind: str, folder: Path = FOLDER) -> list[dict[str, Any]]:
    """Return all measurements of a kind, in order of their files' names."""
    paths = sorted(folder.glob(f"*-{kind}.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]
