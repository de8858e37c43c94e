# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one view layer of one frame is to the backend: avatars and cameras at each moment that the shutter is open."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import bpy
import numpy as np

from .. import client
from ..core.cameras import Camera, PixelRegion, opencv_viewmat
from ..core.depth_raster import Covered
from ..core.errors import HeadGaSError
from ..rig import posed_avatars, visible_avatars
from .frame import camera_of, check_sharp, region_of
from .holdouts import hidden_by_holdouts
from .pre_inversion import Inverse, inverse_of


@dataclass(frozen=True)
class Moment:
    """The scene at one time."""

    weight: float  # its share of the exposure
    avatars: tuple[client.PosedAvatar, ...]
    names: tuple[str, ...]  # of their objects
    cameras: dict[str, Camera]  # by the names of views; "" where there is but one
    hidden: dict[str, Covered] = field(default_factory=dict)  # what meshes that are holdouts hide of them


@dataclass(frozen=True)
class Shot:
    """One view layer of one frame."""

    frame: int
    layer: str
    region: PixelRegion
    moments: tuple[Moment, ...]  # at least one; their weights add up to 1
    around: tuple[Moment, Moment] | None = None  # a frame earlier and a frame later, of the same avatars
    inverse: Inverse | None = None  # of the view transform, where the scene wants it undone

    @property
    def views(self) -> list[str]:
        """The names of the views."""
        return list(self.moments[0].cameras)

    @property
    def names(self) -> list[str]:
        """The names of all avatars' objects; where nothing moves, one for each avatar."""
        if len(self.moments) == 1:
            return list(self.moments[0].names)
        return list(dict.fromkeys(name for moment in self.moments for name in moment.names))

    @property
    def holdouts(self) -> set[str]:
        """The names of those avatars' objects that are holdouts."""
        pairs = [pair for moment in self.moments for pair in zip(moment.names, moment.avatars, strict=True)]
        return {name for name, avatar in pairs if avatar.holdout}

    @property
    def files(self) -> list:
        """The files of all avatars."""
        return [avatar.path for moment in self.moments for avatar in moment.avatars]


def read_shot(engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph, with_motion: bool = False) -> Shot:
    """Evaluates the scene for one view layer; leaves it at the frame where it was.

    Args:
        with_motion: whether to look at the frames around, too.

    Raises:
        HeadGaSError: the camera or an avatar cannot be rendered.
        client.Cancelled: the user does not want the frame any more.
    """
    scene = depsgraph.scene
    layer = depsgraph.view_layer.name
    region = region_of(scene.render, engine.resolution_x, engine.resolution_y)
    views = _views(engine, depsgraph)
    exposures = list(_exposures(scene, depsgraph.view_layer))
    frame, subframe, inverse = scene.frame_current, scene.frame_subframe, inverse_of(scene)
    if len(exposures) == 1 and not with_motion:
        return Shot(frame, layer, region, (_moment(engine, depsgraph, region, views),), None, inverse)
    moments: list[Moment] = []

    def at(time: float, weight: float) -> Moment:
        if engine.test_break():
            raise client.Cancelled("The render")
        engine.frame_set(math.floor(time), time - math.floor(time))
        return _moment(engine, depsgraph, region, views, weight)

    try:
        for time, weight in exposures:
            _add(moments, at(time, weight))
        around = None
        if with_motion:
            now = frame + subframe
            around = _matched(at(now - 1, 1.0), moments[0]), _matched(at(now + 1, 1.0), moments[0])
    finally:
        engine.frame_set(frame, subframe)
    return Shot(frame, layer, region, tuple(moments), around, inverse)


def read_shot_at(engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph, frame: int) -> Shot:
    """The shot of another frame, without motion; leaves the scene at the frame where it was.

    Raises:
        HeadGaSError: the camera or an avatar cannot be rendered.
    """
    scene = depsgraph.scene
    region = region_of(scene.render, engine.resolution_x, engine.resolution_y)
    now, subframe = scene.frame_current, scene.frame_subframe
    try:
        engine.frame_set(frame, 0.0)
        moment = _moment(engine, depsgraph, region, _views(engine, depsgraph))
        return Shot(frame, depsgraph.view_layer.name, region, (moment,))
    finally:
        engine.frame_set(now, subframe)


def _matched(other: Moment, now: Moment) -> Moment:
    """The avatars of `now` at another moment; those that are hidden then are where they are now."""
    there = dict(zip(_keys(other), other.avatars, strict=True))
    found = [there.get(key, avatar) for key, avatar in zip(_keys(now), now.avatars, strict=True)]
    return replace(other, avatars=tuple(found), names=now.names)


def _keys(moment: Moment) -> list:
    """What tells a moment's avatars apart: their names, files, and their numbers among those of the same name."""
    pairs = [(name, avatar.path) for name, avatar in zip(moment.names, moment.avatars, strict=True)]
    return [(*pair, pairs[:number].count(pair)) for number, pair in enumerate(pairs)]


def blurs(scene: bpy.types.Scene, layer: bpy.types.ViewLayer) -> bool:
    """Whether a view layer blurs what moves."""
    return scene.render.use_motion_blur and layer.use_motion_blur


