"""Draw docs/screenshot.svg: the bundled recording, the real pipeline, the real screen.

    python docs/make_screenshot.py [--output FILE] [--columns N] [--rows N]

The recording goes through the same source, pipeline, history and dashboard as in
`rt-ser replay`, one block after the other; of the screens that a person would have seen,
the surest one near the end is kept.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from rt_ser.audio.files import FileSource
from rt_ser.audio.source import EndOfStream
from rt_ser.config import Settings
from rt_ser.data import DEMO_RECORDING
from rt_ser.model import TfliteClassifier
from rt_ser.outputs.dashboard import Dashboard
from rt_ser.outputs.look import UNICODE
from rt_ser.outputs.view import History, Monitor, View
from rt_ser.pipeline import Pipeline
from rt_ser.types import Estimate, Meter, State, StreamStats

SCREENSHOT = Path(__file__).with_name("screenshot.svg")
# The recording lasts 20 s: a timeline of a minute would be empty for the most part.
TIMELINE_S = 24.0
LATEST_SHARE = 0.8


class Stepped:
    """A stream that moves one block at a time instead of in a thread."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.latest: Estimate | None = None
        self.audio_age_s: float | None = None
        self.findings: tuple[str, ...] = ()

    @property
    def meter(self) -> Meter:
        """Of the newest frame."""
        return self._pipeline.meter

    @property
    def stats(self) -> StreamStats:
        """The counters."""
        return self._pipeline.stats


def views(recording: Path, settings: Settings) -> Iterator[View]:
    """Yield what the screen would show after each estimate."""
    classifier = TfliteClassifier.load(settings.model.name)
    pipeline = Pipeline(classifier, settings)
    stream = Stepped(pipeline)
    monitor = Monitor(
        feed=stream,
        history=History(TIMELINE_S),
        source=lambda: recording.name,
        model=classifier.manifest.name,
        labels=pipeline.labels,
        is_live=False,
        timeline_s=TIMELINE_S,
    )
    with FileSource(str(recording)) as source:
        while True:
            try:
                chunk = source.read(1.0)
            except EndOfStream:
                return
            for estimate in pipeline.feed(chunk) if chunk is not None else []:
                monitor.history.add(estimate)
                stream.latest = estimate
                yield monitor.view()


def surest(candidates: list[View]) -> View:
    """Return the view that is sure of the most, in the last part of the recording if one is."""
    end = candidates[-1].meter.position
    sure = [
        view
        for view in candidates
        if view.estimate is not None
        and view.estimate.state is State.SPEECH
        and view.meter.is_speech
    ]
    late = [view for view in sure if view.meter.position > LATEST_SHARE * end]
    return max(
        late or sure or candidates,
        key=lambda view: view.estimate.confidence if view.estimate else 0.0,
    )


def draw(view: View, columns: int, rows: int) -> str:
    """Return the screen as SVG."""
    console = Console(
        file=io.StringIO(),
        record=True,
        width=columns,
        height=rows,
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    console.print(Dashboard(view=view, look=UNICODE))
    return console.export_svg(title=f"rt-ser replay {view.source}", unique_id="rt-ser")


def main() -> None:
    """Draw the screenshot."""
    parser = argparse.ArgumentParser(description="Draw docs/screenshot.svg.")
    parser.add_argument("--output", type=Path, default=SCREENSHOT)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--rows", type=int, default=30)
    options = parser.parse_args()
    view = surest(list(views(DEMO_RECORDING, Settings())))
    options.output.write_text(draw(view, options.columns, options.rows), encoding="utf-8")
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
