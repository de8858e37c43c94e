# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Structural similarity against torchmetrics and against its plain torch twin."""

import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from headgas.splatting import get_threads, set_threads
from headgas.training.ssim import ssim, ssim_torch


def pair(
    height: int, width: int, channels: int, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(height)
    target = torch.rand(height, width, channels, generator=generator)
    image = (target + 0.2 * torch.randn(height, width, channels, generator=generator)).clamp(0, 1)
    image[: height // 3], target[: height // 2] = 1, 1  # as avatars over white: no variance at all
    return image.to(dtype), target.to(dtype)


def torchmetrics_ssim(image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return structural_similarity_index_measure(
        image.permute(2, 0, 1)[None], target.permute(2, 0, 1)[None], data_range=1.0
    )


@pytest.mark.parametrize("size", [(64, 64, 3), (37, 50, 1), (6, 11, 4), (90, 7, 3)])
def test_value_and_gradient_are_torchmetrics(size):
    truth_image, truth_target = pair(*size, dtype=torch.float64)
    truth_image.requires_grad_()
    truth = torchmetrics_ssim(truth_image, truth_target)
    truth.backward()
    for function in (ssim, ssim_torch):
        image, target = pair(*size)
        image.requires_grad_()
        value = function(image, target)
        (value * 3).backward()
        assert abs(value.item() - truth.item()) < 2e-5
        varied = truth_target.new_ones(size, dtype=torch.bool)
        varied[: size[0] // 3 + 6] = (
            False  # where nothing varies, float32 and float64 clamp different signs of rounding
        )
        torch.testing.assert_close(image.grad[varied].double() / 3, truth_image.grad[varied], rtol=1e-3, atol=2e-7)


def test_equal_images_have_similarity_one():
    image, _ = pair(30, 40, 3)
    assert ssim(image, image).item() == pytest.approx(1, abs=1e-5)


def test_the_bits_do_not_depend_on_the_threads():
    before, results = get_threads(), []
    image, target = pair(70, 65, 3)
    for threads in (1, 3):
        set_threads(threads)
        leaf = image.clone().requires_grad_()
        value = ssim(leaf, target)
        value.backward()
        results.append((value.detach(), leaf.grad))
    set_threads(before)
    assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])


def test_images_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="two images"):
        ssim(torch.zeros(20, 20, 3), torch.zeros(20, 21, 3))
    with pytest.raises(ValueError, match="more than 5 pixels"):
        ssim(torch.zeros(5, 20, 3), torch.zeros(5, 20, 3))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_equals_the_cpu():
    image, target = pair(64, 64, 3)
    assert ssim(image.cuda(), target.cuda()).item() == pytest.approx(ssim(image, target).item(), abs=1e-5)
