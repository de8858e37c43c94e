# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars of GaussianAvatars: a PLY file whose Gaussians are bound to FLAME's triangles, and `flame_param.npz` beside.

Source: Qian et al., "GaussianAvatars: Photorealistic Head Avatars with Rigged 3D Gaussians", CVPR 2024, and its
published code (ShenhanQian/GaussianAvatars): `binding_0` is the number of the triangle; places, rotations and scales
are those within its frame.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from headgas.avatars.blendshapes import BlendshapeAvatar, BlendshapesConfig
from headgas.avatars.expression_space import ExpressionSpace
from headgas.avatars.flame import AXES, JOINTS, flame_space, need_flame
from headgas.avatars.surface_frames import Binding
from headgas.errors import HeadGaSError
from headgas.exchange.axes import AXES as ALL_AXES
from headgas.exchange.axes import into_head_space
from headgas.exchange.flame_teeth import with_teeth
from headgas.exchange.imported import Imported, ReadingOptions
from headgas.exchange.ply import PlyTable, read_table, splats_of
from headgas.pickles import read_npz

_PARAMETERS = "flame_param.npz"
_DRIVEN = (1, 2, 3, 4)  # the root's turn is the head's place, which Blender gives it
_MOST_TRIANGLES = 1 << 24  # that a float32 can number
_POSES = {"neck_pose": 3, "jaw_pose": 3, "eyes_pose": 6}


def is_gaussian_avatars(start: bytes) -> bool:
    """Whether a PLY file that begins so holds an avatar of GaussianAvatars."""
    return start.startswith(b"ply") and b" binding_0" in start.partition(b"end_header")[0]


def read_gaussian_avatars(path: Path, options: ReadingOptions) -> Imported:
    """The avatar in a PLY file, driven by FLAME's expressions, neck, jaw and eyes.

    Raises:
        HeadGaSError: FLAME or the parameters beside the file are missing, or something does not fit.
    """
    flame = need_flame(path, options.flame)
    beside = path.parent / _PARAMETERS
    if not beside.is_file():
        raise HeadGaSError(f"{path}: needs the head's shape from {_PARAMETERS} beside it, and there is none.")
    parameters = read_npz(beside)
    identity = _values(beside, parameters, "shape").ravel()
    expressions = _values(beside, parameters, "expr")
    if len(identity) > 300 or expressions.ndim != 2:
        raise HeadGaSError(f"{beside}: 'shape' {len(identity)} and 'expr' {list(expressions.shape)} are not FLAME's.")
    table = read_table(path)
    splats, warnings = splats_of(table)
    bound = triangles_of(table, "binding_0")
    if int(bound.max()) >= len(flame.faces):
        flame = with_teeth(flame)
    points = flame.points(identity)
    if "static_offset" in parameters:
        offset = _values(beside, parameters, "static_offset")
        if offset.shape[-1:] != (3,):
            raise HeadGaSError(f"{beside}: 'static_offset' is {list(offset.shape)}; expected [1, points, 3].")
        offset = offset.reshape(-1, 3)
        if len(offset) > len(points) and not offset[len(points) :].any():
            offset = offset[: len(points)]
        if len(offset) > len(points):
            raise HeadGaSError(f"{beside}: 'static_offset' has {len(offset)} points; FLAME has {len(points)}.")
        points = points + torch.nn.functional.pad(offset, (0, 0, 0, len(points) - len(offset)))
    binding = bind(path, flame.faces, bound, torch.full((len(bound), 3), 1 / 3))
    turn = torch.tensor(ALL_AXES[options.axes or AXES])
    rig = flame.rig(points, expressions.shape[1], False, _DRIVEN, turn, options.scale)
    attributes = {
        "offsets": splats.means,
        "quaternions": splats.quaternions,
        "log_scales": splats.log_scales,
        "logits": splats.logits[:, None],
        "harmonics": into_head_space(splats, options.axes or AXES).harmonics.flatten(1),
    }
    degree = int(splats.harmonics.shape[1] ** 0.5) - 1
    config = BlendshapesConfig((), degree, antialiased=splats.antialiased)
    space = flame_space(expressions.shape[1], (), [JOINTS[joint] for joint in _DRIVEN])
    avatar = BlendshapeAvatar(_seen(space, beside, parameters), rig, attributes, config, binding=binding)
    return Imported(avatar.eval(), "GaussianAvatars", warnings)


def triangles_of(table: PlyTable, name: str) -> Tensor:
    """The property [N] int64 that numbers triangles.

    Raises:
        HeadGaSError: it holds something else.
    """
    numbers = table.matrix([name])[:, 0]
    if not ((numbers >= 0) & (numbers < _MOST_TRIANGLES) & (numbers == np.floor(numbers))).all():
        raise HeadGaSError(f"{table.path}: its property {name} holds values that number no triangle.")
    return torch.from_numpy(numbers.astype(np.int64))


def bind(path: Path, faces: Tensor, bound: Tensor, barycentric: Tensor, tangents: Tensor | None = None) -> Binding:
    """A binding of Gaussians to triangles of FLAME.

    Raises:
        HeadGaSError: some are bound to triangles that FLAME has not.
    """
    if int(bound.max()) >= len(faces):
        raise HeadGaSError(
            f"{path}: has Gaussians on triangle {int(bound.max())}; your FLAME has {len(faces)}.",
            "The avatar was trained with another version of FLAME.",
        )
    if not torch.isfinite(barycentric).all():
        raise HeadGaSError(f"{path}: says with values that are not finite where its Gaussians are in their triangles.")
    return Binding(faces, bound, barycentric, tangents)


def _values(path: Path, parameters: dict[str, np.ndarray], name: str) -> Tensor:
    if name not in parameters:
        raise HeadGaSError(f"{path}: has no '{name}'.")
    array = parameters[name]
    if array.dtype.kind != "f" or not array.size or not np.isfinite(array).all():
        raise HeadGaSError(f"{path}: '{name}' is {array.dtype} {list(array.shape)}; expected finite numbers.")
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


def _seen(space: ExpressionSpace, path: Path, parameters: dict[str, np.ndarray]) -> ExpressionSpace:
    """With the ranges that training saw, where the file has them."""
    if not set(_POSES) <= set(parameters):
        return space
    moved = {name: _values(path, parameters, name) for name in ("expr", *_POSES)}
    frames = len(moved["expr"])
    for name, size in _POSES.items():
        if moved[name].shape != (frames, size):
            found = list(moved[name].shape)
            raise HeadGaSError(f"{path}: '{name}' is {found}; expected {[frames, size]}, as many as 'expr'.")
    seen = torch.cat(list(moved.values()), 1)
    low, high = (tuple(limit.tolist()) for limit in (seen.amin(0).clamp(max=0), seen.amax(0).clamp(min=0)))
    return replace(space, low=low, high=high)
