"""Emotions told where there are none: in noise, silence and tones, and in reading aloud."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rt_ser.types import F32, RATE_HZ, Estimate, State
from train.corpora import Recording
from train.decode import decode
from train.evaluate import Judge, analyzer
from train.examples import is_training_source
from train.progress import work_through
from train.scorecard import plain
from train.tones import TONES, silence

CALM = ("neutral", "calm")
"""Labels that claim nothing."""

STRONG = ("angry", "fearful", "disgust")
"""Labels that hurt most where they are wrong."""

SILENCE_S = 60.0
_WORST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was told of one recording, counted in estimates.

    ``judged`` ones name a label, ``confident`` ones among them have the state *speech*,
    ``emotions`` are confident of anything but neutral and calm, ``strong`` of ``STRONG``.
    """

    key: str
    seconds: float
    judged: int
    confident: int
    emotions: int
    strong: int


def tell(judge: Judge, key: str, samples: F32) -> Told:
    """Feed a recording as a stream of its own and count what is said of it."""
    judge.reset()
    estimates = [*judge.feed(samples), *judge.flush()]
    return count(key, len(samples) / RATE_HZ, estimates)


def count(key: str, seconds: float, estimates: Iterable[Estimate]) -> Told:
    """Count estimates by what they claim."""
    judged = [item for item in estimates if item.label]
    confident = [item.label for item in judged if item.state is State.SPEECH]
    return Told(
        key=key,
        seconds=seconds,
        judged=len(judged),
        confident=len(confident),
        emotions=sum(label not in CALM for label in confident),
        strong=sum(label in STRONG for label in confident),
    )


def per_hour(told: Sequence[Told]) -> dict[str, Any]:
    """Return how many confident emotions there are in an hour, and where most come from."""
    seconds = sum(item.seconds for item in told)
    emotions = sum(item.emotions for item in told)
    told_some = [item for item in told if item.emotions]
    worst = sorted(told_some, key=lambda item: -item.emotions)[:_WORST]
    return {
        "recordings": len(told),
        "seconds": plain(seconds),
        "judged": sum(item.judged for item in told),
        "emotions": emotions,
        "emotions_per_hour": plain(3600.0 * emotions / seconds) if seconds else None,
        "worst": [{"name": name_of(item.key), "emotions": item.emotions} for item in worst],
    }


def name_of(key: str) -> str:
    """Name a recording by its kind and its file: ``"dog_bark/2-117271-A"``."""
    return "/".join(key.split("/")[-2:])


def share_of_time(told: Sequence[Told]) -> dict[str, Any]:
    """Return the share of judged time that is confidently called one of ``STRONG``.

    Estimates come at equal distances, so that a share of them is a share of time.
    """
    judged = sum(item.judged for item in told)
    return {
        "recordings": len(told),
        "seconds": plain(sum(item.seconds for item in told)),
        "judged": judged,
        "confident_share": plain(sum(item.confident for item in told) / judged) if judged else None,
        "emotion_share": plain(sum(item.emotions for item in told) / judged) if judged else None,
        "strong_share": plain(sum(item.strong for item in told) / judged) if judged else None,
    }


def false_alarms(
    noises: Sequence[Recording],
    speech: Sequence[Recording],
    model: str,
    *,
    jobs: int = 1,
    quiet: bool = False,
) -> dict[str, Any]:
    """Listen to noises, tones and silence, and to people reading; return figures fit for JSON.

    Noises and readers that a model may have been trained on are counted too, and the
    others once more on their own.
    """
    work = functools.partial(_tell_file, model=model)
    of_noise = work_through("noise", work, noises, jobs=jobs, quiet=quiet)
    of_speech = work_through("reading", work, speech, jobs=jobs, quiet=quiet)
    sounds = {"silence": silence(SILENCE_S)} | {name: make() for name, make in TONES.items()}
    of_sounds = [tell(analyzer(model), name, samples) for name, samples in sounds.items()]
    return {
        "non_speech": {
            "noise": per_hour(of_noise),
            "held_out_noise": per_hour(_held_out(of_noise, noises)),
            "silence": per_hour(of_sounds[:1]),
            "tones": per_hour(of_sounds[1:]),
            "everything": per_hour([*of_noise, *of_sounds]),
        },
        "read_speech": share_of_time(of_speech),
        "held_out_read_speech": share_of_time(_held_out(of_speech, speech)),
    }


def _held_out(told: Sequence[Told], recordings: Sequence[Recording]) -> list[Told]:
    pairs = zip(told, recordings, strict=True)
    return [of for of, recording in pairs if not is_training_source(recording.source)]


def _tell_file(recording: Recording, *, model: str) -> Told:
    return tell(analyzer(model), recording.key, decode(recording.path))
