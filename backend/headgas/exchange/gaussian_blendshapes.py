# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars of 3D Gaussian Blendshapes: the folder of arrays that its code writes for its viewer.

Source: Ma et al., "3D Gaussian Blendshapes for Head Avatar Animation", SIGGRAPH 2024, and its published code
(zjumsj/GaussianBlendshapes, `test.py --dump_for_viewer`; zjumsj/FaceViewer): `fix_chkpntN/` holds the face,
`mouth0_chkpntN/` the upper teeth, which follow the head, and `mouth1_chkpntN/` the lower ones, which follow the jaw.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from headgas.avatars.blendshapes import BlendshapeAvatar, BlendshapesConfig
from headgas.avatars.compact import CompactBasis
from headgas.avatars.flame import EYELIDS, JOINTS, find_flame, flame_space, missing_flame, read_shape
from headgas.avatars.rig import Rig, Skeleton
from headgas.errors import HeadGaSError
from headgas.exchange.axes import AXES, into_head_space
from headgas.exchange.imported import Imported, ReadingOptions, assembled
from headgas.pickles import read_array
from headgas.shapes import fits, written
from headgas.splatting.splats import Splats

_AXES = "opengl"  # FLAME's: Y up, Z out of the face
_DRIVEN = (2, 3, 4)  # jaw and eyes: the tracked head does not turn, the camera moves around it
_LOWER_TEETH = (0.0130787707, 0.0426467828, 0.944269622, 0.0, 0.0)  # how the published code lets them follow the joints
_FACE, _PART = (re.compile(rf"({names})_chkpnt\d*") for names in ("fix", "fix|mouth0|mouth1"))
_ATTRIBUTES = ("quaternions", "log_scales", "logits", "harmonics")


def is_gaussian_blendshapes(path: Path) -> bool:
    """Whether a folder holds such an avatar, or is the face of one."""
    return path.is_dir() and _face(path) is not None


def dump_of(path: Path) -> Path | None:
    """The folder that one of its arrays belongs to."""
    folder = path.parent
    if path.suffix.lower() != ".npy":
        return None
    if _PART.fullmatch(folder.name) and is_gaussian_blendshapes(folder.parent):
        return folder.parent
    return folder if is_gaussian_blendshapes(folder) else None


def read_gaussian_blendshapes(path: Path, options: ReadingOptions) -> Imported:
    """The avatar in a folder: with expressions and eyelids, and with jaw and eyes where the user's FLAME is known.

    Raises:
        HeadGaSError: an array is missing, damaged, or does not fit the others.
    """
    face = _face(path)
    if face is None:
        raise HeadGaSError(f"{path}: holds no xyz_t.npy, so it is no avatar of 3D Gaussian Blendshapes.")
    flame, warnings = find_flame(options.flame), list[str]()
    rest, rows, points, skin = _read_face(face, options)
    parts = [(rest, skin.weights)]
    number = face.name.removeprefix("fix_chkpnt")
    for name, weights in ((f"mouth0_chkpnt{number}", (1.0, 0, 0, 0, 0)), (f"mouth1_chkpnt{number}", _LOWER_TEETH)):
        if face.name != number and (face.parent / name).is_dir():
            teeth = _read_rest(face.parent / name, rest.harmonics.shape[1], options)
            parts.append((teeth, torch.tensor(weights).expand(len(teeth), 5)))
    if len(parts) < 3:
        warnings.append(f"{face}: mouth0_chkpnt* and mouth1_chkpnt* are not all beside it: the teeth are missing.")
    more = sum(len(part) for part, _ in parts[1:])
    shapes = torch.nn.functional.pad(points, (0, 0, 0, more))  # the teeth follow joints only
    skeleton = None
    if flame is None:
        warnings.append(missing_flame(f"{path}: jaw and eyes do not move"))
    else:
        identity, said = read_shape(options.shape)
        warnings += [f"{path}: {said}"] if said else []
        axes = torch.tensor(AXES[options.axes or _AXES])
        joints, joint_shapes = flame.joints(identity, len(points) - len(EYELIDS))
        joint_shapes = torch.nn.functional.pad(joint_shapes, (0, 0, 0, 0, 0, len(EYELIDS)))
        skeleton = Skeleton(
            torch.cat([weights for _, weights in parts]),
            joints @ axes.T * options.scale,
            flame.parents,
            _DRIVEN,
            joint_shapes @ axes.T * options.scale,
            torch.nn.functional.pad(skin.pose_shapes, (0, 0, 0, more)),
            axes,
        )
    rig = Rig(torch.cat([part.means for part, _ in parts]), shapes, skeleton)
    neutral = torch.cat([_row(part) for part, _ in parts])
    values = torch.nn.functional.pad(rows.values, (0, 0, 0, more))
    basis = CompactBasis(neutral, values, rows.scales)
    space = flame_space(len(points) - len(EYELIDS), EYELIDS, [JOINTS[j] for j in _DRIVEN] if flame else [])
    degree = int(rest.harmonics.shape[1] ** 0.5) - 1
    config = BlendshapesConfig(_ATTRIBUTES, degree, turn_harmonics=True)
    return Imported(BlendshapeAvatar(space, rig, {}, config, basis).eval(), "3D Gaussian Blendshapes", warnings)


