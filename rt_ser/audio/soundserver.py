"""What the PulseAudio or PipeWire server behind an ALSA plug-in really records.

PortAudio's ALSA devices ``pulse``, ``pipewire`` and ``default`` are plug-ins that claim
32 or more channels and 44.1 kHz whatever the microphone is, and convert on demand with
a resampler of their own. Opened at the microphone's own layout they convert nothing.
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import Final, NamedTuple

_TIMEOUT_S: Final = 2.0


class ServerSource(NamedTuple):
    """The microphone that a sound server records from."""

    name: str
    rate_hz: int
    channels: int


def default_source() -> ServerSource | None:
    """Ask the running sound server for its default source; None where nobody answers."""
    name = os.environ.get("PULSE_SOURCE") or _find(r"^Default Source: (\S+)$", _pactl("info"))
    sources = _pactl("list", "short", "sources")
    if name is None or sources is None:
        return None
    return parse_source(sources, name)


def source_names() -> dict[str, str]:
    """Return the names of all sources there are, by the server's number for each."""
    return parse_names(_pactl("list", "short", "sources") or "")


def recorded_numbers(pid: int) -> set[str]:
    """Return the server's numbers of the sources that a process records; empty if unknown."""
    return parse_recordings(_pactl("list", "source-outputs") or "", pid)


def parse_recordings(outputs: str, pid: int) -> set[str]:
    """Find the numbers of a process's sources in what ``pactl list source-outputs`` prints."""
    recordings = outputs.split("Source Output #")[1:]
    ours = [text for text in recordings if f'application.process.id = "{pid}"' in text]
    found = [_find(r"^\s*Source: (\d+)$", text) for text in ours]
    return {number for number in found if number is not None}


def parse_names(sources: str) -> dict[str, str]:
    """Find numbers by names in what ``pactl list short sources`` prints."""
    rows = [line.split("\t") for line in sources.splitlines()]
    return {row[1]: row[0] for row in rows if len(row) > 1}


def parse_source(sources: str, name: str) -> ServerSource | None:
    """Find a source's layout in what ``pactl list short sources`` prints.

    A line holds index, name, module, layout and state between tabs; the layout reads
    like ``s16le 1ch 16000Hz``.
    """
    for line in sources.splitlines():
        cells = line.split("\t")
        layout = re.search(r"(\d+)ch (\d+)Hz", line)
        if len(cells) > 3 and cells[1] == name and layout:
            return ServerSource(name, rate_hz=int(layout[2]), channels=int(layout[1]))
    return None


def _find(pattern: str, text: str | None) -> str | None:
    match = re.search(pattern, text or "", re.MULTILINE)
    return match[1] if match else None


def _pactl(*arguments: str) -> str | None:
    """Run pactl; None where it is missing, fails or does not answer."""
    try:
        done = subprocess.run(
            ["pactl", *arguments],
            check=True,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
