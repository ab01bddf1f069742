"""What every source of audio offers, live or recorded, and how it says that it ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, Self

from rt_ser.errors import RtSerError
from rt_ser.types import AudioChunk


class EndOfStream(Exception):  # noqa: N818 - a signal like StopIteration, not an error
    """No more audio will ever come from this source."""


class ClosedSource(RtSerError):  # noqa: N818 - one of three signals, as in anyio
    """A source was read before it was opened or after it was closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCounters:
    """What a source lost or mended so far.

    ``dropped_samples`` is in samples at the pipeline rate; ``gaps`` counts the
    places where samples are missing, ``overflows`` the driver's own complaints,
    ``replaced_frames`` native frames that held what is no audio, such as NaN, ``reopened`` how
    often a device had to be opened again. ``captured_samples`` is where the source is, its losses
    included and whatever waits to be read; ``max_lag_s`` the longest way of a block from
    the converter to us.
    """

    captured_samples: int = 0
    overflows: int = 0
    dropped_samples: int = 0
    gaps: int = 0
    replaced_frames: int = 0
    reopened: int = 0
    max_lag_s: float = 0.0


class AudioSource(Protocol):
    """Mono audio at the pipeline rate, taken chunk by chunk.

    ``name`` is what a status line shows. ``is_live`` tells a stream that real time
    drives from one that waits to be read. ``notes`` are findings worth a warning,
    such as a truncated file.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def is_live(self) -> bool: ...  # noqa: D102
    @property
    def counters(self) -> SourceCounters: ...  # noqa: D102
    @property
    def notes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def trouble(self) -> str: ...  # noqa: D102

    def open(self) -> None:
        """Start; raises DeviceError or InputError."""

    def read(self, timeout_s: float) -> AudioChunk | None:
        """Return the next chunk, or None when none came in time.

        Raises
        ------
        EndOfStream
            All audio has been read.
        ClosedSource
            The source is not open.
        InputError, DeviceError
            The file or the device failed.
        """

    def finish(self) -> Iterable[AudioChunk]:
        """End a live source and return what it had captured and nobody had read.

        For the thread that reads. A recording has nothing of the kind.
        """

    def close(self) -> None:
        """Release everything; may be called twice, and from another thread."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...


class SourceBase:
    """The context-manager half of a source, and what most have nothing to say to."""

    @property
    def trouble(self) -> str:
        """None."""
        return ""

    def finish(self) -> Iterable[AudioChunk]:
        """Nothing."""
        return ()

    def __enter__(self) -> Self:
        """Open the source."""
        self.open()
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the source."""
        self.close()

    def open(self) -> None:
        """Start; see :class:`AudioSource`."""
        raise NotImplementedError

    def close(self) -> None:
        """Release everything; see :class:`AudioSource`."""
        raise NotImplementedError
