"""Starts recorders, and says what their refusals mean; see :mod:`rt_ser.audio.recorder`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from rt_ser.errors import DeviceError

LIST_S: Final = 10.0
"""How long the audio system may take to list its devices."""

END_S: Final = 1.0
"""How long a recorder may take to end: the kernel waits for a driver that is at work."""

SEE: Final = "see rt-ser devices"

_PROGRAM: Final = Path(__file__).with_name("recorder.py")

_MISSING: Final = {
    "sounddevice": "the package sounddevice is missing: install it with pip install sounddevice",
    "PortAudio": (
        "the PortAudio library is missing: install it with "
        "sudo apt-get install libportaudio2 (Linux; elsewhere sounddevice brings it along)"
    ),
}

# PortAudio's error numbers (portaudio.h, PaErrorCode) and what to tell the person.
_REASONS: Final = {
    -9999: "the audio system refused it; another program may hold it, or permission is missing",
    -9998: "it has no such number of channels",
    -9997: "it does not take its own sample rate",
    -9996: "it is not there any more",
    -9985: "it is busy: end the program that holds it",
}


def start_recorder(*arguments: object) -> subprocess.Popen[bytes]:
    """Start a recorder whose records come out of ``stdout``.

    It ends with this program, within half a second, even while it hangs in PortAudio or
    this program is killed. On Windows one that hangs then must be ended by hand.

    Raises
    ------
    DeviceError
        This program has no Python interpreter to start.
    """
    if not sys.executable or getattr(sys, "frozen", False):
        raise DeviceError(
            "recording needs a Python interpreter of its own: run rt-ser from an installed Python"
        )
    try:
        return subprocess.Popen(
            [sys.executable, str(_PROGRAM), str(os.getpid()), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # Windows alone has it
        )
    except OSError as error:
        raise DeviceError(
            f"cannot start {sys.executable}: {error.strerror}; close other programs"
        ) from error


def end_recorder(recorder: subprocess.Popen[bytes]) -> None:
    """End a recorder at once, whatever it is doing."""
    recorder.kill()
    try:
        recorder.wait(END_S)
    except subprocess.TimeoutExpired:
        return  # held by the kernel: it ends as soon as its driver lets go


def inventory() -> dict[str, Any]:
    """Return what PortAudio finds now; see :func:`rt_ser.audio.recorder.inventory`.

    Raises
    ------
    DeviceError
        PortAudio is missing or does not work.
    """
    what = "the audio system"
    recorder = start_recorder("list")
    try:
        answer, _ = recorder.communicate(timeout=LIST_S)
    except subprocess.TimeoutExpired:
        raise DeviceError(
            f"{what} does not answer: restart the sound server, or log in again"
        ) from None
    finally:
        # not by leaving a context: that would wait for ever for one that the kernel holds
        end_recorder(recorder)
        if recorder.stdout is not None:
            recorder.stdout.close()
    found: dict[str, Any] = json.loads(answer or b'{"refused": {"text": "it crashed"}}')
    if "refused" in found:
        raise refusal(what, found["refused"])
    return found


def refusal(what: str, reasons: dict[str, Any]) -> DeviceError:
    """Turn a recorder's reasons into an error with the remedy.

    Parameters
    ----------
    what : str
        The device that the message names.
    reasons : dict
        As :mod:`rt_ser.audio.recorder` gives them.
    """
    if missing := _MISSING.get(reasons.get("missing", "")):
        return DeviceError(missing)
    reason = _REASONS.get(reasons.get("code", 0)) or reasons.get("text", "")
    return DeviceError(f"cannot use {what}: {reason}; {SEE}")