def _exposures(scene: bpy.types.Scene, layer: bpy.types.ViewLayer) -> Iterator[tuple[float, float]]:
    """The times in frames, and their shares of the exposure, at which the shutter's opening is looked at."""
    render, now = scene.render, scene.frame_current + scene.frame_subframe
    if not blurs(scene, layer):
        yield now, 1.0
        return
    count = scene.headgas_render.motion_samples
    start = {'START': 0.0, 'CENTER': -0.5, 'END': -1.0}[render.motion_blur_position]
    curve = (scene.headgas_render.main or scene).render.motion_blur_shutter_curve
    curve.initialize()
    places = [(number + 0.5) / count for number in range(count)]
    openings = [max(0.0, curve.evaluate(curve.curves[0], place)) for place in places]
    total = sum(openings)
    if total == 0:
        raise HeadGaSError("The shutter never opens", "Raise the shutter curve in the render properties' motion blur")
    for place, opening in zip(places, openings, strict=True):
        if opening:
            yield now + (start + place) * render.motion_blur_shutter, opening / total


def _moment(
    engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph, region: PixelRegion,
    views: dict[str, bpy.types.Object], weight: float = 1.0,
) -> Moment:  # fmt: skip
    cameras = {}
    for view, camera in views.items():
        engine.active_view_set(view)
        cameras[view] = _camera(engine, depsgraph, region, camera.evaluated_get(depsgraph))
    names, avatars = seen_avatars(depsgraph)
    solid = depsgraph.view_layer.use_solid  # without, surfaces hide nothing
    hidden = {view: hidden_by_holdouts(depsgraph, camera) for view, camera in cameras.items() if solid}
    found = {view: covered for view, covered in hidden.items() if covered is not None}
    return Moment(weight, avatars, names, cameras, found)


def seen_avatars(depsgraph: bpy.types.Depsgraph) -> tuple[tuple[str, ...], tuple[client.PosedAvatar, ...]]:
    """The names of the control meshes whose avatars the camera may see, and their avatars."""
    layer, seen = depsgraph.view_layer, []
    if not layer.use_solid:  # avatars are surfaces
        return (), ()
    for (obj, owner, _), avatar in zip(visible_avatars(depsgraph), posed_avatars(depsgraph), strict=True):
        if not owner.indirect_only_get(view_layer=layer):
            holdout = obj.is_holdout or owner.is_holdout or owner.holdout_get(view_layer=layer)
            seen.append((obj.name, replace(avatar, holdout=holdout)))
    return tuple(name for name, _ in seen), tuple(avatar for _, avatar in seen)


def _add(moments: list[Moment], moment: Moment) -> None:
    """What stands still is looked at once."""
    if moments and _same(moments[-1], moment):
        moments[-1] = replace(moments[-1], weight=moments[-1].weight + moment.weight)
    else:
        moments.append(moment)


def _same(one: Moment, other: Moment) -> bool:
    def numbers(moment: Moment) -> list:
        avatars = [
            (avatar.path, avatar.expression.tobytes(), avatar.transform.tobytes(), avatar.holdout)
            for avatar in moment.avatars
        ]
        seen = moment.cameras.values()
        cameras = [(camera.viewmat.tobytes(), camera.K.tobytes(), camera.near, camera.far) for camera in seen]
        return avatars + cameras + [plane.tobytes() for covered in moment.hidden.values() for plane in covered]

    return numbers(one) == numbers(other)


def _views(engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph) -> dict[str, bpy.types.Object]:
    """The names of a frame's views, and the cameras (originals) of their whole exposure: another time may lie on the
    other side of a cut."""
    names = [""]
    if depsgraph.scene.render.use_multiview:
        result = engine.begin_result(0, 0, 1, 1, layer=depsgraph.view_layer.name)
        names = [view.name for view in result.views]
        engine.end_result(result, cancel=True)
    cameras = {}
    for name in names:
        engine.active_view_set(name)
        cameras[name] = (engine.camera_override or depsgraph.scene.camera).original
    return cameras


def _camera(
    engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph, region: PixelRegion, camera: bpy.types.Object
) -> Camera:
    """What the evaluated `camera` is in the active view."""
    scene = depsgraph.scene
    width, height = engine.resolution_x, engine.resolution_y
    seen = camera_of(camera, depsgraph, width, height, region)
    check_sharp(camera)
    if not scene.render.use_multiview:
        return seen
    matrix = np.array(engine.camera_model_matrix(camera), np.float64).reshape(4, 4)
    K = seen.K.copy()
    K[0, 2] -= (engine.camera_shift_x(camera) - camera.data.shift_x) * _fitted_side(camera, scene.render, width, height)
    return replace(seen, viewmat=opencv_viewmat(matrix), K=K)


def _fitted_side(
    camera: bpy.types.Object, render: bpy.types.RenderSettings, width: int, height: int
) -> float:
    """What a lens shift of 1 is in pixels: the side that the sensor is fitted to, as Blender's viewplane has it."""
    wide, high = width * render.pixel_aspect_x, height * render.pixel_aspect_y
    fit = camera.data.sensor_fit
    horizontal = wide >= high if fit == 'AUTO' else fit == 'HORIZONTAL'
    return width if horizontal else height * render.pixel_aspect_y / render.pixel_aspect_x
