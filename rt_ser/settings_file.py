"""Where settings come from: flags over environment over one YAML file over defaults.

Every value remembers its origin, so that ``rt-ser config`` can say why it is what it
is, and so that a refusal names the file's line, the variable or the flag to change.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from rt_ser.config import Settings, build, declarations, parse, unknown_key
from rt_ser.errors import ConfigError
from rt_ser.yaml_file import read_nodes

MAX_FILE_BYTES = 65_536
PREFIX = "RT_SER_"
# Variables that share the prefix and are no settings: the file's place, and where the
# project's own tests find recordings.
OTHER_VARIABLES = ("RT_SER_CONFIG", "RT_SER_DATA")
TEST_PREFIX = "RT_SER_TEST_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One value as somebody wrote it: the key's path, the text and where it stands."""

    path: str
    text: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The effective tree, each key's origin, and the settings file that was looked for, if any."""

    settings: Settings
    origins: Mapping[str, str]
    file: Path | None
    file_found: bool


def user_config_file(environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    """Return where this platform keeps a user's settings file for rt-ser.

    Three lines by hand rather than one more dependency (platformdirs): XDG base
    directories on Linux and the BSDs, Application Support on macOS, APPDATA on Windows.
    """
    if platform == "win32":
        base = Path(environ.get("APPDATA") or _home(environ) / "AppData" / "Roaming")
    elif platform == "darwin":
        base = _home(environ) / "Library" / "Application Support"
    else:
        base = Path(environ.get("XDG_CONFIG_HOME") or _home(environ) / ".config")
    return base / "rt-ser" / "config.yaml"


def _home(environ: Mapping[str, str]) -> Path:
    """Return the user's home, the root where there is no such user, as containers have it."""
    told = environ.get("HOME") or environ.get("USERPROFILE")
    try:
        return Path(told) if told else Path.home()
    except RuntimeError:
        return Path("/")


def load(
    *,
    file: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Iterable[Given] = (),
) -> Loaded:
    """Read every source and build the effective settings.

    Parameters
    ----------
    file : str or Path, optional
        A settings file that must exist. Without it the variable ``RT_SER_CONFIG``
        names one, else the user's own file is read if it is there.
    environ : mapping, optional
        Environment to look in. Without one neither variables nor the user's own file
        are consulted: a program that embeds rt-ser is configured by its code alone.
    flags : iterable of Given
        What the command line says.

    Raises
    ------
    ConfigError
        For an unreadable or broken file, an unknown key, a wrong type, or a value out
        of range, whichever source it stands in and whether or not it is overridden.
    """
    wanted = file or (environ or {}).get("RT_SER_CONFIG") or None
    path = Path(wanted) if wanted else None
    if path is None and environ is not None:
        path = user_config_file(environ)
    # A Path's own is_file raises for a folder that may not be entered.
    found = path is not None and (bool(wanted) or os.path.isfile(path))
    layers = [
        *(read_file(path) if path is not None and found else ()),
        *from_environment(environ or {}),
        *flags,
    ]
    known = declarations()
    values = {given.path: _value(given) for given in layers}
    origins = dict.fromkeys(known, "default") | {given.path: given.origin for given in layers}
    return Loaded(settings=build(values), origins=origins, file=path, file_found=found)


def from_environment(environ: Mapping[str, str]) -> list[Given]:
    """Collect ``RT_SER_<SECTION>_<KEY>`` variables; an empty one counts as not set.

    Raises ConfigError for a variable with the prefix that names no key.
    """
    paths = {variable(path): path for path in declarations()}
    found = []
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name.startswith(TEST_PREFIX) or not text:
            continue
        if name in paths:
            found.append(Given(path=paths[name], text=text, origin=name))
        elif name not in OTHER_VARIABLES:
            raise ConfigError(unknown_key(name, paths).replace("key", "variable", 1))
    return found


def variable(path: str) -> str:
    """Name the environment variable of a key: ``vad.mode`` is ``RT_SER_VAD_MODE``."""
    return PREFIX + path.upper().replace(".", "_")


def read_file(path: Path) -> list[Given]:
    """Read a settings file's values with the line that each stands on.

    Raises ConfigError, with the line, for anything that is not a mapping of known
    sections to mappings of known keys to plain values, each given once.
    """
    root = _compose(path)
    if root is None:
        return []
    sections = {key.partition(".")[0] for key in declarations()}
    found: list[Given] = []
    for section, node, where in _items(root, "", sections, path):
        keys = {key for key in declarations() if key.startswith(f"{section}.")}
        for key, leaf, origin in _items(node, section, keys, path, where):
            if not isinstance(leaf, yaml.ScalarNode):
                kind = "a list" if isinstance(leaf, yaml.SequenceNode) else "a mapping"
                raise ConfigError(f"{origin}: {key} is {kind}: give one plain value")
            text = "" if leaf.tag == "tag:yaml.org,2002:null" else str(leaf.value)
            found.append(Given(path=key, text=text, origin=origin))
    return found


def _value(given: Given) -> object:
    """Parse one given value, naming its origin in what goes wrong."""
    try:
        return parse(given.path, given.text, declarations()[given.path])
    except ConfigError as error:
        raise ConfigError(f"{given.origin}: {error}") from None


def _compose(path: Path) -> yaml.Node | None:
    try:
        return read_nodes(path, most_bytes=MAX_FILE_BYTES, kind="settings file")
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"cannot read settings file {str(path)!r}: {reason}; "
            "see `rt-ser config` for where it is looked for"
        ) from None
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _items(
    node: yaml.Node, section: str, known: set[str], path: Path, where: str = ""
) -> list[tuple[str, yaml.Node, str]]:
    """List a mapping's known keys (whole path), values and places; refuse all else."""
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
        return []
    if not isinstance(node, yaml.MappingNode):
        what = f"{section} must hold" if section else "a settings file holds"
        example = "'mode: 2'" if section else "'vad:' and below it, indented, 'mode: 2'"
        place = where or f"{path} line {node.start_mark.line + 1}"
        raise ConfigError(f"{place}: {what} keys with values, such as {example}")
    found: dict[str, tuple[str, yaml.Node, str]] = {}
    for key_node, value in node.value:
        place = f"{path} line {key_node.start_mark.line + 1}"
        name = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "[...]"
        key = f"{section}.{name}" if section else name
        if key not in known:
            raise ConfigError(f"{place}: {unknown_key(key, sorted(known))}")
        if key in found:
            raise ConfigError(f"{place}: {key} is given twice: keep one")
        found[key] = (key, value, place)
    return list(found.values())
