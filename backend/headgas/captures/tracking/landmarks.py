# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of MediaPipe's 478 face landmarks that this program knows by name.

Left and right are the subject's. The first 468 lie on a face mesh that is its own mirror image; five more follow for
each iris, the right one first.
"""

import numpy as np

COUNT = 478
_MESH = 468
_MIDLINE = (0, 1, 2, 4, 5, 6, *range(8, 20), 94, 151, 152, 164, 168, 175, 195, 197, 199, 200)
# the mesh numbers its right half before its left half, both in the same order
_RIGHT_HALF = [number for number in range((_MESH + len(_MIDLINE)) // 2) if number not in _MIDLINE]
_FIRST_LEFT = _MESH - len(_RIGHT_HALF)

FOREHEAD, NOSE_BASE, CHIN = 10, 2, 152


def mirrored(number: int) -> int:
    """The landmark on the other side of the face, for a landmark of the mesh's right half or on its middle."""
    return number if number in _MIDLINE else _FIRST_LEFT + _RIGHT_HALF.index(number)


def both(*right: int) -> tuple[list[int], list[int]]:
    """Landmarks of the right half, and their mirror images."""
    return list(right), [mirrored(number) for number in right]


# Bone is close beneath these: forehead, temples, the nose and the corners of the eyes. Lids, brows, cheeks, lips and
# jaw move, and what lies at the border of the face slides along it as the head turns.
_STABLE_RIGHT = (109, 108, 67, 69, 103, 104, 54, 68, 21, 71, 162, 139, 127, 34, 143, 156, 234, 227, 193, 122, 196, 3)
_STABLE_RIGHT += (51, 45, 44, 237, 218, 219, 220, 134, 236, 174, 188, 245, 244, 243, 198, 209, 217, 114, 128, 126, 131)
_STABLE_RIGHT += (115, 48, 49, 33, 133)
_STABLE_MIDDLE = (10, 151, 9, 8, 168, 6, 197, 195, 5, 4, 1, 19, 94, 2)
STABLE = np.array([*_STABLE_MIDDLE, *(number for side in both(*_STABLE_RIGHT) for number in side)])
PAIRS = np.array(both(*_STABLE_RIGHT)).T  # [n,2], right and left

# right, left
EYE_OUTER, EYE_INNER = (33, 263), (133, 362)
IRIS = (468, 473)
UPPER_LID, LOWER_LID = both(160, 159, 158), both(144, 145, 153)
BROW_INNER, BROW_OUTER = both(107, 66, 55), both(70, 63, 105)
MOUTH_CORNER = (61, 291)
UPPER_LIP, LOWER_LIP = [13, 82, 312], [14, 87, 317]  # inner
LIPS = ((0, 13), (14, 17))  # upper and lower: from above to below
NOSE_BRIDGE, TEMPLE = 168, (127, 356)
JAW = [152, 148, 377]
EYES = [number for side in both(33, 133, 159, 145, 160, 144, 158, 153) for number in side]
MOUTH = [0, 17, 61, 291, 37, 267, 84, 314]
