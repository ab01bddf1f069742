"""Voice activity: what is never speech, what always is, and when a window is due."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rt_ser.acoustics import level_dbfs
from rt_ser.config import EstimateSettings, VadSettings
from rt_ser.framing import Framer
from rt_ser.recipes import RECIPES
from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ, AudioChunk, Frame, Segment
from rt_ser.vad import LOOKBACK_SAMPLES, Phase, VoiceActivity, at_hearing_level
from tests import signals
from tests import strategies as some
from tests.compare import bits

WINDOW_SAMPLES = RECIPES["logmel64-v1"].window_samples
WINDOW = -(-WINDOW_SAMPLES // FRAME_SAMPLES)
HOP, MIN_SPEECH, HANGOVER, MARGIN = 8, 17, 15, 2
"""Defaults in frames of 30 ms: 0.24 s, 0.5 s, 0.45 s, and what is kept around speech."""

SCALE_HZ = [262.0, 294.0, 330.0, 349.0, 392.0, 440.0, 494.0, 523.0]


def activity(
    vad: VadSettings | None = None, estimate: EstimateSettings | None = None
) -> VoiceActivity:
    return VoiceActivity(
        vad or VadSettings(), estimate or EstimateSettings(), window_samples=WINDOW_SAMPLES
    )


def frames_of(samples: F32) -> list[Frame]:
    return list(Framer().push(AudioChunk(samples=samples, start=0)))


def segments_of(samples: F32, gate: VoiceActivity | None = None) -> list[Segment]:
    """Run a gate over samples to their end."""
    gate = gate or activity()
    found = [gate.push(frame) for frame in frames_of(samples)] + [gate.flush()]
    return [segment for segment in found if segment is not None]


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


# When a window is due ---------------------------------------------------------------------


def timing_oracle(
    pattern: str, *, hop: int = HOP, need: int = MIN_SPEECH, hangover: int = HANGOVER,
    onset: int = 3,
) -> list[tuple[int, int, int, int, bool]]:
    """Say from the pattern alone what is judged: when, start, stop, speech, final; in frames."""
    judged: list[tuple[int, int, int, int, bool]] = []
    at = earliest = heard_from = 0
    while at < len(pattern):
        recent = range(max(heard_from, at - 4), at + 1)
        if sum(pattern[i] == "S" for i in recent) < onset:
            at += 1
            continue
        first = next(i for i in recent if pattern[i] == "S")
        start, last, said = max(earliest, first - MARGIN), at, None
        at += 1
        while at < len(pattern) and at - last < hangover + (pattern[at] == "S"):
            if pattern[at] == "S":
                last = at
                is_due = said is None or at - said >= hop
                if is_due and pattern[first : at + 1].count("S") >= need:
                    said = at
                    begin = max(start, at + 1 - WINDOW)
                    speech = pattern[max(begin, first) : at + 1].count("S")
                    judged.append((at, begin, at + 1, speech, False))
            at += 1
        stop = min(at + 1, len(pattern), last + 1 + MARGIN)
        if pattern[first : last + 1].count("S") >= need:
            begin = max(start, stop - WINDOW)
            speech = pattern[max(begin, first) : stop].count("S")
            judged.append((min(at, len(pattern)), begin, stop, speech, True))
        at += 1
        earliest, heard_from = stop, at
    return judged


def judged_frames(pattern: str, gate: VoiceActivity) -> list[tuple[int, int, int, int, bool]]:
    """Say what the gate judges of the sound of a pattern, as :func:`timing_oracle` does."""
    frames = frames_of(signals.by_pattern(pattern))
    found = [(index, gate.push(frame)) for index, frame in enumerate(frames)]
    found.append((len(frames), gate.flush()))
    return [
        (
            index,
            segment.start // FRAME_SAMPLES,
            segment.stop // FRAME_SAMPLES,
            segment.speech_samples // FRAME_SAMPLES,
            segment.is_final,
        )
        for index, segment in found
        if segment is not None
    ]


def patterns() -> st.SearchStrategy[str]:
    """Runs of silence and speech, silence first and never more than 2.4 s of speech on end."""
    run = st.tuples(st.integers(1, 30), st.integers(1, 80))
    runs = st.lists(run, min_size=1, max_size=6)
    return runs.map(lambda pairs: "".join("." * quiet + "S" * loud for quiet, loud in pairs))


def test_first_after_half_a_second_of_speech_then_every_hop_then_at_the_end() -> None:
    """Times worked out by hand: 17 frames are 0.51 s, 8 are 0.24 s, 15 are 0.45 s."""
    pattern = "." * 40 + "S" * 40 + "." * 30
    assert judged_frames(pattern, activity()) == [
        (56, 38, 57, 17, False),
        (64, 38, 65, 25, False),
        (72, 38, 73, 33, False),
        (94, 38, 82, 40, True),
    ]


@settings(max_examples=60, deadline=None)
@given(patterns())
@example("...." + "S" * 80 + "." * 14 + "S" * 60)
@example("." * 5 + "S" * 16 + "." * 15 + "S" * 17)
@example("." + "SS..S" * 20 + "." * 16)
def test_timing_follows_from_which_frames_are_speech(pattern: str) -> None:
    gate = activity()
    assert judged_frames(pattern, gate) == timing_oracle(pattern)
    assert gate.vetoed == 0, "the pattern's speech must be lively for this to mean anything"


@settings(max_examples=40, deadline=None)
@given(
    patterns(), st.integers(1, 60), st.integers(12, 100), st.integers(2, 100), st.integers(1, 5)
)
@example("." * 5 + "S" * 70 + "." * 3 + "S" * 70 + "." * 101, 8, 17, 100, 3)
def test_timing_follows_the_settings(
    pattern: str, hop: int, need: int, hangover: int, onset: int
) -> None:
    gate = activity(
        VadSettings(hangover_s=hangover * 0.03, onset_frames=onset),
        EstimateSettings(hop_s=hop * 0.03, min_speech_s=need * 0.03),
    )
    pattern += "." * 40
    expected = timing_oracle(pattern, hop=hop, need=need, hangover=hangover, onset=onset)
    assert judged_frames(pattern, gate) == expected


def test_a_pause_shorter_than_the_hangover_does_not_end_an_utterance() -> None:
    for pause, utterances in ((HANGOVER - 1, 1), (HANGOVER, 2)):
        gate = activity()
        found = segments_of(signals.by_pattern("...SSS" + "S" * 30 + "." * pause + "S" * 30), gate)
        assert gate.utterances == utterances
        assert sum(segment.is_final for segment in found) == utterances


def test_it_takes_more_to_open_an_utterance_than_to_hold_it() -> None:
    """Two frames in five never open one; one in fourteen holds one that is open."""
    gate = activity()
    segments_of(signals.by_pattern("." + "SS..." * 20), gate)
    assert gate.utterances == 0
    held = "." + "S" * 20 + ("." * 13 + "S") * 6 + "." * 14
    for frame in frames_of(signals.by_pattern(held)):
        gate.push(frame)
    assert (gate.utterances, gate.phase) == (1, Phase.HANGOVER)


def test_speech_needs_to_be_less_loud_to_hold_an_utterance_than_to_open_it() -> None:
    """Hysteresis in level: 6 dB above the floor open it, 3 dB hold it."""
    floor = signals.at_level(np.random.default_rng(0).standard_normal(40 * FRAME_SAMPLES), -30.0)
    quiet = [signals.at_level(frame.astype(np.float64), -25.5) for frame in signals.SYLLABLES]
    loud = signals.SYLLABLES[[0, 3, 6, 0, 3, 6]]
    gate = activity(VadSettings(mode=0))
    for frame in frames_of(np.concatenate([floor, *quiet * 3])):
        gate.push(frame)
    assert gate.utterances == 0
    for frame in frames_of(np.concatenate([*loud, *quiet * 3])):
        gate.push(frame)
    assert (gate.utterances, gate.phase) == (1, Phase.TALKING)


def test_too_little_speech_is_never_judged() -> None:
    gate = activity()
    assert segments_of(signals.by_pattern("..." + "S" * 16 + "." * 30), gate) == []
    assert gate.utterances == 1


# Where things begin and end ---------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(patterns())
def test_segments_keep_to_their_utterance(pattern: str) -> None:
    found = segments_of(signals.by_pattern(pattern))
    for segment in found:
        assert 0 <= segment.start < segment.stop <= len(pattern) * FRAME_SAMPLES
        assert segment.stop - segment.start <= WINDOW * FRAME_SAMPLES
        assert 0 < segment.speech_samples <= segment.stop - segment.start
    for before, after in pairwise(found):
        assert (after.utterance > before.utterance) == before.is_final
        assert after.stop >= before.stop
        if before.is_final:
            assert after.start >= before.stop
    spoken = pattern.count("S") * FRAME_SAMPLES
    assert sum(segment.new_speech_samples for segment in found) <= spoken


def test_all_speech_of_a_judged_utterance_is_counted_once() -> None:
    gate = activity()
    found = segments_of(signals.by_pattern("...." + "S" * 50 + "...." + "S" * 33), gate)
    assert sum(segment.new_speech_samples for segment in found) == 83 * FRAME_SAMPLES
    assert gate.speech_samples == 83 * FRAME_SAMPLES


@settings(max_examples=30, deadline=None)
@given(patterns())
def test_an_utterance_never_begins_before_the_lookback(pattern: str) -> None:
    """The pipeline books everything before it as gated for good."""
    gate = activity()
    for frame in frames_of(signals.by_pattern(pattern)):
        was_open = gate.opened_at is not None
        gate.push(frame)
        if gate.opened_at is not None and not was_open:
            assert gate.opened_at > frame.stop - FRAME_SAMPLES - LOOKBACK_SAMPLES


@settings(max_examples=30, deadline=None)
@given(patterns(), st.integers(1, 200), st.integers(1, 50_000))
def test_nothing_spans_a_gap(pattern: str, at: int, lost: int) -> None:
    """After one, it answers as a gate does that has heard nothing yet."""
    after = frames_of(signals.by_pattern(pattern))
    offset = at * FRAME_SAMPLES + lost
    gate, fresh = activity(), activity()
    for frame in frames_of(signals.by_pattern(("..." + "S" * 60) * 4)[: at * FRAME_SAMPLES]):
        gate.push(frame)
    gate.flush()
    utterances = gate.utterances
    for index, frame in enumerate(after):
        moved = Frame(
            samples=frame.samples, start=frame.start + offset, gap=lost if index == 0 else 0
        )
        found, expected = gate.push(moved), fresh.push(frame)
        assert (found is None) == (expected is None)
        if found is not None and expected is not None:
            assert found.start == expected.start + offset
            assert found.stop == expected.stop + offset
            assert found.utterance == expected.utterance + utterances


def test_reset_is_as_new(demo_samples: F32) -> None:
    gate = activity()
    samples = demo_samples[: 5 * RATE_HZ]
    for frame in frames_of(samples[: 3 * RATE_HZ]):
        gate.push(frame)
    gate.reset()
    assert bits(gate.meter) == bits(activity().meter)
    assert bits(segments_of(samples, gate)) == bits(segments_of(samples))


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
