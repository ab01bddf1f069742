"""Log-mel: streamed as computed whole, librosa's values, and an input that knows no loudness."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_ser.errors import ModelError
from rt_ser.features import (
    LogMelStream,
    hz_to_mel,
    log_mel,
    mel_filterbank,
    mel_to_hz,
    model_input,
    scale_to_unit,
    speech_level,
)
from rt_ser.framing import Framer
from rt_ser.recipes import RECIPES, recipe_named
from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ, AudioChunk, Segment
from tests import signals
from tests import strategies as some

RECIPE = RECIPES["logmel64-v1"]
SAMPLES = some.noise(4 * RATE_HZ)[:, 0]
DECIBELS = 10.0 / math.log(10.0)


def streamed(chunks: list[AudioChunk], stream: LogMelStream) -> F32:
    """Push chunks and return all rows that came out."""
    rows = [stream.push(frame) for framer in [Framer()] for c in chunks for frame in framer.push(c)]
    return np.concatenate([np.zeros((0, RECIPE.mels), np.float32), *rows])


def segment(start: int, stop: int) -> Segment:
    return Segment(
        start=start, stop=stop, utterance=0, speech_samples=0, new_speech_samples=0, is_final=False
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 20_000), some.chunk_sizes(largest=5_000))
def test_streamed_is_whole_bit_for_bit(length: int, sizes: list[int]) -> None:
    length -= length % FRAME_SAMPLES
    samples = SAMPLES[:length]
    rows = streamed(some.scripted(samples, sizes), LogMelStream(RECIPE))
    np.testing.assert_array_equal(rows, log_mel(samples, RECIPE))


@pytest.mark.parametrize("length", [0, 1, 511, 512, 671, 672, 5_000, 16_001])
def test_as_many_rows_as_windows_fit(length: int) -> None:
    rows = log_mel(SAMPLES[:length], RECIPE)
    assert rows.dtype == np.float32
    assert rows.shape == (max(0, 1 + (length - 512) // 160), 64)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 16_000))
def test_no_row_depends_on_what_follows_it(length: int) -> None:
    np.testing.assert_array_equal(
        log_mel(SAMPLES[:length], RECIPE),
        log_mel(SAMPLES[:16_000], RECIPE)[: max(0, 1 + (length - 512) // 160)],
    )


def test_after_a_gap_it_starts_afresh() -> None:
    lost = {7_000: 1_234}
    stream = LogMelStream(RECIPE)
    streamed(some.scripted(SAMPLES[:20_000], [700], lost), stream)
    start, stop = 8_234, 8_234 + 20 * FRAME_SAMPLES
    expected = log_mel(SAMPLES[7_000 : 7_000 + 20 * FRAME_SAMPLES], RECIPE)
    np.testing.assert_array_equal(stream.rows(segment(start, stop)), expected)
    with pytest.raises(ValueError, match="not in the feature memory"):
        stream.rows(segment(6_000, 6_500))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 120), st.integers(2, 95), some.chunk_sizes(largest=5_000))
def test_a_window_is_that_of_the_segments_samples_alone(
    stop_frame: int, frames: int, sizes: list[int]
) -> None:
    start = max(0, stop_frame - frames) * FRAME_SAMPLES
    stop = stop_frame * FRAME_SAMPLES
    stream = LogMelStream(RECIPE)
    streamed(some.scripted(SAMPLES[:stop], sizes), stream)
    window = stream.window(segment(start, stop))
    rows = log_mel(SAMPLES[start:stop], RECIPE)[-RECIPE.window_frames :]
    np.testing.assert_array_equal(window.values, model_input(rows, RECIPE))
    assert (window.start, window.stop, window.recipe) == (start, stop, "logmel64-v1")
    assert not window.values.flags.writeable


def test_a_segment_too_short_for_a_row_is_refused() -> None:
    stream = LogMelStream(RECIPE)
    streamed(some.scripted(SAMPLES, [480]), stream)
    with pytest.raises(ValueError, match=r"segment 480\.\.960 is not in the feature memory"):
        stream.window(segment(480, 960))


def test_what_is_forgotten_is_refused_and_what_is_kept_is_not() -> None:
    stream = LogMelStream(RECIPE, keep_frames=300)
    streamed(some.scripted(SAMPLES, [480]), stream)
    total = len(SAMPLES) - len(SAMPLES) % FRAME_SAMPLES
    kept = total - 296 * RECIPE.hop_samples
    assert len(stream.rows(segment(kept - kept % 480 + 480, total - 480 * 20))) > 200
    with pytest.raises(ValueError, match="not in the feature memory"):
        stream.rows(segment(0, 48_000 // 2))


def test_librosa_agrees_within_a_thousandth_of_a_decibel(demo_samples: F32) -> None:
    librosa = pytest.importorskip("librosa", reason="librosa is not installed: make test-train")
    for samples in (demo_samples[:80_000], SAMPLES, signals.tone(1_000.0)):
        power = librosa.feature.melspectrogram(
            y=samples.astype(np.float64), sr=RATE_HZ, n_fft=512, hop_length=160, window="hann",
            center=False, power=2.0, n_mels=64, fmin=50.0, fmax=7_600.0,
        )  # fmt: skip
        theirs = 10.0 * np.log10(np.maximum(power, 1e-10)).T
        ours = DECIBELS * log_mel(samples, RECIPE)
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < 1e-3


def test_the_filterbank_is_librosas() -> None:
    librosa = pytest.importorskip("librosa", reason="librosa is not installed: make test-train")
    theirs = librosa.filters.mel(
        sr=RATE_HZ, n_fft=512, n_mels=64, fmin=50.0, fmax=7_600.0, dtype=np.float64
    )
    np.testing.assert_allclose(mel_filterbank(RECIPE), theirs.T, atol=1e-12)


@given(st.floats(0.0, 24_000.0))
def test_mel_and_back(hz: float) -> None:
    assert float(mel_to_hz(hz_to_mel(np.array(hz)))) == pytest.approx(hz, abs=1e-6)


def test_mel_of_known_frequencies() -> None:
    """Linear below 1 kHz, 3 mel for 200 Hz; 27 mel for each factor of 6.4 above."""
    np.testing.assert_allclose(hz_to_mel(np.array([0.0, 200.0, 1_000.0, 6_400.0])), [0, 3, 15, 42])


def test_a_tone_lies_in_its_band() -> None:
    edges_hz = mel_to_hz(np.linspace(*hz_to_mel(np.array([50.0, 7_600.0])), 66))
    for band in (5, 20, 40, 60):
        rows = log_mel(signals.tone(float(edges_hz[band + 1])), RECIPE)
        assert abs(int(np.median(rows.argmax(axis=1))) - band) <= 1


def test_digital_silence_is_the_floor_and_not_infinite() -> None:
    rows = log_mel(signals.silence(0.5), RECIPE)
    np.testing.assert_allclose(rows, math.log(1e-10), rtol=1e-6)
    assert np.isfinite(model_input(rows, RECIPE)).all()


def test_the_recipe_still_means_what_models_were_trained_on() -> None:
    """A recipe is never edited: these values were computed when it was first published."""
    moments = np.arange(3 * RATE_HZ) / RATE_HZ
    buzz = sum(np.sin(2.0 * np.pi * 125.0 * k * moments) / k for k in range(1, 60))
    rows = log_mel((0.1 * buzz * moments).astype(np.float32), RECIPE)
    made = model_input(rows[-RECIPE.window_frames :], RECIPE)
    found = [rows[10, 3], rows[100, 20], rows[200, 60], made[0, 3], made[128, 40], made[255, 63]]
    golden = [-4.70919, -2.85708, -5.78337, 0.17421, -0.12734, -0.29013]
    assert [float(value) for value in found] == pytest.approx(golden, abs=1e-4)


def test_an_unknown_recipe_is_refused_by_name() -> None:
    with pytest.raises(ModelError) as caught:
        recipe_named("logmel96-v9")
    assert str(caught.value) == (
        "feature recipe 'logmel96-v9' is unknown: this version knows logmel64-v1; "
        "install the rt-ser that the model was made for"
    )


@settings(max_examples=30, deadline=None)
@given(st.floats(-20.0, 10.0), st.integers(20, 300))
def test_loudness_hardly_reaches_the_model(gain_db: float, rows: int) -> None:
    """Speech over a floor of -60 dBFS: what remains is rounding and the log's own floor."""
    samples = signals.by_pattern("S" * 90) + np.float32(1e-3) * SAMPLES[: 90 * FRAME_SAMPLES]
    plain = model_input(log_mel(samples, RECIPE)[-rows:], RECIPE)
    other = model_input(log_mel(signals.scaled(samples, gain_db), RECIPE)[-rows:], RECIPE)
    assert np.abs(plain - other).max() < 1e-3


