"""Whatever a person gets wrong: one line that says what, which value, and what to do.

Each row is a command line, what to put into the folder that it runs in, the exact
message, and the exit code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from rt_ser.cli import main
from tests.isolation import isolate

Maker = Callable[[Path], None]


def nothing(folder: Path) -> None:
    """Leave the folder empty."""


def holding(name: str, content: bytes | str) -> Maker:
    """Write a file."""

    def make(folder: Path) -> None:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return make


def sound(name: str, samples: object = None, rate_hz: int = 16_000) -> Maker:
    """Write a recording of half a second of nothing, or of the samples given."""

    def make(folder: Path) -> None:
        values = np.zeros(8_000, np.float32) if samples is None else np.asarray(samples)
        subtype = "FLOAT" if values.dtype == np.float32 else "PCM_16"
        soundfile.write(folder / name, values, rate_hz, subtype=subtype)

    return make


def both(*makers: Maker) -> Maker:
    """Make several things."""

    def make(folder: Path) -> None:
        for maker in makers:
            maker(folder)

    return make


def with_nan(name: str) -> Maker:
    """Write a recording whose thousandth sample is not a number."""
    samples = np.zeros(8_000, np.float32)
    samples[1_000] = np.nan
    return sound(name, samples)


class Row(NamedTuple):
    """One thing that somebody gets wrong."""

    argv: str
    make: Maker
    message: str
    code: int


FORMATS = "wav, flac, ogg, opus and mp3 are; convert others with ffmpeg -i INPUT OUTPUT.wav"
COMMAND_LINE = [
    Row("repaly a.wav", nothing, "unknown command 'repaly': did you mean replay?", 2),
    Row(
        "transcribe a.wav",
        nothing,
        "unknown command 'transcribe': there are listen, replay, enroll, devices, models, doctor, "
        "config",
        2,
    ),
    Row("--verbose", nothing, "unrecognized arguments: --verbose; see `rt-ser --help`", 2),
    Row(
        "replay",
        nothing,
        "the following arguments are required: FILE; see `rt-ser replay --help`",
        2,
    ),
    Row(
        "replay --jsonl a.jsonl",
        nothing,
        "the following arguments are required: FILE; see `rt-ser replay --help`",
        2,
    ),
    Row(
        "replay a.wav --json",
        nothing,
        "unrecognized arguments: --json; see `rt-ser replay --help`",
        2,
    ),
    Row(
        "replay a.wav --speed 0",
        nothing,
        "argument --speed: '0' is not allowed: give a number above 0, or max; "
        "see `rt-ser replay --help`",
        2,
    ),
    Row(
        "replay a.wav --speed nan",
        nothing,
        "argument --speed: 'nan' is not allowed: give a number above 0, or max; "
        "see `rt-ser replay --help`",
        2,
    ),
    Row(
        "listen --seconds -3",
        nothing,
        "argument --seconds: '-3' is not allowed: give a number above 0; "
        "see `rt-ser listen --help`",
        2,
    ),
    Row(
        "listen a.wav",
        nothing,
        "unrecognized arguments: a.wav; see `rt-ser listen --help`",
        2,
    ),
    Row("replay - -", nothing, "standard input can be read once: give - once", 2),
    Row(
        "replay a.raw --raw-rate fast",
        nothing,
        "--raw-rate='fast' is not allowed: give a whole number",
        2,
    ),
    Row(
        "replay a.wav b.flac --raw-channels 2",
        nothing,
        "--raw-channels is about samples without a header, and 'a.wav' has one: leave it out",
        2,
    ),
    Row(
        "enroll me.yaml a.wav --seconds 3",
        nothing,
        "--seconds is about a microphone: leave it out for recordings",
        2,
    ),
    Row(
        "replay a.wav --jsonl --csv",
        nothing,
        "--jsonl and --csv would both write to standard output: give one of them a path",
        2,
    ),
    Row(
        "replay a.wav --jsonl x --csv x",
        nothing,
        "--jsonl and --csv would both write to 'x': give one of them a path",
        2,
    ),
    Row(
        "replay a.wav --jsonl=",
        nothing,
        "--jsonl has an empty path: give one, or - for standard output",
        2,
    ),
    Row(
        "replay a.wav --csv=b.flac",
        nothing,
        "--csv would overwrite the recording 'b.flac': give another path",
        2,
    ),
    Row(
        "replay talk --jsonl talk",
        holding("talk", b"RIFF"),
        "--jsonl would overwrite the recording 'talk': give another path",
        2,
    ),
]
SETTINGS = [
    Row(
        "config --vad-mode 7",
        nothing,
        "--vad-mode: vad.mode=7 is not allowed: give a whole number from 0 to 3",
        2,
    ),
    Row(
        "listen --channel left",
        nothing,
        "--channel: audio.channel='left' is not allowed: give one of first, mix",
        2,
    ),
    Row(
        "replay a.wav --ui-ascii perhaps",
        nothing,
        "--ui-ascii: ui.ascii='perhaps' is not allowed: give yes or no",
        2,
    ),
    Row(
        "config --config no.yaml",
        nothing,
        "cannot read settings file 'no.yaml': No such file or directory; "
        "see `rt-ser config` for where it is looked for",
        2,
    ),
    Row(
        "config --config my.yaml",
        holding("my.yaml", "estimate:\n  hop: 0.5\n"),
        "my.yaml line 2: unknown key estimate.hop: did you mean estimate.hop_s?",
        2,
    ),
    Row(
        "config --config my.yaml",
        holding("my.yaml", "vad: {mode: 1\n"),
        "my.yaml line 2: not valid YAML: expected ',' or '}', but got '<stream end>'",
        2,
    ),
    Row(
        "replay a.wav --voice me.yaml",
        sound("a.wav"),
        "voice me.yaml: No such file or directory: make one with rt-ser enroll",
        2,
    ),
    Row(
        "replay a.wav --voice me.yaml",
        both(sound("a.wav"), holding("me.yaml", "shift: [")),
        "me.yaml: no voice: make one with rt-ser enroll, in a new file",
        2,
    ),
    Row(
        "replay a.wav --voice me.yaml",
        both(
            sound("a.wav"),
            holding("me.yaml", "{model: mine, sha256: '0', speech_s: 9, shift: [0, 0]}"),
        ),
        "me.yaml: learnt for another model (mine), not this research: make it anew with "
        "rt-ser enroll",
        5,
    ),
    Row(
        "enroll a.wav",
        sound("a.wav"),
        "a.wav would be the voice's file: give one that ends in .yaml, recordings after it",
        2,
    ),
    Row(
        "enroll me.yaml a.wav",
        both(sound("a.wav"), holding("me.yaml", "vad: {mode: 1}")),
        "me.yaml: is there and holds no voice: give another file",
        2,
    ),
    Row(
        "enroll no/me.yaml",
        nothing,
        "no/me.yaml: no such folder: make it, or give another file",
        6,
    ),
    Row(
        "enroll me.yaml a.wav",
        sound("a.wav"),
        "0.0 s of speech are too few to learn a voice from: give 2 s or more, best 15",
        3,
    ),
    Row("enroll me.yaml no.wav", nothing, "no.wav: no such file", 3),
]
RECORDINGS = [
    Row("replay no.wav", nothing, "no.wav: no such file", 3),
    Row("replay .", nothing, ".: this is a directory: name the audio files in it", 3),
    Row("replay a.wav", holding("a.wav", b""), "a.wav: the file is empty", 3),
    Row(
        "replay a.wav",
        holding("a.wav", "this is no sound"),
        f"a.wav: no audio that can be decoded: {FORMATS}",
        3,
    ),
    Row(
        "replay a.txt",
        holding("a.txt", "this is no sound"),
        f"a.txt: no audio that can be decoded: {FORMATS}",
        3,
    ),
    Row(
        "replay a.wav",
        sound("a.wav", np.zeros(0, np.float32)),
        "a.wav: no audio in it: its length is 0 samples",
        3,
    ),
    Row(
        "replay a.wav",
        sound("a.wav", rate_hz=2_000),
        "a.wav: sample rate 2000 Hz is not supported: 4000 to 384000 Hz are; resample it first",
        3,
    ),
    Row(
        "replay a.wav",
        sound("a.wav", np.zeros((8_000, 9), np.float32)),
        "a.wav: 9 channels are not supported: 1 to 8 are; pick the channel to judge first",
        3,
    ),
    Row(
        "replay a.wav",
        with_nan("a.wav"),
        "a.wav: sample 1000 is nan, full scale being 1: the file is damaged; "
        "write it again as 16-bit PCM",
        3,
    ),
    Row(
        "replay a.raw",
        holding("a.raw", b"\0" * 32_000),
        "a.raw: raw samples have no header: give their layout with --raw-rate",
        3,
    ),
    Row(
        "replay a.raw --raw-rate 1",
        holding("a.raw", b"\0" * 32_000),
        "raw audio: sample rate 1 Hz is not supported: 4000 to 384000 Hz are; resample it first",
        3,
    ),
    Row(
        "replay a.raw --raw-format mp3",
        holding("a.raw", b"\0" * 32_000),
        "raw audio: sample format 'mp3' is not supported: give one of uint8, int16, int24, int32, "
        "float32, float64",
        3,
    ),
    Row(
        "replay - < void",
        holding("void", b""),
        "standard input: the WAV header ends after 0 bytes",
        3,
    ),
    Row(
        "replay - < void",
        holding("void", b"this is no WAV header at all, but it is long enough to be one"),
        "standard input: this is no WAV: convert it (ffmpeg -i INPUT -f wav -), or give the "
        "layout of raw samples with --raw-rate",
        3,
    ),
]
OUTPUTS = [
    Row(
        "replay a.wav --jsonl no/out.jsonl",
        sound("a.wav"),
        "cannot write 'no/out.jsonl': there is no folder 'no'; create it or give another path",
        6,
    ),
    Row(
        "replay a.wav --csv .",
        sound("a.wav"),
        "cannot write '.': Is a directory; give another path",
        6,
    ),
    Row(
        "replay a.wav --jsonl /dev/full",
        sound("a.wav"),
        "cannot write '/dev/full': No space left on device; give another path",
        6,
    ),
]
ENDLESS = "a" * 2_500 + "b" * 60
MODELS = [
    Row(
        f"replay a.wav --model {ENDLESS}",
        sound("a.wav"),
        f"model '{'a' * 199}...{'b' * 59}' is not installed: "
        "choose open or research, or give the path of a .tflite file",
        5,
    ),
    Row(
        "replay a.wav --model no.tflite",
        sound("a.wav"),
        "model no.tflite: no such file; see rt-ser models for those installed",
        5,
    ),
    Row(
        "replay a.wav --model my.tflite",
        both(sound("a.wav"), holding("my.tflite", b"x")),
        "my.yaml: No such file or directory: a model needs its manifest (.yaml) beside it; "
        "see rt-ser models",
        5,
    ),
]
TABLE = COMMAND_LINE + SETTINGS + RECORDINGS + OUTPUTS + MODELS


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.argv[:80])
def test_a_mistake_gets_one_line_and_an_exit_code(
    row: Row,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if "/dev/full" in row.argv and not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    row.make(tmp_path)
    command, _, redirected = row.argv.partition(" < ")
    with Path(redirected or os.devnull).open() as standard_input:
        monkeypatch.setattr(sys, "stdin", standard_input)
        assert main(command.split()) == row.code
    captured = capfd.readouterr()
    told = [line for line in captured.err.splitlines() if not line.startswith("INFO:")]
    assert told == [f"rt-ser: {row.message}"]
    assert captured.out == ""
