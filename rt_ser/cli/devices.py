"""``rt-ser devices``: which microphones there are."""

from __future__ import annotations

from collections.abc import Sequence

from rt_ser.cli.common import Parser, command_parser, table
from rt_ser.errors import DeviceError

EPILOG = "`rt-ser listen --device INDEX` or `--device PART-OF-NAME` takes one of them."


def parser() -> Parser:
    """Describe the command line."""
    return command_parser("devices", "List the input devices; * marks the default.", EPILOG)


def run(arguments: Sequence[str]) -> int:
    """Print a table of input devices; none at all is a DeviceError."""
    parser().parse_args(arguments)
    from rt_ser.audio.devices import list_inputs
    from rt_ser.outputs.sink import STDOUT, LineWriter

    devices = list_inputs()
    if not devices:
        raise DeviceError("no input device: plug in a microphone, or start the sound server")
    rows = [("", "index", "name", "rate", "channels", "system")] + [
        (
            "*" if device.is_default else "",
            str(device.index),
            device.label,
            f"{device.rate_hz} Hz",
            str(device.channels),
            device.hostapi,
        )
        for device in devices
    ]
    writer = LineWriter(STDOUT)
    for line in table(rows):
        writer.write_line(line)
    return 0
