# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar whose Gaussians follow the points or the triangles of a rig: what other programs' head avatars become."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from headgas.avatars.avatar import Avatar
from headgas.avatars.blending import blend
from headgas.avatars.compact import CompactBasis
from headgas.avatars.expression_space import ExpressionSpace
from headgas.avatars.rig import Rig, Skeleton
from headgas.avatars.shading import shade
from headgas.avatars.skinning import turned_quaternions
from headgas.avatars.spherical_harmonics import MAX_DEGREE, coefficient_count, turned_harmonics
from headgas.avatars.surface_frames import Binding
from headgas.splatting import Camera, Gaussians
from headgas.splatting.rotations import products
from headgas.splatting.splats import Splats

_Frame = tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]
_ATTRIBUTES = ("offsets", "quaternions", "log_scales", "logits", "harmonics")


@dataclass(frozen=True)
class BlendshapesConfig:
    """What the tensors of a `BlendshapeAvatar` mean."""

    blended: tuple[str, ...] = ()  # the attributes that the basis holds, in the order of _ATTRIBUTES
    sh_degree: int = 0
    turn_harmonics: bool = False  # whether colours turn with the points, or stay as seen in rest
    antialiased: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "blended", tuple(self.blended))  # JSON has lists
        if tuple(name for name in _ATTRIBUTES if name in self.blended) != self.blended:
            raise ValueError(f"blended is {self.blended}; expected some of {_ATTRIBUTES}, in this order")
        if self.sh_degree not in range(MAX_DEGREE + 1):  # the kernels count on it
            raise ValueError(f"sh_degree is {self.sh_degree!r}; expected 0 to {MAX_DEGREE}")

    @property
    def sizes(self) -> dict[str, int]:
        """How many numbers each attribute has per Gaussian."""
        return dict(zip(_ATTRIBUTES, (3, 4, 3, 1, 3 * coefficient_count(self.sh_degree)), strict=True))


def conditions(offsets: Tensor, rig: Rig, trailing: int, width: int) -> Tensor:
    """What networks are given of an expression's distance from rest [P], as metrical-tracker's users arrange it.

    The shapes' parameters, then the first two rows of each driven joint's matrix, then the last `trailing` parameters
    of the shapes, then zeros for the place of the head: [width].
    """
    shapes = len(rig.shapes)
    leading, last = offsets[: shapes - trailing], offsets[shapes - trailing : shapes]
    rows = offsets.new_empty(0)
    if rig.skeleton is not None:
        matrices = rig.skeleton.matrices(offsets[shapes:].view(-1, 3))
        rows = matrices[list(rig.skeleton.driven), :2].flatten()
    known = torch.cat([leading, rows, last])
    return nn.functional.pad(known, (0, width - len(known)))


class Projection(nn.Module):
    """ψ: few coefficients of many parameters, by layers with ReLU between them."""

    def __init__(self, widths: Sequence[int], trailing: int = 0) -> None:
        """widths: of all layers, the input's first; trailing: see `conditions`."""
        super().__init__()
        self.widths, self.trailing = tuple(map(int, widths)), int(trailing)
        layers: list[nn.Module] = []
        for width, following in zip(self.widths[:-1], self.widths[1:], strict=True):
            layers += [nn.Linear(width, following), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, offsets: Tensor, rig: Rig) -> Tensor:
        """The coefficients [R] of an expression's distance from rest [P]."""
        return self.layers(conditions(offsets, rig, self.trailing, self.widths[0]))


