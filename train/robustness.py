"""How a model takes a worse microphone, room and line, and sounds that are no voice.

As in :mod:`train.evaluate`, everything passes through :class:`rt_ser.Analyzer`, and the
same clips are judged under every condition. All that is drawn by chance depends on the
clip's key alone: another run hears the same.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rt_ser.config import Settings
from rt_ser.errors import InputError
from rt_ser.types import F32
from rt_ser.whole import write_text_whole
from train import distortions, kept, metrics
from train.arguments import add_data_arguments
from train.clips import gate
from train.corpora import CORPORA, Clip, Recording, generator_of, load_noise, load_speech
from train.decode import decode
from train.evaluate import analyzer, chosen_test, folder_of, hear
from train.examples import is_training_source
from train.false_alarms import false_alarms
from train.progress import work_through
from train.scorecard import Heard, outcomes_of, plain
from train.splits import Split

Distort = Callable[[F32, np.random.Generator, Sequence[Path]], F32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Something that happens to every clip, and the loss in points that would be bearable."""

    title: str
    limit: float | None
    distort: Distort


def _clean(samples: F32, _rng: np.random.Generator, _noises: Sequence[Path]) -> F32:
    return samples


def _noisy(samples: F32, rng: np.random.Generator, noises: Sequence[Path], *, snr_db: float) -> F32:
    noise = _noise(noises[int(rng.integers(len(noises)))])
    _, lamp = gate(samples, Settings())
    level = distortions.rms(distortions.speech_of(samples, lamp))
    return distortions.add_noise(samples, noise, snr_db=snr_db, level=level, rng=rng)


def _louder(
    samples: F32, _rng: np.random.Generator, _noises: Sequence[Path], *, gain_db: float
) -> F32:
    return distortions.through_sound_card(samples, gain_db=gain_db)


def _telephone(samples: F32, _rng: np.random.Generator, _noises: Sequence[Path]) -> F32:
    return distortions.telephone(samples)


def _room(
    samples: F32, rng: np.random.Generator, _noises: Sequence[Path], *, distance_m: float
) -> F32:
    rt60_s = float(rng.uniform(0.3, 0.5))
    return distortions.in_room(samples, distance_m=distance_m, rt60_s=rt60_s, rng=rng)


@functools.cache
def _noise(path: Path) -> F32:
    return distortions.sounding(decode(path))


def _condition(title: str, limit: float | None, distort: Distort) -> Condition:
    return Condition(title=title, limit=limit, distort=distort)


CONDITIONS: dict[str, Condition] = {
    "clean": _condition("as recorded", None, _clean),
    "snr20": _condition("noise, 20 dB SNR", 2.0, functools.partial(_noisy, snr_db=20.0)),
    "snr10": _condition("noise, 10 dB SNR", 5.0, functools.partial(_noisy, snr_db=10.0)),
    "snr5": _condition("noise, 5 dB SNR", 10.0, functools.partial(_noisy, snr_db=5.0)),
    "quiet": _condition("20 dB fainter", 1.0, functools.partial(_louder, gain_db=-20.0)),
    "loud": _condition("10 dB louder, clipped", 1.0, functools.partial(_louder, gain_db=10.0)),
    "telephone": _condition("telephone, 8 kHz mu-law", 5.0, _telephone),
    "room": _condition("small room, 0.5 m away", 5.0, functools.partial(_room, distance_m=0.5)),
    "room1m": _condition("small room, 1 m away", 5.0, functools.partial(_room, distance_m=1.0)),
}
"""By name, ``clean`` first; the limits are the project's own."""


def hear_under(clip: Clip, *, condition: str, model: str, noises: tuple[Path, ...]) -> Heard:
    """Judge one clip under a condition."""
    # Named by the clip and not by the condition, so that all ratios have the same noise.
    distort = CONDITIONS[condition].distort
    samples = distort(decode(clip.path), generator_of(clip.key), noises)
    return hear(analyzer(model), clip, samples)


