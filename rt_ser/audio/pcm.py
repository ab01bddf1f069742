"""PCM samples of every usual width as float32 in [-1, 1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rt_ser.errors import InputError
from rt_ser.types import F32

MIN_RATE_HZ: Final = 4_000
MAX_RATE_HZ: Final = 384_000
MAX_CHANNELS: Final = 8
MAX_MAGNITUDE: Final = 2.0**31

SAMPLE_BYTES: Final = {"uint8": 1, "int16": 2, "int24": 3, "int32": 4, "float32": 4, "float64": 8}
"""Bytes in one sample of each PCM format; all but uint8 are little-endian."""


def check_layout(rate_hz: float, channels: int, *, name: str) -> None:
    """Raise InputError unless a rate and a channel count are ones we can take.

    A rate that came as a float will do where it is a whole number.
    """
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise InputError(
            f"{name}: sample rate {rate_hz} Hz is not supported: "
            f"{MIN_RATE_HZ} to {MAX_RATE_HZ} Hz are; resample it first"
        )
    if rate_hz != int(rate_hz):
        raise InputError(
            f"{name}: sample rate {rate_hz} Hz is no whole number: give {round(rate_hz)}"
        )
    if not 1 <= channels <= MAX_CHANNELS:
        raise InputError(
            f"{name}: {channels} channels are not supported: 1 to {MAX_CHANNELS} are; "
            "pick the channel to judge first"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFormat:
    """How headerless PCM is laid out; channels are interleaved.

    Raises
    ------
    InputError
        Rate, channels or format are not supported.
    """

    rate_hz: int = 16_000
    channels: int = 1
    sample_format: str = "int16"

    def __post_init__(self) -> None:
        """Refuse what could not be decoded."""
        check_layout(self.rate_hz, self.channels, name="raw audio")
        object.__setattr__(self, "rate_hz", int(self.rate_hz))
        if self.sample_format not in SAMPLE_BYTES:
            raise InputError(
                f"raw audio: sample format {self.sample_format!r} is not supported: "
                f"give one of {', '.join(SAMPLE_BYTES)}"
            )

    @property
    def frame_bytes(self) -> int:
        """Bytes in one sample of every channel."""
        return SAMPLE_BYTES[self.sample_format] * self.channels


def _int24(data: bytes) -> NDArray[np.int32]:
    """Widen packed little-endian 24-bit integers, shifted left by 8 bits."""
    packed = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
    wide = np.zeros((len(packed), 4), dtype=np.uint8)
    wide[:, 1:] = packed
    return wide.view("<i4")[:, 0].astype(np.int32)


_DECODERS: Final[dict[str, Callable[[bytes], NDArray[Any]]]] = {
    "uint8": lambda data: np.frombuffer(data, dtype=np.uint8),
    "int16": lambda data: np.frombuffer(data, dtype="<i2"),
    "int24": _int24,
    "int32": lambda data: np.frombuffer(data, dtype="<i4"),
    "float32": lambda data: np.frombuffer(data, dtype="<f4"),
    "float64": lambda data: np.frombuffer(data, dtype="<f8"),
}


def to_float32(samples: NDArray[Any]) -> F32:
    """Scale an array of samples to float32, full scale being 1.0.

    Integers are divided by two to the power of their width less one, as libsndfile
    and PortAudio do, so that every source yields the same bits for the same audio.

    Parameters
    ----------
    samples : ndarray, any shape, uint8, int16, int32, float32 or float64

    Returns
    -------
    ndarray, same shape, float32; [-1, 1] for integers

    Raises
    ------
    InputError
        The dtype is none of those.
    """
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - np.float32(128)) * np.float32(2**-7)
    if samples.dtype in (np.int16, np.int32):
        # A power of two: one rounding at most, that of the cast.
        scale = np.float32(2.0 ** (1 - 8 * samples.dtype.itemsize))
        return samples.astype(np.float32) * scale
    if samples.dtype in (np.float32, np.float64):
        # A double beyond float32 becomes inf, which first_unusable finds.
        with np.errstate(over="ignore", invalid="ignore"):
            return samples.astype(np.float32, copy=False)
    raise InputError(
        f"samples of dtype {samples.dtype} are not supported: "
        "give uint8, int16, int32, float32 or float64"
    )


def decode_pcm(data: bytes, raw: RawFormat) -> F32:
    """Decode interleaved PCM.

    Parameters
    ----------
    data : bytes
        Whole frames.
    raw : RawFormat
        Layout of ``data``.

    Returns
    -------
    ndarray, shape (n, channels), float32, [-1, 1] for integer formats
    """
    return to_float32(_DECODERS[raw.sample_format](data)).reshape(-1, raw.channels)


def first_unusable(frames: F32) -> tuple[int, float] | None:
    """Return the index of the first frame that is no audio, and its value; else None.

    Not audio are NaN and magnitudes over 2**31: nothing is louder, not even 32-bit
    integers taken for floats, and the power of what is much louder is no float32.
    """
    # Two passes that allocate nothing; NaN is the least and the greatest of its array.
    if np.min(frames, initial=0) >= -MAX_MAGNITUDE and np.max(frames, initial=0) <= MAX_MAGNITUDE:
        return None
    flat = int(np.argmin(np.abs(frames) <= MAX_MAGNITUDE))
    return flat // (frames.size // len(frames)), float(frames.flat[flat])
