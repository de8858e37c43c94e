# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars as Blender's own Gaussian splats: a point cloud that every engine renders, on its own or kept up to date.

The attributes are those that Blender 5.3's importers make (`source/blender/io/ply`): position; rotation, wxyz; scale,
linear; `radiance:base`, three harmonics and the opacity; `radiance:sh_0` and so on, a harmonic each.
"""

import sys

import bpy
import numpy as np
from bpy.app.handlers import persistent

from .. import client
from ..client.launch import launch_settings
from ..core.errors import HeadGaSError
from ..core.splats import Splats, split_splats
from ..rig import avatar_path, expression_of
from .failures import remember_failure

_TYPE = 'GAUSSIAN_SPLAT'
_BASE, _HARMONIC = "radiance:base", "radiance:sh_"


class HeadGaSSplatsSettings(bpy.types.PropertyGroup):
    """Whose splats a point cloud holds."""

    avatar: bpy.props.PointerProperty(
        type=bpy.types.Object, name="Avatar", description="The control mesh of the avatar that these splats show"
    )
    live: bpy.props.BoolProperty(
        name="Live", description="Show the avatar's expression and place of each frame; needs HeadGaS and its backend"
    )


def has_native_splats() -> bool:
    """Whether this Blender's point clouds can be Gaussian splats."""
    kind = bpy.types.PointCloud.bl_rna.properties.get("type")
    return kind is not None and _TYPE in kind.enum_items


def splats_of(
    avatar: bpy.types.Object, depsgraph: bpy.types.Depsgraph, kind: str = "native", axes: str = "blender"
) -> tuple[dict, bytes]:
    """What the backend makes of an avatar as it is evaluated. See `client.Backend.splats`.

    Raises:
        HeadGaSError: the avatar cannot be baked, or there is no backend.
    """
    place = np.array(avatar.evaluated_get(depsgraph).matrix_world, np.float64)
    posed = client.PosedAvatar(avatar_path(avatar), expression_of(avatar, depsgraph), place)
    return client.ask(launch_settings([posed.path]), lambda backend: backend.splats(posed, kind, axes))


def add_cloud(avatar: bpy.types.Object, depsgraph: bpy.types.Depsgraph, live: bool) -> tuple[bpy.types.Object, list]:
    """A new object with an avatar's splats, linked beside it; and warnings for the user."""
    facts, data = splats_of(avatar, depsgraph)
    cloud = bpy.data.pointclouds.new(f"{avatar.name} splats")
    fill(cloud, split_splats(data, facts["count"], facts["harmonics"]))
    cloud.headgas_splats.avatar, cloud.headgas_splats.live = avatar, live
    obj = bpy.data.objects.new(cloud.name, cloud)
    for collection in avatar.users_collection:
        collection.objects.link(obj)
    return obj, facts["warnings"]


def fill(cloud: bpy.types.PointCloud, splats: Splats) -> None:
    """Makes a point cloud hold these splats, and nothing else."""
    if len(cloud.points) != len(splats.positions):
        cloud.resize(len(splats.positions))
    _as_splats(cloud)
    wanted = [("position", 'FLOAT_VECTOR', splats.positions), ("rotation", 'QUATERNION', splats.rotations)]
    wanted += [("scale", 'FLOAT_VECTOR', splats.scales), (_BASE, 'FLOAT4', splats.base)]
    wanted += [(f"{_HARMONIC}{number}", 'FLOAT_VECTOR', plane) for number, plane in enumerate(splats.harmonics)]
    names = {name for name, _, _ in wanted}
    for attribute in [found for found in cloud.attributes if found.name.startswith(_HARMONIC)]:
        if attribute.name not in names:
            cloud.attributes.remove(attribute)
    for name, kind, values in wanted:
        attribute = cloud.attributes.get(name) or cloud.attributes.new(name, kind, 'POINT')
        key = "value" if kind == 'QUATERNION' else "vector"
        attribute.data.foreach_set(key, np.ascontiguousarray(values, np.float32).ravel())
    cloud.update_tag()


def _as_splats(cloud: bpy.types.PointCloud) -> None:
    cloud.type = _TYPE


@persistent
def follow_avatars(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    """At each new frame: live clouds in the scene take over their avatars' look.

    One that fails becomes empty: a frame without it is seen at once, one with the last frame's face is not.
    """
    shown = {obj.data: None for obj in scene.objects if obj.type == 'POINTCLOUD' and obj.data.headgas_splats.live}
    for cloud in shown:
        try:
            if cloud.headgas_splats.avatar is None:
                raise HeadGaSError(f"The avatar of '{cloud.name}' is gone", "Delete the splats, or switch Live off")
            facts, data = splats_of(cloud.headgas_splats.avatar, depsgraph)
            fill(cloud, split_splats(data, facts["count"], facts["harmonics"]))
        except HeadGaSError as error:
            cloud.resize(0)
            print(f"HeadGaS: frame {scene.frame_current}, '{cloud.name}': {error}", file=sys.stderr)
            remember_failure()


def register_settings() -> None:
    """Adds `PointCloud.headgas_splats`, and keeps live clouds up to date."""
    bpy.types.PointCloud.headgas_splats = bpy.props.PointerProperty(type=HeadGaSSplatsSettings)
    bpy.app.handlers.frame_change_post.append(follow_avatars)


def unregister_settings() -> None:
    """Takes both away."""
    bpy.app.handlers.frame_change_post.remove(follow_avatars)
    del bpy.types.PointCloud.headgas_splats
