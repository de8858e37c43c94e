# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the axes that recordings have, Y up and Z out of the face (+X to the subject's left), into head space."""

import numpy as np


def turns_to_head_space(quaternions: np.ndarray) -> np.ndarray:
    """Turns [T,4] about those axes become turns [T,4] float32 about head space's."""
    w, x, y, z = quaternions.T
    return np.stack([w, x, -z, y], 1).astype(np.float32)


def moves_to_head_space(vectors: np.ndarray) -> np.ndarray:
    """Moves [T,3] along those axes become moves [T,3] float32 along head space's."""
    x, y, z = vectors.T
    return np.stack([x, -z, y], 1).astype(np.float32)
