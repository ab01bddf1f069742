"""The report: pooled figures add up, targets are judged, and pages say what is missing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed: make test-train")

from rt_ser.errors import InputError
from tests.train.test_evaluate import clip, heard
from train import kept
from train.__main__ import main
from train.baselines.experiments import Result
from train.report import write
from train.report.blocks import BEGIN, END, refill
from train.report.comparison import bars, published
from train.report.conditions import condition_mean
from train.report.markdown import table
from train.report.measures import Measured, Sources, targets
from train.report.page import tried
from train.report.pool import (
    calibration_error,
    calibration_errors,
    interval_over_speakers,
    pooled_card,
    scored,
    spread,
)
from train.report.work import multiply_accumulates
from train.scorecard import scorecard

CLASSES = ("neutral", "happy", "sad", "angry", "fearful", "disgust")


def card(*, right: int, speakers: str) -> dict[str, Any]:
    """Score 24 clips of some speakers, so many of each class's four right."""
    items = [
        heard(
            number, emotion, emotion if take < right else CLASSES[index - 1],
            speaker=f"cremad-{speakers[take % len(speakers)]}",
            sex="male" if take % 2 else "female", votes=clip(0, emotion).votes,
        )
        for index, emotion in enumerate(CLASSES)
        for take, number in enumerate(range(4 * index, 4 * index + 4))
    ]  # fmt: skip
    return scorecard(items, CLASSES)


def evaluation(split: str, seed: int, corpora: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": "mine.tflite", "recipe": "mine", "seed": seed, "sha256": "", "size_bytes": 1,
        "split": split, "corpora": corpora,
    }  # fmt: skip


def measured() -> list[dict[str, Any]]:
    """Two folds of two seeds: 3 and 2 of 4 right with the first, 1 and 2 with the second."""
    rights = {("joint:1", 0): 3, ("joint:2", 0): 2, ("joint:1", 1): 1, ("joint:2", 1): 2}
    return [
        evaluation(
            split, seed, {"cremad": card(right=right, speakers="ab" if split[-1] == "1" else "cd")}
        )
        for (split, seed), right in rights.items()
    ]


def robustness() -> dict[str, Any]:
    def told(emotions: int) -> dict[str, Any]:
        worst = [{"name": "dog_bark/1-A", "emotions": emotions}] if emotions else []
        return {
            "recordings": 2, "seconds": 60.0, "judged": 9, "emotions": emotions,
            "emotions_per_hour": 60.0 * emotions, "worst": worst,
        }  # fmt: skip

    conditions = [
        {
            "name": name, "title": name, "limit": limit, "mean_loss": loss,
            "corpora": {"cremad": {"clips": 9, "no_speech": 0, "uar": 0.6 - loss / 100,
                                   "accuracy": 0.5, "loss": loss}},
        }
        for name, limit, loss in (
            ("clean", None, 0.0), ("snr20", 2.0, 1.0), ("snr10", 5.0, 4.0), ("snr5", 10.0, 12.0),
            ("quiet", 1.0, 0.25), ("telephone", 5.0, -1.0),
        )
    ]  # fmt: skip
    return {
        "model": "mine.tflite", "recipe": "mine", "seed": 0, "split": "joint:1", "every": 2,
        "conditions": conditions,
        "non_speech": {"noise": told(3), "held_out_noise": told(2), "silence": told(0),
                       "tones": told(0), "everything": told(3)},
        "read_speech": {"recordings": 3, "seconds": 180.0, "judged": 10, "confident_share": 0.5,
                        "emotion_share": 0.3, "strong_share": 0.1},
        "held_out_read_speech": {"recordings": 1, "seconds": 60.0, "judged": 5,
                                 "confident_share": 0.5, "emotion_share": 0.5,
                                 "strong_share": 0.2},
    }  # fmt: skip


