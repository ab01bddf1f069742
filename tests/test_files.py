"""Recordings: every format, the same bits at any speed, and a clear word for bad ones."""

from __future__ import annotations

import io
import os
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rt_ser.audio.files import FileSource, RawFormat, load
from rt_ser.audio.source import ClosedSource, EndOfStream
from rt_ser.audio.wav import MAX_HEADER_BYTES, read_wav_header
from rt_ser.errors import InputError
from rt_ser.types import F32, I16, RATE_HZ, AudioChunk
from tests import strategies as some


def chunks_of(source: FileSource) -> list[AudioChunk]:
    """Read an open source to its end."""
    chunks = []
    while True:
        try:
            chunk = source.read(5.0)
        except EndOfStream:
            return chunks
        if chunk is not None:
            chunks.append(chunk)


def joined(chunks: list[AudioChunk]) -> F32:
    """Join chunks, having checked that they follow on."""
    position = 0
    for chunk in chunks:
        assert (chunk.start, chunk.gap) == (position, 0)
        position = chunk.stop
    return np.concatenate([chunk.samples for chunk in chunks])


def int16_noise(length: int, channels: int = 1) -> I16:
    """Noise as a 16-bit recording holds it."""
    return (some.noise(length, channels) * 20_000).astype(np.int16)


def write(folder: Path, samples: np.ndarray, rate_hz: int = RATE_HZ, **options: str) -> str:
    """Write a recording and return its path."""
    path = folder / options.pop("name", "recording.wav")
    soundfile.write(path, samples, rate_hz, **options)
    return str(path)


