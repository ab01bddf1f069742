"""Training networks on views, side by side: what each goes on from, its log, its checkpoint."""

from __future__ import annotations

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
from rt_ser.whole import written_whole
from train.examples import Examples, labelled_examples, noise_examples
from train.net import Network, logits_of, mean_of, mixed
from train.plots import save, training_plot
from train.prepare import Prepared
from train.recipe import TrainRecipe
from train.run_folder import (
    CHECKPOINT,
    WEIGHTS,
    load_run,
    read_checkpoint,
    write_about,
    write_checkpoint,
)
from train.run_log import RunLog
from train.views.cohort import Cohort, State
from train.views.distort import Distortion
from train.views.teaching import Lesson
from train.windows import plain_windows

_LOOKS = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Earlier:
    """A finished run that another one goes on from, takes a share of or learns from.

    ``offsets`` (CLASSES,) are those of its :class:`train.views.teaching.Lesson`.
    """

    network: Network
    offsets: F32


def earlier_run(folder: Path, recipe: TrainRecipe, split: str | None) -> Earlier:
    """Read a finished run for one by ``recipe`` that leaves out the same test speakers.

    What it has heard, the network that builds on it has heard too: what that is licensed for,
    and whom it may be tested on, is told by ``recipe``'s corpora.

    Raises
    ------
    ConfigError
        If it has heard these, or other corpora than the recipe's, or is of another shape.
    """
    told, its, network = load_run(folder)
    if told["split"] != split:
        raise ConfigError(
            f"{folder}: left out split={told['split']!r} and not {split!r}: "
            "go on from a run of the same split"
        )
    if more := its.corpora - recipe.corpora:
        raise ConfigError(
            f"{folder}: has heard {', '.join(sorted(more))}, which recipe={recipe.name!r} does not "
            f"train on: go on from a run of {', '.join(sorted(recipe.corpora))} alone"
        )
    if its.shape != recipe.shape:
        raise ConfigError(f"{folder}: has another shape than recipe={recipe.name!r}")
    return Earlier(network=network, offsets=np.array(told["offsets"], np.float32))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """A network to train: by a recipe, without a split's test speakers, into a folder.

    ``earlier`` are the runs that the recipe builds on, by their recipes' names.
    """

    recipe: TrainRecipe
    split: str | None
    seed: int
    folder: Path
    earlier: Mapping[str, Earlier] = field(default_factory=dict)


class _Run:
    """One network on its way, and its folder.

    ``kept`` is what its checkpoint holds, ``number`` the step that it is at.
    """

    def __init__(self, task: Task, lesson: Lesson, prepared: Prepared, tensorboard: bool) -> None:
        self.task, self.lesson = task, lesson
        self.recipe, self.folder = task.recipe, task.folder
        self._dev = _dev_of(prepared, self.recipe, lesson)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.kept: dict[str, Any] | None = None
        if (self.folder / CHECKPOINT).exists():
            device = lesson.courses[0].seen.device
            self.kept = read_checkpoint(self.folder / CHECKPOINT, self.recipe, device)
        self.number = int(self.kept["number"]) if self.kept else 0
        write_about(
            self.folder, self.recipe, split=task.split, seed=task.seed, held=lesson.held,
            offsets=_offsets_of(task, lesson),
        )  # fmt: skip
        total = sum(course.steps for course in lesson.courses)
        self._log = RunLog(self.folder, self.number // every(total), tensorboard=tensorboard)

    @property
    def start(self) -> State | None:
        """The weights that it goes on from; its own first ones if None."""
        name = self.recipe.start
        return self.task.earlier[name].network.state_dict() if name else None

    def look(self, state: dict[str, Any], loss: float, network: Network, seconds: float) -> str:
        """Log how it is doing, keep what going on needs, and tell in a few characters."""
        row: dict[str, Any] = {"epoch": round(state["number"] / self.recipe.steps_per_epoch)}
        row |= {"loss": round(loss, 4), "seconds": round(seconds, 1), "dev_uar": ""}
        if self._dev is not None:
            row["dev_uar"] = round(_clip_uar(network, self._dev, self.recipe), 4)
        self._log.add(row)
        write_checkpoint(self.folder / CHECKPOINT, self.recipe, state)
        return f"{row['loss']:.3f} {row['dev_uar']}".rstrip()

    def finish(self, network: Network) -> None:
        """Write the averaged weights and the plot of the log."""
        weights = {name: value.cpu() for name, value in network.state_dict().items()}
        earlier = {name: one.network.state_dict() for name, one in self.task.earlier.items()}
        with written_whole(self.folder / WEIGHTS) as draft, draft.open("wb") as file:
            torch.save(mixed(weights, earlier, self.recipe.earlier_shares), file)
        save(training_plot(self._log.rows()), self.folder / "log.png")


def _offsets_of(task: Task, lesson: Lesson) -> F32:
    """Return what a run is taught of its classes, a mean as its weights will be one."""
    earlier = {name: one.offsets for name, one in task.earlier.items()}
    return np.asarray(mean_of(lesson.offsets, earlier, task.recipe.earlier_shares), np.float32)


def _dev_of(prepared: Prepared, recipe: TrainRecipe, lesson: Lesson) -> Examples | None:
    held = [clip for clip in prepared.clips if clip.speaker in lesson.held]
    return labelled_examples(prepared, held, recipe) if held else None


def _clip_uar(network: Network, examples: Examples, recipe: TrainRecipe) -> float:
    """Return the float network's UAR over the examples' newest windows, a quick look only."""
    inputs = plain_windows(examples, recipe_named(recipe.features))
    logits = logits_of(network, inputs)["emotion"]
    said = np.where(examples.masks > 0, logits, -np.inf).argmax(axis=1)
    meant = examples.targets.argmax(axis=1)
    return float(np.mean([(said[meant == label] == label).mean() for label in np.unique(meant)]))


def every(total: int) -> int:
    """Return after how many steps the networks are looked at."""
    return max(1, total // _LOOKS)


def train_networks(
    prepared: Prepared, tasks: Sequence[tuple[Task, Lesson]], *, tensorboard: bool = False
) -> None:
    """Train networks, those that are taught in one way and are equally far side by side.

    They share one source of randomness, so that a network is the same again only beside the
    same others.

    Writes ``run.yaml``, ``log.csv`` and its plot, ``checkpoint.pt`` (gone on from if it is
    there) and ``weights.pt`` with the averaged weights into each folder. ``tensorboard``
    asks for event files too.
    """
    noise = noise_examples(prepared)
    cohorts: dict[tuple[str, int], list[_Run]] = {}
    for task, lesson in tasks:
        run = _Run(task, lesson, prepared, tensorboard)
        cohorts.setdefault((way_of(run.recipe), run.number), []).append(run)
    for runs in cohorts.values():
        _learn(runs, noise)


def way_of(recipe: TrainRecipe) -> str:
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
