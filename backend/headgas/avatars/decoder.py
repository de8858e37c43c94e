# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shared MLP of an avatar, evaluated in blocks of Gaussians that stay in the cache and keep every thread busy.

torch would spread each single operation over its own threads and wait for the slowest of them a hundred times per step:
on a machine that does anything else, that is many times slower than one thread.
"""

from typing import Any

import torch
from torch import Tensor, nn

from headgas.splatting.threads import share

_BLOCK = 2048  # Gaussians


class Decoder(nn.Module):
    """(features, encoding[, condition]) -> two hidden layers of ReLU units -> outputs."""

    def __init__(self, features: int, encoding: int, hidden: int, outputs: int, condition: int = 0) -> None:
        """condition: how many numbers all Gaussians share; 0 for none."""
        super().__init__()
        self.condition_layer = nn.Linear(condition, hidden, bias=False) if condition else None
        self.feature_layer = nn.Linear(features, hidden, bias=False)
        self.encoding_layer = nn.Linear(encoding, hidden)
        self.hidden_layer = nn.Linear(hidden, hidden)
        self.output_layer = nn.Linear(hidden, outputs)

    def forward(self, features: Tensor, encoding: Tensor, condition: Tensor | None = None) -> Tensor:
        """features [N,f], encoding [N,D] and condition [C] to [N,outputs]; no gradient for the encoding."""
        shared = self.encoding_layer.bias
        if self.condition_layer is not None:
            shared = shared + self.condition_layer(condition)
        weights = (
            self.feature_layer.weight,
            self.encoding_layer.weight,
            shared,
            self.hidden_layer.weight,
            self.hidden_layer.bias,
            self.output_layer.weight,
            self.output_layer.bias,
        )
        if features.is_cuda:
            return decode_plainly(features, encoding, *weights)
        return _Decode.apply(features, encoding, *weights)

    def folded(self, encoding: Tensor) -> Tensor:
        """The encoding's part of the first layer [N,hidden]: constant as long as nothing is trained."""
        return self.encoding_layer(encoding).detach()

    def forward_folded(self, features: Tensor, folded: Tensor, condition: Tensor | None = None) -> Tensor:
        """The same as `forward`, from what `folded` returned; without gradients."""
        if self.condition_layer is not None:
            folded = folded + self.condition_layer(condition).detach()
        outputs = features.new_empty(len(features), self.output_layer.out_features)

        def block(number: int) -> None:
            rows = slice(number * _BLOCK, (number + 1) * _BLOCK)
            with torch.inference_mode():
                first = torch.addmm(folded[rows], features[rows], self.feature_layer.weight.T).relu_()
                second = torch.addmm(self.hidden_layer.bias, first, self.hidden_layer.weight.T).relu_()
                torch.addmm(self.output_layer.bias, second, self.output_layer.weight.T, out=outputs[rows])

        share(block, -(-len(features) // _BLOCK))
        return outputs


def decode_plainly(
    features: Tensor, encoding: Tensor,
    wf: Tensor, we: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, w3: Tensor, b3: Tensor,
) -> Tensor:  # fmt: skip
    """The decoder in plain torch: what CUDA runs, and the twin of the blocks."""
    first = torch.relu(features @ wf.T + encoding @ we.T + b1)
    return torch.relu(first @ w2.T + b2) @ w3.T + b3


class _Decode(torch.autograd.Function):
    """`decode_plainly` and its gradient, block by block; sums run in the order of the blocks, whoever computed them."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, encoding: Tensor, *weights: Tensor) -> Tensor:
        wf, we, b1, w2, b2, w3, b3 = weights
        count, hidden = len(features), len(b1)
        first, second = features.new_empty(count, hidden), features.new_empty(count, hidden)
        outputs = features.new_empty(count, len(b3))

        def block(number: int) -> None:
            rows = slice(number * _BLOCK, (number + 1) * _BLOCK)
            with torch.no_grad():
                torch.addmm(b1, encoding[rows], we.T, out=first[rows])
                first[rows].addmm_(features[rows], wf.T).relu_()
                torch.addmm(b2, first[rows], w2.T, out=second[rows])
                second[rows].relu_()
                torch.addmm(b3, second[rows], w3.T, out=outputs[rows])

        share(block, -(-count // _BLOCK))
        ctx.save_for_backward(features, encoding, first, second, wf, w2, w3)
        return outputs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        features, encoding, first, second, wf, w2, w3 = ctx.saved_tensors
        blocks = -(-len(features) // _BLOCK)
        by_features = torch.empty_like(features)
        parts: list[tuple[Tensor, ...]] = [()] * blocks
        threshold_backward = torch.ops.aten.threshold_backward  # zero where the unit was off

        def block(number: int) -> None:
            rows = slice(number * _BLOCK, (number + 1) * _BLOCK)
            with torch.no_grad():
                g3 = gradient[rows]
                g2 = threshold_backward(g3 @ w3, second[rows], 0)
                g1 = threshold_backward(g2 @ w2, first[rows], 0)
                torch.mm(g1, wf, out=by_features[rows])
                parts[number] = (
                    g1.T @ features[rows],
                    g1.T @ encoding[rows],
                    g1.sum(0),
                    g2.T @ first[rows],
                    g2.sum(0),
                    g3.T @ second[rows],
                    g3.sum(0),
                )

        share(block, blocks)
        return by_features, None, *(torch.stack(same).sum(0) for same in zip(*parts, strict=True))
