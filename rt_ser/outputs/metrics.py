"""A running stream's counters for Prometheus, on this machine alone.

The text format (version 0.0.4) is a line a value, and what a scraper asks is one GET:
the standard library does both, so no package has to be installed for it. It listens on the
loopback address only and refuses names that are not this machine's, so that no web page can
read it through a browser either.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import TCPServer
from typing import Final, Self

from rt_ser.errors import OutputError
from rt_ser.outputs.view import Feed
from rt_ser.types import State

HOST: Final = "127.0.0.1"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_NAMES: Final = {"127.0.0.1", "localhost"}
_PATIENCE_S: Final = 2.0

_COUNTERS: Final = {
    "captured_samples": "samples that came in, those lost on the way included",
    "judged_samples": "samples in a window that the model saw",
    "gated_samples": "samples that were no speech, or muted",
    "dropped_samples": "samples lost before they could be heard",
    "speech_samples": "samples that were speech",
    "muted_samples": "gated samples that came while the stream was muted",
    "overflows": "complaints of the audio driver",
    "gaps": "places where samples are missing",
    "windows": "windows that the model judged",
    "vetoed_windows": "windows that were no speech to the model",
    "utterances": "stretches of speech",
    "skipped_estimates": "estimates that nobody took in time",
    "reopened": "times that the device was opened again",
}


def exposition(feed: Feed) -> str:
    """Return everything as text; captured = judged + gated + pending + dropped in it."""
    return "".join(f"{line}\n" for line in _lines(feed))


def _lines(feed: Feed) -> Iterator[str]:
    stats, meter, latest, age_s = feed.stats, feed.meter, feed.latest, feed.audio_age_s
    for name, doc in _COUNTERS.items():
        yield from _metric(f"{name}_total", "counter", doc, getattr(stats, name))
    gauges = {
        "pending_samples": ("samples whose fate is undecided", stats.pending_samples),
        "max_inference_seconds": ("longest inference", stats.max_inference_ms / 1000),
        "max_lag_seconds": ("longest way of a block from the converter", stats.max_lag_ms / 1000),
        "level_dbfs": ("level of the newest 30 ms", meter.level_dbfs),
        "noise_floor_dbfs": ("noise floor", meter.floor_dbfs),
        "input_findings": ("things that are wrong with the input", len(feed.findings)),
    }
    if age_s is not None:
        gauges["audio_age_seconds"] = ("age of the newest audio", age_s)
    for name, (doc, value) in gauges.items():
        yield from _metric(name, "gauge", doc, value)
    yield "# HELP rt_ser_state 1 for the state that the stream is in"
    yield "# TYPE rt_ser_state gauge"
    for state in State:
        is_it = latest is not None and latest.state is state
        yield f'rt_ser_state{{state="{state}"}} {int(is_it)}'


def _metric(name: str, kind: str, doc: str, value: float) -> Iterator[str]:
    yield f"# HELP rt_ser_{name} {doc}"
    yield f"# TYPE rt_ser_{name} {kind}"
    yield f"rt_ser_{name} {value!r}"


class _Server(HTTPServer):
    def server_bind(self) -> None:
        """Bind without asking a name server what this machine is called, as HTTPServer does."""
        TCPServer.server_bind(self)


class MetricsServer:
    """Answers ``GET /metrics`` on the loopback address between entering and leaving.

    Parameters
    ----------
    feed : Feed
        The running stream.
    port : int
        0 for any that is free; ``port`` then tells which.

    Raises
    ------
    OutputError
        The port is taken or not allowed.
    """

    def __init__(self, feed: Feed, *, port: int) -> None:
        try:
            self._server = _Server((HOST, port), _handler(feed))
        except OSError as error:
            raise OutputError(
                f"cannot serve metrics on {HOST}:{port}: {error.strerror}; give another port"
            ) from None
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="rt-ser-metrics", daemon=True
        )

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Answer no more; a request under way is given up."""
        threading.Thread(target=self._server.shutdown, daemon=True).start()
        self._thread.join(0.3)
        self._server.server_close()


def _handler(feed: Feed) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _PATIENCE_S
        server_version = "rt-ser"
        sys_version = ""

        def do_GET(self) -> None:
            """Answer a scraper."""
            if self.headers.get("Host", "").rsplit(":", 1)[0] not in _NAMES:
                self.send_error(403)
            elif self.path.split("?")[0] != "/metrics":
                self.send_error(404)
            else:
                body = exposition(feed).encode()
                self.send_response(200)
                self.send_header("Content-Type", CONTENT_TYPE)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Keep scrapes out of the terminal."""

    return Handler
