# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""One picture of one or several avatars in a world: what Blender and `headgas render` show."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from headgas.avatars.avatar import Avatar
from headgas.avatars.finishing import finish
from headgas.errors import HeadGaSError
from headgas.splatting import Camera, Gaussians, Rendering, rasterize
from headgas.splatting.gpu_kernels import kernels_work
from headgas.splatting.rotations import matrices_of, products, quaternion_of, quaternions_of
from headgas.splatting.simd import LANES

NOTHING_HIT = 1e10  # metres: Blender's depth where a ray hits nothing
_VISIBLE = 1e-6  # alpha below is no colour
_FIRST = 0.01  # metres before an orthographic camera: the nearest that is drawn; depths that are sorted are positive
_FARTHEST_GAUSSIAN = 100.0  # metres of head space from its origin that an orthographic camera sees at least


@dataclass(frozen=True)
class PlacedAvatar:
    """An avatar with its expression and its place."""

    avatar: Avatar
    expression: Tensor  # [B]
    transform: Tensor  # [4,4] float32, head space to world; may scale, not flatten
    holdout: bool = False  # it hides what is behind it, and is nothing itself


@torch.inference_mode()
def render_frame(
    placed: Sequence[PlacedAvatar], camera: Camera, near: float = 0.01, depth_limit: Tensor | None = None,
    far: float = math.inf,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Renders avatars together, so that they hide and blend with each other: the picture of their `Stage`.

    Raises:
        HeadGaSError: an expression or a transform cannot be used.
    """
    return Stage.of(placed, camera, near, depth_limit, far).picture()


@dataclass(frozen=True)
class Stage:
    """The Gaussians of a picture, avatar by avatar, and the camera before them."""

    groups: tuple[Gaussians, ...]  # of each avatar
    placements: tuple[Tensor, ...]  # [4,4] of each avatar: its head space to the space of all
    camera: Camera  # in their space, on their device
    near: float  # in units of their space; nothing nearer is drawn
    unit: float  # metres
    moved_back: float  # metres that `camera` stands behind the one that was asked for
    antialiased: bool
    depth_limit: Tensor | None  # [H,W] in units of their space, of `camera`; see `rasterize`
    holdouts: tuple[bool, ...] = ()  # of each avatar; none where there is none

    @classmethod
    @torch.inference_mode()
    def of(
        cls, placed: Sequence[PlacedAvatar], camera: Camera, near: float = 0.01, depth_limit: Tensor | None = None,
        far: float = math.inf,
    ) -> "Stage":  # fmt: skip
        """Evaluates the avatars for a camera.

        Expressions, transforms and camera are best on the CPU: a GPU is then never waited for.

        Args:
            camera: in the world.
            near: metres; nothing nearer is drawn. Of an orthographic camera it may be negative: what lies behind the
                camera is seen, too.
            depth_limit: [H,W] metres, camera-space z as the picture's depth: a Gaussian whose centre lies behind it
                at a pixel is left out there.
            far: metres; nothing farther is drawn.

        Raises:
            HeadGaSError: an expression or a transform cannot be used.
        """
        antialiased = all(item.avatar.antialiased for item in placed)
        if not placed:
            return cls((), (), camera, near, 1.0, 0.0, antialiased, None)
        device = placed[0].avatar.device
        holdouts = tuple(item.holdout for item in placed) if any(item.holdout for item in placed) else ()
        for item in placed:
            item.avatar.check_expression(item.expression)
        moved_back = _FIRST - _first_seen(placed, camera, near) if camera.orthographic else 0.0
        if camera.orthographic:
            viewmat, near = camera.viewmat.double().cpu().clone(), _FIRST
            viewmat[2, 3] += moved_back
            camera = replace(camera, viewmat=viewmat)
            far += moved_back
        places = [_Place.of(item, camera) for item in placed]
        scale = places[0].scale if len(places) == 1 else None
        if depth_limit is not None:
            depth_limit = _to_device((depth_limit + moved_back) / (scale or 1.0), device)
        if scale is not None:  # the camera goes to the avatar: nothing has to be done to each Gaussian
            view = places[0].head_camera(device)
            gaussians = placed[0].avatar.visible_gaussians(_to_device(placed[0].expression, device), view)
            gaussians = _clipped(gaussians, view, far / scale)
            placements = (torch.eye(4, device=device),)
            rest = near / scale, scale, moved_back, antialiased, depth_limit, holdouts
            return cls((gaussians,), placements, view, *rest)
        there = _uploaded(camera, device)
        groups = tuple(
            _clipped(_in_world(item, place, device), there, far) for item, place in zip(placed, places, strict=True)
        )
        placements = tuple(_to_device(item.transform, device) for item in placed)
        rest = near, 1.0, moved_back, antialiased, depth_limit, holdouts
        return cls(groups, placements, there, *rest)

    @property
    def gaussians(self) -> Gaussians:
        """Those of all avatars."""
        return _joined(self.groups)

    @property
    @torch.inference_mode()
    def farthest(self) -> float:
        """The camera-space z in metres of the farthest centre: no depth limit behind it hides anything."""
        if not self.groups or not len(self.gaussians):
            return 0.0
        depths = self.gaussians.means @ self.camera.viewmat[2, :3] + self.camera.viewmat[2, 3]
        return float(depths.max()) * self.unit - self.moved_back

    @torch.inference_mode()
    def rasterized(self, colors: Tensor | None = None) -> Rendering:
        """The Gaussians blended, in `colors` [N,3] of all avatars' Gaussians instead of their own where given.

        Of holdouts nothing is seen: colour, alpha and depth are those of the other avatars, less what they hide.
        """
        gaussians = self.gaussians if colors is None else replace(self.gaussians, colors=colors)
        if not self.holdouts:
            return self._blended(gaussians)
        sizes = torch.tensor([len(group) for group in self.groups])
        seen = torch.repeat_interleave(~torch.tensor(self.holdouts), sizes).to(gaussians.means)[:, None]
        depths = gaussians.means @ self.camera.viewmat[2, :3] + self.camera.viewmat[2, 3]
        shares = self._blended(replace(gaussians, colors=torch.cat([seen, seen * depths[:, None], seen], 1))).color
        depth = torch.where(shares[..., 0] > _VISIBLE, shares[..., 1] / shares[..., 0].clamp_min(_VISIBLE), NOTHING_HIT)
        color = self._blended(replace(gaussians, colors=gaussians.colors * seen)).color
        return Rendering(color, shares[..., 0].contiguous(), depth)

    def _blended(self, gaussians: Gaussians) -> Rendering:
        return rasterize(
            gaussians, self.camera, antialiased=self.antialiased, near=self.near, depth_limit=self.depth_limit
        )

    @torch.inference_mode()
    def picture(self, colors: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What leaves the backend, on the avatars' device.

        Args:
            colors: [N,3] sRGB of all avatars' Gaussians; their own when left out.

        Returns:
            [H,W,4] scene-linear premultiplied RGBA, and [H,W] camera-space depth in metres, 1e10 where nothing is hit:
            the mean of the depths of what a pixel shows, weighted as their colours are.
        """
        if not self.groups:
            empty = torch.zeros(self.camera.height, self.camera.width)
            return empty[..., None].repeat(1, 1, 4), torch.full_like(empty, NOTHING_HIT)
        return self.finished(self.rasterized(colors))

    @torch.inference_mode()
    def finished(self, rendering: Rendering) -> tuple[Tensor, Tensor]:
        """The picture of what was rasterized."""
        assert rendering.depth is not None
        image, depth = finished(rendering.color, rendering.alpha, rendering.depth, self.unit)
        if self.moved_back:
            depth = torch.where(depth < NOTHING_HIT, depth - self.moved_back, depth)
        return image, depth

    @torch.inference_mode()
    def coverage(self, image: Tensor) -> Tensor:
        """How much of each pixel each of A avatars covers [A,H,W]: what it adds to alpha, less what hides it; holdouts
        too, which add nothing.

        image: [H,W,4], the picture.
        """
        if len(self.groups) < 2 and not self.holdouts:
            return image[..., 3].repeat(len(self.groups), 1, 1)
        planes = []
        for first in range(0, len(self.groups), 3):  # a colour channel for each: the kernels of pictures serve
            colors = [group.colors.new_zeros(len(group), 3) for group in self.groups]
            for channel, own in enumerate(colors[first : first + 3]):
                own[:, channel] = 1
            blended = self._blended(replace(self.gaussians, colors=torch.cat(colors))).color
            planes += blended.unbind(-1)[: len(self.groups) - first]
        return torch.stack(planes)


def _first_seen(placed: Sequence[PlacedAvatar], camera: Camera, near: float) -> float:
    """The depth in metres from which on an orthographic camera must see: `near`, or just before the avatars.

    Blender's viewports have near planes far behind them, from where float32 would have no depths to tell Gaussians
    apart.
    """
    depths = []
    for item in placed:
        transform = item.transform.double().cpu()
        origin = camera.viewmat[2, :3].double().cpu() @ transform[:3, 3] + camera.viewmat[2, 3].double().cpu()
        depths.append(float(origin - _FARTHEST_GAUSSIAN * transform[:3, :3].norm(dim=0).max()))
    nearest = min(depths)
    return max(near, nearest) if math.isfinite(nearest) else near


def _clipped(gaussians: Gaussians, camera: Camera, far: float) -> Gaussians:
    """The Gaussians, those behind `far` without opacity: nothing is waited for, and each keeps its place."""
    if math.isinf(far):
        return gaussians
    depths = gaussians.means @ camera.viewmat[2, :3] + camera.viewmat[2, 3]
    return replace(gaussians, opacities=torch.where(depths <= far, gaussians.opacities, 0.0))


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
        there = replace(camera, viewmat=camera.viewmat.double().cpu(), K=camera.K.cpu())
        return cls(linear, offset, rotation, scale, there)

    def head_camera(self, device: torch.device) -> Camera:
        """The camera in head space, its distances divided by the scale: it takes the same picture."""
        assert self.scale is not None
        viewmat = self.camera.viewmat.clone()
        viewmat[:3, 3] = (viewmat[:3, :3] @ self.offset + viewmat[:3, 3]) / self.scale
        viewmat[:3, :3] = viewmat[:3, :3] @ self.rotation
        K = self.camera.K
        if self.camera.orthographic:  # pixels per metre of the world
            K = K @ torch.diag(K.new_tensor([self.scale, self.scale, 1.0]))
        return _uploaded(replace(self.camera, viewmat=viewmat, K=K), device)

    def color_camera(self, device: torch.device) -> Camera:
        """A camera that stands in head space where the world's stands; only its place matters to colours."""
        viewmat = torch.eye(4, dtype=torch.float64)
        viewmat[:3, 3] = -torch.linalg.solve(self.linear, self.camera.position - self.offset)
        return _uploaded(Camera(viewmat, self.camera.K, self.camera.width, self.camera.height), device)


def _to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """float32 on that device. What lies on the CPU is copied without waiting for a GPU's earlier work."""
    return tensor.float().to(device, non_blocking=tensor.device.type == "cpu")


def _uploaded(camera: Camera, device: torch.device) -> Camera:
    return replace(camera, viewmat=_to_device(camera.viewmat, device), K=_to_device(camera.K, device))


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
