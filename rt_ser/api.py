"""What a program embeds: push samples into an Analyzer, or iterate over a stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from rt_ser.audio.convert import Chunker, Converter
from rt_ser.audio.limited import LimitedSource
from rt_ser.audio.pcm import first_not_finite, to_float32
from rt_ser.audio.source import AudioSource
from rt_ser.config import Settings, shown
from rt_ser.errors import InputError
from rt_ser.model import Classifier, TfliteClassifier
from rt_ser.pipeline import Pipeline
from rt_ser.runtime import StreamRunner
from rt_ser.types import F32, RATE_HZ, AudioChunk, Estimate, Meter, StreamStats, Summary


class Analyzer:
    """Emotion estimates from samples that the caller provides.

    One thread at a time may use it; it starts none of its own and reads no clock.

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
    ) -> None:
        settings = settings or Settings()
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
        return self._take(self._chunker.push(_frames(samples)))

    def flush(self) -> list[Estimate]:
        """Close what is open, as at the end of a recording or of a turn."""
        tail = self._take(self._chunker.flush())
        return tail + self._pipeline.flush()

    def reset(self) -> None:
        """Forget everything; the next sample is sample 0."""
        self._chunker = self._new_chunker()
        self._pipeline.reset()

    def summary(self) -> Summary:
        """Return everything since the start in total."""
        return self._pipeline.summary()

    def _take(self, chunk: AudioChunk | None) -> list[Estimate]:
        return [] if chunk is None else self._pipeline.feed(chunk)

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
    if (bad := first_not_finite(frames)) is not None:
        raise InputError(f"sample {bad} is {frames[bad]}: samples must be finite, in [-1, 1]")
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
    DeviceError, ModelError
        On entering, if the device or the model cannot be opened.
    """
    from rt_ser.audio.microphone import MicrophoneSource

    settings = settings or Settings()
    audio = settings.audio
    source: AudioSource = MicrophoneSource(
        audio.device if device is None else device,
        channel=audio.channel,
        block_ms=audio.block_ms,
        ring_s=audio.ring_s,
    )
    if seconds is not None:
        source = LimitedSource(source, seconds=seconds)
    return StreamRunner(source, Pipeline(_classifier(model, settings), settings))


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
    InputError, ModelError
        On entering, if the file or the model cannot be opened.
    """
    from rt_ser.audio.files import FileSource

    settings = settings or Settings()
    source = FileSource(str(path), speed=speed, channel=settings.audio.channel)
    return StreamRunner(source, Pipeline(_classifier(model, settings), settings))


def _classifier(model: str | Path | Classifier | None, settings: Settings) -> Classifier:
    if model is None or isinstance(model, str | Path):
        return TfliteClassifier.load(model or settings.model.name, threads=settings.model.threads)
    return model
