# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The head's form: a signed distance to softly joined ellipsoids, capsules and spheres.

Centimetres; +X the subject's left, -Y out of the face, +Z up; the origin lies between the ears.
The smooth minimum is the polynomial one of Inigo Quilez, "Smooth minimum" (iquilezles.org/articles/smin).
"""

import numpy as np

EYE_CENTRE = np.array([3.4, -6.15, 0.15])  # the left eyeball; the right one mirrors it in x
EYE_RADIUS = 1.84
LID_THICKNESS = 0.14
NECK_END = -14.4  # the neck is cut flat here, inside the collar
RAY_ORIGIN = np.array([0.0, 1.0, 0.0])  # every point of the skin can be seen from here


def _lengths(vectors: np.ndarray) -> np.ndarray:
    """[N] of [N,3]; numpy's own norm is slow for rows so short."""
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors))


def _ellipsoid(points: np.ndarray, centre: tuple, radii: tuple) -> np.ndarray:
    """Approximate signed distance [N] of points [N,3] to an ellipsoid (first-order, exact on the surface)."""
    scaled = (points - np.array(centre)) / np.array(radii)
    level, gradient = _lengths(scaled), _lengths(scaled / np.array(radii))
    return level * (level - 1.0) / np.maximum(gradient, 1e-9)


def _capsule(points: np.ndarray, start: tuple, end: tuple, radius_start: float, radius_end: float) -> np.ndarray:
    """Signed distance [N] of points [N,3] to a segment whose radius changes from start to end."""
    a, b = np.array(start), np.array(end)
    along = np.clip((points - a) @ (b - a) / np.dot(b - a, b - a), 0.0, 1.0)
    radius = radius_start + (radius_end - radius_start) * along
    return _lengths(points - a - along[:, None] * (b - a)) - radius


def _join(first: np.ndarray, second: np.ndarray, softness: float) -> np.ndarray:
    """Smooth union [N] of two signed distances [N]; softness in centimetres."""
    h = np.maximum(softness - np.abs(first - second), 0.0) / softness
    return np.minimum(first, second) - h * h * softness * 0.25


def _carve(body: np.ndarray, tool: np.ndarray, softness: float) -> np.ndarray:
    """Smooth difference [N]: the body without the tool."""
    return -_join(-body, tool, softness)


def head_distance(points: np.ndarray) -> np.ndarray:
    """Signed distance [N] in centimetres of points [N,3] to the skin without ears, lips and hair."""
    p = points.copy()
    p[:, 0] = np.abs(p[:, 0])
    d = _ellipsoid(p, (0, 0.9, 3.3), (7.35, 8.9, 8.3))
    d = _join(d, _ellipsoid(p, (0, -2.2, -3.2), (5.75, 6.0, 6.6)), 2.5)
    d = _join(d, _capsule(p, (0, 2.0, -5.0), (0, 3.0, -20.0), 4.3, 4.6), 1.6)
    d = _join(d, _ellipsoid(p, (0, -6.45, -8.5), (1.85, 1.75, 1.5)), 2.0)
    d = _join(d, _ellipsoid(p, (0, -6.1, -5.6), (3.1, 2.2, 2.4)), 1.8)
    d = _join(d, _ellipsoid(p, (3.75, -5.1, -3.0), (2.5, 2.6, 2.3)), 1.7)
    d = _join(d, _capsule(p, (1.3, -7.35, 2.5), (4.6, -6.2, 2.7), 0.85, 0.75), 1.3)
    d = _carve(d, _ellipsoid(p, (3.4, -9.7, 0.15), (2.5, 2.25, 1.85)), 1.1)
    nose = _capsule(p, (0, -7.35, 1.4), (0, -9.2, -2.1), 0.55, 0.68)
    nose = _join(nose, _ellipsoid(p, (0, -9.35, -2.35), (0.95, 0.9, 0.82)), 0.6)
    nose = _join(nose, _ellipsoid(p, (0.95, -8.55, -2.6), (0.62, 0.75, 0.6)), 0.5)
    d = _join(d, nose, 0.9)
    d = _carve(d, _ellipsoid(p, (0.48, -9.0, -3.35), (0.3, 0.42, 0.28)), 0.2)
    lid = _lengths(p - EYE_CENTRE) - (EYE_RADIUS + LID_THICKNESS)
    d = _join(d, lid, 0.45)
    return np.maximum(d, NECK_END - p[:, 2])


def directions(azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Unit directions [N,3]; angles [N] in degrees, azimuth 0 looks along -Y and grows to the subject's left."""
    a, e = np.deg2rad(azimuth), np.deg2rad(elevation)
    return np.stack([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)], axis=1)


def angles(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth and elevation [N] in degrees of points [N,3] as seen from the ray origin."""
    r = points - RAY_ORIGIN
    azimuth = np.rad2deg(np.arctan2(r[:, 0], -r[:, 1]))
    return azimuth, np.rad2deg(np.arctan2(r[:, 2], np.hypot(r[:, 0], r[:, 1])))


def skin_radius(rays: np.ndarray) -> np.ndarray:
    """Distance [N] from the ray origin to the outermost skin along unit rays [N,3] (sphere tracing inwards)."""
    radius = np.full(len(rays), 21.0)
    active = np.arange(len(rays))
    for _ in range(60):
        step = head_distance(RAY_ORIGIN + radius[active, None] * rays[active])
        radius[active] -= 0.85 * step
        active = active[np.abs(step) > 2e-3]
        if not len(active):
            break
    return radius
