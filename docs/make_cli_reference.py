"""Write docs/cli.md from the program's own parsers, so that it cannot drift from them.

    python docs/make_cli_reference.py

The tables are built from the parsers' actions rather than from ``--help``, whose layout
differs from one Python version to the next.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from rt_ser import cli

REFERENCE = Path(__file__).with_name("cli.md")
SETTINGS = "settings"
INTRODUCTION = """\
# The command line

Made by `make docs` from the program itself. `rt-ser COMMAND --help` says the same.
"""


def names(action: argparse.Action) -> str:
    """Return how an option is written, as in ``--device TEXT``."""
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    return ", ".join(f"`{name}{value}`" for name in action.option_strings)


def rows(actions: list[argparse.Action], formatter: argparse.HelpFormatter) -> Iterator[str]:
    """Yield one table row for each option that has something to say."""
    for action in actions:
        if not isinstance(action, argparse._HelpAction):
            said = formatter._expand_help(action) if action.help else ""
            yield f"| {names(action)} | {said} |"


def tables(parser: argparse.ArgumentParser, *, settings: bool) -> Iterator[str]:
    """Yield the parser's option groups as tables: the settings, or all the others."""
    formatter = parser._get_formatter()
    for group in parser._action_groups:
        table = list(rows(group._group_actions, formatter))
        if table and (group.title == SETTINGS) == settings:
            yield f"| {group.title} | |\n|---|---|"
            yield from table
            yield ""


def command_section(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the lines on one command."""
    yield f"\n## rt-ser {name}\n"
    yield f"{(parser.description or '').strip()}\n"
    yield from tables(parser, settings=False)
    if any(group.title == SETTINGS for group in parser._action_groups):
        yield "And every [setting](#settings) as a flag.\n"
    if parser.epilog:
        yield f"```\n{parser.epilog.strip()}\n```"


def settings_section(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the lines on the settings, which several commands take."""
    yield "\n## Settings\n"
    yield "Each is also a key of the settings file and a variable; `rt-ser config` shows which.\n"
    yield from tables(parser, settings=True)


def exit_codes() -> str:
    """Return the table of exit codes from the docstring of ``rt_ser.cli``."""
    table = (cli.__doc__ or "").split("====  ====")[1]
    cells = [line.split(None, 1) for line in table.splitlines() if line.strip(" =")]
    return "\n".join(f"| {code} | {meaning} |" for code, meaning in cells)


def reference() -> str:
    """Return the whole text of docs/cli.md."""
    parsers = {name: import_module(f"rt_ser.cli.{name}").parser() for name in cli.COMMANDS}
    sections = [line for name in parsers for line in command_section(name, parsers[name])]
    sections += settings_section(parsers["listen"])
    codes = f"\n## Exit codes\n\n| code | meaning |\n|---|---|\n{exit_codes()}\n"
    text = "\n".join([INTRODUCTION, *sections, codes])
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text


if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8")
