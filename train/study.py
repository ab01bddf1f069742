"""Train networks on views that a large encoder hears too, several networks side by side.

The encoder hears every view once, whatever number of networks learn from them. Made for a
GPU, where a network takes half a minute; without one it works all the same, in a day. Views of
all four corpora take 20 GB of the device's memory.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rt_ser.errors import ConfigError
from rt_ser.recipes import recipe_named
from rt_ser.types import F32
from train.arguments import add_data_arguments
from train.examples import Examples, labelled_examples, noise_examples
from train.export import load_run
from train.fit import CHECKPOINT, clip_uar, run_name, write_about
from train.net import Network, mixed
from train.plots import save, training_plot
from train.prepare import Prepared, prepare
from train.recipe import TrainRecipe, load_recipe
from train.run_log import RunLog
from train.trainer import read_checkpoint, write_checkpoint
from train.views.cohort import Cohort, State
from train.views.distort import Distortion
from train.views.encoder import Encoder, read_weights
from train.views.school import found_school
from train.views.teaching import Lesson, lesson_for

_LOOKS = 20
_OFFSETS = "offsets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A network to train: by a recipe, without a split's test speakers, into a folder.

    ``earlier`` are the folders of the runs that its recipe goes on from, takes a share of or
    learns from, by their recipes' names.
    """

    recipe: TrainRecipe
    split: str | None
    seed: int
    folder: Path
    earlier: Mapping[str, Path] = field(default_factory=dict)


