"""One line per change, and the totals at the end, where there is no screen."""

from __future__ import annotations

import numpy as np
import pytest

from rt_ser.outputs.look import ASCII, UNICODE
from rt_ser.outputs.plain import PlainDisplay, change_line
from rt_ser.outputs.totals import losses_line, summary_lines
from rt_ser.testing import LABELS
from rt_ser.types import RATE_HZ, State, StreamStats, Summary
from tests.views import estimate


def test_a_line_is_written_when_state_or_label_changes_and_only_then(
    capfd: pytest.CaptureFixture[str],
) -> None:
    display = PlainDisplay()
    display.start()
    story = [
        estimate("", 0.0, state=State.WARMING_UP),
        estimate("happy"),
        estimate("happy", 0.6),
        estimate("sad", 0.5),
        estimate("sad", 0.3, state=State.UNSURE),
        estimate("happy", 0.3, state=State.UNSURE),
        estimate("sad", 0.5, state=State.SILENCE),
    ]
    for one in story:
        display.show(one)
    display.stop()
    assert capfd.readouterr().out.splitlines() == [
        "   0:12.5  warming up",
        "   0:12.5  speech      happy       72 %  valence +0.50  arousal +0.25",
        "   0:12.5  speech      sad         50 %  valence +0.50  arousal +0.25",
        "   0:12.5  unsure      sad         30 %  valence +0.50  arousal +0.25",
        "   0:12.5  silence",
    ]


@pytest.mark.parametrize(
    ("seconds", "clock"),
    [(0, "0:00.0"), (59.99, "0:59.9"), (60, "1:00.0"), (3725.5, "1:02:05.5")],
)
def test_time_is_written_as_people_read_it(seconds: float, clock: str) -> None:
    line = change_line(estimate(stop=int(seconds * RATE_HZ)))
    assert line.split()[0] == clock


def summary(label: str = "happy", **changes: int) -> Summary:
    probs = np.zeros(len(LABELS), np.float32)
    probs[[2, 3]] = [0.75, 0.25] if label else 0.0
    return Summary(
        labels=LABELS,
        label=label,
        probs=probs,
        confidence=0.75 if label else 0.0,
        valence=0.42,
        arousal=0.17,
        duration_samples=20 * RATE_HZ,
        speech_samples=12 * RATE_HZ,
        utterances=1,
        stats=StreamStats(**changes),
    )


def test_the_totals_say_what_was_heard_and_what_it_came_to() -> None:
    lines = [line.plain.rstrip() for line in summary_lines(summary(), source="a.wav", look=ASCII)]
    assert lines[:2] == [
        "a.wav  20.0 s of audio, 12.0 s of speech in 1 utterance",
        "  overall  happy   75 %   valence +0.42  arousal +0.17",
    ]
    assert lines[2 + LABELS.index("happy")] == f"  h happy      {'#' * 22:30}  75 %"
    assert lines[2 + LABELS.index("sad")] == f"  s sad        {'#' * 8:30}  25 %"
    assert lines[-1] == "  nothing lost"
    assert all(line.isascii() for line in lines)


def test_a_stream_without_speech_is_not_given_a_label() -> None:
    lines = [line.plain for line in summary_lines(summary(""), source="a.wav", look=UNICODE)]
    assert lines[1:] == ["  no speech was judged", "  nothing lost"]


def test_losses_are_counted_in_words() -> None:
    stats = StreamStats(overflows=1, dropped_samples=480, gaps=2)
    assert losses_line(stats).plain == "  lost: 1 overflow, 480 dropped samples, 2 gaps"
