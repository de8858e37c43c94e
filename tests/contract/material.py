# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""In the backend's Python: a small capture, two random avatars and how they look: `material.py FOLDER`."""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from headgas import cli
from headgas.avatars import load_avatar, save_avatar
from headgas.avatars.rendering import PlacedAvatar, render_frame
from headgas.captures import load_capture
from tests.headgas.conftest import small_avatar, write_capture

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
    command = ["convert", str(folder / "a.safetensors"), str(folder / "a.ply"), "--capture", str(folder / "capture")]
    assert cli.main([*command, "--frame", "0"]) == 0
    np.savez(folder / "reference.npz", **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
