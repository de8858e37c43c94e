# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar that nothing drives: Gaussians with spherical harmonics, as 3D Gaussian Splatting trains them."""

import math
from typing import Any

import torch
from torch import Tensor

from headgas.avatars.avatar import Avatar
from headgas.avatars.expression_space import ExpressionSpace
from headgas.avatars.shading import shade
from headgas.avatars.spherical_harmonics import MAX_DEGREE, coefficient_count
from headgas.splatting import Camera, Gaussians
from headgas.splatting.splats import Splats

NO_PARAMETERS = ExpressionSpace("custom", (), (), (), ())
_TENSORS = ("means", "quaternions", "log_scales", "logits", "harmonics")


class SplatAvatar(Avatar):
    """Static Gaussians; its expression space is empty."""

    model = "Splats"
    means: Tensor
    quaternions: Tensor
    log_scales: Tensor
    logits: Tensor
    harmonics: Tensor

    def __init__(self, splats: Splats) -> None:
        """splats: of degree 3 or less; in head space."""
        super().__init__()
        count, bands = len(splats), splats.harmonics.shape[1] if splats.harmonics.ndim == 3 else 0
        shapes = ((count, 3), (count, 4), (count, 3), (count,), (count, bands, 3))
        for name, shape in zip(_TENSORS, shapes, strict=True):
            tensor = getattr(splats, name)
            if tensor.shape != shape or tensor.dtype != torch.float32:
                raise TypeError(f"{name} is {tensor.dtype} {list(tensor.shape)}, not torch.float32 {list(shape)}")
            self.register_buffer(name, tensor)
        degree = math.isqrt(bands) - 1
        if bands < 1 or coefficient_count(degree) != bands or degree > MAX_DEGREE:
            raise TypeError(f"harmonics has {bands} coefficients; expected 1, 4, 9 or 16")
        self.antialiased = splats.antialiased
        self.expression_space = NO_PARAMETERS
        self._shown: tuple[Tensor, Tensor] | None = None  # scales [N,3]; harmonics and logits [N,3K+1]

    @property
    def count(self) -> int:
        return self.means.shape[0]

    @property
    def device(self) -> torch.device:
        return self.means.device

    def splats(self, expression: Tensor) -> Splats:
        self.check_expression(expression)
        return Splats(**{name: getattr(self, name) for name in _TENSORS}, antialiased=self.antialiased)

    def gaussians(self, expression: Tensor, camera: Camera) -> Gaussians:
        self.check_expression(expression)
        if self._shown is None:
            looks = torch.cat([self.harmonics.flatten(1), self.logits[:, None]], 1)
            self._shown = self.log_scales.exp(), looks
        scales, looks = self._shown
        bands = self.harmonics.shape[1]
        opacities, colors = shade(looks, self.means, camera.position, bands, 3 * bands)
        return Gaussians(self.means, self.quaternions, scales, opacities, colors)

    def _apply(self, fn: Any, recurse: bool = True) -> "SplatAvatar":
        self._shown = None
        return super()._apply(fn, recurse)

    def config(self) -> dict[str, Any]:
        return {"antialiased": self.antialiased}

    def tensors(self, compact: bool = False) -> dict[str, Tensor]:
        return dict(self.state_dict())

    @classmethod
    def from_checkpoint(
        cls, config: dict[str, Any], tensors: dict[str, Tensor], space: ExpressionSpace
    ) -> "SplatAvatar":
        if len(space):
            raise TypeError(f"{len(space)} parameters drive an avatar that nothing drives")
        values = {name: tensors[name] for name in _TENSORS}
        return cls(Splats(**values, antialiased=bool(config["antialiased"]))).eval()
