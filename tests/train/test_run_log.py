"""A run's log: rows that stay, rows that go, and events where TensorBoard is there."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from rt_ser.errors import ConfigError
from train.run_log import RunLog

HAS_TENSORBOARD = importlib.util.find_spec("tensorboard") is not None
ROWS = [{"epoch": n, "loss": 2.0 / n, "seconds": 1.5, "dev_uar": ""} for n in (1, 2, 3)]


def test_rows_are_read_back(tmp_path: Path) -> None:
    log = RunLog(tmp_path, 0)
    for row in ROWS:
        log.add(row)
    assert log.rows() == [{name: str(value) for name, value in row.items()} for row in ROWS]


def test_rows_after_the_checkpoint_go(tmp_path: Path) -> None:
    first = RunLog(tmp_path, 0)
    for row in ROWS:
        first.add(row)
    again = RunLog(tmp_path, 2)
    assert [row["epoch"] for row in again.rows()] == ["1", "2"]
    again.add(ROWS[2])
    assert again.rows() == [{name: str(value) for name, value in row.items()} for row in ROWS]


@pytest.mark.skipif(HAS_TENSORBOARD, reason="TensorBoard is installed: nothing to refuse")
def test_tensorboard_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--tensorboard: .* run pip install tensorboard$"):
        RunLog(tmp_path, 0, tensorboard=True)


@pytest.mark.skipif(not HAS_TENSORBOARD, reason="TensorBoard is not installed: it is optional")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_events_hold_the_numbers_of_each_epoch(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = RunLog(tmp_path, 0, tensorboard=True)
    for row in ROWS:
        log.add(row)
    events = EventAccumulator(str(tmp_path)).Reload()
    assert sorted(events.Tags()["scalars"]) == ["loss", "seconds"]
    found = [(item.step, item.value) for item in events.Scalars("loss")]
    assert found == [(row["epoch"], pytest.approx(row["loss"])) for row in ROWS]
