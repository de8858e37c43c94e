# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's camera as the service wants it: OpenCV axes, intrinsics in pixels, and the region of a border render."""

import math
from dataclasses import dataclass

import numpy as np

_OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])  # y down and z forward, instead of y up and z backward


@dataclass(frozen=True)
class PixelRegion:
    """A rectangle of the frame, in pixels; the origin is the frame's lower left corner, as Blender counts."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Camera:
    """An OpenCV camera: x right, y down, z forward, pixel centres at +0.5.

    A pinhole sees a point of camera space at the pixel (fx x / z + cx, fy y / z + cy), an orthographic camera at
    (fx x + cx, fy y + cy).
    """

    viewmat: np.ndarray  # [4,4] float64, world to camera space, metres
    K: np.ndarray  # [3,3] float64, pixels; fx and fy in pixels per metre when orthographic
    width: int  # pixels
    height: int  # pixels
    near: float  # metres; of an orthographic camera it may be negative
    orthographic: bool = False
    far: float = math.inf  # metres


def opencv_viewmat(camera_to_world: np.ndarray) -> np.ndarray:
    """World to OpenCV camera space [4,4], of Blender's camera matrix [4,4]. The camera's own scale does not count."""
    rigid = np.array(camera_to_world, np.float64)
    rigid[:3, :3] /= np.linalg.norm(rigid[:3, :3], axis=0, keepdims=True)
    return _OPENGL_TO_OPENCV @ np.linalg.inv(rigid)


def is_orthographic(projection: np.ndarray) -> bool:
    """Whether an OpenGL projection matrix [4,4] keeps parallels: it divides by 1, not by the depth."""
    return bool(projection[3, 3] == 1.0)


def intrinsics(projection: np.ndarray, width: int, height: int) -> np.ndarray:
    """K [3,3] in pixels, of an OpenGL projection matrix [4,4] (lens shift and pixel aspect included).

    OpenGL: x_ndc = P00 X/-Z - P02, or P00 X + P03 when orthographic, and u = (x_ndc + 1) width/2; v counts from the
    top, so y_ndc enters negated.
    """
    x, y = projection[:2, 3] if is_orthographic(projection) else -projection[:2, 2]
    return np.array(
        [
            [projection[0, 0] * width / 2, 0.0, (1.0 + x) * width / 2],
            [0.0, projection[1, 1] * height / 2, (1.0 - y) * height / 2],
            [0.0, 0.0, 1.0],
        ]
    )


def blender_camera_matrix(viewmat: np.ndarray) -> np.ndarray:
    """The matrix [4,4] of Blender's camera that has this OpenCV `viewmat` [4,4]: opencv_viewmat's inverse."""
    return np.linalg.inv(np.asarray(viewmat, np.float64)) @ _OPENGL_TO_OPENCV


def blender_lens(
    K: np.ndarray, width: int, height: int, sensor: float = 36.0, pixel_height: float = 1.0
) -> tuple[float, float, float]:
    """Focal length (millimetres), shift x and shift y of Blender's camera that has `K` [3,3] in pixels.

    For a sensor `sensor` millimetres wide and the sensor fit Horizontal: shifts are then shares of the frame's width,
    so the camera stays the same in a frame of another height. `pixel_height` is pixel aspect y / x. The inverse of
    Blender's BKE_camera_params_compute_viewplane; its vertical focal length is K[0, 0] / pixel_height.
    """
    shift_y = (K[1, 2] - height / 2) * pixel_height / width
    return float(K[0, 0] * sensor / width), float(0.5 - K[0, 2] / width), float(shift_y)


def cropped(K: np.ndarray, frame_height: int, region: PixelRegion) -> np.ndarray:
    """K [3,3] of a camera that sees only `region` of its frame."""
    shifted = K.copy()
    shifted[0, 2] -= region.x
    shifted[1, 2] -= frame_height - (region.y + region.height)
    return shifted


def border_region(border: tuple[float, float, float, float], width: int, height: int) -> PixelRegion:
    """The pixels of a render border (left, right, bottom, top), each in 0..1 of the frame.

    Blender multiplies in single precision and truncates; one pixel more or less would not fit its buffers.
    """
    left, right, bottom, top = (
        int(np.float32(share) * np.float32(size))
        for share, size in zip(border, (width, width, height, height), strict=True)
    )
    return PixelRegion(left, bottom, right - left, top - bottom)
