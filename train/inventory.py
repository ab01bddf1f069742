"""What preparing found: counts, missing files, drops and oddities, for people and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rt_ser.types import FRAME_SAMPLES, RATE_HZ
from rt_ser.whole import write_text_whole
from train.cache import FeatureStore
from train.corpora import LABELS, Clip
from train.prepare import UNLABELLED, Prepared

_SHOWN = 12
_CLIPPED_SHARE = 1e-4
"""A recording counts as clipped when more than one sample in ten thousand is."""


def inventory(prepared: Prepared) -> dict[str, Any]:
    """Collect the report as plain values, fit for JSON."""
    measured = prepared.measured()
    corpora = sorted({clip.corpus for clip in prepared.clips})
    kinds = [kind for kind in UNLABELLED if kind in prepared.stores]
    return {
        "corpora": {name: _corpus(prepared, name) for name in corpora},
        "unlabelled": {name: _lengths(prepared.stores[name]) for name in kinds},
        "dropped": dict(sorted(prepared.dropped.items())),
        "missing": list(prepared.missing),
        "no_speech_found": [
            clip.key for clip, features in prepared.features() if not len(features.spans)
        ],
        "clipped": [
            clip.key for clip in prepared.clips if measured[clip.key].clipped > _CLIPPED_SHARE
        ],
    }


def _corpus(prepared: Prepared, name: str) -> dict[str, Any]:
    clips = [clip for clip in prepared.clips if clip.corpus == name]
    emotions = Counter(clip.emotion for clip in clips)
    return {
        "clips": len(clips),
        "emotions": {label: emotions[label] for label in LABELS if emotions[label]},
        "speakers": dict(sorted(Counter(clip.speaker for clip in clips).items())),
        "sexes": _people_by_sex(clips),
        "with_votes": sum(clip.votes is not None for clip in clips),
        **_lengths(prepared.stores[name]),
    }


def _people_by_sex(clips: list[Clip]) -> dict[str, int]:
    """Count speakers, not clips."""
    people = {clip.speaker: clip.sex for clip in clips}
    return dict(sorted(Counter(people.values()).items()))


def _lengths(store: FeatureStore) -> dict[str, Any]:
    """Sum the audio and, of it, what the voice-activity gate let through, in seconds."""
    return {
        "files": len(store),
        "audio_s": round(sum(item.samples for item in store.measured) / RATE_HZ, 1),
        "speech_s": round(float(store.speech.sum()) * FRAME_SAMPLES / RATE_HZ, 1),
    }


def write(report: dict[str, Any], path: Path) -> None:
    """Write the report as JSON; the file is whole at every moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_whole(path, json.dumps(report, indent=1) + "\n")


def show(report: dict[str, Any], console: Console) -> None:
    """Print the report: a table of counts, then what is odd, the longest lists cut short."""
    table = Table(title="clips ready for training")
    table.add_column("corpus")
    for heading in ("speakers", *LABELS, "clips", "minutes", "speech"):
        table.add_column(heading, justify="right")
    for name, corpus in report["corpora"].items():
        counts = [str(corpus["emotions"].get(label, "-")) for label in LABELS]
        people = ", ".join(f"{count} {sex[0]}" for sex, count in corpus["sexes"].items())
        table.add_row(name, people, *counts, str(corpus["clips"]), *_minutes(corpus))
    for name, kind in report["unlabelled"].items():
        table.add_row(name, "", *("" for _ in LABELS), str(kind["files"]), *_minutes(kind))
    console.print(table)
    for key, reason in report["dropped"].items():
        console.print(f"dropped {key}: {reason}", highlight=False)
    _list(console, "missing", report["missing"])
    _list(console, "no speech found in", report["no_speech_found"])
    _list(console, "clipped", report["clipped"])


def _minutes(lengths: dict[str, Any]) -> tuple[str, str]:
    share = lengths["speech_s"] / lengths["audio_s"] if lengths["audio_s"] else 0.0
    return f"{lengths['audio_s'] / 60:.1f}", f"{share:.0%}"


def _list(console: Console, what: str, keys: list[str]) -> None:
    if keys:
        more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
        console.print(f"{what} ({len(keys)}): {', '.join(keys[:_SHOWN])}{more}", highlight=False)
