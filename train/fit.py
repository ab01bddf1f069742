"""Train networks by recipes, each without a split's test speakers; resumable after a kill.

Networks that are taught in one way learn side by side, one for each split and seed. On a GPU
that takes half a minute each. A recipe with a teacher needs its weights, or earlier runs.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from rt_ser.errors import ConfigError
from train.arguments import add_data_arguments
from train.memory import keep_freed_memory
from train.prepare import Prepared, prepare
from train.recipe import TrainRecipe, load_recipe
from train.run_folder import is_finished, run_name
from train.splits import load_split
from train.training import Task, earlier_run, train_networks, way_of
from train.views.encoder import Encoder, read_weights
from train.views.school import School, found_school
from train.views.teaching import Lesson, lesson_for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``python -m train fit``."""
    add_data_arguments(parser)
    parser.add_argument(
        "--recipe",
        nargs="+",
        default=["plain"],
        help="names or .yaml; several differ only in whose voices they learn from (default: plain)",
    )
    parser.add_argument(
        "--splits",
        nargs="+",
        default=["all"],
        help="a network for each; 'all' leaves nobody out (default: all)",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="and for each of these")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="Whisper base as CTranslate2 keeps it (model.bin of Systran/faster-whisper-base), "
        "where a recipe has it for a teacher",
    )
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
    parser.add_argument("--threads", type=int, help="processor threads (default: one per core)")
    parser.add_argument(
        "--tensorboard", action="store_true", help="write events for TensorBoard into the runs too"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="default: %(default)s")
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes that play recordings (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Train the networks."""
    recipes = _recipes(arguments.recipe)
    if recipes[0].asks_encoder and not arguments.weights:
        raise ConfigError(f"recipe={recipes[0].name!r} learns from an encoder: give --weights")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    tasks = [task for recipe in recipes for task in _tasks(arguments, recipe)]
    if not tasks:
        return
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        keep_freed_memory()
    torch.backends.cudnn.benchmark = True
    encoder = None
    if recipes[0].asks_encoder:
        encoder = Encoder(read_weights(arguments.weights), device)
    prepared = prepare(arguments.data, arguments.cache, jobs=arguments.jobs)
    school = found_school(prepared, recipes[0], encoder, device, jobs=arguments.jobs)
    _train(prepared, school, tasks, arguments)
    print(f"saved weights.pt of {len(tasks)} networks below {arguments.runs}")


def _train(
    prepared: Prepared, school: School, tasks: Sequence[Task], arguments: argparse.Namespace
) -> None:
    device = school.heard[0].seen.device
    lessons: dict[tuple[Any, ...], Lesson] = {}
    for task in tasks:
        if _taught(task) not in lessons:
            peers = [copy.deepcopy(task.earlier[one].network) for one in task.recipe.peers]
            peers = [peer.to(device) for peer in peers]
            lessons[_taught(task)] = lesson_for(school, task.recipe, task.split, peers)
    asked = [(task, lessons[_taught(task)]) for task in tasks]
    together = arguments.together or (9 if device.type == "cuda" else 1)
    for first in range(0, len(asked), together):
        some = asked[first : first + together]
        train_networks(prepared, some, tensorboard=arguments.tensorboard)


def _taught(task: Task) -> tuple[Any, ...]:
    """Tell what a task's lesson depends on: peers are of its own seed."""
    return task.recipe.name, task.split, task.seed if task.recipe.peers else None


def _recipes(names: Sequence[str]) -> list[TrainRecipe]:
    """Load recipes whose networks may learn side by side from the same views."""
    recipes = [load_recipe(name) for name in names]
    for recipe in recipes[1:]:
        if way_of(recipe) != way_of(recipes[0]):
            raise ConfigError(
                f"recipes={recipes[0].name!r}, {recipe.name!r} differ in more than whose voices "
                "they learn from: fit one after the other"
            )
    return recipes


def _tasks(arguments: argparse.Namespace, recipe: TrainRecipe) -> list[Task]:
    """Return a task for each split and seed that was asked for; say which runs were finished.

    Raises
    ------
    ConfigError
        If there is no such split, not what the recipe builds on, or another recipe's run in
        its place: before anybody listens.
    """
    tasks = []
    for name in arguments.splits:
        split = None if name == "all" else name
        if split is not None:
            load_split(split)
        for seed in arguments.seeds:
            folder = arguments.runs / run_name(recipe.name, split, seed)
            if is_finished(folder, recipe):
                print(f"{folder}: finished before, see run.yaml and log.csv there")
                continue
            earlier = {
                one: earlier_run(arguments.starts / run_name(one, split, seed), recipe, split)
                for one in sorted(recipe.earlier)
            }
            tasks.append(
                Task(recipe=recipe, split=split, seed=seed, folder=folder, earlier=earlier)
            )
    return tasks