def test_loudness_hardly_reaches_the_model_in_the_demo(
    demo_samples: F32, demo_cues: list[dict[str, int]]
) -> None:
    for cue in demo_cues:
        if cue["kind"] == "speech":
            spoken = demo_samples[cue["start"] : cue["stop"]]
            plain = model_input(log_mel(spoken, RECIPE), RECIPE)
            for gain_db in (-20.0, -6.0, 10.0):
                rows = log_mel(signals.scaled(spoken, gain_db), RECIPE)
                assert np.abs(plain - model_input(rows, RECIPE)).max() < 0.02


@given(st.integers(1, 400))
def test_model_input_is_bounded_and_repeats_what_is_short(rows: int) -> None:
    values = log_mel(SAMPLES, RECIPE)[:rows]
    made = model_input(values[-RECIPE.window_frames :], RECIPE)
    assert made.shape == (RECIPE.window_frames, RECIPE.mels)
    assert made.dtype == np.float32
    assert made.min() >= -1.0
    assert made.max() <= 1.0
    once = made[: min(rows, RECIPE.window_frames)]
    np.testing.assert_array_equal(made, np.resize(once, made.shape))


def test_the_ends_of_the_range_are_the_ends_of_the_scale() -> None:
    values = np.array([RECIPE.low - 5.0, RECIPE.low, -3.0, RECIPE.high, RECIPE.high + 5.0], "f4")
    np.testing.assert_array_equal(scale_to_unit(values, RECIPE), [-1.0, -1.0, 0.0, 1.0, 1.0])


def test_speech_level_looks_past_silence() -> None:
    """Half a window of digital silence moves the level of the speech in it by under 0.1 dB."""
    spoken = log_mel(signals.by_pattern("S" * 40), RECIPE)
    padded = np.concatenate([spoken, np.full_like(spoken, math.log(1e-10))])
    assert DECIBELS * abs(speech_level(spoken) - speech_level(padded)) < 0.1


def test_speech_level_of_a_flat_window_is_its_value() -> None:
    assert speech_level(np.full((50, 64), -3.5, np.float32)) == pytest.approx(-3.5, abs=1e-6)
