# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars of FlashAvatar: `chkpntN.pth`, driven with the user's FLAME, or as the last frame that training saw.

Source: Xiang et al., "FlashAvatar", CVPR 2024, and its published code (USTC3DV/FlashAvatar-code, train.py):
((network, optimizer), (active degree, places, f_dc, f_rest, log scales, rotations, logits of opacities, three
statistics, optimizer, extent), iteration).

The file does not say where its Gaussians are on the head: they are numbered by the pixels that PyTorch3D's rasterizer
covers of FLAME's texture, 128 pixels wide, less those of triangles at the head's boundary. That is done again here;
where another number of Gaussians comes out, nothing is driven.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headgas.avatars.flame import AXES, EYELIDS, JOINTS, Flame, find_flame, flame_space, missing_flame, read_shape
from headgas.avatars.mesh_network import MeshNetworkAvatar
from headgas.errors import HeadGaSError
from headgas.exchange.axes import AXES as ALL_AXES
from headgas.exchange.axes import into_head_space
from headgas.exchange.imported import Imported, ReadingOptions, assembled, check_count, static
from headgas.exchange.texture_coordinates import covered, read_textured
from headgas.pickles import read_pickle, read_torch
from headgas.splatting.splats import Splats

_FIELDS = {1: "places", 2: "f_dc", 3: "f_rest", 4: "scales", 5: "rotations", 6: "opacities"}
_PARTS = 12  # of what GaussianModel.capture returns
_TEXTURE, _EXPRESSIONS, _DRIVEN = 128, 100, (2, 3, 4)
_INPUTS, _HIDDEN, _LAYERS = 51 + 120, 256, 6
_MESH, _MASKS, _BOUNDARY = "FlameMesh.obj", "FLAME_masks.pkl", "boundary"
_FORM = "FlashAvatar checkpoint"
_STILL = "is opened as the last frame of its training left it, and cannot be driven"


def is_flash_avatar(path: Path, start: bytes) -> bool:
    """Whether a file that begins so may be a checkpoint of FlashAvatar: its name, in a file that torch wrote."""
    return path.suffix == ".pth" and path.stem.startswith("chkpnt") and start[:2] in (b"PK", b"\x80\x02")


def read_flash_avatar(path: Path, options: ReadingOptions) -> Imported:
    """The avatar in a checkpoint: driven by expressions, eyelids, jaw and eyes where the user's FLAME and what
    belongs to it are at hand, else static, with the warning that says why.

    Raises:
        HeadGaSError: the file is damaged, malicious, or something else.
    """
    network, parts = _parts(path, read_torch(path))
    arrays = {name: parts[index].detach().float().cpu().numpy() for index, name in _FIELDS.items()}
    count = len(arrays["places"])
    check_count(path, count)
    bands = 1 + arrays["f_rest"].shape[1] if arrays["f_rest"].ndim == 3 else 0
    wanted = {
        "places": (count, 3), "f_dc": (count, 1, 3), "f_rest": (count, bands - 1, 3), "scales": (count, 3),
        "rotations": (count, 4), "opacities": (count, 1),
    }  # fmt: skip
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise HeadGaSError(f"{path}: its {name} are {list(arrays[name].shape)}; expected {list(shape)}.")
    splats = assembled(
        path,
        arrays["places"],
        arrays["rotations"],
        arrays["scales"],
        arrays["opacities"][:, 0],
        np.concatenate([arrays["f_dc"], arrays["f_rest"]], 1),
    )
    flame = find_flame(options.flame)
    if flame is None:
        return static(splats, _FORM, AXES, options, [missing_flame(f"{path}: {_STILL}")])
    missing = [name for name in (_MESH, _MASKS) if not (flame.path.parent / name).is_file()]
    if missing:
        said = f"{path}: {_STILL}: that needs {' and '.join(missing)} beside {flame.path}. "
        said += "They are in FlashAvatar's code (flame/) and on flame.is.tue.mpg.de ('FLAME Vertex Masks')."
        return static(splats, _FORM, AXES, options, [said])
    faces, corners, barycentric = _embedding(flame)
    if len(faces) != count:
        made = f"your FLAME, {_MESH} and {_MASKS} make {len(faces)} Gaussians"
        said = f"{path}: {_STILL}: {made}; the file has {count}."
        return static(splats, _FORM, AXES, options, [said])
    identity, said = read_shape(options.shape)
    avatar = _driven(path, flame, identity, splats, network, corners, barycentric, options)
    return Imported(avatar, _FORM, [f"{path}: {said}"] if said else [])