class BlendshapeAvatar(Avatar):
    """Gaussians bound to a rig; a basis may change what they look like.

    x = origin + size · frame · offset     a point of the rig has no offset; a triangle has one, and a frame
    q = frame ⊗ rotation, s = size · exp(log scale), α = sigmoid(logit)
    (offset, rotation, log scale, logit, harmonics) = b_0 + Σ_r c_r b_r, with c = e - neutral or ψ(e - neutral)

    Sources: He et al. (LAM), SIGGRAPH 2025; Ma et al., "3D Gaussian Blendshapes", SIGGRAPH 2024; Qian et al.,
    "GaussianAvatars", CVPR 2024; Li et al., "RGBAvatar", CVPR 2025.
    """

    model = "Blendshapes"

    def __init__(
        self,
        space: ExpressionSpace,
        rig: Rig,
        attributes: dict[str, Tensor],
        config: BlendshapesConfig,
        basis: Tensor | CompactBasis | None = None,
        projection: Projection | None = None,
        binding: Binding | None = None,
    ) -> None:
        """An avatar in head space.

        Args:
            space: first the parameters of the rig's shapes, then three per driven joint.
            attributes: what is not blended, float32: `quaternions` [N,4], `log_scales` [N,3], `logits` [N,1],
                `harmonics` [N,3K], and `offsets` [N,3] where there is a binding.
            basis: [1+R,N,f], row 0 in rest; its f numbers are the attributes of `config.blended`. Row r belongs to
                parameter r-1, or to a coefficient of the projection.
        """
        super().__init__()
        if rig.parameters_used != len(space):
            raise TypeError(f"the rig takes {rig.parameters_used} parameters, the expression space has {len(space)}")
        self.expression_space, self.settings, self.antialiased = space, config, config.antialiased
        self.rig, self.projection, self.binding = rig, projection, binding
        self.stored_basis = basis
        names = _ATTRIBUTES if binding is not None else _ATTRIBUTES[1:]
        self._columns: dict[str, slice] = {}
        start = 0
        for name in config.blended:
            self._columns[name] = slice(start, start + config.sizes[name])
            start = self._columns[name].stop
        for name in names:
            if name not in config.blended:
                self.register_buffer(name, attributes[name])
                if attributes[name].shape != (self.count, config.sizes[name]):
                    raise TypeError(f"{name} has the shape {list(attributes[name].shape)}")
        if (basis is None) != (not config.blended) or basis is not None and basis.shape[1:] != (self.count, start):
            shape = None if basis is None else list(basis.shape)
            raise TypeError(f"the basis {shape} does not fit {self.count} Gaussians and {config.blended}")
        rows = 0 if basis is None else basis.shape[0] - 1
        if rows > len(space) if projection is None else rows != projection.widths[-1]:
            raise TypeError(f"the basis has {rows} rows besides rest, too many or too few")
        self._posed: tuple[bytes, _Frame] | None = None  # the last expression
        self._still: tuple[Tensor | None, Tensor | None] | None = None  # scales and looks that no expression changes

    @property
    def count(self) -> int:
        return len(self.rig.points) if self.binding is None else len(self.binding.of)

    @property
    def device(self) -> torch.device:
        return self.rig.points.device

    def gaussians(self, expression: Tensor, camera: Camera) -> Gaussians:
        self.check_expression(expression)
        means, quaternions, scales, looks, turns = self._frame(expression)
        seen, position = means, camera.position
        if turns is not None:  # turned harmonics seen from here are the same as they were, seen from the turned side
            seen = torch.einsum("nji,nj->ni", turns, means - position)
            position = torch.zeros_like(position)
        bands = coefficient_count(self.settings.sh_degree)
        opacities, colors = shade(looks, seen, position, bands, 3 * bands)
        return Gaussians(means, quaternions, scales, opacities, colors)

    @torch.no_grad()
    def splats(self, expression: Tensor) -> Splats:
        self.check_expression(expression)
        means, quaternions, scales, looks, turns = self._frame(expression)
        harmonics = looks[:, :-1].reshape(len(looks), -1, 3)
        if turns is not None:
            harmonics = turned_harmonics(harmonics, turns)
        return Splats(means, quaternions, scales.log(), looks[:, -1].clone(), harmonics.clone(), self.antialiased)

    @torch.no_grad()
    def _frame(self, expression: Tensor) -> _Frame:
        """Means, quaternions, scales, looks [N,3K+1] (harmonics and logit), and how harmonics turn [N,3,3]."""
        if expression.is_cuda:  # whose values the host would have to wait for
            return self._evaluated(expression - self.neutral())
        key = expression.numpy().tobytes()
        if self._posed is None or self._posed[0] != key:
            self._posed = key, self._evaluated(expression - self.neutral())
        return self._posed[1]

    def _evaluated(self, offsets: Tensor) -> _Frame:
        attributes = self._attributes(offsets)
        points, turns = self.rig(offsets)
        scales, looks = self._scales_and_looks(attributes)
        quaternions = attributes["quaternions"]
        if self.binding is not None:
            points, axes, frames, sizes = self.binding(points)
            points = points + torch.einsum("nij,nj->ni", axes, attributes["offsets"]) * sizes[:, None]
            quaternions = products(frames, nn.functional.normalize(quaternions, dim=1))
            scales, turns = scales * sizes[:, None], None
        elif turns is not None:
            quaternions = turned_quaternions(turns, quaternions)
        turned = turns if self.settings.turn_harmonics and self.settings.sh_degree else None
        return points, quaternions, scales, looks, turned

    def _scales_and_looks(self, attributes: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Scales [N,3], and harmonics and logit [N,3K+1]; made once where no expression changes them."""
        if self._still is None:
            looks_move = {"harmonics", "logits"} & self._columns.keys()
            self._still = (
                None if "log_scales" in self._columns else attributes["log_scales"].exp(),
                None if looks_move else torch.cat([attributes["harmonics"], attributes["logits"]], 1),
            )
        scales, looks = self._still
        if scales is None:
            scales = attributes["log_scales"].exp()
        if looks is None:
            looks = torch.cat([attributes["harmonics"], attributes["logits"]], 1)
        return scales, looks

    def _attributes(self, offsets: Tensor) -> dict[str, Tensor]:
        names = [name for name in _ATTRIBUTES if name not in self._columns and hasattr(self, name)]
        attributes = {name: self.get_buffer(name) for name in names}
        basis = self.stored_basis
        if basis is None:
            return attributes
        coefficients = self.projection(offsets, self.rig) if self.projection is not None else offsets
        coefficients = torch.cat([offsets.new_ones(1), coefficients[: basis.shape[0] - 1]])
        if isinstance(basis, CompactBasis) and not coefficients.is_cuda:
            blended = basis.blend(coefficients)
        else:
            blended = blend(basis.expanded() if isinstance(basis, CompactBasis) else basis, coefficients)
        return attributes | {name: blended[:, columns] for name, columns in self._columns.items()}

    def _apply(self, fn: Any, recurse: bool = True) -> "BlendshapeAvatar":
        basis, self._posed, self._still = self.stored_basis, None, None
        if basis is not None:
            self.stored_basis = basis.mapped(fn) if isinstance(basis, CompactBasis) else fn(basis)
        return super()._apply(fn, recurse)

    def config(self) -> dict[str, Any]:
        skeleton, projection = self.rig.skeleton, self.projection
        return asdict(self.settings) | {
            "skeleton": skeleton and {"parents": list(skeleton.parents), "driven": list(skeleton.driven)},
            "projection": projection and {"widths": list(projection.widths), "trailing": projection.trailing},
            "bound": self.binding is not None,
        }

    def tensors(self, compact: bool = False) -> dict[str, Tensor]:
        basis = self.stored_basis
        if compact and isinstance(basis, Tensor):
            basis = CompactBasis.compressed(basis)
        held = {} if basis is None else basis.tensors() if isinstance(basis, CompactBasis) else {"basis": basis}
        return dict(self.state_dict()) | held

    @classmethod
    def from_checkpoint(
        cls, config: dict[str, Any], tensors: dict[str, Tensor], space: ExpressionSpace
    ) -> "BlendshapeAvatar":
        config = dict(config)
        skeleton, projection, bound = (config.pop(name) for name in ("skeleton", "projection", "bound"))
        settings = BlendshapesConfig(**config)

        def part(name: str) -> dict[str, Tensor]:
            start = f"{name}."
            return {key.removeprefix(start): tensor for key, tensor in tensors.items() if key.startswith(start)}

        rig = Rig(
            tensors["rig.points"],
            tensors["rig.shapes"],
            Skeleton(**part("rig.skeleton"), **skeleton) if skeleton else None,
        )
        psi = Projection(**projection) if projection else None
        if psi is not None:
            psi.load_state_dict(part("projection"))
        binding = None
        if bound:
            held = part("binding")
            tangents = held.pop("tangents")
            binding = Binding(**held, tangents=tangents if len(tangents) else None)
        basis: Tensor | CompactBasis | None = tensors.get("basis")
        if basis is None and settings.blended:
            basis = CompactBasis.from_tensors(tensors)
        attributes = {name: tensors[name] for name in _ATTRIBUTES if name in tensors}
        return cls(space, rig, attributes, settings, basis, psi, binding).eval()
