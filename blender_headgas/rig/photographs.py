# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera that stands, frame by frame, where a capture's camera stood, with the photograph of each frame."""

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from ..core.cameras import blender_camera_matrix, blender_lens
from ..core.errors import HeadGaSError
from ..core.photographs import Photographs, photograph_at
from . import actions
from .windows import redraw

_CONSTANT = 0  # how Blender counts interpolations


def _redraw(_settings: object, context: bpy.types.Context) -> None:
    for camera in comparison_cameras():
        _show_behind(camera, context.scene)
    redraw()


class HeadGaSComparison(bpy.types.PropertyGroup):
    """The photographs of a camera"""

    folder: bpy.props.StringProperty(
        name="Capture", description="The folder of the capture", subtype='DIR_PATH', update=_redraw
    )
    photographs: bpy.props.StringProperty(options={'HIDDEN'})  # JSON: frames and images, as many of one as of the other
    image: bpy.props.PointerProperty(type=bpy.types.Image)
    camera_before: bpy.props.PointerProperty(type=bpy.types.Object)
    mode: bpy.props.EnumProperty(
        name="Photograph",
        description="Where the photograph is seen in the camera's view",
        items=(
            ('UNDER', "Under", "Behind the avatar"),
            ('BESIDE', "Beside", "Beside the camera's frame, on the side that has more room"),
            ('WIPE', "Wipe", "Over the left part of the frame"),
        ),
        update=_redraw,
    )
    position: bpy.props.FloatProperty(
        name="Wipe",
        description="How much of the photograph is shown, from the left",
        default=0.5,
        min=0.0,
        max=1.0,
        subtype='FACTOR',
        update=_redraw,
    )


def comparison_cameras() -> Iterator[bpy.types.Camera]:
    """The cameras that have photographs."""
    yield from (camera for camera in bpy.data.cameras if camera.headgas_comparison.photographs)


def add_comparison(
    scene: bpy.types.Scene, avatar: bpy.types.Object, capture: Photographs, start: int, use_size: bool
) -> bpy.types.Object:
    """A camera for all frames of a capture, the first at the scene's frame `start`; one camera per avatar.

    `use_size`: the scene renders at the photographs' size from now on, with their pixel aspect.
    """
    if all(not (capture.folder / frame.image).is_file() for frame in capture.frames):
        raise HeadGaSError(f"None of the capture's images is in {capture.folder}", "Choose the capture where they are")
    remove_comparison(scene, avatar)
    if use_size:
        _take_size(scene.render, capture)
    name = f"{avatar.name} photographs"
    data = bpy.data.cameras.new(name)
    camera = bpy.data.objects.new(name, data)
    (avatar.users_collection[0] if avatar.users_collection else scene.collection).objects.link(camera)
    camera.parent = avatar  # the cameras of a capture are told in head space, which is the control mesh's own
    camera.rotation_mode = 'QUATERNION'
    data.sensor_fit, data.clip_start = 'HORIZONTAL', 0.01
    frames = _frames(scene, capture, start)
    _key(camera, capture, frames, pixel_height(scene))
    comparison = data.headgas_comparison
    comparison.folder = str(capture.folder)
    comparison.photographs = json.dumps({"frames": frames.tolist(), "images": [f.image for f in capture.frames]})
    comparison.camera_before = scene.camera
    scene.camera = camera
    _add_background(data, scene.render, capture)
    follow(scene)
    return camera


def remove_comparison(scene: bpy.types.Scene, avatar: bpy.types.Object | None = None) -> int:
    """Removes the scene's cameras with photographs and all that was made for them; those of one avatar, if given."""
    cameras = [
        obj
        for obj in scene.objects
        if obj.type == 'CAMERA' and obj.data.headgas_comparison.photographs and avatar in (None, obj.parent)
    ]
    for camera in cameras:
        data, comparison = camera.data, camera.data.headgas_comparison
        image, before, is_active = comparison.image, comparison.camera_before, scene.camera == camera
        animated = [block.animation_data.action for block in (camera, data) if block.animation_data]
        bpy.data.objects.remove(camera)
        if is_active:
            scene.camera = before
        if not data.users:
            bpy.data.cameras.remove(data)
        for orphan, owner in [(image, bpy.data.images), *((action, bpy.data.actions) for action in set(animated))]:
            if orphan is not None and not orphan.users:
                owner.remove(orphan)
    return len(cameras)


def photograph_path(camera: bpy.types.Camera, frame: float) -> Path:
    """The photograph of a frame of the scene."""
    comparison = camera.headgas_comparison
    frames, images = _listed(comparison.photographs)
    return Path(bpy.path.abspath(comparison.folder)) / images[photograph_at(frame, frames)]