@dataclass(frozen=True)
class _Skin:
    """What the joints do to the face."""

    weights: Tensor  # [N,5]
    pose_shapes: Tensor  # [36,N,3] metres, head space


def _read_face(folder: Path, options: ReadingOptions) -> tuple[Splats, CompactBasis, Tensor, _Skin]:
    """In rest; what E expressions change of it; the shapes [E+2,N,3] of expressions and eyelids, metres; and skin."""
    rest = _read_rest(folder, None, options)
    count, bands = rest.harmonics.shape[:2]
    moved = _array(folder, "xyz_t", (count, 3, None))
    expressions = moved.shape[2]
    changes = {
        "quaternions": _array(folder, "rot_t", (count, 4, expressions)),
        "log_scales": _array(folder, "scale_t", (count, 3, expressions)),
        "logits": _array(folder, "opacity_t", (count, 1, expressions)),
        "harmonics": _array(folder, "shs_t", (count, bands, 3, expressions)),
    }
    shapes, values, scales = [], [], []
    for row in range(expressions):  # one at a time: all harmonics of a face are half a gigabyte
        change = {name: _tensor(folder, name, array[..., row]) for name, array in changes.items()}
        means, log_scales = _tensor(folder, "xyz_t", moved[..., row]), change["log_scales"]
        splats = Splats(means, change["quaternions"], log_scales, change["logits"][:, 0], change["harmonics"])
        # Means, rotations and harmonics turn linearly: what turns a head turns its changes
        turned = into_head_space(splats, options.axes or _AXES, options.scale)
        shapes.append(turned.means)
        changed = _row(replace(turned, log_scales=log_scales))
        compact = CompactBasis.compressed(torch.stack([torch.zeros_like(changed), changed]))
        values.append(compact.values[0])
        scales.append(compact.scales[0])
    axes = torch.tensor(AXES[options.axes or _AXES]) * options.scale
    eyelids = _tensor(folder, "eyelid", _array(folder, "eyelid", (count, 3, 2)))
    weights = _tensor(folder, "W", _array(folder, "W", (count, 5)))
    pose_shapes = _tensor(folder, "pos_t", _array(folder, "pos_t", (36, count, 3)))
    compact = CompactBasis(_row(rest), torch.stack(values), torch.stack(scales))
    all_shapes = torch.cat([torch.stack(shapes), eyelids.permute(2, 0, 1) @ axes.T])
    return rest, compact, all_shapes, _Skin(weights, pose_shapes @ axes.T)


def _read_rest(folder: Path, bands: int | None, options: ReadingOptions) -> Splats:
    """The Gaussians of a folder at rest, in head space."""
    means = _array(folder, "pos", (None, 3))
    count = len(means)
    harmonics = _array(folder, "shs", (count, bands, 3))
    quaternions, scales = _array(folder, "rot", (count, 4)), _array(folder, "scale", (count, 3))
    logits = _array(folder, "opacity", (count, 1))[:, 0]
    splats = assembled(folder, means, quaternions, scales, logits, harmonics)
    return into_head_space(splats, options.axes or _AXES, options.scale)


def _row(splats: Splats) -> Tensor:
    """What the basis holds of Gaussians [N,8+3K]."""
    looks = [splats.quaternions, splats.log_scales, splats.logits[:, None], splats.harmonics.flatten(1)]
    return torch.cat(looks, 1)


def _array(folder: Path, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """An array of the folder, of that shape; None is any length."""
    path = folder / f"{name}.npy"
    array = read_array(path)
    if not fits(array.shape, shape) or array.dtype.kind != "f":
        found = f"{array.dtype} {written(array.shape)}"
        raise HeadGaSError(f"{path}: holds {found}; expected floats {written(shape)}.")
    return array


def _tensor(folder: Path, name: str, array: np.ndarray) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(array, np.float32))
    if not torch.isfinite(tensor).all():
        raise HeadGaSError(f"{folder}: its array of {name} holds values that are not finite numbers.")
    return tensor


def _face(path: Path) -> Path | None:
    """The folder of the face: the one that was trained longest."""
    if (path / "xyz_t.npy").is_file() or _FACE.fullmatch(path.name) and path.is_dir():
        return path
    found = [part for part in path.glob("fix_chkpnt*") if part.is_dir() and any(part.glob("*.npy"))]
    return max(found, key=lambda part: int(re.sub(r"\D", "", part.name) or 0), default=None)
