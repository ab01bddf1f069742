"""Every experiment that was kept, so that what was tried is not tried again."""

from __future__ import annotations

import argparse
import csv
import subprocess
from pathlib import Path
from typing import Any

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
    """Append an evaluation to the table under ``"recipe:seed"``."""
    recipe, _, seed = name.partition(":")
    is_new = not table.exists()
    with table.open("a", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows(rows_of(figures, recipe=recipe, seed=seed, commit=_commit()))


def read(table: Path = TABLE) -> list[dict[str, str]]:
    """Return all rows, the best of each protocol and corpus first; none if nothing was kept."""
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
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
        "--table", type=Path, default=TABLE, metavar="FILE", help="default: %(default)s"
    )
    parser.add_argument("--protocol", help="only those of this split, as in first or joint")


def run(arguments: argparse.Namespace) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="experiments kept, best first")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in COLUMNS[:5] else "right")
    for row in read(arguments.table):
        if not arguments.protocol or row["protocol"].startswith(arguments.protocol):
            table.add_row(*(row[name] for name in COLUMNS))
    Console().print(table)
