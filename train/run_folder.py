"""The folder of a run: what it is called, what it was told, how far it got, its network."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml

from rt_ser.config import shown
from rt_ser.errors import ConfigError, ModelError
from rt_ser.recipes import recipe_named
from rt_ser.types import F32
from rt_ser.whole import written_whole
from train.examples import CLASSES
from train.net import Network
from train.recipe import TrainRecipe, recipe_from
from train.trees import is_names, is_number, read_tree

ABOUT = "run.yaml"
CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.pt"

_TOLD: dict[str, Callable[[Any], bool]] = {
    "split": lambda value: value is None or isinstance(value, str),
    "seed": lambda value: isinstance(value, int),
    "held": is_names,
    "offsets": lambda value: (
        isinstance(value, list) and len(value) == CLASSES and all(map(is_number, value))
    ),
    "recipe": lambda value: isinstance(value, dict),
}
"""What ``run.yaml`` holds, and how each must be."""

_LATER = frozenset({"peers", "stranger_offsets", "teacher_votes"})
"""Keys of recipes that runs in ``train/runs`` do not tell: there was none of it then."""

_DAMAGED = (
    AttributeError, EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError,
    pickle.UnpicklingError,
)  # fmt: skip
"""What PyTorch raises for a file that is cut off, or is none of its own."""


def run_name(recipe: str, split: str | None, seed: int) -> str:
    """Name the folder of a run; one that leaves nobody out is called ``all``."""
    return f"{recipe}-{split or 'all'}-{seed}".replace(":", "-")


def write_about(
    run: Path,
    recipe: TrainRecipe,
    *,
    split: str | None,
    seed: int,
    held: Iterable[str],
    offsets: F32,
) -> None:
    """Write ``run.yaml``: what a run was told, and what its export needs beside the weights.

    The file is whole at every moment, and is left alone where it says so already.
    """
    about = {
        "split": split,
        "seed": seed,
        "held": list(held),
        "offsets": [round(float(offset), 4) for offset in offsets],
        "recipe": asdict(recipe),
    }
    text = yaml.safe_dump(about, sort_keys=False).encode()
    if (run / ABOUT).exists() and (run / ABOUT).read_bytes() == text:
        return
    with written_whole(run / ABOUT) as draft:
        draft.write_bytes(text)


def is_finished(run: Path, recipe: TrainRecipe) -> bool:
    """Tell whether training by a recipe has come to its end in a folder, if it ever began.

    Raises
    ------
    ConfigError
        If another recipe was trained by there, or ``run.yaml`` is damaged.
    """
    if not (run / ABOUT).exists():
        return False
    if _told_of(run)["recipe"] != asdict(recipe):
        raise ConfigError(_left_by_another(run, recipe))
    return (run / WEIGHTS).exists()


def write_checkpoint(path: Path, recipe: TrainRecipe, state: dict[str, Any]) -> None:
    """Write a state of training by a recipe; the file is whole at every moment."""
    with written_whole(path) as draft, draft.open("wb") as file:
        torch.save({"recipe": repr(recipe), **state}, file)


def read_checkpoint(path: Path, recipe: TrainRecipe, device: torch.device) -> dict[str, Any]:
    """Read what :func:`write_checkpoint` wrote.

    Raises
    ------
    ConfigError
        If the file belongs to another recipe.
    ModelError
        If it is damaged.
    """
    kept: dict[str, Any]
    try:
        kept = torch.load(path, map_location=device, weights_only=True)
        its = kept["recipe"]
    except _DAMAGED as error:
        raise _damaged(path, error, "delete it to begin anew") from None
    if its != repr(recipe):
        raise ConfigError(_left_by_another(path.parent, recipe))
    return kept


def _damaged(path: Path, error: Exception, mend: str) -> ModelError:
    why = (str(error).splitlines() or [type(error).__name__])[0].split(". ")[0].rstrip(".:")
    return ModelError(f"{path}: cannot be read ({why[:120]}): {mend}")


def _left_by_another(run: Path, recipe: TrainRecipe) -> str:
    return (
        f"{run}: left by another recipe than {recipe.name!r} now is: "
        "delete the folder, or train into another"
    )


def _told_of(run: Path) -> dict[str, Any]:
    """Read ``run.yaml``; raise ConfigError where anything is not as it was written."""
    path, mend = run / ABOUT, "get it again, or delete the folder and fit anew"
    told = read_tree(path, kind="run", mend=mend)
    for key, fits in _TOLD.items():
        if key not in told:
            raise ConfigError(f"{path}: {key} is missing: {mend}")
        if not fits(told[key]):
            raise ConfigError(f"{path}: {key}={shown(told[key])} is damaged: {mend}")
    lacking = _names_in(asdict(TrainRecipe(name=""))) - _LATER - _names_in(told["recipe"])
    if lacking:
        raise ConfigError(f"{path}: recipe lacks {shown(sorted(lacking))}: {mend}")
    return told


def _names_in(recipe: dict[str, Any]) -> set[str]:
    """Return the keys of a recipe and of its augmentation."""
    bent = recipe.get("augmentation")
    return set(recipe) | set(bent if isinstance(bent, dict) else ())


def load_run(run: Path) -> tuple[dict[str, Any], TrainRecipe, Network]:
    """Read what training left: what it was told, its recipe and the averaged network.

    Raises
    ------
    ConfigError
        If the run is not finished, or ``run.yaml`` is damaged.
    ModelError
        If the weights are damaged, or none of this recipe's network.
    """
    path = run / WEIGHTS
    if not path.exists():
        raise ConfigError(f"{run}: no weights.pt there: finish it with fit first")
    told = _told_of(run)
    recipe = recipe_from(told["recipe"], source=str(run / ABOUT))
    network = Network(recipe_named(recipe.features), classes=CLASSES, shape=recipe.shape)
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except _DAMAGED as error:
        raise _damaged(path, error, "get it again, or delete the folder and fit anew") from None
    return told, recipe, network.eval()
