# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies behind an opaque surface does not contribute: the limit of depth per pixel."""

import pytest
import torch

from headgas.splatting import Gaussians, gsplat_limits, gsplat_rasterizer, rasterize
from headgas.splatting.example import egg
from headgas.splatting.reference import project
from tests.headgas.splatting.test_gsplat import gsplat_without_cuda  # noqa: F401

_RED = torch.tensor([0.9, 0.1, 0.2], dtype=torch.float64)


def sliced(width: int, height: int, **options):
    """An egg and the depth [H,W] of a plane that slices it slantwise; nothing is behind the last columns."""
    gaussians, camera = egg(300, width, height, **options)
    z = gaussians.means @ camera.viewmat[2, :3] + camera.viewmat[2, 3]
    rows, columns = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
    plane = z.mean() + z.std() * (0.9 * columns[None, :] - 0.5 * rows[:, None])
    plane[:, -width // 5 :] = torch.inf
    return gaussians, camera, plane


def per_gaussian(gaussians: Gaussians, camera, plane: torch.Tensor) -> torch.Tensor:
    """[H,W,3]: each pixel's Gaussians and the opaque red plane, in the order of their depths, one after the other."""
    double = Gaussians(*(value.double() for value in vars(gaussians).values()))
    means, inverse, _, depths = project(double, camera, 0.3)
    image = torch.zeros(camera.height, camera.width, 3, dtype=torch.float64)
    order = torch.argsort(depths)
    for row in range(camera.height):
        for column in range(camera.width):
            x, y = column + 0.5 - means[:, 0], row + 0.5 - means[:, 1]
            power = -(inverse[:, 0] * x * x + inverse[:, 2] * y * y) / 2 - inverse[:, 1] * x * y
            alphas = (double.opacities * power.exp()).clamp_max(0.999)
            left = 1.0
            for i in order[(alphas[order] >= 1 / 255) & (depths[order] >= 0.01)].tolist():
                if depths[i] > plane[row, column] or left * (1 - alphas[i]) <= 1e-4:
                    break
                image[row, column] += left * alphas[i] * double.colors[i]
                left *= 1 - alphas[i]
            if plane[row, column] < torch.inf:
                image[row, column] += left * _RED
    return image


@pytest.mark.parametrize("implementation", ["numba", "reference"])
def test_a_plane_through_the_head_hides_exactly_what_is_behind_it(implementation):
    gaussians, camera, plane = sliced(40, 36, sigma=(0.8, 3.0), yaw=0.3)
    dtype = torch.float32 if implementation == "numba" else torch.float64
    given = Gaussians(*(value.to(dtype) for value in vars(gaussians).values()))
    front = rasterize(given, camera, depth_limit=plane.to(dtype), implementation=implementation)
    through = (1 - front.alpha.double()) * (plane < torch.inf)
    merged = front.color.double() + through[..., None] * _RED
    torch.testing.assert_close(merged, per_gaussian(gaussians, camera, plane), rtol=0, atol=3e-5)
    whole = rasterize(given, camera, implementation=implementation)
    assert 0.2 < ((whole.alpha - front.alpha) > 0.05).double().mean() < 0.8 and (front.alpha > 0.05).sum() > 100


@pytest.mark.parametrize(("with_depth", "size"), [(True, (70, 45)), (False, (30, 64)), (True, (9, 3))])
def test_numba_equals_the_reference_within_limits(with_depth, size):
    gaussians, camera, plane = sliced(*size, sigma=(0.8, 3.0))
    plane[1, :4] = torch.tensor([0.0, -1.0, torch.nan, -torch.inf])
    double = Gaussians(*(value.double() for value in vars(gaussians).values()))
    options = {"with_depth": with_depth, "antialiased": True}
    ours = rasterize(gaussians, camera, depth_limit=plane, **options)
    truth = rasterize(double, camera, depth_limit=plane.double(), implementation="reference", **options)
    torch.testing.assert_close(ours.color.double(), truth.color, rtol=0, atol=2e-5)
    torch.testing.assert_close(ours.alpha.double(), truth.alpha, rtol=0, atol=2e-5)
    assert (ours.alpha[1, :4] == 0).all()
    assert (ours.depth is not None) == with_depth
    if with_depth:
        torch.testing.assert_close(ours.depth.double(), truth.depth, rtol=3e-5, atol=0)
        hit = ours.alpha > 0
        assert (ours.depth[hit] <= plane[hit] * 1.00001).all()


def test_infinite_limits_change_nothing():
    gaussians, camera = egg(300, 50, 40)
    limited = rasterize(gaussians, camera, depth_limit=torch.full((40, 50), torch.inf))
    free = rasterize(gaussians, camera)
    assert torch.equal(limited.color, free.color) and torch.equal(limited.alpha, free.alpha)
    assert torch.equal(limited.depth, free.depth)


@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("with_depth", [False, True])
def test_the_lists_of_gsplat_are_blended_as_numba_blends(gsplat_without_cuda, monkeypatch, antialiased, with_depth):  # noqa: F811
    gaussians, camera, plane = sliced(16, 16, sigma=(0.4, 1.5), yaw=0.3)
    monkeypatch.setattr(gsplat_without_cuda, "rasterize_to_indices_in_range", _listed)
    monkeypatch.setattr(gsplat_limits, "_BATCHES", 1)  # 300 Gaussians come in two parts
    background = torch.tensor([0.2, 0.4, 0.6])
    ours = rasterize(
        gaussians, camera, background=background, antialiased=antialiased, with_depth=with_depth, depth_limit=plane
    )
    theirs = gsplat_rasterizer.rasterize_gsplat(
        gaussians, camera, background, with_depth, antialiased, 0.3, 0.01, 1 / 255, 0.999, None, plane
    )
    torch.testing.assert_close(theirs[0], ours.color, rtol=0, atol=2e-5)
    torch.testing.assert_close(theirs[1], ours.alpha, rtol=0, atol=2e-5)
    if with_depth:
        torch.testing.assert_close(theirs[2], ours.depth, rtol=2e-5, atol=0)
    else:
        assert theirs[2] is None


def _listed(first, last, transmittances, means, conics, opacities, width, height, size, offsets, ids):
    """What gsplat's kernel lists, dense, for one tile: Gaussian, pixel, image."""
    assert size >= max(width, height)
    block = size * size
    indices, pixels = [], []
    for pixel in range(width * height):
        left = transmittances.flatten()[pixel].item()
        x, y = pixel % width + 0.5, pixel // width + 0.5
        for i in ids[first * block : last * block].tolist():
            a, b, c = conics[0, i].tolist()
            dx, dy = x - means[0, i, 0].item(), y - means[0, i, 1].item()
            sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
            alpha = min(0.999, opacities[0, i].item() * torch.tensor(-sigma).exp().item())
            if sigma < 0 or alpha < 1 / 255:
                continue
            if left * (1 - alpha) <= 1e-4:
                break
            indices.append(i)
            pixels.append(pixel)
            left *= 1 - alpha
    return torch.tensor(indices), torch.tensor(pixels), torch.zeros(len(pixels))


@pytest.mark.parametrize(
    ("limit", "words"),
    [(torch.zeros(10), "depth_limit must have the shape"), (torch.zeros(9, 10).double(), "must be torch.float32")],
)
def test_a_limit_that_does_not_fit_is_named(limit, words):
    gaussians, camera = egg(20, 10, 9)
    with pytest.raises(ValueError, match=words):
        rasterize(gaussians, camera, depth_limit=limit)


def test_gradients_with_limits_are_refused():
    gaussians, camera = egg(20, 10, 9)
    gaussians.means.requires_grad_()
    with pytest.raises(ValueError, match="no gradients"):
        rasterize(gaussians, camera, depth_limit=torch.ones(9, 10))
