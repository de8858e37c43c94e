# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving what an F-curve has from one property to another, and removing curves."""

import bpy
import numpy as np

# All that a key is, as foreach_get() reads it. Types before positions: setting a handle's type moves the handle.
KEY = (
    *((name, 1, np.int32) for name in ("handle_left_type", "handle_right_type", "interpolation", "easing", "type")),
    *((name, 1, np.float32) for name in ("amplitude", "back", "period")),
    *((name, 2, np.float32) for name in ("co", "handle_left", "handle_right")),
)


def move(old: bpy.types.FCurve, new: bpy.types.FCurve) -> None:
    """Gives `new` what `old` has (keys, handles, modifiers), and removes `old`."""
    points, copies = old.keyframe_points, new.keyframe_points
    copies.clear()
    copies.add(len(points))
    for name, width, kind in KEY:
        data = np.empty(width * len(points), kind)
        points.foreach_get(name, data)
        copies.foreach_set(name, data)
    for source in old.modifiers:
        target = new.modifiers.new(source.type)
        for entry in source.bl_rna.properties:
            if not entry.is_readonly:
                setattr(target, entry.identifier, getattr(source, entry.identifier))
    new.extrapolation, new.mute, new.lock = old.extrapolation, old.mute, old.lock
    new.update()
    remove(old)


def remove(curve: bpy.types.FCurve) -> None:
    """Takes a curve out of its action."""
    action = curve.id_data
    if not hasattr(action, "layers"):
        action.fcurves.remove(curve)
        return
    bags = (bag for layer in action.layers for strip in layer.strips for bag in strip.channelbags)
    next(bag for bag in bags if curve in list(bag.fcurves)).fcurves.remove(curve)
