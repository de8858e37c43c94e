# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which avatars a viewport shows, and how they are posed. Looked up again only when Blender has evaluated something."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from ..client import PosedAvatar
from ..core.errors import HeadGaSError
from ..rig import avatar_path, expression_in, header_and_time, is_hidden, visible_avatars

_boxes: dict[tuple[int, int], np.ndarray] = {}  # by session_uid and number of vertices
_FLAT = 1e-12  # of a transform's determinant


@dataclass(frozen=True, eq=False)
class ShownAvatar:
    """One avatar of an evaluated scene."""

    mesh: bpy.types.Object  # the control mesh, an original
    owner: bpy.types.Object  # whose visibility counts: the control mesh, or what instances it
    matrix: np.ndarray  # [4,4] float64, head space to the world
    corners: np.ndarray  # [8,3] float64, of the control mesh's box, head space
    posed: PosedAvatar | None  # None where `problem` says why
    changed: int  # of its file, nanoseconds
    is_holdout: bool
    problem: str

    @cached_property
    def key(self) -> tuple:
        """Equal for equal looks."""
        assert self.posed is not None
        posed = self.posed
        return str(posed.path), self.changed, posed.expression.tobytes(), posed.transform.tobytes()

    @property
    def is_outdated(self) -> bool:
        """Whether its file has changed meanwhile."""
        try:
            return self.posed is not None and Path(self.posed.path).stat().st_mtime_ns != self.changed
        except OSError:
            return True

    def visible_in(self, space: bpy.types.SpaceView3D, depsgraph: bpy.types.Depsgraph) -> bool:
        """Whether a viewport shows it: local view and local collections count."""
        return self.owner.evaluated_get(depsgraph).visible_in_viewport_get(space)  # before 5.0 originals don't know


def shown_avatars(depsgraph: bpy.types.Depsgraph, layer: bpy.types.ViewLayer) -> list[ShownAvatar]:
    """The avatars of an evaluated scene whose control mesh is not drawn itself: it would stand in the way."""
    return [
        _shown(mesh, owner, matrix, depsgraph, layer)
        for mesh, owner, matrix in visible_avatars(depsgraph)
        if is_hidden(mesh)
    ]


def _shown(
    mesh: bpy.types.Object,
    owner: bpy.types.Object,
    matrix: np.ndarray,
    depsgraph: bpy.types.Depsgraph,
    layer: bpy.types.ViewLayer,
) -> ShownAvatar:
    corners, is_holdout = box_of(mesh.data), owner.holdout_get(view_layer=layer)
    posed, changed, problem = None, 0, ""
    try:
        path = avatar_path(mesh)
        header, changed = header_and_time(path)
        posed = PosedAvatar(path, expression_in(header.expression_space, mesh, depsgraph), matrix)
        if not _FLAT <= abs(Matrix(matrix.tolist()).determinant()) < np.inf:
            raise HeadGaSError(f"'{mesh.name}' is scaled to nothing", "Give it a scale above 0")
    except HeadGaSError as error:
        posed, problem = None, str(error)
    return ShownAvatar(mesh, owner, matrix, corners, posed, changed, is_holdout, problem)


def box_of(mesh: bpy.types.Mesh) -> np.ndarray:
    """The corners [8,3] float64 of the box around a mesh, sorted, without its modifiers; looked up once per mesh."""
    key = mesh.session_uid, len(mesh.vertices)
    if key not in _boxes:
        _boxes[key] = _box(mesh)
    return _boxes[key]


def _box(mesh: bpy.types.Mesh) -> np.ndarray:
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", points)
    points = points.reshape(-1, 3)
    sides = np.stack([points.min(0), points.max(0)]).astype(np.float64) if len(points) else np.zeros((2, 3))
    return np.stack(np.meshgrid(*sides.T, indexing="ij"), -1).reshape(8, 3)
