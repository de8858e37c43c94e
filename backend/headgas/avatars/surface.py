# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A light mesh of the neutral head, from the avatar's own depth: what Blender shows and selects without a backend.

The visual hull of the silhouettes from all around, carved by truncated signed distances averaged over the views of the
face (Curless and Levoy 1996), then contoured with marching cubes. A capture seldom shows the back of a head: an avatar
has ragged Gaussians there, whose depths would tear the mesh.
"""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from headgas.avatars.avatar import Avatar
from headgas.avatars.framing import camera_around, visible_bounds
from headgas.splatting import Camera

_GRID = 72  # voxels along the longest edge: a few thousand vertices
_SIZE = 192  # pixels of a depth view
_OPAQUE = 0.5  # alpha from which a depth counts
_TRUNCATION = 3.0  # voxels
_SEEN_THROUGH = 2  # views; a single one may look through a crack
_SMOOTHING = 1.0  # voxels
_SHARPNESS, _LEAST_FACING = 24, 0.02  # power of the cosine that weights colours; least sum
# degrees of yaw and pitch: all around for silhouettes; of the face, which every capture shows, for depths and colours
_AROUND = [(yaw, pitch) for pitch in (-40, 0, 40) for yaw in range(-180, 180, 45)] + [(0, 80), (0, -80)]
_FACE = [(yaw, pitch) for pitch in (-20, 0, 20) for yaw in (-40, -20, 0, 20, 40)]


@torch.inference_mode()
def extract_surface(avatar: Avatar) -> dict[str, Tensor]:
    """`vertices` [V,3] float32 (metres, head space), `faces` [T,3] int32, `colors` [V,3] uint8 (sRGB).

    All are empty when the avatar is nowhere opaque.
    """
    from skimage.measure import marching_cubes

    neutral = avatar.neutral()
    low, high = visible_bounds(avatar)
    look = partial(_look, avatar, neutral, (low + high) / 2, float((high - low).norm()))
    around, face = ([look(*angles) for angles in directions] for directions in (_AROUND, _FACE))
    voxel = float((high - low).max()) / (_GRID - 1)
    shape = [int(n) for n in ((high - low) / voxel).ceil().int() + 1]
    axes = [low[i] + voxel * torch.arange(n, device=low.device) for i, n in enumerate(shape)]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    distance = torch.maximum(_fused_distance(grid, face, voxel), _hull_distance(grid, around))
    distance = _one_closed_body(distance.view(shape).cpu().numpy())
    if not distance.min() < 0 < distance.max():
        empty = torch.zeros(0, 3)
        return {"vertices": empty, "faces": empty.int(), "colors": empty.to(torch.uint8)}
    vertices, faces, inward, _ = marching_cubes(distance, 0.0, spacing=(voxel,) * 3)
    normals = -torch.from_numpy(inward.astype(np.float32)).to(low.device)
    points = torch.from_numpy(vertices.astype(np.float32)).to(low.device) + low
    return {
        "vertices": points.cpu(),
        "faces": torch.from_numpy(faces.astype(np.int32)),
        "colors": (_colors(points, normals, face, voxel) * 255).round().to(torch.uint8).cpu(),
    }


View = tuple[Camera, Tensor, Tensor, Tensor]  # camera, colour [H,W,3] straight, alpha [H,W], depth [H,W]


def _look(avatar: Avatar, neutral: Tensor, center: Tensor, diameter: float, yaw: float, pitch: float) -> View:
    """The avatar from outside, as seen by a camera that holds it in its frame."""
    camera = camera_around(center, diameter, yaw, pitch, _SIZE)
    rendering = avatar.render(neutral, camera)
    assert rendering.depth is not None
    straight = rendering.color / rendering.alpha[..., None].clamp_min(1e-6)
    return camera, straight.clamp(0, 1), rendering.alpha, rendering.depth


def _sampled(points: Tensor, view: View) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For points [n,3]: whether the view holds them, the row and column of their pixel, and their own z. All [n]."""
    camera = view[0]
    local = points @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    z = local[:, 2].clamp_min(1e-6)
    pixels = (local @ camera.K.T)[:, :2] / z[:, None]
    column, row = pixels[:, 0].floor().long(), pixels[:, 1].floor().long()
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    return inside, row.clamp(0, camera.height - 1), column.clamp(0, camera.width - 1), z


