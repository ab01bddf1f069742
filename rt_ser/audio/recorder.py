"""Records one microphone, or lists them all, as a program of its own.

    python recorder.py PARENT list
    python recorder.py PARENT record INDEX NAME RATE_HZ CHANNELS BLOCK_FRAMES MOST_BLOCKS

PortAudio stays out of the program that listens. It can hang for good: where the sound
server ends while a stream starts, release 19.6 spins in ``PaAlsaStream_WaitForFrames``
and its abort waits for that. Its list of devices is frozen while any stream of a process
is open. And its callbacks wait while a program keeps the interpreter to itself. Another
process can be ended in whatever it hangs, lists anew each time, and is kept waiting by
nobody. This file imports nothing of the package, so that it starts fast and stays small.

``record`` writes records to standard output until the stream finishes or nobody reads:
a :data:`HEADER` and as many bytes as it says; the first one is ``OPENED`` or ``REFUSED``.
``list`` writes JSON. Either ends with the process whose number is ``PARENT``, even while it
hangs; on Windows, where an orphan keeps its parent's number, when nobody reads any more.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import threading
from collections import deque
from collections.abc import Iterator
from time import monotonic, sleep
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, cast

if TYPE_CHECKING:
    from io import BufferedReader

HEADER: Final = struct.Struct("=IIQddd")
"""A record's kind, the bytes that follow, and its other fields."""

OPENED, REFUSED, AUDIO, AUDIO_AFTER_OVERFLOW = range(4)
"""Kinds of record. Of a refusal the reasons follow as JSON, of audio the frames."""

LONGEST_REFUSAL: Final = 4096
"""Bytes of reasons that are read at most."""

LATE_S: Final = 0.001
"""How long after a block is due one looks for it: sooner would often be too soon."""

LOOK_AGAIN_S: Final = 0.003
LOOK_SELDOM_S: Final = 0.03
"""The shortest and the longest pause between two looks for a block that is overdue."""

LOOK_FOR_PARENT_S: Final = 0.25
"""How often one looks whether the program that listens is still there."""

MEANT_FOR_OTHERS: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
"""Signals that reach every process of a terminal or a service: the program that listens
decides what they mean, and a recorder ends with it."""

_GONE: Final = -9996  # paInvalidDevice


class Record(NamedTuple):
    """What a recorder tells at once.

    ``lost`` frames are missing before it. ``came_s`` is when its block came (monotonic
    seconds), ``adc_s`` the converter's clock at its first frame, ``current_s`` that clock
    when it came.
    """

    kind: int
    content: bytes | memoryview = b""
    lost: int = 0
    came_s: float = 0.0
    adc_s: float = 0.0
    current_s: float = 0.0


def records(pipe: IO[bytes], block_bytes: int) -> Iterator[Record]:
    """Yield what a recorder tells until it ends, or says what none would say.

    A record's content is overwritten by the next one's.
    """
    reader = cast("BufferedReader", pipe)
    head = bytearray(HEADER.size)
    content = memoryview(bytearray(max(block_bytes, LONGEST_REFUSAL)))
    while reader.readinto(head) == len(head):
        kind, size, *others = HEADER.unpack(head)
        if size > len(content) or reader.readinto(content[:size]) != size:
            return
        yield Record(kind, content[:size], *others)


def pause_s(came_s: float, block_s: float) -> float:
    """Return for how many seconds there will be no further block.

    Whoever waits for one looks when it is due. The callback wakes nobody: that took as
    long as all the rest of it, and had the two contend for the interpreter.

    Parameters
    ----------
    came_s : float
        When the last one came, in monotonic seconds.
    block_s : float
        How many seconds a block holds.
    """
    overdue_s = monotonic() - came_s - block_s
    return max(LATE_S - overdue_s, min(max(LOOK_AGAIN_S, overdue_s / 4), LOOK_SELDOM_S))


