# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking inside avatars: what each mode's colours say, fewer Gaussians, smaller ones."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from headgas.avatars import Avatar, SplatAvatar
from headgas.avatars.rendering import NOTHING_HIT, PlacedAvatar, Stage, linear_to_srgb
from headgas.errors import HeadGaSError
from headgas.evaluation import inspection as inspecting
from headgas.evaluation.inspection import MODES, Inspection, Inspector, View
from headgas.splatting.pixels import count_contributions
from headgas.splatting.splats import Splats
from tests.headgas.avatars import test_gaussian_head, test_modes
from tests.headgas.avatars.test_rendering import camera, placement, solid_avatar
from tests.headgas.avatars.test_splats import some_splats
from tests.headgas.conftest import SIZE, small_avatar

MIDDLE = SIZE // 2


def look(avatars: Avatar | list[Avatar], inspector: Inspector | None = None, apart: float = 0.0, **wanted) -> View:
    """Avatars at rest from the front, each `apart` metres behind the one before."""
    avatars = avatars if isinstance(avatars, list) else [avatars]
    placed = [
        PlacedAvatar(avatar, avatar.neutral(), placement(torch.eye(3), (0.0, apart * number, 0.0)))
        for number, avatar in enumerate(avatars)
    ]
    stage = Stage.of(placed, camera(yaw=0.0))
    return (inspector or Inspector()).view(stage, avatars, Inspection(**wanted))


def straight(view: View) -> Tensor:
    """sRGB [H,W,3], what a viewer sees."""
    return linear_to_srgb(view.image[..., :3] / view.image[..., 3:].clamp_min(1e-6))


def wall(count: int = 20, depth: float = 0.0, tilt: float = 0.0, opacity: float = 0.99) -> SplatAvatar:
    """A square of flat grey Gaussians `depth` metres behind the origin, turned about the vertical by `tilt` radians."""
    x, z = torch.meshgrid(*(torch.linspace(-0.1, 0.1, count),) * 2, indexing="ij")
    flat = torch.stack([x.flatten(), torch.zeros(count * count), z.flatten()], 1)
    turn = torch.tensor([[math.cos(tilt), -math.sin(tilt), 0], [math.sin(tilt), math.cos(tilt), 0], [0, 0, 1.0]])
    quaternions = torch.tensor([[math.cos(tilt / 2), 0, 0, math.sin(tilt / 2)]]).repeat(len(flat), 1)
    scales = torch.tensor([[0.2 / count, 1e-4, 0.2 / count]]).repeat(len(flat), 1)
    logits = torch.full((len(flat),), math.log(opacity / (1 - opacity)))
    means = flat @ turn.T + torch.tensor([0.0, depth, 0.0])
    return SplatAvatar(Splats(means, quaternions, scales.log(), logits, torch.zeros(len(flat), 1, 3)))


def test_a_picture_is_what_it_was_and_each_mode_is_something_else() -> None:
    avatar, inspector = small_avatar(200), Inspector()
    picture = look(avatar, inspector)
    image, depth = picture.stage.picture()
    assert torch.equal(picture.image, image) and torch.equal(picture.depth, depth) and picture.legend == ""
    seen = [image]
    for mode in MODES[1:]:
        view = look(avatar, inspector, mode=mode, parameter="jawOpen")
        assert view.legend and torch.equal(view.depth, depth)
        assert torch.equal(view.image[..., 3] > 0, image[..., 3] > 0) or mode == "count"
        assert all((view.image - other).abs().max() > 0.05 for other in seen), mode
        assert torch.equal(view.image, look(avatar, inspector, mode=mode, parameter="jawOpen").image)
        seen.append(view.image)


@pytest.mark.parametrize("mode", MODES[1:])
def test_no_avatar_is_an_empty_picture(mode: str) -> None:
    view = look([], mode=mode, parameter="jaw")
    assert not view.image.any() and (view.depth == NOTHING_HIT).all()


def test_depth_is_grey_from_each_avatar_s_nearest_point_to_its_farthest() -> None:
    tilted = wall(tilt=math.radians(45))
    view = look([tilted, wall(depth=0.3)], apart=0.0, mode="depth")
    grey = straight(view)[MIDDLE, :, 0]
    inside = view.image[MIDDLE, :, 3] > 0.99
    near, far = (0.6 + sign * 0.1 * math.sin(math.radians(45)) for sign in (-1, 1))
    assert f"white {near:.3f} m, black {far:.3f} m" in view.legend and "; white 0.900 m, black 0.900 m" in view.legend
    expected = (far - view.depth[MIDDLE]) / (far - near)
    front = inside & (view.depth[MIDDLE] < 0.68)
    assert front.sum() > 10
    torch.testing.assert_close(grey[front], expected[front], atol=0.03, rtol=0)
    assert grey[front].max() - grey[front].min() > 0.5


def test_the_depths_of_an_orthographic_camera_are_told_from_where_it_stands() -> None:
    view = replace(camera(yaw=0.0), orthographic=True, K=camera().K @ torch.diag(torch.tensor([2.0, 2.0, 1.0])))
    avatar = wall(tilt=math.radians(30))
    placed = [PlacedAvatar(avatar, avatar.neutral(), placement(2 * torch.eye(3)))]
    told = Inspector().view(Stage.of(placed, view), [avatar], Inspection("depth"))
    assert "white 0.500 m, black 0.700 m" in told.legend


