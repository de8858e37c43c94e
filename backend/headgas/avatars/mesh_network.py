# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar whose Gaussians sit on a moving mesh, and which a network shifts, turns and sizes: FlashAvatar.

Source: Xiang et al., "FlashAvatar: High-fidelity Head Avatar with Efficient Gaussian Embedding", CVPR 2024, and its
published code (USTC3DV/FlashAvatar-code, Deform_Model.decode and GaussianModel.update_xyz_rot_scale).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from headgas.avatars.avatar import Avatar
from headgas.avatars.blendshapes import conditions
from headgas.avatars.encoding import plain_encoding
from headgas.avatars.expression_space import ExpressionSpace
from headgas.avatars.rig import Rig, Skeleton
from headgas.avatars.shading import shade
from headgas.splatting import Camera, Gaussians
from headgas.splatting.rotations import products
from headgas.splatting.splats import Splats

_OCTAVES = 8
_ENCODED = 3 + 6 * _OCTAVES
_OUTPUTS = 10  # shift, turn and size
_CONSTANTS = ("triangles", "barycentric", "places", "quaternions", "log_scales", "logits", "harmonics", "turn")
_Frame = tuple[Tensor, Tensor, Tensor]


class MeshNetworkAvatar(Avatar):
    """x = triangle · barycentric + Δx, q = q_0 (exp(r_0), r_1, r_2, r_3), s = exp(log scale · exp(σ))

    (Δx, r, σ) = tanh(MLP(PE(place in rest), expression)), in the axes of the file, which `turn` takes to head space.
    """

    model = "MeshNetwork"
    triangles: Tensor
    barycentric: Tensor
    places: Tensor
    quaternions: Tensor
    log_scales: Tensor
    logits: Tensor
    harmonics: Tensor
    turn: Tensor

    def __init__(
        self, space: ExpressionSpace, rig: Rig, constants: dict[str, Tensor], widths: Sequence[int], trailing: int
    ) -> None:
        """An avatar whose rig is in head space.

        Args:
            constants: `triangles` [N,3] int64 (each Gaussian's points of the rig) and `barycentric` [N,3]; in the axes
                and the unit of the file `places` [N,3] in rest and `log_scales` [N,3]; in head space `quaternions`
                [N,4] and `harmonics` [N,K,3]; `logits` [N]; and `turn` [3,3], those axes to head space in metres.
            widths: of the network's layers, the input's first and without the output's.
            trailing: see `conditions`.
        """
        super().__init__()
        if rig.parameters_used != len(space):
            raise TypeError(f"the rig takes {rig.parameters_used} parameters, the expression space has {len(space)}")
        self.expression_space, self.antialiased, self.rig, self.trailing = space, False, rig, int(trailing)
        count, bands = len(constants["triangles"]), constants["harmonics"].shape[1]
        if bands not in (1, 4, 9, 16):  # the kernels count on it
            raise ValueError(f"harmonics has {bands} coefficients; expected 1, 4, 9 or 16")
        shapes = ((count, 3), (count, 3), (count, 3), (count, 4), (count, 3), (count,), (count, bands, 3), (3, 3))
        for name, shape in zip(_CONSTANTS, shapes, strict=True):
            if constants[name].shape != shape:
                raise TypeError(f"{name} has the shape {list(constants[name].shape)}, not {list(shape)}")
            self.register_buffer(name, constants[name])
        if count and not 0 <= int(self.triangles.min()) <= int(self.triangles.max()) < len(rig.points):
            raise ValueError("triangles name points that the rig has not")
        self.widths = tuple(map(int, widths))
        pairs = zip(self.widths[:-1], self.widths[1:], strict=True)
        self.fcs = nn.ModuleList(nn.Linear(width, following) for width, following in pairs)
        self.output_linear = nn.Linear(self.widths[-1], _OUTPUTS)
        self._posed: tuple[bytes, _Frame] | None = None

    @property
    def count(self) -> int:
        return len(self.triangles)

    def gaussians(self, expression: Tensor, camera: Camera) -> Gaussians:
        self.check_expression(expression)
        means, quaternions, log_scales = self._frame(expression)
        looks = torch.cat([self.harmonics.flatten(1), self.logits[:, None]], 1)
        bands = self.harmonics.shape[1]
        opacities, colors = shade(looks, means, camera.position, bands, 3 * bands)
        return Gaussians(means, quaternions, log_scales.exp(), opacities, colors)

    def splats(self, expression: Tensor) -> Splats:
        self.check_expression(expression)
        return Splats(*self._frame(expression), self.logits, self.harmonics)

    @torch.no_grad()
    def _frame(self, expression: Tensor) -> _Frame:
        """Means [N,3], quaternions [N,4] and logarithms of scales [N,3] in head space; the last one is kept."""
        if expression.is_cuda:
            return self._evaluated(expression - self.neutral())
        key = expression.numpy().tobytes()
        if self._posed is None or self._posed[0] != key:
            self._posed = key, self._evaluated(expression - self.neutral())
        return self._posed[1]

    def _evaluated(self, offsets: Tensor) -> _Frame:
        given = conditions(offsets, self.rig, self.trailing, self.widths[0] - _ENCODED)
        first = self.fcs[0]
        assert isinstance(first, nn.Linear)
        # What is the same for all Gaussians enters once
        shared = first.weight[:, _ENCODED:] @ given + first.bias
        hidden = torch.relu(plain_encoding(self.places, _OCTAVES) @ first.weight[:, :_ENCODED].T + shared)
        for layer in self.fcs[1:]:
            hidden = torch.relu(layer(hidden))
        shift, turn, size = torch.tanh(self.output_linear(hidden)).split([3, 4, 3], 1)
        points, _ = self.rig(offsets)
        unit = self.turn.norm(dim=0).mean()  # metres per unit of the file
        means = (points[self.triangles] * self.barycentric[:, :, None]).sum(1) + shift @ self.turn.T
        turned = products(self.quaternions, torch.cat([turn[:, :1].exp(), turn[:, 1:]], 1))
        return means, turned, self.log_scales * size.exp() + unit.log()

    def train(self, mode: bool = True) -> "MeshNetworkAvatar":
        self._posed = None
        return super().train(mode)

    def _apply(self, fn: Any, recurse: bool = True) -> "MeshNetworkAvatar":
        self._posed = None
        return super()._apply(fn, recurse)

    def config(self) -> dict[str, Any]:
        skeleton = self.rig.skeleton
        return {
            "skeleton": skeleton and {"parents": list(skeleton.parents), "driven": list(skeleton.driven)},
            "widths": list(self.widths),
            "trailing": self.trailing,
        }

    def tensors(self, compact: bool = False) -> dict[str, Tensor]:
        return dict(self.state_dict())

    @classmethod
    def from_checkpoint(
        cls, config: dict[str, Any], tensors: dict[str, Tensor], space: ExpressionSpace
    ) -> "MeshNetworkAvatar":
        start = "rig.skeleton."
        joints = {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
        skeleton = Skeleton(**joints, **config["skeleton"]) if config["skeleton"] else None
        rig = Rig(tensors["rig.points"], tensors["rig.shapes"], skeleton)
        constants = {name: tensors[name] for name in _CONSTANTS}
        avatar = cls(space, rig, constants, config["widths"], config["trailing"])
        avatar.load_state_dict(tensors)
        return avatar.eval()
