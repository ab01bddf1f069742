"""A person's own voice: what is learnt, how far it goes, and what it changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rt_ser import Analyzer, Settings, Utterance
from rt_ser.api import replay
from rt_ser.config import ModelSettings
from rt_ser.errors import ConfigError, InputError, ModelError, OutputError
from rt_ser.model import AttunedClassifier, attuned, find_manifest, shared_classifier
from rt_ser.stream_events import Loudest
from rt_ser.testing import FAKE_MANIFEST, LABELS, FakeClassifier
from rt_ser.types import F32, RATE_HZ, Prediction, freeze
from rt_ser.voice import MOST_SHIFT, OwnVoice, check_target, learn, read_voice, save_voice
from tests.program import events, run, told
from tests.vmic import VirtualMicrophone, missing
from tests.vmic import virtual_microphone as virtual_microphone

ORDINARY = (-0.6, -2.6, -3.8, -2.7, -4.9, -4.1, -4.0, -4.2)
MANIFEST = replace(FAKE_MANIFEST, ordinary=ORDINARY)
SHIFT = (-0.5, 0.0, 0.25, -0.1, 0.5, 0.3, 0.2, 0.1)


def utterance(probs: F32, speech_s: float = 4.0) -> Utterance:
    """Say something as a whole; only probabilities and duration matter."""
    samples = round(speech_s * RATE_HZ)
    return Utterance(
        number=0, labels=LABELS, label="neutral", probs=probs, confidence=1.0, valence=0.0,
        arousal=0.0, start=0, stop=samples, decided=samples, speech_samples=samples, windows=1,
        trajectory=(), loudest=Loudest(stop=0, level_dbfs=-20.0),
    )  # fmt: skip


def prediction(probs: F32) -> Prediction:
    return Prediction(
        probs=freeze(probs), speech_prob=1.0, start=0, stop=1, utterance=0, inference_ms=0.0
    )


def sounding(**more: float) -> F32:
    """Sound as strangers do, some labels so many nats more."""
    logs = np.array(ORDINARY) + [more.get(label, 0.0) for label in LABELS]
    probs: F32 = (np.exp(logs) / np.exp(logs).sum()).astype(np.float32)
    return probs


def test_who_sounds_as_strangers_do_is_heard_as_they_are() -> None:
    voice = learn([utterance(sounding())], MANIFEST)
    assert voice.shift == pytest.approx([0.0] * 8, abs=1e-3)
    probs = sounding(angry=1.0)
    assert voice.attune(prediction(probs)).probs == pytest.approx(probs, abs=1e-3)


def test_who_always_sounds_angry_is_heard_less_so() -> None:
    voice = learn([utterance(sounding(angry=1.0))], MANIFEST)
    assert LABELS[int(np.argmax(voice.shift))] == "angry"
    probs = sounding(angry=4.5)
    angry = LABELS.index("angry")
    assert voice.attune(prediction(probs)).probs[angry] < probs[angry] - 0.05


def test_the_longer_somebody_speaks_the_more_is_believed() -> None:
    shifts = [
        max(learn([utterance(sounding(sad=0.6), seconds)], MANIFEST).shift)
        for seconds in (2.0, 4.0, 12.0, 60.0)
    ]
    assert shifts == sorted(shifts)
    assert shifts[0] < shifts[-1] / 2


def test_utterances_count_by_their_speech() -> None:
    told = [utterance(sounding(), 1.0), utterance(sounding(happy=0.5), 9.0)]
    whole = learn([utterance(sounding(happy=0.45), 10.0)], MANIFEST)
    assert learn(told, MANIFEST).shift == pytest.approx(whole.shift, abs=0.02)


probabilities = st.lists(st.floats(0.0, 1.0), min_size=8, max_size=8).filter(any)


@given(probabilities, probabilities, st.floats(2.0, 600.0))
def test_no_class_is_moved_far_and_probabilities_remain(
    ordinary: list[float], judged: list[float], seconds: float
) -> None:
    spoken, heard = (
        np.array(values, np.float32) / np.float32(sum(values)) for values in (ordinary, judged)
    )
    voice = learn([utterance(spoken, seconds)], MANIFEST)
    assert max(map(abs, voice.shift)) <= MOST_SHIFT
    probs = voice.attune(prediction(heard)).probs
    assert probs.sum() == pytest.approx(1.0, abs=1e-5)
    most = np.exp(2 * MOST_SHIFT) * 1.001
    assert (probs <= heard * most + 1e-6).all()
    assert (heard <= probs * most + 1e-6).all()


@pytest.mark.parametrize("spoken", [[], [utterance(sounding(), 1.9)]])
def test_too_little_speech_is_refused(spoken: list[Utterance]) -> None:
    with pytest.raises(InputError, match=r"^\d\.\d s of speech are too few to learn a voice from"):
        learn(spoken, MANIFEST)


def test_a_model_that_knows_no_strangers_learns_no_voice() -> None:
    with pytest.raises(ModelError, match="model fake does not tell how strangers sound"):
        learn([utterance(sounding())], FAKE_MANIFEST)


def test_a_voice_is_written_and_read(tmp_path: Path) -> None:
    voice = learn([utterance(sounding(fearful=0.3))], MANIFEST)
    save_voice(voice, tmp_path / "me.yaml")
    assert read_voice(tmp_path / "me.yaml", MANIFEST) == voice
    assert [path.name for path in tmp_path.iterdir()] == ["me.yaml"]


def test_a_voice_holds_numbers_alone(tmp_path: Path) -> None:
    save_voice(learn([utterance(sounding())], MANIFEST), tmp_path / "me.yaml")
    tree = yaml.safe_load((tmp_path / "me.yaml").read_text())
    assert set(tree) == {"model", "sha256", "speech_s", "shift"}
    assert (tmp_path / "me.yaml").stat().st_size < 500


def test_a_voice_that_cannot_be_written_is_an_error_in_one_line(tmp_path: Path) -> None:
    voice = learn([utterance(sounding())], MANIFEST)
    with pytest.raises(OutputError, match=r"no/me\.yaml: No such file or directory"):
        save_voice(voice, tmp_path / "no" / "me.yaml")


BILLIONS = b"model: &a [x, x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (letter, letter, b", ".join([b"*%c" % (letter - 1)] * 9))
    for letter in range(ord("b"), ord("n"))
)
"""Lists of lists, written with aliases in 600 bytes."""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no voice"),
        (BILLIONS + b"sha256: *m\nspeech_s: 4\nshift: [0]\n", "no voice"),
        (b"shift: [1, 2", "no voice"),
        (b"\xff\xfe\x00", "no voice"),
        (b"[" * 15_000, "no voice"),
        (b"model: a\n" * 9_000, "no voice"),
        (b"model: a\nsha256: ''\nspeech_s: 4\n", "no voice"),
        (b"model: a\nsha256: ''\nspeech_s: 4\nshift: 3\n", "no voice"),
        (b"model: a\nsha256: ''\nspeech_s: 4\nshift: [0, 0]\n", r"shift=\[0\.0, 0\.0\] must be 8"),
        (b"model: a\nsha256: ''\nspeech_s: 4\nshift: [.nan,0,0,0,0,0,0,0]\n", "must be 8 numbers"),
        (b"model: a\nsha256: ''\nspeech_s: 4\nshift: [9,0,0,0,0,0,0,0]\n", "must be 8 numbers"),
    ],
)
def test_what_is_no_voice_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "me.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_voice(path, MANIFEST)
    assert "\n" not in str(caught.value)
    assert "rt-ser enroll" in str(caught.value)


def test_a_missing_voice_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory: make one with rt-ser enroll"):
        read_voice(tmp_path / "me.yaml", MANIFEST)


def test_another_models_voice_is_refused(tmp_path: Path) -> None:
    save_voice(learn([utterance(sounding())], MANIFEST), tmp_path / "me.yaml")
    with pytest.raises(ModelError, match=r"learnt for another model \(fake\), not this research"):
        attuned(shared_classifier("research"), str(tmp_path / "me.yaml"))


def test_a_voice_is_taken_off_one_model_once() -> None:
    classifier = FakeClassifier(manifest=MANIFEST)
    voice = learn([utterance(sounding(angry=1.0))], MANIFEST)
    once = AttunedClassifier(classifier, voice)
    twice = AttunedClassifier(once, voice)
    assert once.manifest.name == twice.manifest.name == "fake+voice"
    assert twice.unattuned is classifier
    with pytest.raises(ModelError, match=r"^this voice: learnt for another model \(fake\), "):
        AttunedClassifier(classifier, replace(voice, sha256="0" * 64))
    with pytest.raises(ModelError, match=r"this voice has 6 values, model fake 8 labels: make it"):
        AttunedClassifier(classifier, replace(voice, shift=voice.shift[:6]))


def test_no_voice_is_learnt_from_what_another_model_said() -> None:
    other = replace(utterance(sounding()), labels=LABELS[:-1])
    with pytest.raises(InputError, match=r"is none of model fake, which has \['neutral', "):
        learn([utterance(sounding()), other], MANIFEST)


def test_a_voice_whose_name_is_too_long_is_refused_before_anybody_speaks(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"m\.yaml: File name too long: give another file$"):
        check_target(tmp_path / ("m" * 300 + ".yaml"))


def test_nothing_else_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("vad: {mode: 1}\n")
    with pytest.raises(ConfigError, match="is there and holds no voice"):
        check_target(tmp_path / "config.yaml")
    with pytest.raises(ConfigError, match=r"ends in \.yaml, recordings after it"):
        check_target(tmp_path / "talk.wav")
    with pytest.raises(OutputError, match="no such folder"):
        check_target(tmp_path / "no" / "me.yaml")
    save_voice(learn([utterance(sounding())], MANIFEST), tmp_path / "me.yaml")
    check_target(tmp_path / "me.yaml")


@pytest.fixture
def my_voice(tmp_path: Path) -> Path:
    """A voice for the model that ships, far from strangers'."""
    manifest = find_manifest("research")
    voice = OwnVoice(model="research", sha256=manifest.sha256, shift=SHIFT, speech_s=9.0)
    save_voice(voice, tmp_path / "me.yaml")
    return tmp_path / "me.yaml"


