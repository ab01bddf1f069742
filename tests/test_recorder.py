"""What a recorder writes, what is read of it, and what it does where nobody reads."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from rt_ser.audio.recorder import (
    AUDIO,
    AUDIO_AFTER_OVERFLOW,
    HEADER,
    LONGEST_REFUSAL,
    Recorder,
    records,
)

TIMING = SimpleNamespace(inputBufferAdcTime=50.0, currentTime=50.5)


def told(pipe: io.BytesIO) -> list[tuple[int, bytes, int]]:
    """Read what was written: kind, content and frames lost."""
    pipe.seek(0)
    found = []
    for record in records(pipe, 8):
        found.append((record.kind, bytes(record.content), record.lost))
        assert record.came_s > 0.0
        assert (record.adc_s, record.current_s) == (50.0, 50.5)
    return found


def test_blocks_are_copied_when_they_come() -> None:
    """A driver reuses its buffer."""
    pipe, block = io.BytesIO(), bytearray(b"abcdefgh")
    recorder = Recorder(pipe, 10, 0.03)
    recorder.take(block, 2, TIMING, None)
    block[:] = b"ABCDEFGH"
    recorder.take(block, 2, TIMING, SimpleNamespace(input_overflow=True))
    recorder.finish()
    recorder.run()
    assert told(pipe) == [(AUDIO, b"abcdefgh", 0), (AUDIO_AFTER_OVERFLOW, b"ABCDEFGH", 0)]


def test_what_there_is_no_room_for_is_counted() -> None:
    pipe = io.BytesIO()
    recorder = Recorder(pipe, 2, 0.03)
    for _ in range(5):
        recorder.take(b"12345678", 2, TIMING, None)
    recorder._waiting.popleft()
    recorder.take(b"87654321", 2, TIMING, None)
    recorder.finish()
    recorder.run()
    assert told(pipe) == [(AUDIO, b"12345678", 0), (AUDIO, b"87654321", 6)]


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"half a header",
        HEADER.pack(AUDIO, 8, 0, 1.0, 50.0, 50.5) + b"half",
        HEADER.pack(AUDIO, LONGEST_REFUSAL + 1, 0, 1.0, 50.0, 50.5) + bytes(2 * LONGEST_REFUSAL),
    ],
)
def test_what_no_recorder_would_write_ends_it(written: bytes) -> None:
    assert told(io.BytesIO(written)) == []