@pytest.mark.parametrize("degrees", [0, 40, -60, 180])
def test_normals_turn_with_the_surface_and_face_the_viewer(degrees: int) -> None:
    angle = math.radians(degrees)
    color = straight(look(wall(tilt=angle), mode="normal"))[MIDDLE, MIDDLE]
    normal = torch.tensor([math.sin(angle), 0.0, math.cos(angle)])  # of what faces -Y, turned: right, up, to the viewer
    normal = normal if normal[2] > 0 else -normal
    torch.testing.assert_close(color, (normal + 1) / 2, atol=0.02, rtol=0)


def test_opacity_is_alpha_as_an_opaque_grey() -> None:
    avatar = wall(opacity=0.3)
    view, alpha = look(avatar, mode="opacity"), look(avatar).image[..., 3]
    assert 0.2 < alpha[MIDDLE, MIDDLE] < 0.99
    assert torch.equal(view.image[..., 3], (alpha > 1e-6).float())
    torch.testing.assert_close(straight(view)[..., 1], alpha, atol=1e-4, rtol=0)


def test_count_is_a_colour_on_the_stated_scale() -> None:
    avatars: list[Avatar] = [wall(12, depth=0.001 * number, opacity=0.02) for number in range(30)]
    view = look(avatars, mode="count")
    stage = view.stage
    counts = count_contributions(stage.gaussians, stage.camera, antialiased=stage.antialiased, near=stage.near)
    assert f"violet 1, green 50, yellow 100 or more; here up to {counts.max()}" in view.legend
    assert (counts == 0).any() and (counts == 50).any() and (counts > 100).any()
    shares = np.clip(counts.numpy() / 100, 0, 1)
    steps = np.linspace(0, 1, len(inspecting._RAMP))
    expected = np.stack([np.interp(shares, steps, channel) for channel in zip(*inspecting._RAMP, strict=True)], -1)
    assert torch.equal(view.image[..., 3], (counts > 0).float())
    np.testing.assert_allclose(straight(view)[counts > 0], expected[counts > 0], atol=1e-3)


@pytest.mark.parametrize(
    ("avatar", "name"),
    [(small_avatar, "feature basis"), (test_modes.avatar, "shares of the motion modes"),
     (test_gaussian_head.small_gaussian_head, "factors at rest"), (lambda: SplatAvatar(some_splats()), "colours")],
)  # fmt: skip
def test_like_features_have_like_colours(avatar, name: str) -> None:
    model = avatar()
    features = model.features()[0]
    assert features.shape[1] == model.count
    inspector = Inspector()
    view = look(model, inspector, mode="features")
    assert name in view.legend and "% of their variance" in view.legend
    assert straight(view)[view.image[..., 3] > 0.5].std(0).min() > 0.01


def test_influence_is_what_a_parameter_alone_changes() -> None:
    still, moving = small_avatar(200), test_modes.avatar(200)
    still.basis[2] = 0  # eyeBlinkLeft does nothing
    assert not straight(look(still, mode="influence", parameter="eyeBlinkLeft"))[..., :3].max() > 0.01
    jaw = straight(look(still, mode="influence", parameter="jawOpen"))
    assert jaw[..., 0].max() < 0.01 and jaw[..., 1].max() > 0.3 and jaw[..., 2].max() > 0.3
    moved = straight(look(moving, mode="influence", parameter="jaw"))
    assert moved[..., 0].max() > 0.3 and moved[..., 1:].max() < 0.05  # this model's Gaussians only move
    both = look([still, moving], apart=0.5, mode="influence", parameter="jaw")
    assert both.legend.startswith("jaw at 1.00: full red moves ") and ";" not in both.legend
    with pytest.raises(HeadGaSError, match="no parameter|has a parameter") as error:
        look([still, moving], mode="influence", parameter="nose")
    assert "jawOpen" in error.value.hint and "smile" in error.value.hint


def test_what_matters_least_goes_first() -> None:
    avatar, inspector = solid_avatar(0.5), Inspector()
    with torch.no_grad():
        avatar.means[:100] *= 0.2  # hidden inside
    views = [look(avatar, inspector, fraction=share) for share in (1.0, 200 / 300, 0.2, 0.0)]
    shown = [int((view.stage.gaussians.opacities > 0).sum()) for view in views]
    assert shown[1:] == [200, 60, 0]
    assert not views[2].stage.gaussians.opacities[:100].any()
    assert (views[1].image - views[0].image).abs().max() < 0.02
    assert views[2].image[..., 3].sum() < 0.9 * views[0].image[..., 3].sum() and not views[3].image.any()
    assert torch.equal(look(avatar, inspector).image, views[0].image)  # nothing that is kept was changed


def test_ellipsoids_shrink_about_their_centres() -> None:
    avatar = solid_avatar(0.5)
    whole, small = look(avatar), look(avatar, scale=0.25)
    assert torch.equal(small.stage.gaussians.means, whole.stage.gaussians.means)
    torch.testing.assert_close(small.stage.gaussians.scales, whole.stage.gaussians.scales / 4)
    assert 0.05 * whole.image[..., 3].sum() < small.image[..., 3].sum() < 0.8 * whole.image[..., 3].sum()


@pytest.mark.parametrize(
    "wrong",
    [{"mode": "xray"}, {"mode": 3}, {"mode": "influence"}, {"fraction": 1.1}, {"scale": -0.1}, {"fraction": "half"},
     {"scale": math.nan}, {"speed": 1}, {"mode": "influence", "parameter": 5}],
)  # fmt: skip
def test_what_cannot_be_shown_is_refused(wrong: dict) -> None:
    with pytest.raises(HeadGaSError):
        Inspection.of(wrong)
