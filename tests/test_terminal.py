"""The screen: at every size, in both alphabets, without colour, and pulled, not pushed."""

from __future__ import annotations

import io
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from rt_ser.outputs.dashboard import Dashboard, compose, framed_height
from rt_ser.outputs.look import ASCII, UNICODE, Look, bar, colour, fit, letters, look_for
from rt_ser.outputs.parts import gauge, headline, level_bar
from rt_ser.outputs.plane import place
from rt_ser.outputs.terminal import TerminalDisplay
from rt_ser.outputs.timeline import axis, chart, columns, names
from rt_ser.outputs.view import History, Monitor, View
from rt_ser.testing import LABELS
from rt_ser.types import RATE_HZ, Estimate, Meter, State, StreamStats
from tests.views import estimate, view

SIZES = [(60, 20), (76, 22), (80, 24), (100, 30), (132, 43), (200, 60), (40, 12)]
LOOKS = [UNICODE, ASCII]


def screen(one: View, width: int, height: int, look: Look = UNICODE) -> list[str]:
    """Draw on a colourless console of that size and return its lines."""
    console = Console(
        file=io.StringIO(), width=width, height=height, no_color=True, force_terminal=False
    )
    console.print(Dashboard(view=one, look=look))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("look", LOOKS, ids=["unicode", "ascii"])
def test_the_screen_fits_its_size_and_shows_every_part(size: tuple[int, int], look: Look) -> None:
    lines = screen(view(), *size, look)
    text = "\n".join(lines)
    assert len(lines) <= size[1]
    assert {cell_len(line) for line in lines} <= {min(size[0], 132), cell_len(lines[0])}
    assert all(cell_len(line) <= size[0] for line in lines)
    for part in ("-23 dBFS", "speech", "happy", "72 %", *LABELS):
        assert part in text, part
    assert look is UNICODE or text.isascii()


@pytest.mark.parametrize("size", [(60, 20), *SIZES[1:6]])
def test_sixty_columns_are_enough_for_everything(size: tuple[int, int]) -> None:
    text = "\n".join(screen(view(), *size))
    for part in ("valence +0.50", "arousal +0.25", "-60 s", "now", "angry──"):
        assert part in text, part
    for part in ("device USB microphone", "model research", "audio age 84 ms",
                 "inference 0.3 ms", "overflows 0", "dropped 0"):  # fmt: skip
        assert part in text, part


@given(st.integers(1, 220), st.integers(1, 70), st.sampled_from(LOOKS))
@settings(deadline=None, max_examples=150)
def test_no_size_makes_it_fail_or_overflow(width: int, height: int, look: Look) -> None:
    lines = compose(view(), look, width, height)
    assert 1 <= len(lines) <= height
    assert all(line.cell_len <= width for line in lines)


def test_a_shrinking_terminal_loses_the_least_telling_parts_first() -> None:
    texts = ["\n".join(screen(view(), 60, height)) for height in (20, 13, 11, 2, 1)]
    assert "rt-ser" in texts[0]
    assert "rt-ser" not in texts[1]
    assert "surprised" in texts[2]
    assert "valence" not in texts[2]
    assert [line.split()[0] for line in texts[3].splitlines()] == ["level", "happy"]
    assert texts[4].split()[:2] == ["happy", "72"]


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (None, "warming up: waiting for enough speech"),
        (estimate("", 0.0, state=State.WARMING_UP), "warming up: waiting for enough speech"),
        (estimate("", 0.0, state=State.SILENCE), "silence"),
        (estimate("sad", 0.3, state=State.UNSURE), "unsure   perhaps sad  30 %"),
        (
            estimate("sad", 0.9, state=State.UNSURE, reason="perhaps no speech"),
            "unsure   perhaps no speech, else sad  90 %",
        ),
        (
            estimate("sad", 0.3, state=State.STALE, reason="microphone 'x' hangs"),
            "stale: microphone 'x' hangs",
        ),
        (estimate("sad", 0.3, state=State.STALE), "stale: no fresh audio"),
        (estimate("", 0.0, state=State.MUTED), "muted   not listening"),
        (estimate("sad", 0.9), " sad   90 %"),
        (estimate("sad", 1.0), " sad  100 %"),
    ],
)
def test_every_state_has_its_words(one: Estimate | None, text: str) -> None:
    assert headline(view(estimate=one, moments=()), UNICODE, 60).plain.rstrip() == text


