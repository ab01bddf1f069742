"""RAVDESS, speech part (Livingstone & Russo 2018, https://doi.org/10.1371/journal.pone.0196391).

File names are seven two-digit numbers: modality (03 audio only), channel (01 speech),
emotion, intensity, statement, repetition, actor (odd men, even women). Any folder
layout will do: ``Actor_01/`` as published, and mirrors that repeat the tree inside.
"""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

from train.corpora.clip import LABELS, Clip, collect

_NAME = re.compile(r"03-01-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])")
_INTENSITY = {"01": "normal", "02": "strong"}
_SENTENCE = {"01": "kids", "02": "dogs"}


def parse(path: Path) -> Clip | None:
    """Read a clip off its file name; ``None`` for anything that is not RAVDESS speech."""
    match = _NAME.fullmatch(path.stem)
    if match is None:
        return None
    emotion, intensity, sentence, _, actor = match.groups()
    return Clip(
        key=f"ravdess/{path.stem}",
        path=path,
        corpus="ravdess",
        speaker=f"ravdess-{actor}",
        sex="male" if int(actor) % 2 else "female",
        emotion=LABELS[int(emotion) - 1],
        intensity=_INTENSITY[intensity],
        sentence=_SENTENCE[sentence],
    )


def load(root: Path) -> list[Clip]:
    """Find every RAVDESS speech clip below ``root``, sorted by key."""
    return collect(root, parse)


def expected(clips: list[Clip]) -> set[str]:
    """Return the keys that the actors present ought to have: 60 each, none neutral and strong."""
    actors = {clip.speaker.removeprefix("ravdess-") for clip in clips}
    takes = product(range(1, 9), (1, 2), (1, 2), (1, 2), actors)
    return {
        f"ravdess/03-01-{emotion:02}-{intensity:02}-{sentence:02}-{repetition:02}-{actor}"
        for emotion, intensity, sentence, repetition, actor in takes
        if not (emotion == 1 and intensity == 2)
    }
