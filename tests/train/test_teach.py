"""What a teacher tells: the file of its weights, opinions of strangers only, and their use."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_ser.errors import ConfigError, InputError
from rt_ser.recipes import RECIPES
from tests.train.made_up import cremad_clip, ravdess_clip, small_corpus
from train.augment import Augmenter
from train.corpora import Clip
from train.corpora.clip import LABELS
from train.examples import (
    labelled_examples,
    noise_examples,
    read_examples,
    soft_target,
    together,
)
from train.fit import fit
from train.recipe import TrainRecipe
from train.taught import UNTAUGHT, Lessons
from train.teach.heard import Heard, cached_at, read_heard
from train.teach.lessons import PLACES, lessons, parts_of
from train.teach.whisper import LAYERS, WIDTH, Encoder, variables
from train.trainer import imitation_of

EMOTIONS = ("neutral", "happy", "sad", "angry")
CLIPS = [
    cremad_clip(speaker, emotion, take)
    for speaker in range(1001, 1011)
    for emotion in EMOTIONS
    for take in ("A", "B")
]
WEIGHT = {"cremad": 1.0, "ravdess": 1.0}
RECIPE = TrainRecipe(name="taught", teacher_share=0.5, imitation=1.0, label_smoothing=0.0)


def heard_of(clips: list[Clip], *, signal: float, seed: int = 0) -> Heard:
    """Noise, and as much of the clip's emotion in the first columns as ``signal`` says."""
    pooled = np.random.default_rng(seed).normal(size=(len(clips), 40))
    for row, clip in zip(pooled, clips, strict=True):
        row[clip.target] += signal
    keys = tuple(clip.key for clip in clips)
    return Heard(keys=keys, pooled=pooled.astype(np.float16))


def share_right(taught: Lessons, clips: list[Clip]) -> float:
    return float(np.mean([taught.opinions[c.key].argmax() == c.target for c in clips]))


# Lessons ----------------------------------------------------------------------------------


def test_an_opinion_is_never_learnt_by_heart() -> None:
    """Heads could learn 80 clips of noise by heart; strangers' clips they can only guess."""
    assert share_right(lessons(heard_of(CLIPS, signal=0.0), CLIPS, WEIGHT), CLIPS) < 0.45


def test_an_opinion_is_right_where_the_emotion_can_be_heard() -> None:
    taught = lessons(heard_of(CLIPS, signal=6.0), CLIPS, WEIGHT)
    assert share_right(taught, CLIPS) > 0.9
    for clip in CLIPS:
        opinion = taught.opinions[clip.key]
        assert opinion.sum() == pytest.approx(1.0, abs=1e-5)
        assert opinion[LABELS.index("calm")] == 0.0  # a class that CREMA-D does not have


def test_clips_that_are_not_trained_on_have_no_part_in_lessons() -> None:
    heard = heard_of(CLIPS, signal=1.0)
    others = Heard(keys=heard.keys, pooled=heard.pooled.copy())
    others.pooled[40:] = 77.0
    first, second = (lessons(item, CLIPS[:40], WEIGHT) for item in (heard, others))
    assert set(first.places) == {clip.key for clip in CLIPS[:40]}
    for key, place in first.places.items():
        np.testing.assert_array_equal(place, second.places[key])
        np.testing.assert_array_equal(first.opinions[key], second.opinions[key])


def test_of_a_corpus_with_one_speaker_nobody_else_has_an_opinion() -> None:
    clips = [*CLIPS, ravdess_clip(1, "angry"), ravdess_clip(1, "calm")]
    taught = lessons(heard_of(clips, signal=3.0), clips, WEIGHT)
    assert clips[-1].key in taught.places
    assert clips[-1].key not in taught.opinions


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=60), st.integers(2, 5))
def test_a_speaker_lies_in_one_part(speakers: list[int], parts: int) -> None:
    clips = [cremad_clip(1000 + one, "sad", f"T{n}") for n, one in enumerate(speakers)]
    found = parts_of(clips, parts)
    by_speaker: dict[str, set[int]] = {}
    for clip, part in zip(clips, found.tolist(), strict=True):
        by_speaker.setdefault(clip.speaker, set()).add(part)
    assert all(len(places) == 1 for places in by_speaker.values())
    if len(by_speaker) > 1:
        assert len({*found.tolist()}) == min(parts, len(by_speaker))


def test_places_are_whitened_and_bounded() -> None:
    taught = lessons(heard_of(CLIPS, signal=2.0), CLIPS, WEIGHT)
    placed = np.array([taught.places[clip.key] for clip in CLIPS])
    assert placed.shape == (80, taught.count)
    assert taught.count == 40 <= PLACES
    assert np.abs(placed).max() <= 4.0
    np.testing.assert_allclose(placed.std(axis=0), 1.0, atol=0.1)


