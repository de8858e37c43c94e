# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The motion of a head: what takes its rendering to its photograph, and what its Gaussians have learnt of it already.

The first is one Gauss-Newton step from both pictures and a depth.

Lucas and Kanade (1981) align pictures so; with the slopes of both pictures instead of one the step is of second order
(Benhimane and Malis 2004). What the avatar shows wrongly otherwise, such as a closed mouth, hardly counts.
"""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from headgas.splatting import Camera, Rendering

_SIDE = 48  # pixels along the head's shorter side, or near it: finer pictures cost more and lead less far
_SEEN = 0.1  # alpha: outlines tell most
_OUTLIERS = 2.0  # root mean squares: an error of so much counts a quarter
_DAMPING = 1e-3  # of each diagonal element
_LONGEST = 0.1  # radians, or extents: pictures do not tell what is further off
_NOTHING = 1e-9
_SAMPLED = 1_000  # Gaussians that are asked how they move together
_ROUNDS = 4  # of weighing them anew
_STILL = 1e-5  # metres: what differs by less is the same motion


@torch.no_grad()
def aligning_motion(
    rendering: Rendering,
    target: Tensor,
    head: tuple[slice, slice],
    camera: Camera,
    center: Tensor,
    extent: Tensor | float,
) -> Tensor:
    """A rotation vector about `center` [3], radians, then a translation in extents of the head: [6].

    Args:
        rendering: color [H,W,3], alpha and depth [H,W], over the background that the target lies over.
        target: [H,W,3].
        head: rows and columns around the head.
        extent: metres.
    """
    assert rendering.depth is not None
    color, target, depth = rendering.color[head], target[head], rendering.depth[head]
    size = max(1, round(min(depth.shape) / _SIDE))
    seen = (rendering.alpha[head] > _SEEN).to(depth.dtype)
    layers = torch.cat([color - target, color + target, torch.stack([seen * depth, seen], -1)], -1).permute(2, 0, 1)
    layers = avg_pool2d(layers, size)
    error, both, (depth, seen) = layers[:3, 1:-1, 1:-1], layers[3:6], layers[6:, 1:-1, 1:-1]
    right, down = both[:, 1:-1, 2:] - both[:, 1:-1, :-2], both[:, 2:, 1:-1] - both[:, :-2, 1:-1]  # 4 pixels' change
    known = seen > 0
    z = torch.where(known, depth / seen.clamp_min(_NOTHING), 1.0)
    slopes = _slopes(right / (4 * size), down / (4 * size), z, size, head, camera, center, extent)  # [6,3,h,w]
    square = error.square().sum(0)
    usual = _OUTLIERS**2 * (square * known).sum() / known.sum().clamp_min(1) + _NOTHING
    weights = known / (1 + square / usual)  # the root of Geman and McClure's
    slopes, error = (slopes * weights).flatten(1), (error * weights).flatten()
    normal = slopes @ slopes.T
    normal.diagonal().mul_(1 + _DAMPING).add_(_NOTHING)
    turned, moved = torch.linalg.solve_ex(normal, slopes @ error)[0].clamp(-_LONGEST, _LONGEST).view(2, 3)
    rotation = camera.viewmat[:3, :3]
    return torch.cat([turned @ rotation, moved @ rotation])


@torch.no_grad()
def common_motion(resting: Tensor, moved: Tensor, center: Tensor, extent: Tensor | float) -> Tensor:
    """The one motion of the head that most Gaussians take part in, from means [N,3] to means [N,3]: [6] as above.

    Least squares, weighed anew by how far each Gaussian is from moving so (Geman and McClure's weights): a jaw or a lid
    is one of the few, which do not count.
    """
    every = -(-len(resting) // _SAMPLED)
    arms, motions = (resting - center)[::every], (moved - resting)[::every].flatten()
    axes = torch.eye(3, dtype=arms.dtype, device=arms.device)[:, None].expand(3, *arms.shape)
    slopes = torch.cat([torch.linalg.cross(axes, arms.expand_as(axes)), extent * axes]).flatten(1)  # [6,3n]
    weighed, found = slopes, arms.new_zeros(6)
    for _ in range(_ROUNDS):
        normal = weighed @ slopes.T
        normal.diagonal().mul_(1 + _DAMPING).add_(_NOTHING)
        found = torch.linalg.solve_ex(normal, weighed @ motions)[0]
        square = (motions - found @ slopes).view(-1, 3).square().sum(1, keepdim=True)
        weights = 1 / (1 + square / square.median().clamp_min(_STILL**2)) ** 2
        weighed = (slopes.view(6, -1, 3) * weights).flatten(1)
    return found


def _slopes(
    right: Tensor,
    down: Tensor,
    z: Tensor,
    size: int,
    head: tuple[slice, slice],
    camera: Camera,
    center: Tensor,
    extent: Tensor | float,
) -> Tensor:
    """How colours fall [6,3,h,w] as the surface at depths z [h,w] moves, in the camera's axes.

    A point p in front of the camera, a off the middle of the head, moves by ω × a + extent · τ.

    Args:
        right: [3,h,w] change of colour from a pixel to the next; `down` likewise.
        size: pixels of the picture from one of these to the next, the first of which are left out.
    """
    K = camera.K
    middle = camera.viewmat[:3, :3] @ center + camera.viewmat[:3, 3]
    rows, columns = (
        (part.start or 0) + size * (torch.arange(1, count + 1, device=z.device) + 0.5)
        for part, count in zip(head, z.shape, strict=True)
    )
    v, u = ((rows - K[1, 2]) / K[1, 1])[:, None], (columns - K[0, 2]) / K[0, 0]
    x, y, depth = u * z - middle[0], v * z - middle[1], z - middle[2]
    across, along = K[0, 0] / z * right, K[1, 1] / z * down  # [3,h,w] of a metre to the right, downward
    away = -(u * across + v * along)
    turns = [y * away - depth * along, depth * across - x * away, x * along - y * across]
    return torch.stack([*turns, extent * across, extent * along, extent * away])
