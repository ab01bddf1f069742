"""Which baseline is measured on what, and how: speaker-independently, and the usual mistake."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from rt_ser.types import F32
from rt_ser.whole import written_whole
from train import metrics
from train.baselines import network, svm
from train.baselines.features import Described, describe
from train.corpora import CORPUS_LABELS, Clip, load_all
from train.metrics import F64, Ints, Outcomes
from train.splits import Split, folds

TABLE = Path(__file__).with_name("results.csv")
RANDOM = "random"
"""The protocol that is none: any fifth of all copies of all clips."""

_TEST_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one system reached on one fold. ``uar`` and ``accuracy`` are shares, 0 to 1."""

    system: str
    corpus: str
    protocol: str
    fold: str
    clips: int
    uar: float
    accuracy: float
    command: str


Classify = Callable[[F32, Ints, F32], Ints]

SYSTEMS = {
    "egemaps-svm": "egemaps",
    "compare-svm": "compare",
    "tutorial-cnn": "tutorial",
}
"""The set of features that each system takes."""


def measure(
    system: str, protocol: str, root: Path, cache: Path, *, jobs: int = 1
) -> Iterator[Result]:
    """Measure a system by a protocol, its features taken from the cache where they are there."""
    corpus = "cremad" if protocol.startswith("cremad") else "ravdess"
    clips = load_all(root, [corpus]).clips
    described = describe(clips, SYSTEMS[system], cache, jobs=jobs)
    command = f"python -m train baselines --system {system} --protocol {protocol}"
    if protocol == RANDOM:
        yield at_random(system, clips, described, command)
    else:
        yield from by_fold(system, clips, described, folds(protocol), command)


def by_fold(
    system: str, clips: Sequence[Clip], described: Described, splits: Iterable[Split], command: str
) -> Iterator[Result]:
    """Train without a fold's speakers and test on them, fold by fold.

    Where there are altered copies, those of the training clips are trained on as well;
    tested are recordings as they are.
    """
    for split in splits:
        train, test = split.divide(clips)
        copies = described.of(train, copies=True)
        said = classify_by(system, clips[0].corpus)(
            copies.reshape(-1, copies.shape[-1]),
            np.repeat(targets_of(train), copies.shape[1]),
            described.of(test)[:, 0],
        )
        outcomes = judged(said, targets_of(test), clips[0].corpus)
        yield _result(system, clips[0].corpus, split.name, outcomes, command)


def at_random(
    system: str, clips: Sequence[Clip], described: Described, command: str, *, seed: int = 0
) -> Result:
    """Do as the tutorials do: alter first, then part all copies at random, 80 to 20.

    Voices, and copies of the very recordings that are tested, lie on both sides.
    """
    copies = described.of(clips, copies=True)
    vectors = copies.reshape(-1, copies.shape[-1])
    targets = np.repeat(targets_of(clips), copies.shape[1])
    order = np.random.default_rng(seed).permutation(len(vectors))
    test, train = np.split(order, [round(_TEST_SHARE * len(order))])
    said = classify_by(system, clips[0].corpus)(vectors[train], targets[train], vectors[test])
    outcomes = judged(said, targets[test], clips[0].corpus)
    return _result(system, clips[0].corpus, f"{RANDOM}:1", outcomes, command)


def classify_by(system: str, corpus: str) -> Classify:
    """Return the function that trains a system and tests it."""
    if system != "tutorial-cnn":
        return svm.classify
    classes = len(CORPUS_LABELS[corpus])
    return lambda train, targets, test: network.classify(train, targets, test, classes=classes)


def targets_of(clips: Sequence[Clip]) -> Ints:
    """Return each clip's class as an index into its corpus's classes."""
    return np.array([CORPUS_LABELS[clip.corpus].index(clip.emotion) for clip in clips], np.int64)


def judged(said: Ints, targets: Ints, corpus: str) -> Outcomes:
    """Put decisions into the form that the project's own figures are computed from."""
    probs: F64 = np.eye(len(CORPUS_LABELS[corpus]))[said]
    nobody = np.full(len(said), "")
    return Outcomes(classes=CORPUS_LABELS[corpus], targets=targets, probs=probs, speakers=nobody)


def _result(system: str, corpus: str, fold: str, outcomes: Outcomes, command: str) -> Result:
    protocol, _, number = fold.partition(":")
    return Result(
        system=system,
        corpus=corpus,
        protocol=protocol,
        fold=number,
        clips=len(outcomes),
        uar=round(metrics.uar(outcomes), 6),
        accuracy=round(metrics.accuracy(outcomes), 6),
        command=command,
    )


def read(table: Path = TABLE) -> list[Result]:
    """Return all results that were kept; none if there is no table yet."""
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8") as lines:
        return [
            Result(
                **{
                    **row,
                    "clips": int(row["clips"]),
                    "uar": float(row["uar"]),
                    "accuracy": float(row["accuracy"]),
                }  # type: ignore[arg-type]
            )
            for row in csv.DictReader(lines)
        ]


def keep(results: Iterable[Result], table: Path = TABLE) -> None:
    """Add results to the table, in place of earlier ones of the same system and fold."""
    held = {_place(item): item for item in [*read(table), *results]}
    with written_whole(table) as draft, draft.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, [spec.name for spec in fields(Result)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(held[place]) for place in sorted(held))


def _place(item: Result) -> tuple[str, str, str, str]:
    return item.corpus, item.protocol, item.system, item.fold
