# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""F-curves of actions: without slots (4.2, 4.3), with slots (4.4 and newer), without `Action.fcurves` (5.0)."""

from collections.abc import Iterator
from typing import Any

import bpy
import numpy as np


def fcurves(datablock: bpy.types.ID) -> Iterator[bpy.types.FCurve]:
    """The curves of the action that animates a datablock."""
    data = datablock.animation_data
    if data is None or data.action is None:
        return
    if not hasattr(data.action, "layers"):
        yield from data.action.fcurves
        return
    if data.action_slot is None:
        return
    for layer in data.action.layers:
        for strip in layer.strips:
            bag = strip.channelbag(data.action_slot)
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


def replace_keys(curve: bpy.types.FCurve, frames: np.ndarray, values: np.ndarray) -> None:
    """Keys `values` [T] at `frames` [T], rising; what the curve had from the first to the last of them goes."""
    old = np.empty(2 * len(curve.keyframe_points), np.float32)
    curve.keyframe_points.foreach_get("co", old)
    outside = old.reshape(-1, 2)
    outside = outside[(outside[:, 0] < frames[0]) | (outside[:, 0] > frames[-1])]
    keys = np.concatenate([outside, np.stack([frames, values], 1).astype(np.float32)])
    curve.keyframe_points.clear()
    curve.keyframe_points.add(len(keys))
    curve.keyframe_points.foreach_set("co", keys.ravel())
    curve.update()  # sorts, and makes handles
