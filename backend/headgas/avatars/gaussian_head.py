# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianHead: Gaussians move with the expression through factors on three planes, which say how they look.

Source: Wang et al., "GaussianHead: High-fidelity Head Avatars with Learnable Gaussian Derivation", TVCG 2025,
arXiv 2312.01632, and its published code (chiehwangs/gaussian-head).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from headgas.avatars.blocks import in_blocks
from headgas.avatars.deformation import Deformation
from headgas.avatars.derivations import derived, starting_derivations
from headgas.avatars.expression_space import ExpressionSpace
from headgas.avatars.factors import Factors
from headgas.avatars.fitted_harmonics import fitted_harmonics
from headgas.avatars.shading import shade
from headgas.avatars.spherical_harmonics import MAX_DEGREE, coefficient_count, sh_basis
from headgas.avatars.stretching import unstretched
from headgas.avatars.trainable import TrainableAvatar
from headgas.splatting import Camera, Gaussians
from headgas.splatting.rotations import matrices_of, products
from headgas.splatting.splats import Splats

_COST = 0.01  # metres: what a unit of Δq or Δs costs, beside a metre of Δμ
_GEOMETRY = 32  # features that the opacity network hands to the colour network
_THINNEST = 1e-9  # metres; has a logarithm
_MOST_LAYERS = 64  # what a damaged file says must not take hours to build
_REACH = 1.2  # of the starting points' radius: what the planes cover


@dataclass(frozen=True)
class GaussianHeadConfig:
    """The model's size and its variants; the numbers are the paper's and its code's where nothing else is said."""

    derivations: int = 4  # K
    learnt_derivations: bool = True  # False: all stay the identity, the fixed mapping that the paper argues against
    channels: int = 8  # of each derivation
    resolutions: tuple[int, ...] = (64,)  # of the planes; (64, 128, 256, 512) up to the paper's fourth version
    hashed_rows: int = 0  # of a plane that are stored, shared by a hash; a power of two, or 0: all of them
    octaves: int = 10  # of the positional encoding
    deformation_layers: int = 8
    deformation_width: int = 256
    hidden: int = 64  # units of the decoders' hidden layers
    sh_degree: int = MAX_DEGREE
    antialiased: bool = True  # not in the published code; keeps the look when the resolution changes
    warm_up: float = 3 / 80  # share of training without motion
    # The published code's arithmetic, as its weights need it: derivations that stretch what they should turn, mixed
    # among all Gaussians in the file's order, quaternions that are not normalised, changes of scale that are added,
    # one slice of channels for all derivations, sigmoids as the opacity network's hidden units and linear ones as the
    # colour network's; else both are ReLUs.
    released: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "resolutions", tuple(self.resolutions))  # JSON has lists
        if not 3 <= self.deformation_layers <= _MOST_LAYERS:
            raise ValueError(f"deformation_layers is {self.deformation_layers}; expected 3 to {_MOST_LAYERS}")
        if not self.resolutions or min(self.resolutions) < 2:
            raise ValueError(f"resolutions is {self.resolutions}; expected at least one, of at least 2 texels")
        if self.hashed_rows < 0 or self.hashed_rows & (self.hashed_rows - 1):
            raise ValueError(f"hashed_rows is {self.hashed_rows}; expected a power of two, or 0")

    def build(self, space: ExpressionSpace, points: Tensor) -> "GaussianHead":
        return GaussianHead(space, points, self)


