"""Wyoming, the protocol of Rhasspy and Home Assistant's voice satellites: `user-event`.

Each event of ours becomes one `user-event` named ``rt-ser-TYPE`` with the event as data,
sent to a server that was named, such as a satellite's event service.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from rt_ser.errors import OutputError
from rt_ser.outputs.background import BackgroundSink
from rt_ser.outputs.extras import need
from rt_ser.outputs.sink import Event

TIMEOUT_S = 3.0


class WyomingSink(BackgroundSink):
    """Sends every event to ``tcp://HOST:PORT`` or ``unix:///PATH`` and never waits for it.

    Raises
    ------
    OutputError
        If wyoming is missing or the address is none of these.
    """

    def __init__(self, uri: str) -> None:
        self._address = address(uri)
        self._wire: Any = need("wyoming.event", extra="wyoming")
        self._socket: socket.socket | None = None
        self._stream: BinaryIO | None = None
        super().__init__("wyoming")

    def connect(self) -> None:
        """Open the connection; raises OSError."""
        if isinstance(self._address, str):
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(TIMEOUT_S)
            self._socket.connect(self._address)
        else:
            self._socket = socket.create_connection(self._address, TIMEOUT_S)
        self._stream = self._socket.makefile("wb")

    def send(self, event: Event) -> None:
        """Send one event; raises OSError."""
        # As wyoming.user_event.UserEvent has it, which came after 1.7.
        data = {"name": f"rt-ser-{event['type']}", "data": dict(event)}
        self._wire.write_event(self._wire.Event(type="user-event", data=data), self._stream)

    def disconnect(self) -> None:
        """Close the connection."""
        for held in (self._stream, self._socket):
            with suppress(OSError):
                if held is not None:
                    held.close()
        self._stream = self._socket = None


def address(uri: str) -> str | tuple[str, int]:
    """Return a socket's path, or host and port. Raises OutputError."""
    try:
        parts = urlsplit(uri)
        if parts.scheme == "unix" and parts.path and not parts.netloc:
            return parts.path
        if parts.scheme == "tcp" and parts.hostname and parts.port:
            parts.hostname.encode("idna")  # a name that no socket takes is a ValueError here
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise OutputError(f"no Wyoming address: {uri!r}: give tcp://HOST:PORT or unix:///PATH")
