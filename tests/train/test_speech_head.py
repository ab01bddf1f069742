"""The speech head, fitted again: it parts what can be parted and leaves all else alone."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: make test-train")

import torch

from rt_ser.recipes import RECIPES
from tests.train.made_up import small_corpus
from tests.train.small_school import STRAIGHT
from train.examples import heard_noise_examples, labelled_examples, noise_examples
from train.net import Network, logits_of
from train.plan import Shape
from train.recipe import TrainRecipe
from train.speech_head import Questions, fit_speech_head, logistic
from train.windows import plain_windows

RECIPE = TrainRecipe(name="test", width=0.25)
FEATURES = RECIPES[RECIPE.features]


def test_two_clouds_are_parted_with_the_right_odds() -> None:
    torch.manual_seed(0)
    speech = (torch.rand(2_000) < 0.5).float()
    pooled = torch.randn(2_000, 3)
    pooled[:, 0] += 2.0 * speech
    weight, bias = logistic(pooled, speech, torch.nn.Linear(3, 1))
    # equal Gaussians two deviations apart: log odds 2 x - 2, a little less for the ridge
    assert weight[0, 0] == pytest.approx(2.0, abs=0.25)
    assert weight[0, 1:].abs().max() < 0.2
    assert bias[0] == pytest.approx(-2.0, abs=0.3)


def test_only_the_speech_head_changes() -> None:
    torch.manual_seed(0)
    network, prepared = Network(FEATURES, classes=8, shape=Shape(width=0.25)), small_corpus()
    labelled = labelled_examples(prepared, prepared.clips, RECIPE)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fit_speech_head(network, prepared, labelled, RECIPE, batches=20)
    changed = {
        name for name, value in network.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {"heads.speech.weight", "heads.speech.bias"}
    voices = logits_of(network, plain_windows(labelled, FEATURES))["speech"]
    noises = logits_of(network, plain_windows(noise_examples(prepared), FEATURES))["speech"]
    assert np.median(voices) > np.median(noises)


@pytest.fixture(scope="module")
def questions() -> Questions:
    prepared = small_corpus()
    labelled = labelled_examples(prepared, prepared.clips, RECIPE)
    return Questions(labelled, noise_examples(prepared), RECIPE, seed=0)


def test_half_of_a_round_is_noise_and_half_of_that_is_bent(questions: Questions) -> None:
    drawn = [questions.draw(is_bent=number == 3) for number in range(4)]
    for inputs, speech in drawn:
        assert inputs.shape == (len(speech), FEATURES.window_frames, FEATURES.mels)
        assert inputs.abs().max() <= 1.0 + 1e-6
    speech = torch.stack([told for _, told in drawn])
    assert speech.mean() == 0.5
    assert speech.mean(1).tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 0.0])


def test_voices_come_first_and_sound_like_voices() -> None:
    """Where no way of bending is on, a window of a voice is one of the utterances' own."""
    prepared = small_corpus()
    still = TrainRecipe(name="still", augmentation=STRAIGHT)
    labelled = labelled_examples(prepared, prepared.clips, still)
    questions = Questions(labelled, noise_examples(prepared), still, seed=0)
    inputs, speech = questions.draw(is_bent=False)
    plain = plain_windows(labelled, FEATURES)[..., 0]
    apart = np.array([np.abs(plain - one).mean(axis=(1, 2)).min() for one in inputs.numpy()])
    voices, noises = apart[speech.numpy() > 0], apart[speech.numpy() == 0]
    assert (voices < 1e-5).sum() >= 3, "a fifth or so are whole utterances"
    assert np.median(voices) < 0.6 * noises.min()


def test_ridge_keeps_the_logits_of_parted_clouds_within_reason() -> None:
    """Clouds that nothing overlaps would drive weights without ridge to infinity."""
    torch.manual_seed(0)
    speech = (torch.arange(400) % 2).float()
    pooled = 0.1 * torch.randn(400, 3)
    pooled[:, 1] += 3.0 * speech
    weight, bias = logistic(pooled, speech, torch.nn.Linear(3, 1))
    logits = (pooled @ weight.T + bias)[:, 0]
    assert ((logits > 0) == (speech > 0)).all()
    assert logits.abs().max() < 10.0


def test_what_the_gate_lets_through_of_noises_is_noise() -> None:
    found = heard_noise_examples(small_corpus())
    if found is not None:
        assert not found.is_speech.any()
        assert not found.targets.any()
        assert found.weights.sum() == pytest.approx(1.0)
