"""``rt-ser doctor``: what is in order on this machine, and what to do about the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rt_ser.cli import checks
from rt_ser.cli.checks import FAILED, OK, SKIPPED, WARNING, Check
from rt_ser.cli.common import Parser, add_settings, command_parser, load_settings, table
from rt_ser.cli.logs import StderrLog, logging_to
from rt_ser.config import Settings

EPILOG = """\
It records for three seconds, in memory only: what is heard is measured and forgotten.
The exit code is 0 unless something failed; then it is that of the first such line.

  rt-ser doctor --json > report.json      to go with a question or a bug report
"""


def parser() -> Parser:
    """Describe the command line."""
    command = command_parser(
        "doctor", "Check this machine: Python, audio, model, speed, a short recording.", EPILOG
    )
    command.add_argument("--json", action="store_true", help="write the report as JSON")
    command.add_argument(
        "--no-record", action="store_true", help="leave out the recording of three seconds"
    )
    add_settings(command)
    return command


def run(arguments: Sequence[str]) -> int:
    """Check one thing after another and say what was found."""
    options = parser().parse_args(arguments)
    from rt_ser.outputs.sink import STDOUT, LineWriter

    settings = load_settings(options).settings
    writer = LineWriter(STDOUT)
    found: list[Check] = []
    # What the microphone says of itself meanwhile is in the check of it.
    with logging_to(StderrLog(), "error"):
        for check in all_checks(settings, may_record=not options.no_record):
            found.append(check)
            if not options.json:
                for line in lines(check):
                    writer.write_line(line)
    if options.json:
        writer.write_line(report(found))
    else:
        writer.write_line(verdict_line(found))
    return next((check.exit_code for check in found if check.verdict == FAILED), 0)


def all_checks(settings: Settings, *, may_record: bool) -> Iterator[Check]:
    """Yield what each check found; recording comes last and only where there is a microphone."""
    yield checks.checked("Python", checks.python)
    yield checks.checked("runtime", checks.runtime)
    yield checks.checked("model", lambda: checks.model(settings))
    yield checks.checked("real time", lambda: checks.budget(settings))
    yield checks.checked("PortAudio", checks.portaudio)
    yield checks.checked("permission", checks.permission)
    yield checks.checked("devices", checks.devices)
    device = checks.checked("device", lambda: checks.device(settings))
    yield device
    if device.verdict == FAILED:
        yield Check(name="recording", verdict=SKIPPED, found="there is no device to record from")
    elif not may_record:
        yield Check(name="recording", verdict=SKIPPED, found="left out, as asked for")
    else:
        yield checks.checked("recording", lambda: checks.recording(settings))


def lines(check: Check) -> list[str]:
    """Write a check as a line, and its remedy as another."""
    (line,) = table([(f"{check.verdict:8}", f"{check.name:10}", check.found)])
    return [line, f"{'':8}  {'':10}  -> {check.remedy}"] if check.remedy else [line]


def verdict_line(found: Sequence[Check]) -> str:
    """Sum up."""
    failed, warned = (
        [check.name for check in found if check.verdict == verdict] for verdict in (FAILED, WARNING)
    )
    if failed:
        return f"rt-ser cannot listen here: see {', '.join(failed)}"
    return f"rt-ser can listen here; see {', '.join(warned)}" if warned else "all is well"


def report(found: Sequence[Check]) -> str:
    """Write everything as one JSON document."""
    from rt_ser import __version__

    verdicts = {check.verdict for check in found}
    worst = next((verdict for verdict in (FAILED, WARNING) if verdict in verdicts), OK)
    rows = [{key: value for key, value in asdict(check).items() if key != "exit_code"}
            for check in found]  # fmt: skip
    document = {"schema": 1, "rt_ser": __version__, "verdict": worst, "checks": rows}
    return json.dumps(document, indent=1)
