"""Command-line arguments that several commands share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--data`` and ``--cache``, which several commands share."""
    data = os.environ.get("RT_SER_DATA")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(data) if data else None,
        required=not data,
        metavar="DIR",
        help="folder that holds the corpora (default: $RT_SER_DATA)",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(".cache/train"),
        metavar="DIR",
        help="where features are kept (default: %(default)s)",
    )
