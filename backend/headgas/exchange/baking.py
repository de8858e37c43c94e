# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar's one look as splats where it stands in a scene, as the bytes that Blender keeps or writes into a file."""

from dataclasses import replace

import torch
from torch import Tensor

from headgas.avatars import Avatar
from headgas.errors import HeadGaSError
from headgas.exchange.axes import AXES, into_world, out_of_head_space
from headgas.exchange.imported import check_writable
from headgas.exchange.ply import ply_content
from headgas.exchange.spz import spz_content
from headgas.splatting.rasterize import ALPHA_THRESHOLD
from headgas.splatting.splats import Splats

_NOT_ANTIALIASED = (
    "This avatar is drawn with antialiased opacities, which Blender's own splats don't have: "
    "seen small, it looks a little denser there."
)


def baked(avatar: Avatar, expression: Tensor, transform: Tensor, axes: str = "blender") -> Splats:
    """The splats of an expression [B] in a world, without those that no picture shows; float32 on the CPU.

    Args:
        transform: [4,4], head space to world.
        axes: which way the world is written down, of `axes.AXES`.

    Raises:
        HeadGaSError: the avatar or the transform cannot be baked, or there are no such axes.
    """
    if axes not in AXES:
        raise HeadGaSError(f"The axes {axes!r} are not known; expected one of {', '.join(AXES)}.")
    splats = avatar.splats(expression.to(avatar.device))
    check_writable(splats)
    seen = splats.logits.sigmoid() >= ALPHA_THRESHOLD
    fields = ("means", "quaternions", "log_scales", "logits", "harmonics")
    kept = replace(splats, **{name: getattr(splats, name)[seen].detach().cpu() for name in fields})
    return out_of_head_space(into_world(kept, transform), axes)


def content(splats: Splats, kind: str) -> tuple[bytes, list[str]]:
    """What a kind of file ("ply", "spz") or Blender's point clouds ("native") hold, and warnings for the user.

    Raises:
        HeadGaSError: there is no such kind, or it cannot hold the splats.
    """
    writers = {"ply": ply_content, "spz": spz_content, "native": _native}
    if kind not in writers:
        raise HeadGaSError(f"Splats cannot become {kind!r}; expected one of {', '.join(writers)}.")
    return writers[kind](splats)


def _native(splats: Splats) -> tuple[bytes, list[str]]:
    """float32, little-endian: positions [N,3], rotations [N,4] (wxyz, of length 1), scales [N,3], colours and opacities
    [N,4] (f_dc_0…2, opacity), and for each further harmonic [N,3]. Blender 5.3's attributes hold these."""
    base = torch.cat([splats.harmonics[:, 0], splats.logits.sigmoid()[:, None]], 1)
    rotations = torch.nn.functional.normalize(splats.quaternions, dim=1)
    planes = [splats.means, rotations, splats.log_scales.exp(), base, *splats.harmonics[:, 1:].unbind(1)]
    data = b"".join(plane.contiguous().numpy().astype("<f4").tobytes() for plane in planes)
    return data, [_NOT_ANTIALIASED] if splats.antialiased else []
