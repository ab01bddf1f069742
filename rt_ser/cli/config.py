"""``rt-ser config``: the effective settings, as a settings file that says where from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from rt_ser.cli.common import Parser, add_settings, command_parser, load_settings, table
from rt_ser.config import allowed_text, declarations, sections

if TYPE_CHECKING:
    from rt_ser.settings_file import Loaded

EPILOG = """\
Flags win over variables (RT_SER_VAD_MODE=3), variables over the settings file, the file
over the defaults. The file is that of --config, else the one that RT_SER_CONFIG names, else
your own, whose place the first line tells. The output is itself a settings file:

  rt-ser config > my.yaml && rt-ser listen --config my.yaml
"""


def parser() -> Parser:
    """Describe the command line."""
    command = command_parser(
        "config", "Show the effective settings and where each comes from.", EPILOG
    )
    command.add_argument(
        "--explain", action="store_true", help="tell every key's meaning and range instead"
    )
    add_settings(command)
    return command


def run(arguments: Sequence[str]) -> int:
    """Print the tree as YAML with a comment after every value."""
    options = parser().parse_args(arguments)
    from rt_ser.outputs.sink import STDOUT, LineWriter

    loaded = load_settings(options)
    writer = LineWriter(STDOUT)
    for line in listing(loaded, explain=options.explain):
        writer.write_line(line)
    return 0


def listing(loaded: Loaded, *, explain: bool) -> Iterator[str]:
    """Yield the lines of the tree."""
    found = "" if loaded.file_found else " (not there)"
    yield f"# settings file: {loaded.file}{found}"
    specs = declarations()
    rows = []
    for section, values in sections(loaded.settings):
        for spec in fields(values):
            path = f"{section}.{spec.name}"
            meaning = f"{spec.metadata['doc']} ({allowed_text(specs[path])})"
            comment = meaning if explain else loaded.origins[path]
            rows.append((section, f"  {spec.name}: {plain(getattr(values, spec.name))}", comment))
    aligned = table([(text, f"# {comment}") for _, text, comment in rows])
    before = ""
    for (section, _, _), line in zip(rows, aligned, strict=True):
        if section != before:
            yield f"{section}:"
        before = section
        yield line


def plain(value: Any) -> str:
    """Write a value as YAML: text in double quotes, so that nothing in it is special."""
    if value is None:
        return '""'
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        import json

        return json.dumps(value)
    return str(value)
