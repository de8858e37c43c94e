# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The colours of the backend's pictures in the file's own working space."""

import numpy as np
from mathutils import Color


def in_working_space(image: np.ndarray) -> np.ndarray:
    """An image [H,W,4] of linear Rec.709 in the scene-linear primaries of the open file: the same colours."""
    columns = [Color(axis).from_rec709_linear_to_scene_linear() for axis in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    matrix = np.array(columns, np.float32).T
    if np.allclose(matrix, np.eye(3), atol=1e-5):
        return image
    converted = image.copy()
    converted[..., :3] = image[..., :3] @ matrix.T
    return converted
