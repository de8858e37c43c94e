# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""HeadGaS: photoreal head avatars, driven by shape keys and bones."""

from types import ModuleType


def register() -> None:
    """Makes everything known to Blender."""
    from bpy.utils import register_class

    for room in _rooms():
        for cls in room.classes:
            register_class(cls)
        getattr(room, "register", _nothing)()


def unregister() -> None:
    """Takes everything back, the backend too."""
    from bpy.utils import unregister_class

    for room in reversed(_rooms()):
        getattr(room, "unregister", _nothing)()
        for cls in reversed(room.classes):
            unregister_class(cls)


def _rooms() -> tuple[ModuleType, ...]:
    """The packages that own classes, from the ground up; each has `classes`, some register() and unregister()."""
    from . import capture, character, client, engine, operators, overlay, panels, rig

    return client, character, capture, rig, overlay, engine, operators, panels


def _nothing() -> None:
    """What a room without its own register() does."""
