"""Feeds damaged bytes to everything that reads foreign ones, and looks at what comes of it.

    python tests/fuzz.py --cases 100000            as make fuzz does
    python tests/fuzz.py --seed 7 --only 1234      one case again, with its traceback

A case is a valid input, damaged at random: WAV through a pipe and as a file, raw PCM, a
settings file, a model's manifest. All that may come of it is a value or an error that
rt-ser raises on purpose, in one line, within ``LIMIT_S`` seconds of processor time and
``LIMIT_MIB`` of memory.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np

from rt_ser.audio.files import load as load_audio
from rt_ser.audio.pcm import RawFormat, decode_pcm, to_float32
from rt_ser.audio.wav import read_wav_header
from rt_ser.errors import RtSerError
from rt_ser.manifest import read_manifest
from rt_ser.settings_file import load as load_settings

LIMIT_S = 5.0
LIMIT_MIB = 256
FORMATS = ("uint8", "int16", "int24", "int32", "float32", "float64")
NUMBERS = (0, 1, 2, 3, 7, 8, 16, 24, 32, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF,
           16_000, 384_000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)  # fmt: skip
WORDS = (
    b"RIFF", b"RF64", b"WAVE", b"fmt ", b"data", b"LIST", b"fact", b"\x00" * 8, b"\xff" * 8,
    b": ", b"\n", b"- ", b"{", b"[", b"&a ", b"*a", b"!!python/object:os.system ", b"!!binary ",
    b"1e999", b"-.inf", b".nan", b"9" * 5_000, b"[" * 2_000, b"2001-99-99", b"\xef\xbb\xbf",
    b"\x00", b"\t", b"null", b"yes", b"0x", b"? ", b"<<: *a\n", b"%YAML 9.9\n---\n", b"|\n", b"'",
    "\N{RIGHT-TO-LEFT OVERRIDE}".encode(), b"\x1b[2J",
)  # fmt: skip
SETTINGS = b"""\
audio: {device: "USB", channel: mix, block_ms: 30, ring_s: 10.0}
vad:
  mode: 2
  min_snr_db: 6.0
estimate:
  hop_s: 0.24
ui:
  ascii: no
"""
ALIASES = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n".encode()
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)


class Hang(BaseException):
    """A case took too long."""


def wav_bytes(rng: random.Random) -> bytes:
    """Return a valid WAV of some format."""
    sample_format, tag, bits = rng.choice(
        [("u1", 1, 8), ("<i2", 1, 16), ("<i4", 1, 32), ("<f4", 3, 32), ("<f8", 3, 64)]
    )
    channels, rate_hz = rng.randint(1, 8), rng.choice((8_000, 16_000, 44_100, 192_000))
    frames = rng.choice((0, 1, 100, 800))
    data = np.zeros((frames, channels), sample_format).tobytes()
    align = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * align, align, bits)
    chunks = b"".join(
        name + struct.pack("<I", len(body)) + body
        for name, body in ((b"fmt ", fmt), (b"LIST", b"INFOx\0"), (b"data", data))
    )
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return bytes with some of them changed, cut, repeated, or replaced by telling ones."""
    data = bytearray(content)
    for _ in range(rng.choice((0, 1, 1, 2, 3, 8, 30))):
        at = rng.randint(0, len(data))
        kind = rng.randrange(7)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at : at + rng.choice((1, 2, 4))] = rng.randbytes(rng.choice((1, 2, 4)))
        elif kind == 2:
            number = struct.pack("<I", rng.choice(NUMBERS))
            size = rng.choice((2, 4))
            data[at : at + size] = number[:size]
        elif kind == 3:
            data[at:at] = rng.choice(WORDS)
        elif kind == 4:
            del data[at : at + rng.randint(1, 64)]
        elif kind == 5:
            data[at:at] = data[at : at + rng.randint(1, 256)]
        elif rng.random() < 0.2:
            del data[at:]
    return bytes(data)


