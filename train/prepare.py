"""Corpora to cached features, with a report of what was found, missed and dropped.

Works as a library too: :func:`prepare` returns the features, from the cache where they
are there already.
"""

from __future__ import annotations

import argparse
import itertools
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from rt_ser.config import Settings
from rt_ser.errors import InputError
from rt_ser.types import F32, RATE_HZ
from train.arguments import add_data_arguments
from train.cache import (
    ClipFeatures,
    FeatureFunction,
    FeatureStore,
    Measured,
    StoredFeatures,
    cache_key,
)
from train.corpora import CORPORA, Clip, Collection, Recording, load_all, load_noise, load_speech
from train.decode import audio_hash, decode
from train.progress import work_through

UNLABELLED = ("noise", "speech")
_CLIPPED_PEAK = 0.999
_SHORTEST_S = 0.2
_SILENT_PEAK = 1e-3
"""-60 dBFS: below it a recording holds no voice that anything could be learnt from."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """Everything that training needs: usable clips, their features, and what was dropped.

    ``stores`` are by corpus, and also hold the dropped recordings; ``noise`` and
    ``speech`` among them hold ``recordings``, which have no emotion.
    """

    clips: tuple[Clip, ...]
    recordings: tuple[Recording, ...]
    stores: dict[str, FeatureStore]
    dropped: dict[str, str]
    missing: tuple[str, ...]

    def measured(self) -> dict[str, Measured]:
        """Map every recording's key to what decoding told of it."""
        return {item.key: item for store in self.stores.values() for item in store.measured}

    def features(self) -> Iterator[tuple[Clip, StoredFeatures]]:
        """Yield every usable clip with its features."""
        indices = {corpus: store.index() for corpus, store in self.stores.items()}
        for clip in self.clips:
            yield clip, self.stores[clip.corpus].features(indices[clip.corpus][clip.key])

    def unlabelled(self, kind: str) -> Iterator[tuple[Recording, StoredFeatures]]:
        """Yield every usable recording of a kind, ``noise`` or ``speech``, with its features."""
        index = self.stores[kind].index()
        for recording in self.recordings:
            if recording.kind == kind:
                yield recording, self.stores[kind].features(index[recording.key])


def prepare(
    root: Path,
    cache: Path,
    *,
    settings: Settings | None = None,
    features: FeatureFunction | None = None,
    corpora: Sequence[str] = CORPORA,
    jobs: int = 1,
    quiet: bool = False,
) -> Prepared:
    """Compute, or read from the cache, the features of all corpora below ``root``.

    Parameters
    ----------
    root, cache : Path
        Where the corpora lie, and where features are kept.
    settings : Settings, optional
        Those of the voice-activity gate matter; the defaults if not given.
    features : callable, optional
        ``train.clips.clip_features`` unless another one is given.
    corpora : sequence of str
        Which of ``CORPORA`` to look for; noise and read speech always come along.
    jobs : int
        Processes that decode at the same time.
    quiet : bool
        Show no progress bar.

    Raises
    ------
    InputError
        If ``root`` holds none of the corpora.
    """
    settings = settings or Settings()
    features = features or _clip_features()
    found = load_all(root, corpora)
    recordings = (*load_noise(root), *load_speech(root))
    stores = {}
    for name, items in _by_corpus(found, recordings).items():
        path = cache / f"{name}-{cache_key(items, settings, features)}.npz"
        if not path.exists():
            work = partial(_extract, settings=settings, features=features)
            results = work_through(name, work, items, jobs=jobs, quiet=quiet)
            FeatureStore.build([of for of, _ in results], [made for _, made in results]).save(path)
        stores[name] = FeatureStore.read(path)
    return _select(found, recordings, stores)


def _clip_features() -> FeatureFunction:
    from train.clips import clip_features

    return clip_features


def _by_corpus(
    found: Collection, recordings: Sequence[Recording]
) -> dict[str, list[tuple[str, Path]]]:
    """Group keys and paths by corpus; noise and read speech count as corpora here."""
    groups: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for clip in found.clips:
        groups[clip.corpus].append((clip.key, clip.path))
    for recording in recordings:
        groups[recording.kind].append((recording.key, recording.path))
    return dict(groups)


def measure(key: str, samples: F32) -> Measured:
    """Describe decoded samples, and say what is wrong with them if anything is."""
    magnitudes = np.abs(samples)
    fault = ""
    if len(samples) < _SHORTEST_S * RATE_HZ:
        fault = f"shorter than {_SHORTEST_S} s"
    elif magnitudes.max() < _SILENT_PEAK:
        fault = "silent"
    return Measured(
        key=key,
        fingerprint=audio_hash(samples),
        samples=len(samples),
        peak=float(magnitudes.max(initial=0.0)),
        clipped=float((magnitudes >= _CLIPPED_PEAK).mean()) if len(samples) else 0.0,
        fault=fault,
    )


def _extract(
    item: tuple[str, Path], *, settings: Settings, features: FeatureFunction
) -> tuple[Measured, ClipFeatures | None]:
    """Decode and describe one recording; no features where it has a fault."""
    key, path = item
    try:
        samples = decode(path)
    except InputError as error:
        return Measured(key=key, fault=str(error)), None
    measured = measure(key, samples)
    return measured, None if measured.fault else features(samples, settings)


def duplicates(clips: Sequence[Clip], fingerprints: dict[str, str]) -> dict[str, str]:
    """Find clips to drop because the same audio is there again.

    Under one speaker and emotion the first by key stays. Where the copies disagree
    about either, nobody knows which is right, and all are dropped.
    """
    groups: dict[str, list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=lambda clip: clip.key):
        groups[fingerprints[clip.key]].append(clip)
    dropped: dict[str, str] = {}
    for first, *others in groups.values():
        if any((clip.speaker, clip.emotion) != (first.speaker, first.emotion) for clip in others):
            names = ", ".join(clip.key for clip in (first, *others))
            dropped |= {
                clip.key: f"the same audio under two names: {names}" for clip in (first, *others)
            }
        else:
            dropped |= {clip.key: f"the same audio as {first.key}" for clip in others}
    return dropped


def _select(
    found: Collection, recordings: Sequence[Recording], stores: dict[str, FeatureStore]
) -> Prepared:
    """Drop what is faulty or there twice, and keep the reasons."""
    measured = list(itertools.chain.from_iterable(store.measured for store in stores.values()))
    dropped = {item.key: item.fault for item in measured if item.fault}
    clips = [clip for clip in found.clips if clip.key not in dropped]
    dropped |= duplicates(clips, {item.key: item.fingerprint for item in measured})
    return Prepared(
        clips=tuple(clip for clip in clips if clip.key not in dropped),
        recordings=tuple(item for item in recordings if item.key not in dropped),
        stores=stores,
        dropped={**found.dropped, **dropped},
        missing=found.missing,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``python -m train prepare``."""
    add_data_arguments(parser)
    parser.add_argument(
        "--corpora", nargs="+", choices=CORPORA, default=CORPORA, help="which ones (default: all)"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: %(default)s)"
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="the report as JSON (default: report.json in the cache)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Prepare the corpora and print the report."""
    from rich.console import Console

    from train.inventory import inventory, show, write

    prepared = prepare(
        arguments.data, arguments.cache, corpora=arguments.corpora, jobs=arguments.jobs
    )
    report = inventory(prepared)
    show(report, Console())
    write(report, arguments.report or arguments.cache / "report.json")
