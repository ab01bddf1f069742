"""``rt-ser listen``: a microphone, live."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rt_ser.cli.common import Parser, add_settings, command_parser, load_settings, positive
from rt_ser.cli.logs import add_log_level
from rt_ser.cli.outputs import add_outputs, check_outputs, separate

EPILOG = """\
Ctrl-C or SIGTERM ends it in order, with a summary and exit code 0. SIGUSR1 mutes it, as
while an agent speaks, and SIGUSR2 lets it listen again.

examples:
  rt-ser listen
  rt-ser listen --device USB --channel mix
  rt-ser listen --seconds 60 --jsonl minute.jsonl
"""


def parser() -> Parser:
    """Describe the command line."""
    command = command_parser("listen", "Estimate emotion from a microphone, live.", EPILOG)
    command.add_argument(
        "--seconds", type=positive, metavar="N", help="end after N seconds of audio"
    )
    command.add_argument(
        "--metrics-port",
        type=_port,
        metavar="PORT",
        help="serve counters to Prometheus at http://127.0.0.1:PORT/metrics, to this machine only",
    )
    add_log_level(command)
    add_outputs(command, recordings=False)
    add_settings(command)
    return command


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: give a number from 1 to 65535")
    return int(text)


def run(arguments: Sequence[str]) -> int:
    """Listen until the time is over or Ctrl-C; a device that fails is waited for."""
    options = parser().parse_args(separate(arguments))
    check_outputs(options)
    settings = load_settings(options).settings
    from rt_ser.audio.microphone import microphone
    from rt_ser.cli.session import Session

    source = microphone(settings.audio, seconds=options.seconds)
    with Session(options, settings, live=True) as session:
        session.play(source)
    return 0
