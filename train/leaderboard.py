"""Every experiment that was kept, so that what was tried is not tried again."""

from __future__ import annotations

import argparse
import csv
import subprocess
from pathlib import Path
from typing import Any

from rt_ser.errors import InputError
from rt_ser.whole import written_whole

TABLE = Path(__file__).with_name("leaderboard.csv")
COLUMNS = (
    "recipe", "seed", "commit", "protocol", "corpus", "clips",
    "uar", "low", "high", "accuracy", "macro_f1", "ece", "size_bytes",
)  # fmt: skip


def rows_of(
    figures: dict[str, Any], *, recipe: str, seed: str, commit: str
) -> list[dict[str, Any]]:
    """Return one row per corpus of an evaluation's figures."""
    return [
        {
            "recipe": recipe,
            "seed": seed,
            "commit": commit,
            "protocol": figures["split"],
            "corpus": corpus,
            "clips": card["clips"],
            "uar": card["uar"],
            "low": card["uar_interval"][0],
            "high": card["uar_interval"][1],
            "accuracy": card["accuracy"],
            "macro_f1": card["macro_f1"],
            "ece": card["calibration_error"],
            "size_bytes": figures["size_bytes"],
        }
        for corpus, card in figures["corpora"].items()
    ]


def keep(figures: dict[str, Any], name: str, table: Path = TABLE) -> None:
    """Add an evaluation to the table under ``"recipe:seed"``.

    It takes the place of an earlier one by the same recipe, seed, protocol and corpus. The
    file is whole at every moment.

    Raises
    ------
    InputError
        If the file is no such table.
    """
    recipe, _, seed = name.partition(":")
    added = rows_of(figures, recipe=recipe, seed=seed, commit=_commit())
    judged = {_subject(row) for row in added}
    rows = [row for row in _rows(table) if _subject(row) not in judged] + added
    with written_whole(table) as draft, draft.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _subject(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in ("recipe", "seed", "protocol", "corpus"))


def _rows(table: Path) -> list[dict[str, Any]]:
    if not table.exists():
        return []
    try:
        with table.open(newline="", encoding="utf-8") as lines:
            reader = csv.DictReader(lines)
            names, rows = reader.fieldnames, list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{table}: cannot be read ({error}): give a {TABLE.name}") from None
    if list(names or ()) != list(COLUMNS):
        raise InputError(f"{table}: its columns are not {', '.join(COLUMNS)}: give a {TABLE.name}")
    for number, row in enumerate(rows, start=1):
        if not _is_whole(row):
            raise InputError(f"{table}: row {number} is damaged: mend it, or get the file again")
    return rows


def _is_whole(row: dict[str, Any]) -> bool:
    """Tell whether a row has every cell and no more, and numbers where they belong."""
    if set(row) != set(COLUMNS) or None in row.values():
        return False
    try:
        uar, *_ = [_number(row[name]) for name in ("uar", "low", "high", "accuracy", "ece")]
    except ValueError:
        return False
    return uar is not None and row["size_bytes"].isdecimal()


def read(table: Path = TABLE) -> list[dict[str, str]]:
    """Return all rows, the best of each protocol and corpus first; none if nothing was kept."""
    rows = _rows(table)
    return sorted(rows, key=lambda row: (row["protocol"], row["corpus"], -float(row["uar"])))


def _commit() -> str:
    """Return the short hash of the checkout, or ``unknown`` outside of one."""
    command = ["git", "-C", str(TABLE.parent), "rev-parse", "--short", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``python -m train leaderboard``."""
    parser.add_argument(
        "--table",
        type=Path,
        default=TABLE,
        metavar="FILE",
        help=f"default: {TABLE.name} beside the code",
    )
    parser.add_argument("--protocol", help="only those of this split, as in first or joint")


def run(arguments: argparse.Namespace) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    from train.tables import percent

    rows = [row for row in read(arguments.table) if _is_of(row["protocol"], arguments.protocol)]
    if not rows:
        print("nothing kept yet: python -m train evaluate --keep adds to this table")
        return
    table = Table(title="experiments kept, best first, in %")
    for name in ("protocol", "corpus", "recipe", "seed", "commit"):
        table.add_column(name)
    for name in ("clips", "UAR", "95 % by speaker", "WA", "ECE", "kB"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            *(row[name] for name in ("protocol", "corpus", "recipe", "seed", "commit", "clips")),
            percent(_number(row["uar"])),
            f"{percent(_number(row['low']))} to {percent(_number(row['high']))}",
            percent(_number(row["accuracy"])),
            percent(_number(row["ece"])),
            f"{int(row['size_bytes']) / 1000:.0f}",
        )
    Console().print(table)


def _is_of(fold: str, protocol: str | None) -> bool:
    """Tell whether a fold, as in ``joint:1``, is the one asked for or one of its protocol."""
    return protocol is None or protocol in (fold, fold.partition(":")[0])


def _number(cell: str) -> float | None:
    return float(cell) if cell else None
