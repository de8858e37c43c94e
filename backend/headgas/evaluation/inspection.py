# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking inside avatars while they are shown: their Gaussians in false colours, fewer of them, or smaller ones.

False colours are sRGB: they look as they are meant to where the picture is shown in the Standard view transform.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from headgas.avatars import Avatar
from headgas.avatars.framing import face_camera, visible_points
from headgas.avatars.passes import blended_normals
from headgas.avatars.rendering import Stage, linear_premultiplied
from headgas.errors import HeadGaSError
from headgas.evaluation.basis import basis_colors
from headgas.evaluation.removal import importance
from headgas.evaluation.views import extreme_of, sampled_views
from headgas.splatting import Gaussians
from headgas.splatting.pixels import count_contributions

MODES = ("color", "depth", "normal", "opacity", "count", "features", "influence")
_SEEN = 1e-6  # alpha
_MANY = 100  # Gaussians in a pixel, in the last colour
# Viridis at equal steps (van der Walt and Smith, matplotlib 1.5)
_RAMP = ((0.267, 0.005, 0.329), (0.275, 0.195, 0.496), (0.213, 0.359, 0.552), (0.153, 0.497, 0.558),
         (0.122, 0.633, 0.531), (0.288, 0.758, 0.428), (0.627, 0.855, 0.223), (0.993, 0.906, 0.144))  # fmt: skip
_VIEWS, _VIEW_SIZE = 24, 128  # to measure importance with; pixels
_SMALLEST = {"position": 1e-4, "opacity": 0.01, "colour": 0.01}  # metres, 1, sRGB: less is never in full colour
_OUTLIERS = 0.005  # of the Gaussians, which may exceed what is in full colour
_SIZE = 64  # pixels; of the camera before the face that sees colours change


@dataclass(frozen=True)
class Inspection:
    """What is shown of avatars instead of their picture."""

    mode: str = "color"
    parameter: str = ""  # whose influence is shown
    fraction: float = 1.0  # of each avatar's Gaussians, the most important ones
    scale: float = 1.0  # of the Gaussians' standard deviations

    def __post_init__(self) -> None:
        """Raises HeadGaSError on anything that cannot be shown."""
        if self.mode not in MODES:
            raise HeadGaSError(f"There is no mode {self.mode!r} of looking inside.", f"Modes: {', '.join(MODES)}")
        if self.mode == "influence" and not (self.parameter and isinstance(self.parameter, str)):
            raise HeadGaSError("The mode 'influence' needs the parameter whose influence is to be shown.")
        for name, value in (("fraction", self.fraction), ("scale", self.scale)):
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                raise HeadGaSError(f"The {name} of Gaussians is {value!r}; expected 0 to 1.")

    @classmethod
    def of(cls, request: dict[str, Any]) -> "Inspection":
        """The one that a request's `inspect` describes; what it leaves out is as in a picture."""
        unknown = request.keys() - cls.__dataclass_fields__.keys()
        if unknown:
            raise HeadGaSError(f"The request's inspect has no {', '.join(sorted(unknown))}.")
        return cls(**request)


class View(NamedTuple):
    """What an inspection shows."""

    stage: Stage  # with the Gaussians that are left
    image: Tensor  # [H,W,4] as a picture's
    depth: Tensor  # [H,W] metres
    legend: str  # what the colours mean


