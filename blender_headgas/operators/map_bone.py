# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Map From Bones: a movement of a bone or an object, or a custom property of it, drives a channel."""

import math

import bpy

from ..core.driving import Linear, written
from ..core.errors import HeadGaSError
from ..rig import avatar_of, drivers
from ..rig.channels import neutral_values
from ..rig.drivers import Variable
from .reporting import reported

_VARIABLE = "bone"
_PROPERTY = 'PROPERTY'
_COMPONENTS = [
    (f"{kind}_{axis}", f"{axis} {name}", f"{name} along or about the {axis} axis, in local space")
    for kind, name in (("LOC", "Location"), ("ROT", "Rotation"), ("SCALE", "Scale"))
    for axis in "XYZ"
]
_ROTATION_MODES = [
    ('AUTO', "Automatic", "Euler angles in the order that the bone has"),
    *((order, f"{order} Euler", "Euler angles in this order") for order in ('XYZ', 'XZY', 'YXZ', 'YZX', 'ZXY', 'ZYX')),
    *((f"SWING_TWIST_{axis}", f"Swing and {axis} Twist", "A swing, then a turn about this axis") for axis in "XYZ"),
]


class HEADGAS_OT_map_bone(bpy.types.Operator):
    """Let the active bone, or the other selected object, drive a channel of the selected avatar"""

    bl_idname = "headgas.map_bone"
    bl_label = "Map From Bones"
    bl_options = {'REGISTER', 'UNDO'}

    channel: bpy.props.StringProperty(
        name="Channel",
        description="What is driven",
        search=lambda _self, context, _text: list(_channels(avatar_beside(context))),
    )
    component: bpy.props.EnumProperty(
        name="Component",
        description="What drives it",
        items=[*_COMPONENTS, (_PROPERTY, "Custom Property", "A number that you added to the bone or object")],
        default='ROT_X',
    )
    property_name: bpy.props.StringProperty(
        name="Property",
        description="The custom property's name",
        search=lambda _self, context, _text: _numbers(*mover_of(context)),
    )
    rotation_mode: bpy.props.EnumProperty(
        name="Mode", description="How a rotation is taken apart into angles", items=_ROTATION_MODES
    )
    gain: bpy.props.FloatProperty(
        name="Gain",
        description="Of the channel per degree, per metre, per unit of scale beyond 1, or per unit of the property",
        default=0.05,
        precision=4,
        soft_min=-2.0,
        soft_max=2.0,
    )
    offset: bpy.props.FloatProperty(
        name="Offset", description="Added to the channel's neutral value", default=0.0, soft_min=-1.0, soft_max=1.0
    )
    limit: bpy.props.BoolProperty(name="Limit", description="Keep the channel between two values", default=False)
    low: bpy.props.FloatProperty(name="Minimum", description="Of the channel", default=0.0, min=-10.0, max=10.0)
    high: bpy.props.FloatProperty(name="Maximum", description="Of the channel", default=1.0, min=-10.0, max=10.0)
    replace: bpy.props.BoolProperty(
        name="Replace Existing", description="Also a driver that HeadGaS did not make", default=False
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        avatar = avatar_beside(context)
        if avatar is None or avatar.data.shape_keys is None:
            cls.poll_message_set("Select the avatar too: its control mesh or its armature")
            return False
        if mover_of(context)[0] is None:
            cls.poll_message_set("In Pose Mode choose a bone, or select an object that is to drive the avatar")
            return False
        return True

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self, width=350)

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        mover, bone = mover_of(context)
        if mover is not None:
            layout.label(text=f"{mover.name}: {bone}" if bone else mover.name)
        layout.prop(self, "component")
        if self.component == _PROPERTY:
            layout.prop(self, "property_name")
        elif self.component.startswith("ROT"):
            layout.prop(self, "rotation_mode")
        layout.prop(self, "channel")
        for name in ("gain", "offset", "limit"):
            layout.prop(self, name)
        column = layout.column()
        column.active = self.limit
        column.prop(self, "low")
        column.prop(self, "high")
        layout.prop(self, "replace")

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        self._drive(avatar_beside(context), *mover_of(context))
        return {'FINISHED'}

    def _drive(self, avatar: bpy.types.Object, mover: bpy.types.Object, bone: str) -> None:
        neutral = neutral_values(avatar)
        if self.channel not in neutral or self.channel not in avatar.data.shape_keys.key_blocks:
            raise HeadGaSError(f"The avatar '{avatar.name}' has no channel '{self.channel}'", "Choose one that it has")
        if self.limit and self.low > self.high:
            raise HeadGaSError("The minimum is above the maximum", "Change one of them")
        owned = {channel: drivers.is_ours(curve) for channel, curve in drivers.drivers(avatar)}
        if not owned.get(self.channel, True) and not self.replace:
            raise HeadGaSError(
                f"'{self.channel}' has a driver already", "Switch on Replace Existing, or remove that driver first"
            )
        variable = self._variable(mover, bone)
        linear = Linear(
            {self._measured(): self.gain},
            # at rest a scale is 1, and the channel is to be neutral
            neutral[self.channel] + self.offset - (self.gain if self.component.startswith("SCALE") else 0.0),
            self.low if self.limit else -math.inf,
            self.high if self.limit else math.inf,
        )
        drivers.make_local(avatar)
        drivers.drive(avatar, self.channel, written(linear), [variable])

    def _measured(self) -> str:
        name = drivers.MARK + _VARIABLE
        return f"degrees({name})" if self.component.startswith("ROT") else name

    def _variable(self, mover: bpy.types.Object, bone: str) -> Variable:
        if self.component != _PROPERTY:
            return Variable(_VARIABLE, mover, "", bone, self.component, self.rotation_mode)
        if self.property_name not in _numbers(mover, bone):
            raise HeadGaSError(
                f"'{bone or mover.name}' has no number '{self.property_name}' among its custom properties",
                "Add it in the bone's or object's properties, or choose another one",
            )
        name = bpy.utils.escape_identifier(self.property_name)
        owner = f'pose.bones["{bpy.utils.escape_identifier(bone)}"]' if bone else ""
        return Variable(_VARIABLE, mover, f'{owner}["{name}"]')


def avatar_beside(context: bpy.types.Context) -> bpy.types.Object | None:
    """The avatar that is active, or the first that is selected beside the active object."""
    objects = [context.object, *context.selected_objects]
    return next((avatar for avatar in map(avatar_of, objects) if avatar is not None), None)


def mover_of(context: bpy.types.Context) -> tuple[bpy.types.Object | None, str]:
    """What is to drive: an armature with its active bone in Pose Mode, else an object that is no avatar, and ""."""
    active = context.object
    if active is not None and active.mode == 'POSE' and active.data.bones.active is not None:
        return active, active.data.bones.active.name
    others = [obj for obj in (active, *context.selected_objects) if obj is not None and avatar_of(obj) is None]
    return (others[0] if others else None), ""


def _channels(avatar: bpy.types.Object | None) -> list[str]:
    if avatar is None or avatar.data.shape_keys is None:
        return []
    return [key.name for key in avatar.data.shape_keys.key_blocks][1:]


def _numbers(mover: bpy.types.Object | None, bone: str) -> list[str]:
    """The custom properties that hold a number."""
    if mover is None:
        return []
    owner = mover.pose.bones[bone] if bone else mover
    return [name for name, value in owner.items() if isinstance(value, int | float)]
