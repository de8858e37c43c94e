# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where FLAME's head is when root and neck turn it, for layouts whose cameras do not follow the head.

Source: Li et al., "Learning a model of facial shape and expression from 4D scans", SIGGRAPH Asia 2017: joints are
weighted sums of the points of the shape at rest; x = R₀(Rₙ(p - jₙ) + jₙ - j₀) + j₀ + t for what follows the neck only.
"""

from pathlib import Path

import numpy as np
import torch

from headgas.avatars.flame import need_flame
from headgas.errors import HeadGaSError
from headgas.splatting.rotations import rotation_matrices


class HeadPose:
    """The head of one person, with FLAME's joints of root and neck."""

    def __init__(self, folder: Path, flame: Path | None, shape: np.ndarray, expressions: int) -> None:
        """Takes the identity's shape [up to 300], and how many expressions move the head.

        Raises:
            HeadGaSError: the user's FLAME is not there, or not this one.
        """
        self._flame = need_flame(folder, flame)
        identity = torch.from_numpy(shape.astype(np.float32))
        joints, moved = self._flame.joints(identity, expressions)
        self._joints, self._moved = joints[:2].numpy(), moved[:, :2].numpy()

    def offset(self, path: Path, points: np.ndarray) -> np.ndarray:
        """What moving FLAME's points by [V,3] metres moves root and neck by [2,3]; teeth come last, and move neither.

        Raises:
            HeadGaSError: they are too few; the message names the file.
        """
        count = self._flame.regressor.shape[1]
        if points.ndim != 2 or len(points) < count or points.shape[1] != 3:
            raise HeadGaSError(f"{path}: moves points {list(points.shape)}; FLAME has {count}.")
        return self._flame.regressor[:2].numpy() @ points[:count]

    def matrix(
        self,
        root: np.ndarray,
        neck: np.ndarray,
        expression: np.ndarray,
        translation: np.ndarray | float = 0.0,
        offset: np.ndarray | float = 0.0,
    ) -> np.ndarray:
        """[4,4] float64, from FLAME at rest to where it is, metres.

        Args:
            root, neck: rotation vectors [3].
            expression: [E]; it moves the joints a little.
            translation: [3] metres.
            offset: [2,3] metres, what moves root and neck beside shape and expression.
        """
        at_root, at_neck = self._joints + np.einsum("e,ejk->jk", expression, self._moved) + offset
        turns = rotation_matrices(torch.from_numpy(np.stack([root, neck])).float()).double().numpy()
        matrix = np.eye(4)
        matrix[:3, :3] = turns[0] @ turns[1]
        matrix[:3, 3] = at_root + turns[0] @ (at_neck - at_root) - matrix[:3, :3] @ at_neck + translation
        return matrix
