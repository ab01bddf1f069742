"""What a model's manifest says of its training, and so whom it may be tested on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rt_ser.config import shown
from rt_ser.errors import ConfigError, ModelError
from train.corpora import CORPORA, Clip
from train.splits import Split, load_split
from train.trees import is_names, read_tree

_MEND = "export the model again"

_TRAINING: dict[str, Callable[[Any], bool]] = {
    "split": lambda value: value is None or isinstance(value, str),
    "recipe": lambda value: isinstance(value, str),
    "corpora": is_names,
}


def manifest_of(model: Path) -> dict[str, Any]:
    """Read a model's manifest, so as to change it.

    Raises
    ------
    ModelError
        If it is not there or no YAML.
    """
    path = model.with_suffix(".yaml")
    return read_tree(path, kind="manifest", mend=_MEND, error=ModelError)


def section_in(tree: dict[str, Any], name: str, model: Path) -> dict[str, Any]:
    """Return one section of a model's manifest; empty where there is none.

    Raises
    ------
    ModelError
        If the section is no mapping.
    """
    section = tree.get(name) or {}
    if not isinstance(section, dict):
        raise ModelError(
            f"{model.with_suffix('.yaml')}: {name}={shown(section)} must be keys with values: "
            f"{_MEND}"
        )
    return section


def _section_of(model: Path, name: str) -> dict[str, Any]:
    """Read one section of the manifest of a model that may have none."""
    if not model.with_suffix(".yaml").exists():
        return {}
    return section_in(manifest_of(model), name, model)


def training_of(model: Path) -> dict[str, Any]:
    """Read what a model's manifest says of its training; empty where it says nothing.

    ``split`` is the fold that it left out (``None``: it was trained on everybody),
    ``recipe`` and ``seed`` what it came from, ``corpora`` those that it was trained on.

    Raises
    ------
    ModelError
        If anything of it is of another type.
    """
    training = _section_of(model, "training")
    for key, fits in _TRAINING.items():
        if key in training and not fits(training[key]):
            raise ModelError(
                f"{model.with_suffix('.yaml')}: training.{key}={shown(training[key])} is none "
                f"that export writes: {_MEND}"
            )
    return training


def int8_loss_of(model: Path, split: Split) -> float | None:
    """Return the points of UAR that int8 cost on a split, where ``export`` has told."""
    told = _section_of(model, "metrics").get(split.name) or {}
    return told.get("int8_loss") if isinstance(told, dict) else None


def check_unseen(clips: Sequence[Clip], training: dict[str, Any], split: Split) -> None:
    """Refuse a figure that would count speakers whom the model was trained on, or may have been.

    Raises
    ------
    ConfigError
        If the manifest's ``training.split`` had any of the clips' speakers in training, or is
        not told.
    """
    corpora = set(training.get("corpora") or CORPORA)
    heard = [clip for clip in clips if clip.corpus in corpora]
    if not heard:
        return
    if "split" not in training:
        raise ConfigError(
            f"split={split.name!r} may test speakers whom this model was trained on: its manifest "
            "has no training.split; export it again from its run, or give split='everything' for "
            "recordings of people whom it has never heard"
        )
    left_out = training["split"]
    trained_on = load_split(left_out) if left_out else Split(name="none", test=frozenset())
    seen = sorted({clip.speaker for clip in heard if not trained_on.is_test_speaker(clip)})
    if seen:
        raise ConfigError(
            f"split={split.name!r} tests {seen[0]} and {len(seen) - 1} more whom this model was "
            f"trained on: evaluate it on split={trained_on.name!r}, which it left out"
        )
