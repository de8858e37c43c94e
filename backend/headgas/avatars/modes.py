# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion modes, our own model: Gaussians move with the expression, neighbours together, and look as they always do.

GPAvatar (CVPR 2025) shows that motion which is a linear map of the expression, one for each Gaussian, beats motion from
networks; but each map has to be learnt from the few frames that show it. Here one small network for all Gaussians says
from where a Gaussian is, and from a code of its own, how much it takes part in each mode; the expression mixes modes.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headgas.avatars.blocks import in_blocks
from headgas.avatars.decoder import Decoder
from headgas.avatars.encoding import positional_encoding
from headgas.avatars.expression_space import ExpressionSpace
from headgas.avatars.inference import colors_from, flat, laid_out
from headgas.avatars.modes_kernel import BLOCK, GROUP, PARTS, move
from headgas.avatars.packing import packed, unpacked
from headgas.avatars.shading import shade
from headgas.avatars.spherical_harmonics import coefficient_count
from headgas.avatars.trainable import TrainableAvatar
from headgas.splatting import Camera, Gaussians
from headgas.splatting.compiling import announced
from headgas.splatting.simd_math import ROWS
from headgas.splatting.splats import Splats
from headgas.splatting.threads import run

# Of Δμ, Δq and Δlog s: by what a unit of C moves them, Δμ times the head's extent; what it costs to move, by metres
_GAINS = (0.1, 0.1, 0.1, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3)
_COSTS = (1.0, 1.0, 1.0, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01)
_SIZES = [3, 4, 3]
_PACKED = ("quaternions", "log_scales", "base", "bands", "opacity", "code")  # as bytes in a compact file
_UNIT = 0.02  # how far from 1 the length of a packed quaternion may be
_COMPILE_SECONDS = 3
_LEAST_RANGE = 1e-3  # what never moved is not divided by its range


@dataclass(frozen=True)
class ModesConfig:
    """The model's size."""

    modes: int = 64  # M
    code: int = 16  # numbers of each Gaussian's code
    hidden: int = 64  # H, and the units of the field's hidden layers
    frequencies: int = 4  # octaves of the positional encoding
    sh_degree: int = 3
    antialiased: bool = True

    def build(self, space: ExpressionSpace, points: Tensor) -> "Modes":
        return Modes(space, points, self)


@dataclass(frozen=True)
class _Still:
    """What no expression changes, computed once for rendering."""

    motion: tuple[np.ndarray, ...]  # h, a, C, and what rests less C relu(u), as `move` takes them
    harmonics: np.ndarray  # `laid_out`
    opacities: Tensor  # [N]


