"""Train one model by a recipe on the training side of a split; resumable at every epoch."""

from __future__ import annotations

import argparse
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from rt_ser.errors import ConfigError
from rt_ser.recipes import recipe_named
from rt_ser.types import F32
from train.arguments import add_data_arguments
from train.augment import Augmenter, Batch
from train.calibrate import prior_offsets
from train.examples import (
    CLASSES,
    Examples,
    labelled_examples,
    noise_examples,
    read_examples,
    together,
    trained_labels,
)
from train.net import Network
from train.plan import multiply_accumulates, plan
from train.plots import save, training_plot
from train.prepare import Prepared, prepare
from train.recipe import TrainRecipe, load_recipe
from train.run_log import RunLog
from train.splits import dev_speakers, load_split
from train.trainer import Trainer, logits_of
from train.windows import plain_windows

CHECKPOINT = "checkpoint.pt"

_PREFETCH = 4


@contextmanager
def batches(augmenter: Augmenter, recipe: TrainRecipe, seed: int, first: int) -> Iterator[Any]:
    """Draw batches ahead in a thread; batch ``n`` is the same whenever it is drawn.

    Where one cannot be drawn, the error takes its place: see :func:`taken`.
    """
    ready: queue.Queue[Batch | Exception] = queue.Queue(_PREFETCH)
    stopped = threading.Event()

    def draw(number: int) -> Batch | Exception:
        try:
            frames = recipe.frames_at(number)
            return augmenter.draw(np.random.default_rng((seed, number)), recipe.batch, frames)
        except Exception as error:
            return error

    def produce() -> None:
        number = first
        while not stopped.is_set():
            batch = draw(number)
            while not stopped.is_set():
                try:
                    ready.put(batch, timeout=0.2)
                    break
                except queue.Full:
                    continue
            number += 1

    thread = threading.Thread(target=produce, name="augment", daemon=True)
    thread.start()
    try:
        yield ready
    finally:
        stopped.set()
        thread.join()


def taken(ready: queue.Queue[Batch | Exception]) -> Batch:
    """Wait for the next batch; raises what drawing it raised, in place of waiting for ever."""
    batch = ready.get()
    if isinstance(batch, Exception):
        raise batch
    return batch


def clip_uar(network: Network, examples: Examples, recipe: TrainRecipe) -> float:
    """Return the float network's UAR over the examples' newest windows, a quick look only."""
    inputs = plain_windows(examples, recipe_named(recipe.features))
    logits = logits_of(network, inputs)["emotion"]
    said = np.where(examples.masks > 0, logits, -np.inf).argmax(axis=1)
    meant = examples.targets.argmax(axis=1)
    return float(np.mean([(said[meant == label] == label).mean() for label in np.unique(meant)]))


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
    (run / "run.yaml").write_text(yaml.safe_dump(about, sort_keys=False), encoding="utf-8")


