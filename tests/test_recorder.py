"""What a recorder writes, what is read of it, and what it does where nobody reads."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from rt_ser.audio.capture import Capture
from rt_ser.audio.devices import InputDevice
from rt_ser.audio.recorder import (
    AUDIO,
    AUDIO_AFTER_OVERFLOW,
    HEADER,
    LONGEST_REFUSAL,
    Recorder,
    records,
)

with contextlib.suppress(ImportError, OSError):
    import sounddevice

needs_portaudio = pytest.mark.skipif(
    "sounddevice" not in globals() or sys.platform != "linux",
    reason="no PortAudio for ALSA: apt-get install libportaudio2",
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


def is_there(process: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked after does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").split(") ")[1][0] != "Z"
    except OSError:
        return False


def opened_for_writing(pipe: Path) -> int:
    """Open a named pipe as soon as somebody reads from it."""
    for _ in range(200):
        with contextlib.suppress(OSError):
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.1)
    raise TimeoutError(f"nobody reads {pipe}")


@needs_portaudio
@pytest.mark.parametrize("command", [("list",), ("record", 0, "mic", 48_000, 1, 1440, 10)])
def test_a_recorder_that_hangs_ends_with_its_program(
    command: tuple[object, ...], tmp_path: Path, repo_root: Path
) -> None:
    """PortAudio waits for ever for ALSA's configuration: a pipe into which nobody writes."""
    assert sounddevice
    os.mkfifo(tmp_path / "alsa.conf")
    program = "from rt_ser.audio.driver import start_recorder\n" + (
        f"print(start_recorder(*{command}).pid, flush=True)\ninput()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "ALSA_CONFIG_PATH": f"{tmp_path}/alsa.conf"},
        cwd=repo_root,
    ) as listening:
        assert listening.stdout is not None
        recorder = int(listening.stdout.readline())
        pipe = opened_for_writing(tmp_path / "alsa.conf")
        os.kill(recorder, signal.SIGTERM)
        time.sleep(1.0)
        assert is_there(recorder)  # it hangs, and signals are not meant for it
        listening.kill()
    try:
        began = time.monotonic()
        while is_there(recorder) and time.monotonic() - began < 5.0:
            time.sleep(0.05)
        assert not is_there(recorder)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(recorder, signal.SIGKILL)
        os.close(pipe)


@needs_portaudio
def test_a_recorder_whose_program_ended_before_it_began_ends(
    tmp_path: Path, repo_root: Path
) -> None:
    os.mkfifo(tmp_path / "alsa.conf")
    program = repo_root / "rt_ser" / "audio" / "recorder.py"
    done = subprocess.run(
        [sys.executable, str(program), str(os.getpid() + 1), "list"],
        capture_output=True,
        timeout=30,
        env={**os.environ, "ALSA_CONFIG_PATH": f"{tmp_path}/alsa.conf"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@needs_portaudio
def test_who_gives_up_waiting_for_a_microphone_leaves_no_recorder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the device does not open."""
    os.mkfifo(tmp_path / "alsa.conf")
    monkeypatch.setenv("ALSA_CONFIG_PATH", f"{tmp_path}/alsa.conf")
    microphone = InputDevice(
        index=0, name="mic", hostapi="ALSA", rate_hz=48_000, channels=1, is_default=True
    )
    capture = Capture(microphone, block_ms=30, ring_s=1.0)
    recorders: list[int] = []

    def interrupt() -> None:
        recorders.append(capture.process)
        os.kill(os.getpid(), signal.SIGINT)

    # Where the tests run in the background of a shell, Ctrl-C is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(0.5, interrupt).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            capture.start()
        assert not is_there(recorders[0])
        assert capture.process == 0
    finally:
        signal.signal(signal.SIGINT, before)
        capture.abort()