class _Run:
    """One network on its way, and its folder.

    ``kept`` is what its checkpoint holds, ``number`` the step that it is at.
    """

    def __init__(self, task: Task, lesson: Lesson, prepared: Prepared) -> None:
        self.task, self.lesson = task, lesson
        self.recipe, self.folder = task.recipe, task.folder
        self._earlier = _earlier_states(task)
        taught = mixed(_told(lesson.offsets), self._earlier, self.recipe.earlier_shares)
        self._dev = _dev_of(prepared, self.recipe, lesson)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.kept: dict[str, Any] | None = None
        if (self.folder / CHECKPOINT).exists():
            device = lesson.courses[0].seen.device
            self.kept = read_checkpoint(self.folder / CHECKPOINT, self.recipe, device)
        self.number = int(self.kept["number"]) if self.kept else 0
        write_about(
            self.folder, self.recipe, split=task.split, seed=task.seed, held=lesson.held,
            offsets=taught[_OFFSETS].numpy(),
        )  # fmt: skip
        total = sum(course.steps for course in lesson.courses)
        self._log = RunLog(self.folder, self.number // every(total))

    @property
    def start(self) -> State | None:
        """The weights that it goes on from; its own first ones if None."""
        state = self._earlier.get(self.recipe.start, {})
        return {name: value for name, value in state.items() if name != _OFFSETS} or None

    def look(self, state: dict[str, Any], loss: float, network: Network, seconds: float) -> str:
        """Log how it is doing, keep what going on needs, and tell in a few characters."""
        row: dict[str, Any] = {"epoch": round(state["number"] / self.recipe.steps_per_epoch)}
        row |= {"loss": round(loss, 4), "seconds": round(seconds, 1), "dev_uar": ""}
        if self._dev is not None:
            row["dev_uar"] = round(clip_uar(network, self._dev, self.recipe), 4)
        self._log.add(row)
        write_checkpoint(self.folder / CHECKPOINT, self.recipe, state)
        return f"{row['loss']:.3f} {row['dev_uar']}".rstrip()

    def finish(self, network: Network) -> None:
        """Write the averaged weights and the plot of the log."""
        weights = {name: value.cpu() for name, value in network.state_dict().items()}
        weights = mixed(weights, self._earlier, self.recipe.earlier_shares)
        torch.save(weights, self.folder / "weights.pt")
        save(training_plot(self._log.rows()), self.folder / "log.png")


def _told(offsets: Sequence[float] | F32) -> dict[str, torch.Tensor]:
    return {_OFFSETS: torch.tensor(np.asarray(offsets, np.float32))}


def _earlier_states(task: Task) -> dict[str, State]:
    """Return the weights of the earlier runs that a task needs, by their recipes' names.

    Beside them, as one more, lie the offsets that each was taught.

    Raises
    ------
    ConfigError
        If one has heard speakers whom this task leaves out, or is of another shape.
    """
    found: dict[str, State] = {}
    for name in sorted(task.recipe.earlier):
        folder = task.earlier[name]
        told, recipe, network = load_run(folder)
        if told["split"] != task.split:
            raise ConfigError(
                f"{folder}: left out split={told['split']!r} and not {task.split!r}: "
                "go on from a run of the same split"
            )
        if recipe.shape != task.recipe.shape:
            raise ConfigError(f"{folder}: has another shape than recipe={task.recipe.name!r}")
        found[name] = {**network.state_dict(), **_told(told["offsets"])}
    return found


def _dev_of(prepared: Prepared, recipe: TrainRecipe, lesson: Lesson) -> Examples | None:
    held = [clip for clip in prepared.clips if clip.speaker in lesson.held]
    return labelled_examples(prepared, held, recipe) if held else None


def every(total: int) -> int:
    """Return after how many steps the networks are looked at."""
    return max(1, total // _LOOKS)


def study(prepared: Prepared, tasks: Sequence[tuple[Task, Lesson]]) -> None:
    """Train the networks, those that are taught in one way and are equally far side by side.

    They share one source of randomness, so that a network is the same again only beside the
    same others.

    Writes ``run.yaml``, ``log.csv`` and its plot, ``checkpoint.pt`` (gone on from if it is
    there) and ``weights.pt`` with the averaged weights into each folder.
    """
    noise = noise_examples(prepared)
    cohorts: dict[tuple[str, int], list[_Run]] = {}
    for task, lesson in tasks:
        run = _Run(task, lesson, prepared)
        cohorts.setdefault((_way(run.recipe), run.number), []).append(run)
    for runs in cohorts.values():
        _learn(runs, noise)


def _way(recipe: TrainRecipe) -> str:
    """Tell how a recipe teaches; recipes of one way may differ in whose voices are learnt from."""
    return repr(replace(recipe, name="", corpus_weight={}))


def _learn(runs: Sequence[_Run], noise: Examples) -> None:
    """Train networks that are taught in one way and are at the same step to the end."""
    cohort = _cohort_of(runs, noise)
    began, first = time.monotonic(), cohort.number
    while cohort.number < cohort.total:
        cohort.step()
        number, total = cohort.number, cohort.total
        if number % every(total) == 0 or number == total:
            seconds = time.monotonic() - began
            looks = zip(runs, cohort.states(), cohort.losses, cohort.averages(), strict=True)
            told = ", ".join(
                run.look(state, loss, network, seconds) for run, state, loss, network in looks
            )
            left = seconds / (number - first) * (total - number) / 60.0
            print(f"step {number} of {total}: {told}; about {left:.1f} min left", flush=True)
    for run, network in zip(runs, cohort.averages(), strict=True):
        run.finish(network)


def _cohort_of(runs: Sequence[_Run], noise: Examples) -> Cohort:
    recipe, device = runs[0].recipe, runs[0].lesson.courses[0].seen.device
    cohort = Cohort(
        recipe,
        [run.lesson.courses for run in runs],
        Distortion(noise, recipe_named(recipe.features), recipe.augmentation, device),
        seeds=[run.task.seed for run in runs],
        starts=[run.start for run in runs],
    )
    if runs[0].number:
        cohort.restore([run.kept for run in runs if run.kept])
    return cohort


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``python -m train study``."""
    add_data_arguments(parser)
    parser.add_argument(
        "--recipe",
        nargs="+",
        default=["tenth"],
        help="names or .yaml; several differ only in whose voices they learn from (default: tenth)",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="Whisper base as CTranslate2 keeps it (model.bin of Systran/faster-whisper-base), "
        "unless the recipe has peers",
    )
    parser.add_argument(
        "--splits", nargs="+", required=True, help="a network for each; 'all' leaves nobody out"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="and for each of these")
    parser.add_argument(
        "--starts",
        type=Path,
        default=Path("train/runs"),
        metavar="DIR",
        help="earlier runs that a recipe builds on (default: %(default)s)",
    )
    parser.add_argument(
        "--together", type=int, help="networks side by side (default: 9 on a GPU, else 1)"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="default: %(default)s")
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes that play recordings (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Train the networks."""
    recipes = _recipes(arguments.recipe)
    if not (arguments.weights or recipes[0].peers):
        raise ConfigError(f"recipe={recipes[0].name!r} learns from an encoder: give --weights")
    tasks = [task for recipe in recipes for task in _tasks(arguments, recipe)]
    for task in tasks:
        _earlier_states(task)  # before anybody listens for half an hour
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    encoder = None if recipes[0].peers else Encoder(read_weights(arguments.weights), device)
    prepared = prepare(arguments.data, arguments.cache, jobs=arguments.jobs)
    school = found_school(prepared, recipes[0], encoder, device, jobs=arguments.jobs)
    lessons: dict[tuple[Any, ...], Lesson] = {}
    for task in tasks:
        if _taught(task) not in lessons:
            peers = [load_run(task.earlier[one])[2].to(device) for one in task.recipe.peers]
            lessons[_taught(task)] = lesson_for(school, task.recipe, task.split, peers)
    asked = [(task, lessons[_taught(task)]) for task in tasks]
    together = arguments.together or (9 if device.type == "cuda" else 1)
    for first in range(0, len(asked), together):
        study(prepared, asked[first : first + together])
    print(f"saved weights.pt of {len(asked)} networks below {arguments.runs}")


def _taught(task: Task) -> tuple[Any, ...]:
    """Tell what a task's lesson depends on: peers are of its own seed."""
    return task.recipe.name, task.split, task.seed if task.recipe.peers else None


def _recipes(names: Sequence[str]) -> list[TrainRecipe]:
    """Load recipes whose networks may learn side by side from the same views."""
    recipes = [load_recipe(name) for name in names]
    for recipe in recipes:
        if not recipe.has_teacher:
            raise ConfigError(f"recipe={recipe.name!r} has no teacher: use python -m train fit")
        if _way(recipe) != _way(recipes[0]):
            raise ConfigError(
                f"recipes={recipes[0].name!r}, {recipe.name!r} differ in more than whose voices "
                "they learn from: study one after the other"
            )
    return recipes


def _tasks(arguments: argparse.Namespace, recipe: TrainRecipe) -> list[Task]:
    """Return a task for each split and seed that was asked for."""
    tasks = []
    for name in arguments.splits:
        split = None if name == "all" else name
        for seed in arguments.seeds:
            folder = arguments.runs / run_name(recipe.name, split, seed)
            earlier = {
                one: arguments.starts / run_name(one, split, seed) for one in recipe.earlier
            }
            tasks.append(
                Task(recipe=recipe, split=split, seed=seed, folder=folder, earlier=earlier)
            )
    return tasks