def test_old_audio_is_not_shown_as_the_present() -> None:
    lines = screen(view(audio_age_s=1.6), 60, 20)
    assert "○ no audio" in lines[1]
    assert "stale: no fresh audio" in lines[2]
    assert not any(line.startswith(UNICODE.pointer) for line in lines)
    assert "audio age 1600 ms" in "\n".join(lines)
    assert not view(audio_age_s=1.6, max_age_s=2.0).is_stale, "the stream's own limit counts"


def test_silence_recalls_what_was_heard_last() -> None:
    quiet = view(estimate=estimate("", 0.0, state=State.SILENCE))
    text = headline(quiet, UNICODE, 60).plain.rstrip()
    assert text == "silence   last heard angry  60 %"


def test_the_first_screen_has_nothing_to_show_and_says_so() -> None:
    one = view(estimate=None, moments=(), meter=Meter(), audio_age_s=None)
    text = "\n".join(screen(one, 80, 24))
    assert "silent" in text
    assert "warming up" in text
    assert "no speech" in text
    assert "audio age -" in text


@pytest.mark.parametrize("size", [(60, 20), (100, 30)])
def test_without_colour_nothing_but_colour_is_lost(size: tuple[int, int]) -> None:
    """The same glyphs with and without colour, and no colour code in the latter."""
    drawn = {}
    for no_color in (False, True):
        console = Console(
            file=io.StringIO(), width=size[0], height=size[1], no_color=no_color,
            force_terminal=True, color_system="truecolor", legacy_windows=False,
        )  # fmt: skip
        console.print(Dashboard(view=view(), look=UNICODE))
        assert isinstance(console.file, io.StringIO)
        drawn[no_color] = console.file.getvalue()
    assert Text.from_ansi(drawn[True]).plain == Text.from_ansi(drawn[False]).plain
    assert "\x1b[38;" in drawn[False]
    assert "38;" not in drawn[True]
    assert "48;" not in drawn[True]


def test_the_lamp_says_speech_in_words() -> None:
    assert "● speech" in screen(view(), 60, 20)[1]
    quiet = replace(view().meter, is_speech=False)
    assert "○ no speech" in screen(view(meter=quiet), 60, 20)[1]


def test_losses_stand_out_and_stay_even_where_room_is_short() -> None:
    one = view(source="x" * 80, stats=StreamStats(overflows=3, dropped_samples=480))
    for size in ((60, 20), (80, 22), (40, 14)):
        text = "\n".join(screen(one, *size))
        assert "overflows 3" in text
        assert "dropped 480" in text


def test_a_foreign_name_cannot_command_the_terminal() -> None:
    lines = screen(view(source="evil\x1b[2J\n\x07mic 麦克风"), 80, 24)
    text = "\n".join(lines)
    assert "\x1b" not in text
    assert "evil?[2J??mic 麦克风" in text
    assert all(cell_len(line) == 80 for line in lines)
    ascii_text = "\n".join(screen(view(source="mic 麦克风"), 80, 24, ASCII))
    assert "mic ???" in ascii_text


@pytest.mark.parametrize(
    ("encoding", "ascii_only", "term", "look"),
    [
        ("utf-8", False, "xterm-256color", UNICODE),
        ("utf-8", True, "xterm", ASCII),
        ("utf-8", False, "linux", ASCII),
        ("ascii", False, "xterm", ASCII),
        ("iso-8859-1", False, "xterm", ASCII),
        ("cp437", False, "", ASCII),
        ("no-such-encoding", False, "xterm", ASCII),
        (None, False, "xterm", ASCII),
    ],
)
def test_glyphs_suit_the_terminal(
    encoding: str | None, ascii_only: bool, term: str, look: Look
) -> None:
    assert look_for(encoding, ascii_only=ascii_only, term=term) is look


