# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianHead's run folders, `output/<id>/`: the avatar as the published code renders it.

    point_cloud/iteration_N/point_cloud.ply  means, scales, rotations; its opacities and harmonics are those of the last
                                             frame that was rendered, and are left alone
    deform/iteration_N/deform.pth            linear.{0..7}, gaussian_warp, gaussian_rotation, gaussian_scaling
    trip/iteration_N/trip.pth                tri_plane.{level}.{plane} [1,32,R,R], opacity_net, shs_net, shs_dc_net,
                                             shs_rest_net
    tilted/iteration_N/tilted.pth            tau [N,4,4]

Source: github.com/chiehwangs/gaussian-head, scene/ and utils/. Its cameras are OpenGL's, before a head that has Y up
and Z out of the face (scene/dataset_readers.py: a novel view looks from +Z); its unit, which nothing names, is taken
for the metre.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headgas.avatars import ExpressionSpace, GaussianHead, GaussianHeadConfig
from headgas.errors import HeadGaSError
from headgas.exchange.axes import AXES
from headgas.exchange.imported import Imported, ReadingOptions
from headgas.exchange.ply import read_table
from headgas.pickles import read_torch
from headgas.shapes import fits
from headgas.splatting.rotations import products, quaternion_of

_FILES = {
    "point_cloud": "point_cloud.ply",
    "deform": "deform.pth",
    "trip": "trip.pth",
    "tilted": "tilted.pth",
}
_ITS_OWN = {"trip", "tilted"}  # of these folders; other programs write the others, too
_NOTES = ("cfg_args", "cameras.json", "input.ply")
_DEPTH = 3  # from a file up to the run
_OCTAVES = 10
_ENCODING = 3 + 6 * _OCTAVES
_FACE_WAREHOUSE = 46  # parameters of NeRFBlendShape's expressions
_HEADS = {"gaussian_warp": ("move", 3), "gaussian_rotation": ("turn", 4), "gaussian_scaling": ("stretch", 3)}
_HARMONICS = 48


def is_gaussian_head(path: Path) -> bool:
    """Whether a path is such a folder, perhaps an incomplete one."""
    has = {name for name in _FILES if (path / name).is_dir()}
    return len(has) > 1 and bool(has & _ITS_OWN)


def run_of(path: Path) -> Path | None:
    """The run folder that a path belongs to: as a part of the avatar, or as one of the training's notes beside it."""
    inner = path
    for folder in path.parents[:_DEPTH]:
        if (inner.name in _FILES or inner == path and path.name in _NOTES) and is_gaussian_head(folder):
            return folder
        inner = folder
    return None


def read_gaussian_head(path: Path, options: ReadingOptions) -> Imported:
    """The avatar in a run folder, of the newest iteration that all four files have.

    Raises:
        HeadGaSError: a file is missing or damaged, or the files do not belong together.
    """
    iteration = _newest(path)
    files = {name: path / name / f"iteration_{iteration}" / file for name, file in _FILES.items()}
    table = read_table(files["point_cloud"])
    shape = {"means": ("x", "y", "z"), "log_scales": ("scale_0", "scale_1", "scale_2"),
             "quaternions": ("rot_0", "rot_1", "rot_2", "rot_3")}  # fmt: skip
    geometry = {name: torch.from_numpy(table.matrix(columns)) for name, columns in shape.items()}
    for name, values in geometry.items():
        if not torch.isfinite(values).all():
            raise HeadGaSError(f"{files['point_cloud']}: {shape[name]} hold values that are not finite numbers.")
    deform, trip, tilted = (_Weights(files[name]) for name in ("deform", "trip", "tilted"))
    tau = tilted.tensor("tau", (len(table), None, 4))
    derivations = tau.shape[1]
    tensors = {"derivations": tau}
    layers, width, parameters = _read_deformation(deform, tensors)
    resolutions, channels, hidden = _read_looks(trip, derivations, tensors)
    config = GaussianHeadConfig(
        derivations=derivations, channels=channels, resolutions=resolutions, octaves=_OCTAVES,
        deformation_layers=layers, deformation_width=width, hidden=hidden, antialiased=False, released=True,
    )  # fmt: skip
    tensors |= _placed(geometry, options)
    avatar = GaussianHead(_space(parameters), tensors["means"], config)
    avatar.load_state_dict(tensors)
    warning = f"{path.name}: does not say in which range its expressions were; 0 to 1 is assumed."
    training = {"iterations": iteration}
    return Imported(avatar.eval(), "GaussianHead run folder", (warning,), training=training)


def _newest(path: Path) -> int:
    """The newest iteration that all folders have."""
    found = []
    for name, file in _FILES.items():
        numbers = {
            int(match[1])
            for folder in (path / name).glob("iteration_*")
            if (match := re.fullmatch(r"iteration_(\d+)", folder.name)) and (folder / file).is_file()
        }
        if not numbers:
            raise HeadGaSError(f"{path / name}: holds no iteration_N/{file}.", "Is the run folder complete?")
        found.append(numbers)
    common = set.intersection(*found)
    if not common:
        raise HeadGaSError(f"{path}: {', '.join(_FILES)} have no iteration in common.", "Is the run folder complete?")
    return max(common)


