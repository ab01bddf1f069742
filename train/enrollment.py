"""What a few seconds of a person's ordinary speech are worth: ``rt-ser enroll``, measured.

Each fold's int8 file hears its test speakers through the live pipeline, as strangers. Of
everybody some neutral clips, drawn by chance, are learnt from as ``rt-ser enroll`` does, and
the rest is heard once more. How strangers sound when they feel nothing is taken from other
folds or corpora, so that nobody has a part in what they are compared with.
"""

from __future__ import annotations

import argparse
import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rt_ser import Analyzer, Hooks
from rt_ser.config import shown
from rt_ser.errors import InputError, ModelError
from rt_ser.manifest import Manifest
from rt_ser.model import AttunedClassifier, Classifier, find_manifest, shared_classifier
from rt_ser.stream_events import Utterance
from rt_ser.types import F32
from rt_ser.voice import OwnVoice, learn, log_probs
from train import evaluate, kept
from train.arguments import add_data_arguments
from train.corpora import CORPORA, LABELS, Clip, generator_of
from train.decode import decode
from train.evaluate import chosen_test, split_named
from train.manifests import write_manifest
from train.metrics import reliability, uar
from train.progress import work_through
from train.scorecard import Heard, outcomes_of
from train.trees import is_names
from train.unseen import manifest_of, training_of

NEUTRAL = "neutral"
MOST_CLIPS = 4
"""Clips that are learnt from, and never more than half of what somebody said neutrally."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Fold:
    """The path of a ``model``, and the ``split`` whose test speakers it hears."""

    model: str
    split: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """What a model said of a clip of a ``fold``, and of each utterance in it."""

    fold: Fold
    heard: Heard
    utterances: tuple[Utterance, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hearing:
    """A clip that a fold's model shall hear, attuned to a voice or as a stranger's."""

    fold: Fold
    clip: Clip
    voice: OwnVoice | None = None


@functools.cache
def _classifier(model: str) -> Classifier:
    """Load a model once a process."""
    return shared_classifier(model)


def hear(hearing: Hearing) -> Told:
    """Feed one clip as a stream of its own."""
    classifier = _classifier(hearing.fold.model)
    if hearing.voice is not None:
        classifier = AttunedClassifier(classifier, hearing.voice)
    utterances: list[Utterance] = []
    analyzer = Analyzer(classifier, hooks=Hooks(on_utterance=utterances.append))
    heard = evaluate.hear(analyzer, hearing.clip, decode(hearing.clip.path))
    return Told(fold=hearing.fold, heard=heard, utterances=tuple(utterances))


def ordinary_of(told: Sequence[Told]) -> F32:
    """Return mean log-probabilities of neutral clips, every speaker counting as much, (labels,)."""
    by_speaker: dict[str, list[F32]] = {}
    for item in told:
        if item.heard.clip.emotion == NEUTRAL and item.utterances:
            by_speaker.setdefault(item.heard.clip.speaker, []).append(log_probs(item.heard.probs))
    if not by_speaker:
        raise InputError("nobody says anything neutral in other folds: give more files or splits")
    means: F32 = np.mean([np.mean(values, axis=0) for values in by_speaker.values()], axis=0)
    return means


def acquainted(model: str, ordinary: F32) -> Manifest:
    """Return a model's manifest that tells how strangers sound; ``ordinary`` is over LABELS."""
    manifest = find_manifest(model)
    columns = [LABELS.index(label) for label in manifest.labels]
    return replace(manifest, ordinary=tuple(map(float, ordinary[columns])))


