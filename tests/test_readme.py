"""What the documentation says can be done, can be done: commands, files, options, code."""

from __future__ import annotations

import argparse
import re
import runpy
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rt_ser import cli, errors
from rt_ser.types import F32

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, *languages: str) -> Iterator[str]:
    """Yield the fenced blocks of a page that are in one of the languages."""
    for language, content in FENCE.findall(page(name)):
        if language in languages:
            yield content


def shell_lines() -> list[str]:
    """Return every command line in the README, without its comment."""
    lines = "\n".join(blocks("README.md", "sh", "powershell")).splitlines()
    return [re.split(r"\s#\s", line)[0].strip() for line in lines if line.strip()]


def calls(program: str) -> list[list[str]]:
    """Return the arguments of every call of a program in the README, pipes cut off."""
    found = []
    for line in shell_lines():
        for part in line.replace("\\", "/").split("|"):
            words = shlex.split(part)
            if words and words[0].split("/")[-1] == program:
                found.append(words[1:])
    return found


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*##", page("Makefile"), re.MULTILINE))


@pytest.mark.parametrize("name", [*PAGES, ".ci/run"])
def test_every_make_target_that_is_named_exists(name: str) -> None:
    code = re.findall(r"`make ([a-z-]+)", page(name))
    lines = re.findall(r"^make ([a-z-]+)", page(name), re.MULTILINE)
    assert {*code, *lines} <= make_targets()


def test_every_make_target_is_phony() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", page("Makefile"), re.MULTILINE)
    assert make_targets() <= set(phony.split())


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_is_linked_or_named_exists(name: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page(name))
    folders = r"\.ci|rt_ser|train|models|tests|docs|benchmarks"
    quoted = re.findall(rf"`((?:{folders})/[\w./-]*)`", page(name))
    missing = [path for path in [*links, *quoted] if not (ROOT / path).exists()]
    assert missing == []


def test_every_module_is_in_the_table_of_the_code() -> None:
    table = page("README.md").partition("## Code structure")[2].partition("\n## ")[0]
    modules = [path.name for path in (ROOT / "rt_ser").glob("[!_]*.py")]
    assert [name for name in modules if f"`rt_ser/{name}`" not in table] == []


def test_every_exit_code_and_the_variable_of_the_settings_file_are_told() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    codes = {one.exit_code for one in classes if issubclass(one, errors.RtSerError)}
    told = set(map(int, re.findall(r"^\| (\d+) \| ", page("docs/cli.md"), re.MULTILINE)))
    assert codes | {0, cli.INTERRUPTED, cli.FAULT} <= told
    for name in ("README.md", "docs/cli.md"):
        assert "RT_SER_CONFIG" in page(name)


def test_every_section_that_is_linked_exists() -> None:
    headings = re.findall(r"^#+ (.*)$", page("README.md"), re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([\w-]+)\)", page("README.md"))) <= anchors


@pytest.mark.parametrize("arguments", calls("rt-ser"), ids=" ".join)
def test_every_rt_ser_command_is_understood(arguments: list[str]) -> None:
    command, *options = arguments
    assert command in cli.COMMANDS
    module = import_module(f"rt_ser.cli.{command}")
    module.parser().parse_intermixed_args(options)


def training_calls() -> list[list[str]]:
    return [words[2:] for words in calls("python") if words[:2] == ["-m", "train"]]


def test_every_training_step_exists_and_stands_in_order() -> None:
    from train.__main__ import COMMANDS

    steps = [step for step, *_ in training_calls()]
    assert steps == [
        "prepare", "fit", "export", "evaluate", "robustness", "enrollment", "report",
        "leaderboard",
    ]  # fmt: skip
    assert set(steps) <= set(COMMANDS)


@pytest.mark.parametrize("arguments", training_calls(), ids=" ".join)
def test_every_training_command_is_understood(arguments: list[str], tensorflow: Any) -> None:
    step, *options = arguments
    parser = argparse.ArgumentParser(exit_on_error=False)
    import_module(f"train.{step}").add_arguments(parser)
    parser.parse_args(options)


def test_the_command_line_reference_is_up_to_date() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "make_cli_reference.py"))["reference"]()
    assert page("docs/cli.md") == made, "write it anew: make docs"


def python_blocks() -> list[str]:
    return list(blocks("README.md", "python"))


def test_the_iterator_example_names_what_exists() -> None:
    import rt_ser

    examples = [block for block in python_blocks() if "rt_ser.listen" in block]
    assert len(examples) == 2
    for example in examples:
        compile(example, "README.md", "exec")
        names = re.findall(r"rt_ser\.(\w+)", example)
        assert [name for name in names if not hasattr(rt_ser, name)] == []


def test_the_push_example_runs(demo_samples: F32) -> None:
    """The README's own lines, fed the bundled recording in uneven blocks."""
    (example,) = [block for block in python_blocks() if "Analyzer" in block]
    heard: list[tuple[Any, ...]] = []
    robot = SimpleNamespace(react=lambda *what: heard.append(what))
    uneven = np.cumsum(np.tile([160, 4_000, 333, 48_000], 10))
    scope = {"robot": robot, "blocks": np.split(demo_samples, uneven[uneven < len(demo_samples)])}
    exec(compile(example, "README.md", "exec"), scope)
    analyzer: Any = scope["analyzer"]
    labels = analyzer.labels
    assert analyzer.summary().utterances >= 4
    assert all(
        label in labels and abs(valence) <= 1.0 and abs(arousal) <= 1.0
        for label, valence, arousal in heard
    )


def test_the_settings_example_is_accepted(tmp_path: Path) -> None:
    from rt_ser.settings_file import load

    (example,) = blocks("README.md", "yaml")
    file = tmp_path / "config.yaml"
    file.write_text(example, encoding="utf-8")
    assert load(file=file).settings.vad.hangover_s == 0.6


def test_the_licence_and_the_law_are_named() -> None:
    readme = page("README.md")
    assert "non-commercial use only" in readme
    assert "Art. 5(1)(f)" in readme
    assert "shows the machinery, not the accuracy" in readme


def test_every_block_on_embedding_is_python_and_names_what_exists() -> None:
    import rt_ser

    for block in blocks("docs/embedding.md", "python"):
        compile(block, "docs/embedding.md", "exec")
        names = re.findall(r"rt_ser\.(\w+)", block)
        assert [name for name in names if not hasattr(rt_ser, name)] == []


def test_links_of_the_page_on_embedding_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", page("docs/embedding.md"))
    assert targets
    assert [name for name in targets if not (ROOT / "docs" / name).exists()] == []