def test_every_window_of_a_stream_is_attuned(my_voice: Path, recording: Path) -> None:
    known = Settings(model=ModelSettings(voice=str(my_voice)))
    with replay(recording) as strange, replay(recording, settings=known) as attuned_stream:
        pairs = list(zip(strange, attuned_stream, strict=True))
    judged = [pair for pair in pairs if pair[0].label]
    assert len(judged) > 5
    scale = np.exp(-np.array(SHIFT))
    for stranger, mine in judged:
        weights = stranger.window_probs * scale
        assert mine.window_probs == pytest.approx(weights / weights.sum(), abs=1e-5)
        assert (mine.stop, mine.speech_prob) == (stranger.stop, stranger.speech_prob)


def test_a_voice_takes_the_place_of_one_that_is_there(my_voice: Path, recording: Path) -> None:
    known = Settings(model=ModelSettings(voice=str(my_voice)))
    mine = attuned(shared_classifier("research"), str(my_voice))
    with replay(recording, settings=known) as stream:
        once = [estimate.window_probs for estimate in stream if estimate.label]
    with replay(recording, model=mine, settings=known) as stream:
        twice = [estimate.window_probs for estimate in stream if estimate.label]
    assert once
    assert np.array_equal(once, twice)


def test_pushing_and_pulling_hear_the_same_person(
    my_voice: Path, recording: Path, demo_samples: F32
) -> None:
    known = Settings(model=ModelSettings(voice=str(my_voice)))
    with replay(recording, settings=known) as stream:
        pulled = [estimate.window_probs for estimate in stream]
    analyzer = Analyzer(settings=known)
    pcm = np.rint(demo_samples[:144_000] * 32_767).astype(np.int16)
    pushed = [estimate.window_probs for estimate in [*analyzer.feed(pcm), *analyzer.flush()]]
    assert len(pulled) == len(pushed) > 5
    assert np.allclose(pulled, pushed, atol=1e-3)


