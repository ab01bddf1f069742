"""Make the int8 file and its manifest from a finished run."""

from __future__ import annotations

import argparse
import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rt_ser.recipes import Recipe, recipe_named
from rt_ser.types import F32, RATE_HZ
from rt_ser.whole import written_whole
from train.arguments import add_data_arguments
from train.calibrate import recalls_mean, speech_offset, temperature_of
from train.corpora.clip import LABELS, Clip
from train.examples import labelled_examples, read_examples, together, trained_labels
from train.manifests import write_manifest
from train.net import logits_of
from train.prepare import Prepared, prepare
from train.recipe import TrainRecipe
from train.run_folder import load_run
from train.speech_head import fit_speech_head
from train.splits import load_split
from train.windows import plain_windows

REPRESENTATIVE = 256
READ_SHARE = 0.05
"""Share of people who read among the voices that the speech head is fitted to."""

_NEVER = -1e9

DATA: dict[str, dict[str, str]] = {
    "ravdess": {"name": "RAVDESS (Livingstone and Russo 2018)", "licence": "CC BY-NC-SA 4.0"},
    "cremad": {"name": "CREMA-D (Cao et al. 2014)", "licence": "ODbL 1.0 and DbCL 1.0"},
    "tess": {"name": "TESS (Pichora-Fuller and Dupuis 2020)", "licence": "CC BY-NC-ND 4.0"},
    "savee": {"name": "SAVEE (Haq and Jackson 2009)", "licence": "research use only"},
    "noise": {
        "name": "ESC-10 (Piczak 2015), Speech Commands background noise (Warden 2018)",
        "licence": "CC BY 3.0, CC BY 4.0",
    },
    "speech": {
        "name": "LibriSpeech (Panayotov et al. 2015)",
        "licence": "CC BY 4.0",
    },
    "teacher": {
        "name": "taught by the encoder of Whisper base (Radford et al. 2023)",
        "licence": "MIT",
    },
}
"""What each corpus, and the teacher, asks of those who use it."""

_FREE = frozenset({"cremad", "noise", "speech", "teacher"})


def licence_of(sources: Sequence[str]) -> str:
    """Return what a model that comes from these, keys of ``DATA``, may be used for."""
    if set(sources) <= _FREE:
        return "CC BY 4.0; commercial use allowed with attribution of the data"
    return "CC BY-NC-SA 4.0; research and other non-commercial use only, as the data's licences say"


