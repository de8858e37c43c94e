# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rank-one Adam against torch's Adam and against its torch twin."""

import pytest
import torch

from headgas.training.rank_one_adam import RankOneAdam

ROWS, GAUSSIANS, FEATURES = 7, 1500, 4


def start() -> torch.Tensor:
    return torch.randn(ROWS, GAUSSIANS, FEATURES, generator=torch.Generator().manual_seed(0))


def steps(count: int, chance: float = 1.0):
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        hit = torch.rand(ROWS, generator=generator) < chance
        yield torch.randn(ROWS, generator=generator) * hit, torch.randn(GAUSSIANS, FEATURES, generator=generator)


def with_torch(basis: torch.Tensor, count: int, chance: float = 1.0) -> RankOneAdam:
    ours = RankOneAdam(basis)
    for coefficients, gradient in steps(count, chance):
        ours._steps += coefficients != 0
        t = ours._steps.clamp_min(1).double()
        rates, roots = 0.01 / (1 - 0.9**t), (1 - 0.999**t).rsqrt()
        moments = ours._first.flatten(1), ours._second.flatten(1)
        keeps = torch.ones(ROWS)
        rows, active = ours.basis.flatten(1), coefficients != 0
        ours._step_torch(rows, *moments, coefficients, gradient.flatten(), active, rates, roots, keeps)
    return ours


def test_it_is_adam_when_every_row_is_hit():
    truth = start().requires_grad_()
    ours, adam = RankOneAdam(start()), torch.optim.Adam([truth], lr=0.01)
    for coefficients, gradient in steps(30):
        truth.grad = coefficients[:, None, None] * gradient
        adam.step()
        ours.step(coefficients, gradient, 0.01)
    torch.testing.assert_close(ours.basis, truth.detach(), rtol=0, atol=5e-6)


def test_each_row_is_adam_over_the_steps_that_hit_it():
    ours = RankOneAdam(start())
    rows = [row.clone().requires_grad_() for row in start()]
    optimizers = [torch.optim.Adam([row], lr=0.01) for row in rows]
    for coefficients, gradient in steps(30, chance=0.3):
        ours.step(coefficients, gradient, 0.01)
        for row, optimizer, coefficient in zip(rows, optimizers, coefficients, strict=True):
            if coefficient != 0:
                row.grad = coefficient * gradient
                optimizer.step()
    torch.testing.assert_close(ours.basis, torch.stack(rows).detach(), rtol=0, atol=5e-6)


def test_weight_decay_is_that_of_adamw():
    truth = start().requires_grad_()
    ours, adam = RankOneAdam(start()), torch.optim.AdamW([truth], lr=0.01, weight_decay=0.5)
    for coefficients, gradient in steps(30):
        truth.grad = coefficients[:, None, None] * gradient
        adam.step()
        ours.step(coefficients, gradient, 0.01, torch.full((ROWS,), 0.5))
    torch.testing.assert_close(ours.basis, truth.detach(), rtol=0, atol=5e-6)


def test_the_torch_twin_agrees():
    ours = RankOneAdam(start())
    for coefficients, gradient in steps(20, chance=0.5):
        ours.step(coefficients, gradient, 0.01)
    twin = with_torch(start(), 20, chance=0.5)
    torch.testing.assert_close(ours.basis, twin.basis, rtol=0, atol=5e-6)
    for name, tensor in ours.state().items():
        torch.testing.assert_close(tensor, twin.state()[name], rtol=1e-4, atol=5e-6)


def test_it_goes_on_from_its_state():
    whole = RankOneAdam(start())
    halves = RankOneAdam(start())
    for number, (coefficients, gradient) in enumerate(steps(10, chance=0.7)):
        whole.step(coefficients, gradient, 0.01)
        halves.step(coefficients, gradient, 0.01)
        if number == 5:
            state = {name: tensor.clone() for name, tensor in halves.state().items()}
            halves = RankOneAdam(halves.basis)
            halves.restore(state)
    assert torch.equal(whole.basis, halves.basis)
    with pytest.raises(ValueError, match="first has the shape"):
        RankOneAdam(start()[:, :5].contiguous()).restore(whole.state())


def test_selected_gaussians_keep_their_moments_and_fresh_ones_have_none():
    ours = RankOneAdam(start())
    for coefficients, gradient in steps(3):
        ours.step(coefficients, gradient, 0.01)
    before, moments = ours.basis.clone(), ours.state()["first"].clone()
    index, fresh = torch.tensor([5, 2, 2, 9]), torch.tensor([False, False, True, False])
    basis = ours.select(index, fresh)
    assert basis is ours.basis and torch.equal(basis, before[:, index])
    assert torch.equal(ours.state()["first"], moments[:, index] * ~fresh[None, :, None])
    ours.step(torch.ones(ROWS), torch.ones(4, FEATURES), 0.01)
    assert not torch.equal(ours.basis, before[:, index])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="contiguous float32"):
        RankOneAdam(start().double())
    with pytest.raises(ValueError, match="as many coefficients"):
        RankOneAdam(start()).step(torch.ones(ROWS), torch.ones(3), 0.01)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_equals_the_cpu():
    ours, theirs = RankOneAdam(start()), RankOneAdam(start().cuda())
    for coefficients, gradient in steps(10, chance=0.5):
        ours.step(coefficients, gradient, 0.01)
        theirs.step(coefficients.cuda(), gradient.cuda(), 0.01)
    torch.testing.assert_close(ours.basis, theirs.basis.cpu(), rtol=0, atol=5e-6)
