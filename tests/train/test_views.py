"""Views: what network and teacher are shown alike, what only the network is, and what is taught."""

from __future__ import annotations

import os
import struct
from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="PyTorch is not installed: make test-train")

import torch

from rt_ser.config import Settings
from rt_ser.errors import ConfigError, InputError
from rt_ser.recipes import RECIPES
from rt_ser.types import F32, RATE_HZ
from tests.train.made_up import cremad_clip, ravdess_clip, small_corpus, voice
from train.clips import clip_features, rows_of
from train.corpora import Clip
from train.corpora.clip import LABELS
from train.examples import Examples, class_mask, noise_examples
from train.recipe import Augmentation
from train.splits import parts_of
from train.views.distort import Distortion, without_steady
from train.views.draw import STEP, Scenery, Views, draw_views, equally_long, levels, shifted
from train.views.encoder import POOLED, Encoder, read_weights, variables
from train.views.heard_mel import MELS, heard_mel
from train.views.lessons import BY_NONE, PLACES, Pupils, lessons
from train.views.sounds import SPEEDS, Sounds, utterances

FEATURES = RECIPES["logmel64-v1"]
CPU = torch.device("cpu")
STRAIGHT = Augmentation(
    partial=0.0, stretch=0.0, mel_shift=0.0, tilt=0.0, equaliser=0.0, noise=0.0, floor=0.0,
    band_limit=0.0, reverb=0.0, time_masks=0, mel_masks=0, mixup=0.0,
)  # fmt: skip
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


# Distortion -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def windows() -> torch.Tensor:
    return torch.from_numpy(made_sounds([96 * 32], speeds=1).seen.astype("f4")).view(32, 96, 64)


@cache
def made_up_noise() -> Examples:
    return noise_examples(small_corpus(2))


def distorted(windows: torch.Tensor, bent: Augmentation, silent: bool = False) -> torch.Tensor:
    torch.manual_seed(3)
    made = Distortion(made_up_noise(), FEATURES, bent, CPU)
    inputs: torch.Tensor = made(windows, len(windows) if silent else 0)
    assert inputs.shape == windows.shape
    assert inputs.isfinite().all()
    assert inputs.abs().max() <= 1.0 + 1e-6
    return inputs


def test_undistorted_is_what_the_pipeline_asks_the_model(windows: torch.Tensor) -> None:
    from rt_ser.features import model_input

    recipe = replace(FEATURES, window_frames=96)
    wanted = np.stack([model_input(window, recipe) for window in windows.numpy()])
    np.testing.assert_allclose(distorted(windows, STRAIGHT).numpy(), wanted, atol=1e-5)


HARD = Augmentation(
    noise=1.0, floor=1.0, band_limit=1.0, reverb=1.0, reverb_most_db=6.0, time_mask_rows=12,
    microphone=1.0, denoise=1.0, contrast=0.4, telephone=0.5,
)  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(st.floats(-6.0, 6.0))
def test_nothing_depends_on_how_loud_the_recording_was(louder: float) -> None:
    windows = torch.from_numpy(made_sounds([96 * 4], speeds=1).seen.astype("f4")).view(4, 96, 64)
    torch.testing.assert_close(
        distorted(windows + louder, HARD), distorted(windows, HARD), atol=2e-3, rtol=0.0
    )


@pytest.mark.parametrize(
    "way", ["noise", "floor", "band_limit", "telephone", "reverb", "microphone", "denoise"]
)
@pytest.mark.parametrize(("share", "count"), [(0.25, 8), (0.1, 4), (0.01, 1), (1.0, 32)])
def test_as_many_windows_are_bent_as_the_recipe_says(
    windows: torch.Tensor, way: str, share: float, count: int
) -> None:
    """Rounded up, so that no way is lost on a small batch; all the others stay as they are."""
    plain, bent = (distorted(windows, replace(STRAIGHT, **{way: each})) for each in (0.0, share))
    assert int((plain != bent).any(2).any(1).sum()) == count


def test_the_first_windows_are_noise_alone(windows: torch.Tensor) -> None:
    torch.manual_seed(3)
    made = Distortion(made_up_noise(), FEATURES, STRAIGHT, CPU)
    before = windows.clone()
    inputs = made(windows, 5)
    plain = distorted(windows, STRAIGHT)
    torch.testing.assert_close(inputs[5:], plain[5:])
    assert (inputs[:5] != plain[:5]).flatten(1).any(1).all()
    assert torch.equal(windows, before)


def test_where_nobody_speaks_nothing_of_the_voice_is_left(windows: torch.Tensor) -> None:
    others = windows.flip(0)
    torch.testing.assert_close(
        distorted(windows, STRAIGHT, silent=True), distorted(others, STRAIGHT, silent=True)
    )


