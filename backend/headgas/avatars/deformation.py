# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianHead's deformation field: how the expression moves, turns and stretches each Gaussian.

Source: Wang et al., "GaussianHead: High-fidelity Head Avatars with Learnable Gaussian Derivation", TVCG 2025,
arXiv 2312.01632, and its published code: eight layers of 256 units, the input again after the fifth.
"""

import torch
from torch import Tensor, nn

from headgas.avatars.blocks import in_blocks
from headgas.avatars.encoding import plain_encoding

_OUTPUTS = {"move": 3, "turn": 4, "stretch": 3}


class Deformation(nn.Module):
    """(PE(x), expression) -> Δposition [N,3], Δquaternion [N,4], Δscale [N,3]."""

    def __init__(self, octaves: int, expression: int, layers: int, width: int) -> None:
        """layers: at least 3; the input enters the first, and again the one after the middle."""
        super().__init__()
        self._octaves = octaves
        self._encoding, self._expression = 3 + 6 * octaves, expression
        size = self._encoding + expression
        self._again = layers // 2 + 1  # the layer that sees the input again
        widths = [size] + [width] * (layers - 1)
        widths[self._again] += size
        self.layers = nn.ModuleList(nn.Linear(inputs, width) for inputs in widths)
        for name, outputs in _OUTPUTS.items():
            setattr(self, name, nn.Linear(width, outputs))

    def stand_still(self) -> None:
        """Begin without motion, and blind to the expression: all it learns of it is what the pictures ask for."""
        for name in _OUTPUTS:
            for parameter in self.get_submodule(name).parameters():
                nn.init.zeros_(parameter)
        with torch.no_grad():
            for number in (0, self._again):
                self.layers[number].get_parameter("weight")[:, self._encoding : self._encoding + self._expression] = 0

    def encode(self, positions: Tensor) -> Tensor:
        """PE [N,3+6L] of positions [N,3]."""
        return plain_encoding(positions, self._octaves)

    def forward(self, encoding: Tensor, expression: Tensor) -> Tensor:
        """Δposition, Δquaternion and Δscale [N,10] of encoded positions [N,3+6L] and an expression [B]."""
        shared: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
            if number in (0, self._again):  # the expression is the same for all: it is part of the bias
                by_position, by_expression, weight = weight.tensor_split(
                    [self._encoding, self._encoding + self._expression], dim=1
                )
                bias = bias + by_expression @ expression
                shared.append(by_position)
            shared += [weight, bias]
        heads = [self.get_submodule(name) for name in _OUTPUTS]
        shared += [torch.cat([head.get_parameter(name) for head in heads]) for name in ("weight", "bias")]
        return in_blocks(self._block, [encoding], shared)

    def _block(self, encoding: Tensor, *shared: Tensor) -> Tensor:
        rest = list(shared)
        hidden = encoding[:, :0]
        for number in range(len(self.layers)):
            again = encoding @ rest.pop(0).T if number in (0, self._again) else None
            weight, bias = rest.pop(0), rest.pop(0)
            units = torch.addmm(bias, hidden, weight.T)
            hidden = torch.relu(units if again is None else units + again)
        return torch.addmm(rest[1], hidden, rest[0].T)
