"""Records one microphone, or lists them all, as a program of its own.

    python recorder.py list
    python recorder.py record INDEX NAME RATE_HZ CHANNELS BLOCK_FRAMES MOST_BLOCKS

PortAudio stays out of the program that listens. It can hang for good: where the sound
server ends while a stream starts, release 19.6 spins in ``PaAlsaStream_WaitForFrames``
and its abort waits for that. Its list of devices is frozen while any stream of a process
is open. And its callbacks wait while a program keeps the interpreter to itself. Another
process can be ended in whatever it hangs, lists anew each time, and is kept waiting by
nobody. This file imports nothing of the package, so that it starts fast and stays small.

``record`` writes records to standard output until the stream finishes or nobody reads:
a :data:`HEADER` and as many bytes as it says, the first one ``OPENED`` or ``REFUSED``.
``list`` writes JSON.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, BinaryIO, Final

HEADER: Final = struct.Struct("=IIQddd")
"""Kind, bytes that follow, frames lost before them, and three moments in seconds: when
the block came (monotonic), its first frame's on the converter's clock, that clock's then."""

OPENED, REFUSED, AUDIO, AUDIO_AFTER_OVERFLOW = range(4)
"""Kinds of record. Of a refusal the reasons follow as JSON, of audio the frames."""

ORPHAN_S: Final = 1.0
"""How often a recorder to which no audio comes looks whether anybody is left to read."""

MEANT_FOR_OTHERS: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
"""Signals that reach every process of a terminal or a service: the program that listens
decides what they mean, and a recorder ends with it."""

_GONE: Final = -9996  # paInvalidDevice


class Recorder:
    """Takes blocks from PortAudio and writes them to a pipe from another thread.

    Parameters
    ----------
    pipe : BinaryIO
        Where records go.
    most_blocks : int
        Blocks that may wait for a reader; further ones are lost and counted.
    """

    def __init__(self, pipe: BinaryIO, most_blocks: int) -> None:
        self._pipe = pipe
        self._most_blocks = most_blocks
        self._waiting: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()
        self._lost = 0

    def take(self, block: Any, frames: int, timing: Any, status: Any) -> None:
        """Take a block from PortAudio, in its own thread: copy and count, nothing else."""
        if self._waiting.qsize() >= self._most_blocks:
            self._lost += frames
            return
        kind = AUDIO_AFTER_OVERFLOW if status and status.input_overflow else AUDIO
        moments = monotonic(), timing.inputBufferAdcTime, timing.currentTime
        self._waiting.put((kind, bytes(block), self._lost, *moments))
        self._lost = 0

    def finish(self) -> None:
        """Let :meth:`run` end after what is waiting: the stream has finished."""
        self._waiting.put(None)

    def tell(self, kind: int, content: bytes = b"", lost: int = 0, *moments: float) -> None:
        """Write one record."""
        self._pipe.write(HEADER.pack(kind, len(content), lost, *(moments or (0.0, 0.0, 0.0))))
        self._pipe.write(content)
        self._pipe.flush()

    def run(self) -> None:
        """Write what comes until the stream finishes or nobody reads any more."""
        parent = os.getppid()
        while os.getppid() == parent:
            try:
                record = self._waiting.get(timeout=ORPHAN_S)
            except Empty:
                continue
            if record is None:
                return
            self.tell(*record)


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
        recorder.tell(REFUSED, json.dumps(_reasons(error)).encode())
        return
    recorder.tell(OPENED)
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


def main() -> None:
    """Do what the command line says; nothing but records comes out."""
    del sys.path[0]  # this folder, whose modules are not meant to be found by their bare names
    for name in MEANT_FOR_OTHERS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    pipe = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        if sys.argv[1] == "list":
            pipe.write(json.dumps(inventory()).encode())
            pipe.flush()
        else:
            index, name, rate_hz, channels, block, most_blocks = sys.argv[2:]
            layout = int(index), name, int(rate_hz), int(channels), int(block)
            record(Recorder(pipe, int(most_blocks)), *layout)
    except BrokenPipeError:
        pass
    # At once: PortAudio's own way out waits for its threads, which may hang.
    os._exit(0)


if __name__ == "__main__":
    main()
