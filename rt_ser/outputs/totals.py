"""What a stream amounted to, for a person to read when it has ended."""

from __future__ import annotations

from rich.text import Text

from rt_ser.outputs.look import CAUTION, FAINT, STRONG, Look, bar, clean, colour, letters, percent
from rt_ser.types import RATE_HZ, StreamStats, Summary

BAR_CELLS = 30


def summary_lines(summary: Summary, *, source: str, look: Look) -> list[Text]:
    """Write the totals: duration, overall label, a bar a class, and what was lost."""
    heard = (
        f"{summary.duration_samples / RATE_HZ:.1f} s of audio, "
        f"{summary.speech_samples / RATE_HZ:.1f} s of speech "
        f"in {counted(summary.utterances, 'utterance')}"
    )
    lines = [Text.assemble((clean(source, look), STRONG), (f"  {heard}", FAINT))]
    if not summary.label:
        lines.append(Text("  no speech was judged", FAINT))
    else:
        tint = colour(summary.label, summary.labels)
        lines.append(
            Text.assemble(
                ("  overall ", FAINT),
                (f" {summary.label} ", f"bold reverse {tint}"),
                (f" {percent(summary.confidence)}", f"bold {tint}"),
                (f"   valence {summary.valence:+.2f}  arousal {summary.arousal:+.2f}", FAINT),
            )
        )
        lines += _bars(summary, look)
    lines.append(losses_line(summary.stats))
    return lines


def _bars(summary: Summary, look: Look) -> list[Text]:
    named = letters(summary.labels)
    cells = max(len(label) for label in summary.labels)
    return [
        Text.assemble(
            (f"  {named[label]} ", colour(label, summary.labels)),
            (f"{label:{cells}}  ", STRONG if label == summary.label else ""),
            (f"{bar(prob, BAR_CELLS, look):{BAR_CELLS}} ", colour(label, summary.labels)),
            (percent(prob), STRONG if label == summary.label else FAINT),
        )
        for label, prob in zip(summary.labels, map(float, summary.probs), strict=True)
    ]


def losses_line(stats: StreamStats) -> Text:
    """Say what was lost on the way, or that nothing was."""
    losses = [
        (stats.overflows, "overflow"),
        (stats.dropped_samples, "dropped sample"),
        (stats.gaps, "gap"),
        (stats.skipped_estimates, "skipped estimate"),
    ]
    told = ", ".join(counted(number, noun) for number, noun in losses if number)
    return Text(f"  lost: {told}", f"bold {CAUTION}") if told else Text("  nothing lost", FAINT)


def counted(number: int, noun: str) -> str:
    """Write a number with its noun in the right grammatical number."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
