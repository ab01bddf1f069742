"""Recordings without an emotion: noise to mix in or to reject, and read speech.

ESC-10 names are ``FOLD-SOURCE-TAKE``: takes of one source are the same recording, so
that a set of noises for training and another for testing must part by ``source``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from train.corpora.clip import audio_files

_ESC = re.compile(r"(\d-\d+)-[A-Z](?:-\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One unlabelled file: ``kind`` is ``noise`` or ``speech``, ``category`` its folder or name.

    ``source`` is shared by all that must not be parted (takes of a noise, one reader).
    """

    key: str
    path: Path
    kind: str
    category: str
    source: str


def load_noise(root: Path) -> list[Recording]:
    """Find the noises below ``root/noise``, sorted by key; empty where there are none."""
    return [_noise(path, root) for path in audio_files(root / "noise")]


def load_speech(root: Path) -> list[Recording]:
    """Find the read speech below ``root/speech``, sorted by key; empty where there is none."""
    return [_speech(path, root) for path in audio_files(root / "speech")]


def _key(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()


def _noise(path: Path, root: Path) -> Recording:
    match = _ESC.fullmatch(path.stem)
    return Recording(
        key=_key(path, root),
        path=path,
        kind="noise",
        category=path.parent.name if match else path.stem,
        source=match.group(1) if match else path.stem,
    )


def _speech(path: Path, root: Path) -> Recording:
    # LibriSpeech: READER-CHAPTER-UTTERANCE.
    reader = path.stem.split("-")[0]
    return Recording(
        key=_key(path, root), path=path, kind="speech", category=path.parent.name, source=reader
    )
