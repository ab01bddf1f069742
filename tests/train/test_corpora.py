"""Loaders find each corpus in every layout that people have it in, and each clip once."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from rt_ser.errors import InputError
from train.corpora import (
    CORPUS_LABELS,
    KNOWN_DEFECTS,
    LABELS,
    cremad,
    load_all,
    load_noise,
    load_speech,
    ravdess,
    savee,
    speakers,
    tess,
)

# Loaders read names only, so the files of these trees may be empty.
RAVDESS_FILES = ("Actor_01/03-01-01-01-01-01-01.wav", "Actor_02/03-01-06-02-02-01-02.wav")
CREMAD_FILES = ("1001_DFA_ANG_XX.wav", "1002_IEO_HAP_HI.wav", "1040_ITH_SAD_X.wav")
TESS_FILES = (
    "OAF_angry/OAF_back_angry.wav",
    "OAF_Pleasant_surprise/OAF_back_ps.wav",
    "OAF_neutral/OA_bite_neutral.wav",
    "YAF_fear/YAF_dog_fear.wav",
)
SAVEE_FILES = ("DC/a01.wav", "DC/su15.wav", "KL/n30.wav")
KAGGLE_TESS = "TESS Toronto emotional speech set data"


def grow(root: Path, *names: str) -> Path:
    """Make empty files below ``root``."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def under(prefix: str, names: tuple[str, ...]) -> list[str]:
    """Put a folder before every name."""
    return [f"{prefix}/{name}" for name in names]


RAVDESS_LAYOUTS = {
    "original": under("RAVDESS", RAVDESS_FILES),
    "archive": under("Audio_Speech_Actors_01-24", RAVDESS_FILES),
    "kaggle": [*RAVDESS_FILES, *under("audio_speech_actors_01-24", RAVDESS_FILES)],
    "kaggle, inner tree only": under("ravdess/audio_speech_actors_01-24", RAVDESS_FILES),
}
CREMAD_LAYOUTS = {
    "original": under("CREMA-D/AudioWAV", CREMAD_FILES),
    "kaggle": under("cremad/AudioWAV", CREMAD_FILES),
    "flat": list(CREMAD_FILES),
}
TESS_LAYOUTS = {
    "original": [f"TESS/{name.split('/')[1]}" for name in TESS_FILES],
    "by folder": under("TESS", TESS_FILES),
    "kaggle": [
        *under(KAGGLE_TESS, TESS_FILES),
        *under(f"{KAGGLE_TESS}/{KAGGLE_TESS}", TESS_FILES),
    ],
    "kaggle, inner tree only": under(f"{KAGGLE_TESS}/{KAGGLE_TESS}", TESS_FILES),
}
SAVEE_LAYOUTS = {
    "original": under("AudioData", SAVEE_FILES),
    "kaggle": [f"ALL/{name.replace('/', '_')}" for name in SAVEE_FILES],
}


@pytest.mark.parametrize("files", RAVDESS_LAYOUTS.values(), ids=RAVDESS_LAYOUTS)
def test_ravdess_layouts_give_the_same_clips(tmp_path: Path, files: list[str]) -> None:
    first, second = ravdess.load(grow(tmp_path, *files))
    assert (first.key, first.speaker, first.sex) == (
        "ravdess/03-01-01-01-01-01-01", "ravdess-01", "male",
    )  # fmt: skip
    assert (first.emotion, first.intensity, first.sentence) == ("neutral", "normal", "kids")
    assert (second.emotion, second.intensity, second.sex) == ("fearful", "strong", "female")


@pytest.mark.parametrize("files", CREMAD_LAYOUTS.values(), ids=CREMAD_LAYOUTS)
def test_cremad_layouts_give_the_same_clips(tmp_path: Path, files: list[str]) -> None:
    angry, happy, sad = cremad.load(grow(tmp_path, *files))
    assert (angry.key, angry.emotion, angry.intensity) == (
        "cremad/1001_DFA_ANG_XX", "angry", "unspecified",
    )  # fmt: skip
    assert (happy.speaker, happy.intensity, happy.sentence) == ("cremad-1002", "high", "IEO")
    assert sad.key == "cremad/1040_ITH_SAD_XX", "the misspelled level is put right"
    assert angry.sex == "unknown", "there is no demographics file"
    assert angry.votes is None