class Modes(TrainableAvatar):
    """Means, rotations and scales follow the expression e; harmonics and opacity are each Gaussian's own.

    h = MLP(code, PE(μ))                                     [M]: how much a Gaussian takes part in each mode
    u = A h + a                                              [H]
    (Δμ, Δq, Δlog s) = C (relu(u + Σ_b x_b V_b h) - relu(u)) with x = (e - neutral) / the range that training saw

    Where no unit changes sign this is linear in e; beyond the range that training saw it goes on as straight.
    """

    model = "Modes"
    span: Tensor  # [B], a buffer: what parameters are divided by
    gains: Tensor  # [10,1], a buffer that no file holds; `costs` [10] likewise
    costs: Tensor

    def __init__(self, space: ExpressionSpace, points: Tensor, config: ModesConfig) -> None:
        super().__init__(space, points, config)
        self.settings = config
        count, device = len(points), points.device
        low, high, neutral = (torch.tensor(values, device=device) for values in (space.low, space.high, space.neutral))
        span = torch.maximum(high - neutral, neutral - low)
        self.register_buffer("span", torch.where(span > _LEAST_RANGE, span, 1.0))
        bands = coefficient_count(config.sh_degree) - 1
        for name, columns in (("base", 3), ("bands", 3 * bands), ("opacity", 1), ("code", config.code)):
            self.register_parameter(name, nn.Parameter(torch.zeros(count, columns, device=device)))
        encoding = 3 + 6 * config.frequencies
        self.field = Decoder(config.code, encoding, config.hidden, config.modes).to(device)
        self.resting = nn.Linear(config.modes, config.hidden, device=device)  # A, a
        self.mixer = nn.Linear(len(space), config.hidden * config.modes, bias=False, device=device)  # V
        self.moving = nn.Linear(config.hidden, len(_GAINS), bias=False, device=device)  # C
        nn.init.zeros_(self.mixer.weight)  # nothing moves to begin with
        self.register_buffer("gains", torch.tensor(_GAINS, device=device)[:, None], persistent=False)
        self.register_buffer("costs", torch.tensor(_COSTS, device=device), persistent=False)
        self._encoding: Tensor | None = None  # PE(μ) [N,3+6L]
        self._still: _Still | None = None  # for rendering
        self._last: tuple[bytes, tuple[Tensor, Tensor, Tensor]] | None = None  # the last expression rendered
        self._cost: Tensor | None = None  # of the frames studied last

    def study(self, expressions: Tensor, cameras: Sequence[Camera]) -> tuple[None, list[Gaussians]]:
        shares, resting, looks = self.shares(), self._resting(), self._looks()
        motions = [self._motion(shares, expression) for expression in expressions]
        self._cost = torch.stack([(motion.abs() @ self.costs).mean() for motion in motions]).mean()
        frames = zip(motions, cameras, strict=True)
        return None, [self._shown(_parts(resting + motion), looks, camera) for motion, camera in frames]

    def penalty(self) -> Tensor | None:
        return self._cost

    def gaussians(self, expression: Tensor, camera: Camera) -> Gaussians:
        self.check_expression(expression)
        posed = self._posed(expression)
        if not self._only_shown:
            return self._shown(posed, self._looks(), camera)
        still, (means, quaternions, log_scales) = self._at_rest(), posed
        colors = colors_from(still.harmonics, self.means, camera)
        return Gaussians(means, quaternions, log_scales.exp(), still.opacities, colors)

    def splats(self, expression: Tensor) -> Splats:
        self.check_expression(expression)
        bands, looks = coefficient_count(self.sh_degree), self._looks()
        parts = (*self._posed(expression), looks[:, -1], looks[:, : 3 * bands].reshape(-1, bands, 3))
        return Splats(*(part.detach().clone() for part in parts), antialiased=self.antialiased)

    def shares(self) -> Tensor:
        """How much every Gaussian takes part in each mode: h [N,M]."""
        if self._encoding is None:
            with torch.inference_mode(False), torch.no_grad():  # training must be able to use it, whoever asked first
                position = (self.means - self.center) / self.extent
                self._encoding = positional_encoding(position, self.settings.frequencies)
        return self.field(self.get_parameter("code"), self._encoding)

    def _resting(self) -> Tensor:
        """Means, unit quaternions and log scales [N,10] of the neutral expression."""
        return torch.cat([self.means, nn.functional.normalize(self.quaternions, dim=1), self.log_scales], 1)

    def _looks(self) -> Tensor:
        """Harmonics and the opacity's logit [N,3(d+1)²+1]."""
        return torch.cat([self.get_parameter(name) for name in ("base", "bands", "opacity")], 1)

    def _mixed(self, expression: Tensor) -> Tensor:
        """Σ_b x_b V_b [H,M]."""
        return self.mixer((expression - self.neutral()) / self.span).view(self.settings.hidden, -1)

    def _moving(self) -> Tensor:
        """C [10,H], of metres, a quaternion's parts and logarithms."""
        extent = self.extent.expand(3, 1)
        return self.gains * torch.cat([extent, torch.ones_like(self.gains[3:])]) * self.moving.weight

    def _motion(self, shares: Tensor, expression: Tensor) -> Tensor:
        """Δμ, Δq and Δlog s [N,10] of an expression [B], for shares [N,M]."""
        weights = [self._mixed(expression), self.resting.weight, self.resting.bias, self._moving()]
        return in_blocks(_mix, [shares], weights)

    def _posed(self, expression: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Means [N,3], quaternions [N,4] of any length and log scales [N,3] of an expression [B]."""
        if not self._only_shown:
            return _parts(self._resting() + self._motion(self.shares(), expression))
        key = expression.numpy().tobytes()
        if self._last is None or self._last[0] != key:
            shares, bias, last, resting = self._at_rest().motion
            mixed = flat((self.resting.weight + self._mixed(expression)).T, len(bias))
            means, quaternions, log_scales = (torch.empty(self.count, size) for size in _SIZES)
            moved = means.numpy(), quaternions.numpy(), log_scales.numpy()
            with announced("the motion of Gaussians", _COMPILE_SECONDS):
                run(move, -(-self.count // BLOCK), shares, mixed, bias, last, resting, *moved)
            self._last = key, (means, quaternions, log_scales)
        return self._last[1]

    @property
    def _only_shown(self) -> bool:
        """Whether the CPU's short way serves: nothing is trained."""
        return not (self.training or torch.is_grad_enabled() or self.means.is_cuda)

    def _at_rest(self) -> "_Still":
        if self._still is None:
            with torch.inference_mode(False), torch.no_grad():
                shares, last = self.shares(), self._moving()
                resting = self._resting() - self.resting(shares).relu() @ last.T
                hidden = -(-self.settings.hidden // GROUP) * GROUP
                motion = (
                    flat(shares, self.settings.modes, self.count + ROWS), flat(self.resting.bias[None], hidden),
                    flat(last.T, PARTS, hidden), flat(resting, PARTS, self.count + ROWS),
                )  # fmt: skip
                harmonics = laid_out(self._looks()[:, : 3 * coefficient_count(self.sh_degree)])
                opacities = self.get_parameter("opacity")[:, 0].sigmoid()
                self._still = _Still(motion, harmonics, opacities)
        return self._still

    def _shown(self, posed: tuple[Tensor, Tensor, Tensor], looks: Tensor, camera: Camera) -> Gaussians:
        means, quaternions, log_scales = posed
        bands, column = coefficient_count(self.sh_degree), looks.shape[1] - 1
        opacities, colors = shade(looks, self.means, camera.position, bands, column)
        return Gaussians(means, quaternions, log_scales.exp(), opacities, colors)

    def refresh(self) -> None:
        self._encoding = self._still = self._last = None

    def _apply(self, fn: Any, recurse: bool = True) -> "Modes":
        self.refresh()
        return super()._apply(fn, recurse)

    def features(self) -> tuple[Tensor, str]:
        with torch.inference_mode(False), torch.no_grad():
            return self.shares()[None], "shares of the motion modes"

    def config(self) -> dict[str, Any]:
        return asdict(self.settings) | {"sh_degree_in_use": self.sh_degree}

    def tensors(self, compact: bool = False) -> dict[str, Tensor]:
        tensors = self.state_dict()
        if compact:
            tensors = {name: value.half() if name.endswith(".weight") else value for name, value in tensors.items()}
            lengths = tensors["quaternions"].norm(dim=1, keepdim=True)
            # bytes leave lengths near 1: what was packed before is packed as it is
            tensors["quaternions"] = tensors["quaternions"] / torch.where((lengths - 1).abs() > _UNIT, lengths, 1.0)
            for name in _PACKED:
                tensors |= packed(name, tensors.pop(name))
        return tensors

    @classmethod
    def from_checkpoint(cls, config: dict[str, Any], tensors: dict[str, Tensor], space: ExpressionSpace) -> "Modes":
        config = dict(config)
        in_use = config.pop("sh_degree_in_use")
        avatar = cls(space, tensors["means"], ModesConfig(**config))
        avatar.use_degree(in_use)
        rest = {name: value for name, value in tensors.items() if name.partition(".")[0] not in _PACKED}
        avatar.load_state_dict(rest | {name: unpacked(name, tensors) for name in _PACKED})
        return avatar.eval()


def _mix(shares: Tensor, mixed: Tensor, weight: Tensor, bias: Tensor, last: Tensor) -> Tensor:
    """The motion [n,10] of Gaussians with shares [n,M]; mixed [H,M] is Σ_b x_b V_b."""
    resting = torch.addmm(bias, shares, weight.T)
    return (torch.addmm(resting, shares, mixed.T).relu() - resting.relu()) @ last.T


def _parts(posed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Means, quaternions and log scales of [n,10]."""
    means, quaternions, log_scales = posed.split(_SIZES, dim=1)
    return means, quaternions, log_scales
