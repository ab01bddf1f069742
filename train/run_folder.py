"""The folder of a run: what it is called, what it was told, how far it got, its network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml

from rt_ser.errors import ConfigError
from rt_ser.recipes import recipe_named
from rt_ser.types import F32
from rt_ser.whole import written_whole
from train.examples import CLASSES
from train.net import Network
from train.recipe import TrainRecipe, recipe_from

ABOUT = "run.yaml"
CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.pt"


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
    """Write ``run.yaml``: what a run was told, and what its export needs beside the weights."""
    about = {
        "split": split,
        "seed": seed,
        "held": list(held),
        "offsets": [round(float(offset), 4) for offset in offsets],
        "recipe": asdict(recipe),
    }
    (run / ABOUT).write_text(yaml.safe_dump(about, sort_keys=False), encoding="utf-8")


def is_finished(run: Path, recipe: TrainRecipe) -> bool:
    """Tell whether training by a recipe has come to its end in a folder, if it ever began.

    Raises
    ------
    ConfigError
        If another recipe was trained by there.
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
    """
    kept: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    if kept["recipe"] != repr(recipe):
        raise ConfigError(_left_by_another(path.parent, recipe))
    return kept


def _left_by_another(run: Path, recipe: TrainRecipe) -> str:
    return (
        f"{run}: left by another recipe than {recipe.name!r} now is: "
        "delete the folder, or train into another"
    )


def _told_of(run: Path) -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load((run / ABOUT).read_text(encoding="utf-8"))
    return told


def load_run(run: Path) -> tuple[dict[str, Any], TrainRecipe, Network]:
    """Read what training left: what it was told, its recipe and the averaged network.

    Raises
    ------
    ConfigError
        If the run is not finished.
    """
    if not (run / WEIGHTS).exists():
        raise ConfigError(f"{run}: no weights.pt there: finish it with fit first")
    told = _told_of(run)
    recipe = recipe_from(told["recipe"], source=str(run / ABOUT))
    network = Network(recipe_named(recipe.features), classes=CLASSES, shape=recipe.shape)
    network.load_state_dict(torch.load(run / WEIGHTS, map_location="cpu", weights_only=True))
    return told, recipe, network.eval()
