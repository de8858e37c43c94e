# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small captures and avatars that the tests make themselves."""

import io
import json
import math
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from headgas.avatars import ExpressionSpace, HeadGaS, HeadGaSConfig
from headgas.splatting import compiling, get_threads, set_threads
from headgas.training import initialization

SIZE = 48  # pixels
_SMOOTH = 4  # samples along each edge of a pixel
NAMES = ("jawOpen", "eyeBlinkLeft", "browInnerUp")
HULL_GRID = initialization._GRID


def look_at(yaw: float, distance: float = 0.6) -> np.ndarray:
    """viewmat [4,4] of a camera in front of the face, turned by `yaw` radians to the subject's left."""
    away = np.array([math.sin(yaw), -math.cos(yaw), 0.0])
    right = np.array([math.cos(yaw), math.sin(yaw), 0.0])
    rotation = np.stack([right, [0.0, 0.0, -1.0], -away])
    viewmat = np.eye(4)
    viewmat[:3, :3] = rotation
    viewmat[:3, 3] = -rotation @ (away * distance)
    return viewmat


def intrinsics(size: int = SIZE) -> np.ndarray:
    return np.array([[2.2 * size, 0, size / 2], [0, 2.2 * size, size / 2], [0, 0, 1]])


def paint(viewmat: np.ndarray, expression: np.ndarray, size: int = SIZE) -> np.ndarray:
    """A ball for a head with a mouth, a left eye and a forehead whose colours follow the expression. RGBA uint8."""
    fine = _paint_aliased(viewmat, expression, size * _SMOOTH).reshape(size, _SMOOTH, size, _SMOOTH, 4)
    alpha = fine[..., 3:].mean((1, 3))
    color = (fine[..., :3] * fine[..., 3:]).mean((1, 3)) / np.maximum(alpha, 1e-6)
    return (np.concatenate([color, alpha], -1) * 255 + 0.5).astype(np.uint8)


@cache
def _png(yaw: float, expression: tuple[float, ...]) -> bytes:
    """A frame's picture: captures of one seed begin alike, so few have to be painted."""
    file = io.BytesIO()
    Image.fromarray(paint(look_at(yaw), np.array(expression))).save(file, "PNG")
    return file.getvalue()


def _paint_aliased(viewmat: np.ndarray, expression: np.ndarray, size: int) -> np.ndarray:
    """One sample per pixel [size,size,4], float32 in 0..1."""
    K = intrinsics(size)
    position = -viewmat[:3, :3].T @ viewmat[:3, 3]
    v, u = np.mgrid[0:size, 0:size] + 0.5
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], -1) @ viewmat[:3, :3]
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    along = rays @ position
    inside = along**2 - (position @ position - 0.1**2)
    hit = inside > 0
    point = position + rays * (-along - np.sqrt(np.maximum(inside, 0)))[..., None]
    image = np.zeros((size, size, 4), np.float32)
    image[..., :3] = (0.8, 0.6, 0.5)
    spots = [((0.0, -0.08, -0.06), 0.05, (0.7, 0.0, 0.1)), ((0.06, -0.08, 0.02), 0.045, (0.1, 0.2, 0.9)),
             ((-0.03, -0.06, 0.08), 0.05, (0.1, 0.8, 0.2))]  # fmt: skip
    for (center, radius, color), strength in zip(spots, expression, strict=True):
        near = np.linalg.norm(point - np.array(center), axis=-1) < radius
        image[near, :3] += strength * (np.array(color, np.float32) - image[near, :3])
    image[..., 3] = hit
    return image