def wav_bytes(samples: np.ndarray, rate_hz: int = RATE_HZ, subtype: str = "PCM_16") -> bytes:
    """Return a WAV file's bytes."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format="WAV", subtype=subtype)
    return buffer.getvalue()


@contextmanager
def piped(monkeypatch: pytest.MonkeyPatch, data: bytes) -> Iterator[None]:
    """Make standard input a real pipe that another thread fills, in odd pieces."""
    outlet, inlet = os.pipe()

    def fill() -> None:
        with open(inlet, "wb", buffering=0) as stream:
            for start in range(0, len(data), 1_777):
                stream.write(data[start : start + 1_777])

    writer = threading.Thread(target=fill)
    with open(outlet, "rb") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        writer.start()
        yield
        while stream.read(65_536):
            pass
        writer.join()


def test_16_bit_audio_at_16_khz_is_the_integer_over_32768(tmp_path: Path) -> None:
    samples = int16_noise(10_000)
    path = write(tmp_path, samples)
    expected = samples[:, 0].astype(np.float32) / np.float32(32_768)
    assert load(path).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.wav", {"subtype": "PCM_16"}, 4e-5),
        ("a.wav", {"subtype": "PCM_24"}, 1e-6),
        ("a.wav", {"subtype": "PCM_32"}, 1e-6),
        ("a.wav", {"subtype": "PCM_U8"}, 1e-2),
        ("a.wav", {"subtype": "FLOAT"}, 0.0),
        ("a.wav", {"subtype": "DOUBLE"}, 0.0),
        ("a.wav", {"subtype": "ULAW"}, 2e-2),
        ("a.flac", {}, 4e-5),
        ("a.ogg", {"subtype": "VORBIS"}, 0.2),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}, 0.2),
        ("a.mp3", {}, 0.2),
    ],
)
def test_formats(tmp_path: Path, name: str, options: dict[str, str], tolerance: float) -> None:
    seconds = np.arange(RATE_HZ) / RATE_HZ
    tone = (0.5 * np.sin(2 * np.pi * 440 * seconds)).astype(np.float32)
    heard = load(write(tmp_path, tone, name=name, **options))
    assert len(heard) == len(tone)
    np.testing.assert_allclose(heard[2_000:-2_000], tone[2_000:-2_000], atol=tolerance)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_rates_and_channels(tmp_path: Path, rate_hz: int, channels: int) -> None:
    path = write(tmp_path, int16_noise(rate_hz // 4 + 5, channels), rate_hz)
    heard = load(path)
    assert len(heard) == round((rate_hz // 4 + 5) * RATE_HZ / rate_hz)
    assert heard.tobytes() == load(path).tobytes()


@pytest.mark.parametrize("block_ms", [1, 7, 30, 1_000])
def test_the_block_does_not_matter(tmp_path: Path, block_ms: int) -> None:
    path = write(tmp_path, int16_noise(20_011, 2), 44_100)
    with FileSource(path, channel="mix", block_ms=block_ms) as source:
        assert joined(chunks_of(source)).tobytes() == load(path, channel="mix").tobytes()


def test_a_file_is_streamed_not_held(tmp_path: Path) -> None:
    path = write(tmp_path, int16_noise(RATE_HZ * 3))
    with FileSource(path, block_ms=30) as source:
        assert source.duration_s == 3.0
        chunks = chunks_of(source)
    assert {len(chunk.samples) for chunk in chunks} == {480}
    assert not chunks[0].samples.flags.writeable
    assert chunks[0].captured_at is None


def test_speed_paces_and_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, int16_noise(RATE_HZ))
    started = time.monotonic()
    with FileSource(path, speed=4.0) as source:
        samples = joined(chunks_of(source))
    assert 0.24 < time.monotonic() - started < 0.95  # a quarter of what it lasts, and not all
    assert samples.tobytes() == load(path).tobytes()


def test_a_paced_read_gives_none_when_nothing_is_due(tmp_path: Path) -> None:
    path = write(tmp_path, int16_noise(RATE_HZ))
    with FileSource(path, speed=0.1) as source:
        started = time.monotonic()
        assert source.read(0.05) is None
        assert 0.04 < time.monotonic() - started < 5.0  # 10 s until it is over


def test_closing_wakes_a_paced_read(tmp_path: Path) -> None:
    source = FileSource(write(tmp_path, int16_noise(RATE_HZ)), speed=0.001)
    source.open()
    threading.Timer(0.05, source.close).start()
    started = time.monotonic()
    with pytest.raises(ClosedSource):
        source.read(10.0)
    assert time.monotonic() - started < 1.0


def test_finished_and_closed_are_different(tmp_path: Path) -> None:
    source = FileSource(write(tmp_path, int16_noise(100)))
    with pytest.raises(ClosedSource, match="not open"):
        source.read(0.1)
    with source:
        chunks_of(source)
        for _ in range(2):
            with pytest.raises(EndOfStream):
                source.read(0.1)
    source.close()
    with pytest.raises(ClosedSource):
        source.read(0.1)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 3])
def test_wav_through_a_pipe_is_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtype: str, channels: int
) -> None:
    samples = some.noise(5_000, channels)
    path = write(tmp_path, samples, 22_050, subtype=subtype)
    with piped(monkeypatch, Path(path).read_bytes()):
        assert load("-", channel="mix").tobytes() == load(path, channel="mix").tobytes()


def test_a_wav_of_unknown_length_is_played_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    data = wav_bytes(int16_noise(1_000))
    at = data.index(b"data") + 4
    for unknown in (0, 0xFFFF_FFFF, 0x7FFF_F000):
        with piped(monkeypatch, data[:at] + struct.pack("<I", unknown) + data[at + 4 :]):
            assert len(load("-")) == 1_000


def test_what_follows_the_samples_is_not_played(monkeypatch: pytest.MonkeyPatch) -> None:
    data = wav_bytes(int16_noise(1_000)) + b"LIST\x04\x00\x00\x00INFO"
    with piped(monkeypatch, data):
        assert len(load("-")) == 1_000


@pytest.mark.parametrize("name", ["-", "file"])
def test_raw_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    samples = int16_noise(3_000, 2)
    layout = RawFormat(rate_hz=48_000, channels=2, sample_format="int16")
    expected = load(write(tmp_path, samples, 48_000))
    (tmp_path / "samples.raw").write_bytes(samples.tobytes())
    with piped(monkeypatch, samples.tobytes()):
        path = "-" if name == "-" else str(tmp_path / "samples.raw")
        assert load(path, raw=layout).tobytes() == expected.tobytes()


def test_a_slow_pipe_gives_none_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = int16_noise(480)
    outlet, inlet = os.pipe()
    with open(outlet, "rb") as reading, open(inlet, "wb", buffering=0) as writing:
        monkeypatch.setattr(sys, "stdin", reading)
        source = FileSource("-", raw=RawFormat())
        source.open()
        writing.write(samples.tobytes()[:301])
        assert source.read(0.02) is None
        writing.write(samples.tobytes()[301:])
        chunk = source.read(1.0)
    assert chunk is not None
    assert chunk.samples.tobytes() == (samples[:, 0] / np.float32(32_768)).tobytes()


def notes_of(path: str, raw: RawFormat | None = None) -> tuple[float, tuple[str, ...]]:
    """Play a file; return how many seconds it had and what was noted."""
    with FileSource(path, raw=raw) as source:
        return len(joined(chunks_of(source))) / RATE_HZ, source.notes


def test_a_truncated_wav_is_played_and_said(tmp_path: Path) -> None:
    path = write(tmp_path, int16_noise(RATE_HZ * 2))
    os.truncate(path, 44 + RATE_HZ)
    seconds, notes = notes_of(path)
    assert seconds == 0.5
    assert notes == (
        f"{path}: truncated: 0.50 s of the 2.00 s that its header promises: judged up to there",
    )


def test_a_truncated_flac_is_played_and_said(tmp_path: Path) -> None:
    path = write(tmp_path, int16_noise(RATE_HZ * 2), name="a.flac")
    os.truncate(path, os.path.getsize(path) * 3 // 4)
    seconds, notes = notes_of(path)
    assert 0.5 < seconds < 2.0
    assert len(notes) == 1
    assert notes[0].startswith(f"{path}: damaged (")


def test_a_truncated_pipe_is_played_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with piped(monkeypatch, wav_bytes(int16_noise(RATE_HZ))[: 44 + RATE_HZ + 1]):
        seconds, notes = notes_of("-")
    assert seconds == 0.5
    assert notes == (
        "standard input: truncated: 0.50 s of the 1.00 s that its header promises: "
        "judged up to there",
        "standard input: the last 1 bytes are no whole frame of 2: left out",
    )


def test_whole_files_have_no_notes(tmp_path: Path) -> None:
    for name in ("a.wav", "a.flac", "a.ogg", "a.mp3"):
        assert notes_of(write(tmp_path, int16_noise(RATE_HZ), name=name))[1] == ()


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "no such file"),
    "directory": (lambda path: path.mkdir(), "this is a directory: name the audio files in it"),
    "empty": (lambda path: path.touch(), "the file is empty"),
    "text": (
        lambda path: path.write_text("not a sound in here\n" * 50),
        "no audio that can be decoded: wav, flac, ogg, opus and mp3 are; convert others with "
        "ffmpeg -i INPUT OUTPUT.wav",
    ),
    "no samples": (
        lambda path: path.write_bytes(wav_bytes(int16_noise(0))),
        "no audio in it: its length is 0 samples",
    ),
    "half a header": (
        lambda path: path.write_bytes(wav_bytes(int16_noise(10))[:20]),
        "no audio that can be decoded: wav, flac, ogg, opus and mp3 are; convert others with "
        "ffmpeg -i INPUT OUTPUT.wav",
    ),
    "nine channels": (
        lambda path: path.write_bytes(wav_bytes(int16_noise(10, 9))),
        "9 channels are not supported: 1 to 8 are; pick the channel to judge first",
    ),
    "pipe": (
        lambda path: os.mkfifo(path),
        "this is no plain file: pipe it into standard input and name -",
    ),
    "rate": (
        lambda path: path.write_bytes(wav_bytes(int16_noise(10), 1_000)),
        "sample rate 1000 Hz is not supported: 4000 to 384000 Hz are; resample it first",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(tmp_path: Path, case: str) -> None:
    make, message = BAD_FILES[case]
    path = tmp_path / "input"
    make(path)
    with pytest.raises(InputError) as caught:
        FileSource(str(path)).open()
    assert str(caught.value) == f"{path}: {message}"


def test_a_raw_file_needs_its_layout(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(b"1234")
    with pytest.raises(InputError, match="raw samples have no header: give their layout with"):
        FileSource(str(path)).open()


def test_an_unreadable_path_is_said() -> None:
    with pytest.raises(InputError, match=r"cannot be read: .*embedded null"):
        FileSource("a\0b").open()
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        FileSource("a" * 5_000).open()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -3e38])
def test_values_that_are_no_samples_are_named(tmp_path: Path, bad: float) -> None:
    samples = some.noise(2_000, 2)
    samples[1_234, 1] = bad
    with pytest.raises(InputError) as caught:
        load(write(tmp_path, samples, subtype="FLOAT"))
    assert f"sample 1234 is {bad:g}, full scale being 1: the file is damaged" in str(caught.value)


@pytest.mark.parametrize("speed", [0.0, -1.0, float("inf"), float("nan")])
def test_speeds_that_are_none(speed: float) -> None:
    with pytest.raises(InputError, match="give a factor above 0, or max"):
        FileSource("a.wav", speed=speed)


BAD_PIPES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "the WAV header ends after 0 bytes"),
    "no WAV": (
        b"x" * 100,
        "this is no WAV: convert it (ffmpeg -i INPUT -f wav -), or give the layout of raw "
        "samples with --raw-rate",
    ),
    "half a header": (wav_bytes(int16_noise(9))[:30], "the WAV header ends after 30 bytes"),
    "no format": (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "the WAV header has no format chunk"),
    "short format": (
        b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0ab",
        "the WAV format chunk has 2 bytes, not 16 or more",
    ),
    "endless header": (
        b"RIFF\0\0\0\0WAVELIST\xff\xff\xff\x7f",
        f"no samples in the first {MAX_HEADER_BYTES} bytes: the WAV header is damaged",
    ),
    "encoding": (
        wav_bytes(int16_noise(9), subtype="ULAW"),
        "WAV encoding 7 with 8 bits is not supported on a pipe: convert it to 16-bit PCM "
        "(ffmpeg -i INPUT -c:a pcm_s16le -f wav -)",
    ),
    "no samples": (wav_bytes(int16_noise(0)), "no audio in it: its length is 0 samples"),
    "channels": (
        wav_bytes(int16_noise(9, 9)),
        "9 channels are not supported: 1 to 8 are; pick the channel to judge first",
    ),
}


@pytest.mark.parametrize("case", BAD_PIPES)
def test_bad_pipes(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    data, message = BAD_PIPES[case]
    with piped(monkeypatch, data), pytest.raises(InputError) as caught:
        load("-")
    assert str(caught.value) == f"standard input: {message}"


def test_a_frame_size_that_contradicts_the_format_is_refused() -> None:
    data = bytearray(wav_bytes(int16_noise(9)))
    data[32:34] = struct.pack("<H", 7)
    with pytest.raises(InputError, match="says 7 bytes a frame, its format has 2"):
        read_wav_header(io.BytesIO(data).read, name="a")


def test_standard_input_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input is closed"):
        FileSource("-").open()
