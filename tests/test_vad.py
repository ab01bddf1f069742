"""Voice activity: what is never speech, what always is, and what it tells meanwhile."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_ser.acoustics import level_dbfs
from rt_ser.config import EstimateSettings, VadSettings
from rt_ser.framing import Framer
from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ, Segment
from rt_ser.vad import Phase, at_hearing_level
from tests import signals
from tests import strategies as some
from tests.compare import bits
from tests.gate import WINDOW_SAMPLES, activity, frames_of, segments_of

SCALE_HZ = [262.0, 294.0, 330.0, 349.0, 392.0, 440.0, 494.0, 523.0]


# What is never speech ---------------------------------------------------------------------

NEVER = {
    "digital silence": signals.silence(),
    "white noise": signals.white_noise(),
    "pink noise": signals.pink_noise(),
    "50 Hz hum": signals.hum(50.0),
    "60 Hz hum": signals.hum(60.0),
    "major triad": signals.tone(261.6, 329.6, 392.0),
    "seventh chord": signals.tone(220.0, 277.2, 329.6, 415.3),
    "square wave": signals.at_level(np.sign(np.sin(2.0 * np.pi * 220.0 * signals.times()))),
    "puffs of steam": signals.swelling(signals.white_noise(), depth=1.0),
    "surf": signals.swelling(signals.pink_noise(), depth=0.9),
    "legato melody": signals.melody(SCALE_HZ, note_s=0.25),
    "slow legato melody": signals.melody(SCALE_HZ, note_s=0.5),
    "fast legato melody": signals.melody(SCALE_HZ, note_s=0.125),
    "low legato melody": signals.melody([hz / 2.0 for hz in SCALE_HZ], note_s=0.4),
}


def spoken_s(segments: list[Segment]) -> float:
    return sum(segment.new_speech_samples for segment in segments) / RATE_HZ


@pytest.mark.parametrize("level_db", [-20.0, 0.0, 10.0])
@pytest.mark.parametrize("name", NEVER)
def test_what_is_never_judged(name: str, level_db: float) -> None:
    """Between digital silences, where nothing but the third gate can stop it."""
    sound = signals.between_silences(signals.scaled(NEVER[name], level_db))
    assert segments_of(np.clip(sound, -1.0, 1.0)) == []


@pytest.mark.parametrize("level_dbfs", [-40.0, -20.0, -12.0])
def test_a_siren_is_not_judged(level_dbfs: float) -> None:
    siren = signals.at_level(signals.swelling(signals.tone(300.0), depth=0.7), level_dbfs)
    assert segments_of(signals.between_silences(siren)) == []


@settings(max_examples=15, deadline=None)
@given(st.floats(40.0, 7_500.0), st.floats(-40.0, -3.0))
def test_no_tone_is_ever_judged(hz: float, level_dbfs: float) -> None:
    sound = signals.at_level(signals.tone(hz)[: 2 * RATE_HZ], level_dbfs)
    assert segments_of(signals.between_silences(sound)) == []


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.floats(-60.0, -3.0))
def test_no_steady_noise_is_ever_judged(seed: int, pink: bool, level_dbfs: float) -> None:
    noise = signals.pink_noise(seed) if pink else signals.white_noise(seed)
    sound = signals.at_level(noise[: 2 * RATE_HZ], level_dbfs)
    assert segments_of(signals.between_silences(sound)) == []


def test_the_third_gate_is_what_stops_noise() -> None:
    """Otherwise the tests above would prove nothing about it."""
    gate = activity()
    segments_of(signals.between_silences(NEVER["white noise"]), gate)
    assert gate.vetoed > 10
    assert gate.utterances == 1


def test_what_is_below_the_level_floor_is_not_speech() -> None:
    quiet = signals.scaled(signals.by_pattern("." * 5 + "S" * 60 + "." * 30), -72.0)
    assert segments_of(quiet) == []
    assert segments_of(quiet, activity(VadSettings(min_level_dbfs=-120.0))) != []


def test_speech_must_rise_above_the_noise_floor() -> None:
    spoken = signals.by_pattern("." * 30 + "S" * 60 + "." * 30)
    noise = some.noise(len(spoken))[:, 0]
    assert segments_of(spoken + 0.01 * noise) != []
    assert segments_of(spoken + 0.5 * noise) == []


# What always is ---------------------------------------------------------------------------


def test_every_spoken_cue_is_judged_and_nothing_else(
    demo_samples: F32, demo_cues: list[dict[str, Any]]
) -> None:
    found = segments_of(demo_samples)
    for cue in demo_cues:
        inside = [s for s in found if s.start < cue["stop"] and s.stop > cue["start"]]
        wholly = [s for s in inside if s.start >= cue["start"] and s.stop <= cue["stop"]]
        if cue["kind"] == "speech":
            assert any(segment.is_final for segment in inside), cue
            assert sum(segment.new_speech_samples for segment in inside) > 0.7 * RATE_HZ, cue
        else:
            assert wholly == [], cue


@pytest.mark.parametrize("gain_db", [-20.0, -10.0, 5.0])
def test_loudness_hardly_matters(demo_samples: F32, gain_db: float) -> None:
    plain, other = segments_of(demo_samples), segments_of(signals.scaled(demo_samples, gain_db))
    assert len(other) == pytest.approx(len(plain), rel=0.15)


def test_soft_speech_is_heard_right_after_loud_speech(
    demo_samples: F32, demo_cues: list[dict[str, Any]]
) -> None:
    """What is soft is compared with the noise floor and not with what was loud."""
    first = next(cue for cue in demo_cues if cue["kind"] == "speech")
    loud = demo_samples[: first["stop"] + RATE_HZ // 2]
    once = spoken_s(segments_of(loud))
    twice = spoken_s(segments_of(np.concatenate([loud, signals.scaled(loud, -30.0)])))
    assert twice - once > 0.9 * once > 0.0


@given(st.floats(-70.0, 0.0))
def test_webrtcvad_is_asked_about_frames_of_one_level(level: float) -> None:
    frame = signals.at_level(signals.white_noise()[:FRAME_SAMPLES], level)
    assert level_dbfs(at_hearing_level(frame)) == pytest.approx(-20.0, abs=0.01)


@settings(max_examples=10, deadline=None)
@given(some.chunk_sizes(largest=5_000))
def test_chunking_does_not_matter(demo_samples: F32, sizes: list[int]) -> None:
    samples = demo_samples[: 4 * RATE_HZ]
    gate, framer = activity(), Framer()
    found = [gate.push(f) for chunk in some.scripted(samples, sizes) for f in framer.push(chunk)]
    found.append(gate.flush())
    assert bits([s for s in found if s is not None]) == bits(segments_of(samples))


# What it tells meanwhile ------------------------------------------------------------------


def test_the_meter_tells_level_floor_and_gate() -> None:
    gate = activity()
    told = []
    for frame in frames_of(signals.by_pattern("." * 10 + "S" * 20)):
        gate.push(frame)
        told.append(gate.meter)
    assert [meter.position for meter in told] == [480 * (i + 1) for i in range(30)]
    assert {meter.floor_dbfs for meter in told} == {-120.0}
    assert {meter.level_dbfs for meter in told[:10]} == {-120.0}
    assert told[10].level_dbfs == pytest.approx(-18.0, abs=1e-3)
    assert "".join("S" if meter.is_speech else "." for meter in told) == "." * 10 + "S" * 20


def test_the_floor_is_the_quietest_of_three_seconds() -> None:
    gate = activity()
    noise = np.random.default_rng(0).standard_normal(250 * FRAME_SAMPLES)
    loud, soft = signals.at_level(noise, -30.0), signals.at_level(noise, -60.0)
    floors = []
    for frame in frames_of(np.concatenate([soft[: 50 * 480], loud[: 150 * 480]])):
        gate.push(frame)
        floors.append(gate.meter.floor_dbfs)
    assert floors[148] == pytest.approx(-60.0, abs=1.0)
    assert floors[149] == pytest.approx(-30.0, abs=1.0)


def test_phases_and_verdicts() -> None:
    gate = activity()
    told = []
    for frame in frames_of(signals.by_pattern("." * 5 + "S" * 20 + "." * 20)):
        gate.push(frame)
        mark = "j" if gate.is_judged else "w" if gate.is_warming_up else "."
        told.append(mark if gate.phase is not Phase.HANGOVER else mark.upper())
    assert re.fullmatch(r"\.{7}w{14}j{4}J{14}\.{6}", "".join(told)), "".join(told)


def test_a_vetoed_window_is_not_taken_for_speech() -> None:
    gate = activity()
    for frame in frames_of(signals.by_pattern("." * 5 + "S" * 20)):
        gate.push(frame)
    assert gate.is_judged
    gate.veto()
    assert not gate.is_judged
    assert not gate.is_warming_up


def test_a_window_that_is_believed_counts_no_more_speech_than_it_holds() -> None:
    gate = activity()
    for frame in frames_of(signals.by_pattern("." * 5 + "S" * 300)):
        if (segment := gate.push(frame)) is not None:
            gate.veto()
    assert gate.speech_samples == 0
    segment = gate.flush()
    assert segment is not None
    assert segment.new_speech_samples == segment.speech_samples == gate.speech_samples
    assert 0 < gate.speech_samples <= segment.stop - segment.start


def test_flush_without_an_utterance_says_nothing() -> None:
    gate = activity()
    assert gate.flush() is None
    segments_of(signals.by_pattern("." * 5 + "S" * 40), gate)
    assert gate.flush() is None


def test_settings_are_rounded_to_whole_frames() -> None:
    timing = activity(
        VadSettings(hangover_s=0.1), EstimateSettings(hop_s=0.25, min_speech_s=0.5)
    ).timing
    assert (timing.hop, timing.min_speech, timing.hangover) == (8, 17, 3)
    assert timing.window * FRAME_SAMPLES >= WINDOW_SAMPLES > (timing.window - 1) * FRAME_SAMPLES
