# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds a character's animation still while its channels are posed; plays it for frames of the user's action."""

import math
from collections.abc import Sequence

import bpy


class Animation:
    """The actions and strips of some datablocks, which would undo a pose at the next render."""

    def __init__(self, owners: Sequence[bpy.types.ID]) -> None:
        data = [owner.animation_data for owner in owners if owner.animation_data is not None]
        # the slot goes with the action where actions have slots
        self._actions = [(one, one.action, getattr(one, "action_slot", None)) for one in data]
        self._tracks = [(track, track.mute) for one in data for track in one.nla_tracks]
        self._rest = bpy.context.scene.frame_current_final
        self._plays = True

    def off(self) -> None:
        """Everything is as at the frame that was the scene's at first, and stays so."""
        if not self._plays:
            return
        if bpy.context.scene.frame_current_final != self._rest:
            self._go(self._rest)
        for data, _, _ in self._actions:
            data.action = None
        for track, _ in self._tracks:
            track.mute = True
        self._plays = False

    def show(self, moment: float) -> None:
        """The animation at a frame, fractions too."""
        if not self._plays:
            for data, action, slot in self._actions:
                data.action = action
                if slot is not None:
                    data.action_slot = slot
            for track, mute in self._tracks:
                track.mute = mute
            self._plays = True
        self._go(moment)

    @staticmethod
    def _go(moment: float) -> None:
        whole = math.floor(moment)
        bpy.context.scene.frame_set(whole, subframe=moment - whole)
