# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPU rasterizer against gsplat: with its torch twins of the kernels, and with the kernels where there is CUDA."""

from dataclasses import fields

import pytest
import torch

from headgas.errors import HeadGaSError
from headgas.splatting import Gaussians, gsplat_rasterizer, rasterize
from headgas.splatting.example import egg
from tests.headgas.splatting.test_rasterize import parallel

NAMES = [field.name for field in fields(Gaussians)]


def leaves(gaussians: Gaussians, device: str = "cpu") -> Gaussians:
    return Gaussians(*(getattr(gaussians, name).detach().to(device).clone().requires_grad_() for name in NAMES))


def blend_every_pixel(
    means, conics, colors, opacities, width, height, tile_size, offsets, ids, backgrounds, packed, absgrad
):
    """What gsplat's rasterize_to_pixels kernel does to one image, dense; its torch twin needs CUDA."""
    assert means.shape[0] == colors.shape[0] == opacities.shape[0] == 1
    assert tile_size >= max(width, height), "one tile, so that its list is the depth order"
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    transmittance, live = torch.ones(height, width), torch.ones(height, width, dtype=torch.bool)
    total = torch.zeros(height, width, colors.shape[-1])
    for i in ids.tolist():
        dx, dy, conic = means[0, i, 0] - x, means[0, i, 1] - y, conics[0, i]
        sigma = 0.5 * (conic[0] * dx * dx + conic[2] * dy * dy) + conic[1] * dx * dy
        alpha = (opacities[0, i] * torch.exp(-sigma)).clamp_max(0.999)
        alpha = torch.where(live & (alpha >= 1 / 255) & (sigma >= 0), alpha, torch.zeros_like(alpha))
        live = live & (transmittance * (1 - alpha) > 1e-4)
        alpha = torch.where(live, alpha, torch.zeros_like(alpha))
        total = total + (transmittance * alpha)[..., None] * colors[0, i]
        transmittance = transmittance * (1 - alpha)
    return (total + transmittance[..., None] * backgrounds[0])[None], (1 - transmittance)[None, ..., None]


@pytest.fixture
def gsplat_without_cuda(monkeypatch):
    """gsplat's own `rasterization`, its kernels replaced by its torch twins."""
    gsplat = pytest.importorskip("gsplat", reason="gsplat is not installed")
    from gsplat import rendering
    from gsplat.cuda import _torch_impl as twins

    def projection(
        means, covars, quats, scales, viewmats, Ks, width, height, *, eps2d, packed, near_plane, far_plane, radius_clip,
        sparse_grad, calc_compensations, camera_model, opacities,
    ):  # fmt: skip
        covars, _ = twins._quat_scale_to_covar_preci(quats, scales, True, False)
        return twins._fully_fused_projection(
            means, covars, viewmats, Ks, width, height, eps2d, near_plane, far_plane, calc_compensations, camera_model
        )

    def tiles(
        means2d, radii, depths, tile_size, tile_width, tile_height, segmented, packed, n_images, image_ids, gaussian_ids
    ):
        return twins._isect_tiles(means2d.detach(), radii, depths.detach(), tile_size, tile_width, tile_height)

    monkeypatch.setattr(rendering, "fully_fused_projection", projection)
    monkeypatch.setattr(rendering, "isect_tiles", tiles)
    monkeypatch.setattr(rendering, "isect_offset_encode", twins._isect_offset_encode)
    monkeypatch.setattr(rendering, "rasterize_to_pixels", blend_every_pixel)
    monkeypatch.setattr(gsplat_rasterizer, "load_gsplat", lambda: gsplat)
    return gsplat


def compare(ours, theirs, our_gaussians, their_gaussians, our_offsets, their_offsets, tolerance):
    torch.manual_seed(0)
    g_color, g_alpha, g_depth = torch.randn_like(ours.color), torch.randn_like(ours.alpha), torch.randn_like(ours.alpha)
    for result in (ours, theirs):
        device = result.color.device
        assert (result.depth[result.alpha == 0] == 1e10).all()
        loss = (result.color * g_color.to(device)).sum() + (result.alpha * g_alpha.to(device)).sum()
        (loss + (result.depth * g_depth.to(device))[result.alpha > 0].sum()).backward()
    torch.testing.assert_close(ours.color, theirs.color.cpu(), rtol=0, atol=tolerance)
    torch.testing.assert_close(ours.alpha, theirs.alpha.cpu(), rtol=0, atol=tolerance)
    torch.testing.assert_close(ours.depth, theirs.depth.cpu(), rtol=tolerance, atol=0)
    pairs = {name: (getattr(our_gaussians, name).grad, getattr(their_gaussians, name).grad) for name in NAMES}
    for name, (our, their) in (pairs | {"screen_offsets": (our_offsets.grad, their_offsets.grad)}).items():
        error = (our - their.cpu()).norm() / their.norm().cpu()
        assert error < 100 * tolerance, f"{name}: {error:.1e}"


