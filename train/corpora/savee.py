"""SAVEE (Haq & Jackson 2009, http://kahlan.eps.surrey.ac.uk/savee/).

Four men. Published as ``AudioData/DC/a01.wav``, mirrored flat as ``ALL/DC_a01.wav``.
"""

from __future__ import annotations

import re
from pathlib import Path

from train.corpora.clip import Clip, collect

_EMOTION = {
    "a": "angry", "d": "disgust", "f": "fearful", "h": "happy",
    "n": "neutral", "sa": "sad", "su": "surprised",
}  # fmt: skip
_NAME = re.compile(r"(DC|JE|JK|KL)[/_](sa|su|[adfhn])(\d{2})")
_TAKES = {code: 30 if code == "n" else 15 for code in _EMOTION}


def parse(path: Path) -> Clip | None:
    """Read a clip off its name, or folder and name; ``None`` for anything else."""
    match = _NAME.fullmatch(path.stem) or _NAME.fullmatch(f"{path.parent.name}/{path.stem}")
    if match is None:
        return None
    speaker, code, number = match.groups()
    return Clip(
        key=f"savee/{speaker}_{code}{number}",
        path=path,
        corpus="savee",
        speaker=f"savee-{speaker}",
        sex="male",
        emotion=_EMOTION[code],
        sentence=f"{code}{number}",
    )


def load(root: Path) -> list[Clip]:
    """Find every SAVEE clip below ``root``, sorted by key."""
    return collect(root, parse)


def expected(clips: list[Clip]) -> set[str]:
    """Return the keys that the men present ought to have: 120 each."""
    return {
        f"{clip.speaker.replace('-', '/')}_{code}{number:02}"
        for clip in clips
        for code, takes in _TAKES.items()
        for number in range(1, takes + 1)
    }
