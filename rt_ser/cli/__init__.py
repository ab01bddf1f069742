"""The command line: one module per command, loaded only when its command is called.

Every error on purpose becomes one line on standard error and an exit code:

====  ==========================================================================
   0  done; also when Ctrl-C or SIGTERM ended a `listen`
   1  `doctor` has found that this machine is too slow
   2  the command line or a setting is wrong
   3  a recording cannot be used
   4  a microphone or the audio system is missing, busy or gone
   5  a model or the TFLite runtime is missing, damaged or unfit
   6  results cannot be written
  70  a fault in rt-ser itself
 130  interrupted before the end
 141  the reader of a pipe has left, as after SIGPIPE
====  ==========================================================================
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from rt_ser.errors import RtSerError
from rt_ser.quiet import quiet_native_stderr

COMMANDS = {
    "listen": "estimate emotion from a microphone, live",
    "replay": "estimate emotion from recordings, through the same pipeline",
    "enroll": "learn how you sound when you feel nothing in particular",
    "devices": "list the input devices",
    "models": "list the installed models",
    "doctor": "check this machine, from Python to the microphone",
    "config": "show the effective settings and where each comes from",
}

INTERRUPTED = 130
FAULT = 70


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; never raises, unless ``--debug``."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _make_output_safe()
    if arguments[:1] == ["--debug"]:
        arguments[:2] = reversed(arguments[:2])  # a command takes it too, and comes first
    if "--debug" in arguments:
        return _dispatch(arguments)
    with quiet_native_stderr():
        try:
            return _dispatch(arguments)
        except (KeyboardInterrupt, Exception) as error:
            return _report(error)


def _dispatch(arguments: list[str]) -> int:
    """Hand over to the command's own module."""
    command = arguments[0] if arguments else ""
    if command in COMMANDS:
        run, rest = import_module(f"rt_ser.cli.{command}").run, arguments[1:]
    else:
        run, rest = import_module("rt_ser.cli.top").run, arguments
    try:
        return int(run(rest))
    except SystemExit as end:  # argparse has shown the help or the version
        return int(end.code or 0)


def _report(error: BaseException) -> int:
    """Say in one line what went wrong and return the exit code for it."""
    from rt_ser.cli.common import tell
    from rt_ser.outputs.sink import PipeClosed

    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, PipeClosed):
        return error.exit_code
    if isinstance(error, RtSerError):
        tell(str(error))
        return error.exit_code
    tell(f"a fault in rt-ser: {type(error).__name__}: {error}; run it again with --debug")
    return FAULT


def _make_output_safe() -> None:
    """Let no character that the terminal's encoding lacks end the program."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