class Recorder:
    """Takes blocks from PortAudio and writes them to a pipe from another thread.

    Parameters
    ----------
    pipe : binary file
        Where records go.
    most_blocks : int
        Blocks that may wait for a reader; further ones are lost and counted.
    block_s : float
        How many seconds a block holds.
    """

    def __init__(self, pipe: IO[bytes], most_blocks: int, block_s: float) -> None:
        self._pipe = pipe
        self._most_blocks = most_blocks
        self._block_s = block_s
        self._waiting: deque[tuple[Any, ...] | None] = deque()
        self._lost = 0

    def take(self, block: Any, frames: int, timing: Any, status: Any) -> None:
        """Take a block from PortAudio, in its own thread: copy and count, nothing else."""
        if len(self._waiting) >= self._most_blocks:
            self._lost += frames
            return
        kind = AUDIO_AFTER_OVERFLOW if status and status.input_overflow else AUDIO
        lost, self._lost = self._lost, 0
        moments = monotonic(), timing.inputBufferAdcTime, timing.currentTime
        self._waiting.append((kind, bytes(block), lost, *moments))  # a Record takes longer

    def finish(self) -> None:
        """Let :meth:`run` end after what is waiting: the stream has finished."""
        self._waiting.append(None)

    def tell(self, record: Record) -> None:
        """Write a record."""
        kind, content, *others = record
        self._pipe.write(HEADER.pack(kind, len(content), *others))
        self._pipe.write(content)
        self._pipe.flush()

    def run(self) -> None:
        """Write what comes until the stream finishes or nobody reads any more."""
        came_s = monotonic()
        while True:
            if not self._waiting:
                sleep(pause_s(came_s, self._block_s))
                continue
            waiting = self._waiting.popleft()
            if waiting is None:
                return
            record = Record(*waiting)
            came_s = record.came_s
            self.tell(record)


def record(
    recorder: Recorder, index: int, name: str, rate_hz: int, channels: int, block: int
) -> None:
    """Record a device, if it still has the index and the name."""
    try:
        sounddevice = _sounddevice()
        if name not in [found["name"] for found in sounddevice.query_devices()[index : index + 1]]:
            raise RefusedError(code=_GONE)
        stream = sounddevice.RawInputStream(
            device=index,
            samplerate=rate_hz,
            channels=channels,
            dtype="float32",
            blocksize=block,
            callback=recorder.take,
            finished_callback=recorder.finish,
        )
        stream.start()
    except Exception as error:
        recorder.tell(Record(REFUSED, json.dumps(_reasons(error)).encode()))
        return
    recorder.tell(Record(OPENED))
    recorder.run()


def inventory() -> dict[str, Any]:
    """Return PortAudio's release, its devices, their systems and the index of the default."""
    try:
        sounddevice = _sounddevice()
        return {
            "release": sounddevice.get_portaudio_version()[1],
            "devices": list(sounddevice.query_devices()),
            "systems": list(sounddevice.query_hostapis()),
            "default": sounddevice.default.device[0],
        }
    except Exception as error:
        return {"refused": _reasons(error)}


class RefusedError(Exception):
    """PortAudio is missing, or the device is."""

    def __init__(self, **reasons: Any) -> None:
        super().__init__(str(reasons))
        self.reasons = reasons


def _sounddevice() -> Any:
    """Import sounddevice, which loads PortAudio."""
    try:
        import sounddevice
    except ImportError as error:
        raise RefusedError(missing="sounddevice", text=str(error)) from error
    except OSError as error:
        raise RefusedError(missing="PortAudio", text=str(error)) from error
    return sounddevice


def _reasons(error: Exception) -> dict[str, Any]:
    """Say what went wrong: PortAudio's errors have a text and, mostly, its number."""
    if isinstance(error, RefusedError):
        return error.reasons
    code = error.args[1] if len(error.args) > 1 else 0
    return {"code": code, "text": str(error)}


def end_with(parent: int) -> None:
    """End this process once ``parent`` is no longer its parent, whatever else it is doing."""
    while os.getppid() == parent:
        sleep(LOOK_FOR_PARENT_S)
    os._exit(0)


def main() -> None:
    """Do what the command line says; nothing but records comes out."""
    del sys.path[0]  # this folder, whose modules are not meant to be found by their bare names
    if os.name != "nt":
        # Before PortAudio is loaded: it may hang from its first moment on, and where signals
        # are ignored nobody else would end this.
        threading.Thread(target=end_with, args=(int(sys.argv[1]),), daemon=True).start()
    for name in MEANT_FOR_OTHERS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    pipe = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        if sys.argv[2] == "list":
            pipe.write(json.dumps(inventory()).encode())
            pipe.flush()
        else:
            index, name, rate_hz, channels, block, most_blocks = sys.argv[3:]
            layout = int(index), name, int(rate_hz), int(channels), int(block)
            record(Recorder(pipe, int(most_blocks), int(block) / int(rate_hz)), *layout)
    except BrokenPipeError:
        pass
    # At once: PortAudio's own way out waits for its threads, which may hang.
    os._exit(0)


if __name__ == "__main__":
    main()
