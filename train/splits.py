"""Protocols: which speakers are trained on and which are tested on, read from data.

``train/splits/NAME.yaml`` lists a protocol's folds, each with the speakers, or whole
corpora, that are kept for testing. Everybody else is trained on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_ser.config import shown
from rt_ser.errors import ConfigError
from train.corpora.clip import CORPUS_LABELS, LABELS, Clip
from train.trees import is_names, read_tree

FOLDER = Path(__file__).with_name("splits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One fold of a protocol.

    ``test`` holds speakers (``"ravdess-01"``) and whole corpora (``"savee"``).
    ``classes`` are those that the protocol scores; a clip of any other is neither
    tested nor, where its speaker is kept for testing, trained on.
    """

    name: str
    test: frozenset[str]
    classes: tuple[str, ...] = LABELS

    def is_test_speaker(self, clip: Clip) -> bool:
        """Tell whether the clip's speaker is kept out of training."""
        return clip.speaker in self.test or clip.corpus in self.test

    def side(self, clip: Clip) -> str | None:
        """Return ``"train"``, ``"test"`` or ``None`` for a clip that is used for neither."""
        if not self.is_test_speaker(clip):
            return "train"
        return "test" if clip.emotion in self.classes else None

    def divide(self, clips: Iterable[Clip]) -> tuple[list[Clip], list[Clip]]:
        """Part the clips into those to train on and those to test on, order kept."""
        sides: dict[str | None, list[Clip]] = {"train": [], "test": [], None: []}
        for clip in clips:
            sides[self.side(clip)].append(clip)
        return sides["train"], sides["test"]

    def classes_of(self, corpus: str) -> tuple[str, ...]:
        """Return the classes over which clips of a corpus are scored, in model order."""
        return tuple(label for label in CORPUS_LABELS[corpus] if label in self.classes)


def protocols() -> list[str]:
    """Return the names of all protocols."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def folds(protocol: str) -> list[Split]:
    """Read all folds of a protocol.

    Raises
    ------
    ConfigError
        If there is no such protocol, or its file is damaged, or names an unknown class, or
        a speaker in two folds.
    """
    path = FOLDER / f"{protocol}.yaml"
    if protocol not in protocols():
        raise ConfigError(f"split={protocol!r} is not known: give one of {', '.join(protocols())}")
    tree = read_tree(path, kind="protocol", mend="write it as the others there are")
    classes, parts = tree.get("classes", list(LABELS)), tree.get("folds")
    if not is_names(classes) or not set(classes) <= set(LABELS):
        raise ConfigError(
            f"{path.name}: classes={shown(classes)} must be among {', '.join(LABELS)}"
        )
    if not isinstance(parts, dict) or not all(map(_is_fold, parts.values())):
        raise ConfigError(
            f"{path.name}: folds={shown(parts)} must each have a list, test: [speakers or corpora]"
        )
    found = [
        Split(name=f"{protocol}:{key}", test=frozenset(fold["test"]), classes=tuple(classes))
        for key, fold in parts.items()
    ]
    _check_disjoint(path.name, found)
    return found


def _is_fold(fold: Any) -> bool:
    return isinstance(fold, dict) and is_names(fold.get("test"))


def load_split(name: str) -> Split:
    """Read one fold: ``"ravdess_folds:1"``, or ``"first"`` for a protocol of one fold.

    Raises
    ------
    ConfigError
        If there is no such protocol or fold.
    """
    protocol, _, fold = name.partition(":")
    found = {split.name: split for split in folds(protocol)}
    if not fold and len(found) == 1:
        return next(iter(found.values()))
    if name not in found:
        raise ConfigError(f"split={name!r} is not known: give one of {', '.join(found)}")
    return found[name]


def dev_speakers(clips: Sequence[Clip], count: int, seed: int = 0) -> frozenset[str]:
    """Choose speakers to keep out of training for calibration, in proportion to corpora.

    SAVEE and TESS have too few speakers to give one up.
    """
    names = sorted({clip.speaker for clip in clips if clip.corpus in ("ravdess", "cremad")})
    rng = np.random.default_rng(seed)
    by_corpus = [[name for name in names if name.startswith(c)] for c in ("cremad", "ravdess")]
    shares = [count - count // 3, count // 3]
    chosen = [
        rng.choice(group, min(share, len(group)), replace=False)
        for group, share in zip(by_corpus, shares, strict=True)
        if group
    ]
    return frozenset(str(name) for part in chosen for name in part)


def parts_of(clips: Sequence[Clip], parts: int) -> NDArray[np.int64]:
    """Put every clip into one of some parts, whole speakers, each corpus spread over them.

    -1 where a corpus has one speaker only: nobody else could give an opinion of it.
    """
    part: dict[str, int] = {}
    for corpus in sorted({clip.corpus for clip in clips}):
        speakers = sorted({clip.speaker for clip in clips if clip.corpus == corpus})
        part |= {name: place % parts for place, name in enumerate(speakers)}
        if len(speakers) == 1:
            part[speakers[0]] = -1
    return np.array([part[clip.speaker] for clip in clips], np.int64)


def _check_disjoint(name: str, found: Sequence[Split]) -> None:
    """Raise ConfigError if any speaker is tested in more than one fold."""
    seen: set[str] = set()
    for split in found:
        if twice := seen & split.test:
            raise ConfigError(f"{name}: {sorted(twice)} lie in two folds: keep each in one")
        seen |= split.test
