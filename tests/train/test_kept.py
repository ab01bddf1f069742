"""What is committed of measurements: whole at every moment, refused in one line where it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rt_ser.errors import InputError
from train import inventory, kept, leaderboard
from train.__main__ import main

CARD: dict[str, Any] = {
    "clips": 3, "uar": 0.5, "uar_interval": [None, None], "accuracy": 0.5, "macro_f1": 0.5,
    "calibration_error": 0.1,
}  # fmt: skip
FIGURES: dict[str, Any] = {
    "model": "tiny.tflite", "recipe": "tiny", "seed": 0, "split": "first:1", "size_bytes": 4,
    "corpora": {"cremad": CARD},
}  # fmt: skip


class Unwritable:
    """Nothing that JSON or CSV could hold."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


def test_a_stop_in_the_middle_leaves_what_was_there(tmp_path: Path) -> None:
    table, report = tmp_path / "board.csv", tmp_path / "report.json"
    path = kept.keep(FIGURES, tmp_path)
    leaderboard.keep(FIGURES, "tiny:0", table)
    inventory.write({"corpora": {}}, report)
    before = {item: item.read_bytes() for item in tmp_path.iterdir()}
    assert set(before) == {path, table, report}
    with pytest.raises(TypeError):
        kept.keep({**FIGURES, "size_bytes": Unwritable()}, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        leaderboard.keep({**FIGURES, "size_bytes": Unwritable()}, "tiny:1", table)
    with pytest.raises(TypeError):
        inventory.write({"corpora": Unwritable()}, report)
    assert {item: item.read_bytes() for item in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b'{"conditions": ', "no whole JSON"),
        (b"", "no whole JSON"),
        (b"\xff\xfe", "no whole JSON"),
        (b"[1, 2]", "no figures by name"),
        (b"{}", "says not what was measured"),
        (b'{"conditions": [], "recipe": "a"}', "says not what was measured"),
        (b'{"conditions": [], "recipe": "a", "split": 3}', "says not what was measured"),
    ],
)
def test_a_damaged_measurement_is_named(tmp_path: Path, content: bytes, wrong: str) -> None:
    for name in ("a-robustness.json", "robustness.json"):
        (tmp_path / name).write_bytes(content)
    for read in (lambda: kept.read(kept.ROBUSTNESS, tmp_path), lambda: kept.keep_all_of(tmp_path)):
        with pytest.raises(InputError, match=rf"robustness\.json: {wrong}.*: measure") as caught:
            read()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"a,b\n1,2\n", "its columns are not recipe, seed, "),
        (b"", "its columns are not recipe, seed, "),
        (b"\xff\xfe\x00", "cannot be read "),
        (",".join(leaderboard.COLUMNS).encode() + b"\ntiny,0\n", "row 1 is damaged"),
        (
            ",".join(leaderboard.COLUMNS).encode() + b"\ntiny,0,x,first:1,cremad,3,?,,,,,,4\n",
            "row 1 is damaged",
        ),
    ],
)
def test_what_is_no_leaderboard_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, wrong: str
) -> None:
    table = tmp_path / "board.csv"
    table.write_bytes(content)
    assert main(["leaderboard", "--table", str(table)]) == InputError.exit_code
    told = capsys.readouterr().err
    assert told.startswith(f"train: {table}: {wrong}")
    assert told.count("\n") == 1
    with pytest.raises(InputError):
        leaderboard.keep(FIGURES, "tiny:0", table)
    assert table.read_bytes() == content


def test_the_table_of_the_repository_can_be_read() -> None:
    assert len(leaderboard.read()) > 100
