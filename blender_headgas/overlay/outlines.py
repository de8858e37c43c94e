# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines around selected avatars, in the colours that Blender has for selected objects."""

from typing import Any

from .avatars import ShownAvatar
from .viewport import Viewport


def outlines_of(
    context: Any, viewport: Viewport, avatars: list[ShownAvatar]
) -> list[tuple[int, tuple[float, ...]]]:
    """Which avatars of the frame that a viewport shows are selected, and the lines' RGB to the power of 2.2."""
    overlay, shown = context.space_data.overlay, viewport.shown
    if shown is None or not (overlay.show_overlays and overlay.show_outline_selected):
        return []
    if len(avatars) != len(shown.wish.avatars):  # the frame is of other avatars
        return []
    theme = context.preferences.themes[0].view_3d
    lines = []
    for place, avatar in enumerate(avatars):
        if avatar.owner.select_get():
            is_active = avatar.owner == context.view_layer.objects.active
            color = theme.object_active if is_active else theme.object_selected
            lines.append((place, tuple(channel**2.2 for channel in color)))  # as the screen shows overlays
    return lines
