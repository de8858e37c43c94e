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
from headgas.splatting.gpu_kernels import kernels_work
from headgas.splatting.rotations import matrices_of, products, quaternion_of, quaternions_of
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

    Expressions, transforms and camera are best on the CPU: a GPU is then never waited for.

    Args:
        camera: in the world.
        near: metres; nothing nearer is drawn.

    Returns:
        [H,W,4] scene-linear premultiplied RGBA, and [H,W] camera-space depth in metres, 1e10 where nothing is hit;
        on the avatars' device.

    Raises:
        HeadGaSError: an expression or a transform cannot be used.
    """
    if not placed:
        empty = torch.zeros(camera.height, camera.width)
        return empty[..., None].repeat(1, 1, 4), torch.full_like(empty, NOTHING_HIT)
    device = placed[0].avatar.device
    antialiased = all(item.avatar.antialiased for item in placed)
    for item in placed:
        item.avatar.check_expression(item.expression)
    places = [_Place.of(item, camera) for item in placed]
    scale = places[0].scale if len(places) == 1 else None
    if scale is not None:  # the camera goes to the avatar: nothing has to be done to each Gaussian
        view = places[0].head_camera(device)
        gaussians = placed[0].avatar.visible_gaussians(_to_device(placed[0].expression, device), view)
        rendering = rasterize(gaussians, view, antialiased=antialiased, near=near / scale, with_depth=True)
    else:
        groups = [_in_world(item, place, device) for item, place in zip(placed, places, strict=True)]
        view = _uploaded(camera, device)
        rendering = rasterize(_joined(groups), view, antialiased=antialiased, near=near, with_depth=True)
    assert rendering.depth is not None
    return finished(rendering.color, rendering.alpha, rendering.depth, scale or 1.0)


def finished(color: Tensor, alpha: Tensor, depth: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """What leaves the backend: [H,W,4] as `linear_premultiplied`, and depth [H,W] times `scale`, in metres.

    Args:
        color, alpha, depth: [H,W,3], [H,W] and [H,W] as rasterized.
    """
    if kernels_work(color):
        from headgas.avatars import finishing_kernel

        return finishing_kernel.finish(color, alpha, depth, scale, _VISIBLE, NOTHING_HIT)
    if not color.is_cuda and alpha.numel() >= LANES:
        return finish(color, alpha, depth, scale, _VISIBLE, NOTHING_HIT)
    return finished_plainly(color, alpha, depth, scale)


def finished_plainly(color: Tensor, alpha: Tensor, depth: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """`finished` in plain torch: the twin of the kernels."""
    return linear_premultiplied(color, alpha), torch.where(alpha > _VISIBLE, depth * scale, NOTHING_HIT)


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


@dataclass(frozen=True)
class _Place:
    """Where an avatar stands before a camera; float64 on the CPU, so that it costs a GPU nothing."""

    linear: Tensor  # [3,3], head space to world
    offset: Tensor  # [3] metres
    rotation: Tensor  # [3,3], `linear` with columns of length 1
    scale: float | None  # of a transform that keeps all angles, else None
    camera: Camera  # of the world, float64 on the CPU

    @classmethod
    def of(cls, item: PlacedAvatar, camera: Camera) -> "_Place":
        transform = item.transform.double().cpu()
        linear, offset = transform[:3, :3], transform[:3, 3]
        if not torch.isfinite(transform).all() or torch.linalg.det(linear).abs() < 1e-12:
            message = "The avatar's object is scaled to nothing, so it cannot be drawn."
            raise HeadGaSError(message, "Give it a scale above 0.")
        lengths = linear.norm(dim=0)
        rotation = linear / lengths
        even = torch.allclose(lengths, lengths[:1].expand(3), rtol=1e-4)
        right_angled = torch.allclose(rotation.T @ rotation, torch.eye(3, dtype=torch.float64), atol=1e-4)
        scale = lengths.mean().item() if even and right_angled and torch.linalg.det(rotation) > 0 else None
        there = Camera(camera.viewmat.double().cpu(), camera.K.cpu(), camera.width, camera.height)
        return cls(linear, offset, rotation, scale, there)

    def head_camera(self, device: torch.device) -> Camera:
        """The camera in head space, its distances divided by the scale: it takes the same picture."""
        assert self.scale is not None
        viewmat = self.camera.viewmat.clone()
        viewmat[:3, 3] = (viewmat[:3, :3] @ self.offset + viewmat[:3, 3]) / self.scale
        viewmat[:3, :3] = viewmat[:3, :3] @ self.rotation
        return _uploaded(Camera(viewmat, self.camera.K, self.camera.width, self.camera.height), device)

    def color_camera(self, device: torch.device) -> Camera:
        """A camera that stands in head space where the world's stands; only its place matters to colours."""
        viewmat = torch.eye(4, dtype=torch.float64)
        viewmat[:3, 3] = -torch.linalg.solve(self.linear, self.camera.position - self.offset)
        return _uploaded(Camera(viewmat, self.camera.K, self.camera.width, self.camera.height), device)


def _to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """float32 on that device. What lies on the CPU is copied without waiting for a GPU's earlier work."""
    return tensor.float().to(device, non_blocking=tensor.device.type == "cpu")


def _uploaded(camera: Camera, device: torch.device) -> Camera:
    return Camera(_to_device(camera.viewmat, device), _to_device(camera.K, device), camera.width, camera.height)


def _in_world(item: PlacedAvatar, place: _Place, device: torch.device) -> Gaussians:
    """The avatar's Gaussians in the world; their colours are those seen from the camera's place in head space."""
    expression = _to_device(item.expression, device)
    if place.scale is not None:
        gaussians = item.avatar.visible_gaussians(expression, place.head_camera(device))
    else:
        gaussians = item.avatar.gaussians(expression, place.color_camera(device))
    linear = _to_device(place.linear, device)
    means = gaussians.means @ linear.T + _to_device(place.offset, device)
    if place.scale is not None:
        quaternions = products(_to_device(quaternion_of(place.rotation), device), gaussians.quaternions)
        return Gaussians(means, quaternions, gaussians.scales * place.scale, gaussians.opacities, gaussians.colors)
    quaternions, scales = _sheared(gaussians, linear)
    return Gaussians(means, quaternions, scales, gaussians.opacities, gaussians.colors)


def _sheared(gaussians: Gaussians, linear: Tensor) -> tuple[Tensor, Tensor]:
    """Quaternions [N,4] and scales [N,3] of the covariances A Σ Aᵀ, for a transform A [3,3] of any kind."""
    rotations = matrices_of(torch.nn.functional.normalize(gaussians.quaternions, dim=1))
    factor = linear @ (rotations * gaussians.scales[:, None, :])
    variances, axes = torch.linalg.eigh(factor @ factor.transpose(1, 2))
    axes[:, :, 0] *= torch.linalg.det(axes).sign()[:, None]
    return quaternions_of(axes), variances.clamp_min(0).sqrt()


def _joined(groups: Sequence[Gaussians]) -> Gaussians:
    if len(groups) == 1:
        return groups[0]
    fields = ("means", "quaternions", "scales", "opacities", "colors")
    return Gaussians(**{name: torch.cat([getattr(group, name) for group in groups]) for name in fields})
