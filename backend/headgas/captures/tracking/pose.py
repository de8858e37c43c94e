# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the head moves: pose and the subject's own shape in turn, on landmarks that bone lies close beneath.

A start comes from the network's own depth, by generalised Procrustes analysis (Gower 1975). Gauss-Newton steps then
reduce the error of the projected landmarks and, with less weight, of their depth (Huber 1964), for the poses with the
shape held and for the shape with the poses held, near what the network believes. Focal length, and with it distance,
cannot be seen in such a video.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from headgas.captures.tracking.landmarks import EYE_INNER, EYE_OUTER, FOREHEAD, NOSE_BASE, PAIRS, STABLE

_MEANS = 5  # rounds of the Procrustes analysis
_ROUNDS = 12  # of pose and shape
_SHAPING = 1000  # frames, evenly spread, that the shape comes from
_EYES_APART = 0.063  # metres between the middles of the eyes: the mean of adults (Dodgson 2004)
_LEAN = np.radians(9.0)  # the forehead's top lies that far behind the nose's base, seen from the side
_BEHIND_EYES = 0.085  # metres: the origin of head space, about the middle of the skull
_HUBER = 1.5  # times the typical error: beyond, errors count linearly
_DEPTH = 0.4  # weight of the network's depth beside pixels: measured, docs/results.md
_BELIEF = 0.004  # metres that the network's shape may be wrong
_INDEPENDENT = 20.0  # frames that all frames are worth: the network errs alike in all of them


@dataclass(frozen=True)
class HeadMotion:
    """A head of N landmarks in F frames."""

    rotations: np.ndarray  # [F,3,3] head space to OpenCV camera space
    translations: np.ndarray  # [F,3] metres
    shape: np.ndarray  # [N,3] metres, head space: on average


def solve_motion(landmarks: np.ndarray, K: np.ndarray) -> HeadMotion:
    """The motion that explains landmarks [F,N,3] (pixels, z in the same scale) best; K [3,3] of the whole picture."""
    motion = _begin(landmarks, K)
    belief, rotations, translations = motion.shape, motion.rotations, motion.translations
    shape, pixels = belief.copy(), landmarks[..., :2]
    some = np.linspace(0, len(pixels) - 1, min(len(pixels), _SHAPING)).round().astype(int)
    for _ in range(_ROUNDS):
        rotations, translations = _step_poses(rotations, translations, shape[STABLE], landmarks[:, STABLE], K)
        shape = _step_shape(rotations[some], translations[some], shape, belief, pixels[some], K)
    for _ in range(2):  # the poses have the last word
        rotations, translations = _step_poses(rotations, translations, shape[STABLE], landmarks[:, STABLE], K)
    return _in_head_space(rotations, translations, shape)


def project(points: np.ndarray, rotations: np.ndarray, translations: np.ndarray, K: np.ndarray) -> np.ndarray:
    """Pixels [F,n,2] of points [n,3] or [F,n,3] in head space."""
    camera = points @ rotations.transpose(0, 2, 1) + translations[:, None]
    return camera[..., :2] / camera[..., 2:] * (K[0, 0], K[1, 1]) + (K[0, 2], K[1, 2])


def unproject(pixels: np.ndarray, motion: HeadMotion, K: np.ndarray) -> np.ndarray:
    """Points [F,N,3] in head space that lie on the rays of pixels [F,N,2], as far away as the shape's landmarks."""
    depth = motion.shape @ motion.rotations[:, 2].T + motion.translations[:, 2]  # [N,F]
    rays = (pixels - (K[0, 2], K[1, 2])) / (K[0, 0], K[1, 1])
    camera = np.concatenate([rays, np.ones_like(rays[..., :1])], -1) * depth.T[..., None]
    return (camera - motion.translations[:, None]) @ motion.rotations


def stable_errors(landmarks: np.ndarray, motion: HeadMotion, K: np.ndarray) -> np.ndarray:
    """[F] root of the mean square distance in pixels between the stable landmarks and their projection."""
    seen = project(motion.shape[STABLE], motion.rotations, motion.translations, K)
    return np.sqrt(((seen - landmarks[:, STABLE, :2]) ** 2).sum(-1).mean(-1))


