# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""CUDA's short way from an expression to the Gaussians of a frame, without gradients: one kernel within one graph."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from headgas.avatars.compact import CompactBasis
from headgas.avatars.fused import Weights, blend_and_decode
from headgas.avatars.replay import Replayed
from headgas.avatars.spherical_harmonics import coefficient_count, sh_to_color
from headgas.splatting import Camera, Gaussians
from headgas.splatting.gpu_kernels import kernels_work

if TYPE_CHECKING:
    from headgas.avatars.headgas import HeadGaS


def serves(avatar: "HeadGaS") -> bool:
    """Whether an avatar's Gaussians can be computed here: an MLP decodes blended features, and nothing moves."""
    settings = avatar.settings
    return settings.blended == "features" and settings.predicted == ("harmonics", "opacity")


class CudaInference:
    """The Gaussians of an avatar whose tensors do not change; the same on the CPU, where nothing is replayed."""

    @torch.no_grad()
    def __init__(self, avatar: "HeadGaS") -> None:
        decoder = avatar.decoder
        assert decoder is not None
        self._weights = Weights.of(decoder)
        self._shapes = avatar.means.detach(), avatar.quaternions.detach(), avatar.log_scales.exp()
        basis = avatar.stored_basis
        if isinstance(basis, CompactBasis):
            neutral, self._rows, self._scales = basis.neutral, basis.values, basis.scales
        else:
            neutral, self._rows, self._scales = basis[0], basis[1:], None
        # What is the same in every frame is added up once: f_0 goes through the first layer with the encoding.
        folded = decoder.folded(avatar.encode(avatar.means))
        self._folded = folded + neutral @ decoder.feature_layer.weight.T
        self._neutral = avatar.neutral()
        self._degree = avatar.sh_degree
        self._appearance = Replayed(self._decode)

    def gaussians(self, expression: Tensor, camera: Camera) -> Gaussians:
        """As `HeadGaS.gaussians`; expression [B] and camera on the avatar's device."""
        means, quaternions, scales = self._shapes
        opacities, colors = self._appearance(expression, camera.position)
        return Gaussians(means, quaternions, scales, opacities, colors)

    def _decode(self, expression: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """Opacities [N] and colours [N,3] of an expression [B], seen from `position` [3] in head space, metres."""
        coefficients = (expression - self._neutral)[None]
        (outputs,) = blend_and_decode(self._rows, coefficients, self._folded, self._weights, self._scales)
        if kernels_work(outputs):
            from headgas.avatars.appearance_kernel import appear

            return appear(outputs, self._shapes[0], position, self._degree)
        return appear_plainly(outputs, self._shapes[0], position, self._degree)


def appear_plainly(outputs: Tensor, means: Tensor, position: Tensor, degree: int) -> tuple[Tensor, Tensor]:
    """Opacities [N] and colours [N,3] of the decoder's outputs [N,O], means [N,3] and the camera's position [3]."""
    bands = coefficient_count(degree)
    directions = torch.nn.functional.normalize(means - position, dim=1)
    harmonics = outputs[:, : 3 * bands].view(-1, bands, 3)
    return torch.sigmoid(outputs[:, -1]), sh_to_color(harmonics, directions)
