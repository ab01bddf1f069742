"""Sounds like music and sirens, made from arithmetic: nobody speaks in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rt_ser.types import F32, RATE_HZ
from train.metrics import F64

LEVEL = 0.1
"""RMS of every sound, -20 dBFS."""

_PIECE_S = 20.0
_SCALE = (0, 2, 4, 5, 7, 9, 11, 12)
_CHORDS = ((0, 4, 7), (5, 9, 12), (7, 11, 14), (9, 12, 16))


def silence(seconds: float) -> F32:
    """Return digital silence."""
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def chords(seconds: float = _PIECE_S) -> F32:
    """Return struck chords that die away, one a second: C, F, G, A minor."""
    notes = [[_hz(60 + step) for step in chord] for chord in _CHORDS]
    beats = [
        sum(_note(hz, 1.0, decay_s=0.6) for hz in notes[beat % len(notes)])
        for beat in range(round(seconds))
    ]
    return _levelled(np.concatenate(beats))


def melody(seconds: float = _PIECE_S, *, seed: int = 0) -> F32:
    """Return a tune of plucked notes of an eighth to a half second, as a music box plays."""
    return _levelled(_tune(seconds, seed=seed, vibrato_hz=0.0, decay_s=0.25))


def violin(seconds: float = _PIECE_S, *, seed: int = 1) -> F32:
    """Return a slow tune of sustained notes with vibrato, the nearest to a voice."""
    return _levelled(_tune(seconds, seed=seed, vibrato_hz=5.5, decay_s=3.0))


def sweep(seconds: float = _PIECE_S) -> F32:
    """Return a sine that rises from 100 Hz to 4 kHz every four seconds."""
    share = np.arange(round(seconds * RATE_HZ)) / RATE_HZ % 4.0 / 4.0
    return _levelled(_sung(100.0 * 40.0**share, harmonics=1))


def siren(seconds: float = _PIECE_S) -> F32:
    """Return a siren that wails between 600 and 1400 Hz, three times in ten seconds."""
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return _levelled(_sung(1000.0 - 400.0 * np.cos(2.0 * np.pi * 0.3 * times), harmonics=4))


def ringing(seconds: float = _PIECE_S) -> F32:
    """Return a telephone that rings: 440 and 480 Hz, two seconds in six."""
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    both = np.sin(2.0 * np.pi * 440.0 * times) + np.sin(2.0 * np.pi * 480.0 * times)
    return _levelled(both * (times % 6.0 < 2.0))


def beeps(seconds: float = _PIECE_S) -> F32:
    """Return beeps of 1 kHz, a quarter of a second long, two a second."""
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return _levelled(np.sin(2.0 * np.pi * 1000.0 * times) * (times % 0.5 < 0.25))


TONES: dict[str, Callable[[], F32]] = {
    "chords": chords,
    "melody": melody,
    "violin": violin,
    "sweep": sweep,
    "siren": siren,
    "ringing": ringing,
    "beeps": beeps,
}
"""Twenty seconds of each, by name."""


def _tune(seconds: float, *, seed: int, vibrato_hz: float, decay_s: float) -> F64:
    rng = np.random.default_rng(seed)
    parts: list[F64] = []
    while sum(map(len, parts)) < seconds * RATE_HZ:
        hz = _hz(60 + int(rng.choice(_SCALE)))
        length_s = float(rng.choice((0.125, 0.25, 0.5))) * (2.0 if vibrato_hz else 1.0)
        parts.append(_note(hz, length_s, decay_s=decay_s, vibrato_hz=vibrato_hz))
    return np.concatenate(parts)[: round(seconds * RATE_HZ)]


def _note(hz: float, seconds: float, *, decay_s: float, vibrato_hz: float = 0.0) -> F64:
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    pitch = hz * (1.0 + 0.012 * np.sin(2.0 * np.pi * vibrato_hz * times))
    fade = np.minimum(1.0, np.minimum(times, seconds - times) / 0.01)
    return np.asarray(_sung(pitch, harmonics=8) * fade * np.exp(-times / decay_s), np.float64)


def _sung(pitch_hz: F64, *, harmonics: int) -> F64:
    phase = 2.0 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    parts: Sequence[F64] = [np.sin(n * phase) / n for n in range(1, harmonics + 1)]
    return np.asarray(np.sum(parts, axis=0), np.float64)


def _hz(midi: int) -> float:
    """Return the pitch of a note number, 69 being A at 440 Hz."""
    return float(440.0 * 2.0 ** ((midi - 69) / 12.0))


def _levelled(samples: F64) -> F32:
    return np.asarray(samples * (LEVEL / np.sqrt(np.mean(np.square(samples)))), np.float32)
