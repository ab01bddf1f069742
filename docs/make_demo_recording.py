"""Make the recording that ships with rt-ser, and the cue sheet that says what lies where.

    python docs/make_demo_recording.py [FOLDER]

Needs the program ``espeak-ng``; everything else comes with rt-ser. The same version of
espeak-ng gives the same samples every time. The voices are synthetic: their manner is
pitch, pace and loudness only, so that what a model says of them is no measure of it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import yaml
from numpy.typing import NDArray

from rt_ser.data import DEMO_CUES, DEMO_RECORDING
from rt_ser.types import F32, RATE_HZ

SEED = 2026
ROOM_DBFS = -86.0
"""Level of the faint hiss under everything: no real microphone is ever digitally silent."""

FADE_SAMPLES = 160
"""Noise and tone fade in and out over 10 ms: a click would be a sound of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """One spoken line; ``pitch`` is espeak-ng's 0 to 99, ``rate_wpm`` words a minute."""

    manner: str
    text: str
    voice: str
    pitch: int
    rate_wpm: int
    level_dbfs: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Anything that is not speech: silence, white_noise, pink_noise or tone."""

    kind: str
    seconds: float
    level_dbfs: float = -120.0


SCRIPT: tuple[Speech | Sound, ...] = (
    Sound(kind="silence", seconds=0.9),
    Speech(manner="bright, quick and high", voice="en-us+f3", pitch=75, rate_wpm=190,
           level_dbfs=-24.0, text="Hello there. It is so good to see you, come on in!"),
    Sound(kind="silence", seconds=0.9),
    Sound(kind="white_noise", seconds=1.2, level_dbfs=-48.0),
    Sound(kind="silence", seconds=0.7),
    Speech(manner="low, slow and soft", voice="en-gb+m3", pitch=22, rate_wpm=125,
           level_dbfs=-32.0, text="I waited all day. Nobody came."),
    Sound(kind="silence", seconds=0.9),
    Sound(kind="pink_noise", seconds=1.2, level_dbfs=-38.0),
    Sound(kind="silence", seconds=0.7),
    Speech(manner="loud, fast and pressed", voice="en-gb-scotland+m7", pitch=60, rate_wpm=215,
           level_dbfs=-20.0, text="I told you twice. Do not touch that switch again!"),
    Sound(kind="silence", seconds=0.9),
    Sound(kind="tone", seconds=1.2, level_dbfs=-30.0),
    Sound(kind="silence", seconds=0.7),
    Speech(manner="plain and even", voice="en-us+f5", pitch=45, rate_wpm=165,
           level_dbfs=-26.0, text="The meeting starts at ten, in the small room."),
    Sound(kind="silence", seconds=1.3),
)


def to_level(samples: NDArray[np.float64], level_dbfs: float) -> F32:
    """Scale a sound to an RMS level in dBFS; refuse to clip."""
    rms = float(np.sqrt(np.mean(np.square(samples))))
    scaled = samples * (10.0 ** (level_dbfs / 20.0) / rms)
    if np.max(np.abs(scaled)) > 1.0:
        raise ValueError(f"level_dbfs={level_dbfs} clips: choose a lower level")
    return scaled.astype(np.float32)


def spoken(line: Speech) -> F32:
    """Let espeak-ng say a line; return it at 16 kHz, cut to the sound itself."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "line.wav"
        command = ["espeak-ng", "-v", line.voice, "-p", str(line.pitch), "-s", str(line.rate_wpm)]
        subprocess.run([*command, "-w", str(path), line.text], check=True)
        native, rate_hz = soundfile.read(path, dtype="float64")
    samples = soxr.resample(native, rate_hz, RATE_HZ)
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.max(np.abs(samples)))
    return to_level(samples[loud[0] : loud[-1] + 1], line.level_dbfs)


def pink(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Noise whose power falls by 3 dB an octave: white noise, its spectrum over sqrt(f)."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), count)


def white(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Noise with the same power at every frequency."""
    return rng.standard_normal(count)


def tone(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """440 Hz with one overtone, like a kitchen timer: periodic, as a voice is."""
    phase = 2.0 * np.pi * 440.0 * np.arange(count) / RATE_HZ
    return np.sin(phase) + 0.3 * np.sin(2.0 * phase)


SOUNDS: dict[str, Callable[[np.random.Generator, int], NDArray[np.float64]]] = {
    "white_noise": white,
    "pink_noise": pink,
    "tone": tone,
}


def sounded(sound: Sound, rng: np.random.Generator) -> F32:
    """Return one sound that is not speech, faded at both ends; silence is all zeros."""
    count = round(sound.seconds * RATE_HZ)
    if sound.kind == "silence":
        return np.zeros(count, np.float32)
    samples = to_level(SOUNDS[sound.kind](rng, count), sound.level_dbfs)
    ramp = np.linspace(0.0, 1.0, FADE_SAMPLES, dtype=np.float32)
    samples[:FADE_SAMPLES] *= ramp
    samples[-FADE_SAMPLES:] *= ramp[::-1]
    return samples


def cue(item: Speech | Sound, start: int, stop: int) -> dict[str, Any]:
    """Describe one part of the recording; ``start`` and ``stop`` are sample indices."""
    span = {"start": start, "stop": stop}
    if isinstance(item, Sound):
        return {"kind": item.kind, **span}
    how = {"manner": item.manner, "voice": item.voice, "pitch": item.pitch}
    return {"kind": "speech", **span, "text": item.text, **how, "rate_wpm": item.rate_wpm}


def compose() -> tuple[F32, list[dict[str, Any]]]:
    """Lay the script's parts end to end over the room's hiss; return samples and cues."""
    rng = np.random.default_rng(SEED)
    parts: list[F32] = []
    cues: list[dict[str, Any]] = []
    position = 0
    for item in SCRIPT:
        part = spoken(item) if isinstance(item, Speech) else sounded(item, rng)
        parts.append(part)
        cues.append(cue(item, position, position + len(part)))
        position += len(part)
    room = to_level(white(rng, position), ROOM_DBFS)
    return np.concatenate(parts) + room, cues


def main(folder: Path) -> None:
    """Write ``demo.flac`` and ``demo.yaml`` into a folder."""
    samples, cues = compose()
    version = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True)
    pcm = np.round(samples * 32767.0).astype(np.int16)
    soundfile.write(folder / DEMO_RECORDING.name, pcm, RATE_HZ, format="FLAC", subtype="PCM_16",
                    compression_level=1.0)
    sheet = {
        "recording": DEMO_RECORDING.name,
        "made_by": "docs/make_demo_recording.py",
        "voice_program": version.stdout.split("  ")[0].strip(),
        "rate_hz": RATE_HZ,
        "samples": len(pcm),
        "cues": cues,
    }
    text = yaml.safe_dump(sheet, sort_keys=False, width=100, allow_unicode=True)
    (folder / DEMO_CUES.name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEMO_RECORDING.parent)
