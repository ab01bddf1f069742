"""What became of every sample."""

from __future__ import annotations

from dataclasses import dataclass

from rt_ser.types import AudioChunk


@dataclass(slots=True)
class Ledger:
    """Every sample that came in is judged, gated, dropped, or pending; see StreamStats."""

    captured: int = 0
    judged: int = 0
    gated: int = 0
    dropped: int = 0
    muted: int = 0
    gaps: int = 0
    decided_to: int = 0

    @property
    def settled(self) -> int:
        """Samples whose fate is decided."""
        return self.judged + self.gated + self.dropped

    def judge(self, start: int, stop: int) -> None:
        """Book a judged window; what lies undecided before it was gated."""
        self.gate(start)
        self.judged += max(0, stop - max(start, self.decided_to))
        self.decided_to = max(self.decided_to, stop)

    def gate(self, upto: int) -> None:
        """Book everything undecided before ``upto`` as gated."""
        self.gated += max(0, upto - self.decided_to)
        self.decided_to = max(self.decided_to, upto)

    def lose(self, chunk: AudioChunk) -> None:
        """Book the samples lost just before a chunk; what lies undecided before was gated."""
        self.gate(chunk.start - chunk.gap)
        self.captured += chunk.gap
        self.dropped += chunk.gap
        self.gaps += 1
        self.decided_to = chunk.start
