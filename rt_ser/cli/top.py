"""``rt-ser`` without a command: help, version, or advice on a misspelt command."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from rt_ser.cli import COMMANDS
from rt_ser.cli.common import Parser, UsageError

EPILOG = """\
`rt-ser COMMAND --help` tells a command's options.

examples:
  rt-ser listen                     watch the default microphone
  rt-ser replay talk.wav            watch a recording, as fast as it was spoken
  rt-ser replay *.wav --csv out.csv --speed max
  rt-ser listen --jsonl | jq .label
"""


def run(arguments: Sequence[str]) -> int:
    """Print help or the version, or refuse an unknown command."""
    first = arguments[0] if arguments else ""
    if first and not first.startswith("-"):
        near = get_close_matches(first, COMMANDS, n=1, cutoff=0.5)
        advice = f"did you mean {near[0]}?" if near else "there are " + ", ".join(COMMANDS)
        raise UsageError(f"unknown command {first!r}: {advice}")
    parser = _parser()
    parser.parse_args(arguments)
    parser.print_help()
    return 0


def _parser() -> Parser:
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:{width}}  {does}" for name, does in COMMANDS.items())
    parser = Parser(
        prog="rt-ser",
        usage="rt-ser COMMAND [options]",
        description="Speech emotion recognition in real time.\n\ncommands:\n" + listing,
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"rt-ser {_version()}")
    parser.add_argument("--debug", action="store_true", help="show a traceback when it fails")
    return parser


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("rt-ser")
    except PackageNotFoundError:
        return "(not installed)"