class Inspector:
    """Shows stages in false colours; keeps what it found out about each avatar."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Avatar, dict[str, Any]] = WeakKeyDictionary()

    def view(self, stage: Stage, avatars: Sequence[Avatar], inspection: Inspection) -> View:
        """What `inspection` shows of the stage of avatars.

        Raises:
            HeadGaSError: no avatar has the parameter whose influence is to be shown.
        """
        if not stage.groups:
            return View(stage, *stage.picture(), "")
        stage = replace(stage, groups=tuple(
            self._reduced(group, avatar, inspection) for group, avatar in zip(stage.groups, avatars, strict=True)
        ))  # fmt: skip
        if inspection.mode == "color":
            return View(stage, *stage.picture(), "")
        if inspection.mode == "opacity":
            return _opacity(stage)
        if inspection.mode == "count":
            return _count(stage)
        if inspection.mode == "normal":
            return _normals(stage)
        if inspection.mode == "depth":
            colors, legend = self._depth_colors(stage, avatars)
        elif inspection.mode == "features":
            colors, legend = self._feature_colors(avatars)
        else:
            colors, legend = self._influence_colors(avatars, inspection.parameter)
        return View(stage, *stage.picture(colors), legend)

    def _about(self, avatar: Avatar, what: str, find: Callable[[], Any]) -> Any:
        """What was found out about an avatar; `find` is asked once."""
        known = self._known.setdefault(avatar, {})
        if what not in known:
            known[what] = find()
        return known[what]

    @torch.inference_mode()
    def _reduced(self, group: Gaussians, avatar: Avatar, inspection: Inspection) -> Gaussians:
        """Fewer or smaller Gaussians; those that are hidden become transparent."""
        if inspection.fraction < 1:
            ranks = self._about(avatar, "ranks", lambda: _ranks(avatar))
            shown = ranks < round(inspection.fraction * len(group))
            group = replace(group, opacities=torch.where(shown, group.opacities, 0.0))
        return group if inspection.scale == 1 else replace(group, scales=group.scales * inspection.scale)

    @torch.inference_mode()
    def _depth_colors(self, stage: Stage, avatars: Sequence[Avatar]) -> tuple[Tensor, str]:
        """Greys [N,3], from white at the nearest point of each resting avatar to black at the farthest."""
        colors, told = [], []
        for group, avatar, placement in zip(stage.groups, avatars, stage.placements, strict=True):
            points = self._about(avatar, "points", lambda avatar=avatar: visible_points(avatar))
            depths = _depths(stage, points @ placement[:3, :3].T + placement[:3, 3])
            near, far = depths.min(), depths.max()
            colors.append(((far - _depths(stage, group.means)) / (far - near).clamp_min(1e-9)).clamp(0, 1))
            white, black = (float(limit) * stage.unit - stage.moved_back for limit in (near, far))
            told.append(f"white {white:.3f} m, black {black:.3f} m")
        return torch.cat(colors)[:, None].expand(-1, 3), f"Depth: {'; '.join(told)}"

    def _feature_colors(self, avatars: Sequence[Avatar]) -> tuple[Tensor, str]:
        found = [self._about(avatar, "features", lambda avatar=avatar: _features(avatar)) for avatar in avatars]
        colors, told = zip(*found, strict=True)
        return torch.cat(colors), f"Like colour, like features: {'; '.join(told)}"

    def _influence_colors(self, avatars: Sequence[Avatar], parameter: str) -> tuple[Tensor, str]:
        """Black [N,3] for avatars without the parameter."""
        if not any(parameter in avatar.expression_space.names for avatar in avatars):
            known = ", ".join(dict.fromkeys(name for avatar in avatars for name in avatar.expression_space.names))
            raise HeadGaSError(f"No avatar here has a parameter {parameter!r}.", f"Parameters: {known or 'none'}")
        colors, told = [], []
        for avatar in avatars:
            if parameter not in avatar.expression_space.names:
                colors.append(torch.zeros(avatar.count, 3, device=avatar.device))
                continue
            what = f"influence of {parameter}"
            color, legend = self._about(avatar, what, lambda avatar=avatar: _influence(avatar, parameter))
            colors.append(color)
            told.append(legend)
        return torch.cat(colors), "; ".join(told)


def _depths(stage: Stage, points: Tensor) -> Tensor:
    """Camera-space z [N] of points [N,3], both in units of the stage's space."""
    viewmat = stage.camera.viewmat
    return points @ viewmat[2, :3] + viewmat[2, 3]


