# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about sequences: Blender's Render Animation beside `headgas render --take --cameras` of the same shot, as PNG
files, in turns. Blender writes take and cameras of its scene first.

This file runs in the backend's Python, and again in Blender's: environments of scripts/test.py.
"""

import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import environment

FRAMES = 8  # of a sequence
SIZE = (1920, 1080)
DISTANCE, LENS = 0.6, 60.0  # metres before the head; millimetres, on a sensor of 36
ROUNDS = 2
GAUSSIANS = 12_000
_CLOSE = 2  # of 255: both round


def sequence_rows(bench) -> Iterator:
    """The time from Blender's camera to a PNG file; the ratio says how fast that is beside the command."""
    import torch

    from bench_rows.scenes import moving_head
    from headgas.avatars import save_avatar

    pythons = [environment.interpreter(environment.VENV / "blender" / v) for v in environment.DEMO_BLENDERS]
    blender = next((python for python in pythons if python.is_file()), None)
    if blender is None:
        raise RuntimeError("no Blender is set up: python3 scripts/test.py does it")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "avatar.safetensors"
        made, _ = moving_head(GAUSSIANS, 256)
        triangle = {
            "vertices": made.means.detach()[:3].clone(),
            "faces": torch.tensor([[0, 1, 2]], dtype=torch.int32),
            "colors": torch.zeros(3, 3, dtype=torch.uint8),
        }
        save_avatar(path, made, "modes", {}, triangle)
        with _Blender(blender, folder, bench) as rendering:
            own, theirs = [], []
            for _ in range(1 if bench.quick else ROUNDS):
                own.append(_rendered(folder, bench))
                theirs.append(rendering.seconds())
            _check_same(folder)
        best, rate = min(theirs), FRAMES / min(theirs)
        title = f"sequence {SIZE[0]}x{SIZE[1]}, PNG, by Blender"
        yield bench.row(
            title, 1e3 * best / FRAMES, "ms", per_second=rate, ratio=min(own) / best, against="headgas render"
        )


def _rendered(folder: Path, bench) -> float:
    """The seconds that the command takes for all frames, without the start of Python."""
    from headgas import cli

    shot = ["--take", folder / "take.json", "--cameras", folder / "cameras.json"]
    where = ["--out", folder / "own", "--device", bench.device.type, "--threads", bench.most]
    said = io.TextIOWrapper(io.BytesIO())
    started = time.perf_counter()
    with redirect_stdout(said), redirect_stderr(said):
        status = cli.main([str(word) for word in ("render", folder / "avatar.safetensors", *shot, *where)])
    if status:
        raise RuntimeError("'headgas render' failed")
    return time.perf_counter() - started


def _check_same(folder: Path) -> None:
    import numpy as np
    from PIL import Image

    for frame in (1, FRAMES):
        one, other = (np.asarray(Image.open(folder / name / f"{frame:04d}.png")) for name in ("own", "blender"))
        opaque = (one[..., 3] > 250) & (other[..., 3] > 250)
        difference = np.abs(one[opaque].astype(int) - other[opaque]).max()
        if one.shape != other.shape or opaque.mean() < 0.01 or difference > _CLOSE:
            raise RuntimeError(f"frame {frame} is not the same in both: {difference} of 255")


class _Blender:
    """A Blender that renders the sequence whenever it is told to."""

    def __init__(self, python: Path, folder: Path, bench) -> None:
        backend = os.environ.get("HEADGAS_PYTHON", sys.executable)
        variables = {"HEADGAS_PYTHON": backend, "HEADGAS_DEVICE": bench.device.type}
        self._log = (folder / "blender.log").open("w+", encoding="utf-8")
        self._child = subprocess.Popen(
            [str(python), __file__, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            text=True, env=os.environ | variables,
        )  # fmt: skip
        self.seconds()  # starts the backend

    def seconds(self) -> float:
        assert self._child.stdin and self._child.stdout
        try:
            self._child.stdin.write("render\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            pass  # what it said is told below
        for line in self._child.stdout:
            if line.startswith("SECONDS "):
                return float(line.split()[1])
        self._log.seek(0)
        raise RuntimeError(f"Blender ended: {self._log.read()[-2000:]}")

    def __enter__(self) -> "_Blender":
        return self

    def __exit__(self, *_: object) -> None:
        self._child.communicate()
        self._log.close()


def _serve(folder: Path) -> None:
    """In Blender: renders the sequence at each line that comes."""
    import bpy

    sys.path.insert(0, str(environment.ROOT))
    import blender_headgas
    from blender_headgas.client import stop
    from blender_headgas.rig import build_avatar

    blender_headgas.register()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    control = build_avatar(bpy.context, folder / "avatar.safetensors")
    key = control.data.shape_keys.key_blocks[1]
    key.driver_add("value").driver.expression = f"frame / {FRAMES}"
    scene = bpy.context.scene
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    camera.location, camera.rotation_euler, camera.data.lens = (0.0, -DISTANCE, 0.0), (1.5707963, 0.0, 0.0), LENS
    render = scene.render
    scene.camera, render.engine, render.film_transparent = camera, 'HEADGAS', True
    render.resolution_x, render.resolution_y = SIZE
    scene.view_settings.view_transform = 'Standard'
    render.image_settings.file_format, render.image_settings.color_mode = 'PNG', 'RGBA'
    render.filepath = str(folder / "blender" / "####")
    scene.frame_start, scene.frame_end = 1, FRAMES
    bpy.ops.headgas.export_take(filepath=str(folder / "take.json"), format='JSON')
    bpy.ops.headgas.export_cameras(filepath=str(folder / "cameras.json"))
    for _ in sys.stdin:
        started = time.perf_counter()
        bpy.ops.render.render(animation=True)
        print(f"\nSECONDS {time.perf_counter() - started}", flush=True)
    stop()
    sys.stdout.flush()
    os._exit(0)  # the module of 4.5 may hang while it exits


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
