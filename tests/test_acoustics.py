"""Measures of one frame against values that can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_ser.acoustics import BANDS, band_energies, harmonicity, level_dbfs
from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ, SILENCE_DBFS
from tests import strategies as some

MOMENTS = np.arange(FRAME_SAMPLES) / RATE_HZ
NOISE = some.noise(100 * FRAME_SAMPLES).reshape(100, FRAME_SAMPLES)


def sine(hz: float, amplitude: float = 1.0) -> F32:
    return (amplitude * np.sin(2.0 * np.pi * hz * MOMENTS)).astype(np.float32)


def buzz(pitch_hz: float) -> F32:
    harmonics = range(1, int(4_000 / pitch_hz))
    return np.float32(0.1) * np.sum([sine(k * pitch_hz, 1.0 / k) for k in harmonics], axis=0)


def test_full_scale_is_a_square_wave() -> None:
    assert level_dbfs(np.sign(sine(200.0) + np.float32(1e-6))) == pytest.approx(0.0, abs=1e-6)
    assert level_dbfs(sine(1_000.0)) == pytest.approx(10.0 * math.log10(0.5), abs=1e-4)


@pytest.mark.parametrize("samples", [np.zeros(480, "f4"), np.zeros(0, "f4"), sine(99.0, 1e-9)])
def test_nothing_is_quieter_than_silence(samples: F32) -> None:
    assert level_dbfs(samples) == SILENCE_DBFS


@given(st.floats(-60.0, 20.0))
def test_level_follows_gain(gain_db: float) -> None:
    louder = NOISE[0] * np.float32(10.0 ** (gain_db / 20.0))
    assert level_dbfs(louder) - level_dbfs(NOISE[0]) == pytest.approx(gain_db, abs=1e-3)


def test_a_tone_lies_in_its_band() -> None:
    edges_hz = np.geomspace(100.0, 7_000.0, BANDS + 1)
    for band, centre_hz in enumerate(np.sqrt(edges_hz[:-1] * edges_hz[1:])):
        if edges_hz[band + 1] - edges_hz[band] > 2.0 * RATE_HZ / FRAME_SAMPLES:
            assert int(band_energies(sine(float(centre_hz))).argmax()) == band


def test_every_band_hears_and_silence_is_the_floor() -> None:
    loud, silent = band_energies(NOISE[0]), band_energies(np.zeros(FRAME_SAMPLES, np.float32))
    assert loud.shape == (BANDS,)
    assert (loud > silent + 5.0).all()
    np.testing.assert_allclose(silent, math.log(1e-8))


@given(st.floats(75.0, 390.0))
def test_a_voiced_frame_is_harmonic(pitch_hz: float) -> None:
    assert harmonicity(buzz(pitch_hz)) > 0.9


def test_noise_is_not_harmonic() -> None:
    values = [harmonicity(frame) for frame in NOISE]
    assert max(values) < 0.6
    assert np.mean(values) < 0.35


@given(st.floats(-50.0, 20.0), st.floats(-0.5, 0.5))
def test_harmonicity_knows_neither_loudness_nor_offset(gain_db: float, offset: float) -> None:
    frame = buzz(180.0) * np.float32(10.0 ** (gain_db / 20.0)) + np.float32(offset)
    assert harmonicity(frame) == pytest.approx(harmonicity(buzz(180.0)), abs=0.01)


def test_digital_silence_and_offset_alone_are_not_harmonic() -> None:
    assert harmonicity(np.zeros(FRAME_SAMPLES, np.float32)) == 0.0
    assert harmonicity(np.full(FRAME_SAMPLES, 0.25, np.float32)) == 0.0
