# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The passes of our own engine: which of them a view layer asks for, and what they hold."""

from collections.abc import Iterator
from typing import NamedTuple

import bpy
import numpy as np

from .. import client
from ..core.cryptomatte import ranked
from .shots import Shot, blurs

_INDEX = "Object Index" if bpy.app.version >= (5, 0, 0) else "IndexOB"
_LONGEST = 63 if bpy.app.version >= (5, 0, 0) else 40  # bytes of a name; with layer and view 63 in files of 4.x
_OPAQUE = 0.5  # alpha from which a pixel has an object's index, as Cycles' alpha threshold


class HeadGaSPassSettings(bpy.types.PropertyGroup):
    """The passes that only avatars have."""

    use_median_depth: bpy.props.BoolProperty(
        name="Median Depth", description="The depth of the surface: where half of what a pixel shows lies in front"
    )
    use_opacity: bpy.props.BoolProperty(name="Opacity", description="How opaque the avatars are, without background")
    use_avatar_alphas: bpy.props.BoolProperty(
        name="Alpha per Avatar", description="Each avatar's share of the alpha, less what hides it"
    )
    use_count: bpy.props.BoolProperty(name="Gaussian Count", description="How many Gaussians each pixel blends")


def register_settings() -> None:
    """Adds `ViewLayer.headgas_passes`."""
    bpy.types.ViewLayer.headgas_passes = bpy.props.PointerProperty(type=HeadGaSPassSettings)


def unregister_settings() -> None:
    """Removes it."""
    del bpy.types.ViewLayer.headgas_passes


class Wanted(NamedTuple):
    """One pass that a view layer asks for."""

    name: str
    channels: str
    kind: str  # Blender's type of its socket
    source: str  # what it is made of: a plane of the backend's answer, or "" where it is none of them
    avatar: str = ""  # the object whose alpha it is


def wanted_passes(scene: bpy.types.Scene, layer: bpy.types.ViewLayer) -> list[Wanted]:
    """In the order in which Blender shows them."""
    own = layer.headgas_passes
    asked = [
        (True, Wanted("Combined", "RGBA", 'COLOR', "")),
        (layer.use_pass_z, Wanted("Depth", "Z", 'VALUE', "")),
        (own.use_median_depth, Wanted("Median Depth", "Z", 'VALUE', "median")),
        (layer.use_pass_normal, Wanted("Normal", "XYZ", 'VECTOR', "normal")),
        (has_vectors(scene, layer), Wanted("Vector", "XYZW", 'VECTOR', "motion")),
        (layer.use_pass_object_index, Wanted(_INDEX, "X", 'VALUE', "coverage")),
        (own.use_opacity, Wanted("Opacity", "A", 'VALUE', "")),
        (own.use_count, Wanted("Gaussian Count", "X", 'VALUE', "count")),
    ]
    passes = [wanted for yes, wanted in asked if yes]
    if layer.use_pass_cryptomatte_object:
        levels = (layer.pass_cryptomatte_depth + 1) // 2
        passes += [Wanted(f"CryptoObject{level:02d}", "rgba", 'COLOR', "coverage") for level in range(levels)]
    if own.use_avatar_alphas:
        passes += _alphas(scene)
    return passes


def _alphas(scene: bpy.types.Scene) -> Iterator[Wanted]:
    """A pass for each avatar of a scene, those of collections that are instanced included. Long names are cut as
    Blender would cut them; of the same ones the second and all further have a number."""
    instanced = {obj.instance_collection for obj in scene.objects if obj.instance_type == 'COLLECTION'} - {None}
    groups = sorted(instanced, key=lambda group: group.name)
    objects = [*scene.objects, *(obj for group in groups for obj in group.all_objects)]
    taken: set[str] = set()
    for avatar in dict.fromkeys(obj.name for obj in objects if obj.type == 'MESH' and obj.headgas.is_avatar):
        title, number = _cut(f"Alpha {avatar}", ""), 1
        while title in taken:
            number += 1
            title = _cut(f"Alpha {avatar}", f" {number}")
        taken.add(title)
        yield Wanted(title, "A", 'VALUE', "coverage", avatar)


def _cut(name: str, end: str) -> str:
    """A name that a pass can have, with this end."""
    return name.encode()[: _LONGEST - len(end)].decode(errors="ignore") + end


def has_vectors(scene: bpy.types.Scene, layer: bpy.types.ViewLayer) -> bool:
    """Whether there is a pass of motion; as in Cycles there is none where motion is blurred already."""
    return layer.use_pass_vector and not blurs(scene, layer)


def planes_of(
    wanted: list[Wanted], picture: client.Picture, image: np.ndarray, shot: Shot
) -> dict[str, np.ndarray]:
    """What fills each pass, row 0 on top. Holdouts have an alpha of their own, and are in no other matte.

    image: [H,W,4] the Combined pass.
    """
    alpha = picture.image[..., 3]
    planes = {"Combined": image, "Depth": picture.depth, "Opacity": alpha}
    planes |= {item.name: picture.passes[item.source] for item in wanted if item.source in picture.passes}
    if picture.coverage is not None:
        objects = list(dict.fromkeys(shot.names))  # instances count as the object that they are made of
        covered = np.stack([picture.coverage[[name == each for each in shot.names]].sum(0) for name in objects])
        planes |= {item.name: covered[objects.index(item.avatar)] for item in wanted if item.avatar in objects}
        seen = np.array([name not in shot.holdouts for name in objects])
        indices = np.array([bpy.data.objects[name].pass_index for name in objects], np.float32)
        shown = covered * seen[:, None, None]
        planes[_INDEX] = np.where(alpha >= _OPAQUE, indices[shown.argmax(0)], 0)
        levels = sum(item.name.startswith("CryptoObject") for item in wanted)
        planes |= {f"CryptoObject{level:02d}": p for level, p in enumerate(ranked(objects, shown, levels))}
    return planes
