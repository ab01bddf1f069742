"""What is taught beside labels: opinions of heads that never heard the speaker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="PyTorch is not installed: make test-train")

import torch

from tests.train.made_up import cremad_clip, ravdess_clip
from train.corpora import Clip
from train.corpora.clip import LABELS
from train.examples import CLASSES, class_mask
from train.splits import parts_of
from train.views.lessons import BY_NONE, PLACES, Pupils, lessons

EMOTIONS = ("neutral", "happy", "sad", "angry")
CLIPS = [
    cremad_clip(speaker, emotion, take)
    for speaker in range(1001, 1011)
    for emotion in EMOTIONS
    for take in ("A", "B")
]


def pupils_of(clips: list[Clip], *, signal: float) -> Pupils:
    """Noise, and as much of the clip's emotion in the first columns as ``signal`` says."""
    pooled = np.random.default_rng(0).normal(size=(len(clips), 40))
    for row, clip in zip(pooled, clips, strict=True):
        row[clip.target] += signal
    return Pupils(
        pooled=torch.from_numpy(pooled.astype(np.float16)),
        targets=torch.tensor([clip.target for clip in clips]),
        fitted=torch.from_numpy(np.eye(CLASSES, dtype=np.float32)[[c.target for c in clips]]),
        masks=torch.from_numpy(np.array([class_mask(clip.corpus) for clip in clips])),
        drawn=torch.ones(len(clips)),
        part=torch.from_numpy(parts_of(clips, 5)),
    )


def share_right(pupils: Pupils) -> float:
    _, opinions = lessons(pupils)
    return float((opinions.argmax(1) == pupils.targets).float().mean())


def test_an_opinion_is_never_learnt_by_heart() -> None:
    """Heads could learn 80 clips of noise by heart; strangers' clips they can only guess."""
    assert share_right(pupils_of(CLIPS, signal=0.0)) < 0.45


def test_an_opinion_is_right_where_the_emotion_can_be_heard() -> None:
    pupils = pupils_of(CLIPS, signal=6.0)
    assert share_right(pupils) > 0.9
    _, opinions = lessons(pupils)
    torch.testing.assert_close(opinions.sum(1), torch.ones(len(CLIPS)))
    assert (opinions[:, LABELS.index("calm")] == 0).all()  # a class that CREMA-D does not have


def test_what_much_varies_with_counts_for_more_than_what_little_does() -> None:
    """Thirty columns tell of each emotion; as loud as the noise between them, 66 % are right."""
    clips = [
        cremad_clip(speaker, emotion, take)
        for speaker in range(1001, 1041)
        for emotion in EMOTIONS
        for take in ("A", "B")
    ]
    pupils = pupils_of(clips, signal=0.0)
    columns = np.repeat([LABELS.index(emotion) for emotion in EMOTIONS], 30)
    pooled = np.random.default_rng(1).normal(size=(len(clips), len(columns)))
    pooled += 0.8 * (pupils.targets.numpy()[:, None] == columns)
    assert share_right(replace(pupils, pooled=torch.from_numpy(pooled.astype(np.float16)))) > 0.9


def test_heads_that_are_told_votes_say_what_the_crowd_hears() -> None:
    """The crowd hears every second time that somebody is angry as neutral."""
    pupils = pupils_of(CLIPS, signal=6.0)
    angry, neutral = LABELS.index("angry"), LABELS.index("neutral")
    fitted = pupils.fitted.clone()
    fitted[:, neutral] += 0.5 * fitted[:, angry]
    fitted[:, angry] *= 0.5
    rows = pupils.targets == angry
    for told, least, most in ((pupils.fitted, 0.0, 0.15), (fitted, 0.35, 0.75)):
        _, opinions = lessons(replace(pupils, fitted=told))
        assert least <= float(opinions[rows, neutral].mean()) <= most


def test_of_a_corpus_with_one_speaker_nobody_else_has_an_opinion() -> None:
    clips = [*CLIPS, ravdess_clip(1, "angry"), ravdess_clip(1, "calm")]
    _, opinions = lessons(pupils_of(clips, signal=3.0))
    assert (opinions[-2:] == 0).all()
    assert (opinions[:-2].sum(1) > 0.99).all()


def test_people_who_read_are_placed_and_not_judged() -> None:
    pupils = pupils_of(CLIPS, signal=3.0)
    part = pupils.part.clone()
    part[:4] = BY_NONE
    places, opinions = lessons(replace(pupils, part=part))
    assert (opinions[:4] == 0).all()
    assert (places[:4] != 0).any(1).all()


def test_places_are_whitened_and_bounded() -> None:
    places, _ = lessons(pupils_of(CLIPS, signal=2.0))
    assert places.shape == (80, 40)
    assert places.shape[1] <= PLACES
    assert places.abs().max() <= 4.0
    np.testing.assert_allclose(places.float().std(0).numpy(), 1.0, atol=0.1)


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
