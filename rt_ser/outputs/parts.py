"""The parts of the screen that are one line each: level, label, bars, gauges, status."""

from __future__ import annotations

from rich.text import Text

from rt_ser.outputs.look import (
    ALARM,
    CAUTION,
    FAINT,
    GOOD,
    STRONG,
    Look,
    bar,
    clean,
    colour,
    fit,
    letters,
    painted,
    percent,
    shorten,
    spread,
)
from rt_ser.outputs.view import View
from rt_ser.types import SILENCE_DBFS, State

LOWEST_DBFS = -80.0
LOUD_DBFS = -12.0
TOO_LOUD_DBFS = -3.0
LAMP_CELLS = 11


def clock(seconds: float) -> str:
    """Write a position in a stream as minutes and seconds, or with hours from one on."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    start = f"{hours}:{rest // 60:02d}" if hours else f"{rest // 60}"
    return f"{start}:{rest % 60:02d}.{int(seconds * 10) % 10}"


def header(view: View, look: Look, width: int) -> Text:
    """Name of the program, of what it listens to, and the position in it."""
    kind = "listening to" if view.is_live else "replaying"
    left = Text.assemble(("rt-ser", STRONG), (f"  {kind} ", FAINT), clean(view.source, look))
    return spread(left, Text(f" {clock(view.position_s)}", FAINT), width, look)


def level_line(view: View, look: Look, width: int) -> Text:
    """Level meter with the noise floor marked in it, the level in dBFS, and the lamp."""
    meter = view.meter
    lamp = Text(f"{look.lamp_off} no speech", FAINT)
    if view.is_stale:
        lamp = Text(f"{look.lamp_off} no audio", f"bold {CAUTION}")
    elif meter.is_speech:
        lamp = Text(f"{look.lamp_on} speech", f"bold {GOOD}")
    is_silent = meter.level_dbfs <= SILENCE_DBFS
    level = f"{'silent':>10}" if is_silent else f"{meter.level_dbfs:5.0f} dBFS"
    room = width - 7 - 12 - 2 - LAMP_CELLS
    line = Text("level  ", FAINT)
    if room >= 8:
        line.append_text(level_bar(meter.level_dbfs, meter.floor_dbfs, room, look))
    line.append(f"{level}  ")
    return Text.assemble(fit(line, max(width - LAMP_CELLS, 0), look), fit(lamp, LAMP_CELLS, look))


def level_bar(level_dbfs: float, floor_dbfs: float, width: int, look: Look) -> Text:
    """Draw a level from -80 to 0 dBFS, coloured by loudness, with a mark at the floor."""
    drawn = bar(1 - level_dbfs / LOWEST_DBFS, width, look)
    cells = []
    for cell in range(width):
        dbfs = LOWEST_DBFS * (1 - (cell + 0.5) / width)
        style = ALARM if dbfs > TOO_LOUD_DBFS else CAUTION if dbfs > LOUD_DBFS else GOOD
        cells.append((drawn[cell], style) if cell < len(drawn) else (look.quiet, FAINT))
    mark = max(round((1 - floor_dbfs / LOWEST_DBFS) * width), 0)
    if floor_dbfs > SILENCE_DBFS and mark < width:
        cells[mark] = (look.floor, STRONG)
    return painted(cells)


def level_scale(look: Look, width: int) -> Text:
    """Write the meter's scale, to stand under :func:`level_line` of the same width."""
    room = width - 7 - 12 - 2 - LAMP_CELLS
    cells = [" "] * max(room, 0)
    for dbfs in (-80, -60, -40, -20, 0):
        text = str(dbfs)
        place = min(round((1 - dbfs / LOWEST_DBFS) * room), room - len(text))
        if place >= 0:
            cells[place : place + len(text)] = text
    scale = "".join(cells)
    return Text(f"{'':7}{scale}  {look.floor} noise floor", FAINT)


def headline(view: View, look: Look, width: int) -> Text:
    """Write the current label with its confidence, or why there is none."""
    estimate = view.estimate
    if view.is_stale:
        reason = estimate.reason if estimate is not None else ""
        text = f"stale: {clean(reason or 'no fresh audio', look)}"
        return fit(shorten(Text(text, f"bold {CAUTION}"), width, look), width, look)
    if estimate is None or estimate.state is State.WARMING_UP:
        return fit(Text("warming up: waiting for enough speech", FAINT), width, look)
    line = Text()
    if estimate.state is State.MUTED:
        line.append("muted", STRONG)
        line.append("   not listening", FAINT)
    elif estimate.state is State.SILENCE:
        line.append("silence", STRONG)
        line.append_text(_last_heard(view))
    elif estimate.state is State.UNSURE:
        line.append("unsure", STRONG)
        doubt = f"{estimate.reason}, else" if estimate.reason else "perhaps"
        line.append_text(_guess(f"   {doubt} ", estimate.label, estimate.confidence, view))
    else:
        tint = colour(estimate.label, estimate.labels)
        line.append(f" {estimate.label} ", f"bold reverse {tint}")
        line.append(f" {percent(estimate.confidence)}", f"bold {tint}")
    return fit(line, width, look)


