"""The pipeline's books and the source's put together, so that they balance at every moment."""

from __future__ import annotations

from dataclasses import replace

from rt_ser.audio.source import SourceCounters
from rt_ser.types import StreamStats


def with_source(
    stats: StreamStats, source: SourceCounters, *, skipped_estimates: int
) -> StreamStats:
    """Add what a source has captured or lost and the pipeline has not seen yet.

    What waits is pending, what was lost on the way dropped; ``captured = judged + gated +
    pending + dropped`` holds for the result if it does for ``stats``, whenever the
    two were read.
    """
    waiting = max(0, source.captured_samples - stats.captured_samples)
    lost = min(waiting, max(0, source.dropped_samples - stats.dropped_samples))
    return replace(
        stats,
        captured_samples=stats.captured_samples + waiting,
        pending_samples=stats.pending_samples + waiting - lost,
        dropped_samples=stats.dropped_samples + lost,
        overflows=source.overflows,
        reopened=source.reopened,
        max_lag_ms=1000 * source.max_lag_s,
        skipped_estimates=skipped_estimates,
    )
