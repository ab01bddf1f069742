"""Rolling estimates: a filter in seconds, an expectation on the circle of affect, fair totals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rt_ser.config import EstimateSettings
from rt_ser.estimates import CIRCUMPLEX_DEGREES, Estimator, circumplex
from rt_ser.testing import LABELS
from rt_ser.types import F32, RATE_HZ, Estimate, Prediction, Segment, State, StreamStats
from tests.compare import bits

ANGRY, CALM = LABELS.index("angry"), LABELS.index("calm")


def certain(index: int) -> F32:
    probs = np.zeros(len(LABELS), np.float32)
    probs[index] = 1.0
    return probs


def judged(
    estimator: Estimator,
    probs: F32,
    stop: int,
    *,
    utterance: int = 0,
    speech: int = 8_000,
    fresh: int = 3_840,
    is_final: bool = False,
    speech_prob: float = 0.98,
) -> Estimate:
    """Have an estimator judge a window of half a second that ends at ``stop``."""
    start = max(0, stop - 8_000)
    prediction = Prediction(
        probs=probs,
        speech_prob=speech_prob,
        start=start,
        stop=stop,
        utterance=utterance,
        inference_ms=1.5,
    )
    segment = Segment(
        start=start, stop=stop, utterance=utterance, speech_samples=speech,
        new_speech_samples=fresh, is_final=is_final,
    )  # fmt: skip
    return estimator.judge(prediction, segment, level_dbfs=-25.0)


def distributions() -> st.SearchStrategy[F32]:
    """Probabilities over the labels."""
    weights = arrays.arrays(np.float32, len(LABELS), elements=st.floats(2**-7, 1.0, width=32))
    return weights.map(lambda values: values / values.sum())


# The filter -------------------------------------------------------------------------------


def test_the_first_window_is_taken_whole() -> None:
    estimate = judged(Estimator(LABELS, EstimateSettings()), certain(ANGRY), 16_000)
    np.testing.assert_array_equal(estimate.probs, certain(ANGRY))
    np.testing.assert_array_equal(estimate.window_probs, certain(ANGRY))
    assert (estimate.label, estimate.confidence) == ("angry", 1.0)


@pytest.mark.parametrize("time_constant_s", [0.3, 1.5, 10.0])
def test_after_one_time_constant_the_old_weighs_one_in_e(time_constant_s: float) -> None:
    estimator = Estimator(LABELS, EstimateSettings(time_constant_s=time_constant_s))
    judged(estimator, certain(ANGRY), 16_000)
    estimate = judged(estimator, certain(CALM), 16_000 + round(time_constant_s * RATE_HZ))
    kept = math.exp(-1.0) / (1.0 + math.exp(-1.0))
    assert estimate.probs[ANGRY] == pytest.approx(kept, abs=1e-6)
    assert estimate.probs[CALM] == pytest.approx(1.0 - kept, abs=1e-6)


@given(
    st.lists(
        st.tuples(st.integers(0, RATE_HZ), st.integers(1_600, 41_000), distributions()),
        min_size=1,
        max_size=40,
    )
)
def test_it_is_the_mean_of_the_windows_by_their_speech_and_age(
    windows: list[tuple[int, int, F32]],
) -> None:
    estimator, stop = Estimator(LABELS, EstimateSettings()), 16_000
    stops, weights = [], []
    for step, speech, probs in windows:
        stop += step
        estimate = judged(estimator, probs, stop, speech=speech)
        stops.append(stop)
        weights.append((speech / RATE_HZ) ** 3)
    ages_s = (stop - np.array(stops)) / RATE_HZ
    shares = np.array(weights) * np.exp(-ages_s / 1.5)
    meant = shares @ np.array([probs for _, _, probs in windows]) / shares.sum()
    np.testing.assert_allclose(estimate.probs, meant, atol=1e-5)


def test_a_longer_window_outweighs_the_short_ones_in_it() -> None:
    estimator = Estimator(LABELS, EstimateSettings())
    judged(estimator, certain(ANGRY), 16_000, speech=8_000)
    estimate = judged(estimator, certain(CALM), 16_000, speech=16_000)
    assert estimate.probs[ANGRY] == pytest.approx(1 / 9, abs=1e-6)


def test_the_first_words_of_the_next_utterance_are_heard_and_do_not_jump() -> None:
    estimator = Estimator(LABELS, EstimateSettings())
    for stop in range(48_000, 96_000, 3_840):
        judged(estimator, certain(ANGRY), stop, speech=40_000)
    first = judged(estimator, certain(CALM), 100_000, utterance=1, speech=8_000)
    second = judged(estimator, certain(CALM), 103_840, utterance=1, speech=11_840)
    third = judged(estimator, certain(CALM), 107_680, utterance=1, speech=15_680)
    assert 0.5 < first.probs[ANGRY] < 0.8
    assert 0.25 < second.probs[ANGRY] < 0.5
    assert third.probs[ANGRY] < 0.2


@given(st.lists(st.tuples(st.integers(0, 60_000), distributions()), min_size=1, max_size=20))
def test_it_stays_a_distribution(windows: list[tuple[int, F32]]) -> None:
    estimator, stop = Estimator(LABELS, EstimateSettings()), 16_000
    for step, probs in windows:
        stop += step
        estimate = judged(estimator, probs, stop)
        assert estimate.probs.min() >= 0.0
        assert estimate.probs.sum() == pytest.approx(1.0, abs=1e-5)
        assert estimate.confidence == pytest.approx(float(estimate.probs.max()))
        assert estimate.label == LABELS[int(estimate.probs.argmax())]
        assert -1.0 <= estimate.valence <= 1.0
        assert -1.0 <= estimate.arousal <= 1.0


def test_without_a_time_constant_only_the_newest_window_counts() -> None:
    estimator = Estimator(LABELS, EstimateSettings(time_constant_s=0.0))
    judged(estimator, certain(ANGRY), 16_000)
    np.testing.assert_array_equal(judged(estimator, certain(CALM), 16_001).probs, certain(CALM))


def test_a_pause_makes_it_forget() -> None:
    estimator = Estimator(LABELS, EstimateSettings())
    judged(estimator, certain(ANGRY), 16_000)
    later = judged(estimator, certain(CALM), 16_000 + 15 * RATE_HZ, utterance=1)
    assert later.probs[ANGRY] < 1e-4


# States and labels ------------------------------------------------------------------------


def test_below_the_limit_it_is_unsure_and_still_says_which() -> None:
    for unsure_below, state in ((0.6, State.SPEECH), (0.61, State.UNSURE)):
        estimator = Estimator(LABELS, EstimateSettings(unsure_below=unsure_below))
        probs = np.float32(0.6) * certain(ANGRY) + np.float32(0.4) * certain(CALM)
        estimate = judged(estimator, probs, 16_000)
        assert (estimate.state, estimate.label) == (state, "angry")


def test_what_may_be_no_speech_is_unsure_however_clear_it_is() -> None:
    """A bark can be angry beyond doubt."""
    for speech_prob, state, reason in (
        (0.97, State.SPEECH, ""), (0.96, State.UNSURE, "perhaps no speech"),
    ):  # fmt: skip
        estimator = Estimator(LABELS, EstimateSettings())
        estimate = judged(estimator, certain(ANGRY), 16_000, speech_prob=speech_prob)
        assert (estimate.state, estimate.label, estimate.reason) == (state, "angry", reason)


@pytest.mark.parametrize("state", [State.SILENCE, State.WARMING_UP, State.STALE])
def test_a_remark_never_has_a_label(state: State) -> None:
    estimator = Estimator(LABELS, EstimateSettings())
    judged(estimator, certain(ANGRY), 16_000)
    remark = estimator.remark(state, stop=20_000, utterance=3, level_dbfs=-70.0)
    assert (remark.state, remark.label, remark.confidence) == (state, "", 0.0)
    assert (remark.start, remark.stop, remark.utterance, remark.is_final) == (
        20_000, 20_000, 3, False,
    )  # fmt: skip
    assert (remark.speech_prob, remark.speech_samples, remark.level_dbfs) == (0.0, 0, -70.0)
    np.testing.assert_array_equal(remark.probs, certain(ANGRY))


def test_a_remark_changes_nothing() -> None:
    told, silent = (Estimator(LABELS, EstimateSettings()) for _ in range(2))
    for estimator in (told, silent):
        judged(estimator, certain(ANGRY), 16_000)
    told.remark(State.SILENCE, stop=30_000, utterance=0, level_dbfs=-80.0)
    assert bits(judged(told, certain(CALM), 40_000)) == bits(judged(silent, certain(CALM), 40_000))


def test_estimates_say_what_they_are_about() -> None:
    estimate = judged(
        Estimator(LABELS, EstimateSettings()), certain(CALM), 24_000, utterance=2, is_final=True
    )
    assert (estimate.start, estimate.stop, estimate.utterance) == (16_000, 24_000, 2)
    assert (estimate.start_s, estimate.stop_s) == (1.0, 1.5)
    assert (estimate.speech_prob, estimate.level_dbfs) == (0.98, -25.0)
    assert (estimate.speech_samples, estimate.inference_ms) == (8_000, 1.5)
    assert estimate.is_final
    assert estimate.labels == LABELS


def test_estimates_are_values() -> None:
    estimator = Estimator(LABELS, EstimateSettings())
    first = judged(estimator, certain(ANGRY), 16_000)
    judged(estimator, certain(CALM), 60_000)
    np.testing.assert_array_equal(first.probs, certain(ANGRY))
    assert not first.probs.flags.writeable
    with pytest.raises(AttributeError):
        first.label = "calm"  # type: ignore[misc]


# Valence and arousal ----------------------------------------------------------------------


def test_every_label_has_its_place_on_the_circle() -> None:
    points = circumplex(LABELS)
    for label, (valence, arousal) in zip(LABELS, points, strict=True):
        if label == "neutral":
            assert (valence, arousal) == (0.0, 0.0)
        else:
            assert math.hypot(valence, arousal) == pytest.approx(1.0, abs=1e-6)
            angle = math.degrees(math.atan2(arousal, valence)) % 360.0
            assert angle == pytest.approx(CIRCUMPLEX_DEGREES[label], abs=1e-3)


def test_the_circle_is_the_way_round_that_people_feel() -> None:
    place = dict(zip(LABELS, circumplex(LABELS), strict=True))
    assert all(place[label][0] > 0 for label in ("happy", "surprised", "calm"))
    assert all(place[label][0] < 0 for label in ("angry", "fearful", "disgust", "sad"))
    assert all(place[label][1] > 0 for label in ("angry", "fearful", "surprised", "happy"))
    assert all(place[label][1] < 0 for label in ("sad", "calm"))


def test_an_unknown_label_is_at_the_origin() -> None:
    np.testing.assert_array_equal(circumplex(("bored", "neutral")), np.zeros((2, 2)))


@given(distributions())
def test_valence_and_arousal_are_the_expectation(probs: F32) -> None:
    estimate = judged(Estimator(LABELS, EstimateSettings()), probs, 16_000)
    expected = {"valence": 0.0, "arousal": 0.0}
    for label, degrees in CIRCUMPLEX_DEGREES.items():
        share = float(probs[LABELS.index(label)])
        expected["valence"] += share * math.cos(math.radians(degrees))
        expected["arousal"] += share * math.sin(math.radians(degrees))
    assert estimate.valence == pytest.approx(expected["valence"], abs=1e-5)
    assert estimate.arousal == pytest.approx(expected["arousal"], abs=1e-5)


# Totals -----------------------------------------------------------------------------------


def test_a_stream_without_speech_has_no_label() -> None:
    summary = Estimator(LABELS, EstimateSettings()).summary(99, StreamStats())
    assert (summary.label, summary.confidence, summary.utterances) == ("", 0.0, 0)
    assert (summary.valence, summary.arousal, summary.duration_samples) == (0.0, 0.0, 99)
    np.testing.assert_array_equal(summary.probs, np.zeros(len(LABELS)))


def test_utterances_count_by_their_speech() -> None:
    """Three seconds of anger and one of calm, however often either was judged."""
    estimator = Estimator(LABELS, EstimateSettings())
    judged(estimator, certain(ANGRY), 48_000, fresh=3 * RATE_HZ)
    for stop in range(64_000, 68_000, 1_000):
        judged(estimator, certain(CALM), stop, utterance=1, fresh=RATE_HZ // 4)
    summary = estimator.summary(80_000, StreamStats(windows=5))
    assert summary.probs[ANGRY] == pytest.approx(0.75)
    assert summary.probs[CALM] == pytest.approx(0.25)
    assert (summary.label, summary.utterances, summary.speech_samples) == ("angry", 2, 64_000)
    assert summary.confidence == pytest.approx(0.75)
    assert summary.stats == StreamStats(windows=5)


def test_within_an_utterance_windows_count_by_the_cube_of_the_speech_in_them() -> None:
    estimator = Estimator(LABELS, EstimateSettings())
    judged(estimator, certain(ANGRY), 8_000, speech=8_000, fresh=8_000)
    judged(estimator, certain(CALM), 32_000, speech=32_000, fresh=24_000)
    summary = estimator.summary(32_000, StreamStats())
    assert summary.probs[CALM] == pytest.approx(64 / 65)  # four times the speech
    assert (summary.utterances, summary.speech_samples) == (1, 32_000)


def test_asking_for_totals_changes_nothing() -> None:
    asked, quiet = (Estimator(LABELS, EstimateSettings()) for _ in range(2))
    for estimator in (asked, quiet):
        judged(estimator, certain(ANGRY), 16_000)
        if estimator is asked:
            asked.summary(16_000, StreamStats())
            asked.summary(16_000, StreamStats())
        judged(estimator, certain(CALM), 20_000)
    assert bits(asked.summary(9, StreamStats())) == bits(quiet.summary(9, StreamStats()))


def test_reset_is_as_new() -> None:
    estimator, fresh = (Estimator(LABELS, EstimateSettings()) for _ in range(2))
    judged(estimator, certain(ANGRY), 50_000)
    estimator.reset()
    assert bits(estimator.summary(0, StreamStats())) == bits(fresh.summary(0, StreamStats()))
    assert bits(judged(estimator, certain(CALM), 16_000)) == bits(
        judged(fresh, certain(CALM), 16_000)
    )