def write_capture(folder: Path, frames: int = 24, test: int = 6, seed: int = 0, shuffled: bool = False) -> Path:
    """A capture in our own format. `shuffled` gives every training frame the expression of another one."""
    (folder / "images").mkdir(parents=True)
    generator = np.random.default_rng(seed)
    entries = []
    for number in range(frames + test):
        expression = generator.random(3) * (generator.random(3) < 0.7)
        yaw = generator.uniform(-0.4, 0.4)
        viewmat = look_at(yaw)
        (folder / f"images/{number:04d}.png").write_bytes(_png(yaw, tuple(expression)))
        entries.append(
            {
                "name": f"{number:04d}",
                "split": "train" if number < frames else "test",
                "image": f"images/{number:04d}.png",
                "width": SIZE,
                "height": SIZE,
                "viewmat": viewmat.tolist(),
                "K": intrinsics().tolist(),
                "expression": expression.tolist(),
                "boxes": {"mouth": [SIZE // 3, SIZE // 2, 2 * SIZE // 3, 3 * SIZE // 4]},
            }
        )
    if shuffled:
        values = [entry["expression"] for entry in entries[:frames]]
        for entry, value in zip(entries[:frames], values[frames // 2 :] + values[: frames // 2], strict=True):
            entry["expression"] = value
    space = {"kind": "custom", "names": list(NAMES)}
    directions = generator.normal(size=(2000, 3))
    points = 0.1 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    np.save(folder / "points.npy", points.astype(np.float32))
    data = {"format": "headgas-capture", "version": 1, "expression_space": space, "points": "points.npy"}
    data["frames"] = entries
    (folder / "capture.json").write_text(json.dumps(data), encoding="utf-8")
    return folder


def copy_kernels(cache: Path, but: str) -> None:
    """Makes `cache`, for a NUMBA_CACHE_DIR, hold what this machine has compiled, but for the files of the source `but`;
    nothing in it says what is compiled. Compiling everything takes half a minute."""
    folder = compiling._FOLDER
    shutil.copytree(folder, cache / "kernels" / folder.name, ignore=shutil.ignore_patterns(f"{but}.*", "*.compiled"))


@pytest.fixture(scope="session", autouse=True)
def coarse_hull() -> Iterator[None]:
    """Trainings in this process begin from a hull of a 27th of the voxels: it would take most of a short one's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(initialization, "_GRID", HULL_GRID // 3)
        yield


@pytest.fixture
def capture_folder(tmp_path: Path) -> Path:
    return write_capture(tmp_path / "capture")


@pytest.fixture
def edit_capture(capture_folder: Path) -> Callable[[Callable[[dict], None]], Path]:
    """Changes capture.json: the test passes a function that edits the JSON object."""

    def edit(change: Callable[[dict], None]) -> Path:
        path = capture_folder / "capture.json"
        data = json.loads(path.read_text(encoding="utf-8"))
        change(data)
        path.write_text(json.dumps(data), encoding="utf-8")
        return capture_folder

    return edit


def small_avatar(count: int = 60, seed: int = 0, names: tuple[str, ...] = NAMES, **options: Any) -> HeadGaS:
    """An untrained avatar with random features: every path is exercised, nothing is zero.

    options: of its HeadGaSConfig."""
    torch.manual_seed(seed)
    zeros, ones = (0.0,) * len(names), (1.0,) * len(names)
    space = ExpressionSpace("custom", names, zeros, zeros, ones)
    directions = torch.nn.functional.normalize(torch.randn(count, 3), dim=1)
    avatar = HeadGaS(space, directions * 0.1, HeadGaSConfig(features=4, hidden=8, frequencies=2, **options))
    avatar.basis = torch.randn_like(avatar.basis)
    with torch.no_grad():
        for name in avatar.per_gaussian[3:]:
            avatar.get_parameter(name).normal_()
        if avatar.decoder is not None:
            weight = avatar.decoder.output_layer.weight
            weight.mul_(2).add_(torch.randn_like(weight), alpha=0.1)  # motion's start at zero
    return avatar.eval()


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Small pictures are not worth two; nothing depends on it."""
    threads = get_threads()
    set_threads(1)
    yield
    set_threads(threads)
