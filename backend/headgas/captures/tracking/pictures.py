# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of the head alone: where to cut them out of the video, and a soft matte from a coarse one."""

import numpy as np
from scipy import ndimage

from headgas.captures.tracking.landmarks import CHIN
from headgas.captures.tracking.pose import HeadMotion

_HEAD = (0.0, 0.165)  # metres: height of the middle above the origin of head space, and half the edge
_TORSO = (-0.07, 0.235)  # the same with neck and shoulders
_NEAR = 95  # percentile of the head's size that still fits
_BELOW_CHIN = 0.02  # metres: where the neck ends
_SOFT = 0.012  # metres over which it does
_NECK = 0.085  # metres from the neck's middle at its end: beyond are shoulders; upward they leave more room
_RADIUS, _EDGES = 4, 1e-4  # of the guided filter at 512 pixels (He et al. 2010), brightness 0..1
_LEVELS = (0.25, 0.95)  # of the filtered matte: below nothing, above all; measured, docs/results.md
_SPILL = 4.0  # pixels at 512: how far away the head's own colour is looked for
_APART = 6  # pixels at 512 that hair may be away from the rest of the matte


def boxes(motion: HeadMotion, K: np.ndarray, torso: bool) -> np.ndarray:
    """Squares [F,3] of whole pixels, all of one size, around the head: left, top, edge."""
    height, half = _TORSO if torso else _HEAD
    middle = motion.rotations[:, :, 2] * height + motion.translations  # [F,3]
    scale = K[0, 0] / middle[:, 2]
    edge = max(2, round(float(np.percentile(scale, _NEAR)) * 2 * half))
    centre = middle[:, :2] * scale[:, None] + (K[0, 2], K[1, 2])
    corner = np.round(centre - edge / 2).astype(int)
    return np.concatenate([corner, np.full((len(corner), 1), edge)], 1)


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
    scale = len(color) / 512
    radius = max(1, round(_RADIUS * scale))
    soft = _guided(matte, color @ np.array((0.299, 0.587, 0.114)), radius)
    soft = np.clip((soft - _LEVELS[0]) / (_LEVELS[1] - _LEVELS[0]), 0, 1)
    soft = soft * _largest(soft > 0.5, max(1, round(_APART * scale)))
    own = soft[..., None] ** 4
    spread = ndimage.gaussian_filter(np.dstack([color * own, own]), (_SPILL * scale, _SPILL * scale, 0))
    near = np.where(spread[..., 3:] > 1e-3, spread[..., :3] / np.maximum(spread[..., 3:], 1e-3), color)
    own_share = soft[..., None] ** 2
    return np.dstack([own_share * color + (1 - own_share) * near, soft])


def above_chin(size: int, K: np.ndarray, viewmat: np.ndarray, chin: float) -> np.ndarray:
    """How much [size,size] of each pixel is head and neck, not torso: above the end of the neck and within a funnel
    around it, all at the neck's own distance.

    chin: metres in head space.
    """
    rotation, translation = viewmat[:3, :3], viewmat[:3, 3]
    neck = rotation @ np.array((0.0, 0.0, chin)) + translation
    v, u = np.mgrid[:size, :size] + 0.5
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], -1)
    away = rays * neck[2] - neck
    height = away @ rotation[:, 2]
    aside = np.linalg.norm(away - height[..., None] * rotation[:, 2], axis=-1)
    room = np.minimum(height + _BELOW_CHIN, _NECK + np.maximum(height, 0) - aside)
    share = np.clip(room / _SOFT + 0.5, 0, 1)
    return share * share * (3 - 2 * share)


def _guided(matte: np.ndarray, guide: np.ndarray, radius: int) -> np.ndarray:
    """The matte as a linear function of the guide's brightness around each pixel."""

    def mean(plane: np.ndarray) -> np.ndarray:
        return ndimage.uniform_filter(plane, 2 * radius + 1, mode="nearest")

    guide_mean, matte_mean = mean(guide), mean(matte)
    slope = (mean(guide * matte) - guide_mean * matte_mean) / (mean(guide * guide) - guide_mean**2 + _EDGES)
    return mean(slope) * guide + mean(matte_mean - slope * guide_mean)


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