@torch.inference_mode()
def _opacity(stage: Stage) -> View:
    """Alpha as an opaque grey, wherever there is any."""
    image, depth = stage.picture()
    alpha = image[..., 3]
    seen = (alpha > _SEEN).float()
    image = linear_premultiplied(alpha[..., None].expand(-1, -1, 3), seen)
    return View(stage, image, depth, "Opacity: black 0, white 1")


@torch.inference_mode()
def _count(stage: Stage) -> View:
    """How many Gaussians each pixel is made of, in opaque colours."""
    counts = count_contributions(stage.gaussians, stage.camera, antialiased=stage.antialiased, near=stage.near)
    _, depth = stage.picture()
    counts = counts.to(depth.device)
    ramp = torch.tensor(_RAMP, device=depth.device)
    place = (counts / _MANY).clamp(max=1) * (len(ramp) - 1)
    below = place.long().clamp(max=len(ramp) - 2)
    seen = (counts > 0).float()
    colors = torch.lerp(ramp[below], ramp[below + 1], (place - below)[..., None]) * seen[..., None]
    most = int(counts.max())
    legend = f"Gaussians in a pixel: violet 1, green {_MANY // 2}, yellow {_MANY} or more; here up to {most}"
    return View(stage, linear_premultiplied(colors, seen), depth, legend)


@torch.inference_mode()
def _normals(stage: Stage) -> View:
    """The shortest axes of the Gaussians, turned to the camera, blended."""
    normals, rendering = blended_normals(stage)
    colors = (normals * _UP_AND_BACK.to(normals) + 1) / 2 * rendering.alpha[..., None]
    legend = "Normals: red to the right, green upward, blue to the viewer"
    return View(stage, *stage.finished(replace(rendering, color=colors)), legend)


_UP_AND_BACK = torch.tensor([1.0, -1.0, -1.0])  # OpenCV's axes, seen as y up and z to the viewer


def _ranks(avatar: Avatar) -> Tensor:
    """The place of each Gaussian [N] in the order of importance, 0 for the most important."""
    with torch.inference_mode(False):
        weights = importance(avatar, sampled_views(avatar, _VIEWS, _VIEW_SIZE, seed=0))
    order = weights.argsort(descending=True, stable=True)
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order), device=order.device)
    return ranks


@torch.inference_mode()
def _features(avatar: Avatar) -> tuple[Tensor, str]:
    """Colours [N,3], and what they show."""
    features, name = avatar.features()
    colors, shares = basis_colors(features)
    return colors, f"the first {len(shares)} principal components of the {name}, {sum(shares):.0%} of their variance"


@torch.inference_mode()
def _influence(avatar: Avatar, parameter: str) -> tuple[Tensor, str]:
    """Colours [N,3]: how far a parameter alone, turned up from rest, moves, fades and recolours each Gaussian."""
    index = avatar.expression_space.names.index(parameter)
    value, seen = extreme_of(avatar.expression_space, index)
    expression, camera = avatar.neutral(), face_camera(avatar, _SIZE)
    rest = avatar.gaussians(expression, camera)
    expression[index] = value
    moved = avatar.gaussians(expression, camera)
    changes = {
        "position": (moved.means - rest.means).norm(dim=1),
        "opacity": (moved.opacities - rest.opacities).abs(),
        "colour": (moved.colors - rest.colors).abs().mean(1),
    }
    largest = {
        name: max(float(change.quantile(1 - _OUTLIERS)), _SMALLEST[name]) for name, change in changes.items()
    }
    colors = torch.stack([(change / largest[name]).clamp(0, 1) for name, change in changes.items()], 1)
    unseen = "" if seen else ", which training never saw move"
    return colors, (
        f"{parameter} at {value:.2f}{unseen}: full red moves {largest['position'] * 1000:.1f} mm, full green fades by "
        f"{largest['opacity']:.0%}, full blue changes colour by {largest['colour']:.0%}"
    )
