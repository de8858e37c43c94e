# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""HeadGaS: each Gaussian holds a basis of latent features that the expression blends.

Source: Dhamo et al., "HeadGaS: Real-Time Animatable Head Avatars via 3D Gaussian Splatting", ECCV 2024,
arXiv 2312.02902.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from headgas.avatars.avatar import Avatar
from headgas.avatars.blending import blend
from headgas.avatars.decoder import Decoder
from headgas.avatars.expression_space import ExpressionSpace
from headgas.avatars.spherical_harmonics import coefficient_count, sh_to_color
from headgas.splatting import Camera, Gaussians


@dataclass(frozen=True)
class HeadGaSConfig:
    """The model's size. The paper gives 32 features, 64 hidden units and third-degree harmonics; the rest is not
    published."""

    features: int = 32  # f
    hidden: int = 64  # units of each hidden layer
    frequencies: int = 6  # octaves of the positional encoding; unpublished
    sh_degree: int = 3
    antialiased: bool = True  # unpublished; keeps the look when the resolution changes


class HeadGaS(Avatar):
    """Static means and covariances; colour and opacity follow the expression e.

    f_i = f_0 + Fᵀ(e - neutral)      blended feature, [f] per Gaussian
    (SH, α) = MLP(f_i, PE(μ))        two hidden layers, shared by all Gaussians
    """

    model = "HeadGaS"
    center: Tensor  # [3] metres, a buffer
    extent: Tensor  # [] metres, a buffer

    def __init__(self, space: ExpressionSpace, points: Tensor, config: HeadGaSConfig) -> None:
        """An untrained avatar.

        Args:
            space: the parameters that drive it.
            points: [N,3] where the Gaussians start, metres.
        """
        super().__init__()
        self.expression_space = space
        self.settings = config
        self.antialiased = config.antialiased
        count = points.shape[0]
        center = points.mean(0)
        self.register_buffer("center", center)
        self.register_buffer("extent", (points - center).abs().max().clamp_min(1e-3))
        self.means = nn.Parameter(points.clone())
        self.quaternions = nn.Parameter(nn.functional.normalize(torch.randn(count, 4), dim=1))
        self.log_scales = nn.Parameter(torch.full((count, 3), _starting_log_scale(points)))
        # Row 0 is f_0. It is no parameter: its gradient is an outer product that training never builds.
        self.basis = torch.zeros(1 + len(space), count, config.features, device=points.device)
        outputs = 3 * coefficient_count(config.sh_degree) + 1
        self.decoder = Decoder(config.features, 3 + 6 * config.frequencies, config.hidden, outputs)
        nn.init.zeros_(self.decoder.output_layer.bias)  # grey and half transparent to begin with
        self.sh_degree = config.sh_degree  # bands in use; training raises it step by step
        self._encoding: Tensor | None = None  # PE(μ) [N,3+6L]
        self._folded: Tensor | None = None  # its part of the decoder's first layer [N,hidden], for rendering

    @property
    def count(self) -> int:
        return self.means.shape[0]

    def coefficients(self, expression: Tensor) -> Tensor:
        """(1, e - neutral) [1+B]: what multiplies the rows of the basis."""
        return torch.cat([torch.ones(1, device=expression.device), expression - self.neutral()])

    def blend(self, expression: Tensor) -> Tensor:
        """The blended features [N,f], without gradients."""
        return blend(self.basis, self.coefficients(expression))

    def refresh_encoding(self) -> None:
        """Encodes the means anew; needed whenever they moved or the weights changed."""
        self._encoding = self._folded = None

    def decode(self, features: Tensor, camera: Camera) -> Gaussians:
        """The Gaussians [N] of blended features [N,f]; means enter the encoding and the view direction detached."""
        output = self._outputs(features)
        bands = coefficient_count(self.sh_degree)
        directions = nn.functional.normalize(self.means.detach() - camera.position, dim=1)
        harmonics = output[:, : 3 * bands].view(-1, bands, 3)
        return Gaussians(
            means=self.means,
            quaternions=self.quaternions,
            scales=self.log_scales.exp(),
            opacities=torch.sigmoid(output[:, -1]),
            colors=sh_to_color(harmonics, directions),
        )

    def gaussians(self, expression: Tensor, camera: Camera) -> Gaussians:
        self.check_expression(expression)
        return self.decode(self.blend(expression), camera)

    def _outputs(self, features: Tensor) -> Tensor:
        """The decoder's outputs [N,3K+1]."""
        if self._encoding is None:
            self._encoding = self.encode(self.means.detach())
        if self.training or features.is_cuda:
            return self.decoder(features, self._encoding)
        if self._folded is None:
            self._folded = self.decoder.folded(self._encoding)
        return self.decoder.forward_folded(features, self._folded)

    def encode(self, means: Tensor) -> Tensor:
        """PE [N,3+6L]: the position in the head's bounds, and its sine and cosine at L octaves (NeRF, eq. 4)."""
        position = (means - self.center) / self.extent
        octaves = math.pi * 2.0 ** torch.arange(self.settings.frequencies, device=means.device)
        angles = (position[:, :, None] * octaves).flatten(1)
        return torch.cat([position, angles.sin(), angles.cos()], 1)

    def train(self, mode: bool = True) -> "HeadGaS":
        self.refresh_encoding()
        return super().train(mode)

    def _apply(self, fn: Any, recurse: bool = True) -> "HeadGaS":
        self.basis = fn(self.basis)
        self.refresh_encoding()
        return super()._apply(fn, recurse)

    def config(self) -> dict[str, Any]:
        return asdict(self.settings) | {"sh_degree_in_use": self.sh_degree}

    def tensors(self) -> dict[str, Tensor]:
        return self.state_dict() | {"basis": self.basis}

    @classmethod
    def from_checkpoint(cls, config: dict[str, Any], tensors: dict[str, Tensor], space: ExpressionSpace) -> "HeadGaS":
        config = dict(config)
        in_use = config.pop("sh_degree_in_use")
        avatar = cls(space, tensors["means"], HeadGaSConfig(**config))
        avatar.sh_degree = int(in_use)
        if tensors["basis"].shape != avatar.basis.shape:
            raise RuntimeError(f"basis has the shape {tuple(tensors['basis'].shape)}, not {tuple(avatar.basis.shape)}")
        avatar.basis = tensors["basis"]
        avatar.load_state_dict({name: value for name, value in tensors.items() if name != "basis"})
        return avatar.eval()


def _starting_log_scale(points: Tensor) -> float:
    """Gaussians that just cover the surface: the spacing of n points spread over their bounding ellipsoid."""
    radii = ((points.amax(0) - points.amin(0)) / 2).clamp_min(1e-4)
    area = 4 * math.pi * ((radii[0] * radii[1] * radii[2]) ** (2 / 3)).item()
    return math.log(0.5 * math.sqrt(area / len(points)))
