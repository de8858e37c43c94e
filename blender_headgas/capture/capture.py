# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any Blender character becomes a capture: rendered frames, exact cameras, exact expressions.

It changes the open file for good, so a Blender in the background does it with a copy: worker.py.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..core.arkit import canonical
from ..core.errors import HeadGaSError
from .animation import Animation
from .cameras import intrinsics, place_camera, viewmat
from .channels import Puppet
from .character import SEEN_RESOLUTION, Surface, character_objects, evaluated_surface, hair_points, surface_points
from .framing import Framing, framing
from .head_space import head_space
from .order import Order
from .regions import Regions
from .render import capture_camera, depth_unit, prepare_scene, render_frame, set_quality, show_all_keys, show_only
from .sampler import DISTANCE_SPREAD, Sample, sample
from .writer import DEPTHS, IMAGES, MANIFEST, POINTS, expression_kind, make_folders, write_json, write_points

POINT_COUNT = 20_000
PREVIEW = "whole.png"
_HAIR_SHARE = 0.3  # of the points, where there is hair besides surfaces
_VIEWS_FOR_POINTS = 6
_BEHIND = 1.5  # times as far as the resting surface goes: hair, and what moves, may go farther
_THUMBNAILS, _THUMBNAIL_SIZE = 3, 128  # of a preview

Progress = Callable[[int, int, float], None]  # frames done, frames in all, seconds of this one; 0 if it was there


def render_capture(order: Order, folder: Path, progress: Progress | None = None) -> Path:
    """Render a character's range of expressions and views into a capture folder and return that folder.

    Frames that are there already are not rendered again.

    Raises:
        HeadGaSError: the character lacks what the order names, nothing lights it, or the folder can't be used.
    """
    make_folders(folder)
    studio = Studio(order)
    samples = studio.samples()
    set_quality(bpy.context.scene, order, order.resolution, order.samples)
    if not (folder / POINTS).exists():
        write_points(folder, studio.points(samples))
    entries, spent = [], []
    for index, wanted in enumerate(samples):
        began = time.monotonic()
        entry, rendered = studio.frame(index, wanted, folder)
        entries.append(entry)
        seconds = time.monotonic() - began if rendered else 0.0
        spent += [seconds] if rendered else []
        if progress is not None:
            progress(index + 1, len(samples), seconds)
    write_json(folder / MANIFEST, _manifest(order, studio.puppet.names, studio.puppet.rest, entries, spent))
    return folder


def render_preview(order: Order, folder: Path, progress: Progress | None = None) -> Path:
    """Some small pictures of what the capture will show, then its first frame as it will be; returns that picture.

    The small ones come first, so that the last one takes as long as every frame will.
    """
    folder.mkdir(parents=True, exist_ok=True)
    studio = Studio(order)
    train = [one for one in studio.samples() if one.split == "train"]
    shown = sorted(train[1:], key=lambda one: -float((one.expression > 0).sum()) - (one.time is not None))
    small = min(_THUMBNAIL_SIZE, order.resolution)
    for number, wanted in enumerate([*shown[:_THUMBNAILS], train[0]]):
        is_whole = wanted is train[0]
        size, samples = (order.resolution, order.samples) if is_whole else (small, min(order.samples, 16))
        set_quality(bpy.context.scene, order, size, samples)
        studio.show(wanted)
        image = folder / (PREVIEW if is_whole else f"small{number}.png")
        began = time.monotonic()
        render_frame(bpy.context.scene, image, folder / "depth.png", studio.unit)
        if progress is not None:
            progress(number + 1, _THUMBNAILS + 1, time.monotonic() - began if is_whole else 0.0)
    return folder / PREVIEW