@pytest.mark.parametrize("look", LOOKS)
def test_every_glyph_is_one_cell_wide(look: Look) -> None:
    for name in look.__slots__:
        for glyph in getattr(look, name):
            assert cell_len(glyph) == 1, (name, glyph)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 80), st.sampled_from(LOOKS))
def test_a_bar_grows_with_its_value_and_never_past_its_width(
    low: float, high: float, width: int, look: Look
) -> None:
    low, high = sorted((low, high))
    assert len(bar(low, width, look)) <= len(bar(high, width, look)) <= width
    assert bar(0.0, width, look) == ""
    assert bar(1.0, width, look) == look.full * width


def test_letters_are_unique_and_from_the_name() -> None:
    named = letters(LABELS)
    assert "".join(named.values()) == "nchsafdu"
    assert letters(["aa", "aa2", "a"]) == {"aa": "a", "aa2": "2", "a": "*"}


def test_colours_tell_all_classes_apart_even_foreign_ones() -> None:
    assert len({colour(label, LABELS) for label in LABELS}) == len(LABELS)
    foreign = ("bored", "amused", "happy")
    assert len({colour(label, foreign) for label in foreign}) == 3


def test_the_floor_is_marked_where_it_lies() -> None:
    line = level_bar(-20.0, -60.0, 80, UNICODE).plain
    assert line.index(UNICODE.floor) == 20
    assert line.count(UNICODE.full) == 59
    assert UNICODE.floor not in level_bar(-120.0, -120.0, 80, UNICODE).plain


@pytest.mark.parametrize(("value", "cell"), [(-1.0, 0), (0.0, 10), (1.0, 20), (7.0, 20)])
def test_a_gauge_puts_its_marker_where_the_value_is(value: float, cell: int) -> None:
    line = gauge("valence", value, 7 + 8 + 21, UNICODE).plain
    assert line.index(UNICODE.marker) - line.index("0", 8) >= 0
    assert line[len(line.rstrip()) - 21 :].index(UNICODE.marker) == cell


@pytest.mark.parametrize(
    ("valence", "arousal", "spot"),
    [(-1, 1, (0, 0)), (1, 1, (20, 0)), (0, 0, (10, 4)), (1, -1, (20, 8)), (9, -9, (20, 8))],
)
def test_the_plane_has_valence_to_the_right_and_arousal_upwards(
    valence: float, arousal: float, spot: tuple[int, int]
) -> None:
    assert place(valence, arousal, 21, 9) == spot


def test_the_timeline_names_every_stretch_without_colour() -> None:
    line = names(view(), UNICODE, 60).plain
    assert line == "  happy─────────────          angry──────────?────       ~──"


def test_a_pause_is_blank_and_waiting_for_a_judgement_is_not() -> None:
    history = History(60.0)
    for state, second in (
        (State.SPEECH, 10.0),
        (State.SILENCE, 12.0),
        (State.WARMING_UP, 20.0),
        (State.SPEECH, 22.0),
    ):
        label = "sad" if state is State.SPEECH else ""
        history.add(estimate(label, 0.5, state=state, stop=int(second * RATE_HZ)))
    spans = [(one.state, one.start / RATE_HZ, one.stop / RATE_HZ) for one in history.moments()]
    assert spans == [
        (State.SPEECH, 9.5, 10.0),
        (State.SILENCE, 12.0, 12.0),
        (State.WARMING_UP, 20.0, 21.5),
        (State.SPEECH, 21.5, 22.0),
    ]


def test_the_timeline_stands_still_while_it_scrolls() -> None:
    """A second later every column has moved by one and kept its content."""
    before = columns(view(), 60)
    later = view(meter=replace(view().meter, position=61 * RATE_HZ))
    after = columns(later, 60)
    assert [one and one.label for one in after[:-2]] == [one and one.label for one in before[1:-1]]


def test_the_height_of_the_timeline_is_confidence() -> None:
    now = [replace(one, confidence=0.5) for one in view().moments]
    rows = chart(view(moments=tuple(now)), UNICODE, 60, 4)
    heights = {sum(row.plain[column] != " " for row in rows) for column in range(3, 18)}
    assert heights == {2}


