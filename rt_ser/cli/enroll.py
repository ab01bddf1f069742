"""``rt-ser enroll``: a person's own voice, from a microphone or from recordings."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rt_ser.cli.common import (
    Parser,
    UsageError,
    add_settings,
    command_parser,
    load_settings,
    positive,
    tell,
)

if TYPE_CHECKING:
    from rt_ser.config import Settings
    from rt_ser.model import Classifier
    from rt_ser.runtime import StreamRunner
    from rt_ser.stream_events import Utterance

EPILOG = """\
Speak, or read something aloud, as you always do when nothing moves you. A few numbers are
kept, none of the audio; they fit the model that was asked, and no other.

examples:
  rt-ser enroll me.yaml
  rt-ser enroll me.yaml --seconds 30 --device USB
  rt-ser enroll anna.yaml anna-reads.wav anna-talks.flac
  rt-ser listen --voice me.yaml
"""

_WANTED_S = 15.0
"""Speech that is wanted of a microphone, unless it is said."""

_PATIENCE = 4.0
"""How many times as long as the speech that is wanted a microphone is listened to."""


def parser() -> Parser:
    """Describe the command line."""
    command = command_parser(
        "enroll",
        "Learn how you sound when you feel nothing in particular.",
        EPILOG,
        inputs="VOICE [FILE ...]",
    )
    command.add_argument("voice", metavar="VOICE", help="the file to write, such as me.yaml")
    command.add_argument(
        "files", nargs="*", metavar="FILE", help="recordings to learn from (default: a microphone)"
    )
    command.add_argument(
        "--seconds",
        type=positive,
        metavar="N",
        help=f"end after N seconds of speech into a microphone (default {_WANTED_S:g})",
    )
    add_settings(command)
    return command


def run(arguments: Sequence[str]) -> int:
    """Listen, learn, and write the voice; what was there before stays if anything fails."""
    options = parser().parse_intermixed_args(arguments)
    if options.files and options.seconds is not None:
        raise UsageError("--seconds is about a microphone: leave it out for recordings")
    given = load_settings(options).settings
    settings = replace(given, model=replace(given.model, voice=None))
    from rt_ser.config import ModelSettings
    from rt_ser.model import shared_classifier
    from rt_ser.voice import check_target, learn, save_voice, strangers_of

    target = Path(options.voice)
    check_target(target)
    classifier = shared_classifier(settings.model.name, threads=settings.model.threads)
    strangers_of(classifier.manifest)  # before anybody speaks in vain
    learn_from = _recorded if options.files else _spoken
    voice = learn(list(learn_from(options, settings, classifier)), classifier.manifest)
    save_voice(voice, target)
    name = settings.model.name
    model = "" if name == ModelSettings().name else f" --model {name}"
    tell(
        f"{options.voice}: learnt from {voice.speech_s:.1f} s of speech, for model {voice.model}; "
        f"use it: rt-ser listen{model} --voice {options.voice}"
    )
    return 0


def _recorded(
    options: argparse.Namespace, settings: Settings, classifier: Classifier
) -> Iterator[Utterance]:
    """Yield what is said in recordings."""
    from rt_ser.api import replay

    for path in options.files:
        with replay(path, model=classifier, settings=settings) as stream:
            yield from _utterances(stream)


def _spoken(
    options: argparse.Namespace, settings: Settings, classifier: Classifier
) -> Iterator[Utterance]:
    """Yield what is said into a microphone, until that is enough."""
    from rt_ser.api import listen
    from rt_ser.types import RATE_HZ

    wanted_s: float = options.seconds or _WANTED_S
    longest_s = max(60.0, _PATIENCE * wanted_s)
    with (
        listen(seconds=longest_s, model=classifier, settings=settings) as stream,
        _progress(wanted_s) as show,
    ):

        def follow() -> None:
            heard_s = stream.stats.speech_samples / RATE_HZ
            show(min(heard_s, wanted_s))
            if heard_s >= wanted_s:
                stream.request_stop()

        yield from _utterances(stream, follow)


def _utterances(
    stream: StreamRunner, follow: Callable[[], None] = lambda: None
) -> Iterator[Utterance]:
    """Yield what is said, and tell what is wrong with the input meanwhile."""
    from rt_ser.stream_events import Notice, Utterance

    for event in stream.events():
        follow()
        if isinstance(event, Utterance):
            yield event
        elif isinstance(event, Notice) and not event.is_over:
            tell(f"warning: {event.text}")


@contextmanager
def _progress(wanted_s: float) -> Iterator[Callable[[float], None]]:
    """Show on a terminal how much speech has been heard."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    tell(f"speak for {wanted_s:g} s as you always do, or read something aloud")
    heard = TextColumn("{task.completed:.0f} of {task.total:.0f} s")
    console = Console(stderr=True)
    columns = (TextColumn("speech"), BarColumn(), heard)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("speech", total=wanted_s)
        yield lambda heard_s: progress.update(task, completed=heard_s)
