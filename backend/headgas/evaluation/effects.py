# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each parameter of an avatar does: the resting face against one parameter turned up, in pictures and numbers."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headgas.avatars import Avatar
from headgas.avatars.framing import face_camera
from headgas.evaluation.sheet import ERROR_GAIN, titled_sheet, to_bytes
from headgas.evaluation.views import extreme_of
from headgas.splatting import Camera, Gaussians, rasterize

_TILE = 160  # pixels
_COLUMNS, _ROWS = 2, 12  # parameters side by side, and below each other, in one picture
_TITLES = ("neutral", "changed", f"colour change x {ERROR_GAIN}", "orange appears, blue fades")
_HEAD = 0.5  # alpha from which a pixel belongs to the head
_STILL, _MORE, _LESS = (0.88, 0.88, 0.88), (0.95, 0.4, 0.0), (0.0, 0.35, 0.95)  # sRGB
_FULL = 0.5  # change of opacity that is shown in full colour


@dataclass(frozen=True)
class Effect:
    """One parameter, turned up alone."""

    name: str
    value: float
    seen: bool  # whether training saw it move
    color_change: float  # mean |Δ| of sRGB over the pixels of the head, 0..1
    opacity_change: float  # mean |Δ| over the Gaussians, 0..1
    movement: float  # mean |Δ| of the means over the Gaussians, metres
    picture: np.ndarray  # [H,4W,3] uint8, as _TITLES says

    @property
    def label(self) -> str:
        unseen = "" if self.seen else " (not seen in training)"
        moved = f", position {self.movement * 1000:.2f} mm" if self.movement else ""
        change = f"colour {self.color_change:.2%}, opacity {self.opacity_change:.2%}{moved}"
        return f"{self.name} = {self.value:.2f}{unseen}: {change}"


@torch.inference_mode()
def parameter_effects(avatar: Avatar) -> list[Effect]:
    """Every parameter's effect, the largest change of colour first."""
    camera = face_camera(avatar, _TILE)
    neutral = avatar.neutral()
    rest = avatar.gaussians(neutral, camera)
    before, shown_before = _render(rest, camera, avatar)
    effects = []
    for index, name in enumerate(avatar.expression_space.names):
        value, seen = extreme_of(avatar.expression_space, index)
        expression = neutral.clone()
        expression[index] = value
        moved = avatar.gaussians(expression, camera)
        after, shown_after = _render(moved, camera, avatar)
        difference = (after - before).abs()
        change = moved.opacities - rest.opacities
        tiles = (before, after, difference * ERROR_GAIN, _render(_painted(rest, moved, change), camera, avatar)[0])
        head = difference[shown_before | shown_after]
        effects.append(
            Effect(
                name=name,
                value=value,
                seen=seen,
                color_change=head.mean().item() if len(head) else 0.0,
                opacity_change=change.abs().mean().item(),
                movement=(moved.means - rest.means).norm(dim=1).mean().item(),
                picture=np.concatenate([to_bytes(tile) for tile in tiles], 1),
            )
        )
    return sorted(effects, key=lambda effect: -effect.color_change)


def _render(gaussians: Gaussians, camera: Camera, avatar: Avatar) -> tuple[Tensor, Tensor]:
    """The picture [H,W,3] in 0..1 over white, and which pixels [H,W] the head covers."""
    white = torch.ones(3, device=avatar.device)
    rendering = rasterize(gaussians, camera, background=white, antialiased=avatar.antialiased)
    return rendering.color.clamp(0, 1), rendering.alpha > _HEAD


def _painted(rest: Gaussians, moved: Gaussians, change: Tensor) -> Gaussians:
    """Gaussians in the colours of their change of opacity [N]; what appears and what vanishes are both there."""
    still, more, less = (torch.tensor(color, device=change.device) for color in (_STILL, _MORE, _LESS))
    strength = (change.abs() / _FULL).clamp(max=1)[:, None]
    colors = still + strength * (torch.where(change[:, None] > 0, more, less) - still)
    return dataclasses.replace(moved, opacities=torch.maximum(rest.opacities, moved.opacities), colors=colors)


def effect_sheets(effects: Sequence[Effect]) -> list[np.ndarray]:
    """Pictures [H,W,3] uint8 of all effects, as many as they need to stay readable."""
    cells = [titled_sheet([[effect.picture]], [effect.label]) for effect in effects]
    columns = min(_COLUMNS, len(cells))
    sheets = []
    for first in range(0, len(cells), columns * _ROWS):
        group = cells[first : first + columns * _ROWS]
        rows = [group[i : i + columns] for i in range(0, len(group), columns)]
        rows[-1] += [np.full_like(group[0], 255)] * (columns - len(rows[-1]))
        sheets.append(titled_sheet(rows, _TITLES * columns))
    return sheets
