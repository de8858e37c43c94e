# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""In the backend's Python: a small capture, two random avatars and how they look, and other programs' avatars:
`material.py FOLDER`."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from headgas import cli
from headgas.avatars import SplatAvatar, load_avatar, save_avatar
from headgas.avatars.rendering import PlacedAvatar, Stage, render_frame
from headgas.captures import load_capture
from headgas.evaluation.inspection import Inspection, Inspector
from headgas.splatting import Camera
from headgas.splatting.splats import Splats
from tests.headgas.avatars.test_modes import avatar as small_modes
from tests.headgas.conftest import small_avatar, write_capture
from tests.headgas.exchange.flame_files import write_flame
from tests.headgas.exchange.test_bound_avatars import write_gaussian_avatars
from tests.headgas.exchange.test_flash_avatar import twin_embedding, write_checkpoint, write_mesh
from tests.headgas.exchange.test_gaussian_blendshapes import write_dump
from tests.headgas.exchange.test_gaussian_head_folder import some_weights, write_run
from tests.headgas.exchange.test_lam import write_zip

FLAT_COLORS = ((224, 172, 140), (70, 90, 140), (8, 8, 12), (250, 252, 255))  # sRGB: top left, top right, below
FOCUS = 0.6  # metres from the camera: there, the orthographic camera shows everything as large
_APART = 0.15  # metres from the first avatar to the second, to the subject's left
_SURFACE = {
    "vertices": 0.1 * torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]]),
    "faces": torch.tensor(
        [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]], dtype=torch.int32
    ),
    "colors": torch.full((6, 3), 128, dtype=torch.uint8),
}


def main(folder: Path) -> None:
    """Writes the capture, `a.safetensors`, `b.safetensors`, `0.png` … of `headgas render`, `a.ply` of the first frame,
    and `reference.npz`."""
    write_capture(folder / "capture", frames=3, test=1)
    for name, seed in (("a", 0), ("b", 1)):
        save_avatar(folder / f"{name}.safetensors", small_avatar(seed=seed), "headgas", {}, _SURFACE)
    capture = load_capture(folder / "capture")
    first, second = (load_avatar(folder / f"{name}.safetensors").avatar for name in "ab")
    aside = torch.eye(4)
    aside[0, 3] = _APART
    arrays = {}
    for number, frame in enumerate(capture.frames):
        command = ["render", str(folder / "a.safetensors"), "--capture", str(folder / "capture")]
        assert cli.main([*command, "--frame", str(number), "--out", str(folder / f"{number}.png")]) == 0
        expression = torch.from_numpy(frame.expression)
        one = PlacedAvatar(first, expression, torch.eye(4))
        for name, placed in (("one", [one]), ("two", [one, PlacedAvatar(second, expression, aside)])):
            image, depth = render_frame(placed, frame.camera)
            arrays |= {f"{name}_image_{number}": image.numpy(), f"{name}_depth_{number}": depth.numpy()}
        if number == 0:
            arrays |= _parallel_views(placed, frame.camera)
    frame, distances = capture.frames[0], arrays["one_depth_0"]
    middle = float(np.median(distances[distances < 1e9]))  # metres before the camera
    limit = torch.full(distances.shape, middle)
    one = PlacedAvatar(first, torch.from_numpy(frame.expression), torch.eye(4))
    image, depth = render_frame([one], frame.camera, depth_limit=limit)
    arrays |= {"sliced_image": image.numpy(), "sliced_depth": depth.numpy(), "sliced_at": np.array(middle)}
    command = ["convert", str(folder / "a.safetensors"), str(folder / "a.ply"), "--capture", str(folder / "capture")]
    assert cli.main([*command, "--frame", "0"]) == 0
    np.savez(folder / "reference.npz", **arrays)
    save_avatar(folder / "modes.safetensors", small_modes(), "modes", {}, _SURFACE)
    _write_foreign(folder / "foreign")
    save_avatar(folder / "flat.safetensors", _flat(), "imported", {}, _SURFACE)


def _flat() -> SplatAvatar:
    """A wall before the camera, of a colour in each quarter: those of `test_colour.py`."""
    places = torch.linspace(-0.1, 0.1, 134)
    across, upward = (plane.flatten() for plane in torch.meshgrid(places, places, indexing="xy"))
    means = torch.stack([across, torch.zeros_like(across), upward], 1)
    quarter = (across > 0).long() + 2 * (upward < 0).long()
    colors = torch.tensor(FLAT_COLORS)[quarter] / 255
    count = len(means)
    sizes = torch.tensor([0.003, 0.001, 0.003]).log().expand(count, 3).clone()
    turns = torch.tensor([1.0, 0, 0, 0]).expand(count, 4).clone()
    base = ((colors - 0.5) / 0.28209479177387814)[:, None]  # the first harmonic is 1 / sqrt(4 pi)
    return SplatAvatar(Splats(means, turns, sizes, torch.full((count,), 12.0), base))


def _parallel_views(placed: list[PlacedAvatar], camera: Camera) -> dict[str, np.ndarray]:
    """An orthographic camera's picture of avatars, their normals, and which pixels are whose."""
    K = camera.K @ torch.diag(torch.tensor([1 / FOCUS, 1 / FOCUS, 1.0]))
    stage = Stage.of(placed, replace(camera, K=K, orthographic=True))
    image, depth = stage.picture()
    normals = Inspector().view(stage, [item.avatar for item in placed], Inspection("normal")).image
    shown = {"image": image, "depth": depth, "normals": normals, "coverage": stage.coverage(image)}
    return {f"parallel_{name}": plane.numpy() for name, plane in shown.items()}


def _write_foreign(folder: Path) -> None:
    """One avatar of each program that is not ours, and the FLAME that some of them need."""
    for name in ("flame", "bound"):
        (folder / name).mkdir(parents=True)
    uv, stays = write_mesh(folder / "flame")
    write_flame(folder / "flame")
    write_checkpoint(folder / "chkpnt1.pth", len(twin_embedding(uv, stays)))
    write_gaussian_avatars(folder / "bound")
    write_dump(folder / "dump")
    write_run(folder / "id1", some_weights())
    write_zip(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