def test_a_room_adds_what_was_said_before(windows: torch.Tensor) -> None:
    """After a burst the echo dies away; before it there is none."""
    burst = torch.full_like(windows, -20.0)
    burst[:, 40:44] = 0.0
    plain, wet = (distorted(burst, replace(STRAIGHT, reverb=share)) for share in (0.0, 1.0))
    torch.testing.assert_close(wet[:, :40], plain[:, :40], atol=0.2, rtol=0.0)
    tail = (wet - plain)[:, 44:60].mean((0, 2))
    assert tail[0] > 0.1
    assert (tail.diff() < 0.05).all(), "every band's tail wavers, their mean hardly does"


def test_another_microphone_changes_the_tone_and_nothing_else(windows: torch.Tensor) -> None:
    """The gain of a band is the same from the first row to the last, and smooth over bands."""
    soft = windows * 0.1  # so that nothing is cut off
    plain, other = (distorted(soft, replace(STRAIGHT, microphone=share)) for share in (0.0, 1.0))
    whole = (plain.abs() < 1.0).all(1) & (other.abs() < 1.0).all(1)
    gain = other - plain
    steady = gain.std(1)[whole]
    assert steady.numel() > 100
    assert steady.max() < 1e-4
    assert gain.mean(1).std(1).median() > 0.05
    assert gain.mean(1).diff(dim=1).abs().median() < 0.05


def test_without_what_is_steady_pauses_are_deeper_and_voices_as_they_were() -> None:
    voice = torch.full((1, 100, 64), -12.0)
    voice[:, 30:60, 5:40] = 0.0
    hum = torch.logaddexp(voice, torch.full_like(voice, -6.0))
    cleaned = without_steady(hum, torch.ones(1, 1, 1))
    assert (cleaned <= hum + 1e-5).all()
    torch.testing.assert_close(cleaned[:, 30:60, 5:40], hum[:, 30:60, 5:40], atol=0.01, rtol=0.0)
    assert (cleaned[:, :30] < hum[:, :30] - 2.0).all()
    torch.testing.assert_close(without_steady(hum, torch.zeros(1, 1, 1)), hum)


def test_contrast_spreads_what_lies_around_the_speech_level(windows: torch.Tensor) -> None:
    soft = windows * 0.1  # so that nothing is cut off
    plain, other = (distorted(soft, replace(STRAIGHT, contrast=most)) for most in (0.0, 0.4))
    spread = (other.std((1, 2)) / plain.std((1, 2))).log()
    assert spread.abs().max() <= 0.4 + 1e-4
    assert spread.min() < -0.2
    assert spread.max() > 0.2
    for first, second in zip(plain, other, strict=True):
        assert np.corrcoef(first.flatten(), second.flatten())[0, 1] > 0.9999


def test_a_telephone_carries_from_300_to_3400_hz(windows: torch.Tensor) -> None:
    soft = windows * 0.1  # so that nothing that is carried is cut off
    plain, called = (distorted(soft, replace(STRAIGHT, telephone=share)) for share in (0, 1))
    silenced = (called == called.amin((1, 2), keepdim=True)).all(1)
    assert silenced[:, :6].all()
    assert silenced[:, 50:].all()
    assert (called - plain)[:, :, 10:44].std((1, 2)).max() < 1e-4


def test_masks_hide_stretches_of_time_and_bands(windows: torch.Tensor) -> None:
    masks = replace(STRAIGHT, time_masks=2, time_mask_rows=20, mel_masks=2, mel_mask_bands=8)
    plain, masked = distorted(windows, STRAIGHT), distorted(windows, masks)
    hidden = plain != masked
    assert 0.02 < hidden.float().mean() < 0.4
    means = plain.mean((1, 2), keepdim=True).expand_as(plain)
    torch.testing.assert_close(masked[hidden], means[hidden])


# Lessons ----------------------------------------------------------------------------------

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
        read_weights(path)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.skipif("RT_SER_TEACHER" not in os.environ, reason="RT_SER_TEACHER: no weights given")
def test_the_encoder_cannot_tell_how_loud_a_window_is() -> None:
    encoder = Encoder(read_weights(Path(os.environ["RT_SER_TEACHER"])), CPU)
    mels = torch.from_numpy(heard_mel(voice(3, 1)))[None, :96]
    found = encoder(torch.cat([mels, mels + 1.0]))
    assert found.shape == (2, POOLED)
    torch.testing.assert_close(found[0], found[1], atol=1e-3, rtol=1e-3)


def test_a_split_that_leaves_nobody_is_refused() -> None:
    from train.recipe import TrainRecipe
    from train.views.school import School
    from train.views.teaching import lesson_for

    empty = np.zeros(0, np.int64)
    school = School(clips=tuple(CLIPS), owner=empty, count=empty, heard=())
    with pytest.raises(ConfigError, match="leaves nothing to train on"):
        lesson_for(school, TrainRecipe(name="none"), "loco:cremad")