def learnt(told: Sequence[Told], manifest: Manifest) -> tuple[OwnVoice | None, list[Told]]:
    """Learn one speaker's voice, where there is enough of it, and return what is left to hear.

    Which clips are learnt from depends on the speaker's name: takes and sentences are named
    alike of all actors of a corpus, and one draw for all would be the same two takes of each.
    """
    neutral = sorted(
        (item for item in told if item.heard.clip.emotion == NEUTRAL and item.utterances),
        key=lambda item: item.heard.clip.key,
    )
    generator_of(told[0].heard.clip.speaker).shuffle(neutral)
    used = neutral[: min(MOST_CLIPS, len(neutral) // 2)]
    try:
        voice = learn([one for item in used for one in item.utterances], manifest)
    except InputError:
        return None, list(told)
    keys = {item.heard.clip.key for item in used}
    return voice, [item for item in told if item.heard.clip.key not in keys]


def figures_of(
    pairs: Sequence[tuple[Heard, Heard, float]], classes: tuple[str, ...]
) -> dict[str, Any]:
    """Compare how clips are heard as a stranger's and attuned; seconds are of the enrolment.

    Their median is over people, however many clips of each are scored.
    """
    enrolled_s = {stranger.clip.speaker: seconds for stranger, _, seconds in pairs}
    card: dict[str, Any] = {
        "clips": len(pairs),
        "people": len(enrolled_s),
        "enrolled_s": float(np.median(list(enrolled_s.values()))),
    }
    for name, heard in (
        ("stranger", [stranger for stranger, _, _ in pairs]),
        ("known", [known for _, known, _ in pairs]),
    ):
        outcomes = outcomes_of(heard, classes)
        card[name] = {"uar": uar(outcomes), "calibration_error": reliability(outcomes).error}
    return card


def measured(strangers: Sequence[Told], *, jobs: int) -> dict[str, Any]:
    """Learn everybody's voice, hear them once more, and compare, fit for JSON."""
    left: list[Told] = []
    hearings: list[Hearing] = []
    for fold in sorted({item.fold for item in strangers}):
        mine = [item for item in strangers if item.fold == fold]
        people = sorted({item.heard.clip.speaker for item in mine})
        others = [item for item in strangers if item.heard.clip.speaker not in people]
        manifest = acquainted(fold.model, ordinary_of(others))
        for speaker in people:
            own = [item for item in mine if item.heard.clip.speaker == speaker]
            voice, rest = learnt(own, manifest)
            left += rest
            hearings += [Hearing(fold=fold, clip=item.heard.clip, voice=voice) for item in rest]
    known = work_through("known", hear, hearings, jobs=jobs)
    pairs = [
        (stranger.heard, again.heard, hearing.voice.speech_s if hearing.voice else 0.0)
        for stranger, again, hearing in zip(left, known, hearings, strict=True)
    ]
    split_of = {item.heard.clip.corpus: item.fold.split for item in strangers}
    return {
        corpus: figures_of(
            [pair for pair in pairs if pair[0].clip.corpus == corpus],
            split_named(split_of[corpus]).classes_of(corpus),
        )
        for corpus in CORPORA
        if corpus in split_of
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``python -m train enrollment``."""
    add_data_arguments(parser)
    parser.add_argument(
        "models", nargs="+", type=Path, metavar="FILE", help="int8 files, one of each fold"
    )
    parser.add_argument(
        "--splits", nargs="+", default=[], metavar="NAME",
        help="those that each file is tested on (default: the one that it left out)",
    )  # fmt: skip
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="the manifest that is told how strangers sound; of one fold nothing else is known",
    )
    parser.add_argument(
        "--keep", action="store_true", help="add the figures to the results, committed"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Tell a manifest how strangers sound; hear everybody twice and show what that was worth."""
    from train.report.enrollment import enrollment_table

    if arguments.record:
        # before anything is heard
        labels_in(manifest_of(arguments.record), arguments.record)
    hearings = _hearings(arguments)
    strangers = work_through("strangers", hear, hearings, jobs=arguments.jobs)
    if arguments.record:
        tell_ordinary(arguments.record, ordinary_of(strangers))
        if len({item.fold for item in strangers}) == 1:
            return
    training = training_of(arguments.models[0])
    figures = {
        "recipe": training.get("recipe"),
        "seed": training.get("seed"),
        "split": str(training.get("split")).partition(":")[0],
        "enrollment": measured(strangers, jobs=arguments.jobs),
    }
    print(enrollment_table([figures]))
    if arguments.keep:
        print(f"kept {kept.keep(figures).name}")


def _hearings(arguments: argparse.Namespace) -> list[Hearing]:
    """Return every test clip of every fold, to be heard as a stranger's."""
    found: list[Hearing] = []
    for model in arguments.models:
        own = training_of(model).get("split") or "first"
        for name in arguments.splits or [own]:
            _, clips, _ = chosen_test(arguments.data, model, name)
            fold = Fold(model=str(model), split=name)
            found += [Hearing(fold=fold, clip=clip) for clip in clips]
    return found


def labels_in(tree: dict[str, Any], manifest: Path) -> list[str]:
    """Return the labels that a manifest names; raise ModelError where they are none of ours."""
    labels = tree.get("labels")
    if not is_names(labels) or not set(labels) <= set(LABELS):
        raise ModelError(
            f"{manifest}: labels={shown(labels)} must be among {', '.join(LABELS)}: "
            "export the model again"
        )
    return labels


def tell_ordinary(manifest: Path, ordinary: F32) -> None:
    """Write into a manifest how strangers sound who feel nothing in particular."""
    tree = manifest_of(manifest)
    told = {label: round(float(value), 3) for label, value in zip(LABELS, ordinary, strict=True)}
    tree["ordinary"] = {label: told[label] for label in labels_in(tree, manifest)}
    write_manifest(tree, manifest)
