# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars of RGBAvatar: `model.ply`, whose Gaussians are bound to FLAME's triangles and blended by a small network.

Source: Li et al., "RGBAvatar: Reduced Gaussian Blendshapes for Online Modeling of Head Avatars", CVPR 2025, and its
published code (GaussianModel.save_ply, FLAMEDataset.precompute_blend_weight, compute_face_tbn): `xyz_b_*`, `rot_b_*`
and `f_dc_b_*` are the blendshapes, one after the other; `weight_module` holds the network's weights in the first rows.
What enters it: 100 expressions, the first two rows of the matrices of neck, jaw and both eyes, two eyelids and the
head's place (3), which is taken as 0 here.
"""

import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from headgas.avatars.blendshapes import BlendshapeAvatar, BlendshapesConfig, Projection
from headgas.avatars.flame import AXES, EYELIDS, JOINTS, Flame, flame_space, need_flame, read_shape
from headgas.avatars.surface_frames import uv_tangents
from headgas.errors import HeadGaSError
from headgas.exchange.axes import AXES as ALL_AXES
from headgas.exchange.gaussian_avatars import bind, triangles_of
from headgas.exchange.imported import Imported, ReadingOptions
from headgas.exchange.ply import PlyTable, read_table, splats_of
from headgas.exchange.texture_coordinates import read_textured

_EXPRESSIONS, _WIDTH, _HIDDEN = 100, 129, (128, 128)
_DRIVEN = (1, 2, 3, 4)
_BLENDED = ("offsets", "quaternions", "harmonics")
_MESHES = ("head_template.obj", "head_template_mesh.obj", "FlameMesh.obj")


def is_rgbavatar(start: bytes) -> bool:
    """Whether a PLY file that begins so holds an avatar of RGBAvatar."""
    header = start.partition(b"end_header")[0]
    return start.startswith(b"ply") and b" xyz_b_0" in header and b" weight_module" in header


def read_rgbavatar(path: Path, options: ReadingOptions) -> Imported:
    """The avatar in `model.ply`, driven by FLAME's expressions, eyelids, neck, jaw and eyes.

    Raises:
        HeadGaSError: FLAME or its texture coordinates are missing, or something does not fit.
    """
    table = read_table(path)
    corners = [f"face_bary_{i}" for i in range(3)]
    if not {"face_id", *corners} <= set(table.columns):
        raise HeadGaSError(
            f"{path}: does not say which triangles its Gaussians are bound to (face_id, face_bary_0…2).",
            "It was written by an early version of RGBAvatar's code; save the model again with the current one.",
        )
    flame = need_flame(path, options.flame)
    identity, said = read_shape(options.shape)
    warnings = [f"{path}: {said}"] if said else []
    if flame.eyelids is None:
        warnings.append(
            f"{path}: the eyelids' parameters change the Gaussians, but do not close the lids: l_eyelid.npy and "
            f"r_eyelid.npy of metrical-tracker are not beside {flame.path}."
        )
    splats, more = splats_of(table)
    rows = len(table.numbered("xyz_b_")) // 3
    settings = _settings(path)
    hidden = _HIDDEN if settings.get("use_mlp_proj", "true") == "true" else ()
    width = settings.get("num_basis_in", str(_WIDTH))
    if width != str(_WIDTH) or not rows:
        said = f"its network makes {rows} blendshapes of {width} numbers; expected some, of {_WIDTH}."
        raise HeadGaSError(f"{path}: {said}")
    projection = Projection((_WIDTH, *hidden, rows), trailing=len(EYELIDS))
    _load(projection, table)
    binding = bind(
        path,
        flame.faces,
        triangles_of(table, "face_id"),
        torch.from_numpy(table.matrix(corners)),
        uv_tangents(_texture(flame)),
    )
    turn = torch.tensor(ALL_AXES[options.axes or AXES])
    rig = flame.rig(flame.points(identity), _EXPRESSIONS, True, _DRIVEN, turn, options.scale)
    base = splats.harmonics[:, :1].flatten(1)
    if splats.harmonics[:, 1:].any():
        warnings.append(f"{path}: harmonics above degree 0 are left out: RGBAvatar trains none.")
    rest = torch.cat([splats.means * options.scale, splats.quaternions, base], 1)
    changes = [_rows(table, "xyz_b_", rows, 3) * options.scale, _rows(table, "rot_b_", rows, 4)]
    basis = torch.cat([rest[None], torch.cat([*changes, _rows(table, "f_dc_b_", rows, 3)], 2)])
    if not torch.isfinite(basis).all():
        raise HeadGaSError(f"{path}: its blendshapes hold values that are not finite numbers.")
    scale = float(np.log(options.scale))
    attributes = {"log_scales": splats.log_scales + scale, "logits": splats.logits[:, None]}
    space = flame_space(_EXPRESSIONS, EYELIDS, [JOINTS[joint] for joint in _DRIVEN])
    avatar = BlendshapeAvatar(space, rig, attributes, BlendshapesConfig(_BLENDED), basis, projection, binding)
    return Imported(avatar.eval(), "RGBAvatar", [*warnings, *more])


def _settings(path: Path) -> dict[str, str]:
    """The plain values of config.yaml beside the model, in lower case; none where there is none."""
    file = path.parent / "config.yaml"
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    return {name: value.lower() for name, value in re.findall(r"^\s*(\w+):\s*(\w+)\s*(?:#.*)?$", text, re.MULTILINE)}


def _load(projection: Projection, table: PlyTable) -> None:
    weights = table.columns["weight_module"].astype(np.float32)
    needed = sum(parameter.numel() for parameter in projection.parameters())
    if len(weights) < needed or not np.isfinite(weights[:needed]).all():
        raise HeadGaSError(
            f"{table.path}: weight_module holds {len(weights)} numbers; its network has {needed}, all of them finite."
        )
    with torch.no_grad():
        at = 0
        for parameter in projection.parameters():
            values = torch.from_numpy(weights[at : at + parameter.numel()])
            parameter.copy_(values.view(parameter.shape))
            at += parameter.numel()


def _rows(table: PlyTable, prefix: str, rows: int, size: int) -> Tensor:
    """Blendshapes [R,N,size]."""
    names = [f"{prefix}{i}" for i in range(rows * size)]
    return torch.from_numpy(table.matrix(names)).view(-1, rows, size).transpose(0, 1)


def _texture(flame: Flame) -> Tensor:
    """The texture coordinates [F,3,2] of FLAME's triangles, from the mesh that comes with it."""
    found = [flame.path.parent / name for name in _MESHES if (flame.path.parent / name).is_file()]
    if not found:
        raise HeadGaSError(
            f"{flame.path.parent}: holds none of {', '.join(_MESHES)}, whose texture coordinates this avatar needs.",
            "FLAME's downloads have head_template.obj ('FLAME texture space'): put it beside the model.",
        )
    _, coordinates = read_textured(found[0])
    if len(coordinates) != len(flame.faces):
        raise HeadGaSError(f"{found[0]}: has {len(coordinates)} triangles; FLAME has {len(flame.faces)}.")
    return coordinates
