"""Chunks of any length in, frames of one length out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rt_ser.types import FRAME_SAMPLES, AudioChunk, Frame, freeze


class Framer:
    """Cut a stream of chunks into frames of ``FRAME_SAMPLES``, whatever the chunk sizes.

    A gap discards the samples of the unfinished frame before it (they are counted in
    the next frame's ``gap``), so no frame ever spans lost audio.
    """

    def __init__(self) -> None:
        self._buffer = np.zeros(FRAME_SAMPLES, np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget everything and expect sample 0 next."""
        self._filled = 0
        self._start = 0
        self._gap = 0

    @property
    def position(self) -> int:
        """Index of the sample that comes next."""
        return self._start + self._filled

    def push(self, chunk: AudioChunk) -> Iterator[Frame]:
        """Yield every frame that ``chunk`` completes; consume the iterator fully."""
        if chunk.gap:
            self._skip(chunk)
        position = 0
        while position < len(chunk.samples):
            count = min(FRAME_SAMPLES - self._filled, len(chunk.samples) - position)
            stop = self._filled + count
            self._buffer[self._filled : stop] = chunk.samples[position : position + count]
            self._filled = stop
            position += count
            if self._filled == FRAME_SAMPLES:
                yield self._take()

    def flush(self) -> int:
        """Discard the unfinished frame and return its length; it becomes the next one's gap."""
        discarded = self._filled
        self._start += discarded
        self._gap += discarded
        self._filled = 0
        return discarded

    def _skip(self, chunk: AudioChunk) -> None:
        self._gap += chunk.gap + self._filled
        self._start = chunk.start
        self._filled = 0

    def _take(self) -> Frame:
        frame = Frame(samples=freeze(self._buffer.copy()), start=self._start, gap=self._gap)
        self._start += FRAME_SAMPLES
        self._filled = 0
        self._gap = 0
        return frame
