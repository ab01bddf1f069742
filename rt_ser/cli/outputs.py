"""The options that say where results go, and what they lead to."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from rt_ser.cli.common import Parser, UsageError

if TYPE_CHECKING:
    from rt_ser.outputs.sink import Sink

STDOUT = "-"
HEADERLESS = {".raw", ".pcm"}
RECORDINGS = HEADERLESS | {
    ".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf",
    ".m4a", ".aac", ".wma", ".mp4", ".mkv", ".webm",
}  # fmt: skip
"""How a recording's name ends, so that nothing is ever written to one."""


def add_outputs(parser: Parser) -> None:
    """Add ``--jsonl``, ``--csv``, ``--quiet`` and ``--no-color``."""
    group = parser.add_argument_group("output")
    for flag, what in (
        ("--jsonl", "write every event as a line of JSON"),
        ("--csv", "write every estimate as a row of a table"),
    ):
        group.add_argument(
            flag,
            nargs="?",
            const=STDOUT,
            metavar="PATH",
            help=f"{what}, to PATH or, without one, to standard output, which then shows "
            "nothing else",
        )
    group.add_argument("--quiet", action="store_true", help="show nothing but errors")
    group.add_argument(
        "--no-color", action="store_true", help="draw without colour, as NO_COLOR does"
    )


def separate(arguments: Sequence[str]) -> list[str]:
    """Keep ``--jsonl talk.wav`` from taking a recording for the file to write.

    Both options take a path or none, so a recording right after one would be swallowed,
    and overwritten. A word that ends like a recording is never an output.
    """
    words = list(arguments)
    for place, (word, following) in enumerate(pairwise(arguments)):
        is_input = Path(following).suffix.lower() in RECORDINGS
        if is_input and word in ("--jsonl", "--csv"):
            words[place] = f"{word}={STDOUT}"
    return words


def check_outputs(options: argparse.Namespace, inputs: Iterable[str] = ()) -> None:
    """Refuse outputs that would collide with each other or with an input."""
    if options.jsonl and options.jsonl == options.csv:
        where = "standard output" if options.jsonl == STDOUT else repr(options.jsonl)
        raise UsageError(f"--jsonl and --csv would both write to {where}: give one of them a path")
    for flag, path in (("--jsonl", options.jsonl), ("--csv", options.csv)):
        if path is None or path == STDOUT:
            continue
        if not path:
            raise UsageError(f"{flag} has an empty path: give one, or {STDOUT} for standard output")
        if Path(path).suffix.lower() in RECORDINGS or any(_is_same(path, one) for one in inputs):
            raise UsageError(f"{flag} would overwrite the recording {path!r}: give another path")


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
    from rt_ser.outputs.csv import CsvSink
    from rt_ser.outputs.events import estimate_columns
    from rt_ser.outputs.jsonl import JsonlSink

    sinks: list[Sink] = []
    if options.jsonl:
        sinks.append(JsonlSink(options.jsonl))
    if options.csv:
        sinks.append(CsvSink(options.csv, columns=estimate_columns(labels, live=live)))
    return sinks
