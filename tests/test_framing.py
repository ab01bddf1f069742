"""Framing: the same frames however the stream is cut, none across a gap, no sample twice."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rt_ser.framing import Framer
from rt_ser.types import FRAME_SAMPLES, AudioChunk, Frame
from tests import strategies as some
from tests.compare import bits

SAMPLES = some.noise(6_000)[:, 0]


def framed(framer: Framer, chunks: list[AudioChunk]) -> list[Frame]:
    return [frame for chunk in chunks for frame in framer.push(chunk)]


@given(some.chunk_sizes(largest=5_000))
def test_any_chunking_gives_the_same_frames(sizes: list[int]) -> None:
    whole = framed(Framer(), [AudioChunk(samples=SAMPLES, start=0)])
    assert bits(framed(Framer(), some.scripted(SAMPLES, sizes))) == bits(whole)


@given(st.integers(0, 2_000), some.chunk_sizes())
def test_frames_tile_the_stream(length: int, sizes: list[int]) -> None:
    framer = Framer()
    frames = framed(framer, some.scripted(SAMPLES[:length], sizes))
    assert [frame.start for frame in frames] == list(range(0, length - 479, FRAME_SAMPLES))
    joined = np.concatenate([np.zeros(0, np.float32), *(frame.samples for frame in frames)])
    np.testing.assert_array_equal(joined, SAMPLES[: len(frames) * FRAME_SAMPLES])
    assert framer.position == length
    assert framer.flush() == length % FRAME_SAMPLES


@given(some.chunk_sizes(), some.gaps(len(SAMPLES)))
def test_no_frame_spans_a_gap_and_none_is_out_of_place(
    sizes: list[int], lost: dict[int, int]
) -> None:
    timeline = np.full(len(SAMPLES) + sum(lost.values()), np.nan, np.float32)
    chunks = some.scripted(SAMPLES, sizes, lost)
    for chunk in chunks:
        timeline[chunk.start : chunk.stop] = chunk.samples
    framer = Framer()
    frames = framed(framer, chunks)
    for frame in frames:
        assert len(frame.samples) == FRAME_SAMPLES
        np.testing.assert_array_equal(frame.samples, timeline[frame.start : frame.stop])
    origin = Frame(samples=SAMPLES[:0], start=0)
    for before, after in pairwise([origin, *frames]):
        assert after.start == before.stop + after.gap
    assert framer.position == len(timeline)


@given(some.chunk_sizes(), some.gaps(len(SAMPLES)))
def test_chunking_does_not_matter_with_gaps_either(sizes: list[int], lost: dict[int, int]) -> None:
    whole = framed(Framer(), some.scripted(SAMPLES, [len(SAMPLES)], lost))
    assert bits(framed(Framer(), some.scripted(SAMPLES, sizes, lost))) == bits(whole)


def test_an_unfinished_frame_before_a_gap_counts_as_lost() -> None:
    framer = Framer()
    assert framed(framer, [AudioChunk(samples=SAMPLES[:100], start=0)]) == []
    (frame,) = framed(framer, [AudioChunk(samples=SAMPLES[:480], start=150, gap=50)])
    assert (frame.start, frame.gap) == (150, 150)


def test_what_a_flush_discards_is_the_gap_of_the_next_frame() -> None:
    framer = Framer()
    assert framed(framer, [AudioChunk(samples=SAMPLES[:70], start=0)]) == []
    assert framer.flush() == 70
    first, second = framed(framer, [AudioChunk(samples=SAMPLES[:960], start=70)])
    assert (first.start, first.gap) == (70, 70)
    assert (second.start, second.gap) == (550, 0)


def test_reset_is_as_new() -> None:
    framer = Framer()
    framed(framer, some.scripted(SAMPLES, [700], {1_000: 50}))
    framer.reset()
    fresh = Framer()
    assert framer.position == 0
    chunks = some.scripted(SAMPLES, [333])
    assert bits(framed(framer, chunks)) == bits(framed(fresh, chunks))


def test_frames_are_values_of_their_own() -> None:
    samples = SAMPLES[:960].copy()
    first, second = framed(Framer(), [AudioChunk(samples=samples, start=0)])
    samples[:] = 7.0
    np.testing.assert_array_equal(first.samples, SAMPLES[:480])
    assert not np.shares_memory(first.samples, second.samples)
    assert not first.samples.flags.writeable