def robustness_of_ravdess() -> dict[str, Any]:
    """Another model, measured on another corpus; it loses 3 points to everything."""
    told = {**json.loads(json.dumps(robustness())), "split": "ravdess_folds:1"}
    for condition in told["conditions"]:
        condition["corpora"] = {"ravdess": {**condition["corpora"]["cremad"], "loss": 3.0}}
    told["held_out_read_speech"]["strong_share"] = 0.4
    return told


BASELINES = [
    Result(
        system="tutorial-cnn", corpus="ravdess", protocol=protocol, fold="1", clips=9, uar=uar,
        accuracy=uar, command="by hand",
    )
    for protocol, uar in (("random", 0.9), ("ravdess_folds", 0.3))
]  # fmt: skip


def sources() -> Sources:
    return Sources(evaluations=tuple(measured()), robustness=(robustness(),), size_bytes=300_000)


def test_a_corpus_measured_on_more_folds_counts_no_more_than_another() -> None:
    other = robustness_of_ravdess()
    three = replace(sources(), robustness=(robustness(), other, other))
    found = {item.title: item.value for item in targets(three)}
    assert found["noise at 20 dB: loss of UAR, points"] == pytest.approx((1.0 + 3.0) / 2)


def test_folds_and_seeds_are_told_apart() -> None:
    items = scored(measured(), "cremad", ("joint",))
    assert len(items) == 4
    pooled = spread(items, lambda card: 100 * card["uar"])
    assert pooled is not None
    assert pooled.mean == pytest.approx(50.0)
    assert (pooled.low, pooled.high) == pytest.approx((50.0, 50.0))
    assert (pooled.folds, pooled.seeds) == (2, 2)
    # The seeds' means are 62.5 and 37.5.
    assert pooled.seed_deviation == pytest.approx(25 / np.sqrt(2))


def test_a_fold_counts_once_whichever_protocol_tests_it() -> None:
    twice = [*measured(), evaluation("first:1", 0, {"cremad": card(right=4, speakers="ab")})]
    assert len(scored(twice, "cremad", ("joint", "first"))) == 4
    (only,) = scored(twice, "cremad", ("first",))
    assert only.card["uar"] == 1.0
    assert scored(twice, "ravdess", ("joint",)) == []
    assert spread([], lambda card: card["uar"]) is None


def test_what_was_tried_tells_how_far_it_moves_with_the_seed() -> None:
    """Means of two folds are 62 and 58 with two seeds; another recipe has one."""
    uars = {("a", 0): (60, 64), ("a", 1): (56, 60), ("b", 0): (50, 52)}
    rows = [
        {"protocol": f"joint:{fold}", "corpus": "cremad", "recipe": recipe, "seed": str(seed),
         "uar": str(uar / 100), "size_bytes": "386000"}
        for (recipe, seed), pair in uars.items()
        for fold, uar in enumerate(pair, 1)
    ]  # fmt: skip
    lines = tried(rows).splitlines()
    assert "| joint | CREMA-D | a | 4 | 60.0 | ± 2.8 (2) | 386 |" in lines
    assert "| joint | CREMA-D | b | 2 | 51.0 | - | 386 |" in lines


def test_a_missing_figure_is_no_figure() -> None:
    pooled = spread(scored(measured(), "cremad", ("joint",)), lambda card: card.get("crowd"))
    assert pooled is None


def test_pooled_counts_add_up_and_clips_count_once() -> None:
    items = scored(measured(), "cremad", ("joint",))
    pooled = pooled_card(items)
    assert pooled["clips"] == 48
    assert np.sum(pooled["confusion"]) == 48
    assert sum(pooled["reliability"]["counts"]) == pytest.approx(48)
    assert set(pooled["by_speaker"]) == {f"cremad-{name}" for name in "abcd"}
    assert list(pooled["by_sex"]) == ["female", "male"]
    assert pooled["over_time"][-1] == {"seconds": None, "uar": pytest.approx(0.5)}
    low, high = interval_over_speakers(pooled)
    assert low <= np.mean([item["uar"] for item in pooled["by_speaker"].values()]) <= high


