# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars of LAM: a zip with a skinned mesh of ARKit's shapes and a Gaussian beside each of its points.

Source: He et al., "LAM: Large Avatar Model for One-shot Animatable Gaussian Head", SIGGRAPH 2025, and the export of its
published code (aigc3d/LAM: `save_ply` with rgb2sh=False and offset2xyz=True; tools/generateARKITGLBWithBlender.py):
`offset.ply` holds the Gaussians of the points of `skin.glb`, in their order: x y z are distances from the points,
f_dc is the colour itself, not a harmonic. `vertex_order.json` lists the points from the lowest to the highest, for
the painter of the web viewer; `animation.glb` holds the body's clips. Neither changes the head.
"""

import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from headgas.avatars.blendshapes import BlendshapeAvatar, BlendshapesConfig
from headgas.avatars.expression_space import ExpressionSpace
from headgas.avatars.rig import Rig, Skeleton
from headgas.avatars.spherical_harmonics import C0
from headgas.errors import HeadGaSError
from headgas.exchange.axes import AXES, into_head_space
from headgas.exchange.gltf_reading import Glb, SkinnedMesh
from headgas.exchange.imported import Imported, ReadingOptions, assembled
from headgas.exchange.ply import read_table

_MESH, _SPLATS = "skin.glb", "offset.ply"
_PLAUSIBLE, _MOST_COMPRESSED = 1 << 26, 100  # bytes that any member may unpack to; how much smaller a larger one is
_NO_ZIP = (zipfile.BadZipFile, RuntimeError, ValueError, EOFError, zlib.error)  # what a damaged one raises
_HEAD = "head"  # the joint that the face follows
_HEAD_TURN = 0.5  # radians: sliders' ends


def is_lam(path: Path, start: bytes) -> bool:
    """Whether a file that begins so is an avatar of LAM."""
    if start[:4] != b"PK\x03\x04":
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return {_MESH, _SPLATS} <= {_name(info) for info in archive.infolist()}
    except (*_NO_ZIP, OSError):
        return False


def read_lam(path: Path, options: ReadingOptions) -> Imported:
    """The avatar in a zip of LAM, driven by its ARKit shapes and by turns of the head over the neck.

    Raises:
        HeadGaSError: something in it is missing or damaged.
    """
    mesh = Glb(_member(path, _MESH), f"{path}: {_MESH}").skinned_mesh()
    with tempfile.TemporaryDirectory() as folder:
        extracted = Path(folder) / _SPLATS
        extracted.write_bytes(_member(path, _SPLATS))
        try:
            table = read_table(extracted)
            offsets, colors = table.matrix(["x", "y", "z"]), table.matrix(["f_dc_0", "f_dc_1", "f_dc_2"])
            if len(offsets) != len(mesh.points):
                raise HeadGaSError(f"{extracted}: has {len(offsets)} Gaussians; {_MESH} has {len(mesh.points)} points.")
            splats = assembled(
                extracted,
                mesh.points + offsets,
                table.matrix([f"rot_{axis}" for axis in range(4)]),
                table.matrix([f"scale_{axis}" for axis in range(3)]),
                table.matrix(["opacity"])[:, 0],
                ((colors - 0.5) / C0)[:, None],
            )
        except HeadGaSError as error:
            raise HeadGaSError(error.message.replace(str(extracted), f"{path}: {_SPLATS}"), error.hint) from None
    splats = into_head_space(splats, options.axes or "opengl", options.scale)
    rig, names = _rig(mesh, splats.means, torch.tensor(AXES[options.axes or "opengl"]) * options.scale)
    turned = len(names) - len(mesh.targets)
    zeros, low, high = (0.0,) * len(names), (0.0,) * len(mesh.targets), (1.0,) * len(mesh.targets)
    space = ExpressionSpace("ARKit", names, zeros, low + (-_HEAD_TURN,) * turned, high + (_HEAD_TURN,) * turned)
    attributes = {
        "quaternions": splats.quaternions,
        "log_scales": splats.log_scales,
        "logits": splats.logits[:, None],
        "harmonics": splats.harmonics.flatten(1),
    }
    warnings = [] if turned else [f"{path}: its skin has no joint '{_HEAD}': the neck does not bend."]
    avatar = BlendshapeAvatar(space, rig, attributes, BlendshapesConfig()).eval()
    return Imported(avatar, "LAM avatar", warnings)


def _rig(mesh: SkinnedMesh, means: torch.Tensor, axes: torch.Tensor) -> tuple[Rig, tuple[str, ...]]:
    """What moves the Gaussians, and the names of the parameters. A mesh for a whole body stands on the ground: what
    is returned has the middle of the head for its origin.

    Args:
        means: [N,3] in head space, metres, but for the origin.
        axes: [3,3], the mesh's axes to head space, times metres per unit.
    """
    order = sorted(range(len(mesh.targets)), key=lambda i: mesh.target_names[i])
    shapes = torch.from_numpy(mesh.targets[order]) @ axes.T
    names = tuple(mesh.target_names[i] for i in order)
    points = torch.from_numpy(mesh.points) @ axes.T
    if _HEAD not in mesh.joint_names:
        return Rig(means - (points.amax(0) + points.amin(0)) / 2, shapes), names
    joint = mesh.joint_names.index(_HEAD)
    weight = torch.from_numpy(np.ascontiguousarray(mesh.weights[:, joint]))
    head = points[weight > 0.5] if (weight > 0.5).any() else points
    origin = (head.amax(0) + head.amin(0)) / 2
    pivot = torch.from_numpy(mesh.joints[joint]) @ axes.T - origin
    joints = torch.stack([torch.zeros(3), pivot])  # the body, which stays, and the head
    skeleton = Skeleton(torch.stack([1 - weight, weight], 1), joints, (-1, 0), (1,))
    return Rig(means - origin, shapes, skeleton), (*names, *(f"head_{axis}" for axis in "xyz"))


def _name(info: zipfile.ZipInfo) -> str:
    return "" if info.filename.startswith("__MACOSX/") else info.filename.rpartition("/")[2]


def _member(path: Path, name: str) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            info = next((info for info in archive.infolist() if _name(info) == name), None)
            if info is None:
                raise HeadGaSError(f"{path}: holds no {name}, so it is no avatar of LAM.")
            if info.file_size > max(_PLAUSIBLE, _MOST_COMPRESSED * info.compress_size):
                said = f"{name} claims {info.file_size:,} bytes, too many for the {info.compress_size:,} that it takes."
                raise HeadGaSError(f"{path}: {said}")
            return archive.read(info)
    except _NO_ZIP as error:
        raise HeadGaSError(f"{path}: {name} cannot be unpacked ({error}).") from None
