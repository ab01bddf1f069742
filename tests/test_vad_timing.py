"""Voice activity: when a window is due, and where what is judged begins and ends."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rt_ser.config import EstimateSettings, VadSettings
from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ, Frame
from rt_ser.vad import LOOKBACK_SAMPLES, Phase, VoiceActivity
from tests import signals
from tests.compare import bits
from tests.gate import WINDOW_SAMPLES, activity, frames_of, segments_of

WINDOW = -(-WINDOW_SAMPLES // FRAME_SAMPLES)
HOP, MIN_SPEECH, HANGOVER, MARGIN = 8, 17, 15, 2
"""Defaults in frames of 30 ms: 0.24 s, 0.5 s, 0.45 s, and what is kept around speech."""


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
