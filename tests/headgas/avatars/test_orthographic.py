# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars before orthographic cameras: their colours, their places in the world, and near planes behind the camera."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from headgas.avatars import Avatar, SplatAvatar
from headgas.avatars.framing import parallel, visible_bounds
from headgas.avatars.rendering import NOTHING_HIT, PlacedAvatar, Stage, render_frame
from headgas.splatting import Camera
from tests.headgas.avatars import test_blendshapes, test_gaussian_head, test_inference, test_modes
from tests.headgas.avatars.test_rendering import (
    EXPRESSION,
    LINEAR,
    camera,
    placement,
    solid_avatar,
    stretched_avatar,
)
from tests.headgas.avatars.test_splats import some_splats
from tests.headgas.conftest import SIZE, small_avatar

KINDS: dict[str, Callable[[], Avatar]] = {
    "headgas": small_avatar,
    "modes": test_modes.avatar,
    "gaussian_head": test_gaussian_head.small_gaussian_head,
    "blendshapes": lambda: test_blendshapes.avatar("points"),
    "splats": lambda: SplatAvatar(some_splats()),
}


def before(view: Camera, metres: float = 0.6) -> Camera:
    """The orthographic camera that shows what is so far away as large as `view` does."""
    return replace(view, K=view.K @ torch.diag(torch.tensor([1 / metres, 1 / metres, 1.0])), orthographic=True)


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_colours_are_those_seen_from_far_behind_the_camera(kind: str) -> None:
    avatar, view = KINDS[kind](), before(camera())
    expression = avatar.neutral() + 0.3
    far = view.viewmat.clone()
    far[2, 3] = 5000.0
    ours = avatar.gaussians(expression, view).colors
    torch.testing.assert_close(ours, avatar.gaussians(expression, replace(view, viewmat=far)).colors, atol=1e-4, rtol=0)
    distant = avatar.gaussians(expression, Camera(far, view.K, SIZE, SIZE)).colors
    torch.testing.assert_close(ours, distant, atol=2e-3, rtol=0)
    if kind != "blendshapes":  # which is so large that a camera at half a metre stands within
        assert (ours - avatar.gaussians(expression, camera()).colors).abs().max() > 0.01


@pytest.mark.parametrize("yaw", [0.0, 1.0])
@pytest.mark.parametrize("side", [0.0, 0.12])
@torch.inference_mode()
def test_the_short_way_gives_the_plain_picture(yaw: float, side: float) -> None:
    model = test_inference.avatar(2000)
    value = test_inference.expression(model)
    view = before(test_inference.camera(yaw, side=side), 0.15)
    fast = test_inference.check(model, value, view)
    plain = model.gaussians(value, view)
    assert ((fast.opacities == 0) & (plain.opacities > 0.1)).any()  # what is outside of the frame
    pinhole = test_inference.camera(yaw, side=side)
    model.visible_gaussians(value, replace(pinhole, K=view.K))
    test_inference.check(model, value, view)  # the same matrices, and another camera


@pytest.mark.parametrize("name", ["rotation and uniform scale", "non-uniform scale", "mirror"])
def test_the_camera_may_stand_anywhere_along_its_axis(name: str) -> None:
    placed = [PlacedAvatar(stretched_avatar(), EXPRESSION, placement(LINEAR[name], (0.1, -0.2, 0.05)))]
    view = before(camera())
    image, depth = render_frame(placed, view)
    hit = image[..., 3] > 0.01
    assert hit.any() and not hit.all()
    for back in (-0.6, -400.0, 2000.0):  # amid the avatar, far behind it, far before it
        viewmat = view.viewmat.clone()
        viewmat[2, 3] += back
        moved, far = render_frame(placed, replace(view, viewmat=viewmat), near=-1e5)
        torch.testing.assert_close(moved, image, atol=2e-3, rtol=0)
        torch.testing.assert_close(far[hit], depth[hit] + back, atol=2e-3, rtol=0)
        assert (far[depth == NOTHING_HIT] == NOTHING_HIT).all()


def test_an_avatar_s_size_in_pixels_follows_its_scale_and_not_its_distance() -> None:
    view = before(camera(yaw=0.0))
    seen = []
    for scale, away in ((1.0, 0.0), (1.0, 3.0), (0.5, 0.0)):
        transform = placement(scale * torch.eye(3), (0.0, away, 0.0))
        image, depth = render_frame([PlacedAvatar(solid_avatar(0.5), EXPRESSION, transform)], view)
        seen.append(float((image[..., 3] > 0.5).sum()))
        assert depth[SIZE // 2, SIZE // 2] == pytest.approx(0.6 + away - 0.1 * scale, abs=0.04)
    assert seen[1] == seen[0] and seen[2] == pytest.approx(seen[0] / 4, rel=0.2)


def test_nothing_nearer_than_the_near_plane_is_drawn() -> None:
    view = before(camera(yaw=0.0))
    avatars = [PlacedAvatar(solid_avatar(0.5), EXPRESSION, placement(torch.eye(3), (0.0, y, 0.0))) for y in (0.0, 2.0)]
    for near, depth in ((0.01, 0.5), (1.5, 2.5), (-3.0, 0.5)):
        _, got = render_frame(avatars, view, near)
        assert got[SIZE // 2, SIZE // 2] == pytest.approx(depth, abs=0.04)
    assert not render_frame(avatars, view, near=4.0)[0].any()


def test_parallel_keeps_the_middle_of_the_avatar_where_it_is() -> None:
    avatar, view = solid_avatar(0.5), camera()
    shown = parallel(view, visible_bounds(avatar))
    assert shown.orthographic
    pictures = [render_frame([PlacedAvatar(avatar, EXPRESSION, torch.eye(4))], c)[0][..., 3] for c in (view, shown)]
    sizes = [float(picture.sum()) for picture in pictures]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    for axis in (rows, columns):
        middles = [float((axis * picture).sum() / picture.sum()) for picture in pictures]
        assert middles[1] == pytest.approx(middles[0], abs=0.5)


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_coverage_is_each_avatar_s_share_of_alpha(count: int) -> None:
    view = camera(yaw=0.0)
    placed = [
        PlacedAvatar(
            solid_avatar(0.2), EXPRESSION, placement(0.7 * torch.eye(3), (0.05 * number, 0.1 * number, 0.0))
        )
        for number in range(count)
    ]
    stage = Stage.of(placed, view)
    image, _ = stage.picture()
    planes = stage.coverage(image)
    assert planes.shape == (count, SIZE, SIZE)
    torch.testing.assert_close(planes.sum(0), image[..., 3], atol=1e-5, rtol=0)
    covered = 0.0
    for number, item in enumerate(placed):  # each hides those behind it
        alone = render_frame([item], view)[0][..., 3]
        torch.testing.assert_close(planes[number], alone * (1 - covered), atol=0.1, rtol=0)
        assert planes[number].max() > 0.5
        covered = covered + planes[number]
