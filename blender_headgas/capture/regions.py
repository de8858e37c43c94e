# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts of a character its channels move: where its face is, and where in a frame eyes and mouth are."""

from collections.abc import Sequence

import bpy
import numpy as np

from ..core.arkit import canonical
from .cameras import project
from .channels import Puppet
from .character import Surface, evaluated_surface
from .sampler import BACK

_REGION_KEYS = {
    "eyes": ("eyeBlinkLeft", "eyeBlinkRight"),
    "mouth": ("mouthPucker", "mouthFunnel", "mouthUpperUpLeft", "mouthUpperUpRight", "mouthLowerDownLeft",
              "mouthLowerDownRight"),
}
_MOVED_SHARE = 0.35  # of a channel's largest displacement
_FACE_SHARE = 0.05  # of the largest of all
_MARGIN = 2  # pixels


class Regions:
    """What moves with which channels, as numbers of vertices of the evaluated surface."""

    def __init__(
        self, puppet: Puppet, objects: Sequence[bpy.types.Object], head_space: np.ndarray, neutral: Surface
    ) -> None:
        """Moves every channel once; head_space [4,4] is head to world."""
        farthest = np.zeros(len(neutral.vertices))
        self._vertices: dict[str, np.ndarray] = {}
        for number, direction in enumerate(puppet.directions):
            puppet.pose(puppet.values(np.eye(len(puppet.directions))[number]))
            moved = evaluated_surface(objects, head_space)
            if len(moved.vertices) != len(neutral.vertices):
                continue  # a modifier makes another mesh of it
            length = np.linalg.norm(moved.vertices - neutral.vertices, axis=1)
            farthest = np.maximum(farthest, length)
            for region, keys in _REGION_KEYS.items():
                if canonical(direction.removesuffix(BACK)) in keys and length.max() > 0:
                    before = self._vertices.get(region, np.zeros(len(length), bool))
                    self._vertices[region] = before | (length > _MOVED_SHARE * length.max())
        self.face = farthest > _FACE_SHARE * farthest.max() if len(farthest) else np.zeros(0, bool)  # [V]
        puppet.pose(puppet.rest)

    def boxes(self, surface: Surface, view: np.ndarray, K: np.ndarray, size: int) -> dict[str, list[int]]:
        """[x0, y0, x1, y1) in pixels by region of a frame's surface; regions outside the image are left out."""
        found = {}
        for region, vertices in self._vertices.items():
            if len(vertices) != len(surface.vertices):
                continue
            pixels = project(surface.vertices[vertices], view, K)
            low = np.clip(np.floor(pixels.min(axis=0)) - _MARGIN, 0, size)
            high = np.clip(np.ceil(pixels.max(axis=0)) + _MARGIN, 0, size)
            if (high - low).min() >= 4:
                found[region] = [int(v) for v in (*low, *high)]
        return found