def test_a_second_seed_that_lacks_a_fold_counts_no_fold_twice() -> None:
    """Fold 1 has two seeds, fold 2 one: clips, groups, diagonal and UAR stay those of folds."""
    whole = [item for item in measured() if item["seed"] == 0]
    again = [{**item, "seed": 1} for item in whole if item["split"] == "joint:1"]
    one, more = (
        pooled_card(scored(found, "cremad", ("joint",))) for found in (whole, whole + again)
    )
    assert np.allclose(more.pop("coverage"), one.pop("coverage"))
    assert more == one
    diagonal = np.diag(more["confusion"]) / np.sum(more["confusion"], axis=1)
    assert np.mean(diagonal) == pytest.approx(more["uar"], abs=0.02)
    items = scored(whole + again, "cremad", ("joint",))
    alone = [item["corpora"]["cremad"]["calibration_error"] for item in whole]
    assert calibration_errors(items) == pytest.approx(sorted(alone))
    rows = [
        {"protocol": item["split"], "corpus": "cremad", "recipe": "a", "seed": str(item["seed"]),
         "uar": str(item["corpora"]["cremad"]["uar"]), "size_bytes": "386000"}
        for item in whole + again
    ]  # fmt: skip
    uar = 100 * one["uar"]
    assert f"| joint | CREMA-D | a | 3 | {uar:.1f} | - | 386 |" in tried(rows).splitlines()


def test_what_int8_costs_is_a_mean_over_models_and_their_clips() -> None:
    losses = (0.1, 0.5, None, 0.3)
    found = [{**item, "int8_loss": one} for item, one in zip(measured(), losses, strict=True)]
    sources = Sources(evaluations=tuple(found), robustness=())
    (line,) = [item for item in targets(sources) if item.title.startswith("int8 below float")]
    assert line.value == pytest.approx(0.3)
    assert line.detail == "3 models, 0.1 to 0.5"
    assert line.verdict == "reached"
    few = {**card(right=4, speakers="ab"), "clips": 3}
    found.append({**evaluation("loco:savee", 0, {"savee": few}), "int8_loss": -4.0})
    sources = Sources(evaluations=tuple(found), robustness=())
    (line,) = [item for item in targets(sources) if item.title.startswith("int8 below float")]
    assert line.value == pytest.approx((24 * 0.9 - 3 * 4.0) / 75)


def test_what_one_seed_is_too_sure_of_another_s_doubt_does_not_make_good() -> None:
    """Folds are put together, seeds are not: each model is calibrated for itself."""
    items = scored(measured(), "cremad", ["joint"])
    each = [calibration_error([item for item in items if item.seed == seed]) for seed in (0, 1)]
    assert calibration_error(items) == pytest.approx(np.mean(each))
    assert calibration_error([]) is None


def test_the_pooled_calibration_error_is_that_of_all_clips_together() -> None:
    once = pooled_card(scored(measured()[:1], "cremad", ("joint",)))
    assert once["calibration_error"] == pytest.approx(
        measured()[0]["corpora"]["cremad"]["calibration_error"], abs=1e-5
    )


@pytest.mark.parametrize(
    ("value", "lower", "verdict"),
    [
        (None, False, "not measured"),
        (72.0, False, "aim reached"),
        (71.96, False, "aim reached"),
        (66.0, False, "reached"),
        (65.0, False, "missed by 1.0"),
        (80.0, True, "missed by 14.0"),
        (60.0, True, "reached"),
    ],
)
def test_targets_are_judged_as_they_are_shown(
    value: float | None, lower: bool, verdict: str
) -> None:
    must, aim = (66, 50) if lower else (66, 72)
    line = Measured(title="x", must=must, aim=aim, value=value, lower_is_better=lower)
    assert line.verdict == verdict


