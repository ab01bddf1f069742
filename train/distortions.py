"""What happens to a voice on its way to a microphone and beyond: pure functions on samples.

All take and return mono float32 at ``RATE_HZ``, nominal range [-1, 1], of the same length.
"""

from __future__ import annotations

import numpy as np

from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ
from train.metrics import F64

ROOM_M3 = 40.0
"""Four by four metres, two and a half high."""

_SILENT_RMS = 10.0 ** (-70.0 / 20.0)
_TELEPHONE_HZ = (300.0, 3400.0)
_TELEPHONE_RATE_HZ = 8_000
_TAPS = 513
_MU = 255.0
_DIRECT_S = 0.0025


def rms(samples: F32) -> float:
    """Return the root mean square, 0 for no samples at all."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0


def sounding(samples: F32) -> F32:
    """Leave out the frames of 30 ms that are as good as silent, below -70 dBFS.

    Published noises are padded with silence, which would let a short bark count as faint.
    """
    frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    loud = np.sqrt(np.mean(np.square(frames, dtype=np.float64), axis=1)) > _SILENT_RMS
    return np.asarray(frames[loud].reshape(-1), np.float32)


def speech_of(samples: F32, lamp: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> F32:
    """Return the frames that a voice-activity gate called speech; everything where it found none.

    ``lamp`` has one flag per frame of ``FRAME_SAMPLES``.
    """
    flags = np.repeat(lamp, FRAME_SAMPLES)[: len(samples)]
    spoken = samples[: len(flags)][flags]
    return spoken if len(spoken) else samples


def add_noise(
    samples: F32, noise: F32, *, snr_db: float, level: float, rng: np.random.Generator
) -> F32:
    """Add a noise at a signal-to-noise ratio, repeated from a random place on.

    Parameters
    ----------
    noise : ndarray, shape (m,), float32
        Its part that is heard is brought to an RMS ``snr_db`` below ``level``.
    level : float
        RMS of the speech, pauses left out.

    Returns
    -------
    ndarray, float32; made fainter as a whole where the sum would exceed full scale
    """
    start = int(rng.integers(len(noise)))
    heard = np.take(noise, np.arange(start, start + len(samples)), mode="wrap")
    mixed = samples + heard * np.float32(level / max(rms(heard), 1e-9) * 10.0 ** (-snr_db / 20.0))
    return np.asarray(mixed / max(1.0, float(np.abs(mixed).max(initial=0.0))), np.float32)


def through_sound_card(samples: F32, *, gain_db: float) -> F32:
    """Amplify, cut off at full scale and round to 16 bits, as a badly set input does."""
    whole = np.rint(samples.astype(np.float64) * 10.0 ** (gain_db / 20.0) * 32768.0)
    return np.asarray(np.clip(whole, -32768.0, 32767.0) / 32768.0, np.float32)


def telephone(samples: F32) -> F32:
    """Pass 300 to 3400 Hz at 8 kHz in 8-bit mu-law (ITU-T G.711), and back to 16 kHz."""
    import soxr

    narrow = soxr.resample(band_pass(samples, *_TELEPHONE_HZ), RATE_HZ, _TELEPHONE_RATE_HZ)
    wide = soxr.resample(mu_law(np.asarray(narrow, np.float32)), _TELEPHONE_RATE_HZ, RATE_HZ)
    kept = np.asarray(wide, np.float32)[: len(samples)]
    return np.pad(kept, (0, len(samples) - len(kept)))


def band_pass(samples: F32, low_hz: float, high_hz: float) -> F32:
    """Filter by a windowed-sinc band-pass without delay (Hamming, 513 taps)."""
    at = np.arange(_TAPS) - _TAPS // 2
    edges = [2.0 * hz / RATE_HZ for hz in (low_hz, high_hz)]
    low, high = (edge * np.sinc(edge * at) for edge in edges)
    return convolved(samples, (high - low) * np.hamming(_TAPS), delay=_TAPS // 2)


def mu_law(samples: F32) -> F32:
    """Compress, round to 256 steps and expand again (ITU-T G.711's curve, mu = 255)."""
    limited = np.clip(samples.astype(np.float64), -1.0, 1.0)
    small = np.sign(limited) * np.log1p(_MU * np.abs(limited)) / np.log1p(_MU)
    steps = np.rint((small + 1.0) * 127.5) / 127.5 - 1.0
    large = np.sign(steps) * np.expm1(np.abs(steps) * np.log1p(_MU)) / _MU
    return np.asarray(large, np.float32)


def direct_to_reverberant_db(
    distance_m: float, *, rt60_s: float, room_m3: float = ROOM_M3
) -> float:
    """Return how far the direct sound stands above the reverberation, in dB.

    They are equal at the critical distance, 0.057 sqrt(volume / RT60) metres for a source
    without direction (Kuttruff, Room Acoustics, 5th ed., eq. 5.44 with Sabine's law).
    """
    critical_m = 0.057 * np.sqrt(room_m3 / rt60_s)
    return float(20.0 * np.log10(critical_m / distance_m))


def room_response(*, rt60_s: float, direct_db: float, rng: np.random.Generator) -> F64:
    """Draw a room's impulse response: a direct pulse, then noise that dies away.

    Gaussian noise under exp(-6.91 t / RT60), which is 60 dB down after ``rt60_s`` (Polack
    1988); it begins 2.5 ms after the direct sound and has ``direct_db`` less energy than it.

    Returns
    -------
    ndarray, shape (n,), float64; 1 at sample 0
    """
    times = np.arange(round(1.2 * rt60_s * RATE_HZ)) / RATE_HZ
    tail = rng.standard_normal(len(times)) * np.exp(-3.0 * np.log(10.0) * times / rt60_s)
    tail[: round(_DIRECT_S * RATE_HZ)] = 0.0
    tail *= 10.0 ** (-direct_db / 20.0) / np.sqrt(np.sum(np.square(tail)))
    tail[0] = 1.0
    return np.asarray(tail, np.float64)


def in_room(samples: F32, *, distance_m: float, rt60_s: float, rng: np.random.Generator) -> F32:
    """Let a voice be heard across a room, as loud as before."""
    direct_db = direct_to_reverberant_db(distance_m, rt60_s=rt60_s)
    wet = convolved(samples, room_response(rt60_s=rt60_s, direct_db=direct_db, rng=rng))
    wet *= np.float32(rms(samples) / max(rms(wet), 1e-9))
    return np.asarray(wet / max(1.0, float(np.abs(wet).max(initial=0.0))), np.float32)


def convolved(samples: F32, response: F64, *, delay: int = 0) -> F32:
    """Convolve by FFT and keep as many samples as came in, from ``delay`` on."""
    size = len(samples) + len(response) - 1
    spectrum = np.fft.rfft(samples.astype(np.float64), size) * np.fft.rfft(response, size)
    whole = np.fft.irfft(spectrum, size)
    return whole[delay : delay + len(samples)].astype(np.float32)
