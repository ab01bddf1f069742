"""``python -m train report``: results that were kept become a page, plots and tables."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rt_ser.errors import ConfigError
from rt_ser.whole import write_text_whole
from train import kept
from train.trees import read_tree

_ROOT = Path(__file__).resolve().parents[2]
_DEFAULT_MODEL = "research"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``python -m train report``."""
    parser.add_argument(
        "--add", type=Path, nargs="+", default=[], metavar="DIR",
        help="first keep what evaluate and robustness left in these folders",
    )  # fmt: skip
    parser.add_argument(
        "--recipe", metavar="NAME", help=f"default: that of models/{_DEFAULT_MODEL}.yaml"
    )
    parser.add_argument(
        "--results", type=Path, default=kept.FOLDER, metavar="DIR", help="default: train/results"
    )
    parser.add_argument(
        "--baselines", type=Path, metavar="FILE", help="default: train/baselines/results.csv"
    )
    parser.add_argument(
        "--root", type=Path, default=_ROOT, metavar="DIR",
        help="checkout whose docs/, README.md and models/*.md are written (default: this one)",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """Keep new results, then write the page, its plots, and the tables in other pages."""
    from train.baselines.experiments import TABLE, read

    for folder in arguments.add:
        for path in kept.keep_all_of(folder, arguments.results):
            print(f"kept {path.name}")
    results = read(arguments.baselines or TABLE)
    recipe = arguments.recipe or recipe_of(arguments.root / "models" / f"{_DEFAULT_MODEL}.yaml")
    for path in write(arguments.root, arguments.results, recipe, results):
        print(f"wrote {path.relative_to(arguments.root)}")


def recipe_of(manifest: Path) -> str:
    """Return the recipe that a model came from.

    Raises
    ------
    ConfigError
        If its manifest does not say.
    """
    tree = _manifest(manifest)
    recipe = (tree.get("training") or {}).get("recipe")
    if not recipe:
        raise ConfigError(f"{manifest}: names no training.recipe: give --recipe")
    return str(recipe)


def subject_of(recipe: str, results: Path, model: Path) -> Any:
    """Collect what was measured of a recipe, and what its shipped file costs."""
    from train.report.measures import Sources
    from train.report.page import Subject
    from train.report.pool import pooled_card
    from train.report.work import multiply_accumulates

    is_its_own = model.exists() and _recipe_or_none(model.with_suffix(".yaml")) == recipe
    sources = Sources(
        evaluations=_of_recipe(kept.read(kept.EVALUATION, results), recipe),
        robustness=_of_recipe(kept.read(kept.ROBUSTNESS, results), recipe),
        enrollments=_of_recipe(kept.read(kept.ENROLLMENT, results), recipe),
        size_bytes=model.stat().st_size if is_its_own else None,
        multiply_accumulates=multiply_accumulates(model) if is_its_own else None,
    )
    cards = {name: pooled_card(items) for name, items in sources.by_corpus().items()}
    return Subject(recipe=recipe, sources=sources, cards=cards)


def write(root: Path, results: Path, recipe: str, baselines: Sequence[Any]) -> list[Path]:
    """Write page, plots and tables below a checkout, and return the files."""
    from train.report.blocks import card_block, readme_block, refill
    from train.report.comparison import comparison_section
    from train.report.drawing import draw
    from train.report.page import page

    subject = subject_of(recipe, results, root / "models" / f"{_DEFAULT_MODEL}.tflite")
    written = draw(subject, baselines, root / "docs" / "results")
    target = root / "docs" / "results.md"
    text = page(subject, [comparison_section(subject.sources, baselines)])
    write_text_whole(target, text)
    written.append(target)
    if refill(root / "README.md", readme_block(subject, baselines)):
        written.append(root / "README.md")
    for card in sorted((root / "models").glob("*.md")):
        own = _recipe_or_none(card.with_suffix(".yaml"))
        if own is None:
            continue
        its = subject_of(own, results, card.with_suffix(".tflite"))
        if refill(card, card_block(its)):
            written.append(card)
    return written


def _of_recipe(found: Sequence[dict[str, Any]], recipe: str) -> tuple[dict[str, Any], ...]:
    return tuple(item for item in found if (item.get("recipe") or item["model"]) == recipe)


def _manifest(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise ConfigError(f"{path}: is not there: give --recipe")
    return read_tree(path, kind="manifest", mend="export the model again")


def _recipe_or_none(manifest: Path) -> str | None:
    try:
        return recipe_of(manifest)
    except ConfigError:
        return None