class Studio:
    """One character before one camera."""

    def __init__(self, order: Order) -> None:
        self.order = order
        scene = bpy.context.scene
        self.head = _head(order)
        collection = bpy.data.collections.get(order.collection) if order.collection else None
        self.objects = character_objects(self.head, collection)
        show_all_keys(self.objects)
        self.puppet = Puppet(order.channels, self.objects)
        if not self.puppet.directions:
            raise HeadGaSError("No channel can move.", "Give the channels a minimum below or a maximum above rest.")
        require_light(scene)
        self._animation = Animation(self.puppet.owners())
        self._animation.off()
        prepare_scene(scene, order)
        show_only(self.objects, scene)
        self._camera = capture_camera(scene, order.field_of_view)
        self._anchor = np.array(order.anchor)
        self.puppet.pose(self.puppet.rest)
        self._neutral = self._surface()
        if not len(self._neutral.vertices):
            raise HeadGaSError(f'"{order.head}" has no surface that renders show.', "Show it in renders.")
        self._regions = Regions(self.puppet, self.objects, self._space(), self._neutral)
        hair = hair_points(self.objects, self._space())
        self._framing: Framing = framing(self._neutral, hair, self._regions.face, order)
        self.unit = depth_unit(self._framing.distance * (1 + DISTANCE_SPREAD) + _BEHIND * self._framing.farthest)

    def samples(self) -> list[Sample]:
        """What is to be captured."""
        order = self.order
        return sample(self.puppet.directions, order.frames, order.test_frames, order.seed, order.cap, order.action)

    def show(self, wanted: Sample) -> None:
        """The pose and the camera of a frame."""
        if wanted.time is None:
            self._animation.off()
            self.puppet.pose(self.puppet.values(wanted.expression))
        else:
            self.puppet.pose(self.puppet.rest)  # what the user's action does not move
            self._animation.show(wanted.time)
        distance = self._framing.distance * wanted.distance
        place_camera(
            self._camera, self._space(), self._framing.target, yaw=wanted.yaw, pitch=wanted.pitch, distance=distance
        )
        bpy.context.view_layer.update()

    def frame(self, index: int, wanted: Sample, folder: Path) -> tuple[dict[str, Any], bool]:
        """Pose, render unless the image is there already, and describe one frame; whether it was rendered."""
        self.show(wanted)
        name, size = f"{index:04d}", self.order.resolution
        image, depth = f"{IMAGES}/{name}.png", f"{DEPTHS}/{name}.png"
        missing = not (folder / image).exists()
        view, K = self.camera(size)
        entry = {
            "name": name, "split": wanted.split, "image": image, "width": size, "height": size,
            "viewmat": view.tolist(), "K": K.tolist(), "expression": self.puppet.read().tolist(),
            "depth": depth, "depth_unit": self.unit, "boxes": self._regions.boxes(self._surface(), view, K, size),
        }
        if missing:
            render_frame(bpy.context.scene, folder / image, folder / depth, self.unit)
        return entry, missing

    def camera(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """viewmat [4,4] and K [3,3] of the camera as it stands, for so many pixels a side."""
        return viewmat(self._camera, self._space()), intrinsics(self._camera.data, size, size)

    def points(self, samples: list[Sample]) -> np.ndarray:
        """Where training starts [n,3]: what training cameras see of the neutral face and of the open mouth; hair."""
        surfaces = [self._neutral]
        jaw = np.array([float(canonical(name) == "jawOpen") for name in self.puppet.directions])
        if jaw.any():
            self.puppet.pose(self.puppet.values(jaw))
            opened = self._surface()
            surfaces += [opened] if len(opened.triangles) == len(self._neutral.triangles) else []
        views = [replace(one, expression=np.zeros_like(jaw), time=None) for one in samples if one.split == "train"]
        cameras = []
        for view in views[:_VIEWS_FOR_POINTS]:
            self.show(view)
            cameras.append(self.camera(SEEN_RESOLUTION))
        hair = hair_points(self.objects, self._space())
        strands = round(_HAIR_SHARE * POINT_COUNT) if len(hair) else 0
        seen = surface_points(surfaces, cameras, POINT_COUNT - strands, self.order.seed)
        chosen = np.random.default_rng(self.order.seed).integers(0, max(len(hair), 1), strands)
        return np.concatenate([seen, hair[chosen]]).astype(np.float32)

    def _space(self) -> np.ndarray:
        return head_space(self.head, self.order.bone, self._anchor)

    def _surface(self) -> Surface:
        return evaluated_surface(self.objects, self._space())


def require_light(scene: bpy.types.Scene) -> None:
    """Raises HeadGaSError where nothing lights the scene."""
    if not is_lit(scene):
        raise HeadGaSError("Nothing lights the character.", "Add a light or a world to the scene.")


def is_lit(scene: bpy.types.Scene) -> bool:
    """Whether there is a light or a world."""
    return scene.world is not None or any(ob.type == "LIGHT" and not ob.hide_render for ob in scene.objects)


def _head(order: Order) -> bpy.types.Object:
    head = bpy.data.objects.get(order.head)
    if head is None:
        raise HeadGaSError(f'There is no object "{order.head}".', "Choose the character again.")
    return head


def _manifest(
    order: Order, names: list[str], rest: np.ndarray, entries: list[dict[str, Any]], spent: list[float]
) -> dict[str, Any]:
    rendered = {"engine": order.engine, "samples": order.samples}
    if spent:
        rendered["seconds_per_frame"] = round(float(np.median(spent)), 4)
    return {
        "format": "headgas-capture", "version": 1, "color_encoding": "srgb-display",
        "expression_space": {"kind": expression_kind(names), "names": names, "neutral": rest.tolist()},
        "rendered": rendered, "points": POINTS, "frames": entries,
    }
