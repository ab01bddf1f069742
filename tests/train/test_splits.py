"""No speaker, and no recording of any corpus, on both sides of any protocol."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from rt_ser.config import Settings
from rt_ser.errors import ConfigError, InputError
from train.cache import cache_key
from train.clips import clip_features
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


@pytest.fixture(scope="module")
def recordings(corpora: Path) -> tuple[Clip, ...]:
    """All clips that are there, of whichever corpora."""
    try:
        return load_all(corpora).clips
    except InputError as error:
        pytest.skip(str(error))


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


def test_cremad_folds_cover_72_actors_balanced_in_sex(recordings: tuple[Clip, ...]) -> None:
    sexes = {clip.speaker: clip.sex for clip in recordings if clip.corpus == "cremad"}
    if not sexes:
        pytest.skip("CREMA-D is not there: set RT_SER_DATA to a folder that holds it")
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


def payload(path: Path) -> bytes:
    """Return a recording as it is coded: all of a file, or what its Ogg pages carry.

    Each Ogg file has a serial number and checksums of its own, so that two of the same
    audio are never the same. The first two pages tell who coded it.
    """
    content = path.read_bytes()
    if not content.startswith(b"OggS"):
        return content
    pages, start = [], 0
    while start < len(content):
        lengths = content[start + 27 : start + 27 + content[start + 26]]
        first = start + 27 + len(lengths)
        pages.append(content[first : first + sum(lengths)])
        start = first + sum(lengths)
    return b"".join(pages[2:])


def both_sides(clips: Sequence[Clip], prints: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return the protocols, and the clips that they test on, whose audio they train on too."""
    found = []
    for split in ALL_FOLDS:
        train, test = split.divide(clips)
        heard = {prints[clip.key] for clip in train}
        found += [(split.name, clip.key) for clip in test if prints[clip.key] in heard]
    return found


def test_no_recording_is_on_both_sides(recordings: tuple[Clip, ...]) -> None:
    """Of every corpus there is, as the files hold them."""
    prints = {clip.key: hashlib.sha256(payload(clip.path)).digest() for clip in recordings}
    assert both_sides(recordings, prints) == []


def test_the_same_audio_is_seen_to_be_the_same(corpora: Path) -> None:
    """By pairs that are known to be published twice: the test above can fail."""
    pairs = {
        ("1006_TIE_NEU_XX", "1006_TIE_HAP_XX"),
        ("1013_WSI_DIS_XX", "1013_WSI_SAD_XX"),
        ("1017_IWW_ANG_XX", "1017_IWW_FEA_XX"),
        ("03-01-03-01-02-01-07", "03-01-03-01-02-02-07"),
    }
    found = {path.stem: path for path in corpora.rglob("*.*")}
    there = [(found[one], found[other]) for one, other in pairs if {one, other} <= found.keys()]
    if not there:
        pytest.skip("no recording that was published twice is there: add CREMA-D's actor 1006")
    for one, other in there:
        assert payload(one) == payload(other)
        assert audio_hash(decode(one)) == audio_hash(decode(other))


def fingerprints(clips: Sequence[Clip], cache: Path) -> dict[str, str]:
    """Hash decoded audio, silence at either end aside; read it where ``prepare`` did so before.

    Nothing of CREMA-D without its cache: that would be a minute's work.
    """
    prints: dict[str, str] = {}
    for name in sorted({clip.corpus for clip in clips}):
        own = [clip for clip in clips if clip.corpus == name]
        key = cache_key([(clip.key, clip.path) for clip in own], Settings(), clip_features)
        path = cache / f"{name}-{key}.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as arrays:
                measured = json.loads(str(arrays["measured"]))
            prints |= {item["key"]: item["fingerprint"] for item in measured if not item["fault"]}
        elif name != "cremad":
            prints |= {clip.key: audio_hash(decode(clip.path)) for clip in own}
    return prints


def test_no_recording_is_on_both_sides_padded_or_coded_anew(
    repo_root: Path, recordings: tuple[Clip, ...]
) -> None:
    prints = fingerprints(recordings, repo_root / ".cache" / "train")
    clips = [clip for clip in recordings if clip.key in prints]
    if not clips:
        pytest.skip("CREMA-D alone is there, and no features of it: python -m train prepare")
    assert both_sides(clips, prints) == []