def _last_heard(view: View) -> Text:
    """Return the last sure label that is still on the timeline, if any."""
    for moment in reversed(view.moments):
        if moment.state is State.SPEECH:
            return _guess("   last heard ", moment.label, moment.confidence, view)
    return Text()


def _guess(lead: str, label: str, confidence: float, view: View) -> Text:
    return Text.assemble(
        (lead, FAINT), (label, colour(label, view.labels)), (f" {percent(confidence)}", FAINT)
    )


def emotion_bars(view: View, look: Look, width: int) -> list[Text]:
    """One line a class: its letter, name, rolling probability as a bar and in per cent."""
    estimate = view.estimate
    known = dict(zip(estimate.labels, estimate.probs, strict=True)) if estimate else {}
    is_judged = estimate is not None and estimate.state in (State.SPEECH, State.UNSURE)
    is_now = is_judged and not view.is_stale
    named = letters(view.labels)
    name_cells = max((len(label) for label in view.labels), default=0)
    room = max(width - name_cells - 12, 0)
    lines = []
    for label in view.labels:
        prob = float(known.get(label, 0.0))
        is_top = is_now and estimate is not None and label == estimate.label
        tint = colour(label, view.labels) if is_now else FAINT
        line = Text.assemble(
            (f"{look.pointer if is_top else ' '} ", tint),
            (f"{named[label]} ", f"bold {tint}"),
            (f"{label:{name_cells}}  ", STRONG if is_top else ""),
            (f"{bar(prob, room, look):{room}} ", tint),
            (percent(prob), STRONG if is_top else FAINT),
        )
        lines.append(fit(line, width, look))
    return lines


def gauge(name: str, value: float, width: int, look: Look) -> Text:
    """Draw a value from -1 to 1 as a marker on a line whose middle is 0."""
    room = max(width - len(name) - 8, 3)
    middle = (room - 1) // 2
    cells = [(look.line, FAINT)] * room
    cells[middle] = (look.cross, FAINT)
    cells[min(max(round(middle + value * middle), 0), room - 1)] = (look.marker, STRONG)
    line = Text.assemble((f"{name} ", FAINT), f"{value:+.2f} ", painted(cells))
    return fit(line, width, look)


def gauges(view: View, look: Look, width: int) -> Text:
    """Valence and arousal side by side, for where the plane does not fit."""
    estimate = view.estimate
    half = (width - 2) // 2
    return Text.assemble(
        gauge("valence", estimate.valence if estimate else 0.0, half, look),
        "  ",
        gauge("arousal", estimate.arousal if estimate else 0.0, width - 2 - half, look),
    )


def status_items(view: View, look: Look) -> list[Text]:
    """What the status line tells: input, model, age, inference time, losses."""
    age_s, inference_ms, stats = view.audio_age_s, view.inference_ms, view.stats
    named = [
        ("device" if view.is_live else "file", clean(view.source, look)),
        ("model", clean(view.model, look)),
        ("audio age", "-" if age_s is None else f"{1000 * age_s:.0f} ms"),
        ("inference", "-" if inference_ms is None else f"{inference_ms:.1f} ms"),
    ]
    losses = Text.assemble(
        ("overflows ", FAINT),
        (str(stats.overflows), f"bold {CAUTION}" if stats.overflows else ""),
        (f" {look.dot} dropped ", FAINT),
        (str(stats.dropped_samples), f"bold {ALARM}" if stats.dropped_samples else ""),
    )
    return [*(Text.assemble((f"{name} ", FAINT), text) for name, text in named), losses]


def status_lines(view: View, look: Look, width: int, most_lines: int = 2) -> list[Text]:
    """Lay the status items out in as few lines as they need.

    Long names of input and model are shortened; where lines are still too few, the
    first ones give way, so that losses of audio are always told. What is wrong with the
    input comes last, in place of the first line.
    """
    gap = Text(f" {look.dot} ", FAINT)
    rows = [Text()]
    for number, item in enumerate(status_items(view, look)):
        short = shorten(item, max(width // 2 - 2, 12), look) if number < 2 else item
        if rows[-1] and rows[-1].cell_len + gap.cell_len + short.cell_len > width:
            rows.append(Text())
        elif rows[-1]:
            rows[-1].append_text(gap)
        rows[-1].append_text(short)
    if view.findings:
        text = Text(clean("; ".join(view.findings), look), f"bold {CAUTION}")
        rows = [rows[-1], shorten(text, width, look)]
    return [fit(row, width, look) for row in rows[-most_lines:]]
