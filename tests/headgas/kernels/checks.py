# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each Triton kernel against its plain torch twin: run by `test_kernels.py` in Triton's interpreter and on CUDA."""

import os

import pytest
import torch

from headgas.avatars import cuda_inference, fused
from headgas.avatars.appearance_kernel import appear
from headgas.avatars.compact import CompactBasis
from headgas.avatars.cuda_inference import CudaInference, appear_plainly
from headgas.avatars.finishing_kernel import finish
from headgas.avatars.fused_kernel import MOST_FRAMES, fits, write_outputs
from headgas.avatars.rendering import NOTHING_HIT, linear_premultiplied
from headgas.splatting import Camera
from headgas.training import rank_one_adam
from headgas.training.rank_one_adam import RankOneAdam
from headgas.training.ssim import ssim_on_cuda, ssim_torch
from tests.headgas.conftest import SIZE, intrinsics, look_at, small_avatar

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
EXPRESSION = torch.tensor([0.6, 0.0, 0.9])
PAPER = (32, 64, 49)  # features, hidden units, outputs


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, device=DEVICE)


def avatar(gaussians: int, rows: int, frames: int, sizes: tuple[int, int, int]):
    """A basis, coefficients of which some are zero in one or in all frames, folded encodings and weights."""
    torch.manual_seed(gaussians)
    features, hidden, outputs = sizes
    coefficients = random(frames, rows)
    coefficients[:, 2::3] = 0
    coefficients[0, 1] = 0
    weights = random(hidden, features), random(hidden, hidden) / 8, random(hidden), random(outputs, hidden) / 8
    basis = random(rows, gaussians, features) / 4
    return basis, coefficients, random(gaussians, hidden), fused.Weights(*weights, random(outputs))


