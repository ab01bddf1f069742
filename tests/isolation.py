"""A home of its own for every command that a test runs, whatever the person's settings are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def environment(home: Path) -> dict[str, str]:
    """Return an environment without rt-ser's own variables, with an empty home.

    ``RT_SER_TEST_MODEL`` may name a model to run the tests with instead of the default.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RT_SER_") and name not in ("XDG_CONFIG_HOME", "NO_COLOR")
    }
    model = os.environ.get("RT_SER_TEST_MODEL")
    return kept | {"HOME": str(home)} | ({"RT_SER_MODEL_NAME": model} if model else {})


def isolate(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Give this process that environment for the length of a test."""
    wanted = environment(home)
    for name in set(os.environ) - set(wanted):
        monkeypatch.delenv(name)
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
