"""Recordings as a source: the same chunks that a microphone gives, at any speed."""

from __future__ import annotations

import threading
import time
from typing import Final

import numpy as np

from rt_ser.audio.convert import Chunker, Converter
from rt_ser.audio.pcm import RawFormat, first_unusable
from rt_ser.audio.readers import Reader, open_reader
from rt_ser.audio.source import ClosedSource, EndOfStream, SourceBase, SourceCounters
from rt_ser.errors import InputError
from rt_ser.types import F32, AudioChunk

__all__ = ["FileSource", "RawFormat", "load"]

BLOCK_MS: Final = 30


class FileSource(SourceBase):
    """An audio file, or PCM on standard input, chunk by chunk.

    The file is streamed, never held whole. ``speed`` paces ``read`` alone: the
    samples and their numbering are the same at any speed.

    Parameters
    ----------
    path : str
        A wav, flac, ogg, opus or mp3 file, or ``"-"`` for WAV on standard input.
    speed : float, optional
        1.0 is real time; None is as fast as it is read.
    channel : {"first", "mix"}
        Take the first channel, or the mean of all.
    block_ms : int
        Native audio read at a time, in milliseconds.
    raw : RawFormat, optional
        Layout of headerless samples, in a file or on standard input.

    Raises
    ------
    InputError
        ``speed`` is not above 0; from ``open`` and ``read`` what is wrong with the file.
    """

    def __init__(
        self,
        path: str,
        *,
        speed: float | None = None,
        channel: str = "first",
        block_ms: int = BLOCK_MS,
        raw: RawFormat | None = None,
    ) -> None:
        if speed is not None and not 0 < speed < float("inf"):
            raise InputError(f"speed={speed:g} is not allowed: give a factor above 0, or max")
        self._path = str(path)
        self._speed = speed
        self._channel = channel
        self._block_ms = block_ms
        self._raw = raw
        self._closed = threading.Event()
        self._reader: Reader | None = None
        self._finished = False

    @property
    def name(self) -> str:
        """The path, or ``standard input``."""
        return "standard input" if self._path == "-" else self._path

    @property
    def is_live(self) -> bool:
        """False: a recording waits for its reader."""
        return False

    @property
    def counters(self) -> SourceCounters:
        """All nought: nothing of a recording is ever lost."""
        return SourceCounters()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is wrong with a file that could be played all the same."""
        return tuple(self._reader.notes) if self._reader else ()

    @property
    def duration_s(self) -> float | None:
        """Length in seconds by the file's header, or None where it does not say."""
        reader = self._reader
        if reader is None or reader.expected_frames is None:
            return None
        return reader.expected_frames / reader.rate_hz

    def open(self) -> None:
        """Open the file and read its header."""
        reader = open_reader(self._path, self._raw)
        if reader.expected_frames == 0:
            reader.close()
            raise InputError(f"{self.name}: no audio in it: its length is 0 samples")
        self._reader = reader
        self._chunker = Chunker(
            Converter(reader.rate_hz, reader.channels, channel=self._channel)
        )
        self._block = max(1, reader.rate_hz * self._block_ms // 1000)
        self._native = 0
        self._finished = False
        self._closed.clear()
        self._opened_at = time.monotonic()

    def read(self, timeout_s: float) -> AudioChunk | None:
        """Return the next chunk; see :class:`~rt_ser.audio.source.AudioSource`."""
        reader = self._reader
        if reader is None or self._closed.is_set():
            raise ClosedSource(f"{self.name}: not open")
        deadline = time.monotonic() + timeout_s
        while not self._finished:
            if not self._wait_until_due(deadline):
                return None
            frames = reader.read(self._block, max(0.0, deadline - time.monotonic()))
            if frames is None:
                return None
            chunk = self._convert(frames)
            if chunk is not None:
                return chunk
        raise EndOfStream(self.name)

    def close(self) -> None:
        """Close the file and wake a paced ``read``."""
        self._closed.set()
        if self._reader is not None:
            self._reader.close()

    def _convert(self, frames: F32) -> AudioChunk | None:
        """Check and convert a block; an empty one ends the stream and brings the tail."""
        if not len(frames):
            self._finished = True
            if not self._native:
                raise InputError(f"{self.name}: no audio in it: its length is 0 samples")
            return self._chunker.flush()
        if (unusable := first_unusable(frames)) is not None:
            index, value = unusable
            raise InputError(
                f"{self.name}: sample {self._native + index} is {value:g}, full scale being 1: "
                "the file is damaged; write it again as 16-bit PCM"
            )
        self._native += len(frames)
        return self._chunker.push(frames)

    def _wait_until_due(self, deadline: float) -> bool:
        """Wait for the moment at which a microphone would have delivered the next block."""
        if self._speed is None or self._reader is None:
            return True
        played_s = (self._native + self._block) / self._reader.rate_hz
        due = self._opened_at + played_s / self._speed
        wait_s = min(due, deadline) - time.monotonic()
        if wait_s > 0 and self._closed.wait(wait_s):
            raise ClosedSource(f"{self.name}: closed")
        return due <= deadline


def load(path: str, *, channel: str = "first", raw: RawFormat | None = None) -> F32:
    """Read a whole recording as the pipeline would hear it.

    Returns
    -------
    ndarray, shape (n,), float32, mono at 16 kHz

    Raises
    ------
    InputError
        The file cannot be read.
    """
    parts: list[F32] = []
    with FileSource(path, channel=channel, block_ms=1000, raw=raw) as source:
        while True:
            try:
                chunk = source.read(60.0)
            except EndOfStream:
                # A recording shorter than one sample gives none.
                return np.concatenate([*parts, np.zeros(0, np.float32)])
            if chunk is not None:
                parts.append(chunk.samples)