def fit(
    prepared: Prepared,
    recipe: TrainRecipe,
    *,
    split: str | None,
    seed: int,
    run: Path,
    tensorboard: bool = False,
) -> Network:
    """Train on a split's training side (all clips if ``None``) and save below ``run``.

    Writes ``run.yaml``, ``log.csv`` and its plot, ``checkpoint.pt`` (resumed from if it is
    there) and ``weights.pt`` with the averaged weights. ``tensorboard`` asks for event files.
    """
    run.mkdir(parents=True, exist_ok=True)
    clips = list(prepared.clips)
    if split is not None:
        clips, _ = load_split(split).divide(clips)
    clips = [clip for clip in clips if clip.corpus in recipe.corpora]
    held = dev_speakers(clips, recipe.dev_speakers)
    seen = [clip for clip in clips if clip.speaker not in held]
    labelled = labelled_examples(prepared, seen, recipe)
    dev = None
    if held:
        dev = labelled_examples(prepared, [c for c in clips if c.speaker in held], recipe)
    if not len(labelled):
        raise ConfigError(f"split={split!r} leaves nothing to train on: choose another")
    offsets = prior_offsets(labelled.weights, labelled.targets, labelled.masks)
    read = read_examples(prepared, trained_labels({clip.corpus for clip in clips}))
    labelled = together(labelled, read, recipe.read_share)
    augmenter = Augmenter(labelled, noise_examples(prepared), recipe_named(recipe.features), recipe)
    trainer = Trainer(recipe, recipe.epochs * recipe.steps_per_epoch, seed)
    number = trainer.restore(run / CHECKPOINT) if (run / CHECKPOINT).exists() else 0
    write_about(run, recipe, split=split, seed=seed, held=sorted(held), offsets=offsets)
    log = RunLog(run, number // recipe.steps_per_epoch, tensorboard=tensorboard)
    _loop(trainer, augmenter, dev, seed, run, log, number)
    torch.save(trainer.average.state_dict(), run / "weights.pt")
    save(training_plot(log.rows()), run / "log.png")
    network: Network = trainer.average
    return network


def _loop(
    trainer: Trainer,
    augmenter: Augmenter,
    dev: Examples | None,
    seed: int,
    run: Path,
    log: RunLog,
    number: int,
) -> None:
    recipe = trainer.recipe
    features = recipe_named(recipe.features)
    macs = multiply_accumulates(
        features, plan(features, recipe.shape), CLASSES, recipe.hidden
    )
    size = sum(parameter.numel() for parameter in trainer.network.parameters())
    print(
        f"{recipe.name}: {size} parameters, {macs / 1e6:.1f} M MACs, "
        f"{len(augmenter)} utterances, steps {number} to {trainer.total}",
        flush=True,
    )
    losses: list[float] = []
    began = time.monotonic()
    with batches(augmenter, recipe, seed, number) as ready:
        while number < trainer.total:
            losses.append(trainer.step(taken(ready), number))
            number += 1
            if number % recipe.steps_per_epoch == 0:
                _log(trainer, dev, run, log, number, losses, time.monotonic() - began)
                losses, began = [], time.monotonic()


def _log(
    trainer: Trainer,
    dev: Examples | None,
    run: Path,
    log: RunLog,
    number: int,
    losses: list[float],
    seconds: float,
) -> None:
    recipe = trainer.recipe
    epoch = number // recipe.steps_per_epoch
    row: dict[str, Any] = {"epoch": epoch, "loss": round(float(np.mean(losses)), 4)}
    row["seconds"] = round(seconds, 1)
    look = dev is not None and (epoch % 5 == 0 or epoch == recipe.epochs)
    row["dev_uar"] = round(clip_uar(trainer.average, dev, recipe), 4) if look and dev else ""
    log.add(row)
    left = seconds * (recipe.epochs - epoch) / 60.0
    print(f"{row} about {left:.0f} min left", flush=True)
    trainer.save(run / CHECKPOINT, number)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``python -m train fit``."""
    add_data_arguments(parser)
    parser.add_argument("--recipe", default="third", help="name or .yaml (default: %(default)s)")
    parser.add_argument("--split", help="leave this split's test speakers out (default: none)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--threads", type=int, help="processor threads (default: one per core)")
    parser.add_argument(
        "--tensorboard", action="store_true", help="write events for TensorBoard into the run too"
    )
    parser.add_argument("--run", type=Path, help="folder of the run (default: by name below runs/)")


def run(arguments: argparse.Namespace) -> None:
    """Train one model."""
    recipe = load_recipe(arguments.recipe)
    if recipe.has_teacher:
        raise ConfigError(f"recipe={recipe.name!r} has a teacher: use python -m train study")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    name = run_name(recipe.name, arguments.split, arguments.seed)
    folder = arguments.run or Path("runs") / name
    prepared = prepare(arguments.data, arguments.cache)
    fit(
        prepared,
        recipe,
        split=arguments.split,
        seed=arguments.seed,
        run=folder,
        tensorboard=arguments.tensorboard,
    )
    print(f"saved {folder / 'weights.pt'}")
