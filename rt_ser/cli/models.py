"""``rt-ser models``: which models are installed, what they may be used for, how good they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rt_ser.cli.common import Parser, command_parser
from rt_ser.errors import ModelError

if TYPE_CHECKING:
    from rt_ser.manifest import Manifest

EPILOG = "`--model NAME`, or `--model FILE.tflite` for one's own, makes listen and replay use it."
MARGIN = 10


def parser() -> Parser:
    """Describe the command line."""
    command = command_parser(
        "models", "List models with size, licence and figures.", EPILOG, inputs="[MODEL ...]"
    )
    command.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="a name or the path of a .tflite file (default: all that are installed)",
    )
    return command


def run(arguments: Sequence[str]) -> int:
    """Print a card for each model; a damaged one is a ModelError once all are listed."""
    options = parser().parse_args(arguments)
    from rt_ser.model import find_manifest, installed_models
    from rt_ser.outputs.sink import STDOUT, LineWriter

    manifests = [find_manifest(name) for name in options.models] or list(installed_models())
    if not manifests:
        raise ModelError("no model is installed: install rt-ser again, or give a file's path")
    writer = LineWriter(STDOUT)
    faults = []
    for manifest in manifests:
        fault = check(manifest)
        for line in card(manifest, fault):
            writer.write_line(line)
        faults += [fault] if fault else []
    if faults:
        raise faults[0]
    return 0


def check(manifest: Manifest) -> ModelError | None:
    """Return what is wrong with a model's file, if anything is."""
    from rt_ser.manifest import read_model

    try:
        read_model(manifest)
    except ModelError as error:
        return error
    return None


def card(manifest: Manifest, fault: ModelError | None) -> Iterator[str]:
    """Yield the lines that describe a model."""
    from rt_ser.types import RATE_HZ

    size = f"{manifest.path.stat().st_size / 1000:.0f} kB" if manifest.path.is_file() else "no file"
    recipe = manifest.recipe
    yield f"{manifest.name}  {size}" + (f"  {manifest.summary}" if manifest.summary else "")
    yield from entry("licence", [manifest.licence])
    yield from entry("labels", [", ".join(manifest.labels)])
    window_s = recipe.window_samples / RATE_HZ
    yield from entry("features", [f"{recipe.name}, window {window_s:.2f} s"])
    yield from entry("figures", list(figures("", manifest.metrics)))
    named = {str(of.get("name", "?")): without_name(of) for of in manifest.data}
    yield from entry("data", list(figures("", named)))
    yield from entry("file", [f"{manifest.path} ({'DAMAGED' if fault else 'checksum right'})"])


def entry(title: str, lines: Sequence[str]) -> Iterator[str]:
    """Yield lines with a title before the first; none at all where there are no lines."""
    for number, line in enumerate(lines):
        yield f"  {title if number == 0 else '':{MARGIN}}{line}"


def figures(path: str, values: Mapping[str, object]) -> Iterator[str]:
    """Write a manifest's free-form tree, a line for every mapping in it that holds values."""
    told = [
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in values.items()
        if not isinstance(value, (Mapping, list))
    ]
    if told:
        yield f"{path}: {', '.join(told)}" if path else ", ".join(told)
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from figures(f"{path} {key}".strip(), value)


def without_name(values: Mapping[str, object]) -> dict[str, object]:
    """Return all entries but the name, which stands before them."""
    return {key: value for key, value in values.items() if key != "name"}