def _fused_distance(grid: Tensor, views: list[View], voxel: float) -> Tensor:
    """Signed distances [n] in voxels, positive outside; where no view knows, inside."""
    total, weight = torch.zeros(len(grid), device=grid.device), torch.zeros(len(grid), device=grid.device)
    for view in views:
        _, _, alpha, depth = view
        inside, row, column, z = _sampled(grid, view)
        opaque = alpha[row, column] > _OPAQUE
        signed = ((depth[row, column] - z) / voxel).clamp(max=_TRUNCATION)
        signed = torch.where(opaque, signed, torch.full_like(signed, _TRUNCATION))
        counts = inside & (signed > -_TRUNCATION)  # far behind a surface a view knows nothing
        total += torch.where(counts, signed, torch.zeros_like(signed))
        weight += counts
    return torch.where(weight > 0, total / weight.clamp_min(1), torch.full_like(total, -_TRUNCATION))


def _hull_distance(grid: Tensor, views: list[View]) -> Tensor:
    """What the silhouettes say of points [n]: in voxels, roughly, and positive where views look past the head."""
    clear = torch.full((_SEEN_THROUGH, len(grid)), -_TRUNCATION, device=grid.device)
    for view in views:
        inside, row, column, _ = _sampled(grid, view)
        past = _TRUNCATION * (1 - view[2][row, column] / _OPAQUE).clamp(-1, 1)
        past = torch.where(inside, past, torch.full_like(past, -_TRUNCATION))
        clear = torch.cat([clear, past[None]]).topk(_SEEN_THROUGH, dim=0).values
    return clear[-1]


def _one_closed_body(distance: np.ndarray) -> np.ndarray:
    """Signed distances [X,Y,Z] in voxels: smoothed, only the largest body, closed at the borders."""
    from skimage.filters import gaussian
    from skimage.measure import label

    smooth = gaussian(distance, _SMOOTHING, mode="nearest")
    bodies = np.asarray(label(smooth < 0, connectivity=1))
    largest = np.bincount(bodies.ravel())[1:].argmax() + 1 if bodies.any() else 0
    smooth[(smooth < 0) & (bodies != largest)] = _TRUNCATION
    for side in (0, -1):
        smooth[side], smooth[:, side], smooth[:, :, side] = (_TRUNCATION,) * 3
    return smooth


def _colors(points: Tensor, normals: Tensor, views: list[View], voxel: float) -> Tensor:
    """Colours [n,3] in 0..1: a point's mean over the views that it faces; where there is none, of the nearest point."""
    total, weight = torch.zeros_like(points), torch.zeros((len(points), 1), device=points.device)
    for view in views:
        camera, color, alpha, depth = view
        inside, row, column, z = _sampled(points, view)
        seen = inside & (alpha[row, column] > _OPAQUE) & ((depth[row, column] - z).abs() < _TRUNCATION * voxel)
        towards = torch.nn.functional.normalize(camera.position - points, dim=1)
        facing = (normals * towards).sum(1).clamp_min(0) ** _SHARPNESS * seen
        total += facing[:, None] * color[row, column]
        weight += facing[:, None]
    known = (weight[:, 0] > _LEAST_FACING).nonzero()[:, 0]
    if not len(known):
        return torch.full_like(points, 0.5)
    nearest = torch.cat([torch.cdist(part, points[known]).argmin(1) for part in points.split(1024)])
    return (total / weight.clamp_min(1e-9))[known][nearest].clamp(0, 1)
