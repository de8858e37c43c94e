# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rank-one Adam against torch's Adam, against its formula and against its torch twin."""

import pytest
import torch

from headgas.training.rank_one_adam import RankOneAdam

ROWS, GAUSSIANS = 7, 1500


def start(features: int = 1) -> torch.Tensor:
    return torch.randn(ROWS, GAUSSIANS, features, generator=torch.Generator().manual_seed(0))


def steps(count: int, chance: float = 1.0, features: int = 1, frames: int = 1):
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        hit = torch.rand(frames, ROWS, generator=generator) < chance
        coefficients = torch.randn(frames, ROWS, generator=generator) * hit
        yield coefficients, torch.randn(frames, GAUSSIANS, features, generator=generator)


def with_torch(features: int, frames: int) -> RankOneAdam:
    ours = RankOneAdam(start(features))
    for coefficients, gradients in steps(20, 0.5, features, frames):
        active = (coefficients != 0).any(0)
        ours._steps += active
        t = ours._steps.clamp_min(1).double()
        rates, roots = 0.01 / (1 - 0.9**t), (1 - 0.999**t).rsqrt()
        ours._step_torch(coefficients, gradients, active, rates, roots, torch.ones(ROWS))
    return ours


def test_it_is_adam_when_a_gaussian_has_one_feature_and_every_row_is_hit():
    truth = start().requires_grad_()
    ours, adam = RankOneAdam(start()), torch.optim.Adam([truth], lr=0.01)
    for coefficients, gradients in steps(30, frames=3):
        truth.grad = torch.einsum("kr,knf->rnf", coefficients, gradients)
        adam.step()
        ours.step(coefficients, gradients, 0.01)
    torch.testing.assert_close(ours.basis, truth.detach(), rtol=0, atol=5e-6)


def test_each_row_is_adam_over_the_steps_that_hit_it():
    ours = RankOneAdam(start())
    rows = [row.clone().requires_grad_() for row in start()]
    optimizers = [torch.optim.Adam([row], lr=0.01) for row in rows]
    for coefficients, gradients in steps(30, chance=0.3):
        ours.step(coefficients, gradients, 0.01)
        for row, optimizer, coefficient in zip(rows, optimizers, coefficients[0], strict=True):
            if coefficient != 0:
                row.grad = coefficient * gradients[0]
                optimizer.step()
    torch.testing.assert_close(ours.basis, torch.stack(rows).detach(), rtol=0, atol=5e-6)


def test_weight_decay_is_that_of_adamw():
    truth = start().requires_grad_()
    ours, adam = RankOneAdam(start()), torch.optim.AdamW([truth], lr=0.01, weight_decay=0.5)
    for coefficients, gradients in steps(30):
        truth.grad = coefficients[0, :, None, None] * gradients[0]
        adam.step()
        ours.step(coefficients, gradients, 0.01, torch.full((ROWS,), 0.5))
    torch.testing.assert_close(ours.basis, truth.detach(), rtol=0, atol=5e-6)


def test_the_features_of_a_gaussian_share_their_second_moment():
    ours, truth = RankOneAdam(start(5)), start(5).double()
    first, second = torch.zeros_like(truth), torch.zeros(ROWS, GAUSSIANS).double()
    for t, (coefficients, gradients) in enumerate(steps(20, features=5, frames=2), 1):
        slope = torch.einsum("kr,knf->rnf", coefficients.double(), gradients.double())
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope.square().mean(2)
        truth -= 0.01 * (first / (1 - 0.9**t)) / ((second / (1 - 0.999**t)).sqrt()[..., None] + 1e-8)
        ours.step(coefficients, gradients, 0.01)
    torch.testing.assert_close(ours.basis.double(), truth, rtol=0, atol=5e-6)


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_the_torch_twin_agrees(frames: int):
    ours = RankOneAdam(start(4))
    for coefficients, gradients in steps(20, 0.5, 4, frames):
        ours.step(coefficients, gradients, 0.01)
    twin = with_torch(4, frames)
    torch.testing.assert_close(ours.basis, twin.basis, rtol=0, atol=5e-6)
    for name, tensor in ours.state().items():
        torch.testing.assert_close(tensor, twin.state()[name], rtol=1e-4, atol=5e-6)


def test_it_goes_on_from_its_state():
    whole = RankOneAdam(start(4))
    halves = RankOneAdam(start(4))
    for number, (coefficients, gradients) in enumerate(steps(10, 0.7, 4)):
        whole.step(coefficients, gradients, 0.01)
        halves.step(coefficients, gradients, 0.01)
        if number == 5:
            state = {name: tensor.clone() for name, tensor in halves.state().items()}
            halves = RankOneAdam(halves.basis)
            halves.restore(state)
    assert torch.equal(whole.basis, halves.basis)
    with pytest.raises(ValueError, match="first has the shape"):
        RankOneAdam(start(4)[:, :5].contiguous()).restore(whole.state())


@pytest.mark.parametrize("capacity", [0, 4, 2000])
def test_selected_gaussians_keep_their_moments_and_fresh_ones_have_none(capacity: int):
    """Fewer Gaussians, then more than ever there was room for."""
    ours = RankOneAdam(start(4), capacity)
    for coefficients, gradients in steps(3, features=4):
        ours.step(coefficients, gradients, 0.01)
    for index, fresh in (
        (torch.tensor([5, 2, 2, 9]), torch.tensor([False, False, True, False])),
        (torch.arange(2500) % 4, torch.arange(2500) >= 4),
    ):
        before = ours.basis.clone()
        first, second = (ours.state()[name].clone() for name in ("first", "second"))
        basis = ours.select(index, fresh)
        assert torch.equal(basis, before[:, index]) and torch.equal(ours.basis, basis)
        assert torch.equal(ours.state()["first"], first[:, index] * ~fresh[None, :, None])
        assert torch.equal(ours.state()["second"], second[:, index] * ~fresh[None])
        ours.step(torch.ones(1, ROWS), torch.ones(1, len(index), 4), 0.01)
        assert not torch.equal(ours.basis, before[:, index])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="must be float32"):
        RankOneAdam(start().double())
    with pytest.raises(ValueError, match="as many coefficients"):
        RankOneAdam(start()).step(torch.ones(1, ROWS), torch.ones(1, 3, 1), 0.01)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_equals_the_cpu():
    ours, theirs = RankOneAdam(start(4)), RankOneAdam(start(4).cuda())
    for coefficients, gradients in steps(10, 0.5, 4, 2):
        ours.step(coefficients, gradients, 0.01)
        theirs.step(coefficients.cuda(), gradients.cuda(), 0.01)
    torch.testing.assert_close(ours.basis, theirs.basis.cpu(), rtol=0, atol=5e-6)
