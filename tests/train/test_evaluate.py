"""Evaluating: streams kept apart, wrong where nothing was said, figures that add up."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from rich.console import Console

from rt_ser.errors import ConfigError, InputError, ModelError
from rt_ser.types import F32, RATE_HZ, Estimate, State, Summary, freeze
from train import leaderboard
from train.__main__ import COMMANDS, main
from train.corpora import LABELS, Clip
from train.evaluate import (
    clips_under_test,
    evaluation,
    hear,
    record,
    split_named,
    write_clips,
)
from train.scorecard import CURVE_S, Heard, age_group, crowd_label, scorecard
from train.splits import Split
from train.tables import show
from train.unseen import check_unseen, int8_loss_of, training_of


@pytest.fixture
def plots() -> Any:
    """Return ``train.plots``, or skip where matplotlib is missing."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: make test-train")
    from train import plots

    return plots


CREMAD = ("neutral", "happy", "sad", "angry", "fearful", "disgust")


def probs_of(label: str | None, sure: float = 0.65) -> F32:
    """Give ``label`` a probability and the others what is left; zeros for ``None``."""
    if label is None:
        return np.zeros(len(LABELS), np.float32)
    probs = np.full(len(LABELS), (1 - sure) / (len(LABELS) - 1), np.float32)
    probs[LABELS.index(label)] = sure
    return probs


