"""Muon: all directions are learnt equally fast, and networks side by side know nothing of it."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: make test-train")

import torch

from train.views.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(3, 16, 32), (2, 32, 16), (1, 24, 24)])
def test_singular_values_come_near_one_and_directions_stay(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    matrices = torch.randn(shape)
    found = orthogonal(matrices)
    assert found.shape == matrices.shape
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.3
    assert values.max() < 1.3
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    nearest = left @ right
    cosine = (found * nearest).sum((1, 2)) / (found.norm(dim=(1, 2)) * nearest.norm(dim=(1, 2)))
    assert cosine.min() > 0.95


def kernels_of(start: torch.Tensor, pulls: list[torch.Tensor], abreast: int) -> torch.Tensor:
    """Return a kernel after some steps with gradients ``pulls``."""
    kernel = torch.nn.Parameter(start.clone())
    muon = Muon([kernel], lr=torch.tensor(0.01), weight_decay=0.1, abreast=abreast)
    for pull in pulls:
        kernel.grad = pull
        muon.step()
    return kernel.detach()


def test_kernels_side_by_side_move_as_each_would_alone() -> None:
    torch.manual_seed(1)
    start, pulls = torch.randn(24, 6, 1, 1), [torch.randn(24, 6, 1, 1) for _ in range(4)]
    together = kernels_of(start, pulls, abreast=3)
    for place, part in enumerate(together.chunk(3)):
        alone = kernels_of(start.chunk(3)[place], [pull.chunk(3)[place] for pull in pulls], 1)
        torch.testing.assert_close(part, alone)


def test_a_step_is_as_long_as_adam_s_whatever_the_gradient_s_size() -> None:
    torch.manual_seed(2)
    start, pull = torch.zeros(64, 64), torch.randn(64, 64)
    moves = [kernels_of(start, [pull * size], 1) for size in (1e-3, 1.0, 1e3)]
    for move in moves:
        torch.testing.assert_close(move, moves[0], rtol=1e-3, atol=1e-6)
        assert move.square().mean().sqrt() == pytest.approx(0.01 * 0.2, rel=0.2)


def test_what_few_examples_teach_is_learnt_as_fast_as_what_all_do() -> None:
    """Of a mapping with directions a hundred times fainter than others all are found."""
    torch.manual_seed(3)
    wanted = torch.randn(8, 8)
    scales = torch.logspace(0, -2, 8)
    kernel = torch.nn.Parameter(torch.zeros(8, 8))
    rate = torch.tensor(0.1)
    muon = Muon([kernel], lr=rate, weight_decay=0.0, abreast=1)
    for step in range(300):
        rate.fill_(0.3 * (1.0 - step / 300))
        muon.zero_grad()
        ((kernel - wanted) * scales).square().sum().backward()
        muon.step()
    assert (kernel.detach() - wanted).abs().max() < 0.2
