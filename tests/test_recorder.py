"""What a recorder writes, and what it does where nobody reads."""

from __future__ import annotations

import io
from types import SimpleNamespace

from rt_ser.audio.recorder import AUDIO, AUDIO_AFTER_OVERFLOW, HEADER, Recorder

TIMING = SimpleNamespace(inputBufferAdcTime=50.0, currentTime=50.5)


def records(pipe: io.BytesIO) -> list[tuple[int, bytes, int]]:
    """Part what was written into kind, content and frames lost."""
    pipe.seek(0)
    found = []
    while head := pipe.read(HEADER.size):
        kind, size, lost, came_s, adc_s, current_s = HEADER.unpack(head)
        found.append((kind, pipe.read(size), lost))
        assert came_s > 0.0
        assert (adc_s, current_s) == (50.0, 50.5)
    return found


def test_blocks_are_copied_when_they_come() -> None:
    """A driver reuses its buffer."""
    pipe, block = io.BytesIO(), bytearray(b"abcdefgh")
    recorder = Recorder(pipe, 10)
    recorder.take(block, 2, TIMING, None)
    block[:] = b"ABCDEFGH"
    recorder.take(block, 2, TIMING, SimpleNamespace(input_overflow=True))
    recorder.finish()
    recorder.run()
    assert records(pipe) == [(AUDIO, b"abcdefgh", 0), (AUDIO_AFTER_OVERFLOW, b"ABCDEFGH", 0)]


def test_what_there_is_no_room_for_is_counted() -> None:
    pipe = io.BytesIO()
    recorder = Recorder(pipe, 2)
    for _ in range(5):
        recorder.take(b"12345678", 2, TIMING, None)
    recorder._waiting.get()
    recorder.take(b"87654321", 2, TIMING, None)
    recorder.finish()
    recorder.run()
    assert records(pipe) == [(AUDIO, b"12345678", 0), (AUDIO, b"87654321", 6)]
