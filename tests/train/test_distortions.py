"""Distortions keep a law each: the ratio, the band, the level, the time it takes to die away."""

from __future__ import annotations

import numpy as np
import pytest

from rt_ser.types import F32, FRAME_SAMPLES, RATE_HZ
from tests import signals
from train import distortions
from train.tones import LEVEL, TONES, silence


def white(seconds: float, level: float, seed: int = 0) -> F32:
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))
    return (noise / np.sqrt(np.mean(np.square(noise))) * level).astype(np.float32)


def db(ratio: float) -> float:
    return float(20.0 * np.log10(ratio))


def band_energy(samples: F32, low_hz: float, high_hz: float) -> float:
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1.0 / RATE_HZ)
    return float(spectrum[(hertz >= low_hz) & (hertz < high_hz)].sum())


@pytest.mark.parametrize("snr_db", [20.0, 10.0, 5.0])
def test_noise_is_added_at_the_ratio_asked_for(snr_db: float, rng: np.random.Generator) -> None:
    voice, noise = white(3.0, 0.05, seed=1), white(1.0, 0.4, seed=2)
    mixed = distortions.add_noise(voice, noise, snr_db=snr_db, level=0.05, rng=rng)
    assert len(mixed) == len(voice)
    achieved = db(0.05 / distortions.rms(mixed - voice))
    assert achieved == pytest.approx(snr_db, abs=0.01)


def test_a_sum_beyond_full_scale_is_made_fainter_and_not_cut(rng: np.random.Generator) -> None:
    voice, noise = white(1.0, 0.3, seed=1), white(1.0, 0.3, seed=2)
    mixed = distortions.add_noise(voice, noise, snr_db=0.0, level=0.3, rng=rng)
    assert np.abs(mixed).max() == pytest.approx(1.0)
    assert (np.abs(mixed) > 0.999).sum() == 1


def test_speech_is_what_the_lamp_says_and_everything_where_it_never_lit() -> None:
    samples = np.arange(3 * FRAME_SAMPLES + 7, dtype=np.float32)
    lamp = np.array([False, True, False])
    spoken = distortions.speech_of(samples, lamp)
    np.testing.assert_array_equal(spoken, samples[FRAME_SAMPLES : 2 * FRAME_SAMPLES])
    np.testing.assert_array_equal(distortions.speech_of(samples, lamp & False), samples)


def test_padding_is_no_part_of_a_noise() -> None:
    bark = white(0.3, 0.2)
    padded = np.concatenate([silence(2.1), bark, silence(1.5)])
    np.testing.assert_array_equal(distortions.sounding(padded), bark)


@pytest.mark.parametrize(("gain_db", "level"), [(-20.0, 0.01), (10.0, 0.1 * 10**0.5)])
def test_a_sound_card_changes_the_level(gain_db: float, level: float) -> None:
    heard = distortions.through_sound_card(white(1.0, 0.1), gain_db=gain_db)
    assert db(distortions.rms(heard) / level) == pytest.approx(0.0, abs=0.2)


def test_a_sound_card_clips_at_full_scale_and_keeps_16_bits() -> None:
    heard = distortions.through_sound_card(white(1.0, 0.5), gain_db=10.0)
    assert heard.min() == -1.0
    assert heard.max() == 32767 / 32768
    assert (np.abs(heard) > 0.999).mean() > 0.3
    np.testing.assert_array_equal(heard * 32768, np.rint(heard * 32768))


def test_a_telephone_empties_what_lies_outside_its_band() -> None:
    # Louder in the band than outside, as speech is: mu-law's own noise follows the level.
    sound = white(2.0, 0.1)
    heard = distortions.telephone(sound)
    assert len(heard) == len(sound)
    kept = band_energy(heard, 400, 3300) / band_energy(sound, 400, 3300)
    assert 10 * np.log10(kept) == pytest.approx(0.0, abs=0.5)
    for low, high in ((0, 150), (4100, 8000)):
        lost = band_energy(heard, low, high) / band_energy(sound, low, high)
        assert 10 * np.log10(lost) < -25


def test_the_band_pass_neither_delays_nor_changes_a_tone_inside() -> None:
    tone = signals.tone(1000.0)
    inside = slice(1000, -1000)
    heard = distortions.band_pass(tone, 300.0, 3400.0)
    np.testing.assert_allclose(heard[inside], tone[inside], atol=0.01 * np.abs(tone).max())


def test_mu_law_keeps_the_extremes_and_a_constant_ratio() -> None:
    edges = np.array([-1.0, 1.0], np.float32)
    np.testing.assert_allclose(distortions.mu_law(edges), edges, atol=1e-6)
    for level in (0.3, 0.03, 0.01):
        sound = white(1.0, level, seed=3).clip(-1, 1)
        error = distortions.rms(distortions.mu_law(sound) - sound)
        assert 30.0 < db(distortions.rms(sound) / error) < 42.0


@pytest.mark.parametrize("rt60_s", [0.3, 0.5])
def test_a_room_dies_away_in_its_time(rt60_s: float, rng: np.random.Generator) -> None:
    response = distortions.room_response(rt60_s=rt60_s, direct_db=0.0, rng=rng)
    tail = response[1:]
    # Schroeder 1965: backward integration; T30, from -5 to -35 dB, doubled.
    energy = np.cumsum(np.square(tail)[::-1])[::-1]
    decay_db = 10.0 * np.log10(energy / energy[0])
    first, last = (int(np.argmax(decay_db <= edge)) for edge in (-5.0, -35.0))
    slope = np.polyfit(np.arange(first, last) / RATE_HZ, decay_db[first:last], 1)[0]
    assert -60.0 / slope == pytest.approx(rt60_s, rel=0.05)


@pytest.mark.parametrize("direct_db", [-5.0, 0.0, 6.0])
def test_a_room_has_the_direct_sound_asked_for(direct_db: float, rng: np.random.Generator) -> None:
    response = distortions.room_response(rt60_s=0.4, direct_db=direct_db, rng=rng)
    ratio = response[0] ** 2 / np.square(response[1:]).sum()
    assert 10 * np.log10(ratio) == pytest.approx(direct_db, abs=0.01)


def test_twice_as_far_away_is_six_decibels_less_direct() -> None:
    near, far = (
        distortions.direct_to_reverberant_db(distance, rt60_s=0.4) for distance in (0.5, 1.0)
    )
    assert near - far == pytest.approx(6.02, abs=0.01)
    assert near == pytest.approx(20 * np.log10(0.057 * 10.0 / 0.5))


def test_a_voice_in_a_room_is_as_loud_as_before(rng: np.random.Generator) -> None:
    voice = white(2.0, 0.05)
    heard = distortions.in_room(voice, distance_m=1.0, rt60_s=0.4, rng=rng)
    assert len(heard) == len(voice)
    assert distortions.rms(heard) == pytest.approx(0.05, rel=1e-3)


@pytest.mark.parametrize("name", TONES)
def test_tones_are_twenty_seconds_at_one_level(name: str) -> None:
    sound = TONES[name]()
    assert len(sound) == 20 * RATE_HZ
    assert distortions.rms(sound) == pytest.approx(LEVEL, rel=1e-3)
    assert np.abs(sound).max() <= 1.0
    np.testing.assert_array_equal(sound, TONES[name]())
