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
    for text in ("", "# nothing is chosen\n"):
        path.write_text(text, encoding="utf-8")
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


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("epochs: [1\nbatch: 3\n", r"mine\.yaml line 2: not valid YAML: .*: write it as those in"),
        ("- a\n- b\n", r"mine\.yaml: no mapping of keys to values: write it as those in"),
        ("epochs: many\n", r"mine\.yaml: epochs='many' must be a whole number, 0 or more$"),
        ("epochs: true\n", r"epochs=True must be a whole number"),
        ("epochs: 1.5\n", r"epochs=1\.5 must be a whole number"),
        ("dropout: .nan\n", r"dropout=nan must be a finite number$"),
        ("peak_rate: 1e-3\n", r"peak_rate='1e-3' must be a finite number$"),
        ("start: 3\n", r"start=3 must be text$"),
        ("peers: tenth\n", r"peers='tenth' must be a list of names, as in \[tenth\]$"),
        ("earlier_shares: {tenth: half}\n", r"earlier_shares=\{'tenth': 'half'\} must be numbers"),
        ("corpus_weight: [cremad]\n", r"corpus_weight=\['cremad'\] must be numbers by name"),
        ("augmentation: 3\n", r"augmentation=3 must be its keys with values$"),
        ("augmentation:\n", r"augmentation=None must be its keys with values$"),
        ("augmentation: {noise: loud}\n", r"mine\.yaml: noise='loud' must be a finite number$"),
        ("1: 2\nx: 3\n", r"mine\.yaml: \['1', 'x'\] unknown; keys are \["),
        ("batch: 0\n", r"mine\.yaml: batch=0 must be 1 to epoch_examples=7500$"),
    ],
)
def test_what_is_no_recipe_is_told_in_one_line(tmp_path: Path, text: str, wrong: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=wrong) as caught:
        load_recipe(str(path))
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"mine\.yaml: Is a directory: write it as"):
        load_recipe(str(tmp_path / "mine.yaml"))


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
