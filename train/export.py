"""Make the int8 file and its manifest from a finished run."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rt_ser.errors import ConfigError
from rt_ser.recipes import Recipe, recipe_named
from rt_ser.types import F32, RATE_HZ
from train.arguments import add_data_arguments
from train.corpora.clip import LABELS, Clip
from train.prepare import Prepared, prepare
from train.recipe import TrainRecipe, recipe_from
from train.splits import load_split

REPRESENTATIVE = 256

DATA: dict[str, dict[str, str]] = {
    "ravdess": {"name": "RAVDESS (Livingstone and Russo 2018)", "licence": "CC BY-NC-SA 4.0"},
    "cremad": {"name": "CREMA-D (Cao et al. 2014)", "licence": "ODbL 1.0 and DbCL 1.0"},
    "tess": {"name": "TESS (Pichora-Fuller and Dupuis 2020)", "licence": "CC BY-NC-ND 4.0"},
    "savee": {"name": "SAVEE (Haq and Jackson 2009)", "licence": "research use only"},
    "noise": {
        "name": "ESC-10 (Piczak 2015), Speech Commands background noise (Warden 2018)",
        "licence": "CC BY 3.0, CC BY 4.0",
    },
}
"""What each corpus asks of those who use it."""

_FREE = frozenset({"cremad", "noise"})


def licence_of(corpora: Sequence[str]) -> str:
    """Return what a model trained on these corpora may be used for."""
    if set(corpora) <= _FREE:
        return "CC BY 4.0; commercial use allowed with attribution of the data"
    return "CC BY-NC-SA 4.0; research and other non-commercial use only, as the data's licences say"


def manifest_tree(
    *,
    name: str,
    summary: str,
    recipe: Recipe,
    content: bytes,
    temperature: float,
    corpora: Sequence[str],
    training: dict[str, Any],
) -> dict[str, Any]:
    """Assemble a manifest; figures are added by ``evaluate``."""
    from train.quantise import quantisation

    return {
        "name": name,
        "summary": summary,
        "labels": list(LABELS),
        "rate_hz": RATE_HZ,
        "window_s": round(recipe.window_samples / RATE_HZ, 3),
        "features": recipe.parameters(),
        "quantisation": quantisation(content),
        "temperature": round(temperature, 4),
        "licence": licence_of(corpora),
        "data": [DATA[corpus] for corpus in [*corpora, "noise"]],
        "training": training,
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def export(prepared: Prepared, run: Path, *, name: str, summary: str, folder: Path) -> Path:
    """Quantise a run's network, fit its temperature and write ``NAME.tflite`` and ``.yaml``.

    The temperature comes from the run's dev speakers, whom training never saw; it is 1
    where the run kept none.
    """
    import keras

    from train.quantise import save_bytes, to_int8

    told = yaml.safe_load((run / "run.yaml").read_text(encoding="utf-8"))
    recipe = recipe_from(told["recipe"], source=str(run / "run.yaml"))
    clips = list(prepared.clips)
    if told["split"]:
        clips, _ = load_split(told["split"]).divide(clips)
    held = set(told["held"])
    seen = [clip for clip in clips if clip.speaker not in held]
    model = keras.models.load_model(run / "model.keras")
    content = to_int8(model, _representative(prepared, seen, recipe))
    temperature = _temperature(prepared, [c for c in clips if c.speaker in held], recipe, content)
    training = {"recipe": recipe.name, "split": told["split"], "seed": told["seed"]}
    tree = manifest_tree(
        name=name,
        summary=summary,
        recipe=recipe_named(recipe.features),
        content=content,
        temperature=temperature,
        corpora=sorted({clip.corpus for clip in seen}),
        training=training,
    )
    save_bytes(folder / f"{name}.tflite", content)
    text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=96)
    save_bytes(folder / f"{name}.yaml", text.encode())
    return folder / f"{name}.tflite"


def _representative(prepared: Prepared, clips: Sequence[Clip], recipe: TrainRecipe) -> F32:
    from train.augment import plain_windows
    from train.examples import labelled_examples

    chosen = np.random.default_rng(0).permutation(len(clips))[:REPRESENTATIVE]
    examples = labelled_examples(prepared, [clips[i] for i in chosen], recipe)
    return plain_windows(examples, recipe_named(recipe.features))


def _temperature(
    prepared: Prepared, clips: Sequence[Clip], recipe: TrainRecipe, content: bytes
) -> float:
    from train.augment import plain_windows
    from train.examples import labelled_examples
    from train.quantise import fit_temperature, run_int8

    if not clips:
        return 1.0
    examples = labelled_examples(prepared, clips, recipe)
    logits = run_int8(content, plain_windows(examples, recipe_named(recipe.features)))[len(LABELS)]
    return fit_temperature(logits, examples.masks, examples.targets.argmax(axis=1))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``python -m train export``."""
    add_data_arguments(parser)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder that fit left")
    parser.add_argument("--name", required=True, help="what the model will be called")
    parser.add_argument("--summary", default="", help="one line about it")
    parser.add_argument(
        "--folder", type=Path, default=Path("models"), help="where to (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Export one run."""
    if not (arguments.run / "model.keras").exists():
        raise ConfigError(f"{arguments.run}: no model.keras there: run python -m train fit first")
    prepared = prepare(arguments.data, arguments.cache)
    path = export(
        prepared,
        arguments.run,
        name=arguments.name,
        summary=arguments.summary,
        folder=arguments.folder,
    )
    print(f"wrote {path} ({path.stat().st_size / 1000:.0f} kB) and its manifest")
