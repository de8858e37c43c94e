# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ears and the collar."""

import numpy as np

from .part import Part, grid_faces, mirrored, ramp, with_roughness

_BACK = [1.04, 1.05, 1.0, 0.85, 0.5]  # the rings behind the ear's rim
EAR_PLACE = np.array([6.55, 1.0, -0.6])


def _bump(x: np.ndarray, centre: float, width: float) -> np.ndarray:
    return np.exp(-(((x - centre) / width) ** 2))


def _ear_form() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A left ear lying flat: positions [V,3] (back, up, out) in cm, quads [F,4], hollowness [V] in 0..1."""
    spokes = 60
    rings = np.concatenate([[0.03], np.linspace(0.1, 0.78, 13), np.linspace(0.82, 1.0, 9), _BACK])
    on_back = np.arange(len(rings)) >= len(rings) - len(_BACK)
    turn = np.linspace(0, 2 * np.pi, spokes, endpoint=False)
    s, a = np.meshgrid(rings, turn, indexing="ij")
    back, up = np.cos(a), np.sin(a)
    lobe = np.clip(-up - 0.55, 0, 1) / 0.45  # 1 at the bottom
    half_width = 1.75 * (1.0 + 0.10 * up - 0.16 * lobe) + 0.18 * np.clip(back, 0, 1)
    outline_u, outline_v = half_width * back, 3.0 * up - 0.05
    hollow_u, hollow_v = -0.35, -0.25  # the ear hole's place: rings shrink towards it
    u = hollow_u + (outline_u - hollow_u) * s
    v = hollow_v + (outline_v - hollow_v) * s

    has_rim = np.clip((back + 0.55) * 2.0, 0, 1) + np.clip((up - 0.15) * 2.0, 0, 1)
    has_rim = np.clip(has_rim, 0, 1) * (1.0 - 0.85 * lobe)
    has_fold = np.clip((back + 0.25) * 1.6, 0, 1) * (1.0 - lobe)
    out = 0.42 + 0.34 * has_rim * _bump(s, 0.93, 0.085)
    out += 0.34 * has_fold * _bump(s, 0.60, 0.12) - 0.20 * has_fold * _bump(s, 0.79, 0.075)
    out -= 0.62 * _bump(s, 0.0, 0.40)
    out += 0.22 * lobe * _bump(s, 0.72, 0.24)
    out += 0.42 * np.exp(-(((u + 1.12) / 0.34) ** 2) - ((v + 0.35) / 0.55) ** 2)  # tragus
    hollow = np.clip(_bump(s, 0.0, 0.42) + 0.7 * has_fold * _bump(s, 0.79, 0.07), 0, 1)
    for row, height in zip(np.where(on_back)[0], (0.30, 0.05, -0.25, -0.45, -1.0), strict=True):
        out[row] = height
        hollow[row] = 0.0
    form = np.stack([u, v, out], axis=-1).reshape(-1, 3)
    return form, grid_faces(len(rings), spokes), hollow.ravel()


def ears() -> list[Part]:
    """Both ears, standing off the head a little and leaning back."""
    form, faces, hollow = _ear_form()
    lean, off = np.deg2rad(10.0), np.deg2rad(27.0)
    back = form[:, 0] * np.cos(lean) + form[:, 1] * np.sin(lean)
    up = form[:, 1] * np.cos(lean) - form[:, 0] * np.sin(lean)
    hinge = back + 1.2  # the front edge stays at the head
    out = form[:, 2] * np.cos(off) + hinge * np.sin(off)
    back = hinge * np.cos(off) - form[:, 2] * np.sin(off) - 1.2
    left = np.stack([out, back, up], axis=1) + EAR_PLACE
    tone = ramp(hollow, [0.0, 0.5, 1.0], [(236, 168, 142), (212, 124, 104), (150, 74, 62)])
    edge = np.clip((form[:, 0] + 0.6) / 2.0, 0, 1)[:, None] * (1 - hollow[:, None])
    tone = tone * (1 - 0.35 * edge) + np.array([232, 150, 130]) / 255 * 0.35 * edge
    colour = with_roughness(tone, 0.46)
    centre = np.arange(60)[None, ::-1]
    return [
        Part("Skin", left, [faces, centre], colour, groups={"earLeft": np.arange(len(left))}),
        Part("Skin", left * [-1, 1, 1], [mirrored(faces), mirrored(centre)], colour,
             groups={"earRight": np.arange(len(left))}),
    ]


def collar() -> Part:
    """A rolled knitted collar that ends the neck cleanly."""
    spokes = 144
    turn = np.linspace(0, 2 * np.pi, spokes, endpoint=False)
    profile = np.array(  # (radius, height): inside the neck, over the roll, down and out, closed underneath
        [(3.9, -14.6), (4.55, -13.2), (4.85, -12.62), (5.15, -12.38), (5.5, -12.42), (5.78, -12.75), (5.92, -13.3),
         (5.95, -14.0), (5.9, -14.7), (5.95, -15.2), (6.2, -15.6), (6.5, -16.1), (6.6, -16.5), (6.3, -16.75),
         (4.0, -16.8), (0.4, -16.8)]
    )
    fine = np.linspace(0, len(profile) - 1, 26)
    radius = np.interp(fine, np.arange(len(profile)), profile[:, 0])
    height = np.interp(fine, np.arange(len(profile)), profile[:, 1])
    for _ in range(1):
        radius[1:-1] = 0.25 * radius[:-2] + 0.5 * radius[1:-1] + 0.25 * radius[2:]
        height[1:-1] = 0.25 * height[:-2] + 0.5 * height[1:-1] + 0.25 * height[2:]
    ribs = 0.05 * np.sin(turn * 36)[None] * np.clip((radius - 4.6) / 0.6, 0, 1)[:, None]
    r = radius[:, None] + ribs
    slope = -0.16 * np.cos(turn)[None]  # the front lies lower than the back
    ring = np.stack(
        [r * np.sin(turn), 2.35 - r * np.cos(turn), height[:, None] + 1.5 + slope * r], axis=-1
    )
    tone = np.tile(np.array([62, 92, 116]) / 255, (ring.size // 3, 1)) * (1.0 + 3.0 * ribs.reshape(-1, 1))
    return Part("Cloth", ring.reshape(-1, 3), [grid_faces(len(radius), spokes)], with_roughness(tone, 0.85))
