"""``rt-ser listen``: a microphone, live."""

from __future__ import annotations

from collections.abc import Sequence

from rt_ser.cli.common import Parser, add_settings, command_parser, load_settings, positive
from rt_ser.cli.outputs import add_outputs, check_outputs, separate

EPILOG = """\
Ctrl-C or SIGTERM ends it in order, with a summary and exit code 0.

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
    add_outputs(command, recordings=False)
    add_settings(command)
    return command


def run(arguments: Sequence[str]) -> int:
    """Listen until the time is over, Ctrl-C, or the device fails."""
    options = parser().parse_args(separate(arguments))
    check_outputs(options)
    settings = load_settings(options).settings
    from rt_ser.audio.limited import LimitedSource
    from rt_ser.audio.microphone import MicrophoneSource
    from rt_ser.audio.source import AudioSource
    from rt_ser.cli.session import Session

    audio = settings.audio
    source: AudioSource = MicrophoneSource(
        audio.device,
        channel=audio.channel,
        block_ms=audio.block_ms,
        ring_s=audio.ring_s,
        max_age_s=audio.max_age_s,
        device_fallback=audio.device_fallback,
    )
    if options.seconds is not None:
        source = LimitedSource(source, seconds=options.seconds)
    with Session(options, settings, live=True) as session:
        session.play(source)
    return 0