class Targets:
    """What is fed, each by a method that takes the case's own generator."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        models = Path(__file__).resolve().parents[1] / "models"
        real = sorted(path.read_bytes() for path in models.glob("*.yaml"))
        self._manifests = [*real, ALIASES + b"labels: *i\ntemperature: 1\nrate_hz: 16000\n"]
        self._settings = [SETTINGS, ALIASES, SETTINGS + ALIASES]

    def all(self) -> dict[str, Callable[[random.Random], None]]:
        """Return every target by name."""
        return {
            "wav header": self.wav_header,
            "wav file": self.wav_file,
            "raw pcm": self.raw_pcm,
            "settings file": self.settings_file,
            "model manifest": self.manifest,
        }

    def wav_header(self, rng: random.Random) -> None:
        """Read a header as from a pipe, and the samples that it speaks of."""
        stream = io.BytesIO(damaged(wav_bytes(rng), rng))
        header = read_wav_header(stream.read, name="fuzz")
        rest = stream.read()
        whole = len(rest) - len(rest) % header.raw.frame_bytes
        decode_pcm(rest[:whole], header.raw)

    def wav_file(self, rng: random.Random) -> None:
        """Load a file, as replay does."""
        path = self._folder / "fuzz.wav"
        path.write_bytes(damaged(wav_bytes(rng), rng))
        samples = load_audio(str(path))
        assert np.isfinite(samples).all()

    def raw_pcm(self, rng: random.Random) -> None:
        """Decode any bytes as any format, and convert them."""
        raw = RawFormat(
            rate_hz=rng.choice(NUMBERS), channels=rng.randint(0, 10),
            sample_format=rng.choice((*FORMATS, "int12")),
        )  # fmt: skip
        data = rng.randbytes(rng.randrange(2_000))
        samples = to_float32(decode_pcm(data[: len(data) - len(data) % raw.frame_bytes], raw))
        assert samples.ndim == 2

    def settings_file(self, rng: random.Random) -> None:
        """Load settings from a file."""
        path = self._folder / "fuzz.yaml"
        path.write_bytes(damaged(rng.choice(self._settings), rng))
        load_settings(file=path, environ={})

    def manifest(self, rng: random.Random) -> None:
        """Read a model's manifest."""
        path = self._folder / "fuzz.yaml"
        path.write_bytes(damaged(rng.choice(self._manifests), rng))
        read_manifest(path)


def run_case(seed: int, number: int, targets: Targets) -> tuple[str, str]:
    """Run one case; return its target and what came of it: ``value`` or the error's name."""
    rng = random.Random(f"{seed}:{number}")
    name, target = rng.choice(list(targets.all().items()))
    limit(LIMIT_S)
    try:
        target(rng)
    except RtSerError as error:
        if "\n" in str(error) or len(str(error)) > 2_000:
            raise AssertionError(f"no one-line message: {str(error)[:300]!r}") from error
        return name, type(error).__name__
    finally:
        limit(0.0)
    return name, "value"


def limit(seconds: float) -> None:
    """Let a case run for so long from now, or, 0, without limit; Windows has no such timer."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def on_alarm(_number: int, _frame: FrameType | None) -> None:
    """End a case that takes too long."""
    raise Hang(f"more than {LIMIT_S} s")


def catch_alarms() -> None:
    """Have the limit end a case."""
    if hasattr(signal, "SIGPROF"):
        signal.signal(signal.SIGPROF, on_alarm)


def peak_mib() -> float:
    """Return the most memory that this process has occupied; 0 where that cannot be told."""
    try:
        import resource
    except ImportError:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fuzz(cases: int, seed: int) -> tuple[Counter[tuple[str, str]], list[int]]:
    """Run so many cases; return how often each thing came of each target, and what failed."""
    outcomes: Counter[tuple[str, str]] = Counter()
    failures = []
    catch_alarms()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as at:
        targets = Targets(Path(at))
        for number in range(cases):
            try:
                outcomes[run_case(seed, number, targets)] += 1
            except (Exception, Hang) as error:
                failures.append(number)
                print(f"--seed {seed} --only {number}: {error!r}"[:400], file=sys.stderr)
    return outcomes, failures


def main() -> int:
    """Fuzz, and print what came of it."""
    parser = argparse.ArgumentParser(description="Feed damaged bytes to every reader.")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--only", type=int, help="run this case alone")
    options = parser.parse_args()
    if options.only is not None:
        catch_alarms()
        with tempfile.TemporaryDirectory() as folder:
            try:
                print(run_case(options.seed, options.only, Targets(Path(folder))))
            except (Exception, Hang):
                traceback.print_exc()
                return 1
        return 0
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    started, before_mib = time.monotonic(), peak_mib()
    outcomes, failures = fuzz(options.cases, options.seed)
    for (target, outcome), count in sorted(outcomes.items()):
        print(f"{target:15} {outcome:12} {count:7}")
    grown_mib = peak_mib() - before_mib
    print(
        f"{options.cases} cases in {time.monotonic() - started:.0f} s: {len(failures)} failures, "
        f"peak memory +{grown_mib:.0f} MiB"
    )
    return 1 if failures or grown_mib > LIMIT_MIB else 0


if __name__ == "__main__":
    raise SystemExit(main())
