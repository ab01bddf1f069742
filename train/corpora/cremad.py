"""CREMA-D (Cao et al. 2014, https://doi.org/10.1109/TAFFC.2014.2336244).

File names are ``ACTOR_SENTENCE_EMOTION_LEVEL``. ``VideoDemographics.csv`` (sex, age)
and the crowd's voice-only votes (``voice_votes.csv``, or the corpus's own
``processedResults/tabulatedVotes.csv``) are read where they lie beside the audio; mirrors
with ``AudioWAV/`` alone load without them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from train.corpora.clip import LABELS, Clip, collect

SENTENCES = ("DFA", "IEO", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI")
_EMOTION = {
    "ANG": "angry", "DIS": "disgust", "FEA": "fearful",
    "HAP": "happy", "NEU": "neutral", "SAD": "sad",
}  # fmt: skip
_VOTE = {emotion[0]: label for emotion, label in _EMOTION.items()}
_LEVEL = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified", "X": "unspecified"}
_NAME = re.compile(rf"(1\d{{3}})_({'|'.join(SENTENCES)})_({'|'.join(_EMOTION)})_(LO|MD|HI|XX?)")


def parse(path: Path) -> Clip | None:
    """Read a clip off its file name; ``None`` for anything that is not CREMA-D."""
    match = _NAME.fullmatch(path.stem)
    if match is None:
        return None
    actor, sentence, emotion, level = match.groups()
    # One published file, 1040_ITH_SAD_X, lacks the second X of its level.
    level = "XX" if level == "X" else level
    return Clip(
        key=f"cremad/{actor}_{sentence}_{emotion}_{level}",
        path=path,
        corpus="cremad",
        speaker=f"cremad-{actor}",
        sex="unknown",
        emotion=_EMOTION[emotion],
        intensity=_LEVEL[level],
        sentence=sentence,
    )


def load(root: Path) -> list[Clip]:
    """Find every CREMA-D clip below ``root``, with demographics and votes where given."""
    people = _demographics(root)
    votes = _votes(root)
    unknown: tuple[str, int | None] = ("unknown", None)
    return [
        replace(
            clip,
            sex=people.get(clip.speaker, unknown)[0],
            age=people.get(clip.speaker, unknown)[1],
            votes=votes.get(clip.key),
        )
        for clip in collect(root, parse)
    ]


def expected(clips: list[Clip]) -> set[str]:
    """Return the keys that the actors present ought to have: 82 each.

    Twelve sentences in six emotions; the first sentence ("It's eleven o'clock") in
    three levels of each emotion but neutral.
    """
    keys: set[str] = set()
    for actor in {clip.speaker.removeprefix("cremad-") for clip in clips}:
        for sentence in SENTENCES:
            for emotion in _EMOTION:
                graded = sentence == "IEO" and emotion != "NEU"
                levels = ("LO", "MD", "HI") if graded else ("XX",)
                keys |= {f"cremad/{actor}_{sentence}_{emotion}_{level}" for level in levels}
    return keys


def _rows(root: Path, name: str) -> Iterator[dict[str, str]]:
    """Yield the rows of the first file of this name below ``root``; none where there is none."""
    for path in sorted(root.rglob(name))[:1]:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            yield from csv.DictReader(lines)


def _demographics(root: Path) -> dict[str, tuple[str, int | None]]:
    """Read speaker -> (sex, age in years) from VideoDemographics.csv."""
    return {
        f"cremad-{row['ActorID']}": (row["Sex"].lower(), int(row["Age"]))
        for row in _rows(root, "VideoDemographics.csv")
    }


def _votes(root: Path) -> dict[str, tuple[int, ...]]:
    """Read key -> listeners per label from voice_votes.csv, or else tabulatedVotes.csv.

    The corpus's own table has three rows a clip, numbered 1xxxxx where listeners had the
    voice alone, 2xxxxx the face alone and 3xxxxx both.
    """
    found: dict[str, tuple[int, ...]] = {}
    tabulated = (row for row in _rows(root, "tabulatedVotes.csv") if row[""].startswith("1"))
    for row in (*tabulated, *_rows(root, "voice_votes.csv")):
        clip = parse(Path(row.get("FileName") or row["fileName"]))
        if clip is not None:
            counts = {label: int(row[letter]) for letter, label in _VOTE.items()}
            found[clip.key] = tuple(counts.get(label, 0) for label in LABELS)
    return found