def test_every_target_is_listed_measured_or_not() -> None:
    nothing = targets(Sources(evaluations=(), robustness=()))
    assert {item.verdict for item in nothing} == {"not measured"}
    found = {item.title: item for item in targets(sources())}
    assert list(found) == [item.title for item in nothing]
    assert found["CREMA-D, 6 classes, five folds of 72 actors: UAR"].detail.startswith("2 of 5")
    assert found["noise at 5 dB: loss of UAR, points"].verdict == "missed by 2.0"
    assert found["noise at 10 dB: loss of UAR, points"].verdict == "reached"
    assert found["size, kB"].value == 300

    def told(tree: dict[str, Any]) -> dict[str, Any]:
        return {item.title: item for item in targets(replace(sources(), robustness=(tree,)))}

    # Two in three minutes of held-out noise, silence and tones; one reader of three was unheard.
    sounds = "confident emotions an hour in noise, silence, tones"
    assert found[sounds].value == 40
    assert found[sounds].detail == "in 3 minutes never trained on; with noises trained on 180.0"
    reading = found["reading aloud: time called angry, fearful or disgust, %"]
    assert reading.value == pytest.approx(20.0)
    assert reading.detail == "1 readers never trained on; all 3: 10.0"
    silent = robustness()
    silent["non_speech"]["held_out_noise"]["emotions"] = 0
    assert told(silent)[sounds].detail.startswith(
        "in 3 minutes never trained on, so that up to 60 an hour are possible (95 %)"
    )


def test_beside_the_crowd_stands_what_actors_intended() -> None:
    evaluations = measured()
    for item in evaluations:
        item["corpora"]["cremad"]["crowd"] = {"uar": 0.6, "intended_uar": 0.744}
    rows = targets(Sources(evaluations=tuple(evaluations), robustness=()))
    (row,) = [row for row in rows if "crowd" in row.title]
    assert row.value == pytest.approx(60.0)
    assert row.detail.endswith("over 2 seeds; what actors intended has 74.4")


def test_a_condition_that_was_not_measured_has_no_mean() -> None:
    assert condition_mean([robustness()], "snr5", "cremad", "loss") == 12.0
    assert condition_mean([robustness()], "room", "cremad", "loss") is None


def test_bars_leave_out_what_shares_speakers() -> None:
    names = [bar.name for bar in bars("cremad", [], [])]
    assert names == ["FRILL (10.1 M), accuracy"]
    kinds = {bar.kind for bar in bars("ravdess", [], BASELINES)}
    assert kinds == {"fair", "unfair", "quoted"}
    assert all(row["source"] for row in published())


def test_a_table_has_a_column_for_every_heading() -> None:
    text = table(["a", "b", "c"], [["1", "2", "3"]], left=(2,))
    assert text.splitlines() == ["| a | b | c |", "| --- | ---: | --- |", "| 1 | 2 | 3 |"]


