"""Score an int8 file through the live pipeline: what a microphone would have given.

Every test clip is fed to :class:`rt_ser.Analyzer` as a stream of its own; its summary is
masked to the classes that its corpus has. A clip in which no speech was found counts as
wrong.
"""

from __future__ import annotations

import argparse
import csv
import functools
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rt_ser.errors import InputError
from rt_ser.types import F32, RATE_HZ, Estimate, Summary
from rt_ser.whole import write_text_whole, written_whole
from train import kept, leaderboard
from train.arguments import add_data_arguments
from train.corpora import CORPORA, LABELS, Clip, load_all
from train.decode import decode
from train.manifests import write_manifest
from train.progress import work_through
from train.scorecard import CURVE_S, Heard, scorecard
from train.splits import Split, load_split
from train.unseen import check_unseen, int8_loss_of, manifest_of, section_in, training_of

EVERYTHING = "everything"
"""The split of clips that a model has not been trained on at all: nothing is left out."""


class Judge(Protocol):
    """The part of :class:`rt_ser.Analyzer` that is used here."""

    @property
    def labels(self) -> tuple[str, ...]: ...  # noqa: D102
    def feed(self, samples: F32) -> list[Estimate]: ...  # noqa: D102
    def flush(self) -> list[Estimate]: ...  # noqa: D102
    def reset(self) -> None: ...  # noqa: D102
    def summary(self) -> Summary: ...  # noqa: D102


def hear(judge: Judge, clip: Clip, samples: F32) -> Heard:
    """Feed one clip as a stream of its own and note what was said, and when."""
    judge.reset()
    estimates = [*judge.feed(samples), *judge.flush()]
    columns = [LABELS.index(label) for label in judge.labels]
    probs = np.zeros(len(LABELS), np.float32)
    probs[columns] = judge.summary().probs
    return Heard(
        clip=clip,
        probs=probs,
        curve=_curve([item for item in estimates if item.label], columns),
    )


def _curve(estimates: Sequence[Estimate], columns: list[int]) -> F32:
    """Return the newest rolling estimate at each of ``CURVE_S`` after the first onset.

    ``columns`` are the places of the estimates' labels among ``LABELS``.
    """
    curve = np.zeros((len(CURVE_S), len(LABELS)), np.float32)
    if not estimates:
        return curve
    onset = estimates[0].start
    for row, seconds in enumerate(CURVE_S):
        for estimate in estimates:
            if estimate.stop <= onset + seconds * RATE_HZ:
                curve[row, columns] = estimate.probs
    return curve


@functools.cache
def analyzer(model: str) -> Judge:
    """Load a model once a process."""
    from rt_ser import Analyzer

    return Analyzer(model=model)


def _hear_file(clip: Clip, *, model: str) -> Heard:
    return hear(analyzer(model), clip, decode(clip.path))


def hear_all(
    clips: Sequence[Clip], model: str, *, jobs: int = 1, quiet: bool = False
) -> list[Heard]:
    """Judge all clips, in order, over some processes, with a progress bar."""
    work = functools.partial(_hear_file, model=model)
    return work_through("evaluate", work, clips, jobs=jobs, quiet=quiet)


def clips_under_test(root: Path, split: Split) -> list[Clip]:
    """Find the clips that a split tests on.

    Raises
    ------
    InputError
        If none of them is there.
    """
    _, clips = split.divide(load_all(root).clips)
    if not clips:
        raise InputError(f"split={split.name!r} finds no test clip below {root}: see prepare")
    return clips


def split_named(name: str) -> Split:
    """Return a protocol's fold, or the one that tests on everything there is."""
    if name == EVERYTHING:
        return Split(name=EVERYTHING, test=frozenset(CORPORA))
    return load_split(name)


def evaluation(heard: Sequence[Heard], split: Split, model: Path) -> dict[str, Any]:
    """Collect the figures of all corpora that were heard, fit for JSON."""
    by_corpus = {name: [item for item in heard if item.clip.corpus == name] for name in CORPORA}
    training = training_of(model)
    return {
        "model": model.name,
        "recipe": training.get("recipe"),
        "seed": training.get("seed"),
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "size_bytes": model.stat().st_size,
        "split": split.name,
        "int8_loss": int8_loss_of(model, split),
        "corpora": {
            name: scorecard(items, split.classes_of(name))
            for name, items in by_corpus.items()
            if items
        },
    }


