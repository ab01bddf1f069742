"""A ring of audio frames between the thread that captures and the one that reads.

One thread writes, one thread reads, nobody waits and nothing is locked: each index
has a single writer, only ever grows, and is stored after the data that it vouches
for. CPython's interpreter lock makes those stores visible in order.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rt_ser.types import F32

SAMPLE_BYTES: Final = 4
"""Of a float32."""


class RingBlock(NamedTuple):
    """Frames taken from the ring.

    ``frames`` is a copy, shape (n, channels), float32; ``lost`` counts the frames
    lost just before ``frames[0]``. An empty block never carries a loss.
    """

    frames: F32
    lost: int


class RingBuffer:
    """Single-producer, single-consumer ring of float32 frames that never overwrites.

    What does not fit is not written: it is counted, and the reader learns of it
    exactly between the frames before and after the loss.

    Parameters
    ----------
    capacity : int
        Frames that the ring holds, at least 1.
    channels : int
        Samples in a frame, at least 1.
    max_marks : int
        Losses that can lie unread at one time. With none free the writer keeps
        dropping, so a loss is never forgotten.

    Attributes
    ----------
    written : int
        Frames ever written; those lost are not among them. Set by the writer alone.
    dropped : int
        Frames ever lost for want of room, those not yet reported to the reader included.
        Set by the writer alone.
    """

    def __init__(self, capacity: int, channels: int, *, max_marks: int = 64) -> None:
        if capacity < 1 or channels < 1 or max_marks < 1:
            sizes = f"capacity={capacity}, channels={channels}, max_marks={max_marks}"
            raise ValueError(f"{sizes}: each must be at least 1")
        self._capacity = capacity
        # Filled, not np.zeros: that leaves it to the first write to have the system provide
        # the memory.
        self._data: F32 = np.full((capacity, channels), 0.0, dtype=np.float32)
        # Written through as bytes: an array's assignment takes twice as long.
        self._bytes = self._data.data.cast("B")
        self._frame_bytes = SAMPLE_BYTES * channels
        self._marks: NDArray[np.int64] = np.zeros((max_marks, 2), dtype=np.int64)
        # Stored by the writer only.
        self.written = 0
        self.dropped = 0
        self._marks_written = 0
        self._pending_loss = 0
        # Stored by the reader only.
        self._taken = 0
        self._marks_taken = 0
        self._skipped = 0
        self._pending_skip = 0
        self._lost_before = 0

    @property
    def capacity(self) -> int:
        """Frames that the ring holds."""
        return self._capacity

    @property
    def available(self) -> int:
        """Frames written and not read yet."""
        return self.written - self._taken

    @property
    def position(self) -> int:
        """Frames ever captured: those written and those lost."""
        return self.written + self.dropped

    @property
    def newest(self) -> int:
        """Position after the newest frame there is to read, losses before it included."""
        return self.written + self.dropped - self._pending_loss

    @property
    def oldest(self) -> int:
        """Position of the next frame to read, losses included. For the reading thread only."""
        lost = 0
        if self._next_mark() == self._taken:
            lost = int(self._marks[self._marks_taken % len(self._marks), 1])
        return self._taken + self._lost_before + lost

    @property
    def taken(self) -> int:
        """Frames ever read."""
        return self._taken

    @property
    def skipped(self) -> int:
        """Frames that the reader passed over."""
        return self._skipped

    def write(self, block: bytes | memoryview, frames: int) -> int:
        """Append as much of a block as fits; return how many frames.

        For the writing thread only. The rest of the block counts as lost.

        Parameters
        ----------
        block : bytes-like
            Float32 samples in the machine's byte order, the channels of a frame together.
        frames : int
            How many frames those are.
        """
        start = self.written
        capacity = self._capacity
        offset = start % capacity
        stop = offset + frames
        if stop <= capacity and frames <= capacity - start + self._taken and not self._pending_loss:
            # As nearly always: one copy and nothing else.
            self._bytes[offset * self._frame_bytes : stop * self._frame_bytes] = block
            self.written = start + frames
            return frames
        return self._write_parts(block, frames)

    def lose(self, frames: int) -> None:
        """Count frames that were lost before the next block. For the writing thread only."""
        self._pending_loss += frames
        self.dropped += frames

    def read(self, max_frames: int) -> RingBlock:
        """Take up to ``max_frames`` frames, none of them across a loss.

        For the reading thread only. Never waits: an empty block means nothing yet.
        """
        # The writer stores a mark before the frames after it: read in reverse order.
        stop = self.written
        start = self._taken
        lost = 0
        if start < stop:
            lost = self._pending_skip + self._take_loss(start)
            self._pending_skip = 0
        mark = self._next_mark()
        count = min(max_frames, (stop if mark is None else min(stop, mark)) - start)
        offset = start % len(self._data)
        wrapped = max(0, offset + count - self.capacity)
        frames = np.concatenate((self._data[offset : offset + count], self._data[:wrapped]))
        self._taken = start + count
        return RingBlock(frames, lost)

    def skip(self, frames: int) -> int:
        """Pass over up to ``frames`` of the oldest frames; return how many.

        For the reading thread only. The next block's ``lost`` includes them.
        """
        stop = min(self.written, self._taken + frames)
        count = stop - self._taken
        while (mark := self._next_mark()) is not None and mark < stop:
            self._pending_skip += self._take_loss(mark)
        self._pending_skip += count
        self._skipped += count
        self._taken = stop
        return count

    def _write_parts(self, block: bytes | memoryview, frames: int) -> int:
        """Append what fits of a block that does not fit in one piece, or that follows a loss."""
        start = self.written
        room = self._capacity - start + self._taken
        if self._pending_loss and room and frames and not self._publish_loss(start):
            room = 0
        count = min(room, frames)
        offset = start % self._capacity * self._frame_bytes
        length = count * self._frame_bytes
        first = min(length, len(self._bytes) - offset)
        self._bytes[offset : offset + first] = block[:first]
        self._bytes[: length - first] = block[first:length]
        self.written = start + count
        if count < frames:
            self.lose(frames - count)
        return count

    def _publish_loss(self, position: int) -> bool:
        """Store the pending loss as lying before frame ``position``, if a mark is free."""
        if self._marks_written - self._marks_taken == len(self._marks):
            return False
        self._marks[self._marks_written % len(self._marks)] = (position, self._pending_loss)
        self._pending_loss = 0
        self._marks_written += 1
        return True

    def _take_loss(self, position: int) -> int:
        """Return the frames lost just before ``position`` and free the mark, if there is one."""
        if self._next_mark() != position:
            return 0
        lost = int(self._marks[self._marks_taken % len(self._marks), 1])
        self._marks_taken += 1
        self._lost_before += lost
        return lost

    def _next_mark(self) -> int | None:
        """Return the position of the oldest unread loss."""
        if self._marks_taken == self._marks_written:
            return None
        return int(self._marks[self._marks_taken % len(self._marks), 0])
