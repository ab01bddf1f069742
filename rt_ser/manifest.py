"""A model's contract: what a ``.tflite`` file expects, says, was made from and scored."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rt_ser.config import shown
from rt_ser.errors import ModelError
from rt_ser.recipes import Recipe, recipe_named
from rt_ser.types import RATE_HZ
from rt_ser.yaml_file import read_mapping

MAX_MANIFEST_BYTES = 64 * 1024
MAX_MODEL_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is known of a model.

    ``labels`` name the emotion logits in order. ``temperature`` divides them before the
    softmax (Guo et al. 2017). ``metrics`` are free-form figures, each with the command
    that made it; ``licence`` says what the weights may be used for, ``data`` what they
    were trained on. ``ordinary``, where it is known, is what the model says of people whom
    it has never heard when they feel nothing in particular: a mean log-probability for
    each label, in nats.
    """

    name: str
    labels: tuple[str, ...]
    recipe: Recipe
    temperature: float
    sha256: str
    licence: str
    summary: str = ""
    data: tuple[Mapping[str, Any], ...] = ()
    quantisation: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    ordinary: tuple[float, ...] | None = None
    path: Path = Path()

    @property
    def window_samples(self) -> int:
        """Samples in one full window."""
        return self.recipe.window_samples


def read_manifest(path: Path) -> Manifest:
    """Read and check ``NAME.yaml``, which lies beside ``NAME.tflite``.

    Raises
    ------
    ModelError
        If the file is missing, is no YAML mapping, or lacks or contradicts anything.
    """
    tree = _read_tree(path)
    try:
        return _manifest(tree, path)
    except KeyError as error:
        raise ModelError(
            f"{path}: {error.args[0]} is missing from the manifest: export the model again"
        ) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise ModelError(f"{path}: {str(error)[:200]}: export the model again") from None


def _read_tree(path: Path) -> dict[Any, Any]:
    try:
        return read_mapping(path, most_bytes=MAX_MANIFEST_BYTES, kind="manifest")
    except OSError as error:
        raise ModelError(
            f"{path}: {error.strerror or error}: a model needs its manifest (.yaml) beside it; "
            "see rt-ser models"
        ) from None
    except ValueError as error:
        raise ModelError(f"{error}: export the model again") from None


def _manifest(tree: dict[Any, Any], path: Path) -> Manifest:
    labels = tree["labels"]
    if not isinstance(labels, list) or len(labels) < 2 or len(set(map(str, labels))) != len(labels):
        raise ValueError(f"labels={shown(labels)} must be a list of two or more different names")
    temperature = float(tree["temperature"])
    if not 0.05 <= temperature <= 20.0:
        raise ValueError(f"temperature={temperature} must be 0.05 to 20")
    if tree["rate_hz"] != RATE_HZ:
        raise ValueError(f"rate_hz={shown(tree['rate_hz'])} must be {RATE_HZ}")
    return Manifest(
        name=str(tree["name"]),
        labels=tuple(map(str, labels)),
        recipe=_recipe(tree["features"]),
        temperature=temperature,
        sha256=str(tree["sha256"]).lower(),
        licence=str(tree["licence"]),
        summary=str(tree.get("summary", "")),
        data=tuple(tree.get("data") or ()),
        quantisation=dict(tree.get("quantisation") or {}),
        metrics=dict(tree.get("metrics") or {}),
        ordinary=_ordinary(tree.get("ordinary"), labels),
        path=path.with_suffix(".tflite"),
    )


def _ordinary(told: Any, labels: list[Any]) -> tuple[float, ...] | None:
    if told is None:
        return None
    if not isinstance(told, dict) or set(told) != set(labels):
        raise ValueError(f"ordinary={shown(told)} must be a mapping of each label to a number")
    values = tuple(float(told[label]) for label in labels)
    if not all(math.isfinite(value) and value <= 0.0 for value in values):
        raise ValueError(f"ordinary={shown(told)} must hold finite numbers, none above 0")
    return values


def _recipe(features: Any) -> Recipe:
    if not isinstance(features, dict):
        raise ValueError(f"features={shown(features)} must be a mapping of keys to values")
    recipe = recipe_named(str(features["name"]))
    if features != recipe.parameters():
        wrong = {key for key, value in recipe.parameters().items() if features.get(key) != value}
        raise ValueError(f"features of {recipe.name} differ in {', '.join(sorted(wrong))}")
    return recipe


def read_model(manifest: Manifest) -> bytes:
    """Return the model file's bytes, checked against the manifest's SHA-256.

    Raises
    ------
    ModelError
        If the file is missing, too large, or not the one that the manifest describes.
    """
    try:
        if manifest.path.stat().st_size > MAX_MODEL_BYTES:
            raise ModelError(f"{manifest.path}: over {MAX_MODEL_BYTES} bytes: too large a model")
        content = manifest.path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{manifest.path}: {error.strerror or error}: see rt-ser models for those installed"
        ) from None
    if hashlib.sha256(content).hexdigest() != manifest.sha256:
        raise ModelError(
            f"{manifest.path}: SHA-256 differs from the manifest's: the file is damaged or "
            "another version; install or export it again"
        )
    return content
