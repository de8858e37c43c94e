# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's own FLAME model, which avatars of other programs are bound to and whose licence keeps it out of here.

Source: Li et al., "Learning a model of facial shape and expression from 4D scans", SIGGRAPH Asia 2017; the files of
flame.is.tue.mpg.de: a pickle of v_template [V,3], shapedirs [V,3,400] (300 of identity, then 100 of expression),
posedirs [V,3,36], J_regressor [5,V], weights [V,5], kintree_table [2,5] and f [F,3]. Metres, Y up, Z out of the face.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headgas.avatars.expression_space import ExpressionSpace
from headgas.avatars.rig import Rig, Skeleton
from headgas.errors import HeadGaSError
from headgas.pickles import Held, as_array, read_array, read_npz, read_pickle, read_torch
from headgas.shapes import fits, written

AXES = "opengl"  # Y up, Z out of the face
JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")
EYELIDS = ("eyelid_left", "eyelid_right")  # of metrical-tracker, beside FLAME
_VARIABLE = "HEADGAS_FLAME"
_FILES = ("generic_model.pkl", "flame2023.pkl", "flame2023_no_jaw.pkl", "FLAME_NEUTRAL.pkl", "FLAME2020.npz")
_LIDS = ("l_eyelid.npy", "r_eyelid.npy")
_IDENTITY = 300
_MOST_ENTRIES = 10_000_000  # of a sparse matrix: FLAME's has 5 x 5,023
_HINT = (
    "FLAME is free for research: agree to its licence on https://flame.is.tue.mpg.de, download FLAME 2020 or 2023 and "
    "unpack it. Then give the path of its generic_model.pkl: in Blender 'FLAME Model' in HeadGaS's preferences, on the "
    f"command line `--flame PATH`, for both the environment variable {_VARIABLE}."
)


@dataclass(frozen=True)
class Flame:
    """FLAME in its own axes, float32."""

    path: Path
    template: Tensor  # [V,3] metres
    shapes: Tensor  # [V,3,S]: identity, then expression
    pose_shapes: Tensor  # [36,V,3]
    regressor: Tensor  # [5,V]: joints from points
    weights: Tensor  # [V,5]
    parents: tuple[int, ...]  # [5], -1 for the root
    faces: Tensor  # [F,3] int64
    eyelids: Tensor | None  # [2,V,3] metres: left, right

    def points(self, identity: Tensor) -> Tensor:
        """The head [V,3] of an identity [up to 300]."""
        return self.template + self.shapes[..., : len(identity)] @ identity

    def expressions(self, count: int) -> Tensor:
        """The shapes [count,V,3] of the first expressions."""
        found = self.shapes[..., _IDENTITY : _IDENTITY + count].permute(2, 0, 1)
        if len(found) < count:
            raise HeadGaSError(f"{self.path}: holds {len(found)} expressions; the avatar needs {count}.")
        return found

    def joints(self, identity: Tensor, expressions: int) -> tuple[Tensor, Tensor]:
        """The joints [5,3] of an identity, and what the expressions change of them [E,5,3]."""
        return self.regressor @ self.points(identity), self.regressor @ self.expressions(expressions)

    def rig(
        self, points: Tensor, expressions: int, lids: bool, driven: Sequence[int], turn: Tensor, scale: float
    ) -> Rig:
        """What moves the head, in head space.

        Args:
            points: [V,3] of the head in rest, in FLAME's axes; more than FLAME's own follow nothing.
            expressions: how many.
            lids: whether two more parameters close the eyelids; they do nothing where the user has no file of them.
            driven: numbers of the joints that parameters turn.
            turn: [3,3], FLAME's axes to head space.
            scale: metres per unit.
        """
        moved = self.expressions(expressions)
        joint_shapes = self.regressor @ moved
        if lids:
            moved = torch.cat([moved, torch.zeros(2, *self.template.shape) if self.eyelids is None else self.eyelids])
            joint_shapes = torch.nn.functional.pad(joint_shapes, (0, 0, 0, 0, 0, 2))
        skeleton = Skeleton(
            self.weights,
            self.regressor @ points @ turn.T * scale,
            self.parents,
            driven,
            joint_shapes @ turn.T * scale,
            self.pose_shapes @ turn.T * scale,
            turn,
        )
        return Rig(points @ turn.T * scale, moved @ turn.T * scale, skeleton)


def find_flame(path: Path | None) -> Flame | None:
    """The user's FLAME, named here or in the environment, or None where the user has not said where it is.

    Raises:
        HeadGaSError: what the user said cannot be read.
    """
    named = path or (Path(os.environ[_VARIABLE]) if os.environ.get(_VARIABLE) else None)
    return None if named is None else load_flame(named)


def need_flame(what: Path, path: Path | None) -> Flame:
    """The user's FLAME, for an avatar or a capture that is nothing without it.

    Raises:
        HeadGaSError: it is not there; the message says how to get it.
    """
    flame = find_flame(path)
    if flame is None:
        raise HeadGaSError(f"{what}: is bound to the head model FLAME, which HeadGaS may not bring along.", _HINT)
    return flame


def missing_flame(what: str) -> str:
    """The warning that without FLAME something is left out."""
    return f"{what}: that needs your FLAME model. {_HINT}"


