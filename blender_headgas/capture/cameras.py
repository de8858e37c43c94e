# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exact OpenCV cameras of Blender cameras, relative to a head."""

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ..core.errors import HeadGaSError

_OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])


def rigid(matrix: Matrix) -> np.ndarray:
    """The rotation and translation of a transform as [4,4]: its scale is dropped, so that units stay metres."""
    location, rotation, _ = matrix.decompose()
    return np.array(Matrix.LocRotScale(location, rotation, None))


def viewmat(camera: bpy.types.Object, head_space: np.ndarray) -> np.ndarray:
    """Head space to OpenCV camera space, [4,4] in metres; head_space [4,4] is head to world."""
    return _OPENGL_TO_OPENCV @ np.linalg.inv(rigid(camera.matrix_world)) @ head_space


def intrinsics(camera: bpy.types.Camera, width: int, height: int, aspect: tuple[float, float] = (1, 1)) -> np.ndarray:
    """K [3,3] in pixels, pixel centres at +0.5.

    The same arithmetic as Blender's BKE_camera_params_compute_viewplane; aspect is the pixel aspect (x, y).
    """
    if camera.type != "PERSP":
        raise HeadGaSError("Captures need a perspective camera.", "Set the camera's type to Perspective.")
    aspect_x, aspect_y = aspect
    fit = camera.sensor_fit
    if fit == "AUTO":
        horizontal = aspect_x * width >= aspect_y * height
    else:
        horizontal = fit == "HORIZONTAL"
    sensor = camera.sensor_height if fit == "VERTICAL" else camera.sensor_width
    tall = aspect_y / aspect_x
    view_size = width if horizontal else tall * height
    focal = camera.lens / sensor * view_size
    return np.array([
        [focal, 0.0, width / 2 - camera.shift_x * view_size],
        [0.0, focal / tall, height / 2 + camera.shift_y * view_size / tall],
        [0.0, 0.0, 1.0],
    ])


def project(points: np.ndarray, view: np.ndarray, K: np.ndarray) -> np.ndarray:
    """Pixels [N,2] of points [N,3] in head space."""
    camera_space = points @ view[:3, :3].T + view[:3, 3]
    pixels = camera_space @ K.T
    return pixels[:, :2] / pixels[:, 2:]


def place_camera(
    camera: bpy.types.Object, head_space: np.ndarray, target: np.ndarray, *, yaw: float, pitch: float, distance: float
) -> None:
    """Look at target [3] (head space) from in front of the face; degrees and metres, yaw to the subject's left."""
    a, e = np.deg2rad(yaw), np.deg2rad(pitch)
    offset = Vector((np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)))
    rotation = (-offset).to_track_quat("-Z", "Y")
    local = Matrix.LocRotScale(Vector(target) + distance * offset, rotation, None)
    camera.matrix_world = Matrix(head_space.tolist()) @ local
