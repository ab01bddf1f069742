"""Recordings to samples at the pipeline rate, and a fingerprint of what is heard in them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from rt_ser.errors import InputError
from rt_ser.types import F32


def decode(path: Path) -> F32:
    """Read a whole recording, its first channel, at ``RATE_HZ``: as ``rt-ser replay`` hears it.

    Returns
    -------
    ndarray, shape (n,), float32, nominal range [-1, 1]

    Raises
    ------
    InputError
        If the file is missing, unreadable, empty, or holds values that are no numbers.
    """
    # Imported here so that reading a cache needs neither library.
    import soundfile

    from rt_ser.audio.convert import Converter

    try:
        native, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise InputError(f"{path}: cannot be read ({error}): get the file again") from error
    if not len(native):
        raise InputError(f"{path}: holds no samples: get the file again")
    if not np.isfinite(native).all():
        raise InputError(f"{path}: holds values that are no numbers: get the file again")
    converter = Converter(rate_hz, native.shape[1])
    return np.concatenate([converter.push(native), converter.flush()])


def audio_hash(samples: F32) -> str:
    """Return a hash of the samples as 16-bit integers, silence at either end aside.

    Two copies of a recording in different containers, or padded differently with
    digital silence, hash alike; any audible difference does not.
    """
    whole = np.clip(np.rint(samples * np.float32(32768.0)), -32768, 32767).astype("<i2")
    heard = np.flatnonzero(whole)
    trimmed = whole[heard[0] : heard[-1] + 1] if len(heard) else whole[:0]
    return hashlib.sha256(trimmed.tobytes()).hexdigest()
