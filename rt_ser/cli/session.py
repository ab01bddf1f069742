"""One stream from its source to every output and the screen, and its orderly end."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

from rt_ser.audio.source import AudioSource
from rt_ser.cli.common import tell
from rt_ser.cli.logs import StderrLog, logging_to
from rt_ser.cli.outputs import open_sinks, uses_stdout
from rt_ser.config import Settings
from rt_ser.model import TfliteClassifier, attuned
from rt_ser.outputs.display import Display, NoDisplay
from rt_ser.outputs.events import EventStream
from rt_ser.outputs.look import look_for
from rt_ser.outputs.metrics import MetricsServer
from rt_ser.outputs.plain import PlainDisplay
from rt_ser.outputs.sink import STDOUT, Event, LineWriter, LossySink, Sink
from rt_ser.outputs.terminal import TerminalDisplay, is_screen, terminal_console
from rt_ser.outputs.totals import summary_lines
from rt_ser.outputs.view import History, Monitor
from rt_ser.pipeline import Pipeline
from rt_ser.runtime import StreamRunner
from rt_ser.stream_events import Notice
from rt_ser.types import RATE_HZ, Estimate, Summary

_LOG = logging.getLogger(__name__)


class Session:
    """Everything that several streams of one command share: model, outputs, screen.

    Parameters
    ----------
    options : argparse.Namespace
        The output options of :func:`rt_ser.cli.outputs.add_outputs`.
    settings : Settings
        The effective settings.
    live : bool
        Whether wall-clock figures belong into the events.
    """

    def __init__(self, options: argparse.Namespace, settings: Settings, *, live: bool) -> None:
        self.settings = settings
        self.live = live
        self.is_interrupted = False
        self.is_opening = False
        self._is_silent = options.quiet or uses_stdout(options)
        self._has_screen = is_screen()
        self._console = terminal_console(no_color=options.no_color)
        self._look = look_for(
            self._console.encoding,
            ascii_only=settings.ui.ascii,
            term=os.environ.get("TERM", ""),
        )
        self._classifier = attuned(
            TfliteClassifier.load(settings.model.name, threads=settings.model.threads),
            settings.model.voice,
        )
        self._metrics_port: int | None = getattr(options, "metrics_port", None)
        self._log = StderrLog()
        self._log_level: str = options.log_level
        self._stack = ExitStack()
        self._options = options
        self._sinks: list[Sink] = []

    def __enter__(self) -> Session:
        """Begin to tell what happens, and open the outputs. Raises OutputError."""
        with ExitStack() as stack:
            stack.enter_context(logging_to(self._log, self._log_level))
            labels = self._classifier.manifest.labels
            self._sinks = open_sinks(self._options, labels, live=self.live)
            for sink in self._sinks:
                stack.callback(_close, sink)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the outputs, each of them whatever becomes of the others."""
        self._stack.close()

    def play(self, source: AudioSource, *, file: str | None = None) -> Summary:
        """Run one source to its end, or until Ctrl-C or SIGTERM, and report its totals.

        Raises
        ------
        RtSerError
            From the source, the model or an output; what came before it is written.
        """
        pipeline = Pipeline(self._classifier, self.settings)
        runner = StreamRunner(source, pipeline, max_age_s=self.settings.audio.max_age_s)
        with ExitStack() as stack:
            stack.enter_context(_ending_on_signals(runner, self))
            # A microphone opens or fails soon, while a pipe's header may never come.
            self.is_opening = not self.live
            stack.enter_context(runner)
            self.is_opening = False
            name = file or source.name
            display = self._display(runner, lambda: file or source.name)
            if self._metrics_port is not None:
                stack.enter_context(MetricsServer(runner, port=self._metrics_port))
            if self._has_screen and not self._is_silent:
                stack.enter_context(self._log.held_back())
            stack.callback(display.stop)
            display.start()
            events = EventStream(name, self._classifier.manifest, live=self.live)
            self._forward(runner, display, events)
        summary = runner.summary()
        self._write(events.end(summary, file=file))
        self._show(summary, name)
        for note in source.notes:
            tell(f"note: {note}")
        return summary

    def _forward(self, runner: StreamRunner, display: Display, events: EventStream) -> None:
        """Hand all that the stream tells to the screen and the outputs."""
        for told in runner.events():
            if isinstance(told, Estimate):
                display.show(told)
            elif isinstance(told, Notice):
                _LOG.log(logging.INFO if told.is_over else logging.WARNING, "%s", spoken(told))
            for event in events.of(told):
                self._write(event)

    def _write(self, event: Event) -> None:
        for sink in self._sinks:
            sink.write(event)

    def _show(self, summary: Summary, name: str) -> None:
        """Show a person the totals."""
        if self._is_silent:
            return
        lines = summary_lines(summary, source=name, look=self._look)
        if self._has_screen:
            for line in lines:
                self._console.print(line, soft_wrap=True)
        else:
            writer = LineWriter(STDOUT)
            for line in lines:
                writer.write_line(line.plain.rstrip())

    def _display(self, runner: StreamRunner, name: Callable[[], str]) -> Display:
        """Choose what a person sees: nothing, the screen, or one line per change."""
        if self._is_silent:
            return NoDisplay()
        if not self._has_screen:
            return PlainDisplay()
        ui = self.settings.ui
        manifest = self._classifier.manifest
        monitor = Monitor(
            feed=runner,
            history=History(ui.timeline_s),
            source=name,
            model=manifest.name,
            labels=manifest.labels,
            is_live=self.live,
            timeline_s=ui.timeline_s,
            max_age_s=self.settings.audio.max_age_s,
        )
        return TerminalDisplay(
            monitor, look=self._look, console=self._console, refresh_hz=ui.refresh_hz
        )


def _close(sink: Sink) -> None:
    """Close an output and say what it could not send."""
    sink.close()
    if isinstance(sink, LossySink) and sink.dropped:
        tell(f"note: {sink.name}: {sink.dropped} events could not be sent")


def spoken(notice: Notice) -> str:
    """Say a notice in a line."""
    moment = f"{notice.stop / RATE_HZ:.0f} s"
    return f"no longer, at {moment}: {notice.text}" if notice.is_over else notice.text


@contextmanager
def _ending_on_signals(runner: StreamRunner, session: Session) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the stream in order: no line is torn, open speech is judged.

    A second signal interrupts at once, as does the first while a recording is still being
    opened. Live, SIGUSR1 mutes and SIGUSR2 unmutes.
    """

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if session.is_interrupted or session.is_opening:
            raise KeyboardInterrupt
        session.is_interrupted = True
        runner.request_stop()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[int, Callable[[int, FrameType | None], None]] = {
        signal.SIGINT: on_signal,
        signal.SIGTERM: on_signal,
    }
    if session.live and hasattr(signal, "SIGUSR1"):
        # How a program that speaks tells a service to listen no more meanwhile.
        handlers[signal.SIGUSR1] = lambda *_: runner.mute()
        handlers[signal.SIGUSR2] = lambda *_: runner.unmute()
    previous = {number: signal.signal(number, does) for number, does in handlers.items()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
