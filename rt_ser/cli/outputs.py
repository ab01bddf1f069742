"""The options that say where results go, and what they lead to."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from rt_ser.cli.common import Parser, UsageError
from rt_ser.cli.targets import holds_a_table, holds_no_text, is_named_like_a_recording

if TYPE_CHECKING:
    from rt_ser.outputs.sink import Sink

STDOUT = "-"

RECORDS = {
    "jsonl": "write every event as a line of JSON",
    "csv": "write every estimate as a row of a table",
}
"""Outputs that go to a file or to standard output."""

FILES = {
    "parquet": "write every estimate into a Parquet table (pip install 'rt-ser[parquet]')",
    "webvtt": "write every utterance as a WebVTT caption",
    "audacity": "write every utterance as a label of an Audacity track",
    "emotionml": "write every utterance into an EmotionML 1.0 document",
}
"""Outputs of a recording that go to a file."""

NETWORKS = {
    "mqtt": (
        "mqtt[s]://[USER@]HOST[:PORT][/NODE]",
        "publish every event, with discovery by Home Assistant; the password comes from "
        "MQTT_PASSWORD (pip install 'rt-ser[mqtt]')",
    ),
    "wyoming": (
        "tcp://HOST:PORT",
        "send every event as a Wyoming user-event; or to unix:///PATH "
        "(pip install 'rt-ser[wyoming]')",
    ),
}
"""Outputs that go over a network: what an address looks like, and what they do."""


def add_outputs(parser: Parser, *, recordings: bool) -> None:
    """Add ``--jsonl`` and the like; those of ``FILES`` where it is about recordings."""
    group = parser.add_argument_group("output")
    for name, what in RECORDS.items():
        group.add_argument(
            f"--{name}",
            nargs="?",
            const=STDOUT,
            metavar="PATH",
            help=f"{what}, to PATH or, without one, to standard output, which then shows "
            "nothing else",
        )
    for name, what in FILES.items() if recordings else ():
        group.add_argument(f"--{name}", metavar="PATH", help=what)
    for name, (address, what) in NETWORKS.items():
        group.add_argument(f"--{name}", metavar=address, help=what)
    group.add_argument(
        "--quiet",
        action="store_true",
        help="show no estimates; what goes wrong is told on standard error as ever, see "
        "--log-level",
    )
    group.add_argument(
        "--no-color", action="store_true", help="draw without colour, as NO_COLOR does"
    )


def separate(arguments: Sequence[str]) -> list[str]:
    """Keep ``--jsonl talk.wav`` from taking a recording for the file to write.

    Both options take a path or none, so a recording right after one would be swallowed,
    and overwritten. A word that ends like a recording is never an output, nor is a file that
    is there and holds no text.
    """
    words = list(arguments)
    for place, (word, following) in enumerate(pairwise(arguments)):
        if word not in ("--jsonl", "--csv"):
            continue
        if is_named_like_a_recording(following) or holds_no_text(following):
            words[place] = f"{word}={STDOUT}"
    return words


def check_outputs(options: argparse.Namespace, inputs: Sequence[str] = ()) -> None:
    """Refuse outputs that would collide with each other or with an input."""
    taken: dict[str, str] = {}
    for name in (*RECORDS, *FILES):
        path = getattr(options, name, None)
        if path is None:
            continue
        flag = f"--{name}"
        _check_path(flag, path, inputs)
        place = path if path == STDOUT else os.path.realpath(path)
        if place in taken:
            where = "standard output" if path == STDOUT else repr(path)
            raise UsageError(
                f"{taken[place]} and {flag} would both write to {where}: give one of them a path"
            )
        taken[place] = flag
    for name in ("webvtt", "audacity"):
        if getattr(options, name, None) is not None and len(inputs) > 1:
            raise UsageError(f"--{name} is about one recording: give one, not {len(inputs)}")


def _check_path(flag: str, path: str, inputs: Iterable[str]) -> None:
    if path == STDOUT and flag[2:] in RECORDS:
        return
    if not path:
        choice = f", or {STDOUT} for standard output" if flag[2:] in RECORDS else ""
        raise UsageError(f"{flag} has an empty path: give one{choice}")
    if path == STDOUT:
        raise UsageError(f"{flag} needs a file: give a path")
    if is_named_like_a_recording(path) or any(_is_same(path, one) for one in inputs):
        raise UsageError(f"{flag} would overwrite the recording {path!r}: give another path")
    if holds_no_text(path) and not (flag == "--parquet" and holds_a_table(path)):
        raise UsageError(f"{flag} would overwrite {path!r}, which holds no text: give another path")


def _is_same(path: str, other: str) -> bool:
    try:
        return Path(path).samefile(other)
    except (OSError, ValueError):
        return False


def uses_stdout(options: argparse.Namespace) -> bool:
    """Whether records go to standard output, which then belongs to them alone."""
    return STDOUT in (options.jsonl, options.csv)


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def open_sinks(options: argparse.Namespace, labels: tuple[str, ...], *, live: bool) -> list[Sink]:
    """Open what was asked for. Raises OutputError before any audio is touched."""
    sinks: list[Sink] = []
    try:
        for name, make in _makers(labels, live=live).items():
            target = getattr(options, name, None)
            if target:
                sinks.append(make(target))
    except BaseException:
        for sink in sinks:
            sink.close()
        raise
    return sinks


def _makers(labels: tuple[str, ...], *, live: bool) -> dict[str, Callable[[str], Sink]]:
    """Return how each output is made from its path or address; imports are left to them."""

    def csv(path: str) -> Sink:
        from rt_ser.outputs.csv import CsvSink
        from rt_ser.outputs.events import estimate_columns

        return CsvSink(path, columns=estimate_columns(labels, live=live))

    def jsonl(path: str) -> Sink:
        from rt_ser.outputs.jsonl import JsonlSink

        return JsonlSink(path)

    def parquet(path: str) -> Sink:
        from rt_ser.outputs.parquet import ParquetSink

        return ParquetSink(path, labels=labels, live=live)

    def webvtt(path: str) -> Sink:
        from rt_ser.outputs.captions import WebVttSink

        return WebVttSink(path)

    def audacity(path: str) -> Sink:
        from rt_ser.outputs.captions import AudacitySink

        return AudacitySink(path)

    def emotionml(path: str) -> Sink:
        from rt_ser.outputs.emotionml import EmotionMlSink

        return EmotionMlSink(path, labels=labels)

    def mqtt(address: str) -> Sink:
        from rt_ser.outputs.mqtt import MqttSink

        return MqttSink(address, labels=labels)

    def wyoming(address: str) -> Sink:
        from rt_ser.outputs.wyoming import WyomingSink

        return WyomingSink(address)

    makers = (jsonl, csv, parquet, webvtt, audacity, emotionml, mqtt, wyoming)
    return {make.__name__: make for make in makers}