def load_flame(path: Path) -> Flame:
    """A FLAME model from its file, or from the folder it is in.

    Raises:
        HeadGaSError: it is missing, damaged, or something else.
    """
    if path.is_dir():
        found = [path / name for name in _FILES if (path / name).is_file()]
        if not found:
            raise HeadGaSError(f"{path}: holds none of {', '.join(_FILES)}.", _HINT)
        path = found[0]
    if not path.is_file():
        raise HeadGaSError(f"{path}: there is no such file, so FLAME cannot be read.", _HINT)
    data = read_npz(path) if path.suffix == ".npz" else read_pickle(path)
    if not isinstance(data, Mapping):
        raise HeadGaSError(f"{path}: holds no FLAME model.", _HINT)
    template = _field(path, data, "v_template", (None, 3))
    count = len(template)
    shapes = _field(path, data, "shapedirs", (count, 3, None))
    pose_shapes = _field(path, data, "posedirs", (count, 3, 36))
    regressor = _field(path, data, "J_regressor", (len(JOINTS), count))
    weights = _field(path, data, "weights", (count, len(JOINTS)))
    tree = _field(path, data, "kintree_table", (2, len(JOINTS)))
    faces = _field(path, data, "f", (None, 3))
    if faces.min() < 0 or faces.max() >= count or not (faces == np.floor(faces)).all():
        raise HeadGaSError(f"{path}: its faces name points that are not among {count}.")
    parents = (-1, *(int(parent) for parent in tree[0, 1:]))
    if any(not 0 <= parent < joint for joint, parent in enumerate(parents) if joint):
        raise HeadGaSError(f"{path}: its kintree_table {parents} makes no tree.")
    lids = [path.parent / name for name in _LIDS]
    eyelids = None
    if all(lid.is_file() for lid in lids):
        moved = [_checked(lid, "the eyelid", read_array(lid), (count, 3)) for lid in lids]
        eyelids = torch.from_numpy(np.stack(moved))
    return Flame(
        path,
        torch.from_numpy(template),
        torch.from_numpy(shapes),
        torch.from_numpy(pose_shapes).permute(2, 0, 1).contiguous(),
        torch.from_numpy(regressor),
        torch.from_numpy(weights),
        parents,
        torch.from_numpy(faces.astype(np.int64)),
        eyelids,
    )


def read_shape(path: Path | None) -> tuple[Tensor, str]:
    """The identity [300] in the file that the user names, else the mean one and a warning.

    Raises:
        HeadGaSError: the file holds none.
    """
    if path is None:
        return torch.zeros(_IDENTITY), (
            "holds no FLAME identity: the mean head is taken. 'Head Shape' in Blender's importer, or `--shape FILE`, "
            "names one: a .frame file of metrical-tracker, an .npz with 'shape', or an .npy."
        )
    if path.suffix == ".npy":
        values: Any = read_array(path)
    elif path.suffix == ".npz":
        values = read_npz(path).get("shape")
    else:
        data = read_torch(path)
        tracked = data.get("flame") if isinstance(data, Mapping) else None
        values = tracked.get("shape") if isinstance(tracked, Mapping) else None
    if values is None:
        raise HeadGaSError(f"{path}: names no FLAME shape: expected 'flame.shape' in a .frame, 'shape' in an .npz.")
    values = as_array(values).ravel()
    if values.dtype.kind not in "fiu" or not 0 < len(values) <= _IDENTITY or not np.isfinite(values).all():
        raise HeadGaSError(f"{path}: its shape has {len(values)} values; expected up to {_IDENTITY} finite numbers.")
    return torch.nn.functional.pad(torch.from_numpy(values.astype(np.float32)), (0, _IDENTITY - len(values))), ""


def flame_space(expressions: int, shapes: Sequence[str], joints: Sequence[str]) -> ExpressionSpace:
    """Expressions, further shapes between 0 and 1, and three turns (radians) of each joint."""
    names = [f"expr_{i:03d}" for i in range(expressions)]
    turns = [f"{joint}_{axis}" for joint in joints for axis in "xyz"]
    low = [-2.0] * expressions + [0.0] * len(shapes) + [-0.5] * len(turns)
    high = [2.0] * expressions + [1.0] * len(shapes) + [0.5] * len(turns)
    names += [*shapes, *turns]
    return ExpressionSpace("FLAME", tuple(names), (0.0,) * len(names), tuple(low), tuple(high))


def _field(path: Path, data: Mapping[str, Any], name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    if name not in data:
        raise HeadGaSError(f"{path}: has no {name}, so it is no FLAME model.", _HINT)
    return _checked(path, name, _dense(path, name, data[name]), shape)


def _dense(path: Path, name: str, value: Any) -> np.ndarray:
    """A plain array of what chumpy or scipy held."""
    if not isinstance(value, Held):
        return as_array(value)
    state = value.state if isinstance(value.state, Mapping) else {}
    if "x" in state:  # chumpy
        return as_array(state["x"])
    try:
        data, indices, starts = (as_array(state[key]) for key in ("data", "indices", "indptr"))
        rows, columns = state.get("_shape", state.get("shape"))  # type: ignore[misc]
        if not len(data) == len(indices) == int(starts[-1]) or rows * columns > _MOST_ENTRIES:
            raise ValueError
        by_rows = type(value).__name__ == "csr_matrix"
        outer = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        dense = np.zeros((int(rows), int(columns)))
        np.add.at(dense, (outer, indices) if by_rows else (indices, outer), data)
    except (KeyError, TypeError, ValueError, IndexError):
        raise HeadGaSError(f"{path}: its {name} is a {type(value).__name__} that cannot be understood.") from None
    return dense


def _checked(path: Path, name: str, array: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray:
    """float32 [shape], finite; None is any length."""
    if not fits(array.shape, shape) or array.dtype.kind not in "fiu":
        found = f"{array.dtype} {written(array.shape)}"
        raise HeadGaSError(f"{path}: {name} is {found}; expected numbers {written(shape)}.")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(array, np.float32)
    if name != "kintree_table" and not np.isfinite(values).all():
        raise HeadGaSError(f"{path}: {name} holds values that are not finite numbers.")
    return values
