"""Opening, ending and renewing PortAudio, one at a time.

PortAudio is one library for the whole process and not safe to be used by several threads
at once: terminating it while another thread ended a stream hung the process.
"""

from __future__ import annotations

import gc
import threading
from typing import Any

from rt_ser.audio.devices import InputDevice, load_sounddevice, portaudio

_ONE_AT_A_TIME = threading.RLock()


def open_stream(device: InputDevice, **options: Any) -> Any:
    """Open a device's input stream at its own rate and channels and start it.

    Parameters
    ----------
    device : InputDevice
    **options
        More options of ``sounddevice.RawInputStream``, whose callback gets plain bytes: an
        array would be made anew in each of its calls.

    Raises
    ------
    DeviceError
        It cannot be opened.
    """
    with _ONE_AT_A_TIME, portaudio(f"input device {device.label!r}") as sounddevice:
        stream = sounddevice.RawInputStream(
            device=device.index,
            samplerate=device.rate_hz,
            channels=device.channels,
            dtype="float32",
            **options,
        )
        try:
            stream.start()
        except BaseException:
            end_stream(stream)
            raise
        return stream


def end_stream(stream: Any) -> None:
    """End a stream at once: ``stop`` would wait for ever on a stalled device."""
    with _ONE_AT_A_TIME:
        stream.abort(ignore_errors=True)
        stream.close(ignore_errors=True)


def refresh() -> bool:
    """Make PortAudio look for devices again, whose list is frozen otherwise.

    That ends every stream of the process, so nothing is done while one is open, be it
    ours or, as where an agent speaks through sounddevice, the program's own. Tell whether
    it was done.
    """
    with _ONE_AT_A_TIME, portaudio("the audio system") as sounddevice:
        if _has_open_stream():
            return False
        sounddevice._terminate()
        sounddevice._initialize()
        return True


def _has_open_stream() -> bool:
    kind = load_sounddevice()._StreamBase
    # PortAudio does not tell. The list holds dying proxies too, whose type may not be asked.
    streams = [thing for thing in gc.get_objects() if issubclass(type(thing), kind)]
    return any(not stream.closed for stream in streams)
