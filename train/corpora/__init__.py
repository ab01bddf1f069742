"""The corpora that the project trains on, found in whatever layout people have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from rt_ser.errors import InputError
from train.corpora import cremad, ravdess, savee, tess
from train.corpora.clip import CORPUS_LABELS, LABELS, Clip, generator_of, speakers
from train.corpora.unlabelled import Recording, load_noise, load_speech

__all__ = [
    "CORPORA",
    "CORPUS_LABELS",
    "KNOWN_DEFECTS",
    "LABELS",
    "Clip",
    "Collection",
    "Recording",
    "generator_of",
    "load_all",
    "load_noise",
    "load_speech",
    "speakers",
]

_LOAD: dict[str, Callable[[Path], list[Clip]]] = {
    "ravdess": ravdess.load,
    "cremad": cremad.load,
    "tess": tess.load,
    "savee": savee.load,
}
_EXPECTED: dict[str, Callable[[list[Clip]], set[str]]] = {
    "ravdess": ravdess.expected,
    "cremad": cremad.expected,
    "tess": tess.expected,
    "savee": savee.expected,
}
CORPORA = tuple(_LOAD)

_TWO_LABELS = "the same audio lies here under two emotions"
KNOWN_DEFECTS: dict[str, str] = {
    "cremad/1076_MTI_SAD_XX": "silent",
    "cremad/1006_TIE_NEU_XX": _TWO_LABELS,
    "cremad/1006_TIE_HAP_XX": _TWO_LABELS,
    "cremad/1013_WSI_DIS_XX": _TWO_LABELS,
    "cremad/1013_WSI_SAD_XX": _TWO_LABELS,
    "cremad/1017_IWW_ANG_XX": _TWO_LABELS,
    "cremad/1017_IWW_FEA_XX": _TWO_LABELS,
    "ravdess/03-01-03-01-02-02-07": "the same audio as 03-01-03-01-02-01-07",
}
"""Published recordings that are dropped, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What was found: usable clips by key, dropped ones with the reason, missing keys."""

    clips: tuple[Clip, ...]
    dropped: dict[str, str]
    missing: tuple[str, ...]


def load_all(root: Path, corpora: Iterable[str] = CORPORA) -> Collection:
    """Find the clips of ``corpora`` below ``root``, less the known defective ones.

    Raises
    ------
    InputError
        If ``root`` is no folder, a corpus is unknown, or none of them is there.
    """
    wanted = tuple(corpora)
    unknown = sorted(set(wanted) - set(CORPORA))
    if unknown:
        raise InputError(f"corpora={unknown} are not known: give some of {', '.join(CORPORA)}")
    if not root.is_dir():
        raise InputError(f"data={str(root)!r} is no folder: give the one that holds the corpora")
    found: list[Clip] = []
    missing: set[str] = set()
    for name in wanted:
        clips = _LOAD[name](root)
        found += clips
        missing |= _EXPECTED[name](clips) - {clip.key for clip in clips}
    if not found:
        raise InputError(f"data={str(root)!r} holds no clip of {', '.join(wanted)}: see README.md")
    return Collection(
        clips=tuple(clip for clip in found if clip.key not in KNOWN_DEFECTS),
        dropped={clip.key: KNOWN_DEFECTS[clip.key] for clip in found if clip.key in KNOWN_DEFECTS},
        missing=tuple(sorted(missing)),
    )
