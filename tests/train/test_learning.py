"""What counts as an error, and how fast a network learns when."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: make test-train")

import torch

from train.learning import masked_log_softmax, one_cycle


def test_masked_classes_get_no_probability() -> None:
    logits, masks = torch.tensor([[1.0, 50.0, 2.0]]), torch.tensor([[1.0, 0.0, 1.0]])
    probs = masked_log_softmax(logits, masks).exp().numpy()
    np.testing.assert_allclose(probs, [[0.268941, 0.0, 0.731059]], atol=1e-5)


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [one_cycle(step, 100, 0.01) for step in range(100)]
    assert int(np.argmax(rates)) == 25
    assert max(rates) == pytest.approx(0.01, rel=1e-3)
    assert rates[0] == pytest.approx(0.0004)
    assert 0.0 < rates[-1] < 1e-4
    assert rates == sorted(rates[:26]) + sorted(rates[26:], reverse=True)
