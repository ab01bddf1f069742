"""What a program embeds: any layout, any pieces, and nothing taken in that is refused."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import rt_ser
from rt_ser import Analyzer, Estimate, InputError, ModelError, Settings
from rt_ser.audio.convert import samples_at
from rt_ser.config import AudioSettings, ModelSettings
from rt_ser.model import TfliteClassifier
from rt_ser.pipeline import Pipeline
from rt_ser.testing import LABELS, FakeClassifier
from rt_ser.types import F32, RATE_HZ, AudioChunk
from tests import signals
from tests import strategies as some
from tests import tiny_models as tiny
from tests.compare import bits

TALK = signals.by_pattern("." * 15 + "S" * 40 + "." * 25 + "S" * 25 + "." * 15)
"""3.6 s with two utterances."""


def analyzer(**options: Any) -> Analyzer:
    return Analyzer(FakeClassifier(), **options)


def fed(pieces: list[Any], taking: Analyzer) -> list[Estimate]:
    return [e for piece in pieces for e in taking.feed(piece)] + taking.flush()


def as_stereo_48k(samples: F32, dtype: str = "float32") -> NDArray[Any]:
    """Hold each sample for three, in two channels of which the second is noise."""
    tripled = np.repeat(samples, 3)
    frames = np.stack([tripled, some.noise(len(tripled))[:, 0]], axis=1)
    if dtype.startswith("float"):
        return frames.astype(dtype)
    return np.clip(np.rint(frames * 32_767), -32_768, 32_767).astype(dtype)


# Any pieces, any layout -------------------------------------------------------------------


def test_it_is_the_pipeline() -> None:
    pipeline = Pipeline(FakeClassifier())
    expected = pipeline.feed(AudioChunk(samples=TALK, start=0)) + pipeline.flush()
    taking = analyzer()
    assert bits(fed([TALK], taking)) == bits(expected)
    assert bits(taking.summary()) == bits(pipeline.summary())
    assert bits(taking.stats) == bits(pipeline.stats)
    assert bits(taking.meter) == bits(pipeline.meter)
    assert taking.labels == LABELS


@settings(max_examples=10, deadline=None)
@given(some.chunk_sizes(largest=5_000), st.sampled_from(["float32", "float64", "int16"]))
@example([1], "float32")
def test_any_pieces_give_the_same_estimates(sizes: list[int], dtype: str) -> None:
    samples = TALK if dtype.startswith("float") else np.rint(TALK * 32_767)
    samples = samples.astype(dtype)
    expected = fed([samples], analyzer())
    assert any(estimate.is_final for estimate in expected)
    assert bits(fed(some.chunks_by_size(samples, sizes), analyzer())) == bits(expected)


@settings(max_examples=10, deadline=None)
@given(some.chunk_sizes(largest=5_000), st.sampled_from(["float32", "float64", "int16"]))
def test_any_pieces_of_48_khz_stereo_do_so_too(sizes: list[int], dtype: str) -> None:
    frames = as_stereo_48k(TALK, dtype)
    whole, cut = (analyzer(rate_hz=48_000, channels=2) for _ in range(2))
    expected = fed([frames], whole)
    assert any(estimate.is_final for estimate in expected)
    assert bits(fed(some.chunks_by_size(frames, sizes), cut)) == bits(expected)
    assert bits(cut.stats) == bits(whole.stats)
    assert whole.stats.captured_samples == samples_at(len(frames), 48_000) == len(TALK)


def test_one_kind_of_number_is_as_good_as_another() -> None:
    """The same 16-bit audio, written in every type that can hold it."""
    pcm = np.rint(TALK * 32_767).astype(np.int16)
    expected = bits(fed([pcm], analyzer()))
    for same in (
        pcm.astype(np.int32) << 16,
        (pcm / 32_768).astype(np.float32),
        pcm / 32_768.0,
        pcm[:, None],
        np.asfortranarray(pcm),
        np.repeat(pcm, 2)[::2],
    ):
        assert bits(fed([same], analyzer())) == expected


def test_a_list_will_do() -> None:
    assert bits(fed([TALK[:4_000].tolist()], analyzer())) == bits(
        fed([TALK[:4_000]], analyzer())
    )


def test_channels_first_or_mix() -> None:
    frames = np.stack([TALK, np.zeros_like(TALK)], axis=1)
    first = fed([frames], analyzer(channels=2))
    mix = fed([frames], analyzer(channels=2, settings=Settings(audio=AudioSettings(channel="mix"))))
    assert bits(first) == bits(fed([TALK], analyzer()))
    assert bits(mix) == bits(fed([TALK * np.float32(0.5)], analyzer()))


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 96_000])
def test_time_is_that_of_the_audio_at_any_rate(rate_hz: int) -> None:
    seconds = np.arange(round(len(TALK) / RATE_HZ * rate_hz)) / rate_hz
    samples = np.interp(seconds, np.arange(len(TALK)) / RATE_HZ, TALK).astype(np.float32)
    taking = analyzer(rate_hz=rate_hz)
    finals = [e for e in fed([samples], taking) if e.is_final]
    expected = [e for e in fed([TALK], analyzer()) if e.is_final]
    assert [e.stop_s for e in finals] == pytest.approx([e.stop_s for e in expected], abs=0.1)
    assert taking.summary().duration_samples == samples_at(len(samples), rate_hz)


def test_nothing_is_nothing() -> None:
    taking = analyzer()
    assert taking.feed([]) == []
    assert taking.feed(TALK[:0]) == []
    assert taking.flush() == []
    assert taking.stats.captured_samples == 0


# What is refused --------------------------------------------------------------------------

LAYOUT = "give one column for each of 2 channels"
REFUSED: dict[str, tuple[int, Any, str]] = {
    "NaN": (1, [0.0, float("nan")], "sample 1 is nan: samples must be finite, in [-1, 1]"),
    "infinity": (1, np.r_[np.zeros(9), -np.inf], "sample 9 is -inf: samples must be finite"),
    "too large a double": (1, [1e300], "sample 0 is inf: samples must be finite"),
    "too large a number": (1, [0.5, -3e38], "sample 1 is -3e+38: samples must be finite"),
    "NaN in the second channel": (
        2, [[0.0, 0.0], [0.5, float("nan")]], "sample 1 is nan: samples must be finite",
    ),
    "one column too many": (1, np.zeros((5, 2)), "samples of shape (5, 2) are not (n, 1)"),
    "channels in rows": (2, np.zeros((2, 5)), f"samples of shape (2, 5) are not (n, 2): {LAYOUT}"),
    "mono for stereo": (2, np.zeros(6), f"samples of shape (6,) are not (n, 2): {LAYOUT}"),
    "three dimensions": (1, np.zeros((1, 2, 3)), "samples of shape (1, 2, 3) are not (n, 1)"),
    "a number": (1, 0.5, "samples=0.5 is no array: give (n,) or (n, channels)"),
    "nothing": (1, None, "samples=None is no array: give (n,) or (n, channels)"),
    "text": (1, ["a"], "samples of dtype <U1 are not supported"),
    "64-bit integers": (1, [1, 2], "samples of dtype int64 are not supported"),
    "booleans": (1, np.ones(3, bool), "samples of dtype bool are not supported"),
    "complex numbers": (1, np.ones(3, complex), "samples of dtype complex128 are not supported"),
    "half precision": (1, np.ones(3, np.float16), "samples of dtype float16 are not supported"),
    "rows of two lengths": (1, [[0.0], [0.0, 0.1]], "samples make no array ("),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_not_taken_in(case: str) -> None:
    channels, samples, message = REFUSED[case]
    talk = TALK if channels == 1 else np.stack([TALK, TALK], axis=1)
    spoilt, clean = analyzer(channels=channels), analyzer(channels=channels)
    found, expected = [], []
    for piece in some.chunks_by_size(talk, [5_000]):
        with pytest.raises(InputError) as caught:
            spoilt.feed(samples)
        assert str(caught.value).startswith(message)
        found += spoilt.feed(piece)
        expected += clean.feed(piece)
    assert bits(found + spoilt.flush()) == bits(expected + clean.flush())
    assert bits(spoilt.stats) == bits(clean.stats)


def test_refusing_at_48_khz_loses_nothing_either() -> None:
    frames = as_stereo_48k(TALK)
    bad = frames[:700].copy()
    bad[350, 1] = np.nan
    spoilt = analyzer(rate_hz=48_000, channels=2)
    found = []
    for piece in some.chunks_by_size(frames, [1_111]):
        with pytest.raises(InputError):
            spoilt.feed(bad)
        found += spoilt.feed(piece)
    found += spoilt.flush()
    assert bits(found) == bits(fed([frames], analyzer(rate_hz=48_000, channels=2)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate_hz": 3_999}, "audio: sample rate 3999 Hz is not supported: 4000 to 384000 Hz are"),
        ({"rate_hz": 400_000}, "audio: sample rate 400000 Hz is not supported"),
        ({"channels": 0}, "audio: 0 channels are not supported: 1 to 8 are"),
        ({"channels": 9}, "audio: 9 channels are not supported: 1 to 8 are"),
    ],
)
def test_a_layout_that_cannot_be_is_refused_at_once(options: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        analyzer(**options)
    assert str(caught.value).startswith(message)


def test_what_is_fed_may_be_changed_afterwards() -> None:
    block = np.zeros(480, np.float32)
    taking, found = analyzer(), []
    for piece in TALK.reshape(-1, 480):
        block[:] = piece
        found += taking.feed(block)
        block[:] = np.nan
    assert bits(found + taking.flush()) == bits(fed([TALK], analyzer()))


# Beginnings and ends ----------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_reset_is_as_new(rate_hz: int) -> None:
    samples = np.repeat(TALK, rate_hz // RATE_HZ)
    used, new = analyzer(rate_hz=rate_hz), analyzer(rate_hz=rate_hz)
    used.feed(samples[: len(samples) // 2 + 77])
    used.reset()
    assert bits(used.stats) == bits(new.stats)
    assert bits(used.meter) == bits(new.meter)
    assert bits(fed([samples], used)) == bits(fed([samples], new))
    assert bits(used.summary()) == bits(new.summary())


def test_a_flush_ends_a_turn_and_time_goes_on() -> None:
    taking = analyzer()
    fed([TALK], taking)
    again = fed([TALK], taking)
    assert taking.stats.captured_samples == 2 * len(TALK)
    assert taking.stats.pending_samples == 0
    finals = [estimate for estimate in again if estimate.is_final]
    assert len(finals) == 2
    assert all(estimate.start >= len(TALK) for estimate in finals)


# Models -----------------------------------------------------------------------------------


def test_a_model_by_name_by_path_or_loaded(tmp_path: Path) -> None:
    path = tiny.write_model(tmp_path, tiny.linear_model())
    expected = bits(fed([TALK], Analyzer(path)))
    assert bits(fed([TALK], Analyzer(str(path)))) == expected
    assert bits(fed([TALK], Analyzer(TfliteClassifier.load(path)))) == expected
    named = ModelSettings(name=str(path), threads=2)
    assert bits(fed([TALK], Analyzer(settings=Settings(model=named)))) == expected


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(ModelError, match="model 'no-such-model' is not installed"):
        Analyzer("no-such-model")


def test_the_default_model_hears_the_demo(demo_samples: F32) -> None:
    taking = Analyzer()
    assert taking.labels == LABELS
    estimates = fed([demo_samples], taking)
    assert len(estimates) > 10
    assert taking.stats.captured_samples == len(demo_samples)


def test_a_replay_is_the_analyzer(demo_recording: Path, demo_samples: F32) -> None:
    with rt_ser.replay(demo_recording, model=FakeClassifier()) as stream:
        found = list(stream)
        summary = stream.summary()
    taking = analyzer()
    assert bits(found) == bits(fed([demo_samples], taking))
    assert bits(summary) == bits(taking.summary())


def test_a_replay_of_nothing_is_refused_on_entering(tmp_path: Path) -> None:
    stream = rt_ser.replay(tmp_path / "no.wav", model=FakeClassifier())
    with pytest.raises(InputError), stream:
        pass


# The public surface -----------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0, -1.5, float("nan"), float("inf")])
def test_a_time_that_cannot_be_listened_for_is_refused(seconds: float) -> None:
    with pytest.raises(InputError, match=r"seconds=.* is not allowed: give a number above 0"):
        rt_ser.listen(seconds=seconds, model=FakeClassifier())


def test_everything_public_is_there_and_documented() -> None:
    assert dir(rt_ser) == sorted(rt_ser.__all__)
    assert len(set(rt_ser.__all__)) == len(rt_ser.__all__)
    for name in rt_ser.__all__:
        value = getattr(rt_ser, name)
        assert name == "__version__" or value.__doc__
    assert rt_ser.__version__ == version("rt-ser")


def test_what_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'rt_ser' has no attribute 'Emotion'"):
        rt_ser.Emotion  # noqa: B018


def test_types_and_names_agree(repo_root: Path) -> None:
    """What type checkers are told is what is there."""
    stub = (repo_root / "rt_ser" / "__init__.py").read_text(encoding="utf-8")
    told = {line.split()[-1] for line in stub.splitlines() if line.startswith("    from rt_ser.")}
    assert told == set(rt_ser.__all__) - {"__version__"}
    for name in told:
        home = importlib.import_module(rt_ser._HOME_OF[name])
        assert getattr(home, name) is getattr(rt_ser, name)


def test_the_public_surface_is_typed(repo_root: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed: make check")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "tests/typing_api.py"],
        cwd=repo_root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
