"""Frame-by-frame readers of audio files and of PCM that comes through a pipe.

A reader hands out native frames, shape (n, channels), float32, and never holds more
than a block of them.
"""

from __future__ import annotations

import os
import select
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import soundfile

from rt_ser.audio.pcm import RawFormat, check_layout, decode_pcm
from rt_ser.audio.wav import WavHeader, read_wav_header
from rt_ser.errors import InputError
from rt_ser.types import F32

_HEADERLESS: Final = {".raw", ".pcm"}


class Reader(Protocol):
    """Native frames in order; ``expected_frames`` is None where nobody knows."""

    rate_hz: int
    channels: int
    expected_frames: int | None
    notes: list[str]

    def read(self, frames: int, timeout_s: float) -> F32 | None:
        """Return up to ``frames`` frames; none at the end; None when they are not there yet."""

    def close(self) -> None:
        """Release the file."""


def open_reader(path: str, raw: RawFormat | None) -> Reader:
    """Open a file, or standard input where ``path`` is ``"-"``.

    Raises
    ------
    InputError
        It is missing, unreadable, empty, no audio, or audio that we do not take.
    """
    if path == "-":
        return PcmReader(_stdin_descriptor(), name="standard input", raw=raw)
    _check_file(path)
    if raw is not None:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        return PcmReader(descriptor, name=path, raw=raw, owns=True)
    return SoundFileReader(path)


def _stdin_descriptor() -> int:
    if sys.stdin is None or sys.stdin.closed:
        raise InputError("standard input is closed: pipe audio into it or name a file")
    if sys.stdin.isatty():
        raise InputError("standard input is a terminal: pipe audio into it or name a file")
    return sys.stdin.fileno()


def _check_file(path: str) -> None:
    """Name the plain reasons why a file cannot be read."""
    file = Path(path)
    try:
        mode = file.stat().st_mode
        if stat.S_ISREG(mode):
            with file.open("rb") as stream:
                is_empty = not stream.read(1)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read: {reason}") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{path}: this is a directory: name the audio files in it")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: this is no plain file: pipe it into standard input and name -")
    if is_empty:
        raise InputError(f"{path}: the file is empty")