def record(figures: dict[str, Any], model: Path) -> None:
    """Write the headline figures into the model's manifest, with the command that made them.

    Raises
    ------
    ModelError
        If the manifest is not there or no YAML.
    """
    tree = manifest_of(model)
    command = f"python -m train evaluate --model {model.name} --split {figures['split']}"
    told: dict[str, Any] = {"command": command}
    for corpus, card in figures["corpora"].items():
        interval = zip(("uar_low", "uar_high"), card["uar_interval"], strict=True)
        told[corpus] = {
            "uar": round(card["uar"], 4),
            # one speaker alone has no interval
            **{name: round(end, 4) for name, end in interval if end is not None},
            "accuracy": round(card["accuracy"], 4),
            "macro_f1": round(card["macro_f1"], 4),
            "classes": len(card["classes"]),
            "clips": card["clips"],
            "speakers": len(card["by_speaker"]),
        }
    metrics = section_in(tree, "metrics", model)
    metrics[figures["split"]] = {**(metrics.get(figures["split"]) or {}), **told}
    write_manifest({**tree, "metrics": metrics}, model.with_suffix(".yaml"))


def write_clips(heard: Sequence[Heard], path: Path) -> None:
    """Write one CSV row a clip: who, what was meant, and every label's probability."""
    with written_whole(path) as draft, draft.open("w", newline="", encoding="utf-8") as lines:
        rows = csv.writer(lines, lineterminator="\n")
        rows.writerow(["key", "speaker", "sex", "emotion", *LABELS])
        for item in heard:
            clip = item.clip
            said = [f"{value:.6f}" for value in item.probs]
            rows.writerow([clip.key, clip.speaker, clip.sex, clip.emotion, *said])


def chosen_test(root: Path, model: Path, name: str) -> tuple[Split, list[Clip], dict[str, Any]]:
    """Return a split, the clips it tests on, and what the model says of its training.

    Raises
    ------
    InputError
        If the model or all of the clips are not there.
    ConfigError
        If the model was trained on any of their speakers, or does not say on whom.
    ModelError
        If its manifest is damaged.
    """
    if not model.exists():
        raise InputError(f"{model}: is not there: give a .tflite file that export wrote")
    split = split_named(name)
    clips = clips_under_test(root, split)
    training = training_of(model)
    if split.name != EVERYTHING:
        check_unseen(clips, training, split)
    return split, clips, training


def folder_of(model: Path, split: Split) -> Path:
    """Return where what is measured of a model goes unless told otherwise."""
    return model.parent / f"evaluation-{split.name.replace(':', '-')}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``python -m train evaluate``."""
    add_data_arguments(parser)
    parser.add_argument("--model", type=Path, required=True, metavar="FILE", help="a .tflite file")
    parser.add_argument(
        "--split",
        required=True,
        metavar="NAME",
        help=f"the one that the model was trained on: first, joint:1, ...; or {EVERYTHING}, "
        "for recordings of people whom it has never heard",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where figures and plots go")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: %(default)s)"
    )
    parser.add_argument(
        "--record", action="store_true", help="write the figures into the model's manifest"
    )
    parser.add_argument(
        "--keep", action="store_true", help="add the figures to leaderboard and results, committed"
    )


def run(arguments: argparse.Namespace) -> None:
    """Evaluate a model, print its figures, and write JSON, CSV and plots."""
    from rich.console import Console

    from train.tables import show

    split, clips, training = chosen_test(arguments.data, arguments.model, arguments.split)
    # before anything is heard, so that a missing matplotlib costs nobody the hearing
    from train.plots import draw_all

    heard = hear_all(clips, str(arguments.model), jobs=arguments.jobs)
    figures = evaluation(heard, split, arguments.model)
    show(figures, Console())
    out = arguments.out or folder_of(arguments.model, split)
    out.mkdir(parents=True, exist_ok=True)
    write_text_whole(out / "evaluation.json", json.dumps(figures, indent=1) + "\n")
    write_clips(heard, out / "clips.csv")
    draw_all(figures, out)
    if arguments.record:
        record(figures, arguments.model)
    if arguments.keep:
        known = f"{training.get('recipe', arguments.model.stem)}:{training.get('seed', '')}"
        leaderboard.keep(figures, known)
        kept.keep(figures)
