# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of the head alone: where to cut them out of the video, and a soft matte from a coarse one."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage
from scipy.spatial import ConvexHull

from headgas.captures.tracking.landmarks import CHIN
from headgas.captures.tracking.pose import HeadMotion

_HEAD = (0.0, 0.165)  # metres: height of the middle above the origin of head space, and half the edge
_TORSO = (-0.07, 0.235)  # the same with neck and shoulders
_HAIR = (0.015, 0.15)  # metres: more than is seen of the hair, and at most so much more than a box has room for
_TALL = 90  # percentile of how far hair reaches
_NEAR = 95  # percentile of the head's size that still fits
_BELOW_CHIN = 0.02  # metres: where the neck ends
_SOFT = 0.012  # metres over which it does
_NECK = 0.09  # metres from the neck's middle: beyond are shoulders,
_SHOULDERS = 0.03  # which may rise so far above the chin; higher, they leave more room
_THROAT = 0.04  # metres before the neck's middle: what is seen of it
_FACE = 1.05  # times the landmarks' outline: all of it is head
_RADIUS, _EDGES = 8, 1e-4  # of the guided filter at 512 pixels (He et al. 2010), colour 0..1
_LEVELS = (0.3, 0.9)  # of the filtered matte: below nothing, above all; measured, docs/results.md
_SPILL = 4.0  # pixels at 512: how far away the head's own colour is looked for
_APART = 6  # pixels at 512 that hair may be away from the rest of the matte


def boxes(motion: HeadMotion, K: np.ndarray, torso: bool, hair: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """Squares [F,3] of whole pixels, all of one size, around the head: left, top, edge.

    hair: how far it reaches, as `hair_reach` has it; what has no room makes the squares larger.
    """
    height, half = _TORSO if torso else _HEAD
    above, aside = (min(reach + _HAIR[0], half + _HAIR[1]) for reach in hair)
    more = max(0.0, above - height - half)
    height, half = height + more / 2, max(half + more / 2, aside)
    middle = motion.rotations[:, :, 2] * height + motion.translations  # [F,3]
    scale = K[0, 0] / middle[:, 2]
    edge = max(2, round(float(np.percentile(scale, _NEAR)) * 2 * half))
    centre = middle[:, :2] * scale[:, None] + (K[0, 2], K[1, 2])
    corner = np.round(centre - edge / 2).astype(int)
    return np.concatenate([corner, np.full((len(corner), 1), edge)], 1)


def hair_reach(heads: np.ndarray, motion: HeadMotion, K: np.ndarray) -> tuple[float, float]:
    """Metres above and beside the origin of head space that hair reaches in the picture.

    heads: [F,3] pixels, left, top and right of the head; nan where that is not known.
    """
    known = np.isfinite(heads).all(1)
    if not known.any():
        return 0.0, 0.0
    left, top, right = heads[known].T
    x, y, z = motion.translations[known].T
    scale = K[0, 0] / z
    across, down = x * scale + K[0, 2], y * scale + K[1, 2]
    aside = np.maximum(across - left, right - across) / scale
    return float(np.percentile((down - top) / scale, _TALL)), float(np.percentile(aside, _TALL))


def intrinsics(K: np.ndarray, box: np.ndarray, size: int) -> np.ndarray:
    """K [3,3] of a box that is resized to so many pixels."""
    scale = size / box[2]
    result = K.copy()
    result[:2, 2] -= box[:2]
    result[:2] *= scale
    return result


def chin_height(positions: np.ndarray) -> float:
    """Metres in head space of the lowest that the chin gets in positions [F,478,3], outliers aside."""
    return float(np.percentile(positions[:, CHIN, 2], 2))


def matted(color: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """RGBA [H,W,4] in 0..1 from a picture and its coarse matte, both 0..1: edges follow the picture, specks are gone,
    and what shines through from behind is replaced by the head's own colour."""
    color, matte = color.astype(np.float32), matte.astype(np.float32)
    scale = len(color) / 512
    soft = _guided(matte, color, max(1, round(_RADIUS * scale)))
    soft = np.clip((soft - _LEVELS[0]) / (_LEVELS[1] - _LEVELS[0]), 0, 1)
    soft = soft * _largest(soft > 0.5, max(1, round(_APART * scale)))
    own = soft**4
    planes = (*np.moveaxis(color * own[..., None], -1, 0), own)
    near = np.stack([_blurred(plane, _SPILL * scale) for plane in planes], -1)
    near = np.where(near[..., 3:] > 1e-3, near[..., :3] / np.maximum(near[..., 3:], 1e-3), color)
    own_share = soft[..., None] ** 2
    return np.dstack([own_share * color + (1 - own_share) * near, soft])


def in_video(size: int, box: np.ndarray, width: int, height: int) -> np.ndarray:
    """Which pixels [size,size] of a box that is resized to so many pixels lie within the video's picture."""
    v, u = (np.mgrid[:size, :size] + 0.5) * (box[2] / size)
    return (u + box[0] >= 0) & (u + box[0] <= width) & (v + box[1] >= 0) & (v + box[1] <= height)


def above_chin(size: int, K: np.ndarray, viewmat: np.ndarray, chin: float, face: np.ndarray) -> np.ndarray:
    """How much [size,size] of each pixel is head and neck, not torso: above the end of the neck and within a funnel
    around it, all at the throat's distance; and all of the face, whose chin is before the neck when it looks down.

    Args:
        chin: metres in head space.
        face: [n,2] landmarks in pixels.
    """
    rotation, translation = viewmat[:3, :3], viewmat[:3, 3]
    neck = rotation @ np.array((0.0, 0.0, chin)) + translation
    v, u = np.mgrid[:size, :size] + 0.5
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], -1)
    away = rays * (neck[2] - _THROAT * rotation[2, 1]) - neck
    height = away @ rotation[:, 2]
    aside = np.linalg.norm(away - height[..., None] * rotation[:, 2], axis=-1)
    room = np.minimum(height + _BELOW_CHIN, _NECK + np.maximum(height - _SHOULDERS, 0) - aside)
    share = np.clip(room / _SOFT + 0.5, 0, 1)
    outline = face[ConvexHull(face).vertices]
    outline = outline.mean(0) + (outline - outline.mean(0)) * _FACE
    drawn = Image.new("L", (size, size))
    ImageDraw.Draw(drawn).polygon([(x, y) for x, y in outline.tolist()], fill=255)
    blurred = drawn.filter(ImageFilter.BoxBlur(float(_SOFT / 2 * K[0, 0] / neck[2])))
    return np.maximum(share * share * (3 - 2 * share), np.asarray(blurred, np.float64) / 255)


