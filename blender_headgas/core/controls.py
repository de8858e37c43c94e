# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the shape keys and bones of a control mesh become an expression: channels, a mapping, what the bones add."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import arkit
from .bones import BoneInputs, bone_inputs
from .errors import HeadGaSError
from .expressions import ExpressionSpace
from .mapping import Mapping
from .messages import listed


@dataclass(frozen=True, eq=False)
class Channels:
    """The C channels of a control mesh: the avatar's own parameters, or what its mapping takes in."""

    names: tuple[str, ...]
    neutral: np.ndarray  # [C] float32
    low: np.ndarray  # [C] float32, the range that training saw
    high: np.ndarray  # [C] float32


@dataclass(frozen=True, eq=False)
class Controls:
    """The way from K shape keys (without the mesh at rest) and three bones to an expression [B]."""

    space: ExpressionSpace
    channels: Channels
    keys: np.ndarray  # [C] int64, numbers of the channels' shape keys
    mapping: Mapping | None
    outputs: np.ndarray  # [O] int64, numbers of the mapping's outputs that the space has
    parameters: np.ndarray  # [O] int64, numbers of their parameters
    channel_bones: BoneInputs
    parameter_bones: BoneInputs

    def expression(self, values: np.ndarray, muted: np.ndarray, pose: np.ndarray | None) -> np.ndarray:
        """The expression [B] float32.

        Args:
            values: [K] float32 of the shape keys.
            muted: [K] bool; these channels rest at neutral.
            pose: [3,6] of the bones as in core.bones, or None where there are none.
        """
        expression = np.where(muted[self.keys], self.channels.neutral, values[self.keys])
        if self.mapping is not None:
            if pose is not None:
                expression[self.channel_bones.numbers] += self.channel_bones(pose)
            mapped = self.mapping(expression)
            expression = self.space.neutral.copy()
            expression[self.parameters] = mapped[self.outputs]
        if pose is not None:
            expression[self.parameter_bones.numbers] += self.parameter_bones(pose)
        return expression


def channels_of(space: ExpressionSpace, mapping: Mapping | None) -> Channels:
    """The channels of an avatar with this space, or with a mapping into it.

    A mapping's inputs rest at 0. Those of ARKit were seen from 0 to 1; others as far as no parameter leaves its range.
    """
    if mapping is None:
        return Channels(space.names, space.neutral, space.low, space.high)
    outputs, parameters = _shared(space, mapping)
    low, high = np.zeros((2, len(mapping.names_in)), np.float32)
    for number, name in enumerate(mapping.names_in):
        weights = mapping.matrix[outputs, number]
        if name in arkit.NAMES or not weights.any():
            high[number] = 1.0
            continue
        moves = weights != 0
        bias = mapping.bias[outputs][moves]
        ends = (np.stack([space.low[parameters][moves], space.high[parameters][moves]]) - bias) / weights[moves]
        low[number], high[number] = min(ends.min(axis=0).max(), 0.0), max(ends.max(axis=0).min(), 0.0)
    return Channels(mapping.names_in, np.zeros(len(low), np.float32), low, high)


def connect(space: ExpressionSpace, mapping: Mapping | None, keys: Sequence[str]) -> Controls:
    """The controls of an avatar by the names of its control mesh's shape keys, the mesh at rest left out.

    Raises:
        HeadGaSError: a channel has no shape key, or the mapping is for another avatar.
    """
    channels = channels_of(space, mapping)
    number = {name: i for i, name in enumerate(keys)}
    missing = [name for name in channels.names if name not in number]
    if missing:
        raise HeadGaSError(
            f"The control mesh has no shape key {listed(missing)}: renamed or deleted",
            "Give the shape keys their names back, choose the mapping that they are for, or import the avatar again",
        )
    outputs, parameters = (np.arange(len(space.names)),) * 2 if mapping is None else _shared(space, mapping)
    parameter_bones = bone_inputs(space.names)
    return Controls(
        space,
        channels,
        np.array([number[name] for name in channels.names], np.int64),
        mapping,
        outputs,
        parameters,
        bone_inputs(channels.names, without=parameter_bones.bones),
        parameter_bones,
    )


def unused_outputs(space: ExpressionSpace, mapping: Mapping) -> list[str]:
    """What a mapping says about parameters that the avatar does not have."""
    return [name for name in mapping.names_out if name not in space.names]


def _shared(space: ExpressionSpace, mapping: Mapping) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the outputs that are parameters [O], and of those parameters [O]; int64."""
    number = {name: i for i, name in enumerate(space.names)}
    outputs = [i for i, name in enumerate(mapping.names_out) if name in number]
    if not outputs:
        raise HeadGaSError(
            f"The mapping is for {listed(mapping.names_out)}; the avatar has none of these parameters",
            "Choose a mapping that was made for this avatar, or none",
        )
    return np.array(outputs, np.int64), np.array([number[mapping.names_out[i]] for i in outputs], np.int64)