# The program ------------------------------------------------------------------------------


def test_enrolling_from_a_recording(recording: Path, tmp_path: Path) -> None:
    done = run("enroll", "me.yaml", "talk.wav", home=tmp_path)
    assert done.returncode == 0
    voice = read_voice(tmp_path / "me.yaml", find_manifest("research"))
    assert told(done) == [
        f"rt-ser: me.yaml: learnt from {voice.speech_s:.1f} s of speech, for model research; "
        "use it: rt-ser listen --voice me.yaml"
    ]
    assert done.stdout == ""
    strange = run("replay", "talk.wav", "--jsonl", home=tmp_path)
    known = run("replay", "talk.wav", "--jsonl", "--voice", "me.yaml", home=tmp_path)
    assert known.returncode == 0
    assert known.stdout != strange.stdout
    before, after = events(strange.stdout), events(known.stdout)
    assert len(before) == len(after)
    assert {event["model"] for event in before if "model" in event} == {"research"}
    assert {event["model"] for event in after if "model" in event} == {"research+voice"}


def test_the_advice_names_a_model_that_is_not_the_usual_one(
    recording: Path, tmp_path: Path
) -> None:
    done = run("enroll", "me.yaml", "talk.wav", "--model", "open", home=tmp_path)
    assert told(done)[-1].endswith("use it: rt-ser listen --model open --voice me.yaml")
    used = run("replay", "talk.wav", "--model", "open", "--voice", "me.yaml", home=tmp_path)
    assert used.returncode == 0


