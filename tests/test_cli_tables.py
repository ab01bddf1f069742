"""What the program tells of itself: each setting with its origin, each model with its figures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from rt_ser.cli import main
from rt_ser.cli.common import table
from rt_ser.cli.models import card, figures
from rt_ser.model import find_manifest
from tests.isolation import isolate


def test_config_tells_where_each_value_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    isolate(monkeypatch, tmp_path)
    monkeypatch.delenv("RT_SER_MODEL_NAME", raising=False)
    monkeypatch.setenv("RT_SER_VAD_HANGOVER_S", "0.6")
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text('audio:\n  device: "USB: front"\n')
    assert main(["config", "--config", "my.yaml", "--vad-mode", "3"]) == 0
    text = capfd.readouterr().out
    told = {line.split(":")[0].strip(): line.split("# ")[-1] for line in text.splitlines()}
    assert told["# settings file"] == "settings file: my.yaml"
    assert told["device"] == "my.yaml line 2"
    assert told["hangover_s"] == "RT_SER_VAD_HANGOVER_S"
    assert told["mode"] == "--vad-mode"
    assert told["onset_frames"] == "default"
    tree = yaml.safe_load(text)
    assert (tree["audio"]["device"], tree["vad"]["mode"]) == ("USB: front", 3)
    Path("again.yaml").write_text(text)
    monkeypatch.delenv("RT_SER_VAD_HANGOVER_S")
    assert main(["config", "--config", "again.yaml"]) == 0
    assert yaml.safe_load(capfd.readouterr().out) == tree


def test_config_explains_every_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    isolate(monkeypatch, tmp_path)
    assert main(["config", "--explain"]) == 0
    lines = capfd.readouterr().out.splitlines()
    mode = next(line for line in lines if line.startswith("  mode:"))
    assert mode.endswith("# webrtcvad aggressiveness (a whole number from 0 to 3)")


def test_models_are_listed_with_licence_and_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    isolate(monkeypatch, tmp_path)
    name = os.environ.get("RT_SER_MODEL_NAME", "research")
    assert main(["models", name]) == 0
    text = capfd.readouterr().out
    for title in ("licence", "labels", "features", "figures", "data", "file"):
        assert f"\n  {title} " in text, title
    assert "checksum right" in text
    damaged = "\n".join(card(find_manifest(name), ValueError("damaged")))  # type: ignore[arg-type]
    assert "DAMAGED" in damaged


def test_figures_of_any_depth_are_told_on_lines_of_their_own() -> None:
    metrics = {
        "command": "python -m train evaluate",
        "corpora": {"RAVDESS": {"uar": 58.123456, "confusion": [[1]]}, "CREMA-D": {"uar": 64}},
    }
    assert list(figures("", metrics)) == [
        "command python -m train evaluate",
        "corpora RAVDESS: uar 58.1235",
        "corpora CREMA-D: uar 64",
    ]


def test_columns_of_a_table_line_up() -> None:
    assert table([("a", "bbb"), ("aa", "b")]) == ["a   bbb", "aa  b"]
