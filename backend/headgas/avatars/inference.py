# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPU's short way from an expression to what a camera sees of an avatar, without gradients.

What the last frame computed is kept: an unchanged expression costs no blending and no MLP, and with an unchanged camera
nothing at all.
"""

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from headgas.avatars.compact import CompactBasis
from headgas.avatars.evaluation_kernels import BLOCK, COLUMNS, GROUP, HARMONICS, evaluate, recolor
from headgas.avatars.spherical_harmonics import coefficient_count
from headgas.splatting import Camera, Gaussians
from headgas.splatting.compiling import announced
from headgas.splatting.rasterize import ALPHA_THRESHOLD, EPS2D
from headgas.splatting.simd import CONSTANTS
from headgas.splatting.simd_math import COLOR_ROWS
from headgas.splatting.threads import run

if TYPE_CHECKING:
    from headgas.avatars.headgas import HeadGaS

f32 = np.float32
_REACH = f32(math.sqrt(2 * math.log(1 / ALPHA_THRESHOLD)))  # standard deviations, to where an opaque one vanishes
_BLUR = f32(math.sqrt(EPS2D))  # pixels
_COMPILE_SECONDS = 8
_NOTHING = np.empty(0, f32)


def serves(avatar: "HeadGaS") -> bool:
    """Whether this is the way for an avatar: on the CPU, with an MLP and with Gaussians that do not move."""
    return (
        avatar.decoder is not None
        and avatar.settings.predicted == ("harmonics", "opacity")
        and avatar.means.device.type == "cpu"
        and avatar.means.dtype == torch.float32
    )


class Inference:
    """Frames of an avatar for as long as its tensors do not change."""

    @torch.inference_mode()
    def __init__(self, avatar: "HeadGaS") -> None:
        decoder, basis = avatar.decoder, avatar.stored_basis
        assert decoder is not None
        self._made_of = _tensors(avatar)
        self._versions = _versions(avatar)
        self._condition_layer = decoder.condition_layer
        self._hidden = hidden = -(-decoder.hidden_layer.out_features // GROUP) * GROUP
        neutral: Tensor = basis.neutral if isinstance(basis, CompactBasis) else basis[0]
        first_bias = decoder.folded(avatar.encode(avatar.means)) + neutral @ decoder.feature_layer.weight.T
        weights, bias = decoder.output_layer.weight, decoder.output_layer.bias
        used = 3 * coefficient_count(avatar.sh_degree)
        self._first_bias = flat(first_bias, hidden)
        self._mlp = (
            flat(decoder.feature_layer.weight.T, hidden),
            flat(decoder.hidden_layer.weight.T, hidden, hidden),
            flat(decoder.hidden_layer.bias[None], hidden),
            flat(weights[-1:], hidden),
            f32(bias[-1].item()),
        )
        self._color_layer = (
            flat(_by_channel(weights[:used].T), COLUMNS, hidden),
            flat(_by_channel(bias[:used][None]), COLUMNS),
        )
        self._rows, self._stride, self._first_row, self._scales = _rows(basis)
        scales = avatar.log_scales.exp()
        self._shapes = avatar.means.detach(), avatar.quaternions.detach(), scales
        self._sizes = scales.amax(1).numpy() if avatar.count else np.empty(0, f32)
        self._expression: bytes | None = None  # of the last frame
        self._view: tuple = ()
        self._frame = Gaussians(*self._shapes, torch.empty(0), torch.empty(0, 3))
        self._harmonics = _NOTHING  # [(N + COLOR_ROWS)*48], once a second camera asks for them

    def is_of(self, avatar: "HeadGaS") -> bool:
        """Whether the avatar is still what it was."""
        same = all(a is b for a, b in zip(_tensors(avatar), self._made_of, strict=True))
        return same and _versions(avatar) == self._versions

    def gaussians(self, offset: Tensor, camera: Camera) -> Gaussians:
        """See `Avatar.visible_gaussians`; offset [B] of the expression from neutral."""
        expression = offset.numpy().tobytes()
        view = (camera.viewmat.numpy().tobytes(), camera.K.numpy().tobytes(), camera.width, camera.height)
        view += (camera.orthographic,)
        if expression != self._expression:
            self._harmonics = _NOTHING
            self._frame = self._evaluated(offset, camera)
        elif view != self._view:
            if not len(self._harmonics):
                self._harmonics = np.zeros((len(self._sizes) + COLOR_ROWS) * COLUMNS, f32)
                self._frame = self._evaluated(offset, camera)
            self._frame = self._recolored(camera)
        self._expression, self._view = expression, view
        return self._frame

    def _evaluated(self, offset: Tensor, camera: Camera) -> Gaussians:
        """With colours, or with `self._harmonics` when there is room for them."""
        coefficients = offset.numpy()
        shared = np.zeros(self._hidden, f32)
        if self._condition_layer is not None:
            with torch.inference_mode():
                shared[: self._condition_layer.out_features] = self._condition_layer(offset).numpy()
            coefficients = coefficients[:0]
        active = np.flatnonzero(coefficients)
        weights = coefficients[active, None] * self._scales[active]
        opacities, colors = torch.empty(len(self._sizes)), torch.empty(len(self._sizes), 3)
        matrix, K = camera.viewmat.numpy(), camera.K.numpy()
        view = [*matrix[:3, :3].ravel(), *matrix[:3, 3], K[0, 0], K[1, 1], K[0, 2], K[1, 2]]
        view += [camera.width, camera.height, _REACH, _BLUR, not camera.orthographic]
        with announced("the evaluation of expressions", _COMPILE_SECONDS):
            run(
                evaluate, -(-len(opacities) // BLOCK), self._rows, self._stride, active + self._first_row,
                weights.ravel(), self._first_bias, shared, self._mlp, *self._color_layer, self._shapes[0].numpy(),
                self._sizes, np.array(view, f32), camera.position.numpy(), f32(ALPHA_THRESHOLD), CONSTANTS,
                opacities.numpy(), colors.numpy(), self._harmonics,
            )  # fmt: skip
        return Gaussians(*self._shapes, opacities, colors)

    def _recolored(self, camera: Camera) -> Gaussians:
        """The last frame seen from elsewhere."""
        colors = colors_from(self._harmonics, self._shapes[0], camera)
        return Gaussians(*self._shapes, self._frame.opacities, colors)


def colors_from(harmonics: np.ndarray, means: Tensor, camera: Camera) -> Tensor:
    """Colours [N,3] of `laid_out` harmonics of Gaussians at means [N,3], on the CPU."""
    colors = torch.empty(len(means), 3)
    with announced("colours from elsewhere", 1):
        blocks = -(-len(colors) // BLOCK)
        run(recolor, blocks, harmonics, means.detach().numpy(), camera.position.numpy(), colors.numpy())
    return colors


def laid_out(harmonics: Tensor) -> np.ndarray:
    """Harmonics [N,3K], three by three, as `colors_from` reads them: [(N + COLOR_ROWS)*48], channel by channel."""
    return torch.nn.functional.pad(_by_channel(harmonics.detach()), (0, 0, 0, COLOR_ROWS)).contiguous().numpy().ravel()


def _tensors(avatar: "HeadGaS") -> tuple[Tensor, ...]:
    """What a frame depends on, beside the harmonics in use."""
    basis = avatar.stored_basis
    rows = tuple(vars(basis).values()) if isinstance(basis, CompactBasis) else (basis,)
    return *avatar.parameters(), *avatar.buffers(), *rows


def _versions(avatar: "HeadGaS") -> tuple[int, ...]:
    """Changes with every change of the tensors' values; inference tensors are not counted by torch."""
    return avatar.sh_degree, *(0 if tensor.is_inference() else tensor._version for tensor in _tensors(avatar))