def _guided(matte: np.ndarray, guide: np.ndarray, radius: int) -> np.ndarray:
    """The matte [H,W] as a linear function of the guide's colour [H,W,3] around each pixel, found at half the size (He
    and Sun 2015)."""
    height, width = matte.shape
    planes = [_halved(plane) for plane in (*np.moveaxis(guide, -1, 0), matte)]
    radius = max(1, radius // 2)

    def mean(plane: np.ndarray) -> np.ndarray:
        return ndimage.uniform_filter(plane, 2 * radius + 1, mode="nearest")

    means = [mean(plane) for plane in planes]

    def covariance(one: int, other: int) -> np.ndarray:
        return mean(planes[one] * planes[other]) - means[one] * means[other]

    squares = np.empty((*planes[0].shape, 3, 3), np.float32)
    for one in range(3):
        for other in range(one + 1):
            squares[..., one, other] = squares[..., other, one] = covariance(one, other)
    squares += _EDGES * np.eye(3, dtype=np.float32)
    along = np.stack([covariance(one, 3) for one in range(3)], -1)
    slopes = np.moveaxis(np.linalg.solve(squares, along[..., None])[..., 0], -1, 0)
    rest = means[3] - sum(slope * plane for slope, plane in zip(slopes, means[:3], strict=True))
    *slopes, rest = (_resized(mean(plane), (width, height)) for plane in (*slopes, rest))
    return sum((slope * guide[..., k] for k, slope in enumerate(slopes)), rest)


def _blurred(plane: np.ndarray, sigma: float) -> np.ndarray:
    """[H,W], found at half the size."""
    return _resized(ndimage.gaussian_filter(_halved(plane), sigma / 2), plane.shape[::-1])


def _halved(plane: np.ndarray) -> np.ndarray:
    height, width = plane.shape
    return np.asarray(Image.fromarray(plane).resize((max(1, width // 2), max(1, height // 2)), Image.Resampling.BOX))


def _resized(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR))


def _largest(mask: np.ndarray, reach: int) -> np.ndarray:
    """[H,W] where the largest part of a mask is, and so many pixels around; thin bridges connect nothing."""
    thick = max(1, reach // 2)
    labels = np.zeros(mask.shape, np.int32)
    ndimage.label(ndimage.binary_erosion(mask, iterations=thick), output=labels)
    sizes = np.bincount(labels.ravel())
    if len(sizes) < 2:
        return np.zeros_like(mask)
    sizes[0] = 0
    return ndimage.binary_dilation(labels == sizes.argmax(), iterations=reach + thick)