# Their use --------------------------------------------------------------------------------


def test_a_target_holds_the_teacher_s_share() -> None:
    clip, opinion = CLIPS[0], np.full(8, 0.125, "f4")
    taught = Lessons(count=0, places={}, opinions={clip.key: opinion})
    alone = soft_target(clip, RECIPE)
    np.testing.assert_allclose(soft_target(clip, RECIPE, taught), 0.5 * alone + 0.5 * opinion)
    np.testing.assert_array_equal(
        soft_target(CLIPS[1], RECIPE, taught), soft_target(CLIPS[1], RECIPE)
    )


def test_a_batch_says_which_of_its_places_are_known() -> None:
    prepared = small_corpus(3)
    clips = prepared.clips
    known = {clip.key: np.arange(4, dtype="f4") for clip in clips[::2]}
    taught = Lessons(count=4, places=known, opinions={})
    examples = together(
        labelled_examples(prepared, clips, RECIPE, taught), read_examples(prepared), 0.1
    )
    recipe = replace(RECIPE, noise_share=0.3)
    maker = Augmenter(examples, noise_examples(prepared), RECIPES[RECIPE.features], recipe)
    batch = maker.draw(np.random.default_rng(0), 64)
    assert np.isfinite(batch.places).all()
    placed = batch.placed > 0
    assert 0 < placed.sum() < 64
    assert not (placed & (batch.speech == 0)).any()
    np.testing.assert_allclose(batch.places[placed], np.tile(np.arange(4.0), (placed.sum(), 1)))


def test_only_places_that_are_known_are_imitated() -> None:
    batch = {"places": torch.ones(3, 2), "placed": torch.tensor([1.0, 0.0, 1.0])}
    said = torch.tensor([[1.0, 1.0], [9.0, 9.0], [1.0, 3.0]])
    assert imitation_of(said, batch) == pytest.approx(1.0)
    assert imitation_of(said, batch | {"placed": torch.zeros(3)}) == 0.0


def test_a_network_is_trained_with_a_teacher(tmp_path: Path) -> None:
    from tests.train.test_tiny_training import RECIPE as TINY

    prepared = small_corpus()
    recipe = replace(TINY, epochs=2, teacher_share=0.5, imitation=1.0)
    heard = heard_of(list(prepared.clips), signal=4.0)
    fit(prepared, recipe, split=None, seed=0, run=tmp_path / "taught", heard=heard)
    fit(prepared, recipe, split=None, seed=0, run=tmp_path / "alone")
    taught, alone = (
        torch.load(tmp_path / name / "weights.pt", weights_only=True)
        for name in ("taught", "alone")
    )
    assert taught.keys() == alone.keys()  # what imitates is not part of the network
    assert any((taught[name] != alone[name]).any() for name in taught)


def test_a_recipe_with_a_teacher_says_what_to_run_first(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"run python -m train teach"):
        read_heard(small_corpus(), tmp_path)


def test_what_was_heard_belongs_to_these_recordings(tmp_path: Path) -> None:
    assert cached_at(small_corpus(2), tmp_path) != cached_at(small_corpus(3), tmp_path)
    assert cached_at(small_corpus(2), tmp_path) == cached_at(small_corpus(2), tmp_path)
    assert UNTAUGHT.count == 0


# The file of weights ----------------------------------------------------------------------


def test_variables_are_read_back() -> None:
    arrays = {"encoder/a": np.arange(6, dtype="<f2").reshape(2, 3), "b": np.array(7, "<i1")}
    codes = {"<f2": 4, "|i1": 1}
    content = struct.pack("<IH", 6, 5) + b"Kind\0" + struct.pack("<II", 3, len(arrays))
    for name, value in arrays.items():
        content += struct.pack("<H", len(name) + 1) + name.encode() + b"\0"
        content += struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)
        content += struct.pack("<BI", codes[value.dtype.str], value.nbytes) + value.tobytes()
    found = dict(variables(content))
    assert found.keys() == arrays.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("content", [None, b"", b"something else"])
def test_other_weights_are_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.bin"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.bin") as caught:
        Encoder(path)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.skipif("RT_SER_TEACHER" not in os.environ, reason="RT_SER_TEACHER: no weights given")
def test_the_encoder_hears_20_ms_frames() -> None:
    samples = np.random.default_rng(0).normal(0.0, 0.1, 16_000).astype(np.float32)
    found = Encoder(Path(os.environ["RT_SER_TEACHER"]))(samples)
    assert [part.shape for part in found] == [(50, WIDTH)] * LAYERS
    assert all(bool(part.isfinite().all()) for part in found)
