"""TESS (Pichora-Fuller & Dupuis 2020, https://doi.org/10.5683/SP2/E8H2MF).

``OAF_word_emotion`` and ``YAF_word_emotion``: an older and a younger actress. Spelling
varies between copies (``OA_bite_neutral``, ``ps`` or ``pleasant_surprise``, capitals),
and one mirror holds the whole tree twice, one inside the other; keys are normalised, so
each recording counts once.
"""

from __future__ import annotations

import re
from pathlib import Path

from train.corpora.clip import Clip, collect

_EMOTION = {
    "angry": "angry", "disgust": "disgust", "fear": "fearful", "happy": "happy",
    "neutral": "neutral", "ps": "surprised", "pleasant_surprise": "surprised",
    "pleasant_surprised": "surprised", "sad": "sad",
}  # fmt: skip
_NAME = re.compile(rf"([OY])AF?_([a-z]+)_({'|'.join(_EMOTION)})", re.IGNORECASE)
_AGE = {"o": 64, "y": 26}


def parse(path: Path) -> Clip | None:
    """Read a clip off its file name; ``None`` for anything that is not TESS."""
    match = _NAME.fullmatch(path.stem)
    if match is None:
        return None
    actress, word, emotion = (part.lower() for part in match.groups())
    label = _EMOTION[emotion]
    return Clip(
        key=f"tess/{actress}af_{word}_{label}",
        path=path,
        corpus="tess",
        speaker=f"tess-{actress}af",
        sex="female",
        emotion=label,
        sentence=word,
        age=_AGE[actress],
    )


def load(root: Path) -> list[Clip]:
    """Find every TESS clip below ``root``, sorted by key."""
    return collect(root, parse)


def expected(clips: list[Clip]) -> set[str]:
    """Return the keys that ought to be there: every word present, in all seven emotions."""
    return {
        f"tess/{clip.speaker.removeprefix('tess-')}_{clip.sentence}_{label}"
        for clip in clips
        for label in set(_EMOTION.values())
    }
