# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any Blender character with shape keys becomes a capture: rendered frames, exact cameras, exact expressions."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ..core.errors import HeadGaSError
from .cameras import intrinsics, place_camera, viewmat
from .character import (
    SEEN_RESOLUTION,
    Surface,
    channels,
    evaluated_expression,
    evaluated_surface,
    set_expression,
    surface_points,
)
from .regions import Regions
from .render import LENS, capture_camera, capture_settings, expression_kept, only_character, render_image
from .sampler import Sample, sample
from .writer import IMAGES, MANIFEST, POINTS, expression_kind, open_folder, write_json, write_points

POINT_COUNT = 20_000
_FRAME_MARGIN = 1.04
_FACE_TO_HEAD = 2.2  # a head's radius over the radius of what its shape keys move
_VIEWS_FOR_POINTS = 6

Progress = Callable[[int, int], None]  # frames done, frames in all


@dataclass(frozen=True)
class Framing:
    """Where the cameras look: head space, metres."""

    target: np.ndarray  # [3]
    distance: float


def capture_character(
    head: bpy.types.Object,
    folder: Path | str,
    *,
    frames: int = 96,
    test_frames: int = 14,
    resolution: int = 256,
    seed: int = 0,
    samples: int = 12,
    names: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Render a character's range of expressions and views into a capture folder and return that folder.

    Args:
        head: the mesh object whose shape keys are the expression; its transform defines head space.
        folder: made when missing; an interrupted capture with the same arguments goes on where it stopped.
        frames: training frames.
        test_frames: held-out frames; half of them combine movements that training never shows together.
        resolution: width and height in pixels.
        samples: Cycles samples per pixel, before denoising.
        names: the shape keys to use; all free ones when left out.
        progress: called after every frame.

    Raises:
        HeadGaSError: the object has no usable shape keys, nothing lights it, or the folder can't be used.
    """
    folder, scene = Path(folder), bpy.context.scene
    used = _chosen_channels(head, names)
    _require_light(scene)
    plan_samples = sample(used, frames, test_frames, seed)
    settings = {"frames": frames, "test_frames": test_frames, "resolution": resolution, "seed": seed,
                "samples": samples, "names": used}
    with ExitStack() as stack:
        for context in (expression_kept(head), only_character(scene, head)):
            stack.enter_context(context)
        camera = stack.enter_context(capture_camera(scene))
        stack.enter_context(capture_settings(scene, resolution, resolution, samples))
        set_expression(head, used, np.zeros(len(used)))
        neutral = evaluated_surface(head)
        open_folder(folder, {**settings, "character": _fingerprint(head, neutral)})
        studio = _Studio(head, used, camera, _framing(head, neutral), resolution)
        if not (folder / POINTS).exists():
            write_points(folder, _points(studio, neutral, plan_samples, seed))
        regions = Regions(head, used)
        entries = []
        for index, wanted in enumerate(plan_samples):
            entries.append(_frame(studio, index, wanted, regions, folder))
            if progress is not None:
                progress(index + 1, len(plan_samples))
    write_json(folder / MANIFEST, _manifest(used, entries))
    return folder


def _chosen_channels(head: bpy.types.Object, names: Sequence[str] | None) -> list[str]:
    available = channels(head)
    if names is None:
        return available
    if missing := [name for name in names if name not in available]:
        raise HeadGaSError(
            f'"{head.name}" has no free shape key named {", ".join(missing)}.', "Check the names, mutes and drivers."
        )
    return list(names)


def _require_light(scene: bpy.types.Scene) -> None:
    lit = any(ob.type == "LIGHT" and not ob.hide_render for ob in scene.objects)
    if not lit and scene.world is None:
        raise HeadGaSError("Nothing lights the character.", "Add a light or a world to the scene.")


def _fingerprint(head: bpy.types.Object, neutral: Surface) -> str:
    """A digest of the character's neutral surface and shape keys: another character is another capture."""
    digest = hashlib.sha256(np.round(neutral.vertices, 6).astype(np.float32).tobytes())
    for key in head.data.shape_keys.key_blocks:
        flat = np.empty(3 * len(key.data), np.float32)
        key.data.foreach_get("co", flat)
        digest.update(flat.tobytes())
    return digest.hexdigest()[:32]


def _moved_vertices(head: bpy.types.Object) -> np.ndarray:
    """Vertices [n,3] of the head, in world space, that some shape key moves."""
    keys = head.data.shape_keys
    stacked = np.empty((len(keys.key_blocks), 3 * len(head.data.vertices)), np.float32)
    for row, key in zip(stacked, keys.key_blocks, strict=True):
        key.data.foreach_get("co", row)
    stacked = stacked.reshape(len(stacked), -1, 3)
    moved = np.linalg.norm(stacked - stacked[:1], axis=2).max(axis=0)
    return stacked[0][moved > 0.05 * moved.max()]


def _framing(head: bpy.types.Object, neutral: Surface) -> Framing:
    """The whole character if it is a head; the surroundings of its face if it has a body."""
    low, high = neutral.vertices.min(axis=0), neutral.vertices.max(axis=0)
    target = (low + high) / 2
    radius = float(np.linalg.norm(neutral.vertices - target, axis=1).max())
    scale = np.array(head.matrix_world.to_scale())
    face = _moved_vertices(head) * scale
    middle = (face.min(axis=0) + face.max(axis=0)) / 2
    head_radius = _FACE_TO_HEAD * float(np.linalg.norm(face - middle, axis=1).max())
    if head_radius < radius:
        target, radius = middle, head_radius
    half_angle = np.arctan(18.0 / LENS)
    return Framing(target, _FRAME_MARGIN * radius / float(np.sin(half_angle)))


@dataclass(frozen=True)
class _Studio:
    """What one capture's frames have in common."""

    head: bpy.types.Object
    names: list[str]
    camera: bpy.types.Object
    framing: Framing
    resolution: int

    def place(self, view: Sample) -> None:
        distance = self.framing.distance * view.distance
        place_camera(self.camera, self.head, self.framing.target, yaw=view.yaw, pitch=view.pitch, distance=distance)
        bpy.context.view_layer.update()


def _points(studio: _Studio, neutral: Surface, samples: list[Sample], seed: int) -> np.ndarray:
    """Where training starts: what the training cameras see of the neutral face, and of the open mouth."""
    surfaces = [neutral]
    if "jawOpen" in studio.names:
        set_expression(studio.head, studio.names, np.array([float(name == "jawOpen") for name in studio.names]))
        surfaces.append(evaluated_surface(studio.head))
    cameras = []
    for view in [one for one in samples if one.split == "train"][:_VIEWS_FOR_POINTS]:
        studio.place(view)
        K = intrinsics(studio.camera.data, SEEN_RESOLUTION, SEEN_RESOLUTION)
        cameras.append((viewmat(studio.camera, studio.head), K))
    return surface_points(surfaces, cameras, POINT_COUNT, seed)


def _frame(studio: _Studio, index: int, wanted: Sample, regions: Regions, folder: Path) -> dict:
    """Pose, render unless the image is there already, and describe one frame."""
    set_expression(studio.head, studio.names, wanted.expression)
    studio.place(wanted)
    name, size = f"{index:04d}", studio.resolution
    image = folder / IMAGES / f"{name}.png"
    if not image.exists():
        render_image(bpy.context.scene, image)
    expression = evaluated_expression(studio.head, studio.names)
    view, K = viewmat(studio.camera, studio.head), intrinsics(studio.camera.data, size, size)
    return {
        "name": name, "split": wanted.split, "image": f"{IMAGES}/{name}.png", "width": size, "height": size,
        "viewmat": view.tolist(), "K": K.tolist(), "expression": expression,
        "boxes": regions.boxes(np.array(expression), view, K, size, size),
    }


def _manifest(names: list[str], entries: list[dict]) -> dict:
    return {
        "format": "headgas-capture", "version": 1, "color_encoding": "srgb-display",
        "expression_space": {"kind": expression_kind(names), "names": names, "neutral": [0.0] * len(names)},
        "points": POINTS, "frames": entries,
    }