def views(rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the camera is, seen from the head: degrees [F] to the subject's left, and upward."""
    forward = rotations[:, 2]
    return np.degrees(np.arctan2(-forward[:, 0], forward[:, 1])), np.degrees(np.arcsin(np.clip(-forward[:, 2], -1, 1)))


def _begin(landmarks: np.ndarray, K: np.ndarray) -> HeadMotion:
    """From the network's own depth, as if the picture were a parallel projection."""
    reference = landmarks[len(landmarks) // 2]
    for _ in range(_MEANS):
        rotations, scales, offsets = _similarities(landmarks[:, STABLE], reference[STABLE])
        moved = (landmarks - offsets[:, None]) @ rotations / scales[:, None, None]
        reference = np.median(moved, 0)
    turned, origin, unit = _head_axes(reference)
    shape = (reference - origin) @ turned / unit
    rotations, scales, offsets = _similarities(landmarks[:, STABLE], shape[STABLE])
    distance = K[0, 0] / scales  # metres: as large as so many pixels a metre
    sideways = (offsets[:, :2] - (K[0, 2], K[1, 2])) / scales[:, None]
    return HeadMotion(rotations, np.concatenate([sideways, distance[:, None]], 1), shape)


def _similarities(points: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotation [F,3,3], scale [F] and offset [F,3] that bring the reference [n,3] closest to points [F,n,3] (Umeyama
    1991)."""
    middle, own = points.mean(1), reference.mean(0)
    u, singular, vt = np.linalg.svd(np.einsum("fni,nj->fij", points - middle[:, None], reference - own))
    signs = np.ones_like(singular)
    signs[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotations = (u * signs[:, None]) @ vt
    scales = (singular * signs).sum(1) / ((reference - own) ** 2).sum()
    return rotations, scales, middle - scales[:, None] * (rotations @ own)


def _head_axes(shape: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The axes [3,3] of head space in its columns, its origin [3] and a metre, all as a shape [N,3] has them."""
    left = (shape[PAIRS[:, 1]] - shape[PAIRS[:, 0]]).sum(0)
    left /= np.linalg.norm(left)
    lean = shape[FOREHEAD] - shape[NOSE_BASE]
    lean = lean - (lean @ left) * left
    lean /= np.linalg.norm(lean)
    back = np.cross(lean, left)
    up, back = np.cos(_LEAN) * lean - np.sin(_LEAN) * back, np.sin(_LEAN) * lean + np.cos(_LEAN) * back
    right_eye, left_eye = ((shape[EYE_OUTER[side]] + shape[EYE_INNER[side]]) / 2 for side in (0, 1))
    unit = float(np.linalg.norm(left_eye - right_eye)) / _EYES_APART
    origin = (right_eye + left_eye) / 2 + _BEHIND_EYES * unit * back
    return np.stack([left, back, up], 1), origin, unit


def _in_head_space(rotations: np.ndarray, translations: np.ndarray, shape: np.ndarray) -> HeadMotion:
    """The same motion, with the shape where head space wants it."""
    turned, origin, unit = _head_axes(shape)
    moved = (rotations @ origin + translations) / unit
    return HeadMotion(rotations @ turned, moved, (shape - origin) @ turned / unit)


def _step_poses(
    rotations: np.ndarray, translations: np.ndarray, shape: np.ndarray, landmarks: np.ndarray, K: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One Gauss-Newton step of every pose, for points [n,3] seen at landmarks [F,n,3]."""
    turned, count = shape @ rotations.transpose(0, 2, 1), len(landmarks)
    errors, by_point = _projection(turned + translations[:, None], landmarks[..., :2], K)
    roots = np.sqrt(_weights(errors))[..., None]
    turning = -_cross(turned)  # [F,n,3,3]
    by_pose = np.concatenate([by_point @ turning, by_point], -1)  # [F,n,2,6]
    scale = (_DEPTH * K[0, 0] / translations[:, 2])[:, None]  # [F,1]
    depth_errors = _centred(turned[..., 2]) * scale - _DEPTH * _centred(landmarks[..., 2])
    depth_by_pose = np.zeros((*depth_errors.shape, 1, 6))
    depth_by_pose[..., 0, :3] = _centred(turning[..., 2, :]) * scale[..., None]
    by_all = np.concatenate([by_pose, depth_by_pose], 2) * roots[..., None]
    all_errors = np.concatenate([errors, depth_errors[..., None]], 2) * roots
    hessian, gradient = _normal(by_all.reshape(count, -1, 6), all_errors.reshape(count, -1))
    hessian += 1e-9 * np.trace(hessian, axis1=1, axis2=2)[:, None, None] * np.eye(6)
    step = -np.linalg.solve(hessian, gradient[..., None])[..., 0]
    return Rotation.from_rotvec(step[:, :3]).as_matrix() @ rotations, translations + step[:, 3:]


def _step_shape(
    rotations: np.ndarray,
    translations: np.ndarray,
    shape: np.ndarray,
    belief: np.ndarray,
    pixels: np.ndarray,
    K: np.ndarray,
) -> np.ndarray:
    """One Gauss-Newton step of every landmark [N,3], drawn towards where it is believed to be."""
    errors, by_point = _projection(shape @ rotations.transpose(0, 2, 1) + translations[:, None], pixels, K)
    by_shape = by_point @ rotations[:, None]  # [F,N,2,3]
    scale = _INDEPENDENT / len(errors) / _typical(errors[:, STABLE]) ** 2
    roots = np.sqrt(_weights(errors) * scale)[..., None]
    by_landmark = (by_shape * roots[..., None]).transpose(1, 0, 2, 3).reshape(len(shape), -1, 3)
    hessian, gradient = _normal(by_landmark, (errors * roots).transpose(1, 0, 2).reshape(len(shape), -1))
    hessian += np.eye(3) / _BELIEF**2
    gradient += (shape - belief) / _BELIEF**2
    return shape - np.linalg.solve(hessian, gradient[..., None])[..., 0]


def _normal(derivatives: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The normal equations of derivatives [m,k,p] and errors [m,k]: matrices [m,p,p] and right sides [m,p]."""
    transposed = derivatives.transpose(0, 2, 1)
    return transposed @ derivatives, (transposed @ errors[..., None])[..., 0]


def _projection(camera: np.ndarray, pixels: np.ndarray, K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Errors [F,n,2] in pixels of points [F,n,3] in camera space, and their derivatives [F,n,2,3]."""
    focal = np.array((K[0, 0], K[1, 1]))
    z = camera[..., 2:]
    slopes = camera[..., :2] / z
    derivatives = np.zeros((*camera.shape[:2], 2, 3))
    derivatives[..., 0, 0], derivatives[..., 1, 1] = focal[0] / z[..., 0], focal[1] / z[..., 0]
    derivatives[..., 2] = -slopes * focal / z
    return slopes * focal + (K[0, 2], K[1, 2]) - pixels, derivatives


def _cross(vectors: np.ndarray) -> np.ndarray:
    """The matrices [...,3,3] whose product with a vector is the cross product."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*vectors.shape, 3)


def _typical(errors: np.ndarray) -> float:
    """The median distance in pixels of errors [F,n,2], not zero."""
    return max(float(np.median(np.linalg.norm(errors, axis=-1))), 1e-3)


def _centred(values: np.ndarray) -> np.ndarray:
    """Values [F,n,…] without each frame's mean."""
    return values - values.mean(1, keepdims=True)


def _weights(errors: np.ndarray) -> np.ndarray:
    """Huber's weights [F,n] for errors [F,n,2]."""
    distance = np.linalg.norm(errors, axis=-1)
    limit = _HUBER * _typical(errors)
    return limit / np.maximum(distance, limit)