@pytest.fixture(autouse=True)
def kernels_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter takes CPU tensors, which no kernel works on otherwise."""
    if DEVICE == "cpu":
        for module in (fused, cuda_inference):
            monkeypatch.setattr(module, "kernels_work", lambda tensor: True)


@pytest.mark.parametrize(
    ("gaussians", "rows", "frames", "sizes"),
    [
        (70, 7, 1, PAPER),
        (45, 4, 3, (5, 9, 4)),
        (33, 53, 4, PAPER),
        (9, 2, MOST_FRAMES + 2, (1, 1, 1)),
        (1, 2, 1, (17, 33, 65)),
        (40, 3, 2, (64, 128, 100)),
    ],
)
def test_blending_and_decoding_equal_the_twin(gaussians, rows, frames, sizes) -> None:
    arguments = avatar(gaussians, rows, frames, sizes)
    ours = fused.blend_and_decode(*arguments)
    _, twin = fused.blend_and_decode_plainly(*arguments)
    assert ours.shape == (frames, gaussians, sizes[2])
    torch.testing.assert_close(ours, twin.detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_basis_of_half_precision_is_read_as_it_is(dtype) -> None:
    basis, *rest = avatar(40, 6, 2, (32, 16, 5))
    ours = fused.blend_and_decode(basis.to(dtype), *rest)
    _, twin = fused.blend_and_decode_plainly(basis.to(dtype).float(), *rest)
    torch.testing.assert_close(ours, twin.detach(), rtol=1e-4, atol=1e-4)


def test_bytes_with_a_scale_per_row_and_feature() -> None:
    basis, coefficients, folded, weights = avatar(40, 6, 2, (5, 16, 7))
    scales = basis.abs().amax(1) / 127
    values = (basis / scales[:, None]).round().to(torch.int8)
    ours = fused.blend_and_decode(values, coefficients, folded, weights, scales)
    _, twin = fused.blend_and_decode_plainly(values * scales[:, None], coefficients, folded, weights)
    torch.testing.assert_close(ours, twin.detach(), rtol=1e-4, atol=1e-4)
    _, twin = fused.blend_and_decode_plainly(values, coefficients, folded, weights, scales)
    torch.testing.assert_close(ours, twin.detach(), rtol=1e-4, atol=1e-4)


def test_a_basis_with_room_to_grow_is_read_by_its_rows() -> None:
    basis, *rest = avatar(40, 6, 2, (8, 16, 5))
    room = torch.full((6, 50, 8), torch.nan, device=DEVICE)
    room[:, :40] = basis
    assert torch.equal(fused.blend_and_decode(room[:, :40], *rest), fused.blend_and_decode(basis, *rest))


def test_rows_without_a_coefficient_are_never_read() -> None:
    basis, coefficients, folded, weights = avatar(40, 6, 2, (8, 16, 5))
    truth = fused.blend_and_decode(basis, coefficients, folded, weights)
    basis[(coefficients == 0).all(0)] = torch.nan
    assert torch.equal(fused.blend_and_decode(basis, coefficients, folded, weights), truth)


def test_a_coefficient_that_is_no_number_is_not_hidden() -> None:
    basis, coefficients, folded, weights = avatar(40, 6, 1, (8, 16, 5))
    coefficients[0, 1] = torch.nan
    assert fused.blend_and_decode(basis, coefficients, folded, weights).isnan().any()


@pytest.mark.parametrize(("frames", "sizes"), [(1, PAPER), (3, (5, 9, 4))])
def test_gradients_equal_the_twins(frames, sizes) -> None:
    basis, coefficients, folded, weights = avatar(70, 7, frames, sizes)
    gradient = random(frames, 70, sizes[2])
    results = []
    for function in (fused.blend_and_decode_for_training, fused.blend_and_decode_plainly):
        leaves = [tensor.clone().requires_grad_() for tensor in (folded, *weights)]
        features, outputs = function(basis, coefficients, leaves[0], fused.Weights(*leaves[1:]))
        outputs.backward(gradient)
        results.append([features.detach(), outputs.detach(), features.grad, *(leaf.grad for leaf in leaves)])
    for ours, twin in zip(*results, strict=True):
        torch.testing.assert_close(ours, twin, rtol=1e-4, atol=1e-3)


def test_what_the_kernel_cannot_take() -> None:
    device = torch.device("cpu")  # stands for a card of this decade
    assert fits(PAPER, device) and fits((1, 1, 1), device) and not fits((32, 129, 49), device)
    basis, coefficients, folded, weights = avatar(8, 3, 1, (4, 4, 4))
    with pytest.raises(ValueError, match="contiguous"):
        write_outputs(basis.transpose(1, 2), coefficients, folded, weights, folded[None])
    arguments = avatar(8, 3, 1, (4, 140, 4))  # too large: torch's operations
    torch.testing.assert_close(
        fused.blend_and_decode(*arguments), fused.blend_and_decode_plainly(*arguments)[1].detach()
    )


@pytest.mark.parametrize(("frames", "features"), [(1, 32), (3, 5)])
def test_rank_one_adam_equals_its_twin(frames, features, monkeypatch) -> None:
    rows, gaussians = 6, 75
    torch.manual_seed(0)
    basis, decay = random(rows, gaussians, features), torch.full((rows,), 0.2)
    ours, twin = (RankOneAdam(basis, gaussians + 9) for _ in range(2))
    for number in range(5):
        coefficients, gradients = random(frames, rows), random(frames, gaussians, features)
        coefficients[:, number % 3 :: 3] = 0
        for optimizer, by_kernel in ((ours, True), (twin, False)):
            monkeypatch.setattr(rank_one_adam, "kernels_work", lambda tensor, answer=by_kernel: answer)
            optimizer.step(coefficients, gradients, 0.01, decay)
        if number == 2:
            index, fresh = torch.arange(gaussians + 4) % gaussians, torch.arange(gaussians + 4) >= gaussians
            for optimizer in (ours, twin):
                optimizer.select(index.to(DEVICE), fresh.to(DEVICE))
            gaussians += 4
    torch.testing.assert_close(ours.basis, twin.basis, rtol=0, atol=5e-6)
    for name, tensor in ours.state().items():
        torch.testing.assert_close(tensor, twin.state()[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [(20, 33, 3), (6, 11, 4), (31, 6, 1)])
def test_similarity_and_its_gradient_equal_torch(size) -> None:
    torch.manual_seed(1)
    target = torch.rand(size)
    noisy = (target + 0.2 * torch.randn(size)).clamp(0, 1)
    noisy[: size[0] // 3], target[: size[0] // 2] = 1, 1  # as avatars over white: no variance at all
    truth = noisy.double().requires_grad_()
    value = ssim_torch(truth, target.double())
    (3 * value).backward()
    image = noisy.to(DEVICE).requires_grad_()
    ours = ssim_on_cuda(image, target.to(DEVICE))
    (3 * ours).backward()
    assert abs(ours.item() - value.item()) < 2e-5
    varied = slice(size[0] // 3 + 6, None)  # elsewhere float32 and float64 clamp different signs of rounding
    torch.testing.assert_close(image.grad[varied].cpu().double(), truth.grad[varied], rtol=1e-3, atol=1e-6)
    with torch.no_grad():
        assert ssim_on_cuda(image, target.to(DEVICE)).item() == ours.item()


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_appearance_equals_torch(degree) -> None:
    torch.manual_seed(degree)
    arguments = random(130, 49), random(130, 3), random(3), degree
    for ours, twin in zip(appear(*arguments), appear_plainly(*arguments), strict=True):
        torch.testing.assert_close(ours, twin, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("compact", [False, True])
def test_an_avatar_shows_what_it_does_on_the_cpu(compact) -> None:
    avatar = small_avatar(90)
    if compact:
        avatar.stored_basis = CompactBasis.compressed(avatar.basis)
    camera = Camera(torch.tensor(look_at(0.2)).float(), torch.tensor(intrinsics()).float(), SIZE, SIZE)
    with torch.no_grad():
        expected = avatar.gaussians(EXPRESSION, camera)
        ours = CudaInference(avatar.to(DEVICE).eval()).gaussians(EXPRESSION.to(DEVICE), camera.to(DEVICE))
    for name, value in vars(expected).items():
        torch.testing.assert_close(getattr(ours, name).cpu(), value.detach().cpu(), rtol=1e-4, atol=1e-5)


def test_finishing_a_picture_equals_torch() -> None:
    torch.manual_seed(2)
    alpha, depth = torch.rand(9, 31, device=DEVICE), torch.rand(9, 31, 2, device=DEVICE)[..., 1]
    alpha[:3] = 0
    color = torch.rand(9, 31, 3, device=DEVICE) * alpha[..., None] * 1.2 - 0.02
    color = torch.cat([color, depth[..., None]], -1)[..., :3]  # as gsplat returns it
    rgba, metres = finish(color, alpha, depth, 2.0, 1e-6, NOTHING_HIT)
    torch.testing.assert_close(rgba, linear_premultiplied(color, alpha), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(metres, torch.where(alpha > 0, 2 * depth, NOTHING_HIT))
