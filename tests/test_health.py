"""What is wrong with the input is said once, with what to do, and once more when it is over."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from rt_ser.health import WINDOW_S, InputHealth
from rt_ser.pipeline import Pipeline
from rt_ser.stream_events import Notice, StreamEvent
from rt_ser.testing import FakeClassifier
from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ, Frame
from tests import strategies as some


def seconds(number: float) -> int:
    """So many seconds in samples."""
    return round(number * RATE_HZ)


def watch(samples: F32, *, is_speech: bool = False) -> tuple[list[Notice], InputHealth]:
    """Show samples to a stage, frame by frame."""
    health = InputHealth()
    starts = range(0, len(samples) - FRAME_SAMPLES + 1, FRAME_SAMPLES)
    frames = [Frame(samples=samples[at : at + FRAME_SAMPLES], start=at) for at in starts]
    return [n for frame in frames for n in health.push(frame, is_speech=is_speech)], health


def told(notices: list[Notice]) -> list[tuple[str, int, bool]]:
    """Kind, whole second, and whether it is over."""
    return [(notice.kind, notice.stop // RATE_HZ, notice.is_over) for notice in notices]


def clipped_noise(length_s: float, share: float) -> F32:
    """Noise that is driven into the ends of the scale in that share of its frames."""
    samples = 0.1 * some.noise(seconds(length_s))[:, 0]
    frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    frames[:: round(1 / share)] = np.clip(100 * frames[:: round(1 / share)], -1, 1)
    return samples


def test_silence_is_said_after_ten_seconds_and_its_end_at_once() -> None:
    sound = some.noise(seconds(1.0))[:, 0]
    notices, health = watch(np.concatenate((np.zeros(seconds(25.0), np.float32), sound)))
    assert told(notices) == [("silent", WINDOW_S, False), ("silent", 25, True)]
    assert notices[0].text.startswith("input is silent since 10 s, nothing but zeros: it is muted")
    assert health.findings == ()


def test_a_microphone_that_hears_nothing_is_told_from_one_that_is_muted() -> None:
    rustle = (np.random.default_rng(1).integers(-2, 3, seconds(12.0)) / 32768).astype(np.float32)
    notices, health = watch(rustle)
    assert told(notices) == [("silent", WINDOW_S, False)]
    assert "check that the microphone is plugged in" in notices[0].text
    assert health.findings == (notices[0].text,)


def test_a_quiet_room_is_not_silent() -> None:
    assert watch(0.001 * some.noise(seconds(30.0))[:, 0])[0] == []


@pytest.mark.parametrize(("share", "per_cent"), [(0.04, 4), (0.5, 50), (0.0125, 1)])
def test_clipping_is_said_with_its_share(share: float, per_cent: int) -> None:
    notices, _ = watch(clipped_noise(30.0, share))
    assert told(notices) == [("clipping", WINDOW_S, False)]
    assert notices[0].text == (
        f"input clips in {per_cent} % of blocks: lower the gain, or move the microphone away"
    )


def test_a_rare_peak_is_no_clipping_and_clipping_ends() -> None:
    assert watch(clipped_noise(30.0, 0.002))[0] == []
    quiet = 0.1 * some.noise(seconds(15.0))[:, 0]
    notices, health = watch(np.concatenate((clipped_noise(15.0, 0.1), quiet)))
    assert [notice.is_over for notice in notices] == [False, True]
    assert health.findings == ()


@pytest.mark.parametrize("offset", [0.12, -0.12])
def test_an_offset_is_said(offset: float) -> None:
    samples = 0.02 * some.noise(seconds(12.0))[:, 0] + np.float32(offset)
    notices, _ = watch(samples)
    assert told(notices) == [("offset", WINDOW_S, False)]
    assert f"DC offset of {100 * offset:+.0f} %" in notices[0].text


def test_faint_speech_is_said_and_faint_noise_is_not() -> None:
    samples = (0.001 * some.noise(seconds(20.0))[:, 0]) * np.float32(5)
    assert watch(samples)[0] == []
    faint, _ = watch(samples * np.float32(0.8), is_speech=True)
    assert told(faint) == [("faint", WINDOW_S, False)]
    assert "speech comes at -62 dBFS: raise the gain" in faint[0].text
    assert watch(20 * samples, is_speech=True)[0] == []


def test_what_changes_by_a_little_is_said_once() -> None:
    parts = [clipped_noise(20.0, share) for share in (0.05, 0.2, 0.03)]
    assert len(watch(np.concatenate(parts))[0]) == 1


def test_a_loss_of_audio_begins_the_window_anew() -> None:
    health = InputHealth()
    silent = np.zeros(FRAME_SAMPLES, np.float32)
    notices = []
    for number in range(600):
        gap = 160 if number == 300 else 0
        frame = Frame(samples=silent, start=number * FRAME_SAMPLES, gap=gap)
        notices += health.push(frame, is_speech=False)
    assert notices == []


@settings(max_examples=10)
@given(some.chunk_sizes())
def test_a_stream_tells_the_same_however_it_is_cut(sizes: list[int]) -> None:
    samples = np.concatenate((np.zeros(seconds(11.0), np.float32), clipped_noise(11.0, 0.2)))
    assert notices_of(samples, sizes) == notices_of(samples, [480])
    assert [notice.kind for notice in notices_of(samples, sizes)] == [
        "silent", "silent", "clipping",
    ]  # fmt: skip


def notices_of(samples: F32, sizes: list[int]) -> list[StreamEvent]:
    """The notices of a whole pipeline."""
    pipeline = Pipeline(FakeClassifier())
    events = [e for chunk in some.scripted(samples, sizes) for e in pipeline.feed_events(chunk)]
    return [event for event in events if isinstance(event, Notice)]