@pytest.mark.parametrize("seconds", [10.0, 45.0, 60.0, 600.0])
@pytest.mark.parametrize("width", [8, 20, 56, 128])
def test_the_axis_ends_now_and_never_overflows(seconds: float, width: int) -> None:
    line, texts = axis(seconds, UNICODE, width)
    assert len(line.plain) == len(texts.plain) == width
    assert line.plain[-1] == UNICODE.tick
    assert texts.plain.endswith("now")


def test_history_forgets_what_has_scrolled_away_and_covers_pauses_no_further_than_it_may() -> None:
    history = History(10.0)
    for second in range(100):
        history.add(estimate(stop=second * RATE_HZ))
    moments = history.moments()
    assert moments[0].stop == 88 * RATE_HZ
    assert all(one.stop - one.start == RATE_HZ // 2 for one in moments)


def test_fit_pads_and_cuts_to_the_cell() -> None:
    assert fit(Text("ab"), 4, UNICODE).plain == "ab  "
    assert fit(Text("abcdef"), 4, UNICODE).plain == "abc…"
    assert fit(Text("中文字"), 4, UNICODE).plain in ("中…  ", "中 …")
    assert fit(Text("abc"), 0, UNICODE).plain == ""


class Stream:
    """A running stream as the screen sees it: newest values, taken whenever it likes."""

    latest: Estimate | None = None
    meter = Meter()
    stats = StreamStats()
    audio_age_s: float | None = None
    findings: tuple[str, ...] = ()
    looks = 0

    def __getattribute__(self, name: str) -> object:
        if name == "meter":
            type(self).looks += 1
        return object.__getattribute__(self, name)


def test_the_screen_names_the_microphone_that_is_heard_now() -> None:
    names = ["first", "in its place"]
    monitor = Monitor(
        feed=Stream(), history=History(60.0), source=lambda: names.pop(0), model="fake",
        labels=LABELS, is_live=True, timeline_s=60.0,
    )  # fmt: skip
    for name in ("first", "in its place"):
        assert any(name in line for line in screen(monitor.view(), 80, 24))


def test_the_live_screen_pulls_at_its_own_rate_and_gives_the_terminal_back() -> None:
    stream = Stream()
    monitor = Monitor(
        feed=stream, history=History(60.0), source=lambda: "script", model="fake", labels=LABELS,
        is_live=True, timeline_s=60.0,
    )  # fmt: skip
    console = Console(
        file=io.StringIO(), width=80, height=24, force_terminal=True, color_system=None,
        legacy_windows=False,
    )  # fmt: skip
    display = TerminalDisplay(monitor, look=UNICODE, console=console, refresh_hz=30.0)
    display.start()
    for count in range(1000):
        stream.latest = estimate(stop=RATE_HZ * count)
        display.show(stream.latest)
    shown_at = time.monotonic()
    while Stream.looks < 5 and time.monotonic() - shown_at < 5:
        time.sleep(0.01)
    display.stop()
    display.stop()
    assert isinstance(console.file, io.StringIO)
    drawn = console.file.getvalue()
    assert 5 <= Stream.looks < 100, "a thousand estimates must not mean a thousand screens"
    assert drawn.count("\x1b[?1049h") == drawn.count("\x1b[?1049l") == 1
    assert drawn.endswith("\x1b[?25h\x1b[?1049l") or "\x1b[?25h" in drawn
    assert "happy" in drawn


def test_framed_panels_need_the_height_that_they_say() -> None:
    one = view()
    least = framed_height(one)
    assert "╭" in screen(one, 80, least)[0]
    assert "╭" not in screen(one, 80, least - 1)[0]


@pytest.mark.parametrize("width", [60, 100])
def test_what_is_wrong_with_the_input_is_on_the_screen(width: int) -> None:
    finding = "input clips in 4 % of blocks: lower the gain"
    lines = compose(view(findings=(finding,)), ASCII, width, 24)
    assert any(finding in line.plain for line in lines)
    assert all(line.cell_len <= width for line in lines)
