# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control meshes in the avatars' colours, while there is no picture of the avatars."""

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader
from mathutils import Matrix

_LIGHT = np.array([0.3, -0.8, 0.5]) / np.linalg.norm([0.3, -0.8, 0.5])  # from where, in head space: the upper front
_SHADE = 0.45  # of the colour, where no light falls
_GREY = 0.5  # of meshes that have no colours


class StandIns:
    """Keeps what is on the GPU; drawn and freed where Blender draws."""

    def __init__(self) -> None:
        self._batches: dict[int, gpu.types.GPUBatch] = {}

    def draw(self, mesh: bpy.types.Mesh, matrix: np.ndarray) -> None:
        """Draws a mesh; `matrix` [4,4] takes it to the world."""
        if mesh.session_uid not in self._batches:
            self._batches[mesh.session_uid] = _batch(mesh)
        shader = gpu.shader.from_builtin('SMOOTH_COLOR')
        gpu.state.depth_test_set('LESS_EQUAL')
        gpu.state.depth_mask_set(True)
        with gpu.matrix.push_pop():
            gpu.matrix.multiply_matrix(Matrix(matrix.tolist()))
            self._batches[mesh.session_uid].draw(shader)
        gpu.state.depth_mask_set(False)
        gpu.state.depth_test_set('NONE')

    def clear(self) -> None:
        """Frees everything."""
        self._batches.clear()


def shaded_colors(mesh: bpy.types.Mesh) -> np.ndarray:
    """Its vertices' colours [V,4] float32, sRGB, lit from the upper front."""
    count = len(mesh.vertices)
    colors, normals = np.full(4 * count, _GREY, np.float32), np.empty(3 * count, np.float32)
    attribute = mesh.color_attributes.get("Color")
    if attribute is not None and attribute.domain == 'POINT':
        attribute.data.foreach_get("color_srgb", colors)
    mesh.vertices.foreach_get("normal", normals)
    light = _SHADE + (1 - _SHADE) * np.clip(normals.reshape(-1, 3) @ _LIGHT, 0, 1)
    colors = colors.reshape(-1, 4) * light[:, None]
    colors[:, 3] = 1.0
    return colors.astype(np.float32)


def _batch(mesh: bpy.types.Mesh) -> gpu.types.GPUBatch:
    mesh.calc_loop_triangles()
    points, corners = np.empty(3 * len(mesh.vertices), np.float32), np.empty(3 * len(mesh.loop_triangles), np.int32)
    mesh.vertices.foreach_get("co", points)
    mesh.loop_triangles.foreach_get("vertices", corners)
    content = {"pos": points.reshape(-1, 3), "color": shaded_colors(mesh)}
    shader = gpu.shader.from_builtin('SMOOTH_COLOR')
    return batch_for_shader(shader, 'TRIS', content, indices=corners.reshape(-1, 3))
