# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What training needs of an avatar."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from headgas.avatars.avatar import Avatar
from headgas.avatars.expression_space import ExpressionSpace
from headgas.avatars.spherical_harmonics import MAX_DEGREE
from headgas.splatting import Camera, Gaussians


class TrainableAvatar(Avatar):
    """An avatar with Gaussians that training moves, adds and removes.

    Its direct parameters have one row for each Gaussian; those of its modules are shared by all.
    """

    means: nn.Parameter  # [N,3] metres
    quaternions: nn.Parameter  # [N,4] wxyz
    log_scales: nn.Parameter  # [N,3] of metres
    center: Tensor  # [3] metres, a buffer
    extent: Tensor  # [] metres, a buffer: how far the head reaches from its centre
    sh_degree: int  # bands in use; training raises it step by step

    def __init__(self, space: ExpressionSpace, points: Tensor, config: "ModelConfig") -> None:
        """An untrained avatar.

        Args:
            space: the parameters that drive it.
            points: [N,3] where the Gaussians start, metres.
        """
        if config.sh_degree not in range(MAX_DEGREE + 1) or points.shape != (len(points), 3):  # kernels count on it
            raise ValueError(f"harmonics of degree {config.sh_degree!r} at points {list(points.shape)}")
        super().__init__()
        self.expression_space = space
        self.antialiased = config.antialiased
        self.sh_degree = config.sh_degree
        count, device = len(points), points.device
        center = points.mean(0)
        self.register_buffer("center", center)
        self.register_buffer("extent", (points - center).abs().max().clamp_min(1e-3))
        self.means = nn.Parameter(points.clone())
        self.quaternions = nn.Parameter(nn.functional.normalize(torch.randn(count, 4), dim=1).to(device))
        self.log_scales = nn.Parameter(torch.full((count, 3), starting_log_scale(points), device=device))

    def use_degree(self, degree: object) -> None:
        """Shows harmonics up to a degree that a file names.

        Raises:
            ValueError: the avatar has none of it.
        """
        if not isinstance(degree, int) or not 0 <= degree <= self.sh_degree:
            raise ValueError(f"sh_degree_in_use is {degree!r}; expected 0 to {self.sh_degree}")
        self.sh_degree = int(degree)

    @abstractmethod
    def study(self, expressions: Tensor, cameras: Sequence[Camera]) -> tuple[Tensor | None, list[Gaussians]]:
        """What training renders of K frames.

        Args:
            expressions: [K,B].
            cameras: one for each.

        Returns:
            The blended features [K,N,f], a leaf: after backward() its `grad` is what `RankOneAdam` steps the basis
            with; None where there is no basis. And each frame's Gaussians.
        """

    def penalty(self) -> Tensor | None:
        """What the frames studied last cost beside their pictures []; None where only pictures count."""
        return None

    @property
    def per_gaussian(self) -> tuple[str, ...]:
        """The names of the parameters that have a row for each Gaussian."""
        return tuple(name for name, _ in self.named_parameters(recurse=False))

    @property
    def count(self) -> int:
        return self.means.shape[0]

    @property
    def basis(self) -> Tensor | None:
        """[R,N,f] float32 that an expression blends, or None. No parameter: training never builds its gradient."""
        return None

    @basis.setter
    def basis(self, basis: Tensor) -> None:
        raise AttributeError(f"{self.model} has no basis")

    def coefficients(self, expression: Tensor) -> Tensor:
        """What multiplies the rows of the basis [R], of an expression [B]; row 0 is never decayed."""
        return torch.empty(0, device=expression.device)

    def advance(self, progress: float) -> None:
        """Told before each step which share of training is done, 0..1."""

    def refresh(self) -> None:
        """Forgets what was computed of the parameters; called after training has changed them."""

    def train(self, mode: bool = True) -> "TrainableAvatar":
        self.refresh()
        return super().train(mode)


class ModelConfig(Protocol):
    """A model's size and variant: a frozen dataclass that JSON can hold."""

    @property
    def sh_degree(self) -> int: ...

    @property
    def antialiased(self) -> bool: ...

    def build(self, space: ExpressionSpace, points: Tensor) -> TrainableAvatar:
        """An untrained avatar whose Gaussians start at points [N,3], metres."""
        ...


def starting_log_scale(points: Tensor) -> float:
    """Gaussians that just cover the surface: the spacing of n points spread over their bounding ellipsoid."""
    radii = ((points.amax(0) - points.amin(0)) / 2).clamp_min(1e-4)
    area = 4 * math.pi * ((radii[0] * radii[1] * radii[2]) ** (2 / 3)).item()
    return math.log(0.5 * math.sqrt(area / len(points)))