class Loudness:
    """A judge without a model: louder is angrier, by the second, in labels of its own order.

    Digital silence is not judged. It remembers what it was fed since the last reset, as
    an analyzer does, so that forgetting to reset would show.
    """

    labels = tuple(reversed(LABELS))

    def __init__(self) -> None:
        self.streams = 0
        self.reset()

    def reset(self) -> None:
        """Start a stream."""
        self.streams += 1
        self._heard = np.zeros(0, np.float32)

    def feed(self, samples: F32) -> list[Estimate]:
        """Judge after every half second from the first sample that is not zero."""
        self._heard = np.concatenate([self._heard, samples])
        sounding = np.flatnonzero(self._heard)
        if not len(sounding):
            return []
        onset = int(sounding[0])
        stops = range(onset + RATE_HZ // 2, len(self._heard) + 1, RATE_HZ // 2)
        return [self._estimate(onset, stop) for stop in stops]

    def flush(self) -> list[Estimate]:
        """Nothing is held back."""
        return []

    def _probs(self, stop: int) -> F32:
        if not np.any(self._heard[:stop]):
            return probs_of(None)
        is_loud = float(np.abs(self._heard[:stop]).max()) > 0.3
        return probs_of("angry" if is_loud else "sad")[::-1]

    def _estimate(self, onset: int, stop: int) -> Estimate:
        probs = freeze(self._probs(stop))
        return Estimate(
            label="any", labels=self.labels, probs=probs, window_probs=probs, confidence=0.65,
            state=State.SPEECH, valence=0.0, arousal=0.0, speech_prob=1.0, start=onset, stop=stop,
            utterance=0, is_final=False, level_dbfs=-20.0,
        )  # fmt: skip

    def summary(self) -> Summary:
        """Sum up everything since the reset."""
        probs = self._probs(len(self._heard))
        return Summary(
            labels=self.labels, label="any", probs=freeze(probs), confidence=0.65, valence=0.0,
            arousal=0.0, duration_samples=len(self._heard), speech_samples=0, utterances=1,
        )  # fmt: skip


def clip(number: int, emotion: str, **known: Any) -> Clip:
    """Make a CREMA-D clip."""
    facts = {"speaker": f"cremad-{1001 + number % 3}", "sex": "female", "age": 30, **known}
    return Clip(key=f"cremad/{number:04}", path=Path(), corpus="cremad", emotion=emotion, **facts)


def heard(number: int, emotion: str, said: str | None, **known: Any) -> Heard:
    """Make what a model said of a clip: nothing for half a second, then its opinion."""
    curve = np.array([probs_of(said if seconds >= 1.0 else None) for seconds in CURVE_S])
    return Heard(clip=clip(number, emotion, **known), probs=probs_of(said), curve=curve)


def tone(level: float, seconds: float, silence_s: float = 0.0) -> F32:
    """Make a constant after some digital silence."""
    silence = np.zeros(int(silence_s * RATE_HZ), np.float32)
    return np.concatenate([silence, np.full(int(seconds * RATE_HZ), level, np.float32)])


def test_every_clip_is_a_stream_of_its_own() -> None:
    judge = Loudness()
    loud = hear(judge, clip(0, "angry"), tone(0.9, 2.0))
    quiet = hear(judge, clip(1, "sad"), tone(0.1, 2.0))
    assert LABELS[loud.probs.argmax()] == "angry"
    assert LABELS[quiet.probs.argmax()] == "sad", "nothing is left of the loud clip"


def test_labels_are_put_into_the_projects_order() -> None:
    assert hear(Loudness(), clip(0, "angry"), tone(0.9, 1.0)).probs == pytest.approx(
        probs_of("angry")
    )


def test_the_curve_runs_from_the_onset_of_speech() -> None:
    # A second of silence, a quiet second, then loud: sad at first, angry after.
    samples = np.concatenate([tone(0.1, 1.0, silence_s=1.0), tone(0.9, 1.0)])
    said = hear(Loudness(), clip(0, "angry"), samples).curve
    assert [LABELS[row.argmax()] for row in said] == ["sad", "sad", "angry", "angry", "angry"]


def test_a_clip_in_which_nothing_was_judged_says_nothing() -> None:
    said = hear(Loudness(), clip(0, "neutral"), tone(0.0, 2.0))
    assert not said.probs.any()
    assert not said.curve.any()


@pytest.fixture
def card() -> dict[str, Any]:
    """Six classes, two clips each: the first right, the second wrong, one not judged at all."""
    wrong = dict(zip(CREMAD, [*CREMAD[1:], None], strict=True))
    items = [heard(2 * n, label, label) for n, label in enumerate(CREMAD)]
    items += [heard(2 * n + 1, label, wrong[label]) for n, label in enumerate(CREMAD)]
    return scorecard(items, CREMAD)


def test_what_was_not_judged_is_wrong_and_counted(card: dict[str, Any]) -> None:
    assert (card["clips"], card["no_speech"]) == (12, 1)
    assert card["uar"] == card["accuracy"] == 0.5
    assert card["recalls"] == dict.fromkeys(CREMAD, 0.5)
    assert [row[-1] for row in card["confusion"]] == [0, 0, 0, 0, 0, 1]


def test_scores_over_time_begin_with_nothing_said(card: dict[str, Any]) -> None:
    entries = {item["seconds"]: (item["uar"], item["no_speech"]) for item in card["over_time"]}
    assert entries == {
        0.5: (0.0, 12), 1.0: (0.5, 1), 1.5: (0.5, 1), 2.0: (0.5, 1), 3.0: (0.5, 1), None: (0.5, 1),
    }  # fmt: skip


def test_groups_add_up(card: dict[str, Any]) -> None:
    for grouping in ("by_speaker", "by_sex", "by_age"):
        assert sum(group["clips"] for group in card[grouping].values()) == 12
    assert set(card["by_speaker"]) == {"cremad-1001", "cremad-1002", "cremad-1003"}


def test_classes_of_other_corpora_are_masked_away() -> None:
    # Calm, which CREMA-D does not have, is most probable; of the rest sad is.
    probs = probs_of("calm", 0.6)
    probs[LABELS.index("sad")] = 0.2
    item = Heard(clip=clip(0, "sad"), probs=probs, curve=np.array([probs] * len(CURVE_S)))
    assert scorecard([item], CREMAD)["uar"] == 1.0


def test_figures_are_fit_for_json(card: dict[str, Any]) -> None:
    assert json.loads(json.dumps(card, allow_nan=False)) == card


@pytest.mark.parametrize(
    ("votes", "label"),
    [
        ((0, 0, 0, 6, 4, 0, 0, 0), "sad"),
        ((0, 0, 0, 5, 4, 1, 0, 0), None),
        ((0, 0, 0, 0, 0, 0, 0, 0), None),
        (None, None),
    ],
)
def test_the_crowd_counts_where_it_agrees(votes: tuple[int, ...] | None, label: str | None) -> None:
    assert crowd_label(clip(0, "angry", votes=votes), CREMAD) == label


def test_against_the_crowd_its_vote_is_the_truth() -> None:
    sad = (0, 0, 0, 9, 1, 0, 0, 0)
    items = [heard(0, "angry", "sad", votes=sad), heard(1, "sad", "angry"), heard(2, "sad", "sad")]
    crowd = scorecard(items, CREMAD)["crowd"]
    assert (crowd["clips"], crowd["clips_of"], crowd["uar"]) == (1, 3, 1.0)
    assert crowd["intended_uar"] == 0.0
    assert "crowd" not in scorecard(items[1:], CREMAD)


@pytest.mark.parametrize(
    ("age", "group"), [(20, "under 30"), (30, "30 to 49"), (74, "50 and over"), (None, "unknown")]
)
def test_age_groups(age: int | None, group: str) -> None:
    assert age_group(age) == group


@pytest.fixture
def figures(tmp_path: Path) -> dict[str, Any]:
    """An evaluation of a model file of four bytes."""
    model = tmp_path / "tiny.tflite"
    model.write_bytes(b"TFL3")
    rng = np.random.default_rng(0)
    items = [
        heard(n, CREMAD[n % 6], CREMAD[n % 6] if rng.random() < 0.6 else "sad") for n in range(60)
    ]
    return evaluation(items, split_named("first"), model)


def test_an_evaluation_names_its_model_and_split(figures: dict[str, Any]) -> None:
    assert (figures["model"], figures["size_bytes"]) == ("tiny.tflite", 4)
    assert figures["split"] == "first:1"
    assert set(figures["corpora"]) == {"cremad"}
    assert figures["corpora"]["cremad"]["classes"] == list(CREMAD)


@pytest.mark.parametrize("interval", [(0.5, 0.7), (None, None)])
def test_the_manifest_takes_the_headline_figures(
    figures: dict[str, Any], tmp_path: Path, interval: tuple[float | None, float | None]
) -> None:
    """One speaker alone, as of SAVEE in a fold, has no interval."""
    figures["corpora"]["cremad"]["uar_interval"] = interval
    manifest = tmp_path / "tiny.yaml"
    manifest.write_text("name: tiny\nmetrics:\n  first:1:\n    int8_loss: 0.25\n")
    record(figures, tmp_path / "tiny.tflite")
    metrics = yaml.safe_load(manifest.read_text())["metrics"]["first:1"]
    assert metrics["int8_loss"] == 0.25
    assert metrics["command"] == "python -m train evaluate --model tiny.tflite --split first:1"
    told = metrics["cremad"]
    assert (told.get("uar_low"), told.get("uar_high")) == interval
    assert ("uar_low" in told) == ("uar_high" in told) == (interval != (None, None))


@pytest.mark.parametrize(
    ("manifest", "wanted"),
    [(None, None), ("name: tiny\n", None), ("metrics: {first:1: {int8_loss: 0.25}}\n", 0.25)],
)
def test_what_int8_costs_is_told_where_the_export_measured_it(
    tmp_path: Path, manifest: str | None, wanted: float | None
) -> None:
    if manifest is not None:
        (tmp_path / "tiny.yaml").write_text(manifest)
    assert int8_loss_of(tmp_path / "tiny.tflite", split_named("first")) == wanted
    assert int8_loss_of(tmp_path / "tiny.tflite", split_named("joint:1")) is None


def test_the_tables_show_the_figures(figures: dict[str, Any]) -> None:
    console = Console(width=160, record=True, quiet=False)
    with console.capture() as capture:
        show(figures, console)
    card = figures["corpora"]["cremad"]
    assert f"{100 * card['uar']:.1f}" in capture.get()
    assert "1.5 s" in capture.get()


def test_every_plot_is_drawn_the_same_twice(
    plots: Any, figures: dict[str, Any], tmp_path: Path
) -> None:
    first = plots.draw_all(figures, tmp_path / "one")
    again = plots.draw_all(figures, tmp_path / "two")
    assert {path.stem for path in first} == {
        "confusion-cremad", "reliability", "coverage", "speakers", "seconds",
    }  # fmt: skip
    for one, two in zip(first, again, strict=True):
        assert one.read_bytes() == two.read_bytes()
        assert 2_000 < one.stat().st_size < 150_000


def test_plots_bear_a_model_that_never_speaks(plots: Any, tmp_path: Path) -> None:
    card = scorecard([heard(n, CREMAD[n % 6], None) for n in range(6)], CREMAD)
    assert card["uar"] == 0.0
    assert len(plots.draw_all({"corpora": {"cremad": card}}, tmp_path)) == 5


def test_clips_are_written_one_a_row(tmp_path: Path) -> None:
    write_clips([heard(0, "sad", "sad"), heard(1, "angry", None)], tmp_path / "clips.csv")
    with (tmp_path / "clips.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [row["emotion"] for row in rows] == ["sad", "angry"]
    assert float(rows[0]["sad"]) == pytest.approx(0.65, abs=1e-5)
    assert sum(float(rows[1][label]) for label in LABELS) == 0.0


def test_clips_under_test_are_those_of_the_split(tmp_path: Path) -> None:
    for name in ("1015_DFA_ANG_XX", "1001_DFA_ANG_XX"):
        soundfile.write(tmp_path / f"{name}.wav", tone(0.1, 0.5), RATE_HZ)
    keys = [clip.key for clip in clips_under_test(tmp_path, split_named("cremad_tfds"))]
    assert keys == ["cremad/1015_DFA_ANG_XX"]
    assert len(clips_under_test(tmp_path, split_named("everything"))) == 2
    nobody = Split(name="nobody", test=frozenset({"cremad-1099"}))
    with pytest.raises(InputError, match="split='nobody' finds no test clip"):
        clips_under_test(tmp_path, nobody)


@pytest.mark.parametrize("command", ["evaluate", "robustness"])
def test_a_missing_model_is_told_before_anything_is_heard(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    missing = tmp_path / "gone.tflite"
    argv = ["--data", str(tmp_path), "--model", str(missing), "--split", "everything"]
    assert main([command, *argv]) == InputError.exit_code
    assert f"{missing}: is not there: give a .tflite file" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_there(command: str) -> None:
    assert importlib.util.find_spec(f"train.{command}") is not None


def test_what_is_not_installed_is_told_in_one_line(repo_root: Path) -> None:
    argv = ["report", "--recipe", "fifteenth"]
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        f"from train.__main__ import main; sys.exit(main({argv!r}))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=False)
    told = "train: matplotlib is not installed: pip install -e '.[train]'\n"
    assert (done.returncode, done.stderr) == (ConfigError.exit_code, told)


def test_speakers_trained_on_are_refused(tmp_path: Path) -> None:
    model = tmp_path / "m.tflite"
    assert training_of(model) == {}
    clips = [clip(0, "sad"), clip(1, "sad")]
    tested = Split(name="mine", test=frozenset({"cremad-1001", "cremad-1002"}))
    for left_out in ("first", None):
        model.with_suffix(".yaml").write_text(yaml.safe_dump({"training": {"split": left_out}}))
        with pytest.raises(ConfigError, match="split='mine' tests cremad-1001 and 1 more whom"):
            check_unseen(clips, training_of(model), tested)
    unseen = clip(0, "sad", speaker="cremad-1015")
    check_unseen([unseen], {"split": "first", "seed": 3}, split_named("cremad_tfds"))


def test_who_may_have_been_trained_on_is_refused(tmp_path: Path) -> None:
    """A manifest that does not say whom the model left out, of corpora that it heard."""
    clips, tested = [clip(0, "sad")], Split(name="mine", test=frozenset({"cremad-1001"}))
    manifest = tmp_path / "m.yaml"
    for training in ({}, {"recipe": "tiny"}, {"corpora": ["savee", "cremad"]}, {"corpora": []}):
        manifest.write_text(yaml.safe_dump({"training": training}))
        with pytest.raises(ConfigError, match=r"'mine' may test .* or give split='every"):
            check_unseen(clips, training_of(tmp_path / "m.tflite"), tested)
    check_unseen(clips, {"corpora": ["savee"]}, tested)
    check_unseen(clips, {"corpora": ["savee"], "split": None}, tested)


@pytest.mark.parametrize("command", ["evaluate", "robustness"])
def test_a_model_that_names_no_split_is_not_tested_on_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    soundfile.write(tmp_path / "1015_DFA_ANG_XX.wav", tone(0.1, 0.5), RATE_HZ)
    model = tmp_path / "m.tflite"
    model.write_bytes(b"TFL3")
    argv = ["--data", str(tmp_path), "--model", str(model), "--split", "cremad_tfds"]
    assert main([command, *argv]) == ConfigError.exit_code
    assert "its manifest has no training.split" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("manifest", "wrong"),
    [
        ("training: {split: [\n", "m.yaml line 2: not valid YAML"),
        ("- a\n", "m.yaml: no mapping of keys to values"),
        ("", "m.yaml: no mapping of keys to values"),
        ("training: research\n", "m.yaml: training='research' must be keys with values"),
        ("training: {split: 3}\n", "m.yaml: training.split=3 is none that export writes"),
        ("training: {corpora: cremad}\n", "m.yaml: training.corpora='cremad' is none that"),
        ("training: {recipe: [1]}\n", "m.yaml: training.recipe=[1] is none that export writes"),
    ],
)
def test_a_damaged_manifest_is_told_before_anything_is_heard(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], manifest: str, wrong: str
) -> None:
    soundfile.write(tmp_path / "1015_DFA_ANG_XX.wav", tone(0.1, 0.5), RATE_HZ)
    model = tmp_path / "m.tflite"
    model.write_bytes(b"TFL3")
    model.with_suffix(".yaml").write_text(manifest)
    argv = ["--data", str(tmp_path), "--model", str(model), "--split", "cremad_tfds"]
    assert main(["evaluate", *argv]) == ModelError.exit_code
    told = capsys.readouterr().err
    assert wrong in told
    assert told.endswith(": export the model again\n")
    assert told.count("\n") == 1


def test_figures_are_recorded_in_no_damaged_manifest(
    figures: dict[str, Any], tmp_path: Path
) -> None:
    model, manifest = tmp_path / "tiny.tflite", tmp_path / "tiny.yaml"
    for content, wrong in (("name: [\n", "not valid YAML"), ("metrics: 3\n", "metrics=3 must be")):
        manifest.write_text(content)
        with pytest.raises(ModelError, match=wrong):
            record(figures, model)
        assert manifest.read_text() == content
    manifest.unlink()
    with pytest.raises(ModelError, match=r"tiny\.yaml: No such file or directory: export"):
        record(figures, model)


def test_the_leaderboard_keeps_and_sorts(
    figures: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "board.csv"
    assert leaderboard.read(table) == []
    leaderboard.keep(figures, "plain:0", table)
    figures["corpora"]["cremad"]["uar"] = 0.99
    leaderboard.keep(figures, "better:1", table)
    leaderboard.keep(figures, "better:1", table)  # measured again: in place of the first time
    rows = leaderboard.read(table)
    assert [(row["recipe"], row["seed"]) for row in rows] == [("better", "1"), ("plain", "0")]
    assert rows[0]["protocol"] == "first:1"
    assert rows[0]["corpus"] == "cremad"
    assert main(["leaderboard", "--table", str(table), "--protocol", "first"]) == 0
    assert "99.0" in capsys.readouterr().out
    assert main(["leaderboard", "--table", str(table), "--protocol", "joint"]) == 0
    assert "nothing kept yet" in capsys.readouterr().out