class GaussianHead(TrainableAvatar):
    """With x = (μ - center)/extent, e the expression from neutral and d the direction from the camera:

    (Δx, Δq, Δs) = MLP(PE(x), e)                       the deformation field; zero during warm-up
    f = concatenation over k of factors(R_k (x + Δx))  R_k: this Gaussian's K learnt rotations
    (α, g) = MLP(f); harmonics = MLP(g, d)             the decoders, shared by all Gaussians
    """

    model = "GaussianHead"
    splats_lack = "colours were fitted: a network makes them for each view, and files of splats hold harmonics."
    orientation: Tensor  # [4] unit quaternion: turns the model's axes into head space's; a buffer

    def __init__(self, space: ExpressionSpace, points: Tensor, config: GaussianHeadConfig) -> None:
        super().__init__(space, points, config)
        self.settings = config
        count, device = len(points), points.device
        self.register_buffer("extent", _REACH * (points - self.center).norm(dim=1).amax().clamp_min(1e-3))
        self.register_buffer("orientation", torch.tensor([1.0, 0, 0, 0], device=device))
        self.derivations: nn.Parameter | None = None  # [N,K,4]
        if config.learnt_derivations:
            same = starting_derivations(config.derivations).to(device)
            self.derivations = nn.Parameter(same.repeat(count, 1, 1))
        self.factors = Factors(
            config.resolutions, config.derivations, config.channels, config.hashed_rows, config.released
        )
        self.deformation = Deformation(
            config.octaves, len(space), config.deformation_layers, config.deformation_width
        )
        if not config.released:
            self.deformation.stand_still()
        hidden = config.hidden
        self.opacity_network = _layers(config.derivations * config.channels, hidden, hidden, 1 + _GEOMETRY)
        harmonics = 3 * coefficient_count(config.sh_degree)
        self.color_network = _layers(_GEOMETRY + 3, hidden, harmonics)
        self.base_layer = nn.Linear(harmonics, 3)
        self.band_layer = nn.Linear(harmonics, harmonics - 3)
        self.moves = True  # False during warm-up
        self._encoding: Tensor | None = None  # PE(x) [N,3+6L]
        self._costs: list[Tensor] = []  # of moving, in each frame studied last: []

    def refresh(self) -> None:
        self._encoding = None

    def advance(self, progress: float) -> None:
        self.moves = progress >= self.settings.warm_up

    def study(self, expressions: Tensor, cameras: Sequence[Camera]) -> tuple[None, list[Gaussians]]:
        self._costs.clear()
        return None, [self._gaussians(*frame) for frame in zip(expressions, cameras, strict=True)]

    def penalty(self) -> Tensor | None:
        return torch.stack(self._costs).mean() if self._costs else None

    def gaussians(self, expression: Tensor, camera: Camera) -> Gaussians:
        self.check_expression(expression)
        return self._gaussians(expression, camera)

    @torch.no_grad()
    def splats(self, expression: Tensor) -> Splats:
        self.check_expression(expression)
        axes, bands = self._axes(), coefficient_count(self.sh_degree)
        places, means, quaternions, scales = self._moved(axes, expression)
        factors = self._factors(places)

        def color(direction: Tensor) -> Tensor:
            seen = (direction @ axes).expand(self.count, 3)
            harmonics = self._looks(factors, seen)[:, : 3 * bands].view(-1, bands, 3)
            return 0.5 + sh_basis(seen[:1], self.sh_degree)[0] @ harmonics

        logits = self._looks(factors, torch.zeros_like(places))[:, -1]  # no view changes it
        harmonics = fitted_harmonics(color, self.device)
        log_scales = scales.clamp_min(_THINNEST).log()
        return Splats(means.clone(), quaternions.clone(), log_scales, logits.clone(), harmonics, self.antialiased)

    def _gaussians(self, expression: Tensor, camera: Camera) -> Gaussians:
        axes = self._axes()
        places, means, quaternions, scales = self._moved(axes, expression)
        eye = (camera.position - self.center) @ axes / self.extent
        directions = nn.functional.normalize(self._resting(axes).detach() - eye, dim=1)
        outputs = self._looks(self._factors(places), directions)
        bands = coefficient_count(self.sh_degree)
        opacities, colors = shade(outputs, places, eye, bands, outputs.shape[1] - 1)
        return Gaussians(means, quaternions, scales, opacities, colors)

    def _axes(self) -> Tensor:
        """[3,3]; the columns are the model's axes in head space."""
        return matrices_of(self.orientation[None])[0]

    def _resting(self, axes: Tensor) -> Tensor:
        """x [N,3], where Gaussians rest in the model."""
        return (self.means - self.center) @ axes / self.extent

    def _moved(self, axes: Tensor, expression: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Places [N,3] in the model; in head space means [N,3], quaternions [N,4] and scales [N,3]."""
        resting = self._resting(axes)
        means, quaternions, scales = self.means, self.quaternions, self.log_scales.exp()
        if not self.moves:
            return resting, means, quaternions, scales
        move, turn, stretch = self._motion(resting, expression)
        if self.training:
            moved = torch.cat([self.extent * move, _COST * turn, _COST * stretch], 1)
            self._costs.append(moved.abs().sum(1).mean())
        # Turns are added in the model's axes: (q @ into_head) is the product of `orientation` and q.
        into_head = products(self.orientation, torch.eye(4, device=turn.device))
        quaternions = nn.functional.normalize(quaternions, dim=1) @ into_head.T + turn
        if self.settings.released:
            quaternions, scales = unstretched(quaternions, scales + self.extent * stretch)
        else:
            scales = (self.log_scales + stretch).exp()
        return resting + move, means + self.extent * move @ axes.T, quaternions @ into_head, scales

    def _motion(self, resting: Tensor, expression: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the expression does to Gaussians that rest at [N,3]: Δx [N,3], Δq [N,4], Δs [N,3]."""
        if self._encoding is None:
            with torch.inference_mode(False), torch.no_grad():  # training must be able to use it, whoever asked first
                self._encoding = self.deformation.encode(resting.detach())
        move, turn, stretch = self.deformation(self._encoding, expression - self.neutral()).split([3, 4, 3], dim=1)
        return move, turn, stretch

    def _factors(self, places: Tensor) -> Tensor:
        """Factors [N,K·c] of Gaussians at places [N,3] of the model."""
        if self.derivations is None:
            return self.factors(places[:, None].repeat(1, self.settings.derivations, 1))
        return self.factors(derived(places, self.derivations, self.settings.released))

    def _looks(self, factors: Tensor, directions: Tensor) -> Tensor:
        """Harmonics, coefficient by coefficient, and the opacity's logit [N,3(d+1)²+1]; directions [N,3]."""
        first, second, third = (layer.get_parameter("weight") for layer in self.opacity_network)
        hidden, last = (layer.get_parameter("weight") for layer in self.color_network)
        # No activation lies between the colour network's last layer and the two that split its outputs.
        split, bias = (
            torch.cat([self.base_layer.get_parameter(name), self.band_layer.get_parameter(name)])
            for name in ("weight", "bias")
        )
        return in_blocks(self._look, [factors, directions], [first, second, third, hidden, split @ last, bias])

    def _look(
        self, factors: Tensor, directions: Tensor,
        first: Tensor, second: Tensor, third: Tensor, hidden: Tensor, last: Tensor, bias: Tensor,
    ) -> Tensor:  # fmt: skip
        activation = torch.sigmoid if self.settings.released else torch.relu
        units = activation(activation(factors @ first.T) @ second.T) @ third.T
        seen = torch.cat([units[:, 1:], directions], 1) @ hidden.T
        seen = seen if self.settings.released else torch.relu(seen)
        return torch.cat([torch.addmm(bias, seen, last.T), units[:, :1]], 1)

    def _apply(self, fn: Any, recurse: bool = True) -> "GaussianHead":
        self.refresh()
        return super()._apply(fn, recurse)

    @torch.no_grad()
    def features(self) -> tuple[Tensor, str]:
        return self._factors(self._resting(self._axes()))[None], "factors at rest"

    def config(self) -> dict[str, Any]:
        return asdict(self.settings) | {"sh_degree_in_use": self.sh_degree, "moves": self.moves}

    def tensors(self, compact: bool = False) -> dict[str, Tensor]:
        exact = ("means",)  # half floats would move Gaussians by a tenth of a pixel
        return {
            name: value.half() if compact and name not in exact else value for name, value in self.state_dict().items()
        }

    @classmethod
    def from_checkpoint(
        cls, config: dict[str, Any], tensors: dict[str, Tensor], space: ExpressionSpace
    ) -> "GaussianHead":
        config = dict(config)
        in_use, moves = config.pop("sh_degree_in_use"), config.pop("moves")
        avatar = cls(space, tensors["means"], GaussianHeadConfig(**config))
        avatar.use_degree(in_use)
        avatar.moves = bool(moves)
        avatar.load_state_dict(tensors)
        return avatar.eval()


def _layers(*sizes: int) -> nn.ModuleList:
    """Linear layers without biases."""
    return nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in zip(sizes, sizes[1:], strict=False))
