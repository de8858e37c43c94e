# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""One picture of one or several avatars in a world: what Blender and `headgas render` show."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headgas.avatars.avatar import Avatar
from headgas.avatars.finishing import finish
from headgas.errors import HeadGaSError
from headgas.splatting import Camera, Gaussians, rasterize
from headgas.splatting.simd import LANES

NOTHING_HIT = 1e10  # metres: Blender's depth where a ray hits nothing
_VISIBLE = 1e-6  # alpha below is no colour


@dataclass(frozen=True)
class PlacedAvatar:
    """An avatar with its expression and its place."""

    avatar: Avatar
    expression: Tensor  # [B]
    transform: Tensor  # [4,4] float32, head space to world; may scale, not flatten


@torch.inference_mode()
def render_frame(placed: Sequence[PlacedAvatar], camera: Camera, near: float = 0.01) -> tuple[Tensor, Tensor]:
    """Renders avatars together, so that they hide and blend with each other.

    Args:
        camera: in the world.
        near: metres; nothing nearer is drawn.

    Returns:
        [H,W,4] scene-linear premultiplied RGBA, and [H,W] camera-space depth in metres, 1e10 where nothing is hit.

    Raises:
        HeadGaSError: an expression or a transform cannot be used.
    """
    if not placed:
        empty = torch.zeros(camera.height, camera.width)
        return empty[..., None].repeat(1, 1, 4), torch.full_like(empty, NOTHING_HIT)
    camera = camera.to(placed[0].avatar.device)
    places = [_Place(item.transform.to(camera.viewmat)) for item in placed]
    scale = 1.0
    if len(placed) == 1 and places[0].scale:  # the same picture, without moving a single Gaussian
        scale, camera = places[0].scale, places[0].seen_from_head(camera)
        gaussians = placed[0].avatar.visible_gaussians(placed[0].expression.to(camera.viewmat), camera)
    else:
        gaussians = _joined([_in_world(item, place, camera) for item, place in zip(placed, places, strict=True)])
    antialiased = all(item.avatar.antialiased for item in placed)
    rendering = rasterize(gaussians, camera, antialiased=antialiased, near=near / scale, with_depth=True)
    assert rendering.depth is not None
    if rendering.alpha.is_cuda or rendering.alpha.numel() < LANES:
        return finish_plainly(rendering.color, rendering.alpha, rendering.depth, scale)
    return finish(rendering.color, rendering.alpha, rendering.depth, _VISIBLE, scale, NOTHING_HIT)


