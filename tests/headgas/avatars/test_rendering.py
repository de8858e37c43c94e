# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""One picture of placed avatars: transforms against covariances written out, occlusion, colour and depth."""

import math

import pytest
import torch
from torch import Tensor

from headgas.avatars import HeadGaS
from headgas.avatars.rendering import (
    NOTHING_HIT,
    PlacedAvatar,
    finished,
    finished_plainly,
    linear_premultiplied,
    linear_to_srgb,
    render_frame,
    srgb_to_linear,
)
from headgas.errors import HeadGaSError
from headgas.splatting import Camera, Gaussians, rasterize
from tests.headgas.conftest import SIZE, intrinsics, look_at, small_avatar

EXPRESSION = torch.tensor([0.6, 0.1, 0.9])
_TURN = torch.linalg.matrix_exp(torch.tensor([[0.0, -0.7, 0.2], [0.7, 0.0, -0.4], [-0.2, 0.4, 0.0]]))
LINEAR = {
    "rotation and uniform scale": 1.3 * _TURN,
    "non-uniform scale": _TURN @ torch.diag(torch.tensor([0.6, 1.4, 1.0])),
    "shear": torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, -0.3], [0.0, 0.0, 0.8]]),
    "mirror": torch.diag(torch.tensor([-1.0, 1.0, 1.0])),
    "mirror, turned and stretched": _TURN @ torch.diag(torch.tensor([-0.7, 1.2, 1.0])),
}


def camera(yaw: float = 0.2) -> Camera:
    return Camera(torch.tensor(look_at(yaw)).float(), torch.tensor(intrinsics()).float(), SIZE, SIZE)