def test_what_is_wrong_with_the_input_is_told(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "dead.wav", np.zeros(11 * RATE_HZ), RATE_HZ)
    done = run("enroll", "me.yaml", "dead.wav", home=tmp_path)
    assert done.returncode == 3
    assert told(done)[0].startswith(
        "rt-ser: warning: input is silent since 10 s, nothing but zeros"
    )


def test_enrolling_does_not_build_on_an_earlier_voice(recording: Path, tmp_path: Path) -> None:
    run("enroll", "me.yaml", "talk.wav", home=tmp_path)
    first = (tmp_path / "me.yaml").read_bytes()
    again = run("enroll", "me.yaml", "talk.wav", "--voice", "me.yaml", home=tmp_path)
    assert again.returncode == 0
    assert (tmp_path / "me.yaml").read_bytes() == first


def test_a_failed_enrolment_leaves_what_was_there(recording: Path, tmp_path: Path) -> None:
    run("enroll", "me.yaml", "talk.wav", home=tmp_path)
    first = (tmp_path / "me.yaml").read_bytes()
    soundfile.write(tmp_path / "quiet.wav", np.zeros(32_000), RATE_HZ)
    done = run("enroll", "me.yaml", "quiet.wav", home=tmp_path)
    assert done.returncode == 3
    assert told(done) == [
        "rt-ser: 0.0 s of speech are too few to learn a voice from: give 2 s or more, best 15"
    ]
    assert (tmp_path / "me.yaml").read_bytes() == first


def test_a_recording_is_not_taken_for_the_file_to_write(recording: Path, tmp_path: Path) -> None:
    before = recording.read_bytes()
    done = run("enroll", "talk.wav", home=tmp_path)
    assert done.returncode == 2
    assert told(done) == [
        "rt-ser: talk.wav would be the voice's file: give one that ends in .yaml, "
        "recordings after it"
    ]
    assert recording.read_bytes() == before


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_enrolling_at_a_microphone(
    virtual_microphone: VirtualMicrophone, demo_samples: F32, tmp_path: Path
) -> None:
    """It ends by itself when enough has been said."""
    pcm = np.rint(demo_samples * 32_767).clip(-32_768, 32_767).astype(np.int16)
    virtual_microphone.play(np.tile(pcm, 2))
    done = run("enroll", "me.yaml", "--seconds", "4", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert told(done)[0] == "rt-ser: speak for 4 s as you always do, or read something aloud"
    assert 2.0 < read_voice(tmp_path / "me.yaml", find_manifest("research")).speech_s < 8.0
