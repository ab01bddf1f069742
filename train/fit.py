"""Train one model by a recipe on the training side of a split; resumable at every epoch."""

from __future__ import annotations

import argparse
import csv
import math
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import yaml

from rt_ser.errors import ConfigError
from rt_ser.recipes import recipe_named
from train.arguments import add_data_arguments
from train.augment import Augmenter, Batch, plain_windows
from train.examples import CLASSES, Examples, dev_speakers, labelled_examples, noise_examples
from train.net import build, multiply_accumulates
from train.prepare import Prepared, prepare
from train.recipe import TrainRecipe, load_recipe
from train.splits import load_split

_NEVER = -1e9
_PREFETCH = 4


def masked_log_softmax(logits: Any, masks: Any) -> Any:
    """Return log probabilities over the classes whose mask is 1."""
    return tf.nn.log_softmax(logits + (1.0 - masks) * _NEVER)


def loss_of(outputs: dict[str, Any], batch: Batch, speech_weight: float) -> Any:
    """Cross-entropy over each corpus's own classes, plus that of the speech head."""
    logits = outputs["emotion"]
    each = [
        -tf.reduce_sum(batch.targets[:, i] * masked_log_softmax(logits, batch.masks[:, i]), axis=1)
        for i in (0, 1)
    ]
    emotion = batch.blend * each[0] + (1.0 - batch.blend) * each[1]
    emotion = tf.reduce_sum(emotion * batch.labelled) / tf.reduce_sum(batch.labelled)
    speech = tf.nn.sigmoid_cross_entropy_with_logits(
        labels=batch.speech * 0.98 + 0.01, logits=outputs["speech"][:, 0]
    )
    return emotion + speech_weight * tf.reduce_mean(speech)


def one_cycle(step: int, total: int, peak: float) -> float:
    """Rise to ``peak`` over the first quarter and fall to nearly zero by cosine (Smith 2018)."""
    rise = max(1, total // 4)
    if step < rise:
        return peak * (0.04 + 0.96 * step / rise)
    fallen = (step - rise) / max(1, total - rise)
    return peak * (0.5 + 0.5 * math.cos(math.pi * fallen)) + 1e-6


class Trainer:
    """A model, its optimiser and the running average of its weights."""

    def __init__(self, recipe: TrainRecipe, total_steps: int, seed: int) -> None:
        keras.utils.set_random_seed(seed)
        features = recipe_named(recipe.features)
        self.recipe, self.total = recipe, total_steps
        self.model = build(features, classes=CLASSES, width=recipe.width, dropout=recipe.dropout)
        self.optimizer = keras.optimizers.AdamW(1e-4, weight_decay=recipe.weight_decay)
        self.optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        self.optimizer.build(self.model.trainable_variables)
        self.average = [tf.Variable(v.value, trainable=False) for v in self.model.weights]
        self._step = tf.function(self._update, jit_compile=False)

    def _update(self, tensors: dict[str, Any], decay: Any) -> Any:
        batch = Batch(**tensors)
        with tf.GradientTape() as tape:
            loss = loss_of(self.model(batch.inputs, training=True), batch, self.recipe.speech_loss)
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        for kept, new in zip(self.average, self.model.weights, strict=True):
            kept.assign(decay * kept + (1.0 - decay) * new.value)
        return loss

    def step(self, batch: Batch, number: int) -> float:
        """Take one optimiser step and return the loss."""
        self.optimizer.learning_rate = one_cycle(number, self.total, self.recipe.peak_rate)
        decay = min(self.recipe.average, (1.0 + number) / (10.0 + number))
        tensors = {name: tf.constant(getattr(batch, name)) for name in Batch.__slots__}
        return float(self._step(tensors, tf.constant(decay, tf.float32)))

    def averaged(self) -> keras.Model:
        """Return a copy of the model with the averaged weights."""
        model: keras.Model = keras.models.clone_model(self.model)
        model.set_weights([kept.numpy() for kept in self.average])
        return model

    def save(self, path: Path, number: int) -> None:
        """Write everything that resuming needs; the file is whole at every moment."""
        arrays: dict[str, Any] = {
            f"{key}{i}": np.asarray(variable)
            for key, group in self._state().items()
            for i, variable in enumerate(group)
        }
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, step=number, **arrays)
        partial.replace(path)

    def restore(self, path: Path) -> int:
        """Read what :meth:`save` wrote and return the number of the next step."""
        with np.load(path) as arrays:
            for key, group in self._state().items():
                for i, variable in enumerate(group):
                    variable.assign(arrays[f"{key}{i}"])
            return int(arrays["step"])

    def _state(self) -> dict[str, list[Any]]:
        """Return every variable that a step changes, by group."""
        weights = {id(variable) for variable in self.model.weights}
        return {
            "m": self.model.weights,
            "o": self.optimizer.variables,
            "a": self.average,
            # Where dropout's random sequence stands; Keras counts it among no weights.
            "r": [variable for variable in self.model.variables if id(variable) not in weights],
        }


