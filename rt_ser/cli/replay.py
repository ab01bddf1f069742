"""``rt-ser replay``: recordings through exactly the pipeline that listens."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rt_ser.cli import INTERRUPTED
from rt_ser.cli.common import (
    Parser,
    UsageError,
    add_settings,
    command_parser,
    load_settings,
    positive,
    tell,
)
from rt_ser.cli.logs import add_log_level
from rt_ser.cli.outputs import add_outputs, check_outputs, is_terminal, separate
from rt_ser.cli.targets import HEADERLESS, is_named_like_a_recording
from rt_ser.errors import InputError

if TYPE_CHECKING:
    from rt_ser.audio.pcm import RawFormat

STDIN = "-"
EPILOG = """\
examples:
  rt-ser replay talk.wav
  rt-ser replay --speed max --jsonl out.jsonl *.flac
  ffmpeg -i film.mkv -f s16le -ac 1 -ar 16000 - | rt-ser replay - --raw-rate 16000 --jsonl
"""


def parser() -> Parser:
    """Describe the command line."""
    command = command_parser(
        "replay",
        "Estimate emotion from recordings, through the pipeline that listens.",
        EPILOG,
        inputs="FILE [FILE ...]",
    )
    command.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="wav, flac, ogg, opus or mp3; - is WAV or raw PCM on standard input",
    )
    command.add_argument(
        "--speed",
        type=_speed,
        metavar="FACTOR",
        help="1 is as fast as it was spoken, 2 twice that, max as fast as can be "
        "(default: 1 on a terminal, else max); the estimates are the same at any speed",
    )
    raw = command.add_argument_group("samples without a header")
    raw.add_argument("--raw-rate", metavar="HZ", help="sample rate (default 16000)")
    raw.add_argument("--raw-channels", metavar="N", help="interleaved channels (default 1)")
    raw.add_argument(
        "--raw-format",
        metavar="NAME",
        help="uint8, int16, int24, int32, float32 or float64, little-endian (default int16)",
    )
    add_log_level(command)
    add_outputs(command, recordings=True)
    add_settings(command)
    return command


def _speed(text: str) -> float:
    """Parse ``--speed``; infinity stands for "max"."""
    if text == "max":
        return float("inf")
    try:
        return positive(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not allowed: give a number above 0, or max"
        ) from None


def run(arguments: Sequence[str]) -> int:
    """Replay every file in turn; a bad one is reported and the rest still heard."""
    options = parser().parse_intermixed_args(separate(arguments))
    check_outputs(options, options.files)
    if options.files.count(STDIN) > 1:
        raise UsageError("standard input can be read once: give - once")
    raw = _raw_format(options)
    settings = load_settings(options).settings
    from rt_ser.audio.files import FileSource
    from rt_ser.cli.session import Session

    code = 0
    with Session(options, settings, live=False) as session:
        for path in options.files:
            try:
                source = FileSource(
                    path,
                    speed=_pace(options.speed),
                    channel=settings.audio.channel,
                    block_ms=settings.audio.block_ms,
                    raw=None if _has_header(path) else raw,
                )
                session.play(source, file=path)
            except InputError as error:
                tell(str(error))
                code = error.exit_code
            if session.is_interrupted:
                return INTERRUPTED
    return code


def _pace(speed: float | None) -> float | None:
    """Turn ``--speed`` into a source's speed, where None is as fast as can be."""
    if speed is None:
        return 1.0 if is_terminal() else None
    return None if speed == float("inf") else speed


def _raw_format(options: argparse.Namespace) -> RawFormat | None:
    """Return the layout of headerless samples if any of it was given."""
    given = [name for name in ("rate", "channels", "format") if getattr(options, f"raw_{name}")]
    if not given:
        return None
    if all(_has_header(path) for path in options.files):
        raise UsageError(
            f"--raw-{given[0]} is about samples without a header, and {options.files[0]!r} has "
            "one: leave it out"
        )
    from rt_ser.audio.pcm import RawFormat

    return RawFormat(
        rate_hz=_whole("--raw-rate", options.raw_rate, 16_000),
        channels=_whole("--raw-channels", options.raw_channels, 1),
        sample_format=options.raw_format or "int16",
    )


def _whole(flag: str, text: str | None, default: int) -> int:
    try:
        return default if text is None else int(text)
    except ValueError:
        raise UsageError(f"{flag}={text!r} is not allowed: give a whole number") from None


def _has_header(path: str) -> bool:
    return is_named_like_a_recording(path) and Path(path).suffix.lower() not in HEADERLESS
