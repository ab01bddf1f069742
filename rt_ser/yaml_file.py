"""YAML from files that anybody may have written: bounded in bytes, depth and values."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

MAX_VALUES = 10_000
_MOST_LETTERS = 120

T = TypeVar("T")


def read_mapping(
    path: Path, *, most_bytes: int, kind: str, may_be_empty: bool = False
) -> dict[Any, Any]:
    """Read a file that holds one mapping of keys to plain values, or nothing if that is allowed.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        With file, line and what is wrong, where it is larger than ``most_bytes``, no text,
        no YAML, no mapping, or means more than ``MAX_VALUES`` values and so is no ``kind``.
    """
    tree, values = _parsed(path, _construct, most_bytes, kind)
    if values > MAX_VALUES:
        raise ValueError(f"{path}: over {MAX_VALUES} values: this is no {kind}")
    if tree is None and may_be_empty:
        return {}
    if not isinstance(tree, dict):
        raise ValueError(f"{path}: no mapping of keys to values")
    return tree


def read_nodes(path: Path, *, most_bytes: int, kind: str) -> yaml.Node | None:
    """Read a file into YAML nodes, which know their lines and construct no objects.

    Returns None for a file that holds nothing. Raises as :func:`read_mapping` does.
    """
    return _parsed(path, _compose, most_bytes, kind)


def unfolded(value: Any, known: dict[int, float] | None = None) -> float:
    """Count values with every alias written out: a few lines of YAML can mean a billion.

    ``known`` are the counts of what was met on the way, by identity.
    """
    known = {} if known is None else known
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = math.inf  # for as long as it may yet contain itself
        children = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(unfolded(child, known) for child in children)
    return known[id(value)]


class _Loader(yaml.SafeLoader):
    """Constructs plain values, and refuses merge keys: a few lines of them make a billion
    values before anybody can count.
    """

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Let everything be but a merge key."""
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                problem = "merge keys (<<) are not allowed: write out what they stand for"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
        super().flatten_mapping(node)


def _construct(text: str) -> tuple[Any, float]:
    """Return what a text means and how many values that are."""
    tree = yaml.load(text, _Loader)
    return tree, unfolded(tree)


def _compose(text: str) -> yaml.Node | None:
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _parsed(path: Path, parse: Callable[[str], T], most_bytes: int, kind: str) -> T:
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"{path}: over {most_bytes} bytes: this is no {kind}")
    try:
        return parse(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _no_yaml(f"{path} line {line}", error.problem) from None
    except RecursionError:
        raise ValueError(f"{path}: nested too deeply: this is no {kind}") from None
    # ValueError: a date that there never was, a number of more digits than are allowed
    except (yaml.YAMLError, ValueError) as error:
        raise _no_yaml(f"{path}", error) from None
    # what PyYAML trips over where a tag and its value disagree, such as !!bool maybe
    except (LookupError, AttributeError, ArithmeticError):
        raise _no_yaml(f"{path}", "a value is not what its tag (!!) says, or too large") from None


def _no_yaml(place: str, problem: object) -> ValueError:
    return ValueError(f"{place}: not valid YAML: {str(problem).splitlines()[0][:_MOST_LETTERS]}")
