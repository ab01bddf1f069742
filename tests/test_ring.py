"""The ring: nothing lost unseen, nothing twice, every loss in its place."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_ser.audio.ring import RingBuffer
from rt_ser.types import F32


def counting(start: int, stop: int, channels: int = 1) -> F32:
    """Frames that carry their own number in every channel (exact in float32)."""
    return np.repeat(np.arange(start, stop, dtype=np.float32)[:, None], channels, axis=1)


def put(ring: RingBuffer, frames: F32) -> int:
    """Write frames as PortAudio hands them over."""
    return ring.write(frames.tobytes(), len(frames))


def test_what_is_written_is_read_across_the_end() -> None:
    ring = RingBuffer(5, 2)
    assert put(ring, counting(0, 4, 2)) == 4
    assert ring.read(3).frames.tolist() == counting(0, 3, 2).tolist()
    assert put(ring, counting(4, 8, 2)) == 4
    assert ring.available == 5
    block = ring.read(10)
    assert block.frames.tolist() == counting(3, 8, 2).tolist()
    assert block.lost == 0
    assert ring.available == ring.dropped == 0


def test_read_gives_a_copy() -> None:
    ring = RingBuffer(4, 1)
    put(ring, counting(0, 4))
    frames = ring.read(4).frames
    put(ring, counting(4, 8))
    assert frames[:, 0].tolist() == [0, 1, 2, 3]


def test_a_full_ring_drops_the_newest_and_tells_where() -> None:
    ring = RingBuffer(4, 1)
    assert put(ring, counting(0, 6)) == 4
    assert put(ring, counting(6, 8)) == 0
    assert ring.dropped == 4
    assert ring.read(1).frames[:, 0].tolist() == [0]
    assert put(ring, counting(8, 9)) == 1
    before, after = ring.read(9), ring.read(9)
    assert (before.frames[:, 0].tolist(), before.lost) == ([1, 2, 3], 0)
    assert (after.frames[:, 0].tolist(), after.lost) == ([8], 4)


def test_an_empty_read_keeps_the_loss_for_the_next_block() -> None:
    ring = RingBuffer(4, 1)
    ring.lose(3)
    assert len(ring.read(4).frames) == ring.read(4).lost == 0
    put(ring, counting(3, 4))
    assert ring.read(4).lost == 3


def test_an_empty_block_publishes_no_loss() -> None:
    ring = RingBuffer(4, 1)
    ring.lose(1)
    put(ring, counting(0, 0))
    ring.lose(1)
    put(ring, counting(2, 3))
    assert ring.read(4).lost == 2


def test_without_a_free_mark_the_ring_keeps_dropping_and_counting() -> None:
    ring = RingBuffer(8, 1, max_marks=1)
    for position in range(0, 8, 2):
        ring.lose(1)
        put(ring, counting(position + 1, position + 2))
    first = ring.read(8)
    assert (first.frames[:, 0].tolist(), first.lost) == ([1], 1)
    put(ring, counting(8, 9))
    second = ring.read(8)
    assert (second.frames[:, 0].tolist(), second.lost) == ([8], 6)


def test_skip_passes_over_frames_and_the_losses_among_them() -> None:
    ring = RingBuffer(8, 1)
    put(ring, counting(0, 3))
    ring.lose(2)
    put(ring, counting(5, 8))
    assert ring.skip(4) == 4
    block = ring.read(8)
    assert (block.frames[:, 0].tolist(), block.lost) == ([6, 7], 6)
    assert ring.skipped == 4
    assert ring.skip(1) == 0


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_sizes_below_one_are_refused(sizes: tuple[int, int, int]) -> None:
    capacity, channels, max_marks = sizes
    with pytest.raises(ValueError, match="at least 1"):
        RingBuffer(capacity, channels, max_marks=max_marks)


operations = st.lists(
    st.tuples(st.sampled_from(["write", "read", "lose", "skip"]), st.integers(0, 12)), max_size=60
)


@given(st.integers(1, 10), st.integers(1, 3), operations)
def test_every_frame_is_read_once_or_counted_as_lost(
    capacity: int, max_marks: int, steps: list[tuple[str, int]]
) -> None:
    """Against the plainest model: each frame carries its position in the stream."""
    ring = RingBuffer(capacity, 1, max_marks=max_marks)
    sent = received = 0
    for action, size in steps:
        if action == "write":
            assert 0 <= put(ring, counting(sent, sent + size)) <= size
            sent += size
        elif action == "lose":
            ring.lose(size)
            sent += size
        elif action == "skip":
            ring.skip(size)
        else:
            received = _receive(ring, size, received)
    while ring.available:
        received = _receive(ring, capacity, received)
    assert ring.written + ring.dropped == sent
    assert ring.taken == ring.written


def _receive(ring: RingBuffer, size: int, received: int) -> int:
    """Read a block and check that its frames follow on, losses included."""
    block = ring.read(size)
    start = received + block.lost
    assert block.frames[:, 0].tolist() == list(range(start, start + len(block.frames)))
    return start + len(block.frames)


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Let the interpreter change threads far more often than it does by itself."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_switching")
@pytest.mark.parametrize("capacity", [7, 64, 1_000])
@pytest.mark.parametrize("max_marks", [1, 64])
def test_two_threads_lose_nothing_unseen(capacity: int, max_marks: int) -> None:
    ring = RingBuffer(capacity, 2, max_marks=max_marks)
    total = 60_000
    rng = np.random.default_rng(capacity)
    sizes = rng.integers(1, 40, size=total).tolist()

    def produce() -> None:
        sent = 0
        for size in sizes:
            if sent == total:
                return
            block = counting(sent, min(total, sent + size), 2)
            put(ring, block)
            sent += len(block)

    producer = threading.Thread(target=produce)
    producer.start()
    received = 0
    while producer.is_alive() or ring.available:
        block = ring.read(int(rng.integers(1, 50)))
        expected = counting(received + block.lost, received + block.lost + len(block.frames), 2)
        np.testing.assert_array_equal(block.frames, expected)
        received += block.lost + len(block.frames)
        if rng.random() < 0.01:
            time.sleep(0.0005)
    producer.join()
    assert ring.written + ring.dropped == total
    assert ring.taken == ring.written
    # What was dropped after the last frame that fitted has no frame to be reported with.
    assert received <= total


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 200))
def test_any_two_threads(seed: int, capacity: int) -> None:
    """The same with sizes drawn at random and blocks larger than the ring."""
    ring = RingBuffer(capacity, 1, max_marks=4)
    rng = np.random.default_rng(seed)
    bounds = np.cumsum(rng.integers(0, 3 * capacity, size=300))

    def produce() -> None:
        for start, stop in pairwise(bounds):
            put(ring, counting(int(start), int(stop)))

    producer = threading.Thread(target=produce)
    producer.start()
    received = int(bounds[0])
    while producer.is_alive() or ring.available:
        block = ring.read(1 + capacity // 3)
        start = received + block.lost
        expected = counting(start, start + len(block.frames))
        np.testing.assert_array_equal(block.frames, expected)
        received = start + len(block.frames)
    producer.join()
    assert ring.written + ring.dropped == int(bounds[-1] - bounds[0])
