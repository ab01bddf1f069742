"""Views: what network and teacher are shown alike."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="PyTorch is not installed: make test-train")

import torch

from rt_ser.config import Settings
from rt_ser.recipes import RECIPES
from rt_ser.types import F32, RATE_HZ
from tests.train.made_up import voice
from tests.train.small_school import STRAIGHT
from train.clips import clip_features, rows_of
from train.recipe import Augmentation
from train.views.draw import STEP, Scenery, Views, draw_views, equally_long, levels, shifted
from train.views.heard_mel import MELS, heard_mel
from train.views.sounds import SPEEDS, Sounds, utterances

FEATURES = RECIPES["logmel64-v1"]
CPU = torch.device("cpu")
BENT = Augmentation(partial=0.4, stretch=0.2, mel_shift=2.0, babble=0.3)


def made_sounds(counts: list[int], speeds: int = 3, seed: int = 0) -> Sounds:
    """Utterances of noise, as long at every speed."""
    rng = np.random.default_rng(seed)
    count = np.tile(np.array(counts, np.int64), (speeds, 1))
    first = (np.cumsum(count) - count.ravel()).reshape(count.shape)
    return Sounds(
        seen=rng.normal(-8.0, 2.0, (count.sum(), 64)).astype(np.float16),
        heard=rng.normal(-3.0, 1.0, (count.sum(), MELS)).astype(np.float16),
        first=first, count=count, owner=np.arange(len(counts)),
    )  # fmt: skip


# Sounds -----------------------------------------------------------------------------------


def test_as_recorded_the_rows_are_those_of_the_live_pipeline() -> None:
    samples = voice(2, 7)
    live = clip_features(samples, Settings())
    found = utterances(samples, live.spans, 1.0)
    for (start, stop), (seen, heard) in zip(live.spans.tolist(), found, strict=True):
        first, last = rows_of(start, stop)
        np.testing.assert_array_equal(seen, live.log_mel[first:last])
        assert heard.shape == (len(seen), MELS)


@pytest.mark.parametrize("speed", SPEEDS[1:])
def test_faster_is_shorter_and_higher(speed: float) -> None:
    tone = (0.1 * np.sin(2 * np.pi * 1000.0 * np.arange(2 * RATE_HZ) / RATE_HZ)).astype("f4")
    span = np.array([[4_000, 28_000]])
    ((plain, _),), ((played, _),) = (utterances(tone, span, one) for one in (1.0, speed))
    assert len(played) == pytest.approx(len(plain) / speed, abs=2)
    centres = np.arange(64)
    peaks = [float((centres * np.exp(rows.mean(0))).sum() / np.exp(rows.mean(0)).sum())
             for rows in (plain.astype("f8"), played.astype("f8"))]  # fmt: skip
    assert (peaks[1] - peaks[0]) * (speed - 1.0) > 0


def test_an_utterance_without_samples_enough_has_no_rows() -> None:
    ((seen, heard),) = utterances(np.zeros(600, "f4"), np.array([[0, 600]]), 1.16)
    assert len(seen) == len(heard) <= 1


def test_what_is_heard_is_whisper_s_own_mel() -> None:
    """Its frames, as librosa makes them, in the middle of ours."""
    librosa = pytest.importorskip("librosa", reason="librosa is not installed: make test-train")
    samples = np.random.default_rng(0).normal(0.0, 0.1, 8_000).astype("f4")
    power = librosa.feature.melspectrogram(
        y=samples[56:], sr=RATE_HZ, n_fft=400, hop_length=160, n_mels=80, center=False
    )
    found = heard_mel(samples)
    np.testing.assert_allclose(found, np.log10(power).T, atol=2e-5)
    assert len(found) >= 1 + (len(samples) - 512) // 160, "as many rows as the network has"


# Views ------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=12),
    st.sampled_from([144, 256]),
    st.integers(0, 2**32 - 1),
)
def test_views_lie_within_their_utterance(counts: list[int], frames: int, seed: int) -> None:
    sounds = made_sounds(counts)
    chosen = np.arange(len(counts)).repeat(5)
    views = draw_views(np.random.default_rng(seed), sounds, chosen, frames, BENT, chosen[:1])
    assert (views.rows % STEP == 0).all()
    assert ((views.rows >= STEP) & (views.rows <= frames)).all()
    last = views.start + (views.rows - 1) * views.rate
    assert (views.start >= 0).all()
    assert (last <= sounds.count[views.speed, views.utterance] - 1 + 1e-2).all()
    assert set(views.beside.tolist()) <= {-1, 0}


def test_a_view_that_is_not_bent_is_what_was_recorded() -> None:
    sounds = made_sounds([40, 70], speeds=1)
    views = draw_views(
        np.random.default_rng(0), sounds, np.array([0, 1]), 256, STRAIGHT, np.zeros(0, np.int64)
    )
    scenery = Scenery(sounds, CPU)
    for part in equally_long(views):
        seen, heard = scenery.cut(views.take(part))
        for index, one, other in zip(part, seen.numpy(), heard.numpy(), strict=True):
            begin = int(sounds.first[0, views.utterance[index]]) + views.start[index]
            at = begin + np.arange(views.rows[index])
            np.testing.assert_allclose(one, between(sounds.seen, at), atol=1e-3)
            np.testing.assert_allclose(other, between(sounds.heard, at), atol=1e-3)


def between(rows: np.ndarray, at: F32) -> F32:
    low = np.floor(at).astype(int)
    share = (at - low)[:, None]
    above = rows[np.minimum(low + 1, len(rows) - 1)].astype("f4")
    return rows[low].astype("f4") * (1 - share) + above * share


def test_network_and_teacher_are_shown_the_same_moments() -> None:
    """A click, stretched and cut, lies in the same row of both."""
    sounds = made_sounds([300] * 4)
    quiet = replace(
        sounds, seen=np.full_like(sounds.seen, -9), heard=np.full_like(sounds.heard, -4)
    )
    for start in quiet.first.ravel():
        quiet.seen[start + 60 : start + 63] = 3
        quiet.heard[start + 60 : start + 63] = 1
    bent = replace(BENT, babble=0.0, tilt=0.0, equaliser=0.0)
    chosen = np.arange(4).repeat(20)
    views = draw_views(np.random.default_rng(1), quiet, chosen, 256, bent, chosen[:0])
    seen_in = 0
    scenery = Scenery(quiet, CPU)
    for part in equally_long(views):
        seen, heard = scenery.cut(views.take(part))
        loud = seen.mean(2).amax(1) > -5
        seen_in += int(loud.sum())
        rows = (seen.mean(2).argmax(1) - heard.mean(2).argmax(1)).abs()
        assert (rows[loud] <= 1).all()
    assert seen_in > 10


def test_where_nobody_hears_the_same_is_seen() -> None:
    samples, span = voice(2, 7), np.array([[3_000, 21_000]])
    for speed in SPEEDS:
        (pair,) = utterances(samples, span, speed)
        (alone,) = utterances(samples, span, speed, heard=False)
        np.testing.assert_array_equal(alone[0], pair[0])
        assert alone[1].shape == (len(pair[1]), 0)
    sounds = made_sounds([200] * 3)
    unheard = replace(sounds, heard=sounds.heard[:, :0])
    views = draw_views(np.random.default_rng(0), sounds, np.arange(3).repeat(9), 256, BENT,
                       np.zeros(1, np.int64))  # fmt: skip
    quiet, whole = Scenery(unheard, CPU), Scenery(sounds, CPU)
    for part in equally_long(views):
        seen, heard = quiet.cut(views.take(part))
        torch.testing.assert_close(seen, whole.cut(views.take(part))[0])
        assert heard.shape == (*seen.shape[:2], 0)


def test_who_talks_in_the_background_is_as_faint_as_was_drawn() -> None:
    sounds = made_sounds([200, 200], speeds=1)
    views = draw_views(np.random.default_rng(0), sounds, np.zeros(1, np.int64), 256, STRAIGHT,
                       np.zeros(0, np.int64))  # fmt: skip
    beside = replace(views, beside=np.array([1]), fainter=np.array([2.0], "f4"))
    scenery = Scenery(sounds, CPU)
    alone, alone_heard = scenery.cut(views)
    both, both_heard = scenery.cut(beside)
    added = torch.log(both.exp() - alone.exp())
    assert float(levels(alone) - levels(added)) == pytest.approx(2.0, abs=0.05)
    assert (both_heard >= alone_heard - 1e-4).all()
    assert float((both_heard - alone_heard).mean()) > 0.02


def test_some_views_are_those_views() -> None:
    views = draw_views(np.random.default_rng(0), made_sounds([200] * 6), np.arange(6), 256, BENT,
                       np.arange(1))  # fmt: skip
    some = views.take(np.array([3, 1]))
    for spec in fields(Views):
        whole, part = getattr(views, spec.name), getattr(some, spec.name)
        np.testing.assert_array_equal(part, whole[[3, 1]])


@settings(max_examples=30, deadline=None)
@given(st.integers(-5, 5))
def test_whole_bands_are_moved_as_they_are(bands: int) -> None:
    windows = torch.randn(2, 5, 64)
    found = shifted(windows, torch.full((2,), float(bands)))
    inner = slice(max(0, -bands), 64 - max(0, bands))
    moved = slice(max(0, bands), 64 - max(0, -bands))
    torch.testing.assert_close(found[:, :, inner], windows[:, :, moved])