@pytest.mark.parametrize("orthographic", [False, True])
@pytest.mark.parametrize("antialiased", [False, True])
def test_numba_equals_gsplats_torch_twins(gsplat_without_cuda, antialiased, orthographic):
    gaussians, camera = egg(150, 16, 16, sigma=(0.4, 1.5), yaw=0.3)
    camera = parallel(camera) if orthographic else camera
    ours, theirs = leaves(gaussians), leaves(gaussians)
    our_offsets, their_offsets = (torch.zeros(150, 2, requires_grad=True) for _ in range(2))
    background = torch.tensor([0.2, 0.4, 0.6])
    our_result = rasterize(ours, camera, background=background, antialiased=antialiased, screen_offsets=our_offsets)
    fields_of_theirs = gsplat_rasterizer.rasterize_gsplat(
        theirs, camera, background, True, antialiased, 0.3, 0.01, 1 / 255, 0.999, their_offsets, None
    )
    compare(our_result, type(our_result)(*fields_of_theirs), ours, theirs, our_offsets, their_offsets, 2e-5)


def test_no_gaussians_need_no_gsplat():
    gaussians, camera = egg(5, 8, 9)
    none = Gaussians(*(getattr(gaussians, name)[:0].requires_grad_() for name in NAMES))
    color, alpha, depth = gsplat_rasterizer.rasterize_gsplat(
        none, camera, torch.tensor([0.1, 0.2, 0.3]), True, False, 0.3, 0.01, 1 / 255, 0.999, None, None
    )
    assert color.shape == (9, 8, 3) and (depth == 1e10).all()
    (color.sum() + alpha.sum()).backward()


def test_what_gsplat_cannot_do_is_refused():
    gaussians, camera = egg(5, 8, 9)
    rest = (torch.zeros(3), True, False, 0.3, 0.01)
    with pytest.raises(ValueError, match="compiled in"):
        gsplat_rasterizer.rasterize_gsplat(gaussians, camera, *rest, 1 / 255, 0.99, None, None)
    with pytest.raises(ValueError, match="must be zeros"):
        gsplat_rasterizer.rasterize_gsplat(gaussians, camera, *rest, 1 / 255, 0.999, torch.ones(5, 2), None)


def test_a_missing_gsplat_is_told_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gsplat", None)
    gsplat_rasterizer.load_gsplat.cache_clear()
    gaussians, camera = egg(5, 8, 9)
    with pytest.raises(HeadGaSError) as caught:
        gsplat_rasterizer.rasterize_gsplat(
            gaussians, camera, torch.zeros(3), True, False, 0.3, 0.01, 1 / 255, 0.999, None, None
        )
    assert "pip install gsplat==1.5.3" in caught.value.hint


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize(("channels", "orthographic"), [(3, False), (7, False), (3, True)])
def test_numba_equals_gsplat_on_cuda(antialiased, channels, orthographic):
    gaussians, camera = egg(5000, 128, 96, channels=channels, yaw=0.2)
    camera = parallel(camera) if orthographic else camera
    ours, theirs = leaves(gaussians), leaves(gaussians, "cuda")
    our_offsets = torch.zeros(5000, 2, requires_grad=True)
    their_offsets = torch.zeros(5000, 2, device="cuda", requires_grad=True)
    background = torch.rand(channels)
    our_result = rasterize(ours, camera, background=background, antialiased=antialiased, screen_offsets=our_offsets)
    their_result = rasterize(
        theirs, camera, background=background.cuda(), antialiased=antialiased, screen_offsets=their_offsets
    )
    compare(our_result, their_result, ours, theirs, our_offsets, their_offsets, 1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_nothing_to_see_on_cuda():
    gaussians, camera = egg(50, 33, 20)
    gaussians.means[:, 2] -= 100
    result = rasterize(leaves(gaussians, "cuda"), camera, background=torch.full((3,), 0.5, device="cuda"))
    assert (result.color == 0.5).all() and (result.alpha == 0).all() and (result.depth == 1e10).all()
