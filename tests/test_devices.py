"""Finding the microphone that a person means, and saying what to do without one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rt_ser.audio.capture import Capture
from rt_ser.audio.devices import InputDevice, choose, list_inputs
from rt_ser.audio.driver import refusal
from rt_ser.audio.soundserver import ServerSource, parse_names, parse_source
from rt_ser.errors import DeviceError
from tests.vmic import VirtualMicrophone, missing
from tests.vmic import virtual_microphone as virtual_microphone

needs_portaudio = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def device(index: int, name: str, hostapi: str = "MME", **options: object) -> InputDevice:
    """An input device with what matters to choosing."""
    values = {"rate_hz": 48_000, "channels": 2, "is_default": False, **options}
    return InputDevice(index=index, name=name, hostapi=hostapi, **values)  # type: ignore[arg-type]


INPUTS = [
    device(0, "Line In"),
    device(2, "USB Microphone"),
    device(3, "Array Microphone", is_default=True),
    device(7, "USB Microphone", "WASAPI"),
    device(8, "USB Microphone Pro", "WASAPI"),
    device(9, "Headset A", "WASAPI"),
    device(11, "Headset B", "WASAPI"),
    device(12, "pulse", "ALSA", server_source="alsa_input.usb-Blue_Yeti"),
]


@pytest.mark.parametrize(
    ("spec", "index"),
    [
        (None, 3),
        ("", 3),
        (7, 7),
        ("7", 7),
        (" 0 ", 0),
        ("line", 0),
        ("microphone", 3),  # the default among several
        ("usb microphone", 2),  # an exact name, in the default's audio system
        ("usb", 2),
        ("Microphone Pro", 8),
        ("headset b", 11),
        ("blue_yeti", 12),
    ],
)
def test_choosing(spec: str | int | None, index: int) -> None:
    assert choose(INPUTS, spec).index == index


@pytest.mark.parametrize(
    ("inputs", "spec", "message"),
    [
        (
            [],
            None,
            "no input device found: plug in a microphone, check that the sound server runs and "
            "that you may use it (on Linux: group audio), then see rt-ser devices",
        ),
        (
            INPUTS[:2],
            5,
            "no input device has index 5: 0, 2 do; see rt-ser devices",
        ),
        (
            INPUTS[:2],
            "webcam",
            "no input device is called 'webcam': 'Line In', 'USB Microphone' are there; "
            "see rt-ser devices",
        ),
        (
            INPUTS,
            "headset",
            "several input devices match 'headset': 9 'Headset A', 11 'Headset B'; give the index",
        ),
    ],
)
def test_choosing_in_vain(inputs: list[InputDevice], spec: str | int | None, message: str) -> None:
    with pytest.raises(DeviceError) as caught:
        choose(inputs, spec)
    assert str(caught.value) == message


def test_without_a_default_the_first_is_taken() -> None:
    assert choose(INPUTS[:2], None).index == 0


@pytest.mark.parametrize(
    ("stands_in", "remedy"),
    [
        ("raise ImportError('No module named sounddevice')", "pip install sounddevice"),
        # what sounddevice does without libportaudio2
        ("raise OSError('PortAudio library not found')", "sudo apt-get install libportaudio2"),
        ("import os\nos.abort()", "cannot use the audio system: it crashed"),
    ],
)
def test_what_is_missing_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stands_in: str, remedy: str
) -> None:
    (tmp_path / "sounddevice.py").write_text(f"{stands_in}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DeviceError, match=remedy):
        list_inputs()
    with pytest.raises(DeviceError):
        Capture(INPUTS[0], block_ms=10, ring_s=1.0).start()


def test_a_device_that_is_not_there_any_more_is_refused() -> None:
    capture = Capture(INPUTS[0], block_ms=10, ring_s=1.0)
    with pytest.raises(DeviceError, match=r"it is not there any more|libportaudio2"):
        capture.start()
    assert capture.process == 0


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (-9985, "it is busy: end the program that holds it"),
        (-9996, "it is not there any more"),
        (-1, "oh"),
    ],
)
def test_what_portaudio_refuses_is_translated(number: int, reason: str) -> None:
    error = refusal("input device 'x'", {"code": number, "text": "oh"})
    assert str(error) == f"cannot use input device 'x': {reason}; see rt-ser devices"


def test_importing_the_audio_package_loads_no_portaudio() -> None:
    code = (
        "import sys, rt_ser.audio.microphone, rt_ser.audio.devices, rt_ser.runtime\n"
        "print('sounddevice' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "False"


SOURCES = (
    "0\tvspk.monitor\tmodule-null-sink.c\ts16le 1ch 16000Hz\tRUNNING\n"
    "1\talsa_input.usb\tmodule-alsa-card.c\ts24le 2ch 48000Hz\tSUSPENDED\n"
    "garbage\n"
)


def test_a_sound_servers_list_is_understood() -> None:
    assert parse_source(SOURCES, "alsa_input.usb") == ServerSource("alsa_input.usb", 48_000, 2)
    assert parse_source(SOURCES, "gone") is None
    assert parse_source("", "") is None


def test_the_servers_sources_are_listed_by_name() -> None:
    assert parse_names("0\tspk.monitor\tmodule\n\nshort\n1\tmic\n") == {
        "spk.monitor": "0", "mic": "1"
    }  # fmt: skip


def test_the_microphones_own_layout_is_listed(virtual_microphone: VirtualMicrophone) -> None:
    inputs = list_inputs()
    assert {entry.name for entry in inputs} >= {"pulse", "default"}
    default = next(entry for entry in inputs if entry.is_default)
    assert (default.rate_hz, default.channels) == (16_000, 1)
    assert default.server_source == virtual_microphone.source
    assert default.label == "default (vmic)"
