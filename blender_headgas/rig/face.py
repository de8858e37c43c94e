# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the face panel keeps: which channels it shows, for the window; and which play alone, in the shape keys."""

import json
from collections.abc import Iterable
from functools import lru_cache

import bpy

from ..core import arkit

REGIONS = (*arkit.REGIONS, "Other")
_ALL = 'ALL'
_IDENTIFIERS = {region: region.upper().replace(" ", "_") for region in REGIONS}
REGION_ITEMS = [(identifier, region, f"Channels of: {region}") for region, identifier in _IDENTIFIERS.items()]


class HeadGaSFaceFilter(bpy.types.PropertyGroup):
    """Which channels the face panel shows. Belongs to the window manager: no undo, no animation."""

    region: bpy.props.EnumProperty(
        name="Region",
        description="The part of the face whose channels are listed",
        items=[(_ALL, "All", "All channels"), *REGION_ITEMS],
    )
    search: bpy.props.StringProperty(
        name="Search", description="List only channels with this in their names", options={'TEXTEDIT_UPDATE'}
    )


def register_face() -> None:
    """Adds `WindowManager.headgas_face` and `Key.headgas_solo`."""
    bpy.types.WindowManager.headgas_face = bpy.props.PointerProperty(type=HeadGaSFaceFilter)
    bpy.types.Key.headgas_solo = bpy.props.StringProperty(  # a group could not be overridden where the library has none
        name="Solo",
        description="Which channels play alone, and which were muted before: two lists of names as JSON, or nothing",
        options={'HIDDEN'},
        override={'LIBRARY_OVERRIDABLE'},
    )


def unregister_face() -> None:
    """Removes them."""
    del bpy.types.Key.headgas_solo
    del bpy.types.WindowManager.headgas_face


@lru_cache(maxsize=4096)
def region_identifier(name: str) -> str:
    """The region of a channel as the filter names it."""
    return _IDENTIFIERS[arkit.region_of(name)]


def regions_of(names: Iterable[str]) -> list[str]:
    """The regions (the filter's names) that have one of these channels, from the brows down."""
    present = {region_identifier(name) for name in names}
    return [identifier for identifier in _IDENTIFIERS.values() if identifier in present]


def shown(face: HeadGaSFaceFilter, names: list[str]) -> list[bool]:
    """Which of the channels the panel lists. A region that this avatar lacks counts as all."""
    region, search = face.region, face.search.casefold()
    regions = [region_identifier(name) for name in names]
    everywhere = region == _ALL or region not in regions
    return [
        (everywhere or region == its) and search in name.casefold() for name, its in zip(names, regions, strict=True)
    ]


def soloed(keys: bpy.types.Key) -> frozenset[str]:
    """The channels that play alone; empty when all do."""
    return _solo(keys.headgas_solo)[0]


def solo(keys: bpy.types.Key, names: frozenset[str]) -> None:
    """Lets only these channels play; none of them: what was muted before is muted again, the rest plays."""
    channels = list(keys.key_blocks)[1:]
    now, before = _solo(keys.headgas_solo)
    if not now:
        before = frozenset(key.name for key in channels if key.mute)
    for key in channels:
        key.mute = key.name not in names if names else key.name in before
    keys.headgas_solo = json.dumps([sorted(names), sorted(before)]) if names else ""


def unmute_all(keys: bpy.types.Key) -> None:
    """Lets every channel play."""
    keys.headgas_solo = ""
    for key in keys.key_blocks:
        key.mute = False


@lru_cache(maxsize=64)
def _solo(text: str) -> tuple[frozenset[str], frozenset[str]]:
    names, muted = json.loads(text) if text else ((), ())
    return frozenset(names), frozenset(muted)
