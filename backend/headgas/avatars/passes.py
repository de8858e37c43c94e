# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planes that go with a picture, for compositing: median depth, normals, counts of Gaussians, and motion."""

from typing import NamedTuple

import torch
from torch import Tensor

from headgas.avatars.rendering import NOTHING_HIT, Stage
from headgas.splatting import Camera, Rendering
from headgas.splatting.pixels import count_contributions, median_depths
from headgas.splatting.rotations import matrices_of

PASSES = ("median", "normal", "count", "motion")
_VISIBLE = 1e-6  # alpha below has no normal and no motion


class Around(NamedTuple):
    """The same avatars a frame earlier and a frame later, each before the camera of its time."""

    before: Stage
    after: Stage


@torch.inference_mode()
def passes_of(stage: Stage, names: list[str], camera: Camera, around: Around | None) -> list[Tensor]:
    """The planes, float32, in the order of `names` (of PASSES).

    - median [H,W]: metres, camera-space z of the Gaussian at which a pixel has half of its alpha; 1e10 where nothing is
    - normal [H,W,3]: unit length, in the world; 0 where nothing is
    - count [H,W]: the Gaussians that a pixel blends
    - motion [H,W,4]: pixels, x to the right and y upward, as Cycles' Vector pass: where the pixel's Gaussians were
      less where they are, then where they are less where they will be; 0 where nothing is, or without `around`

    Args:
        camera: the one in the world that `stage` was made for.
    """
    if not stage.groups:
        return [_nothing(name, camera) for name in names]
    planes = []
    for name in names:
        if name == "median":
            depths = median_depths(stage.gaussians, stage.camera, antialiased=stage.antialiased, near=stage.near)
            if stage.holdouts:  # where they hide all
                depths = torch.where(stage.rasterized().alpha > _VISIBLE, depths, NOTHING_HIT)
            planes.append(torch.where(depths < NOTHING_HIT, depths * stage.unit - stage.moved_back, depths))
        elif name == "normal":
            normals, rendering = blended_normals(stage)
            normals = normals @ camera.viewmat[:3, :3].to(normals)  # a row times R is R transposed times a column
            planes.append(normals * (rendering.alpha > _VISIBLE)[..., None])
        elif name == "count":
            options = {"antialiased": stage.antialiased, "near": stage.near}
            planes.append(count_contributions(stage.gaussians, stage.camera, **options).float())
        else:
            planes.append(_nothing(name, camera) if around is None else _motion(stage, around))
    return planes


def _nothing(name: str, camera: Camera) -> Tensor:
    size = camera.height, camera.width
    if name == "median":
        return torch.full(size, NOTHING_HIT)
    return torch.zeros(size) if name == "count" else torch.zeros(*size, 3 if name == "normal" else 4)


@torch.inference_mode()
def blended_normals(stage: Stage) -> tuple[Tensor, Rendering]:
    """The shortest axes of the Gaussians, turned to the camera and blended: [H,W,3] unit, camera space (OpenCV)."""
    gaussians, view = stage.gaussians, stage.camera.viewmat
    axes = matrices_of(torch.nn.functional.normalize(gaussians.quaternions, dim=1))
    shortest = gaussians.scales.argmin(1)
    normals = axes[torch.arange(len(axes), device=axes.device), :, shortest] @ view[:3, :3].T
    rays = gaussians.means @ view[:3, :3].T + view[:3, 3]
    away = normals[:, 2] if stage.camera.orthographic else (normals * rays).sum(1)
    rendering = stage.rasterized(torch.where(away[:, None] > 0, -normals, normals))
    return torch.nn.functional.normalize(rendering.color, dim=2), rendering


def _motion(stage: Stage, around: Around) -> Tensor:
    here, place = _on_screen(stage)
    flip = place.new_tensor([1.0, -1.0])
    planes = []
    for other, sign in ((around.before, 1), (around.after, -1)):
        there, moved = _on_screen(other)
        ways = torch.where((here & there)[:, None], sign * (moved - place) * flip, 0.0)
        rendering = stage.rasterized(torch.cat([ways, ways[:, :1]], 1))
        planes.append(rendering.color[..., :2] / rendering.alpha[..., None].clamp_min(_VISIBLE))
    return torch.cat(planes, -1)


def _on_screen(stage: Stage) -> tuple[Tensor, Tensor]:
    """Which Gaussians lie before the camera [N], and where their centres are [N,2], pixels."""
    camera = stage.camera
    x, y, z = (stage.gaussians.means @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]).unbind(1)
    divisor = torch.ones_like(z) if camera.orthographic else z
    K = camera.K
    return z >= stage.near, torch.stack([K[0, 0] * x / divisor + K[0, 2], K[1, 1] * y / divisor + K[1, 2]], 1)
