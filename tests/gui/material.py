# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""In the backend's Python: an avatar painted by hand, photographs of it, a take and a small capture.

`material.py FOLDER` writes them.

The avatar is an egg with a face of flat colours, so a test knows every colour that it must see.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from blender_headgas.core.takes import Take
from blender_headgas.core.takes.writing import write_table
from headgas.avatars import ExpressionSpace, save_avatar
from headgas.avatars.blendshapes import BlendshapeAvatar, BlendshapesConfig
from headgas.avatars.rendering import PlacedAvatar, linear_to_srgb, render_frame
from headgas.avatars.rig import Rig
from headgas.avatars.spherical_harmonics import C0
from headgas.splatting import Camera
from tests.headgas.conftest import intrinsics, look_at, write_capture

AXES = np.array([0.075, 0.095, 0.115])  # metres, half of the egg
SKIN, HAIR, LIPS, MOUTH = (224, 172, 140), (70, 45, 30), (190, 70, 80), (60, 10, 20)
WHITE, PUPIL, BROW = (240, 240, 240), (30, 60, 110), (60, 40, 30)
WALL = (0, 110, 60)
_PHOTOGRAPH = 400  # pixels
_COUNT = 9000
_SIZE = 0.0024  # metres, σ of a Gaussian: neighbours overlap
# What a channel moves: the middle x, z and the reach of a bump in metres, and its way. A * stands for both sides.
_BUMPS: dict[str, tuple[float, float, float, tuple[float, float, float]]] = {
    "jawOpen": (0.0, -0.075, 0.022, (0.0, 0.004, -0.024)),
    "mouthFunnel": (0.0, -0.052, 0.018, (0.0, -0.012, 0.0)),
    "mouthPucker": (0.0, -0.052, 0.014, (0.0, -0.018, 0.0)),
    "mouthSmile*": (0.024, -0.05, 0.012, (0.006, 0.004, 0.012)),
    "mouthFrown*": (0.024, -0.05, 0.012, (0.004, 0.002, -0.01)),
    "eyeBlink*": (0.03, 0.032, 0.008, (0.0, -0.004, -0.022)),
    "browInnerUp": (0.0, 0.035, 0.02, (0.0, 0.0, 0.012)),
    "browOuterUp*": (0.04, 0.035, 0.015, (0.0, 0.0, 0.012)),
    "browDown*": (0.03, 0.035, 0.018, (0.0, 0.0, -0.008)),
}


def main(folder: Path) -> None:
    """Writes `head/avatar.safetensors`, `photographs` of it, `take.csv` as Live Link Face would, and `capture`."""
    (folder / "head").mkdir(parents=True, exist_ok=True)
    points, colors = _head(_COUNT)
    names, shapes = _shapes(points)
    space = ExpressionSpace("ARKit", names, *((value,) * len(names) for value in (0.0, 0.0, 1.0)))
    avatar = _avatar(space, points, colors, shapes)
    save_avatar(folder / "head" / "avatar.safetensors", avatar, "painted", {"gaussians": len(points)}, _surface())
    _photograph(folder / "photographs", avatar)
    write_table(folder / "take.csv", _take(names))
    write_capture(folder / "capture")