def every_nth(clips: Sequence[Clip], every: int) -> list[Clip]:
    """Take one clip in ``every`` of each corpus, in an order that has nothing to do with names.

    File names repeat speakers and emotions at fixed distances, so that every fourth file
    may be one speaker's.
    """
    mixed = sorted(clips, key=lambda clip: hashlib.sha256(clip.key.encode()).hexdigest())
    by_corpus = [[clip for clip in mixed if clip.corpus == name] for name in CORPORA]
    return [clip for items in by_corpus for clip in items[::every]]


def held_out_noises(root: Path) -> list[Recording]:
    """Find the noises that no model was trained on.

    Raises
    ------
    InputError
        If there are none.
    """
    held = [item for item in load_noise(root) if not is_training_source(item.source)]
    if not held:
        raise InputError(f"data={str(root)!r} holds no noise to test with: put some into noise/")
    return held


def under_conditions(
    clips: Sequence[Clip],
    split: Split,
    model: str,
    noises: Sequence[Path],
    *,
    jobs: int = 1,
    quiet: bool = False,
) -> list[dict[str, Any]]:
    """Judge all clips under every condition and return the figures of each, fit for JSON.

    ``loss`` is in points of UAR against the first condition, ``mean_loss`` its mean over
    the corpora.
    """
    rows: list[dict[str, Any]] = []
    for name, condition in CONDITIONS.items():
        work = functools.partial(hear_under, condition=name, model=model, noises=tuple(noises))
        heard = work_through(name, work, clips, jobs=jobs, quiet=quiet)
        cards = _cards(heard, split)
        losses = [_lose(card, rows[0]["corpora"][corpus]) for corpus, card in cards.items() if rows]
        facts = {"name": name, "title": condition.title, "limit": condition.limit}
        mean_loss = plain(float(np.mean(losses))) if losses else 0.0
        rows.append({**facts, "mean_loss": mean_loss, "corpora": cards})
    return rows


def _cards(heard: Sequence[Heard], split: Split) -> dict[str, dict[str, Any]]:
    found = list(dict.fromkeys(item.clip.corpus for item in heard))
    cards = {}
    for corpus in found:
        outcomes = outcomes_of(
            [item for item in heard if item.clip.corpus == corpus], split.classes_of(corpus)
        )
        cards[corpus] = {
            "clips": len(outcomes),
            "no_speech": int((~outcomes.judged).sum()),
            "uar": plain(metrics.uar(outcomes)),
            "accuracy": plain(metrics.accuracy(outcomes)),
            "loss": 0.0,
        }
    return cards


def _lose(card: dict[str, Any], clean: dict[str, Any]) -> float:
    """Note in a card how many points it lies below the clean one, and return them."""
    loss = 100.0 * (clean["uar"] - card["uar"])
    card["loss"] = plain(loss)
    return float(loss)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``python -m train robustness``."""
    add_data_arguments(parser)
    parser.add_argument("--model", type=Path, required=True, metavar="FILE", help="a .tflite file")
    parser.add_argument(
        "--split", required=True, metavar="NAME", help="as for evaluate: the one it left out"
    )
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="only one clip in N (default: all)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where robustness.json goes")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: %(default)s)"
    )
    parser.add_argument(
        "--keep", action="store_true", help="add the figures to the results, which are committed"
    )


def run(arguments: argparse.Namespace) -> None:
    """Measure a model's robustness, print it, and write ``robustness.json``."""
    from rich.console import Console

    from train.tables import show_robustness

    split, clips, training = chosen_test(arguments.data, arguments.model, arguments.split)
    noises = [item.path for item in held_out_noises(arguments.data)]
    chosen = every_nth(clips, max(1, arguments.every))
    model, jobs = arguments.model, arguments.jobs
    figures = {
        "model": model.name,
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "recipe": training.get("recipe"),
        "seed": training.get("seed"),
        "split": split.name,
        "every": max(1, arguments.every),
        "conditions": under_conditions(chosen, split, str(model), noises, jobs=jobs),
        **false_alarms(
            load_noise(arguments.data), load_speech(arguments.data), str(model), jobs=jobs
        ),
    }
    out = arguments.out or folder_of(model, split)
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(figures, indent=1) + "\n"
    write_text_whole(out / "robustness.json", text)
    show_robustness(figures, Console())
    if arguments.keep:
        kept.keep(figures)