class _Weights:
    """The tensors of one .pth file; nothing in it is executed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        state = read_torch(path)
        if not isinstance(state, Mapping):
            raise HeadGaSError(f"{path}: holds {type(state).__name__}; expected weights by their names.")
        self._state: dict[Any, Any] = dict(state)

    def count(self, pattern: str) -> int:
        """How many names match."""
        return sum(1 for name in self._state if isinstance(name, str) and re.fullmatch(pattern, name))

    def tensor(self, name: str, shape: tuple[int | None, ...]) -> Tensor:
        """The tensor of that name, float32; None in a shape stands for any number.

        Raises:
            HeadGaSError: it is missing, of another shape or not finite.
        """
        value = self._state.get(name)
        if not isinstance(value, Tensor):
            raise HeadGaSError(f"{self.path}: lacks the tensor '{name}'.")
        if not fits(value.shape, shape) or not value.numel() or not value.is_floating_point():
            wanted = ", ".join("…" if size is None else str(size) for size in shape)
            raise HeadGaSError(
                f"{self.path}: '{name}' is {value.dtype} of the shape {list(value.shape)}; expected floats [{wanted}]."
            )
        if not torch.isfinite(value).all():
            raise HeadGaSError(f"{self.path}: '{name}' holds values that are not finite numbers.")
        return value.float().contiguous()


def _read_deformation(weights: _Weights, tensors: dict[str, Tensor]) -> tuple[int, int, int]:
    """Adds the deformation field; returns its layers, their width and the number of the expression's parameters."""
    layers = weights.count(r"linear\.\d+\.weight")
    width, inputs = weights.tensor("linear.0.weight", (None, None)).shape
    if layers < 3 or inputs <= _ENCODING:
        raise HeadGaSError(
            f"{weights.path}: has {layers} layers and {inputs} inputs; "
            f"expected at least 3, and more than the {_ENCODING} of an encoded position."
        )
    for number in range(layers):
        columns = {0: inputs, layers // 2 + 1: width + inputs}.get(number, width)
        tensors[f"deformation.layers.{number}.weight"] = weights.tensor(f"linear.{number}.weight", (width, columns))
        tensors[f"deformation.layers.{number}.bias"] = weights.tensor(f"linear.{number}.bias", (width,))
    for theirs, (ours, size) in _HEADS.items():
        tensors[f"deformation.{ours}.weight"] = weights.tensor(f"{theirs}.weight", (size, width))
        tensors[f"deformation.{ours}.bias"] = weights.tensor(f"{theirs}.bias", (size,))
    return layers, width, inputs - _ENCODING


def _read_looks(
    weights: _Weights, derivations: int, tensors: dict[str, Tensor]
) -> tuple[tuple[int, ...], int, int]:
    """Adds planes and decoders; returns the planes' resolutions, the channels that are read and the hidden units.

    The published code reads the last channels of the planes for every derivation; the others were never trained.
    """
    levels = weights.count(r"tri_plane\.\d+\.0")
    resolutions, tables, channels = [], [], 0
    for level in range(max(1, levels)):
        for plane in range(3):
            name = f"tri_plane.{level}.{plane}"
            values = weights.tensor(name, (1, None, None, None))[0]
            size, resolution = values.shape[0], values.shape[1]
            channels = channels or size // derivations
            weights.tensor(name, (1, channels * derivations, resolution, resolution))
            if plane == 0:
                resolutions.append(resolution)
            elif resolution != resolutions[-1]:
                raise HeadGaSError(f"{weights.path}: the planes of level {level} are not of one size.")
            live = values[(derivations - 1) * channels :]
            tables.append(live.permute(1, 2, 0).reshape(-1, channels))
    tensors["factors.tables"] = torch.cat(tables)
    hidden = len(weights.tensor("opacity_net.net.0.weight", (None, derivations * channels)))
    shapes = {
        "opacity_net.net.0.weight": ("opacity_network.0.weight", (hidden, derivations * channels)),
        "opacity_net.net.1.weight": ("opacity_network.1.weight", (hidden, hidden)),
        "opacity_net.net.2.weight": ("opacity_network.2.weight", (33, hidden)),
        "shs_net.net.0.weight": ("color_network.0.weight", (hidden, 35)),
        "shs_net.net.1.weight": ("color_network.1.weight", (_HARMONICS, hidden)),
        "shs_dc_net.weight": ("base_layer.weight", (3, _HARMONICS)),
        "shs_dc_net.bias": ("base_layer.bias", (3,)),
        "shs_rest_net.weight": ("band_layer.weight", (_HARMONICS - 3, _HARMONICS)),
        "shs_rest_net.bias": ("band_layer.bias", (_HARMONICS - 3,)),
    }
    for theirs, (ours, shape) in shapes.items():
        tensors[ours] = weights.tensor(theirs, shape)
    return tuple(resolutions), channels, hidden


def _placed(geometry: dict[str, Tensor], options: ReadingOptions) -> dict[str, Tensor]:
    """The Gaussians in head space, and where the model's own axes lie there."""
    rotation = torch.tensor(AXES[options.axes or "opengl"], dtype=torch.float64)
    orientation = quaternion_of(rotation).float()
    return {
        "means": geometry["means"] @ rotation.float().T * options.scale,
        "quaternions": products(orientation, geometry["quaternions"]),
        "log_scales": geometry["log_scales"] + math.log(options.scale),
        "center": torch.zeros(3),
        "extent": torch.tensor(float(options.scale)),
        "orientation": orientation,
    }


def _space(parameters: int) -> ExpressionSpace:
    names = tuple(f"expression_{number}" for number in range(parameters))
    zeros, ones = (0.0,) * parameters, (1.0,) * parameters
    return ExpressionSpace("FaceWarehouse" if parameters == _FACE_WAREHOUSE else "custom", names, zeros, zeros, ones)