def pixel_height(scene: bpy.types.Scene) -> float:
    """Pixel aspect y / x of a scene's render."""
    return scene.render.pixel_aspect_y / scene.render.pixel_aspect_x


@bpy.app.handlers.persistent
def follow(scene: bpy.types.Scene, *_: object) -> None:
    """Shows the photograph of the scene's frame in its cameras."""
    if bpy.app.is_job_running('RENDER'):  # this is then another thread
        return
    for camera in comparison_cameras():
        path = photograph_path(camera, scene.frame_current_final)
        image = camera.headgas_comparison.image
        if path.is_file():
            if image is None:
                image = camera.headgas_comparison.image = bpy.data.images.load(str(path))
                image.name = f"{camera.name} image"
                camera.background_images[0].image = image
            elif _source(image) != path:
                image.filepath = str(path)
                image.reload()
        _show_behind(camera, scene)


def register_comparisons() -> None:
    """Adds `Camera.headgas_comparison`, and follows the frame."""
    bpy.types.Camera.headgas_comparison = bpy.props.PointerProperty(type=HeadGaSComparison)
    bpy.app.handlers.frame_change_post.append(follow)


def unregister_comparisons() -> None:
    """Takes both away."""
    bpy.app.handlers.frame_change_post.remove(follow)
    del bpy.types.Camera.headgas_comparison


def is_missing(camera: bpy.types.Camera, scene: bpy.types.Scene) -> bool:
    """Whether the photograph of the scene's frame is not what the camera shows."""
    image = camera.headgas_comparison.image
    return image is None or _source(image) != photograph_path(camera, scene.frame_current_final)


def _source(image: bpy.types.Image) -> Path:
    return Path(bpy.path.abspath(image.filepath))


@lru_cache(maxsize=8)
def _listed(photographs: str) -> tuple[np.ndarray, list[str]]:
    listed = json.loads(photographs)
    return np.array(listed["frames"]), listed["images"]


def _show_behind(camera: bpy.types.Camera, scene: bpy.types.Scene) -> None:
    camera.show_background_images = camera.headgas_comparison.mode == 'UNDER' and not is_missing(camera, scene)


def _frames(scene: bpy.types.Scene, capture: Photographs, start: int) -> np.ndarray:
    """The scene's frame [N] of each photograph: one each, unless the capture says another rate."""
    rate = scene.render.fps / scene.render.fps_base
    return start + np.arange(len(capture.frames)) * (rate / (capture.rate or rate))


def _key(camera: bpy.types.Object, capture: Photographs, frames: np.ndarray, pixel_height: float) -> None:
    places = [Matrix(blender_camera_matrix(frame.viewmat).tolist()).decompose() for frame in capture.frames]
    lenses = [blender_lens(f.K, f.width, f.height, camera.data.sensor_width, pixel_height) for f in capture.frames]
    actions.give_new_action(camera.name, [camera, camera.data])
    for path, values in (
        ("location", np.array([place for place, _, _ in places])),
        ("rotation_quaternion", np.array([turn for _, turn, _ in places])),
    ):
        for index, column in enumerate(values.T):
            _key_steps(camera, path, index, frames, column)
    for path, column in zip(("lens", "shift_x", "shift_y"), np.array(lenses).T, strict=True):
        _key_steps(camera.data, path, 0, frames, column)


def _key_steps(datablock: bpy.types.ID, path: str, index: int, frames: np.ndarray, values: np.ndarray) -> None:
    """Keys without anything in between: from one photograph to the next cameras may jump."""
    curve = actions.ensured(datablock, path, index)
    actions.replace_keys(curve, frames, values)
    curve.keyframe_points.foreach_set("interpolation", np.full(len(frames), _CONSTANT, np.int32))
    curve.update()


def _take_size(render: bpy.types.RenderSettings, capture: Photographs) -> None:
    first = capture.frames[0]
    render.resolution_x, render.resolution_y, render.resolution_percentage = first.width, first.height, 100
    tall = first.K[0, 0] / first.K[1, 1]
    render.pixel_aspect_x, render.pixel_aspect_y = max(1 / tall, 1.0), max(tall, 1.0)


def _add_background(data: bpy.types.Camera, render: bpy.types.RenderSettings, capture: Photographs) -> None:
    """A background image that is as wide as the frame, whatever the frame's height."""
    first = capture.frames[0]
    background = data.background_images.new()
    background.alpha, background.display_depth = 1.0, 'BACK'
    is_higher = first.height / first.width > render.resolution_y / render.resolution_x
    background.frame_method = 'CROP' if is_higher else 'FIT'