@pytest.mark.parametrize("files", TESS_LAYOUTS.values(), ids=TESS_LAYOUTS)
def test_tess_layouts_give_the_same_clips(tmp_path: Path, files: list[str]) -> None:
    clips = {clip.key: clip for clip in tess.load(grow(tmp_path, *files))}
    assert {key: clip.emotion for key, clip in clips.items()} == {
        "tess/oaf_back_angry": "angry",
        "tess/oaf_back_surprised": "surprised",
        "tess/oaf_bite_neutral": "neutral",
        "tess/yaf_dog_fearful": "fearful",
    }
    assert {clip.speaker for clip in clips.values()} == {"tess-oaf", "tess-yaf"}


@pytest.mark.parametrize("files", SAVEE_LAYOUTS.values(), ids=SAVEE_LAYOUTS)
def test_savee_layouts_give_the_same_clips(tmp_path: Path, files: list[str]) -> None:
    clips = {clip.key: clip.emotion for clip in savee.load(grow(tmp_path, *files))}
    assert clips == {
        "savee/DC_a01": "angry", "savee/DC_su15": "surprised", "savee/KL_n30": "neutral",
    }  # fmt: skip


def test_one_root_with_all_corpora_is_parted(tmp_path: Path) -> None:
    files = [
        *RAVDESS_LAYOUTS["kaggle"], *CREMAD_LAYOUTS["kaggle"],
        *TESS_LAYOUTS["kaggle"], *SAVEE_LAYOUTS["kaggle"],
    ]  # fmt: skip
    found = load_all(grow(tmp_path, *files))
    counts = Counter(clip.corpus for clip in found.clips)
    assert counts == {"ravdess": 2, "cremad": 3, "tess": 4, "savee": 3}
    assert len({clip.key for clip in found.clips}) == len(found.clips)


@pytest.mark.parametrize(
    "name",
    [
        "03-02-01-01-01-01-01.wav",  # song
        "01-01-01-01-01-01-01.mp4",  # video
        "03-01-09-01-01-01-01.wav",  # no such emotion
        "03-01-01-01-01-01-25.wav",  # no such actor
        "._03-01-01-01-01-01-01.wav",  # left by macOS archives
        "Actor_01/notes.txt",
    ],
)
def test_files_that_are_no_ravdess_speech_are_left_alone(tmp_path: Path, name: str) -> None:
    assert ravdess.load(grow(tmp_path, name)) == []


@pytest.mark.parametrize("extension", [".opus", ".flac", ".ogg", ".WAV"])
def test_any_container_will_do(tmp_path: Path, extension: str) -> None:
    (clip,) = cremad.load(grow(tmp_path, f"AudioWAV/1001_DFA_ANG_XX{extension}"))
    assert clip.path.suffix == extension


def test_original_coding_is_preferred_beside_a_transcoded_one(tmp_path: Path) -> None:
    grow(tmp_path, "1001_DFA_ANG_XX.opus", "1001_DFA_ANG_XX.wav")
    assert [clip.path.suffix for clip in cremad.load(tmp_path)] == [".wav"]


