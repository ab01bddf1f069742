"""Which microphones there are, and which one a person means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from rt_ser.audio.driver import SEE, inventory
from rt_ser.audio.pcm import MAX_CHANNELS
from rt_ser.audio.soundserver import ServerSource, default_source
from rt_ser.errors import DeviceError
from rt_ser.types import RATE_HZ

_NO_INPUT: Final = (
    "no input device found: plug in a microphone, check that the sound server runs and "
    f"that you may use it (on Linux: group audio), then {SEE}"
)
_SOUND_SERVERS: Final = {"pulse", "pipewire"}


@dataclass(frozen=True, slots=True, kw_only=True)
class InputDevice:
    """A microphone as we would open it.

    ``rate_hz`` and ``channels`` are its own; ``server_source`` is the name of the
    microphone behind a sound server's device, where the server tells.
    """

    index: int
    name: str
    hostapi: str
    rate_hz: int
    channels: int
    is_default: bool
    server_source: str = ""

    @property
    def label(self) -> str:
        """The name to show, with the microphone behind a sound server's device."""
        return f"{self.name} ({self.server_source})" if self.server_source else self.name


def list_inputs() -> list[InputDevice]:
    """Return every device that can record now, in PortAudio's order.

    Raises
    ------
    DeviceError
        PortAudio is missing or does not work. No device at all is an empty list.
    """
    found = inventory()
    systems, default_index = found["systems"], found["default"]
    if default_index < 0:
        defaults = [system["default_input_device"] for system in systems]
        default_index = next((index for index in defaults if index >= 0), -1)
    inputs = [entry for entry in found["devices"] if entry["max_input_channels"] > 0]
    server = default_source() if any(_is_plugin(entry) for entry in inputs) else None
    return [
        _describe(entry, systems[entry["hostapi"]]["name"], default_index, server)
        for entry in inputs
    ]


def find(spec: str | int | None) -> InputDevice:
    """Return the input device that a person means; see :func:`choose`."""
    return choose(list_inputs(), spec)


def choose(inputs: list[InputDevice], spec: str | int | None) -> InputDevice:
    """Pick one of the input devices.

    Parameters
    ----------
    inputs : list of InputDevice
    spec : str or int, optional
        Index, or part of the name in any case; None for the default device. Where
        several names contain it, an exact one wins, then the default device, then one
        of the default device's audio system.

    Raises
    ------
    DeviceError
        There is none, or several that nothing sets apart.
    """
    if not inputs:
        raise DeviceError(_NO_INPUT)
    if spec is None or spec == "":
        return next((device for device in inputs if device.is_default), inputs[0])
    if isinstance(spec, int) or spec.strip().isdecimal():
        return _by_index(inputs, int(spec))
    return _by_name(inputs, spec)


def find_again(inputs: list[InputDevice], lost: InputDevice) -> InputDevice | None:
    """Return the device that is the same as one of an earlier list; None where it is not there.

    The name decides, not the index, which follows the order of plugging in, as does the
    card's number that ALSA writes behind a name. Of twins the one in the same place wins.
    """
    twins = [device for device in inputs if _identity(device) == _identity(lost)]
    same_place = [device for device in twins if device.index == lost.index]
    return next(iter(same_place or twins), None)


def _identity(device: InputDevice) -> tuple[str, str, str]:
    name = re.sub(r"\s*\(hw:\d+,\d+\)$", "", device.name)
    return name, device.hostapi, device.server_source


def _by_index(inputs: list[InputDevice], index: int) -> InputDevice:
    for device in inputs:
        if device.index == index:
            return device
    indices = ", ".join(str(device.index) for device in inputs)
    raise DeviceError(f"no input device has index {index}: {indices} do; {SEE}")


def _by_name(inputs: list[InputDevice], spec: str) -> InputDevice:
    wanted = spec.strip().casefold()
    matches = [device for device in inputs if wanted in device.label.casefold()]
    if not matches:
        names = ", ".join(repr(device.label) for device in inputs)
        raise DeviceError(f"no input device is called {spec!r}: {names} are there; {SEE}")
    default_api = next((device.hostapi for device in inputs if device.is_default), "")

    def rank(device: InputDevice) -> tuple[bool, bool, bool]:
        is_exact = device.name.casefold() == wanted
        return is_exact, device.is_default, device.hostapi == default_api

    highest = max(map(rank, matches))
    best = [device for device in matches if rank(device) == highest]
    if len(best) > 1:
        names = ", ".join(f"{device.index} {device.label!r}" for device in best)
        raise DeviceError(f"several input devices match {spec!r}: {names}; give the index")
    return best[0]


def _is_plugin(entry: dict[str, Any]) -> bool:
    """Tell a device that converts into anything asked for: it claims more than we can mean."""
    return int(entry["max_input_channels"]) > MAX_CHANNELS


def _describe(
    entry: dict[str, Any], hostapi: str, default_index: int, server: ServerSource | None
) -> InputDevice:
    rate_hz, channels = round(entry["default_samplerate"]), int(entry["max_input_channels"])
    name, source = str(entry["name"]), ""
    if _is_plugin(entry):
        channels = 2
        if server is not None and (name in _SOUND_SERVERS or name == "default"):
            rate_hz, channels, source = server.rate_hz, server.channels, server.name
        elif name in _SOUND_SERVERS:
            rate_hz = RATE_HZ
    return InputDevice(
        index=int(entry["index"]),
        name=name,
        hostapi=hostapi,
        rate_hz=rate_hz,
        channels=min(channels, MAX_CHANNELS),
        is_default=entry["index"] == default_index,
        server_source=source,
    )