def _embedding(flame: Flame) -> tuple[Tensor, Tensor, Tensor]:
    """Of each Gaussian: its triangle's number [N], the points at its corners [N,3], and where it is in there [N,3]."""
    mesh, masks = flame.path.parent / _MESH, flame.path.parent / _MASKS
    faces, coordinates = read_textured(mesh)
    if int(faces.max()) >= len(flame.template):
        raise HeadGaSError(f"{mesh}: names point {int(faces.max())}; FLAME has {len(flame.template)}.")
    held = read_pickle(masks)
    boundary = held.get(_BOUNDARY) if isinstance(held, Mapping) else None
    if not isinstance(boundary, np.ndarray) or boundary.dtype.kind not in "iu":
        raise HeadGaSError(f"{masks}: holds no list of points '{_BOUNDARY}'.")
    numbers, barycentric = covered(coordinates, _TEXTURE)
    corners = faces[numbers]
    kept = ~torch.isin(corners, torch.from_numpy(boundary.astype(np.int64))).any(1)
    return numbers[kept], corners[kept], barycentric[kept]


def _driven(
    path: Path,
    flame: Flame,
    identity: Tensor,
    splats: Splats,
    network: Mapping[str, Any],
    corners: Tensor,
    barycentric: Tensor,
    options: ReadingOptions,
) -> MeshNetworkAvatar:
    points = flame.points(identity)
    turn = torch.tensor(ALL_AXES[options.axes or AXES])
    placed = into_head_space(splats, options.axes or AXES)
    constants = {
        "triangles": corners,
        "barycentric": barycentric,
        "places": (points[corners] * barycentric[:, :, None]).sum(1),
        "quaternions": placed.quaternions,
        "log_scales": splats.log_scales,
        "logits": splats.logits,
        "harmonics": placed.harmonics,
        "turn": turn * options.scale,
    }
    rig = flame.rig(points, _EXPRESSIONS, True, _DRIVEN, turn, options.scale)
    space = flame_space(_EXPRESSIONS, EYELIDS, [JOINTS[joint] for joint in _DRIVEN])
    avatar = MeshNetworkAvatar(space, rig, constants, (_INPUTS, *[_HIDDEN] * _LAYERS), len(EYELIDS))
    layers = {name: value for name, value in avatar.state_dict().items() if name.startswith(("fcs.", "output_linear."))}
    for name, own in layers.items():
        given = network.get(name)
        fits = torch.is_tensor(given) and given.shape == own.shape and torch.isfinite(given).all()
        if not fits:
            raise HeadGaSError(f"{path}: its network's {name} is not {list(own.shape)} finite numbers.")
        own.copy_(given)
    return avatar.eval()


def _parts(path: Path, content: Any) -> tuple[Mapping[str, Any], Sequence[Any]]:
    """The network, and what GaussianModel.capture returned."""
    match content:
        case [[dict() as network, *_], [_, *_] as parts, int()] if len(parts) == _PARTS:
            if all(isinstance(parts[index], Tensor) for index in _FIELDS):
                return network, parts
    raise HeadGaSError(
        f"{path}: is no checkpoint of FlashAvatar: expected ((network, optimizer), ({_PARTS} parts), iteration).",
        "Other programs' .pth files are not read; many of them can export a .ply.",
    )
