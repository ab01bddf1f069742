"""No speaker, and no recording, on both sides of any protocol."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from rt_ser.errors import ConfigError
from train.corpora import LABELS, Clip, load_all
from train.decode import audio_hash, decode
from train.splits import FOLDER, Split, folds, load_split, protocols

ALL_FOLDS = [split for name in protocols() for split in folds(name)]
NINE = {f"cremad-{n}" for n in (1015, 1020, 1021, 1030, 1050, 1070, 1079, 1089, 1090)}


def clip(speaker: str, emotion: str = "happy") -> Clip:
    """Make a clip of which only speaker and emotion matter."""
    corpus = speaker.split("-")[0]
    return Clip(
        key=f"{speaker}/{emotion}", path=Path(), corpus=corpus, speaker=speaker, sex="unknown",
        emotion=emotion,
    )  # fmt: skip


EVERYBODY = [
    clip(speaker, emotion)
    for speaker in (
        *(f"ravdess-{n:02}" for n in range(1, 25)),
        *(f"cremad-{n}" for n in range(1001, 1092)),
        *(f"savee-{name}" for name in ("DC", "JE", "JK", "KL")),
        *(f"tess-{name}" for name in ("oaf", "yaf")),
    )
    for emotion in LABELS
]


def test_the_protocols_promised_are_there() -> None:
    assert set(protocols()) == {
        "cremad_5fold", "cremad_tfds", "first", "joint", "loco", "ravdess_folds", "savee_loso",
    }  # fmt: skip


@pytest.mark.parametrize("split", ALL_FOLDS, ids=lambda split: split.name)
def test_no_speaker_is_on_both_sides(split: Split) -> None:
    train, test = split.divide(EVERYBODY)
    assert train
    assert test
    assert {clip.speaker for clip in train} & {clip.speaker for clip in test} == set()


@pytest.mark.parametrize("split", ALL_FOLDS, ids=lambda split: split.name)
def test_every_name_in_a_split_is_a_speaker_or_a_corpus(split: Split) -> None:
    known = {clip.speaker for clip in EVERYBODY} | {clip.corpus for clip in EVERYBODY}
    assert split.test <= known


def test_first_tests_the_ravdess_fold_and_the_nine_actors() -> None:
    split = load_split("first")
    assert split.test == NINE | {f"ravdess-{n}" for n in ("01", "11", "20", "21")}


def test_cremad_tfds_is_the_published_validation_set() -> None:
    assert load_split("cremad_tfds").test == NINE


@pytest.mark.parametrize("number", range(1, 6))
def test_joint_folds_are_the_folds_of_their_corpora(number: int) -> None:
    parts = load_split(f"ravdess_folds:{number}").test | load_split(f"cremad_5fold:{number}").test
    rest = load_split(f"joint:{number}").test - parts
    assert parts <= load_split(f"joint:{number}").test
    assert all(name.startswith("savee-") for name in rest)


def test_cremad_folds_cover_72_actors_balanced_in_sex(corpora: Path) -> None:
    sexes = {clip.speaker: clip.sex for clip in load_all(corpora, ["cremad"]).clips}
    counts = [Counter(sexes[name] for name in split.test) for split in folds("cremad_5fold")]
    assert sum(sum(count.values()) for count in counts) == 72
    assert all(count["male"] == 7 and count["female"] in (7, 8) for count in counts)


def test_leaving_a_corpus_out_scores_four_classes_and_trains_on_none_of_it() -> None:
    split = load_split("loco:savee")
    train, test = split.divide(EVERYBODY)
    assert split.classes_of("savee") == ("neutral", "happy", "sad", "angry")
    assert {clip.emotion for clip in test} == {"neutral", "happy", "sad", "angry"}
    assert all(clip.corpus != "savee" for clip in train)
    assert split.side(clip("savee-DC", "disgust")) is None


def test_classes_follow_the_corpus_in_model_order() -> None:
    assert load_split("first").classes_of("cremad") == (
        "neutral", "happy", "sad", "angry", "fearful", "disgust",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("random", "split='random' is not known: give one of cremad_5fold, cremad_tfds, first"),
        ("joint", "split='joint' is not known: give one of joint:1, joint:2"),
        ("joint:9", "split='joint:9' is not known: give one of joint:1"),
        ("../first", "split='../first' is not known"),
    ],
)
def test_an_unknown_split_is_refused_with_the_choice(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_split(name)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            {"folds": {"1": {"test": ["savee-DC"]}, "2": {"test": ["savee-DC"]}}},
            "twice.yaml: ['savee-DC'] lie in two folds",
        ),
        ({"classes": ["bored"], "folds": {"1": {"test": ["savee"]}}}, "twice.yaml: classes="),
        ({"classes": "sad", "folds": {"1": {"test": ["savee"]}}}, "twice.yaml: classes='sad' must"),
        ({"source": "here"}, "twice.yaml: folds=None must each have a list, test: ["),
        ({"folds": ["savee"]}, "twice.yaml: folds=['savee'] must each have a list, test: ["),
        ({"folds": {"1": {"test": "savee"}}}, "twice.yaml: folds={'1': {'test': 'savee'}} must"),
    ],
)
def test_a_bad_protocol_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree: dict[str, object], message: str
) -> None:
    (tmp_path / "twice.yaml").write_text(yaml.safe_dump(tree))
    monkeypatch.setattr("train.splits.FOLDER", tmp_path)
    with pytest.raises(ConfigError) as caught:
        folds("twice")
    assert str(caught.value).startswith(message)


def test_a_protocol_that_is_no_yaml_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torn.yaml").write_text("folds: {1: {test: [savee\n")
    monkeypatch.setattr("train.splits.FOLDER", tmp_path)
    with pytest.raises(ConfigError, match=r"torn\.yaml line 2: not valid YAML: .*: write it as"):
        folds("torn")


def test_every_protocol_says_where_it_is_from() -> None:
    for path in FOLDER.glob("*.yaml"):
        assert yaml.safe_load(path.read_text())["source"], path.name


@pytest.fixture(scope="module")
def fingerprints(corpora: Path) -> dict[str, str]:
    """Hash the audio of every RAVDESS and SAVEE clip: a minute's work for all would be CREMA-D."""
    clips = load_all(corpora, ["ravdess", "savee"]).clips
    return {clip.key: audio_hash(decode(clip.path)) for clip in clips}


def test_no_recording_is_on_both_sides(corpora: Path, fingerprints: dict[str, str]) -> None:
    clips = load_all(corpora, ["ravdess", "savee"]).clips
    for split in (*folds("ravdess_folds"), *folds("savee_loso"), *folds("joint")):
        train, test = split.divide(clips)
        heard = {fingerprints[clip.key] for clip in train}
        assert [clip.key for clip in test if fingerprints[clip.key] in heard] == []
