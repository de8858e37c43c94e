# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars in their captured colours under any view transform: what it does to them is undone before it is done.

A table holds, for colours of the display, the scene-linear colours that the view transform turns into them. Each is
found by the Gauss-Newton method with Levenberg's damping, which asks Blender itself what the view transform does.
"""

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ..core.errors import HeadGaSError
from ..overlay.view_transform import linear_of, look_of, shown_of

SIZE = 33  # steps of each channel
_STEPS = 8
_DARKEST, _BRIGHTEST = -16.0, 8.0  # exponents of two: scene-linear colours that are tried
_NUDGE = 0.02  # of an exponent, to see what changes
_DAMPING = 1e-4
_END = 0.002  # of the display's colours: half a step of 255
_ROOT = 2.4  # tables hold roots of colours, nearly even steps as sRGB's
_tables: dict[tuple, "Inverse"] = {}  # by what `look_of` says of scenes


class Inverse:
    """Scene-linear colours that a view transform shows as wished."""

    def __init__(self, roots: np.ndarray) -> None:
        """roots: [S,S,S,3] float32 at equal steps of sRGB red, green and blue (the last axis but one)."""
        self._roots = roots

    def colours(self, wanted: np.ndarray) -> np.ndarray:
        """Scene-linear [N,3] of sRGB [N,3]: trilinear in the table. What is beyond 0 and 1 is taken for the nearest."""
        size = len(self._roots)
        at = np.clip(wanted, 0, 1) * (size - 1)
        low = np.minimum(at.astype(np.int64), size - 2)
        part = (at - low).astype(np.float32)
        flat, strides = self._roots.reshape(-1, 3), np.array([size * size, size, 1])
        total = np.zeros((len(wanted), 3), np.float32)
        for corner in np.ndindex(2, 2, 2):
            weights = np.prod(np.where(corner, part, 1 - part), axis=1)
            total += weights[:, None] * flat[(low + corner) @ strides]
        return total**_ROOT

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """An image [H,W,4] of linear Rec.709, premultiplied, in scene-linear colours that are shown as it was."""
        alpha = image[..., 3]
        seen = alpha > 0
        straight = image[seen][:, :3] / alpha[seen][:, None]
        result = np.zeros_like(image)
        result[..., 3] = alpha
        result[seen, :3] = self.colours(_encoded(straight)) * alpha[seen][:, None]
        return result


def inverse_of(scene: bpy.types.Scene) -> Inverse | None:
    """The table for a scene, which `prepare` made; None where it wants none.

    Raises:
        HeadGaSError: its colour management changes from frame to frame.
    """
    if not scene.headgas_render.keep_colours:
        return None
    found = _tables.get(look_of(scene))
    if found is None:
        raise HeadGaSError(
            f"The scene's view transform changes at frame {scene.frame_current}, where captured colours are to be kept",
            "Switch Keep Captured Colors off (Render Properties > HeadGaS), or don't animate color management",
        )
    return found


def update(_settings: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    """When it is switched on: not F12 has to wait for the table."""
    prepare()


@persistent
def prepare(*_: object) -> None:
    """Makes the tables that scenes want: when one is switched on, a file was opened, or a render begins."""
    wanted = {look_of(scene): scene for scene in bpy.data.scenes if scene.headgas_render.keep_colours}
    for look in [look for look in _tables if look not in wanted]:
        del _tables[look]
    for look, scene in wanted.items():
        if look not in _tables:
            _tables[look] = Inverse(_roots(scene))


def _roots(scene: bpy.types.Scene) -> np.ndarray:
    """The table [S,S,S,3] of a scene's view transform."""
    steps = np.linspace(0.0, 1.0, SIZE)
    wanted = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    wanted = np.clip(wanted, _END, 1 - _END)  # all that is brighter than white is white: there is no one colour to find
    exponents = np.log2(linear_of(wanted).astype(np.float64)) - scene.view_settings.exposure
    best, error, step = exponents, np.full(len(wanted), np.inf), np.zeros_like(exponents)
    for _ in range(_STEPS):
        nudged = [exponents, *(exponents + _NUDGE * axis for axis in np.eye(3))]
        shown, *others = shown_of(scene, np.exp2(np.stack(nudged)).astype(np.float32)).astype(np.float64)
        slopes = (np.stack(others, -1) - shown[..., None]) / _NUDGE  # [N,3,3], by the exponent of each channel
        black, white = shown <= 0, shown >= 1  # where nothing says how far to go
        found = ((shown - wanted) ** 2 + (black | white)).sum(1)
        better = (found < error)[:, None]
        onward = np.where(black, 1.0, np.where(white, -1.0, _step(slopes, wanted - shown)))
        step = np.where(better, onward, step / 4)  # what went too far goes back
        best, error = np.where(better, exponents, best), np.minimum(error, found)
        exponents = np.clip(best + step, _DARKEST, _BRIGHTEST)
    return (np.exp2(best) ** (1 / _ROOT)).astype(np.float32).reshape(SIZE, SIZE, SIZE, 3)


def _step(slopes: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """By how much [N,3] exponents are to change, at most 2."""
    transposed = slopes.transpose(0, 2, 1)
    normal = transposed @ slopes + _DAMPING * np.eye(3)
    return np.clip(np.linalg.solve(normal, transposed @ missing[..., None])[..., 0], -2, 2)


def _encoded(color: np.ndarray) -> np.ndarray:
    """Linear to sRGB (IEC 61966-2-1)."""
    color = np.maximum(color, 0)
    return np.where(color <= 0.0031308, color * 12.92, 1.055 * color ** (1 / 2.4) - 0.055)
