"""A stream's estimates, utterances and totals as plain JSON values, numbered in order.

A replay's events hold nothing that depends on the machine or the moment, so the same
audio gives the same bytes at any speed. Wall-clock figures are added for a live stream
only. What each key is says :mod:`rt_ser.outputs.kinds`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from rt_ser.manifest import Manifest
from rt_ser.outputs.kinds import ESTIMATE, GAP, NOTICE, STATE_CHANGE, STATS, SUMMARY, UTTERANCE
from rt_ser.outputs.schema import HASH_DIGITS, PROBS, Context, Kind, described, keys_of
from rt_ser.outputs.sink import Event
from rt_ser.stream_events import Gap, Notice, StreamEvent, Tally, Utterance
from rt_ser.types import Estimate, State, Summary

_KIND_OF = {Estimate: ESTIMATE, Utterance: UTTERANCE, Gap: GAP, Tally: STATS, Notice: NOTICE}


class EventStream:
    """Turns what one stream tells into events and numbers them.

    Parameters
    ----------
    stream : str
        Which stream: a file as it was named, or a device. Bytes that are no UTF-8 are
        written out.
    manifest : Manifest
        The model's.
    live : bool
        Whether wall-clock figures belong into the events.
    clock : callable, optional
        Gives wall-clock and monotonic seconds.
    """

    def __init__(
        self,
        stream: str,
        manifest: Manifest,
        *,
        live: bool,
        clock: Callable[[], tuple[float, float]] = lambda: (time.time(), time.monotonic()),
    ) -> None:
        self._stream = _as_text(stream)
        self._model = (manifest.name, manifest.sha256[:HASH_DIGITS])
        self._live = live
        self._clock = clock
        self._seq = 0
        self._state = State.SILENCE

    def of(self, value: StreamEvent) -> list[Event]:
        """Return the events that tell ``value``: one, and before it any change of state."""
        told = []
        if isinstance(value, Estimate) and value.state is not self._state:
            told.append(self._event(STATE_CHANGE, value))
            self._state = value.state
        return [*told, self._event(_KIND_OF[type(value)], value)]

    def end(self, summary: Summary, *, file: str | None = None) -> Event:
        """Return the stream's last event; ``file`` where it came from one."""
        return self._event(SUMMARY, summary, None if file is None else _as_text(file))

    def _event(self, kind: Kind, value: object, file: str | None = None) -> Event:
        wall_s, monotonic_s = self._clock() if self._live else (0.0, 0.0)
        context = Context(
            stream=self._stream,
            seq=self._seq,
            model=self._model[0],
            model_hash=self._model[1],
            live=self._live,
            time=utc(wall_s),
            monotonic_s=monotonic_s,
            before=self._state,
            file=file,
        )
        self._seq += 1
        return described(kind, value, context)


def _as_text(name: str) -> str:
    """Write out the bytes of a name that are no UTF-8, which many a format could not hold."""
    return name.encode("utf-8", "backslashreplace").decode()


def utc(wall_s: float) -> str:
    """Write a wall-clock time as RFC 3339 has it, to the millisecond."""
    moment = datetime.fromtimestamp(wall_s, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def flatten(event: Event) -> dict[str, object]:
    """Spread nested mappings into keys named ``outer_inner``, for a table's columns."""
    row: dict[str, object] = {}
    for key, value in event.items():
        if isinstance(value, Mapping):
            row |= {f"{key}_{inner}": part for inner, part in value.items()}
        else:
            row[key] = value
    return row


def estimate_columns(labels: tuple[str, ...], *, live: bool) -> list[str]:
    """Name the columns of a table of estimates: the keys of :func:`flatten`'s rows."""
    columns = []
    for key in keys_of(ESTIMATE, live=live):
        spread = [f"{key.name}_{label}" for label in labels]
        columns += spread if key.schema is PROBS else [key.name]
    return columns