def _rows(basis: Tensor | CompactBasis) -> tuple[np.ndarray, int, int, np.ndarray]:
    """The rows that the expression multiplies, as one flat array; the distance between two of them; the number of the
    first; what their values are multiplied by [B,f]."""
    if isinstance(basis, CompactBasis):
        return basis.values.numpy().reshape(-1), basis.neutral.numel(), 0, basis.scales.numpy()
    scales = np.ones((len(basis) - 1, basis.shape[2]), f32)
    if not basis.numel():
        return np.empty(0, f32), 0, 1, scales
    stride = basis.stride(0)  # a basis that grows has more columns than are in use
    return basis.detach().as_strided((len(basis) * stride,), (1,)).numpy(), stride, 1, scales


def flat(matrix: Tensor, columns: int, rows: int = 0) -> np.ndarray:
    """A matrix row by row, with zeros added to the right and below."""
    right, below = columns - matrix.shape[1], max(0, rows - matrix.shape[0])
    return torch.nn.functional.pad(matrix.detach(), (0, right, 0, below)).contiguous().numpy().ravel()


def _by_channel(matrix: Tensor) -> Tensor:
    """Columns that hold each harmonic of red, green and blue in turn, as 16 harmonics a channel: [R,3K] to [R,48]."""
    channels = matrix.reshape(len(matrix), -1, 3).transpose(1, 2)
    return torch.nn.functional.pad(channels, (0, HARMONICS - channels.shape[2])).flatten(1)