def finish_plainly(color: Tensor, alpha: Tensor, depth: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """What `finish` does, in plain torch: what CUDA runs, and its twin."""
    distance = torch.where(alpha > _VISIBLE, depth * scale, torch.full_like(depth, NOTHING_HIT))
    return linear_premultiplied(color, alpha), distance


def linear_premultiplied(color: Tensor, alpha: Tensor) -> Tensor:
    """srgb_to_linear(C / A) · A with A behind it: [H,W,3] and [H,W] to [H,W,4].

    Gaussians are blended in sRGB, as they were trained; the sum, not each Gaussian, is decoded
    (KHR_gaussian_splatting).
    """
    straight = color / alpha[..., None].clamp_min(_VISIBLE)
    return torch.cat([srgb_to_linear(straight) * alpha[..., None], alpha[..., None]], -1)


def srgb_to_linear(color: Tensor) -> Tensor:
    """IEC 61966-2-1, values above 1 continue the curve, negative ones become 0."""
    color = color.clamp_min(0)
    return torch.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(color: Tensor) -> Tensor:
    """The inverse of `srgb_to_linear`."""
    color = color.clamp_min(0)
    return torch.where(color <= 0.0031308, color * 12.92, 1.055 * color ** (1 / 2.4) - 0.055)


class _Place:
    """Where an avatar stands: a transform of head space to the world, checked."""

    def __init__(self, transform: Tensor) -> None:
        """transform: [4,4] float32.

        Raises:
            HeadGaSError: it flattens the avatar.
        """
        self.transform = transform
        self.linear = transform[:3, :3]
        determinant = torch.linalg.det(self.linear)
        if not torch.isfinite(transform).all() or determinant.abs() < 1e-12:
            message = "The avatar's object is scaled to nothing, so it cannot be drawn."
            raise HeadGaSError(message, "Give it a scale above 0.")
        scales = self.linear.norm(dim=0)
        self.rotation = self.linear / scales
        uniform = torch.allclose(scales, scales[:1].expand(3), rtol=1e-4) and torch.allclose(
            self.rotation.T @ self.rotation, torch.eye(3, device=scales.device), atol=1e-4
        )
        # of a rotation, a translation and one scale; None for other transforms
        self.scale = float(scales[0]) if uniform and determinant > 0 else None

    def seen_from_head(self, camera: Camera) -> Camera:
        """The camera in head space, in its units; only where there is one `scale`."""
        viewmat = camera.viewmat @ self.transform
        viewmat[:3] /= self.scale
        return Camera(viewmat, camera.K, camera.width, camera.height)


def _in_world(item: PlacedAvatar, place: _Place, camera: Camera) -> Gaussians:
    """The avatar's Gaussians in the world; their colours are those seen from the camera's place in head space."""
    expression = item.expression.to(camera.viewmat)
    if place.scale:
        gaussians = item.avatar.visible_gaussians(expression, place.seen_from_head(camera))
        quaternions = _multiplied(_quaternion(place.rotation), gaussians.quaternions)
        scales = gaussians.scales * place.scale
    else:
        position = torch.linalg.solve(place.transform, torch.cat([camera.position, camera.position.new_ones(1)]))[:3]
        gaussians = item.avatar.gaussians(expression, _at(position, camera))
        quaternions, scales = _sheared(gaussians, place.linear)
    means = gaussians.means @ place.linear.T + place.transform[:3, 3]
    return Gaussians(means, quaternions, scales, gaussians.opacities, gaussians.colors)


def _at(position: Tensor, camera: Camera) -> Camera:
    """A camera that stands at `position` [3]; only its place matters to colours."""
    viewmat = torch.eye(4, device=position.device)
    viewmat[:3, 3] = -position
    return Camera(viewmat, camera.K, camera.width, camera.height)


def _sheared(gaussians: Gaussians, linear: Tensor) -> tuple[Tensor, Tensor]:
    """Quaternions [N,4] and scales [N,3] of the covariances A Σ Aᵀ, for a transform A [3,3] of any kind."""
    rotations = _matrices(torch.nn.functional.normalize(gaussians.quaternions, dim=1))
    factor = linear @ (rotations * gaussians.scales[:, None, :])
    variances, axes = torch.linalg.eigh(factor @ factor.transpose(1, 2))
    axes[:, :, 0] *= torch.linalg.det(axes).sign()[:, None]
    return _quaternions(axes), variances.clamp_min(0).sqrt()


def _joined(groups: Sequence[Gaussians]) -> Gaussians:
    if len(groups) == 1:
        return groups[0]
    fields = ("means", "quaternions", "scales", "opacities", "colors")
    return Gaussians(**{name: torch.cat([getattr(group, name) for group in groups]) for name in fields})


def _matrices(q: Tensor) -> Tensor:
    """Rotation matrices [N,3,3] of unit quaternions [N,4] wxyz."""
    w, x, y, z = q.unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, -1).view(-1, 3, 3)


def _quaternions(matrices: Tensor) -> Tensor:
    """Unit quaternions [N,4] wxyz of rotations [N,3,3]: the largest of four columns, each proportional to it."""
    m = matrices
    xx, yy, zz = m[:, 0, 0], m[:, 1, 1], m[:, 2, 2]
    a, b, c = m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]
    d, e, f = m[:, 0, 1] + m[:, 1, 0], m[:, 0, 2] + m[:, 2, 0], m[:, 1, 2] + m[:, 2, 1]
    candidates = torch.stack(
        [
            torch.stack([1 + xx + yy + zz, a, b, c], -1),
            torch.stack([a, 1 + xx - yy - zz, d, e], -1),
            torch.stack([b, d, 1 - xx + yy - zz, f], -1),
            torch.stack([c, e, f, 1 - xx - yy + zz], -1),
        ],
        1,
    )  # [N,4,4]
    best = candidates.norm(dim=2).argmax(1)
    return torch.nn.functional.normalize(candidates[torch.arange(len(best)), best], dim=1)


def _quaternion(rotation: Tensor) -> Tensor:
    return _quaternions(rotation[None])[0]


def _multiplied(p: Tensor, q: Tensor) -> Tensor:
    """Hamilton product of p [4] with each of q [N,4]."""
    w, u = p[0], p[1:].expand(len(q), 3)
    real = w * q[:, 0] - (u * q[:, 1:]).sum(1)
    imaginary = w * q[:, 1:] + q[:, :1] * u + torch.linalg.cross(u, q[:, 1:])
    return torch.cat([real[:, None], imaginary], 1)
