"""Systems to compare with: the usual features, classifiers and mistakes.

``python -m train baselines`` measures them on the same speaker-independent folds as our
own models, through no pipeline: they see each clip as a whole.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rt_ser.errors import ConfigError
from train.arguments import add_data_arguments

PLANS: dict[str, tuple[str, ...]] = {
    "egemaps-svm": ("ravdess_folds", "cremad_tfds", "cremad_5fold"),
    "compare-svm": ("ravdess_folds", "cremad_tfds", "cremad_5fold"),
    "tutorial-cnn": ("random", "ravdess_folds", "cremad_tfds", "cremad_5fold"),
}
"""What each system is measured on."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``python -m train baselines``."""
    from train.baselines.experiments import TABLE

    protocols = sorted({name for plan in PLANS.values() for name in plan})
    add_data_arguments(parser)
    parser.add_argument(
        "--system", choices=tuple(PLANS), action="append", help="only this one (default: all)"
    )
    parser.add_argument(
        "--protocol", choices=protocols, action="append", help="only this one (default: all)"
    )
    parser.add_argument(
        "--table", type=Path, default=TABLE, metavar="FILE", help="default: results.csv, committed"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes for features (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Measure the systems that are asked for, keeping each result as soon as it is there.

    Raises
    ------
    ConfigError
        If none of them is measured by any of the protocols that are asked for.
    """
    from train.baselines.experiments import keep, measure

    # Always in this order: openSMILE aborts in a process that has loaded TensorFlow.
    wanted = [
        (system, protocol)
        for system, plan in PLANS.items()
        for protocol in plan
        if system in (arguments.system or PLANS) and protocol in (arguments.protocol or plan)
    ]
    if not wanted:
        plans = "; ".join(f"{system} by {', '.join(plan)}" for system, plan in PLANS.items())
        raise ConfigError(f"nothing to measure: {plans}")
    for system, protocol in wanted:
        data, cache = arguments.data, arguments.cache
        for item in measure(system, protocol, data, cache, jobs=arguments.jobs):
            keep([item], arguments.table)
            print(f"{system} {protocol}:{item.fold} UAR {100 * item.uar:.1f} %", flush=True)