def test_only_what_lies_between_markers_changes(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    assert not refill(page, "new")
    page.write_text("before\nafter\n")
    assert not refill(page, "new")
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert refill(page, "new\n")
    assert page.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


def test_results_are_kept_by_what_was_measured(tmp_path: Path) -> None:
    first, second, _, _ = measured()
    kept.keep(first, tmp_path)
    kept.keep(first, tmp_path)
    kept.keep(second, tmp_path)
    kept.keep(robustness(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mine-joint-1-0-evaluation.json",
        "mine-joint-1-0-robustness.json",
        "mine-joint-2-0-evaluation.json",
    ]
    assert kept.read(kept.EVALUATION, tmp_path) == [first, second]
    with pytest.raises(InputError, match="neither evaluate nor robustness"):
        kept.keep({}, tmp_path)
    with pytest.raises(InputError, match=r"holds no evaluation\.json"):
        kept.keep_all_of(tmp_path)


def test_what_the_repository_keeps_can_be_read() -> None:
    for figures in kept.read(kept.EVALUATION):
        assert all(0 < card["uar"] < 1 for card in figures["corpora"].values())
        assert kept.name_of(figures).startswith(str(figures["recipe"]))


def test_the_work_of_the_model_that_ships_is_counted(repo_root: Path) -> None:
    work = multiply_accumulates(repo_root / "models" / "research.tflite")
    assert 1e6 < work < 100e6


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a place with a README and a model card, each with markers."""
    (tmp_path / "models").mkdir()
    for page in ("README.md", "models/mine.md"):
        (tmp_path / page).write_text(f"# Title\n{BEGIN}\n{END}\n")
    (tmp_path / "models" / "mine.yaml").write_text("training: {recipe: mine}\n")
    return tmp_path


def test_a_report_is_written_whole(checkout: Path) -> None:
    results = checkout / "results"
    for figures in [*measured(), robustness()]:
        kept.keep(figures, results)
    written = write(checkout, results, "mine", BASELINES)
    names = {path.relative_to(checkout).as_posix() for path in written}
    assert {"README.md", "models/mine.md", "docs/results.md"} <= names
    page = (checkout / "docs" / "results.md").read_text()
    flowing = " ".join(page.split())
    for picture in (path for path in written if path.suffix == ".png"):
        assert f"(results/{picture.name})" in page
        assert picture.stat().st_size > 1000
    assert "reaches 90.0 %; asked about people whom it has never heard, 30.0 %" in flowing
    assert "women 62.5, men 37.5" in flowing
    assert "| **50.0** |" in (checkout / "README.md").read_text()
    again = {path: path.read_bytes() for path in written}
    write(checkout, results, "mine", BASELINES)
    assert {path: path.read_bytes() for path in written} == again


def test_the_page_has_every_corpus_that_was_measured_in_noise(checkout: Path) -> None:
    results = checkout / "results"
    for figures in [*measured(), robustness(), robustness_of_ravdess()]:
        kept.keep(figures, results)
    write(checkout, results, "mine", BASELINES)
    page = (checkout / "docs" / "results.md").read_text()
    assert "| condition | RAVDESS | CREMA-D | mean loss | at most |" in page
    assert "| snr5 | 48.0 (-3.0) | 48.0 (-12.0) | 7.5 | 10 |" in page
    flowing = " ".join(page.split())
    assert "(joint:1, one clip in 2; ravdess_folds:1, one clip in 2)" in flowing
    assert "the 2 models, each of which left out other speakers, have 40.0 an hour and 30.0 %" in (
        flowing
    )


def test_a_report_of_nothing_says_so(checkout: Path) -> None:
    baselines = checkout / "none.csv"
    argv = ["report", "--root", str(checkout), "--results", str(checkout / "none")]
    assert main([*argv, "--recipe", "mine", "--baselines", str(baselines)]) == 0
    page = (checkout / "docs" / "results.md").read_text()
    assert "Recipe `mine`: not measured." in page
    assert page.count("Not measured.") >= 5
    for line in page.splitlines():
        if line.startswith("!["):
            assert (checkout / "docs" / line.split("(")[1].rstrip(")")).exists()


def test_folders_are_kept_before_the_report_is_written(checkout: Path) -> None:
    run = checkout / "run"
    run.mkdir()
    (run / "evaluation.json").write_text(json.dumps(measured()[0]))
    argv = ["report", "--root", str(checkout), "--results", str(checkout / "kept")]
    argv += ["--recipe", "mine", "--baselines", str(checkout / "none.csv"), "--add", str(run)]
    assert main(argv) == 0
    assert (checkout / "kept" / "mine-joint-1-0-evaluation.json").exists()


def test_without_a_recipe_the_default_model_names_it(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "--root", str(checkout), "--results", str(checkout / "none")]) == 2
    assert "give --recipe" in capsys.readouterr().err
