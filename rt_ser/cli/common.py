"""What the commands share: the parser, one flag per setting, and messages to people."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import Field
from typing import TYPE_CHECKING, Any, NoReturn

from rt_ser.config import allowed_text, declarations
from rt_ser.errors import RtSerError

if TYPE_CHECKING:
    from rt_ser.settings_file import Loaded

SHORT_FLAGS = {
    "audio.device": "--device",
    "audio.channel": "--channel",
    "model.name": "--model",
    "model.voice": "--voice",
}
"""Settings that are given so often that they have a flag without the section's name."""


class UsageError(RtSerError):
    """The command line itself is wrong."""

    exit_code = 2


class Parser(argparse.ArgumentParser):
    """An argument parser that takes whole flag names only and errs in one line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options
        )

    def error(self, message: str) -> NoReturn:
        """Raise UsageError instead of printing the usage."""
        raise UsageError(f"{message}; see `{self.prog} --help`")

    def print_help(self, file: Any = None) -> None:
        """Print the help; a reader that leaves early, as a pager does, is no fault."""
        if file is not None:
            super().print_help(file)
            return
        from rt_ser.outputs.sink import STDOUT, LineWriter

        LineWriter(STDOUT).write_line(self.format_help().rstrip())


def tell(message: str) -> None:
    """Write one line to standard error, whatever a foreign name in it contains.

    Of words longer than 300 letters the middle is left out: what to do next comes after them.
    """
    if sys.stderr is not None:
        line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in message)
        line = re.sub(r"\S{301,}", lambda word: f"{word[0][:200]}...{word[0][-60:]}", line)
        print(f"rt-ser: {line}", file=sys.stderr, flush=True)


def command_parser(
    command: str, description: str, epilog: str | None = None, inputs: str = ""
) -> Parser:
    """Return a command's parser with the options that every command has."""
    prog = f"rt-ser {command}"
    usage = f"{prog} [options] {inputs}".rstrip()
    parser = Parser(prog=prog, usage=usage, description=description, epilog=epilog)
    parser.add_argument("--debug", action="store_true", help="show a traceback when it fails")
    return parser


def add_settings(parser: Parser) -> None:
    """Add ``--config`` and one flag for every setting."""
    group = parser.add_argument_group(
        "settings", "each also a key of the settings file and a variable, see `rt-ser config`"
    )
    group.add_argument("--config", metavar="FILE", help="the settings file to read")
    for path, spec in declarations().items():
        group.add_argument(*_flags(path), dest=path, metavar=_metavar(spec), help=_help(spec))
    group.add_argument(
        "--ascii", dest="ui.ascii", action="store_const", const="yes", help="same as --ui-ascii yes"
    )
    group.add_argument(
        "--device-fallback",
        dest="audio.device_fallback",
        action="store_const",
        const="yes",
        help="same as --audio-device-fallback yes",
    )


def _flags(path: str) -> list[str]:
    """Return a setting's flags, the shortest first."""
    whole = "--" + path.replace(".", "-").replace("_", "-")
    return [SHORT_FLAGS[path], whole] if path in SHORT_FLAGS else [whole]


def _metavar(spec: Field[Any]) -> str:
    if spec.metadata["choices"]:
        return "{" + ",".join(spec.metadata["choices"]) + "}"
    return "TEXT" if spec.default is None or isinstance(spec.default, str) else "VALUE"


def _help(spec: Field[Any]) -> str:
    default = spec.default
    if default is None:
        default = "none"
    elif isinstance(default, bool):
        default = "yes" if default else "no"
    allowed = "" if allowed_text(spec) == "text" else f"{allowed_text(spec)}; "
    return f"{spec.metadata['doc']} ({allowed}default {default})".replace("%", "%%")


def load_settings(options: argparse.Namespace) -> Loaded:
    """Build the settings from file, environment and the flags of a parsed command line."""
    from rt_ser.settings_file import Given, load

    given = vars(options)
    flags = [
        Given(path=path, text=given[path], origin=_flags(path)[0])
        for path in declarations()
        if given.get(path) is not None
    ]
    return load(file=options.config, environ=os.environ, flags=flags)


def positive(text: str) -> float:
    """Parse a number above 0, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: give a number above 0")
    return value


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align rows of text in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