class SoundFileReader:
    """A wav, flac, ogg, opus or mp3 file through libsndfile."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file = _open_soundfile(path)
        self.rate_hz: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.expected_frames: int | None = self._file.frames
        self.notes: list[str] = []
        self._taken = 0
        try:
            check_layout(self.rate_hz, self.channels, name=path)
            self._note_truncated_wav()
        except BaseException:
            self.close()
            raise

    def read(self, frames: int, timeout_s: float) -> F32 | None:
        """Return up to ``frames`` frames, none at the end of the file."""
        try:
            # Closing while libsndfile reads would pull the file from under it.
            with self._lock:
                if self._file.closed:
                    return None
                block: F32 = self._file.read(frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            reason = error.error_string.rstrip(".")
            if not self._taken:
                raise InputError(f"{self._path}: cannot be decoded: {reason}") from error
            self._note_end(f"damaged ({reason})")
            return np.zeros((0, self.channels), dtype=np.float32)
        self._taken += len(block)
        if not len(block) and self.expected_frames and self._taken < self.expected_frames:
            self._note_end("truncated")
        return block

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def _note_end(self, what: str) -> None:
        self.notes.append(
            f"{self._path}: {what} after {self._taken / self.rate_hz:.2f} s: judged up to there"
        )

    def _note_truncated_wav(self) -> None:
        """Compare a WAV header's length with the file's: libsndfile trims without a word."""
        if self._file.format not in ("WAV", "WAVEX"):
            return
        with Path(self._path).open("rb") as stream:
            try:
                header = read_wav_header(stream.read, name=self._path)
            except InputError:
                return  # an encoding that only libsndfile knows
        size = Path(self._path).stat().st_size - header.header_bytes
        if header.data_bytes is not None and size < header.data_bytes:
            self.notes.append(_shorter(self._path, size, header))


def _shorter(name: str, size: int, header: WavHeader) -> str:
    second = header.raw.frame_bytes * header.raw.rate_hz
    promised = header.data_bytes or 0
    return (
        f"{name}: truncated: {size / second:.2f} s of the {promised / second:.2f} s that its "
        "header promises: judged up to there"
    )


def _open_soundfile(path: str) -> soundfile.SoundFile:
    if Path(path).suffix.lower() in _HEADERLESS:
        raise InputError(f"{path}: raw samples have no header: give their layout with --raw-rate")
    try:
        # As bytes, because soundfile takes no name that is not UTF-8 as text.
        return soundfile.SoundFile(path if sys.platform == "win32" else os.fsencode(path))
    except soundfile.LibsndfileError as error:
        raise InputError(
            f"{path}: no audio that can be decoded: "
            "wav, flac, ogg, opus and mp3 are; convert others with ffmpeg -i INPUT OUTPUT.wav"
        ) from error


class PcmReader:
    """WAV or raw PCM from a descriptor that may be a pipe, decoded as it arrives.

    Parameters
    ----------
    descriptor : int
        Where to read.
    name : str
        What messages call it.
    raw : RawFormat, optional
        Layout of headerless samples; without it a WAV header is expected.
    owns : bool
        Close the descriptor at the end.
    """

    def __init__(
        self, descriptor: int, *, name: str, raw: RawFormat | None, owns: bool = False
    ) -> None:
        self._descriptor = descriptor
        self._name = name
        self._owns = owns
        self._header: WavHeader | None = None
        if raw is None:
            self._header = read_wav_header(self._read_exactly, name=name)
            raw = self._header.raw
        self._raw = raw
        self.rate_hz = raw.rate_hz
        self.channels = raw.channels
        data_bytes = self._header.data_bytes if self._header else None
        self._left = data_bytes
        self.expected_frames = None if data_bytes is None else data_bytes // raw.frame_bytes
        self.notes: list[str] = []
        self._pending = bytearray()
        self._taken_bytes = 0
        self._ended = False

    def read(self, frames: int, timeout_s: float) -> F32 | None:
        """Return up to ``frames`` frames, none at the end, None when they are not there yet."""
        wanted = frames * self._raw.frame_bytes
        deadline = time.monotonic() + timeout_s
        while len(self._pending) < wanted and not self._ended:
            if not self._readable(max(0.0, deadline - time.monotonic())):
                return None
            self._receive(wanted - len(self._pending))
        whole = len(self._pending) - len(self._pending) % self._raw.frame_bytes
        taken = bytes(self._pending[: min(whole, wanted)])
        del self._pending[: len(taken)]
        if not taken and self._pending:
            self.notes.append(
                f"{self._name}: the last {len(self._pending)} bytes are no whole frame "
                f"of {self._raw.frame_bytes}: left out"
            )
            self._pending.clear()
        return decode_pcm(taken, self._raw)

    def close(self) -> None:
        """Close the descriptor if it is ours."""
        if self._owns:
            self._owns = False
            os.close(self._descriptor)

    def _receive(self, wanted: int) -> None:
        limit = wanted if self._left is None else min(wanted, self._left)
        data = os.read(self._descriptor, limit) if limit else b""
        self._pending += data
        self._taken_bytes += len(data)
        if self._left is not None:
            self._left -= len(data)
        self._ended = not data
        if not data and self._left and self._header:
            self.notes.append(_shorter(self._name, self._taken_bytes, self._header))

    def _readable(self, timeout_s: float) -> bool:
        """Wait for data; on Windows pipes cannot be waited for, so a read there may block."""
        if sys.platform == "win32":
            return True
        return bool(select.select([self._descriptor], [], [], timeout_s)[0])

    def _read_exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            part = os.read(self._descriptor, count - len(data))
            if not part:
                break
            data += part
        return bytes(data)
