# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The review list of Map From Character: which shape key of a character is to drive which channel, and how."""

import bpy

_SLIDER = 10.0  # Blender's limit of a shape key, in either direction


class HeadGaSMappingRow(bpy.types.PropertyGroup):
    """One source and one channel; a row that lacks either shows what is not matched"""

    use: bpy.props.BoolProperty(name="Use", description="Make a driver of this row", default=True)
    source: bpy.props.StringProperty(name="Source", description="The character's shape key")
    channel: bpy.props.StringProperty(name="Channel", description="The avatar's channel")
    gain: bpy.props.FloatProperty(
        name="Gain", description="What the source's value is multiplied by", default=1.0, soft_min=-2.0, soft_max=2.0
    )
    offset: bpy.props.FloatProperty(
        name="Offset",
        description="What is added to the channel's neutral value",
        default=0.0,
        soft_min=-1.0,
        soft_max=1.0,
    )
    limit: bpy.props.BoolProperty(name="Limit", description="Keep the channel between two values", default=False)
    low: bpy.props.FloatProperty(name="Minimum", description="Of the channel", default=0.0, min=-_SLIDER, max=_SLIDER)
    high: bpy.props.FloatProperty(name="Maximum", description="Of the channel", default=1.0, min=-_SLIDER, max=_SLIDER)
    confidence: bpy.props.FloatProperty(
        name="Confidence", description="How sure the names are a pair", min=0.0, max=1.0, subtype='FACTOR'
    )
    note: bpy.props.StringProperty(name="Note", description="What there is to know about this row")

    @property
    def is_pair(self) -> bool:
        return bool(self.source and self.channel)


class HeadGaSMappingReview(bpy.types.PropertyGroup):
    """The list, and what it is for"""

    source: bpy.props.PointerProperty(
        type=bpy.types.Object,
        name="Character",
        description="The mesh whose shape keys drive the avatar",
        poll=lambda _self, obj: has_shape_keys(obj),
    )
    rows: bpy.props.CollectionProperty(type=HeadGaSMappingRow)
    active: bpy.props.IntProperty(name="Active Row", default=0, min=0, options={'HIDDEN'})


def has_shape_keys(obj: bpy.types.Object) -> bool:
    """Whether an object is a character that can drive an avatar."""
    return obj.type == 'MESH' and obj.data.shape_keys is not None and len(obj.data.shape_keys.key_blocks) > 1


def register_review() -> None:
    """Adds `Scene.headgas_review`."""
    bpy.types.Scene.headgas_review = bpy.props.PointerProperty(type=HeadGaSMappingReview)


def unregister_review() -> None:
    """Removes `Scene.headgas_review`."""
    del bpy.types.Scene.headgas_review
