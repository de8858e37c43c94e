# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the eyes and the mouth are in a frame, told by the shape keys that move them."""

import bpy
import numpy as np

from .cameras import head_to_world, project

_REGION_KEYS = {
    "eyes": ("eyeBlinkLeft", "eyeBlinkRight"),
    "mouth": ("mouthPucker", "mouthFunnel", "mouthUpperUpLeft", "mouthUpperUpRight", "mouthLowerDownLeft",
              "mouthLowerDownRight"),
}
_MOVED_SHARE = 0.35  # of a key's largest displacement
_MARGIN = 2  # pixels


class Regions:
    """The parts of a face that have a box, as vertices of the head and what its channels do to them."""

    def __init__(self, head: bpy.types.Object, names: list[str]) -> None:
        blocks = head.data.shape_keys.key_blocks
        scale = np.linalg.inv(head_to_world(head)) @ np.array(head.matrix_world)
        rest = _coordinates(head.data.shape_keys.reference_key)
        offsets = {name: _coordinates(blocks[name]) - rest for name in names}
        self._vertices: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for region, keys in _REGION_KEYS.items():
            moved = np.zeros(len(rest), bool)
            for key in set(keys) & set(names):
                length = np.linalg.norm(offsets[key], axis=1)
                moved |= length > _MOVED_SHARE * max(float(length.max()), 1e-9)
            if moved.any():
                linear = scale[:3, :3].T
                basis = np.stack([offsets[name][moved] for name in names]) @ linear
                self._vertices[region] = (rest[moved] @ linear, basis)

    def boxes(
        self, expression: np.ndarray, view: np.ndarray, K: np.ndarray, width: int, height: int
    ) -> dict[str, list[int]]:
        """[x0, y0, x1, y1) in pixels by region, for an expression [B]; regions outside the image are left out."""
        found = {}
        for region, (rest, basis) in self._vertices.items():
            pixels = project(rest + np.tensordot(expression, basis, 1), view, K)
            low = np.clip(np.floor(pixels.min(axis=0)) - _MARGIN, 0, [width, height])
            high = np.clip(np.ceil(pixels.max(axis=0)) + _MARGIN, 0, [width, height])
            if (high - low).min() >= 4:
                found[region] = [int(v) for v in (*low, *high)]
        return found


def _coordinates(key: bpy.types.ShapeKey) -> np.ndarray:
    """A shape key's vertices [V,3] in the object's units."""
    flat = np.empty(3 * len(key.data), np.float32)
    key.data.foreach_get("co", flat)
    return flat.reshape(-1, 3).astype(float)
