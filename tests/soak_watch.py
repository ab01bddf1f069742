"""What a soak looks at all the time: the books, the queue, memory."""

from __future__ import annotations

import gc
import os
import random
import threading
import time
from pathlib import Path

import numpy as np

from rt_ser.runtime import StreamRunner
from rt_ser.types import RATE_HZ

WARM_UP = 0.2
"""Share of the soak after which memory has to stay where it is."""


def resident_mib() -> float:
    """Return the memory that this process occupies, in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Watcher(threading.Thread):
    """Mutes as an agent would, and looks at books, queue and memory.

    Parameters
    ----------
    runner : StreamRunner
        What to look at.
    hours : float
        How long that will be.
    seed : int
        Of when it is muted.
    mutes : float
        Chance that it is, at each look, of which there are up to a hundred in a second.
    """

    def __init__(
        self, runner: StreamRunner, hours: float, seed: int, *, mutes: float = 0.02
    ) -> None:
        super().__init__(daemon=True)
        self._runner, self._hours, self._mutes = runner, hours, mutes
        self._random = random.Random(seed + 1)
        self.memory: list[tuple[float, float]] = []
        self.longest_queue = 0
        self.unbalanced = 0

    def run(self) -> None:
        """Look until the stream ends."""
        every_h = self._hours / 200
        while self._runner.is_running:
            stats = self._runner.stats
            known = stats.judged_samples + stats.gated_samples + stats.dropped_samples
            self.unbalanced += stats.captured_samples != known + stats.pending_samples
            self.longest_queue = max(self.longest_queue, len(self._runner._queue._events))
            played_h = stats.captured_samples / RATE_HZ / 3600
            if len(self.memory) * every_h <= played_h:
                gc.collect()
                self.memory.append((played_h, resident_mib()))
            if self._random.random() < self._mutes:
                self._runner.mute()
            elif self._random.random() < 0.04:
                self._runner.unmute()
            time.sleep(0.01)

    @property
    def growth_mib(self) -> float:
        """How much memory the last tenth takes more than what came right after warming up."""
        after = [mib for hours, mib in self.memory if hours >= WARM_UP * self._hours]
        tenth = max(1, len(after) // 10)
        return float(np.median(after[-tenth:]) - np.median(after[:tenth]))


def books(runner: StreamRunner, watcher: Watcher) -> dict[str, object]:
    """Say what a stream that has ended heard and lost, and what it took up meanwhile."""
    stats = runner.stats
    known = stats.judged_samples + stats.gated_samples + stats.dropped_samples
    return {
        "hours": round(stats.captured_samples / RATE_HZ / 3600, 2),
        "utterances": stats.utterances,
        "windows": stats.windows,
        "gaps": stats.gaps,
        "reopened": stats.reopened,
        "muted_h": round(stats.muted_samples / RATE_HZ / 3600, 2),
        "longest_queue": watcher.longest_queue,
        "unbalanced": watcher.unbalanced,
        "unaccounted": stats.captured_samples - known,
        "growth_mib": round(watcher.growth_mib, 2),
        "memory_mib": round(watcher.memory[-1][1], 1),
    }