def placement(linear: Tensor, offset: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Tensor:
    transform = torch.eye(4)
    transform[:3, :3], transform[:3, 3] = linear, torch.tensor(offset)
    return transform


def stretched_avatar(seed: int = 0) -> HeadGaS:
    """Gaussians like needles and leaves: a wrong rotation shows."""
    avatar = small_avatar(seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        avatar.log_scales.copy_(math.log(0.012) + 0.9 * torch.randn(avatar.log_scales.shape, generator=generator))
        avatar.quaternions.copy_(torch.randn(avatar.quaternions.shape, generator=generator))
    return avatar


def _rotations(q: Tensor) -> Tensor:
    """Matrices [N,3,3] of quaternions [N,4] wxyz: the sandwich q v q* of each axis."""
    q = torch.nn.functional.normalize(q, dim=1)
    w, u = q[:, :1], q[:, 1:]
    columns = []
    for axis in torch.eye(3, dtype=q.dtype):
        t = 2 * torch.linalg.cross(u, axis.expand_as(u))
        columns.append(axis + w * t + torch.linalg.cross(u, t))
    return torch.stack(columns, 2)


def _covariances(gaussians: Gaussians) -> Tensor:
    """R S Sᵀ Rᵀ [N,3,3], float64."""
    factor = _rotations(gaussians.quaternions.double()) * gaussians.scales.double()[:, None, :]
    return factor @ factor.transpose(1, 2)


def _on_the_picture(gaussians: Gaussians, view: Tensor) -> tuple[Tensor, Tensor]:
    """Means [N,2] x/z, y/z and covariances [N,3,3] over z², before a camera with `view` [4,4]; float64."""
    linear, offset = view.double()[:3, :3], view.double()[:3, 3]
    means = gaussians.means.double() @ linear.T + offset
    depth = means[:, 2:]
    return means[:, :2] / depth, linear @ _covariances(gaussians) @ linear.T / depth[:, :, None] ** 2


@pytest.mark.parametrize("name", LINEAR)
def test_a_transform_carries_the_covariances(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Σ' = A Σ Aᵀ and μ' = A μ + t; colours are those that the camera would see in head space."""
    avatar, transform, view = stretched_avatar(), placement(LINEAR[name], (0.1, -0.2, 0.05)), camera()
    seen = []

    def record(gaussians: Gaussians, camera: Camera, **options):
        seen.append((gaussians, camera))
        return rasterize(gaussians, camera, **options)

    monkeypatch.setattr("headgas.avatars.rendering.rasterize", record)
    render_frame([PlacedAvatar(avatar, EXPRESSION, transform)], view)
    got, got_camera = seen[0]
    place = torch.linalg.inv(transform.double()) @ torch.cat([view.position.double(), torch.ones(1).double()])
    at_head = torch.eye(4)
    at_head[:3, 3] = -place[:3].float()
    with torch.inference_mode():
        plain = avatar.gaussians(EXPRESSION, Camera(at_head, view.K, SIZE, SIZE))
    means, covariances = _on_the_picture(plain, view.viewmat.double() @ transform.double())
    got_means, got_covariances = _on_the_picture(got, got_camera.viewmat)
    size = covariances.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
    assert ((got_covariances - covariances).abs() / size).max() < 1e-4
    torch.testing.assert_close(got_means, means, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(got.colors, plain.colors, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(got.opacities, plain.opacities)
    assert (got.scales >= 0).all()


@pytest.mark.parametrize("scale", [1.0, 0.3, 5.0])
def test_moving_avatar_and_camera_together_changes_nothing(scale: float) -> None:
    avatar, view = stretched_avatar(), camera()
    image, depth = render_frame([PlacedAvatar(avatar, EXPRESSION, torch.eye(4))], view)
    moved = placement(scale * _TURN, (0.3, -0.4, 0.2))
    to_camera = view.viewmat.double() @ torch.linalg.inv(moved.double())
    to_camera[:3] *= scale  # the camera itself stays rigid
    moved_view = Camera(to_camera.float(), view.K, SIZE, SIZE)
    moved_image, moved_depth = render_frame([PlacedAvatar(avatar, EXPRESSION, moved)], moved_view)
    assert image[..., 3].max() > 0.5
    torch.testing.assert_close(moved_image, image, atol=1e-3, rtol=0)
    hit = (depth < NOTHING_HIT) & (image[..., 3] > 0.01)
    torch.testing.assert_close(moved_depth[hit], scale * depth[hit], atol=0, rtol=1e-3)


def test_a_mirrored_avatar_is_the_mirror_image() -> None:
    avatar, view = stretched_avatar(), camera(yaw=0.0)
    image, depth = render_frame([PlacedAvatar(avatar, EXPRESSION, torch.eye(4))], view)
    mirrored, mirrored_depth = render_frame([PlacedAvatar(avatar, EXPRESSION, placement(LINEAR["mirror"]))], view)
    torch.testing.assert_close(mirrored, image.flip(1), atol=1e-4, rtol=0)
    torch.testing.assert_close(mirrored_depth, depth.flip(1), atol=1e-4, rtol=1e-4)
    assert (image - image.flip(1)).abs().max() > 0.1


def solid_avatar(color: float) -> HeadGaS:
    """A ball whose every Gaussian is opaque and of one grey."""
    avatar = small_avatar(count=300)
    avatar.basis = torch.zeros_like(avatar.basis)
    with torch.no_grad():
        avatar.log_scales.fill_(math.log(0.02))
        layer = avatar.decoder.output_layer
        layer.weight.zero_()
        layer.bias.zero_()
        layer.bias[:3] = (color - 0.5) / 0.28209479177387814  # the constant harmonic, 1 / (2 √π)
        layer.bias[-1] = 6.0
    return avatar.eval()


@pytest.mark.parametrize("order", [1, -1])
def test_the_nearer_avatar_hides_the_other(order: int) -> None:
    view, middle = camera(yaw=0.0), SIZE // 2
    near = PlacedAvatar(solid_avatar(0.9), EXPRESSION, placement(0.4 * torch.eye(3), (0.0, -0.15, 0.0)))
    far = PlacedAvatar(solid_avatar(0.2), EXPRESSION, placement(1.5 * torch.eye(3), (0.0, 0.3, 0.0)))
    image, depth = render_frame([near, far][::order], view)
    alone, alone_depth = render_frame([near], view)
    assert image[middle, middle, 3] > 0.99
    torch.testing.assert_close(image[middle, middle], alone[middle, middle], atol=0.02, rtol=0)
    assert depth[middle, middle] == pytest.approx(float(alone_depth[middle, middle]), abs=0.01)
    assert image[middle, middle, 0] == pytest.approx(float(srgb_to_linear(torch.tensor(0.9))), abs=0.02)
    behind = render_frame([far], view)[0]
    beside = (alone[..., 3] == 0) & (behind[..., 3] > 0.9)
    assert beside.any()
    torch.testing.assert_close(image[beside], behind[beside])


def test_depth_is_the_distance_along_the_view_and_far_away_where_nothing_is() -> None:
    placed = PlacedAvatar(solid_avatar(0.5), EXPRESSION, torch.eye(4))
    view = camera(yaw=0.0)
    image, depth = render_frame([placed], view)
    with torch.inference_mode():
        gaussians = placed.avatar.gaussians(EXPRESSION, view)
        reference = rasterize(gaussians, view, with_depth=True, antialiased=placed.avatar.antialiased,
                              implementation="reference").depth  # fmt: skip
    hit = image[..., 3] > 0.01
    torch.testing.assert_close(depth[hit], reference[hit], atol=1e-4, rtol=0)
    assert 0.47 < depth[SIZE // 2, SIZE // 2] < 0.53  # 0.6 m to the centre of a ball of 0.1 m
    assert depth[0, 0] == NOTHING_HIT == 1e10 and image[0, 0].abs().max() == 0
    assert ((depth == NOTHING_HIT) == (image[..., 3] <= 1e-6)).all()


def test_no_avatar_is_an_empty_picture() -> None:
    image, depth = render_frame([], camera())
    assert image.shape == (SIZE, SIZE, 4) and not image.any() and (depth == NOTHING_HIT).all()


def test_nothing_nearer_than_the_near_plane_is_drawn() -> None:
    placed = PlacedAvatar(solid_avatar(0.5), EXPRESSION, torch.eye(4))
    assert not render_frame([placed], camera(), near=1.0)[0].any()


@pytest.mark.parametrize(("scale", "count"), [(1.0, 1), (2.5, 1), (0.4, 2)])
@pytest.mark.parametrize("orthographic", [False, True])
def test_nothing_farther_than_the_far_plane_is_drawn(scale: float, count: int, orthographic: bool) -> None:
    """As with a depth limit that is the same everywhere."""
    view = camera()
    placed = [
        PlacedAvatar(small_avatar(), EXPRESSION, placement(scale * torch.eye(3), (0.1 * n, 0, 0))) for n in range(count)
    ]
    if orthographic:
        K = torch.tensor([[3.0 * SIZE, 0, SIZE / 2], [0, 3.0 * SIZE, SIZE / 2], [0, 0, 1]])
        view = Camera(view.viewmat, K, SIZE, SIZE, orthographic=True)
    whole, depth = render_frame(placed, view)
    middle = float(depth[whole[..., 3] > 0.5].median())
    clipped = render_frame(placed, view, far=middle)
    limited = render_frame(placed, view, depth_limit=torch.full_like(depth, middle))
    for one, other in zip(clipped, limited, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert 0.1 < clipped[0][..., 3].sum() / whole[..., 3].sum() < 0.95
    assert (render_frame(placed, view, far=1e3)[0] == whole).all()


@pytest.mark.parametrize("scales", [(0.0, 0.0, 0.0), (1.0, 1.0, 0.0), (math.nan, 1.0, 1.0)])
def test_an_avatar_scaled_to_nothing_is_refused(scales: tuple[float, float, float]) -> None:
    with pytest.raises(HeadGaSError, match="scaled to nothing"):
        render_frame([PlacedAvatar(small_avatar(), EXPRESSION, placement(torch.diag(torch.tensor(scales))))], camera())


def test_the_sum_is_decoded_not_each_gaussian() -> None:
    """srgb_to_linear(C / A) · A, written out for one pixel at a time."""
    color = torch.tensor([[[0.1, 0.2, 0.3], [0.45, 0.9, 0.0], [0.0, 0.0, 0.0], [1.2, 0.01, 0.5]]])
    alpha = torch.tensor([[0.5, 0.9, 0.0, 1.0]])
    got = linear_premultiplied(color, alpha)
    assert got.shape == (1, 4, 4)
    for x in range(4):
        a = float(alpha[0, x])
        assert float(got[0, x, 3]) == a
        for channel in range(3):
            straight = float(color[0, x, channel]) / a if a else 0.0
            linear = straight / 12.92 if straight <= 0.04045 else ((straight + 0.055) / 1.055) ** 2.4
            assert float(got[0, x, channel]) == pytest.approx(linear * a, abs=1e-6)


def test_the_two_curves_are_inverse() -> None:
    values = torch.linspace(0, 2, 1001)
    torch.testing.assert_close(linear_to_srgb(srgb_to_linear(values)), values, atol=1e-5, rtol=1e-5)
    assert float(srgb_to_linear(torch.tensor(0.5))) == pytest.approx(0.21404114, abs=1e-6)
    assert srgb_to_linear(torch.tensor(-1.0)) == 0 == linear_to_srgb(torch.tensor(-1.0))


@pytest.mark.parametrize(("height", "width"), [(1, 16), (4, 4), (7, 11), (37, 53), (128, 96)])
def test_pictures_are_finished_as_plain_torch_finishes_them(height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(0)
    alpha = torch.rand(height, width, generator=generator)
    alpha[torch.rand(height, width, generator=generator) < 0.3] = 0
    color = (1.3 * torch.rand(height, width, 3, generator=generator) - 0.1) * alpha[..., None]
    depth = torch.rand(height, width, generator=generator)
    for got, wanted in zip(finished(color, alpha, depth, 0.7), finished_plainly(color, alpha, depth, 0.7), strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("scale", "count"), [(1.0, 1), (2.5, 1), (0.4, 2)])
@pytest.mark.parametrize("orthographic", [False, True])
def test_a_depth_limit_is_in_metres_of_the_world(scale: float, count: int, orthographic: bool) -> None:
    """What lies in front of a plane and what lies behind it make the whole where one of them is nothing."""
    avatar, view = small_avatar(), camera()
    placed = [PlacedAvatar(avatar, EXPRESSION, placement(scale * torch.eye(3), (0.1 * n, 0, 0))) for n in range(count)]
    if orthographic:
        K = torch.tensor([[3.0 * SIZE, 0, SIZE / 2], [0, 3.0 * SIZE, SIZE / 2], [0, 0, 1]])
        view = Camera(view.viewmat, K, SIZE, SIZE, orthographic=True)
    whole, depth = render_frame(placed, view)
    hit = whole[..., 3] > 0.5
    for limit, kept in ((depth[hit].min() - 0.3 * scale, 0.0), (depth[hit].max() + 0.3 * scale, 1.0)):
        image, _ = render_frame(placed, view, depth_limit=torch.full_like(depth, float(limit)))
        torch.testing.assert_close(image, kept * whole, rtol=0, atol=1e-6)
    half, nearer = render_frame(placed, view, depth_limit=depth)
    assert (half[..., 3] <= whole[..., 3] + 1e-6).all() and 0.1 < half[hit][:, 3].mean() < whole[hit][:, 3].mean()
    seen = half[..., 3] > 1e-3
    assert (nearer[seen] <= depth[seen] * 1.0001).all()
