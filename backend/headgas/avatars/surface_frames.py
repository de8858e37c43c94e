# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a moving mesh's triangles, which Gaussians are bound to."""

import torch
from torch import Tensor, nn

from headgas.splatting.rotations import quaternions_of


class Binding(nn.Module):
    """Where Gaussians sit on a mesh, and what their triangle's frame is.

    Two kinds, as the methods that bind Gaussians define them:

    edges  GaussianAvatars (Qian et al., CVPR 2024): the first edge, the normal, and what is normal to both; the size
           is the mean of the first edge and of the height over it.
    uv     RGBAvatar (Li et al., CVPR 2025): tangent, bitangent and normal of the texture's coordinates, each of length
           1 but not always at right angles; the size is 1.
    """

    triangles: Tensor
    of: Tensor
    barycentric: Tensor
    tangents: Tensor

    def __init__(self, triangles: Tensor, of: Tensor, barycentric: Tensor, tangents: Tensor | None = None) -> None:
        """A binding of N Gaussians.

        Args:
            triangles: [T,3] int64, numbers of points, counter-clockwise from outside.
            of: [N] int64, each Gaussian's triangle.
            barycentric: [N,3] float32, where in the triangle.
            tangents: [T,4] float32 for frames of the kind uv: the tangent is t0·e1 + t1·e2 and the bitangent
                t2·e1 + t3·e2 of the edges from the first corner, but for their lengths.
        """
        super().__init__()
        if triangles.shape != (len(triangles), 3) or barycentric.shape != (len(of), 3):
            raise TypeError(f"triangles {list(triangles.shape)} and barycentric {list(barycentric.shape)} do not fit")
        if len(of) and not 0 <= int(of.min()) <= int(of.max()) < len(triangles):
            raise ValueError(f"Gaussians are bound to triangles that are not among {len(triangles)}")
        self.register_buffer("triangles", triangles)
        self.register_buffer("of", of)
        self.register_buffer("barycentric", barycentric)
        self.register_buffer("tangents", triangles.new_zeros(0, 4).float() if tangents is None else tangents)
        if tangents is not None and tangents.shape != (len(triangles), 4):
            raise TypeError(f"tangents has the shape {list(tangents.shape)}, not {[len(triangles), 4]}")

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of each Gaussian: the origin [N,3] metres, the frame [N,3,3], its quaternion [N,4] and its size [N].

        Args:
            points: [V,3] of the mesh, metres.
        """
        corners = points[self.triangles]  # [T,3,3]
        first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        normal = _unit(torch.linalg.cross(first, second))
        if len(self.tangents):
            t = self.tangents
            tangent = _unit(t[:, :1] * first + t[:, 1:2] * second)
            axes = torch.stack([tangent, _unit(t[:, 2:3] * first + t[:, 3:] * second), normal], 2)
            sizes = torch.ones(len(corners), device=points.device)
        else:
            along = _unit(first)
            height = torch.linalg.cross(along, normal)
            axes = torch.stack([along, normal, height], 2)
            sizes = (first.norm(dim=1) + (height * second).sum(1).abs()) / 2
        origins = (corners[self.of] * self.barycentric[:, :, None]).sum(1)
        return origins, axes[self.of], quaternions_of(axes)[self.of], sizes[self.of]


def uv_tangents(corners: Tensor) -> Tensor:
    """`Binding`'s tangents [T,4] of triangles with texture coordinates [T,3,2].

    The derivatives of the position along u and v, but for their lengths: Lengyel, "Foundations of Game Engine
    Development", volume 2, section 7.5.
    """
    (a, b), (c, d) = ((corners[:, i] - corners[:, 0]).unbind(1) for i in (1, 2))
    sign = torch.sign(a * d - c * b)
    return torch.stack([d, -b, -c, a], 1) * torch.where(sign == 0, 1.0, sign)[:, None]


def _unit(vectors: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vectors, dim=1)
