# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""F-curves of actions: without slots (4.2, 4.3), with slots (4.4 and newer), without `Action.fcurves` (5.0)."""

from collections.abc import Iterator, Sequence
from typing import Any

import bpy
import numpy as np

from .curves import KEY

_LINEAR = 1  # Keyframe.interpolation's number for 'LINEAR'


def fcurves(datablock: bpy.types.ID) -> Iterator[bpy.types.FCurve]:
    """The curves of the action that animates a datablock."""
    data = datablock.animation_data
    if data is None or data.action is None:
        return
    yield from curves_of(data.action, getattr(data, "action_slot", None))


def curves_of(action: bpy.types.Action, slot: Any) -> Iterator[bpy.types.FCurve]:
    """The curves of one slot of an action; of all of it where actions have no slots."""
    if not hasattr(action, "layers"):
        yield from action.fcurves
        return
    if slot is None:
        return
    for layer in action.layers:
        for strip in layer.strips:
            bag = strip.channelbag(slot)
            if bag is not None:
                yield from bag.fcurves


def ensured(datablock: bpy.types.ID, path: str, index: int = 0) -> bpy.types.FCurve:
    """The curve of a property, made where there is none, with its action and slot."""
    for curve in fcurves(datablock):
        if curve.data_path == path and curve.array_index == index:
            return curve
    data = datablock.animation_data_create()
    if data.action is None:
        data.action = bpy.data.actions.new(datablock.name)
    action = data.action
    if not hasattr(action, "slots"):
        return action.fcurves.new(path, index=index)
    if data.action_slot is None:
        data.action_slot = action.slots.new(id_type=datablock.id_type, name=datablock.name)
    if hasattr(action, "fcurve_ensure_for_datablock"):  # 4.5 and newer
        return action.fcurve_ensure_for_datablock(datablock, path, index=index)
    return added(action, data.action_slot, path, index)


def added(action: bpy.types.Action, slot: Any, path: str, index: int = 0) -> bpy.types.FCurve:
    """A new curve for a slot of an action; `slot` is None where actions have none."""
    if slot is None:
        return action.fcurves.new(path, index=index)
    layer = action.layers[0] if action.layers else action.layers.new("Layer")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type='KEYFRAME')
    return strip.channelbag(slot, ensure=True).fcurves.new(path, index=index)


def give_new_action(name: str, datablocks: Sequence[bpy.types.ID]) -> None:
    """Makes a new action the one that animates `datablocks`: one for all of them where actions have slots.

    The actions that did so before stay in the file.
    """
    action = None
    for datablock in datablocks:
        data = datablock.animation_data_create()
        if data.action is not None:
            data.action.use_fake_user = True
        if action is None or not hasattr(action, "slots"):
            action = bpy.data.actions.new(name)
        data.action = action
        if hasattr(action, "slots"):
            data.action_slot = action.slots.new(id_type=datablock.id_type, name=datablock.name)


def replace_keys(curve: bpy.types.FCurve, frames: np.ndarray, values: np.ndarray) -> None:
    """Keys `values` [T] at `frames` [T], rising, with straight lines between them.

    What the curve had from the first to the last of them goes; keys outside stay as they are, handles and all.
    """
    points = curve.keyframe_points
    kept = {name: np.empty((len(points), width), kind) for name, width, kind in KEY}
    for name, array in kept.items():
        points.foreach_get(name, array.ravel())
    places = kept["co"][:, 0]
    outside = (places < frames[0]) | (places > frames[-1])
    count = int(outside.sum())
    new = {"co": np.stack([frames, values], 1), "interpolation": np.full((len(frames), 1), _LINEAR)}
    points.clear()
    points.add(count + len(frames))
    for name, width, kind in KEY:
        if count or name in new:  # else Blender's own defaults stay
            array = np.empty((len(points), width), kind)
            points.foreach_get(name, array.ravel())
            array[:count] = kept[name][outside]
            array[count:] = new.get(name, array[count:])
            points.foreach_set(name, array.ravel())
    curve.update()  # sorts, and makes handles
    curve.id_data.update_tag()  # else the action's evaluated copy stays as it was
