"""What a program embeds: push samples into an Analyzer, or iterate over a stream."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from rt_ser.audio.convert import Chunker, Converter
from rt_ser.audio.pcm import first_unusable, to_float32
from rt_ser.audio.source import AudioSource
from rt_ser.config import Settings, shown
from rt_ser.errors import InputError
from rt_ser.hooks import Hooks
from rt_ser.model import Classifier, attuned, shared_classifier
from rt_ser.mute import HOLD_OFF_S
from rt_ser.pipeline import Pipeline
from rt_ser.runtime import StreamRunner
from rt_ser.stream_events import StreamEvent, Utterance, only_estimates
from rt_ser.subscription import Subscription
from rt_ser.types import F32, RATE_HZ, AudioChunk, Estimate, Meter, StreamStats, Summary


class Analyzer:
    """Emotion estimates from samples that the caller provides.

    It starts no thread and reads no clock. One thread at a time may feed, flush or reset it
    and sum it up; any thread may mute and unmute it. Any number of them may be used by as
    many threads: those with the same model share it, loaded once. As a context manager it
    flushes itself on leaving, so that hooks hear the end.

    Parameters
    ----------
    model : str, Path or Classifier, optional
        An installed model's name, the path of a ``.tflite`` file, or one that is loaded
        already; the settings' ``model.name`` if not given.
    rate_hz : int
        Sample rate of what will be fed, 4000 to 384000; converted to 16 kHz.
    channels : int
        Channels of what will be fed, 1 to 8.
    settings : Settings, optional
        The defaults if not given.
    hooks : Hooks, optional
        Called with everything that there is to tell, in the thread that feeds, before
        ``feed`` returns.

    Raises
    ------
    ModelError, ConfigError, InputError
        If the model cannot be loaded, or the rate or channels are not allowed.

    Examples
    --------
    >>> analyzer = Analyzer(rate_hz=48_000)
    >>> for block in blocks:
    ...     for estimate in analyzer.feed(block):
    ...         print(estimate.state, estimate.label, estimate.confidence)
    """

    def __init__(
        self,
        model: str | Path | Classifier | None = None,
        *,
        rate_hz: int = RATE_HZ,
        channels: int = 1,
        settings: Settings | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        settings = settings or Settings()
        self._hooks = hooks
        self._layout = (rate_hz, channels, settings.audio.channel)
        self._chunker = self._new_chunker()
        self._pipeline = Pipeline(_classifier(model, settings), settings)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of every ``probs``."""
        return self._pipeline.labels

    @property
    def meter(self) -> Meter:
        """Level, floor and gate of the newest 30 ms."""
        return self._pipeline.meter

    @property
    def stats(self) -> StreamStats:
        """The counters up to now."""
        return self._pipeline.stats

    def feed(self, samples: ArrayLike) -> list[Estimate]:
        """Take in samples and return the estimates that they give rise to, if any.

        Parameters
        ----------
        samples : array_like, shape (n,) or (n, channels)
            Any number of them; float32 or float64 in [-1, 1], int16, int32 or uint8.

        Raises
        ------
        InputError
            If the shape, the type or a value (NaN, infinity) is not allowed. Nothing of
            ``samples`` is then taken in.
        """
        return only_estimates(self.feed_events(samples))

    def feed_events(self, samples: ArrayLike) -> list[StreamEvent]:
        """Take in samples like :meth:`feed` and return all that there is to tell, in order.

        Besides the estimates: each :class:`~rt_ser.stream_events.Utterance` when it has
        ended, each gap, and the counters every ten seconds of audio.
        """
        return self._take(self._chunker.push(_frames(samples)))

    def flush(self) -> list[Estimate]:
        """Close what is open, as at the end of a recording or of a turn."""
        return only_estimates(self.flush_events())

    def flush_events(self) -> list[StreamEvent]:
        """Close what is open like :meth:`flush` and return all that there is to tell."""
        tail = self._take(self._chunker.flush())
        return tail + self._told(self._pipeline.flush_events())

    def mute(self) -> None:
        """Ignore what is fed from now on, as while an agent speaks itself."""
        self._pipeline.mute()

    def unmute(self, *, hold_off_s: float = HOLD_OFF_S) -> None:
        """Listen again after ``hold_off_s`` more seconds of audio, in which an echo dies away."""
        self._pipeline.unmute(hold_off_s=hold_off_s)

    @property
    def is_muted(self) -> bool:
        """Whether the next sample will be ignored; the hold-off counts as muted."""
        return self._pipeline.is_muted

    def reset(self) -> None:
        """Forget everything; the next sample is sample 0."""
        self._chunker = self._new_chunker()
        self._pipeline.reset()

    def summary(self) -> Summary:
        """Return everything since the start in total."""
        return self._pipeline.summary()

    def __enter__(self) -> Self:
        """Return the analyzer."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close what is open."""
        self.flush_events()

    def _take(self, chunk: AudioChunk | None) -> list[StreamEvent]:
        return [] if chunk is None else self._told(self._pipeline.feed_events(chunk))

    def _told(self, events: list[StreamEvent]) -> list[StreamEvent]:
        if self._hooks is not None:
            for event in events:
                self._hooks(event)
        return events

    def _new_chunker(self) -> Chunker:
        rate_hz, channels, channel = self._layout
        return Chunker(Converter(rate_hz, channels, channel=channel))