def manifest_tree(
    *,
    name: str,
    summary: str,
    recipe: Recipe,
    content: bytes,
    temperature: float,
    labels: Sequence[str],
    sources: Sequence[str],
    training: dict[str, Any],
) -> dict[str, Any]:
    """Assemble a manifest; figures are added by ``evaluate``."""
    from train.quantise import quantisation

    return {
        "name": name,
        "summary": summary,
        "labels": list(labels),
        "rate_hz": RATE_HZ,
        "window_s": round(recipe.window_samples / RATE_HZ, 3),
        "features": recipe.parameters(),
        "quantisation": quantisation(content),
        "temperature": round(temperature, 4),
        "licence": licence_of(sources),
        "data": [DATA[source] for source in sources],
        "training": training,
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def export(prepared: Prepared, run: Path, *, name: str, summary: str, folder: Path) -> Path:
    """Quantise a run's network, calibrate it and write ``NAME.tflite`` and ``.yaml``.

    The speech head is fitted again and the classes are balanced on what the network was
    trained on. The temperature and the speech head's offset come from the run's dev
    speakers, whom training never saw; they are 1 and 0 where the run kept none. Only the
    classes that the run's corpora have are kept.
    """
    from train.quantise import run_int8, unbiased
    from train.twin import twin

    told, recipe, network = load_run(run)
    features = recipe_named(recipe.features)
    seen, held, unseen = parted(prepared.clips, told, recipe)
    corpora = sorted({clip.corpus for clip in seen})
    columns = [LABELS.index(label) for label in trained_labels(corpora)]
    dev = labelled_examples(prepared, held, recipe)
    read = read_examples(prepared, trained_labels(corpora)) if "speech" in _beside(recipe) else None
    labelled = labelled_examples(prepared, seen, recipe)
    voices = together(labelled, read, READ_SHARE)
    fit_speech_head(network, prepared, voices, recipe, seed=told["seed"])
    as_keras = functools.partial(
        twin,
        network,
        features,
        classes=columns,
        shape=recipe.shape,
        speech_offset=speech_offset(dev, features, lambda x: logits_of(network, x)["speech"]),
    )
    offsets = _offsets(told["offsets"], recipe)
    model, content = unbiased(as_keras, offsets, columns, _representative(prepared, seen, recipe))

    def integers(inputs: F32) -> F32:
        return _spread(run_int8(content, inputs)[len(columns)], columns)

    def floats(inputs: F32) -> F32:
        return _spread(model.predict(inputs, batch_size=64, verbose=0)["emotion"], columns)

    tree = manifest_tree(
        name=name,
        summary=summary,
        recipe=features,
        content=content,
        temperature=temperature_of(dev, features, integers),
        labels=trained_labels(corpora),
        sources=[*corpora, *_beside(recipe)],
        training={key: told[key] for key in ("split", "seed")}
        | {"recipe": recipe.name, "corpora": corpora},
    )
    test = labelled_examples(prepared, unseen, recipe)
    if len(test):
        split = load_split(told["split"])
        uars = [recalls_mean(test, features, ask, split.classes) for ask in (floats, integers)]
        tree["metrics"] = {split.name: {"int8_loss": round(100.0 * (uars[0] - uars[1]), 2)}}
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(folder / f"{name}.tflite") as draft:
        draft.write_bytes(content)
    write_manifest(tree, folder / f"{name}.yaml")
    return folder / f"{name}.tflite"


def _offsets(taught: Sequence[float], recipe: TrainRecipe) -> F32:
    """Return by how much classes' logits are lowered: what was taught, and what strangers add."""
    added = [recipe.stranger_offsets.get(label, 0.0) for label in LABELS]
    return np.array(taught, np.float32) + np.array(added, np.float32)


def _beside(recipe: TrainRecipe) -> list[str]:
    """Name what a recipe learns from beside corpora."""
    hears_readers = recipe.read_share > 0 or recipe.augmentation.babble > 0
    used = {"noise": True, "speech": hears_readers, "teacher": recipe.has_teacher}
    return [source for source, is_used in used.items() if is_used]


def _spread(logits: F32, columns: Sequence[int]) -> F32:
    """Put the logits of a model's classes where they belong among all classes."""
    wide = np.full((len(logits), len(LABELS)), _NEVER, np.float32)
    wide[:, columns] = logits
    return wide


def parted(
    clips: Sequence[Clip], told: dict[str, Any], recipe: TrainRecipe
) -> tuple[list[Clip], list[Clip], list[Clip]]:
    """Return the clips that a run was trained on, its dev speakers', and those it left out."""
    usable = [clip for clip in clips if clip.corpus in recipe.corpora]
    unseen: list[Clip] = []
    if told["split"]:
        usable, unseen = load_split(told["split"]).divide(usable)
    held = set(told["held"])
    return (
        [clip for clip in usable if clip.speaker not in held],
        [clip for clip in usable if clip.speaker in held],
        unseen,
    )


def _representative(prepared: Prepared, clips: Sequence[Clip], recipe: TrainRecipe) -> F32:
    chosen = np.random.default_rng(0).permutation(len(clips))[:REPRESENTATIVE]
    examples = labelled_examples(prepared, [clips[i] for i in chosen], recipe)
    return plain_windows(examples, recipe_named(recipe.features))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``python -m train export``."""
    add_data_arguments(parser)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--name", required=True, help="what the model will be called")
    parser.add_argument("--summary", default="", help="one line about it")
    parser.add_argument(
        "--folder", type=Path, default=Path("models"), help="where to (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Export one run."""
    prepared = prepare(arguments.data, arguments.cache)
    path = export(
        prepared,
        arguments.run,
        name=arguments.name,
        summary=arguments.summary,
        folder=arguments.folder,
    )
    print(f"wrote {path} ({path.stat().st_size / 1000:.0f} kB) and its manifest")
