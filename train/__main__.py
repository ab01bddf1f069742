"""``python -m train COMMAND``: each command is a module with ``add_arguments`` and ``run``.

Only the chosen command's module is imported, so that help is quick and ``prepare``
works without TensorFlow.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from rt_ser.errors import ConfigError, RtSerError

COMMANDS = {
    "prepare": "find the corpora, compute and cache their features, report what is odd",
    "fit": "train networks by recipes, each without a split's test speakers",
    "export": "make the int8 TFLite file and its manifest from a trained network",
    "evaluate": "score an int8 file through the live pipeline on a split's test speakers",
    "robustness": "measure noise, level, telephone and room, and emotions where nobody speaks",
    "enrollment": "measure what a few seconds of a person's ordinary speech are worth",
    "baselines": "measure the usual features, classifiers and mistakes, to compare with",
    "report": "write docs/results.md, its plots, and the tables in README and model cards",
    "leaderboard": "print every experiment that was kept",
}


def _overview() -> argparse.ArgumentParser:
    lines = "\n".join(f"  {name:<12} {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m train",
        description="Train, export and measure the models of rt-ser.",
        epilog=f"commands:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=tuple(COMMANDS), metavar="COMMAND")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="see COMMAND --help")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 wrong usage, others by error."""
    chosen = _overview().parse_args(argv)
    parser = argparse.ArgumentParser(
        prog=f"python -m train {chosen.command}", description=f"{COMMANDS[chosen.command]}."
    )
    try:
        module = importlib.import_module(f"train.{chosen.command}")
        module.add_arguments(parser)
        module.run(parser.parse_args(chosen.arguments))
    except RtSerError as error:
        print(f"train: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        package = str(error.name).split(".")[0]
        if package in ("rt_ser", "train"):
            raise
        print(f"train: {package} is not installed: pip install -e '.[train]'", file=sys.stderr)
        return ConfigError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
