# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The review list of Map From Character: which shape key of a character is to drive which channel, and how."""

import math

import bpy

from ..core.arkit import REGIONS, region_of
from ..core.driving import Linear, written
from ..core.errors import HeadGaSError
from ..core.names import Match, match
from . import drivers
from .channels import neutral_values, seen_ranges

_SLIDER = 10.0  # Blender's limit of a shape key, in either direction
_SURE = 0.5  # confidence from which a row is used
_EDITED = ("use", "gain", "offset", "limit", "low", "high")  # fields of a row that are the user's


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


def fill_review(
    review: HeadGaSMappingReview, avatar: bpy.types.Object, source: bpy.types.Object, fit: bool, keep: bool = False
) -> list[Match]:
    """Makes the list anew: pairs by region of the face, then sources and channels that stayed alone.

    `keep`: pairs that the list has already stay as the user made them.
    """
    neutral, seen = neutral_values(avatar), seen_ranges(avatar)
    keys = source.data.shape_keys
    names = [key.name for key in keys.key_blocks if key != keys.reference_key]
    matches = sorted(match(names, list(neutral)), key=_order)
    edited = {(row.source, row.channel): {field: getattr(row, field) for field in _EDITED} for row in review.rows}
    review.source = source
    review.rows.clear()
    review.active = 0
    for hit in matches:
        row = review.rows.add()
        row.source, row.channel, row.offset = hit.source, hit.channel, hit.offset
        row.gain = hit.gain * (_reach(neutral[hit.channel], seen[hit.channel][1]) if fit and hit.channel else 1.0)
        row.limit = hit.low > -math.inf and hit.high < math.inf
        if row.limit:
            row.low, row.high = hit.low, hit.high
        row.confidence, row.note = hit.confidence, hit.note
        row.use = hit.confidence >= _SURE or not row.is_pair
        for field, value in edited.get((hit.source, hit.channel), {}).items() if keep else ():
            setattr(row, field, value)
    return matches


def create_drivers(
    avatar: bpy.types.Object, review: HeadGaSMappingReview, replace: bool = False
) -> tuple[list[str], list[str]]:
    """Drivers for the rows that are in use; ours that listened to the same character before go.

    Returns:
        The channels that are driven now, and those that keep a driver of the user.
    """
    source, neutral = review.source, neutral_values(avatar)
    by_channel: dict[str, list[HeadGaSMappingRow]] = {}
    for row in review.rows:
        if row.use and row.is_pair:
            _check_row(row, source, avatar)
            by_channel.setdefault(row.channel, []).append(row)
    plans = {
        channel: _plan(rows, neutral.get(channel, 0.0), source.data)
        for channel, rows in by_channel.items()
    }
    drivers.make_local(avatar)
    users = {channel for channel, curve in drivers.drivers(avatar) if not drivers.is_ours(curve)}
    kept = [] if replace else [channel for channel in plans if channel in users]
    drivers.remove(avatar, _of_character(avatar, source.data))
    made = [channel for channel in plans if channel not in kept]
    for channel in made:
        drivers.drive(avatar, channel, *plans[channel])
    return made, kept


def _order(hit: Match) -> tuple[int, int, str]:
    regions = [*REGIONS, "Other"]
    kind = 0 if hit.source and hit.channel else 1 if hit.source else 2
    return kind, regions.index(region_of(hit.channel)) if hit.channel else 0, hit.channel


def _reach(neutral: float, high: float) -> float:
    """From neutral to the largest value that training saw; 1 where it saw none."""
    return high - neutral if high > neutral else 1.0


def _check_row(row: HeadGaSMappingRow, source: bpy.types.Object, avatar: bpy.types.Object) -> None:
    for name, obj, what in ((row.source, source, "shape key"), (row.channel, avatar, "channel")):
        if obj.data.shape_keys is None or name not in obj.data.shape_keys.key_blocks:
            raise HeadGaSError(
                f"'{obj.name}' has no {what} '{name}'", "Choose another one in the list, or press Map From Character"
            )


def _plan(rows: list[HeadGaSMappingRow], neutral: float, mesh: bpy.types.Mesh) -> tuple[str, list[drivers.Variable]]:
    """The expression and the variables of one channel's driver."""
    gains = {f"{drivers.MARK}{number}": row.gain for number, row in enumerate(rows, 1)}
    low = max((row.low for row in rows if row.limit), default=-math.inf)
    high = min((row.high for row in rows if row.limit), default=math.inf)
    if low > high:
        raise HeadGaSError(f"The minimum of '{rows[0].channel}' is above its maximum", "Change them in the list")
    variables = [drivers.Variable(str(i), mesh, drivers.source_path(row.source)) for i, row in enumerate(rows, 1)]
    return written(Linear(gains, neutral + sum(row.offset for row in rows), low, high)), variables


def _of_character(avatar: bpy.types.Object, mesh: bpy.types.Mesh) -> list[str]:
    """The channels with drivers of ours that listen to this mesh, or to one that no longer exists."""
    return [
        channel
        for channel, curve in drivers.drivers(avatar)
        if drivers.is_ours(curve)
        and any(
            target.id == mesh or (target.id is None and drivers.key_of(target.data_path))
            for _, target in drivers.targets(curve)
        )
    ]


def register_review() -> None:
    """Adds `Scene.headgas_review`."""
    bpy.types.Scene.headgas_review = bpy.props.PointerProperty(type=HeadGaSMappingReview)


def unregister_review() -> None:
    """Removes `Scene.headgas_review`."""
    del bpy.types.Scene.headgas_review
