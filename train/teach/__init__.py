"""A teacher for the small network: a large encoder that has heard far more voices.

``python -m train teach`` lets a frozen encoder listen to every clip once and keeps what
it makes of them; :mod:`train.teach.lessons` turns that, and the labels of the speakers
that may be trained on, into what the network is asked to imitate.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from train.arguments import add_data_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``python -m train teach``."""
    add_data_arguments(parser)
    parser.add_argument(
        "--weights",
        type=Path,
        required=True,
        metavar="FILE",
        help="Whisper base as CTranslate2 keeps it (model.bin of Systran/faster-whisper-base)",
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes that listen (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Let the encoder hear every clip, unless the cache tells already."""
    from train.prepare import prepare
    from train.teach.heard import listen

    prepared = prepare(arguments.data, arguments.cache)
    path = listen(prepared, arguments.weights, arguments.cache, jobs=arguments.jobs)
    print(f"wrote {path}")
