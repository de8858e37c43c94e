# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""From expressions to the decoder's outputs in one go, for one or several frames: the CUDA path of HeadGaS.

Each function runs as one Triton kernel where that works, and as `blend_and_decode_plainly` elsewhere.
"""

import functools
import logging
from typing import Any, NamedTuple

import torch
from torch import Tensor

from headgas.avatars.decoder import Decoder
from headgas.splatting.gpu_kernels import kernels_work

log = logging.getLogger(__name__)


class Weights(NamedTuple):
    """The decoder without its encoding layer, which comes as `folded` [N,hidden]."""

    features: Tensor  # [hidden,f]
    hidden: Tensor  # [hidden,hidden]
    hidden_bias: Tensor  # [hidden]
    outputs: Tensor  # [O,hidden]
    outputs_bias: Tensor  # [O]

    @classmethod
    def of(cls, decoder: Decoder) -> "Weights":
        first, second, last = decoder.feature_layer, decoder.hidden_layer, decoder.output_layer
        return cls(first.weight, second.weight, second.bias, last.weight, last.bias)


def blend_and_decode(
    basis: Tensor, coefficients: Tensor, folded: Tensor, weights: Weights, scales: Tensor | None = None
) -> Tensor:
    """MLP(Σ coefficients[k,r] · scales[r] · basis[r]) [K,N,O], without gradients.

    Args:
        basis: [R,N,f] float32, float16, bfloat16 or int8; each row is contiguous.
        coefficients: [K,R] float32, on the device of the basis.
        folded: [N,hidden], the encoding's part of the first layer with its bias.
        scales: [R,f] float32; ones when left out.
    """
    with torch.no_grad():
        if not _kernel_fits(basis, weights):
            return blend_and_decode_plainly(basis, coefficients, folded, weights, scales)[1]
        from headgas.avatars.fused_kernel import write_outputs

        outputs = folded.new_empty(len(coefficients), basis.shape[1], len(weights.outputs))
        write_outputs(basis, coefficients.contiguous(), folded, weights, outputs, scales)
        return outputs


def blend_and_decode_for_training(
    basis: Tensor, coefficients: Tensor, folded: Tensor, weights: Weights
) -> tuple[Tensor, Tensor]:
    """Blended features [K,N,f] and outputs [K,N,O], which are differentiable by the weights, `folded` and the features.

    The features are a leaf: after backward() their `grad` holds what `RankOneAdam` steps the basis with.
    """
    if not _kernel_fits(basis, weights):
        return blend_and_decode_plainly(basis, coefficients, folded, weights)
    shape = len(coefficients), *basis.shape[1:]
    features = torch.empty(shape, device=basis.device, requires_grad=True)
    return features, BlendAndDecode.apply(features, folded, *weights, basis, coefficients.contiguous())


def blend_and_decode_plainly(
    basis: Tensor, coefficients: Tensor, folded: Tensor, weights: Weights, scales: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The twin in plain torch, on any device: features [K,N,f], a leaf, and outputs [K,N,O]."""
    with torch.no_grad():
        rows = basis.to(coefficients.dtype)
        rows = rows if scales is None else rows * scales[:, None]
        features = torch.einsum("kr,rnf->knf", coefficients, rows)
    features = features.requires_grad_(torch.is_grad_enabled())
    first = torch.relu(features @ weights.features.T + folded)
    second = torch.relu(first @ weights.hidden.T + weights.hidden_bias)
    return features, second @ weights.outputs.T + weights.outputs_bias


def _kernel_fits(basis: Tensor, weights: Weights) -> bool:
    if not kernels_work(basis):
        return False
    from headgas.avatars.fused_kernel import fits

    sizes = basis.shape[2], *reversed(weights.outputs.shape)
    if not fits(sizes, basis.device):
        _say_too_large(sizes)
        return False
    return True


@functools.cache
def _say_too_large(sizes: tuple[int, ...]) -> None:
    log.warning("An MLP of %s features, units and outputs is too large for our kernel: torch's slower operations "
                "take its place.", sizes)  # fmt: skip


class BlendAndDecode(torch.autograd.Function):
    """The kernel with its gradient; sums over Gaussians are products of matrices, which cuBLAS does best."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, folded: Tensor, *rest: Tensor) -> Tensor:
        """`features` [K,N,f] need not hold anything yet: the blended ones are written there."""
        from headgas.avatars.fused_kernel import write_outputs

        wf, w2, b2, w3, b3, basis, coefficients = rest
        weights = Weights(wf, w2, b2, w3, b3)
        first, second = (folded.new_empty(*features.shape[:2], folded.shape[1]) for _ in range(2))
        outputs = folded.new_empty(*features.shape[:2], len(b3))
        write_outputs(basis, coefficients, folded, weights, outputs, kept=(features, first, second))
        ctx.save_for_backward(features, first, second, wf, w2, w3)
        return outputs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        features, first, second, wf, w2, w3 = ctx.saved_tensors
        frames, gaussians, _ = features.shape
        threshold_backward = torch.ops.aten.threshold_backward  # zero where the unit was off
        x, y, z, g3 = (tensor.flatten(0, 1) for tensor in (features, first, second, gradient.contiguous()))
        g2 = threshold_backward(g3 @ w3, z, 0)
        g1 = threshold_backward(g2 @ w2, y, 0)
        by_folded = g1 if frames == 1 else g1.view(frames, gaussians, -1).sum(0)
        by_features = (g1 @ wf).view_as(features)
        return by_features, by_folded, g1.T @ x, g2.T @ y, g2.sum(0), g3.T @ z, g3.sum(0), None, None
