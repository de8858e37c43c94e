# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about the extension: this file runs in the backend's Python, and again in each of Blender's that is set up.

Blender's environments are those of scripts/test.py.
"""

import json
import os
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import environment

CHANNELS = 100  # ARKit's 52 and others: the bones have something to drive


def rig_rows(bench) -> Iterator:
    """The expression of an avatar from its evaluated channels and bones."""
    import torch

    from bench_rows.scenes import moving_head
    from headgas.avatars import ExpressionSpace, save_avatar

    pythons = {v: environment.interpreter(environment.VENV / "blender" / v) for v in environment.BLENDER_PYTHONS}
    pythons = {version: python for version, python in pythons.items() if python.is_file()}
    if not pythons:
        raise RuntimeError("no Blender is set up: python3 scripts/test.py does it")
    names = ("jawOpen", "eyeLookInLeft", *(f"channel{number}" for number in range(2, CHANNELS)))
    zeros, ones = (0.0,) * CHANNELS, (1.0,) * CHANNELS
    avatar, _ = moving_head(100, 64, space=ExpressionSpace("custom", names, zeros, zeros, ones))
    triangle = {
        "vertices": avatar.means.detach()[:3].clone(),
        "faces": torch.tensor([[0, 1, 2]], dtype=torch.int32),
        "colors": torch.zeros(3, 3, dtype=torch.uint8),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "avatar.safetensors"
        save_avatar(path, avatar, "modes", {}, triangle)
        for version, python in pythons.items():
            command = [str(python), __file__, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            times = json.loads(done.stdout.splitlines()[-1])
            title = f"expression of {CHANNELS} channels and bones, Blender {version}"
            yield bench.row(title, 1e3 * min(times), "ms", 1)


def _measure(path: Path) -> None:
    import bpy

    sys.path.insert(0, str(environment.ROOT))
    import blender_headgas
    from blender_headgas.rig import build_avatar, expression_of

    blender_headgas.register()
    mesh = build_avatar(bpy.context, path)
    mesh.parent.pose.bones["jaw"].rotation_euler.x = 0.1
    depsgraph = bpy.context.evaluated_depsgraph_get()
    print(json.dumps([t / 100 for t in timeit.repeat(lambda: expression_of(mesh, depsgraph), number=100, repeat=40)]))
    sys.stdout.flush()
    os._exit(0)  # the module of 4.5 may hang while it exits


if __name__ == "__main__":
    _measure(Path(sys.argv[1]))
