"""Training recipes: what is in the tree loads, what is misspelt is refused, a run can be redone."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from rt_ser.errors import ConfigError
from rt_ser.recipes import recipe_named
from train.corpora.clip import CORPUS_LABELS
from train.recipe import FOLDER, Augmentation, TrainRecipe, load_recipe, recipe_from

SHIPPED = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_recipe_in_the_tree_can_be_used(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe_named(recipe.features).window_frames > 0
    assert set(recipe.corpus_weight) <= set(CORPUS_LABELS)
    assert recipe.steps_per_epoch > 0
    shares = (recipe.dropout, recipe.label_smoothing, recipe.vote_weight, recipe.noise_share)
    assert all(0.0 <= share < 1.0 for share in shares)
    assert all(load_recipe(earlier).shape == recipe.shape for earlier in recipe.earlier)
    bent = recipe.augmentation
    assert all(0 <= share <= 1 for share in (bent.partial, bent.noise, bent.floor, bent.mixup))


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("epochs: 3\naugmentation:\n  mixup: 0.0\n", encoding="utf-8")
    recipe = load_recipe(str(path))
    assert recipe == TrainRecipe(name="mine", epochs=3, augmentation=Augmentation(mixup=0.0))


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    path = tmp_path / "plain.yaml"
    path.touch()
    assert load_recipe(str(path)) == TrainRecipe(name="plain")


def test_what_a_run_writes_down_is_the_recipe_again() -> None:
    recipe = load_recipe("plain")
    again = yaml.safe_load(yaml.safe_dump(asdict(recipe)))
    assert recipe_from(again, source="run.yaml") == recipe


def test_an_unknown_recipe_says_which_are_known() -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe("frist")
    assert str(caught.value) == (
        f"recipe='frist' is not known: give one of {', '.join(SHIPPED)}, or a .yaml file"
    )


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("epoch: 3\n", "epoch"), ("augmentation:\n  mixup: 0.1\n  stretsch: 0.2\n", "stretsch")],
)
def test_a_misspelt_key_is_refused(tmp_path: Path, text: str, wrong: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"mine\.yaml: \['{wrong}'\] unknown; keys are \["):
        load_recipe(str(path))


def test_too_few_views_for_two_lengths_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("views: 2\nshort_share: 0.8\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine\.yaml: views=2 are too few for short_share=0.8"):
        load_recipe(str(path))


def test_an_offset_of_a_class_that_there_is_not_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("stranger_offsets: {cross: 0.3}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine\.yaml: stranger_offsets=.* must be of neutral, "):
        load_recipe(str(path))


@pytest.mark.parametrize("text", ["", "teacher_share: 0.5\nimitation: 1.0\n"])
def test_peers_who_teach_nothing_or_place_views_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"peers: [tenth]\n{text}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine\.yaml: peers=\['tenth'\] have opinions and place"):
        load_recipe(str(path))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("start: tenth\nearlier_shares: {tenth: 0.5, ninth: 0.5}\n", "all together below 1"),
        ("start: tenth\nearlier_shares: {tenth: -0.1}\n", "must be above 0"),
        ("earlier_shares: {tenth: 0.5}\n", "go with a start"),
    ],
)
def test_shares_of_earlier_networks_that_cannot_be(tmp_path: Path, text: str, wrong: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"views: 12\n{text}", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"mine\.yaml: earlier_shares=.*{wrong}"):
        load_recipe(str(path))