@contextmanager
def batches(augmenter: Augmenter, recipe: TrainRecipe, seed: int, first: int) -> Iterator[Any]:
    """Draw batches ahead in a thread; batch ``n`` is the same whenever it is drawn.

    Where one cannot be drawn, the error takes its place: see :func:`taken`.
    """
    ready: queue.Queue[Batch | Exception] = queue.Queue(_PREFETCH)
    stopped = threading.Event()

    def draw(number: int) -> Batch | Exception:
        try:
            return augmenter.draw(np.random.default_rng((seed, number)), recipe.batch)
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


def clip_uar(model: keras.Model, examples: Examples, recipe: TrainRecipe) -> float:
    """Return the float model's UAR over the examples' newest windows, a quick look only."""
    inputs = plain_windows(examples, recipe_named(recipe.features))
    logits = model.predict(inputs, batch_size=128, verbose=0)["emotion"]
    said = np.where(examples.masks > 0, logits, -np.inf).argmax(axis=1)
    meant = examples.targets.argmax(axis=1)
    return float(np.mean([(said[meant == label] == label).mean() for label in np.unique(meant)]))


def fit(
    prepared: Prepared, recipe: TrainRecipe, *, split: str | None, seed: int, run: Path
) -> keras.Model:
    """Train on a split's training side (all clips if ``None``) and save below ``run``.

    Writes ``run.yaml``, ``log.csv``, ``checkpoint.npz`` (resumed from if it is there)
    and ``model.keras`` with the averaged weights.
    """
    run.mkdir(parents=True, exist_ok=True)
    clips = list(prepared.clips)
    if split is not None:
        clips, _ = load_split(split).divide(clips)
    held = dev_speakers(clips, recipe.dev_speakers)
    labelled = labelled_examples(prepared, [c for c in clips if c.speaker not in held], recipe)
    dev = None
    if held:
        dev = labelled_examples(prepared, [c for c in clips if c.speaker in held], recipe)
    about = {"split": split, "seed": seed, "held": sorted(held), "recipe": asdict(recipe)}
    (run / "run.yaml").write_text(yaml.safe_dump(about, sort_keys=False), encoding="utf-8")
    if not len(labelled):
        raise ConfigError(f"split={split!r} leaves nothing to train on: choose another")
    augmenter = Augmenter(labelled, noise_examples(prepared), recipe_named(recipe.features), recipe)
    trainer = Trainer(recipe, recipe.epochs * recipe.steps_per_epoch, seed)
    _loop(trainer, augmenter, dev, seed, run)
    model = trainer.averaged()
    model.save(run / "model.keras")
    return model


def _loop(
    trainer: Trainer, augmenter: Augmenter, dev: Examples | None, seed: int, run: Path
) -> None:
    checkpoint, recipe = run / "checkpoint.npz", trainer.recipe
    number = trainer.restore(checkpoint) if checkpoint.exists() else 0
    macs = multiply_accumulates(trainer.model)
    print(
        f"{recipe.name}: {trainer.model.count_params()} parameters, {macs / 1e6:.1f} M MACs, "
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
                _log(trainer, dev, run, number, losses, time.monotonic() - began)
                losses, began = [], time.monotonic()


def _log(
    trainer: Trainer,
    dev: Examples | None,
    run: Path,
    number: int,
    losses: list[float],
    seconds: float,
) -> None:
    recipe = trainer.recipe
    epoch = number // recipe.steps_per_epoch
    row: dict[str, Any] = {"epoch": epoch, "loss": round(float(np.mean(losses)), 4)}
    row["seconds"] = round(seconds, 1)
    look = dev is not None and (epoch % 5 == 0 or epoch == recipe.epochs)
    row["dev_uar"] = round(clip_uar(trainer.averaged(), dev, recipe), 4) if look and dev else ""
    path = run / "log.csv"
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row)
        if fresh:
            writer.writeheader()
        writer.writerow(row)
    left = seconds * (recipe.epochs - epoch) / 60.0
    print(f"{row} about {left:.0f} min left", flush=True)
    trainer.save(run / "checkpoint.npz", number)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``python -m train fit``."""
    add_data_arguments(parser)
    parser.add_argument("--recipe", default="first", help="name or .yaml (default: %(default)s)")
    parser.add_argument("--split", help="leave this split's test speakers out (default: none)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--run", type=Path, help="folder of the run (default: by name below runs/)")


def run(arguments: argparse.Namespace) -> None:
    """Train one model."""
    recipe = load_recipe(arguments.recipe)
    name = f"{recipe.name}-{arguments.split or 'all'}-{arguments.seed}".replace(":", "-")
    folder = arguments.run or Path("runs") / name
    prepared = prepare(arguments.data, arguments.cache)
    fit(prepared, recipe, split=arguments.split, seed=arguments.seed, run=folder)
    print(f"saved {folder / 'model.keras'}")
