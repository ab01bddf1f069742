"""A run's log: one row an epoch as CSV, and for TensorBoard where that is asked for."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from rt_ser.errors import ConfigError
from rt_ser.whole import write_text_whole


class RunLog:
    """Appends to ``log.csv`` of a run.

    Parameters
    ----------
    run : Path
        Folder of the run.
    epochs : int
        Rows that stay: what a run that was killed had written after its checkpoint goes.
    tensorboard : bool
        Write event files into the folder as well.

    Raises
    ------
    ConfigError
        If TensorBoard is asked for and is not installed.
    """

    def __init__(self, run: Path, epochs: int, *, tensorboard: bool = False) -> None:
        self.path = run / "log.csv"
        if self.path.exists():
            lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
            write_text_whole(self.path, "".join(lines[: epochs + 1]))
        self._board = _board(run, epochs) if tensorboard else None

    def add(self, row: dict[str, Any]) -> None:
        """Append a row; ``epoch`` counts, and values that are no numbers are left out of events."""
        fresh = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, row)
            if fresh:
                writer.writeheader()
            writer.writerow(row)
        if self._board is not None:
            for name, value in row.items():
                if name != "epoch" and isinstance(value, (int, float)):
                    self._board.add_scalar(name, value, row["epoch"])
            self._board.flush()

    def rows(self) -> list[dict[str, str]]:
        """Read all rows back."""
        with self.path.open(encoding="utf-8") as file:
            return list(csv.DictReader(file))


def _board(run: Path, epochs: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(
            "--tensorboard: TensorBoard is not installed: run pip install tensorboard"
        ) from error
    return SummaryWriter(str(run), purge_step=epochs + 1)