def _frames(samples: ArrayLike) -> F32:
    """Return samples as float32, or raise InputError; their shape is the converter's matter."""
    try:
        given = np.asarray(samples)
    except ValueError as error:
        raise InputError(f"samples make no array ({error}): give (n,) or (n, channels)") from None
    if not given.ndim:
        raise InputError(f"samples={shown(samples)} is no array: give (n,) or (n, channels)")
    frames = to_float32(given)
    if (unusable := first_unusable(frames)) is not None:
        index, value = unusable
        raise InputError(f"sample {index} is {value:g}: samples must be finite, in [-1, 1]")
    return frames


def listen(
    device: str | int | None = None,
    *,
    seconds: float | None = None,
    model: str | Path | Classifier | None = None,
    settings: Settings | None = None,
) -> StreamRunner:
    """Listen to a microphone: a context manager that iterates over estimates.

    Parameters
    ----------
    device : str or int, optional
        Index or part of the name; the settings' ``audio.device``, or else the default
        input, if not given.
    seconds : float, optional
        End after so many seconds of audio; never if not given.

    Raises
    ------
    ModelError, InputError
        If the model cannot be loaded, or ``seconds`` is not above 0.
    DeviceError
        On entering, if the device cannot be opened.
    """
    from rt_ser.audio.microphone import microphone

    settings = settings or Settings()
    source = microphone(settings.audio, device=device, seconds=seconds)
    return _stream(source, model, settings)


def replay(
    path: str | Path,
    *,
    speed: float | None = None,
    model: str | Path | Classifier | None = None,
    settings: Settings | None = None,
) -> StreamRunner:
    """Replay a recording as a stream: a context manager that iterates over estimates.

    Parameters
    ----------
    path : str or Path
        Any file that libsndfile reads.
    speed : float, optional
        1 for real time; as fast as possible if not given.

    Raises
    ------
    ModelError, InputError
        If the model cannot be loaded, or ``speed`` is not above 0.
    InputError
        On entering, if the file cannot be opened.
    """
    from rt_ser.audio.files import FileSource

    settings = settings or Settings()
    source = FileSource(str(path), speed=speed, channel=settings.audio.channel)
    return _stream(source, model, settings)


def subscribe(
    stream: StreamRunner,
    *,
    on_estimate: Callable[[Estimate], object] | None = None,
    on_utterance: Callable[[Utterance], object] | None = None,
    on_event: Callable[[StreamEvent], object] | None = None,
) -> Subscription:
    """Have functions called while a stream runs: a context manager, see :class:`Subscription`.

    Examples
    --------
    >>> with rt_ser.subscribe(rt_ser.listen(), on_utterance=turn) as subscription:
    ...     subscription.wait()
    """
    hooks = Hooks(on_estimate=on_estimate, on_utterance=on_utterance, on_event=on_event)
    return Subscription(stream, hooks)


def _stream(
    source: AudioSource, model: str | Path | Classifier | None, settings: Settings
) -> StreamRunner:
    """Return a source's stream, not started yet."""
    pipeline = Pipeline(_classifier(model, settings), settings)
    return StreamRunner(source, pipeline, max_age_s=settings.audio.max_age_s)


def _classifier(model: str | Path | Classifier | None, settings: Settings) -> Classifier:
    if model is None or isinstance(model, str | Path):
        model = shared_classifier(model or settings.model.name, threads=settings.model.threads)
    return attuned(model, settings.model.voice)
