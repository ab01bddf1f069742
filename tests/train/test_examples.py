"""Examples: drawn with balance, targets that add up, and nobody on both sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_ser.errors import InputError
from tests.train.made_up import (
    EMOTIONS,
    cremad_clip,
    made_up,
    noise_recording,
    ravdess_clip,
    small_corpus,
)
from train.clips import rows_of
from train.corpora import CORPUS_LABELS, LABELS
from train.examples import (
    class_mask,
    is_training_source,
    labelled_examples,
    noise_examples,
    soft_target,
)
from train.prepare import Prepared
from train.recipe import TrainRecipe
from train.splits import dev_speakers

RECIPE = TrainRecipe(name="test")


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return small_corpus(4)


def test_examples_are_the_utterances_of_the_clips(prepared: Prepared) -> None:
    wanted = prepared.clips[3:9]
    examples = labelled_examples(prepared, wanted, RECIPE)
    assert len(examples) == 6
    features = {clip.key: found for clip, found in prepared.features()}
    for index, clip in enumerate(wanted):
        begin, end = rows_of(*(int(edge) for edge in features[clip.key].spans[0]))
        first, count = examples.first[index], examples.count[index]
        np.testing.assert_array_equal(
            examples.rows[first : first + count], features[clip.key].log_mel[begin:end]
        )
        assert count == end - begin > 100
        assert examples.targets[index].argmax() == clip.target
    assert examples.first[-1] + examples.count[-1] == len(examples.rows)
    assert examples.is_speech.all()
    np.testing.assert_array_equal(examples.clip, np.arange(6))


def test_without_clips_there_is_nothing_and_no_crash(prepared: Prepared) -> None:
    examples = labelled_examples(prepared, [], RECIPE)
    assert len(examples) == 0
    assert examples.rows.shape == (0, 64)
    assert examples.targets.shape == examples.masks.shape == (0, len(LABELS))


def test_a_clip_without_an_utterance_gives_no_example() -> None:
    corpus = made_up([cremad_clip(1, "sad"), cremad_clip(1, "angry")], [])
    store = corpus.stores["cremad"]
    first_empty = replace(store, span_offsets=np.array([0, 0, 1]), spans=store.spans[1:])
    examples = labelled_examples(
        replace(corpus, stores={"cremad": first_empty}), corpus.clips, RECIPE
    )
    np.testing.assert_array_equal(examples.clip, [1])
    assert examples.targets.argmax(axis=1) == [LABELS.index("angry")]


# Targets ----------------------------------------------------------------------------------


@given(
    st.sampled_from(sorted(CORPUS_LABELS)),
    st.data(),
    st.floats(0.0, 0.5),
    st.floats(0.0, 1.0),
    st.lists(st.integers(0, 12), min_size=8, max_size=8),
)
def test_targets_are_distributions_over_the_corpus_own_classes(
    corpus: str, data: st.DataObject, smoothing: float, vote_weight: float, votes: list[int]
) -> None:
    emotion = data.draw(st.sampled_from(CORPUS_LABELS[corpus]))
    own = class_mask(corpus)
    votes = [count * int(has) for count, has in zip(votes, own, strict=True)]
    clip = replace(cremad_clip(1, emotion), corpus=corpus, votes=tuple(votes))
    target = soft_target(clip, vote_weight=vote_weight, smoothing=smoothing)
    assert target.dtype == np.float32
    assert target.sum() == pytest.approx(1.0, abs=1e-5)
    assert target.min() >= 0.0
    assert (target[own == 0.0] == 0.0).all()


def test_a_target_worked_out_by_hand() -> None:
    """Half label, half votes of 3 to 1, a fifth of it smoothed over six classes."""
    votes = tuple(3 if label == "sad" else int(label == "neutral") for label in LABELS)
    clip = replace(cremad_clip(1, "sad"), votes=votes)
    target = soft_target(clip, vote_weight=0.5, smoothing=0.2)
    assert target[LABELS.index("sad")] == pytest.approx(0.8 * (0.5 + 0.375) + 0.2 / 6)
    assert target[LABELS.index("neutral")] == pytest.approx(0.8 * 0.125 + 0.2 / 6)
    assert target[LABELS.index("happy")] == pytest.approx(0.2 / 6)
    assert target[LABELS.index("calm")] == 0.0


@pytest.mark.parametrize("votes", [None, (0,) * 8])
def test_without_votes_only_the_label_counts(votes: tuple[int, ...] | None) -> None:
    clip = replace(cremad_clip(1, "sad"), votes=votes)
    target = soft_target(clip, vote_weight=0.9, smoothing=0.0)
    np.testing.assert_array_equal(target, np.eye(8, dtype=np.float32)[LABELS.index("sad")])


def test_masks_are_the_classes_a_corpus_has() -> None:
    for corpus, labels in CORPUS_LABELS.items():
        has = {label for label, one in zip(LABELS, class_mask(corpus), strict=True) if one}
        assert has == set(labels)


# Balance ----------------------------------------------------------------------------------


def weight_by(prepared: Prepared, recipe: TrainRecipe, key: str) -> dict[str, float]:
    examples = labelled_examples(prepared, prepared.clips, recipe)
    assert examples.weights.sum() == pytest.approx(1.0)
    totals: dict[str, float] = {}
    for weight, index in zip(examples.weights, examples.clip, strict=True):
        group = getattr(prepared.clips[index], key)
        totals[group] = totals.get(group, 0.0) + float(weight)
    return totals


@pytest.fixture(scope="module")
def lopsided() -> Prepared:
    """Four angry clips for each sad one, in two corpora."""
    angry = [cremad_clip(number, "angry") for number in range(1, 5)]
    return made_up([*angry, cremad_clip(1, "sad"), ravdess_clip(1, "angry")], [])


def test_classes_balance_as_far_as_asked(lopsided: Prepared) -> None:
    only = replace(RECIPE, corpus_weight={"ravdess": 0.0, "cremad": 1.0})
    for balance, ratio in ((0.0, 4.0), (0.5, 2.0), (1.0, 1.0)):
        totals = weight_by(lopsided, replace(only, class_balance=balance), "emotion")
        assert totals["angry"] / totals["sad"] == pytest.approx(ratio, rel=1e-6)


def test_corpora_weigh_as_told(lopsided: Prepared) -> None:
    told = replace(RECIPE, class_balance=0.0, corpus_weight={"ravdess": 2.5, "cremad": 1.0})
    totals = weight_by(lopsided, told, "corpus")
    assert totals["cremad"] / totals["ravdess"] == pytest.approx(5.0 / 2.5)


# Who is kept out --------------------------------------------------------------------------


def test_dev_speakers_are_chosen_once_and_for_all() -> None:
    clips = [cremad_clip(number, "sad") for number in range(1, 40)]
    clips += [ravdess_clip(number, "sad") for number in range(1, 25)]
    chosen = dev_speakers(clips, 9)
    assert len(chosen) == 9
    assert sum(name.startswith("ravdess") for name in chosen) == 3
    assert chosen == dev_speakers(clips[::-1], 9)
    assert chosen <= {clip.speaker for clip in clips}
    assert dev_speakers(clips, 0) == frozenset()


def test_dev_speakers_never_come_from_a_corpus_of_few() -> None:
    few = [replace(cremad_clip(n, "sad"), corpus="savee", speaker=f"savee-{n}") for n in range(4)]
    assert dev_speakers(few, 6) == frozenset()
    assert dev_speakers([*few, cremad_clip(7, "sad")], 6) == {"cremad-7"}


# Noise ------------------------------------------------------------------------------------


def test_about_a_third_of_noises_is_kept_for_testing() -> None:
    kept = [is_training_source(f"{fold}-{number}") for fold in range(1, 6) for number in range(200)]
    assert 0.62 < np.mean(kept) < 0.71


def test_takes_of_one_noise_never_part() -> None:
    """Two takes of each source, whose keys alone would fall on both sides."""
    sources = [f"1-{number}" for number in range(30)]
    noises = [noise_recording(source, take) for source in sources for take in (0, 1)]
    prepared = made_up([], noises)
    examples = noise_examples(prepared)
    of_one = [item for item in noises if item.source == "1-2"]
    assert {is_training_source(item.key) for item in of_one} == {True, False}
    trained = [item for item in noises if is_training_source(item.source)]
    assert len(examples) == len(trained) == 2 * len({item.source for item in trained})
    assert 0 < len(trained) < len(noises)


def test_noise_has_no_emotion(prepared: Prepared) -> None:
    examples = noise_examples(prepared)
    assert not examples.is_speech.any()
    assert not examples.targets.any()
    assert examples.weights.sum() == pytest.approx(1.0)
    assert (examples.count <= 1_500).all()
    assert examples.first[-1] + examples.count[-1] == len(examples.rows)


def test_without_noise_it_says_what_is_missing() -> None:
    with pytest.raises(InputError) as caught:
        noise_examples(made_up([cremad_clip(1, EMOTIONS[0])], []))
    assert str(caught.value) == (
        "no noise to train on: put recordings of noises into noise/ of the data"
    )