def test_a_ring_of_links_is_walked_once(tmp_path: Path) -> None:
    grow(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav")
    (tmp_path / "AudioWAV" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert len(cremad.load(tmp_path)) == 1


def test_cremad_tables_give_sex_age_and_votes(tmp_path: Path) -> None:
    grow(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1040_ITH_SAD_X.wav")
    (tmp_path / "VideoDemographics.csv").write_text(
        "ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n"
    )
    (tmp_path / "voice_votes.csv").write_text(
        "FileName,A,D,F,H,N,S\n1001_DFA_ANG_XX,5,1,0,0,3,0\n1040_ITH_SAD_X,0,0,1,0,2,6\n"
    )
    angry, sad = cremad.load(tmp_path)
    assert (angry.sex, angry.age) == ("male", 51)
    assert angry.votes is not None
    assert dict(zip(LABELS, angry.votes, strict=True)) == {
        "neutral": 3, "calm": 0, "happy": 0, "sad": 0,
        "angry": 5, "fearful": 0, "disgust": 1, "surprised": 0,
    }  # fmt: skip
    assert sad.votes is not None
    assert sad.votes[sad.target] == 6
    assert (sad.sex, sad.age) == ("unknown", None)


def test_votes_of_the_corpus_own_table_are_those_of_the_voice(tmp_path: Path) -> None:
    grow(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav", "AudioMP3/1001_DFA_ANG_XX.mp3")
    table = tmp_path / "processedResults" / "tabulatedVotes.csv"
    table.parent.mkdir()
    table.write_text(
        '"","A","D","F","H","N","S","fileName","numResponses"\n'
        '"100062",6,2,0,0,1,0,"1001_DFA_ANG_XX",9\n'
        '"200062",0,0,0,0,9,0,"1001_DFA_ANG_XX",9\n'
        '"300062",9,0,0,0,0,0,"1001_DFA_ANG_XX",9\n'
    )
    (clip,) = cremad.load(tmp_path)
    assert clip.votes == (1, 0, 0, 0, 6, 0, 2, 0)
    assert clip.path.suffix == ".wav"


def test_known_defects_are_dropped_with_their_reasons(tmp_path: Path) -> None:
    grow(tmp_path, "1076_MTI_SAD_XX.wav", "1006_TIE_NEU_XX.wav", "1001_DFA_ANG_XX.wav")
    found = load_all(tmp_path)
    assert [clip.key for clip in found.clips] == ["cremad/1001_DFA_ANG_XX"]
    assert found.dropped == {
        key: KNOWN_DEFECTS[key] for key in ("cremad/1076_MTI_SAD_XX", "cremad/1006_TIE_NEU_XX")
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Actor_01/03-01-01-01-01-01-01.wav", 60),
        ("1001_DFA_ANG_XX.wav", 82),
        ("OAF_back_angry.wav", 7),
        ("DC/a01.wav", 120),
    ],
)
def test_what_a_speaker_lacks_is_known(tmp_path: Path, name: str, expected: int) -> None:
    found = load_all(grow(tmp_path, name))
    assert len(found.missing) == expected - 1
    assert found.clips[0].key not in found.missing


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: root / "nowhere", "is no folder"),
        (lambda root: grow(root, "music.wav"), "holds no clip of"),
    ],
)
def test_a_root_without_corpora_is_refused(
    tmp_path: Path, make: Callable[[Path], Path], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_all(make(tmp_path))


def test_an_unknown_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"corpora=\['iemocap'\] are not known: give some of rav"):
        load_all(tmp_path, ["ravdess", "iemocap"])


def test_noise_takes_of_one_source_belong_together(tmp_path: Path) -> None:
    grow(
        tmp_path,
        "noise/esc10/rain/1-172649-A.opus",
        "noise/esc10/rain/1-172649-B.opus",
        "noise/esc10/rain/2-37806-A.opus",
        "noise/speech_commands/pink_noise.opus",
        "speech/librispeech/103-1240-0000.opus",
    )
    noises = load_noise(tmp_path)
    assert [(noise.category, noise.source) for noise in noises] == [
        ("rain", "1-172649"),
        ("rain", "1-172649"),
        ("rain", "2-37806"),
        ("pink_noise", "pink_noise"),
    ]
    assert [(reading.key, reading.source) for reading in load_speech(tmp_path)] == [
        ("speech/librispeech/103-1240-0000", "103")
    ]


def test_the_corpora_themselves(corpora: Path) -> None:
    found = load_all(corpora)
    by_corpus = {
        name: [clip for clip in found.clips if clip.corpus == name] for name in CORPUS_LABELS
    }
    for name, clips in by_corpus.items():
        assert {clip.emotion for clip in clips} == set(CORPUS_LABELS[name])
    assert len(speakers(by_corpus["ravdess"])) >= 20
    assert len(speakers(by_corpus["cremad"])) >= 72
    assert all(clip.sex != "unknown" for clip in by_corpus["cremad"])
    assert all(clip.votes is not None for clip in by_corpus["cremad"])
    assert set(found.dropped) <= set(KNOWN_DEFECTS)


def test_a_copied_tree_changes_nothing(corpora: Path, tmp_path: Path) -> None:
    """The Kaggle mirror of RAVDESS, made from real names."""
    names = [clip.path for clip in ravdess.load(corpora)][:30]
    for path in names:
        for parent in (tmp_path, tmp_path / "audio_speech_actors_01-24"):
            target = parent / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    mirrored = ravdess.load(tmp_path)
    assert [clip.key for clip in mirrored] == sorted(f"ravdess/{path.stem}" for path in names)
    assert all("audio_speech" not in str(clip.path) for clip in mirrored)