def _head(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points [N,3] in metres spread over the egg and over a dark egg within, and their colours [N,3], 0 to 1."""
    steps = np.arange(count) + 0.5
    height, turn = 1 - 2 * steps / count, steps * math.pi * (1 + math.sqrt(5))
    ring = np.sqrt(1 - height**2)
    ball = np.stack([ring * np.cos(turn), ring * np.sin(turn), height], 1)
    outside = ball * AXES
    return np.concatenate([outside, 0.9 * outside[::2]]), np.concatenate([paint(outside), _flat(MOUTH, count)[::2]])


def paint(points: np.ndarray) -> np.ndarray:
    """The colours [N,3], 0 to 1, of points [N,3] of the egg."""
    x, y, z = points.T
    side, front = np.abs(x), y < 0
    colors = _flat(SKIN, len(points))
    colors[(z > 0.07) | ~front & (z > -0.05)] = np.array(HAIR) / 255
    for part, color in (
        (np.hypot(side / 0.03, (z + 0.052) / 0.011) < 1, LIPS),
        (np.hypot(side - 0.03, z - 0.015) < 0.014, WHITE),
        (np.hypot(side - 0.03, z - 0.015) < 0.006, PUPIL),
        (np.hypot((side - 0.03) / 0.018, (z - 0.04) / 0.0035) < 1, BROW),
    ):
        colors[part & front] = np.array(color) / 255
    return colors


def _flat(color: tuple[int, int, int], count: int) -> np.ndarray:
    return np.tile(np.array(color) / 255, (count, 1))


def _shapes(points: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """The channels' names [B] and how far each moves the points [B,N,3], in metres."""
    names, shapes = [], []
    for name, (x, z, reach, way) in _BUMPS.items():
        for word, sign in (("Left", 1), ("Right", -1)) if name.endswith("*") else (("", 1),):
            distance = np.hypot(points[:, 0] - sign * x, points[:, 2] - z)
            strength = np.exp(-0.5 * (distance / reach) ** 2) * (points[:, 1] < 0)
            strength[_COUNT:] = 0.0  # the dark egg within stays
            if name == "jawOpen":
                strength = np.minimum(1, 1.6 * strength) * (points[:, 2] < -0.052)
            names.append(name.replace("*", word))
            shapes.append(strength[:, None] * (np.array(way) * (sign, 1, 1)))
    return tuple(names), np.stack(shapes)


def _avatar(space: ExpressionSpace, points: np.ndarray, colors: np.ndarray, shapes: np.ndarray) -> BlendshapeAvatar:
    count = len(points)
    attributes = {
        "quaternions": torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
        "log_scales": torch.full((count, 3), math.log(_SIZE)),
        "logits": torch.full((count, 1), 5.0),
        "harmonics": torch.tensor((colors - 0.5) / C0).float(),
    }
    rig = Rig(torch.tensor(points).float(), torch.tensor(shapes).float())
    return BlendshapeAvatar(space, rig, attributes, BlendshapesConfig())


def _surface() -> dict[str, torch.Tensor]:
    """The egg as a mesh of rings."""
    rings, around = 40, 56
    polar, turn = np.linspace(0.02, math.pi - 0.02, rings), np.arange(around) * 2 * math.pi / around
    height, ring = np.cos(polar)[:, None], np.sin(polar)[:, None]
    ball = np.broadcast_arrays(ring * np.cos(turn), ring * np.sin(turn), height)
    vertices = np.stack(ball, -1).reshape(-1, 3) * AXES
    corner = np.arange(rings - 1)[:, None] * around + np.arange(around)
    beside = np.arange(rings - 1)[:, None] * around + (np.arange(around) + 1) % around
    a, b, c, d = (index.ravel() for index in (corner, corner + around, beside + around, beside))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    return {
        "vertices": torch.tensor(vertices).float(),
        "faces": torch.tensor(faces, dtype=torch.int32),
        "colors": torch.tensor((paint(vertices) * 255).round(), dtype=torch.uint8),
    }


def _photograph(folder: Path, avatar: BlendshapeAvatar) -> None:
    """A capture of the avatar before a wall: at rest from the front, then with an open mouth from its left."""
    folder.mkdir(exist_ok=True)
    frames = []
    for number, (yaw, jaw) in enumerate(((0.0, 0.0), (0.35, 1.0))):
        viewmat, K = look_at(yaw), intrinsics(_PHOTOGRAPH)
        expression = torch.zeros(len(avatar.expression_space.names))
        expression[avatar.expression_space.names.index("jawOpen")] = jaw
        camera = Camera(torch.tensor(viewmat).float(), torch.tensor(K).float(), _PHOTOGRAPH, _PHOTOGRAPH)
        linear, _ = render_frame([PlacedAvatar(avatar, expression, torch.eye(4))], camera)
        alpha = linear[..., 3:]
        color = linear_to_srgb(linear[..., :3] / alpha.clamp_min(1e-6)) * alpha + torch.tensor(WALL) / 255 * (1 - alpha)
        name = f"{number}.png"
        Image.fromarray((color.clamp(0, 1) * 255).round().to(torch.uint8).numpy()).save(folder / name)
        size = {"width": _PHOTOGRAPH, "height": _PHOTOGRAPH}
        frames.append({"image": name, "viewmat": viewmat.tolist(), "K": K.tolist()} | size)
    content = {"format": "headgas-capture", "frames": frames}
    (folder / "capture.json").write_text(json.dumps(content), encoding="utf-8")


def _take(names: tuple[str, ...], seconds: float = 2.0, rate: int = 60) -> Take:
    """Somebody who talks, blinks and smiles in the end."""
    times = np.arange(int(seconds * rate)) / rate
    share = times / seconds
    rows = {
        "jawOpen": 0.45 * np.sin(times * 14) ** 2 * np.sin(times * 3 + 0.5) ** 2,
        "mouthFunnel": 0.5 * np.maximum(0, np.sin(times * 9)) ** 2,
        "mouthSmileLeft": 0.8 * share**2,
        "mouthSmileRight": 0.8 * share**2,
        "browInnerUp": 0.6 * np.exp(-(((share - 0.4) / 0.15) ** 2)),
        "eyeBlinkLeft": np.exp(-(((times - 0.8) / 0.07) ** 2)),
        "eyeBlinkRight": np.exp(-(((times - 0.8) / 0.07) ** 2)),
    }
    values = np.stack([rows.get(name, 0 * times) for name in names], 1).astype(np.float32)
    angle = 0.12 * np.sin(times * 4)
    rotations = np.stack([np.cos(angle / 2), 0 * angle, 0 * angle, np.sin(angle / 2)], 1).astype(np.float32)
    return Take(names, times, values, rotations)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
