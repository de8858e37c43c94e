# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""HeadGaS: each Gaussian holds a basis of latent features that the expression blends.

Source: Dhamo et al., "HeadGaS: Real-Time Animatable Head Avatars via 3D Gaussian Splatting", ECCV 2024,
arXiv 2312.02902.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from headgas.avatars import cuda_inference
from headgas.avatars.blending import blend
from headgas.avatars.compact import CompactBasis
from headgas.avatars.cuda_inference import CudaInference
from headgas.avatars.decoder import Decoder
from headgas.avatars.encoding import positional_encoding
from headgas.avatars.expression_space import ExpressionSpace
from headgas.avatars.fused import Weights, blend_and_decode_for_training
from headgas.avatars.inference import Inference, serves
from headgas.avatars.shading import shade
from headgas.avatars.spherical_harmonics import coefficient_count
from headgas.avatars.trainable import TrainableAvatar
from headgas.splatting import Camera, Gaussians
from headgas.splatting.splats import Splats

_PREDICTED = ("harmonics", "opacity", "means", "quaternions", "scales")  # in the order of the outputs
_BLENDED = ("features", "outputs", "nothing")
# What a unit of an output changes where no decoder scales it: as the rates of 3D Gaussian Splatting relate
_BASE_GAIN, _BAND_GAIN, _OPACITY_GAIN = 0.2, 0.02, 1.0
_MOTION_GAINS = {"means": 0.1, "quaternions": 0.1, "scales": 0.3}  # of the head's extent; of a unit; of a logarithm


@dataclass(frozen=True)
class HeadGaSConfig:
    """The model's size, and the variants that the paper's ablation compares.

    The paper gives 32 features, 64 hidden units and third-degree harmonics; the rest is not published.
    """

    features: int = 32  # f
    hidden: int = 64  # units of each hidden layer
    frequencies: int = 6  # octaves of the positional encoding; unpublished
    sh_degree: int = 3
    antialiased: bool = True  # unpublished; keeps the look when the resolution changes
    # What the expression blends: "features" as in the paper; "outputs", with no MLP; or "nothing": it enters the MLP.
    blended: str = "features"
    # What follows the expression; the rest is one value per Gaussian.
    predicted: tuple[str, ...] = ("harmonics", "opacity")

    def __post_init__(self) -> None:
        object.__setattr__(self, "predicted", tuple(self.predicted))  # JSON has lists
        if self.blended not in _BLENDED:
            raise ValueError(f"blended is {self.blended!r}; expected one of {', '.join(_BLENDED)}")
        if not self.predicted or tuple(name for name in _PREDICTED if name in self.predicted) != self.predicted:
            raise ValueError(f"predicted is {self.predicted}; expected some of {_PREDICTED}, in this order")

    @property
    def sizes(self) -> dict[str, int]:
        """How many numbers per Gaussian each thing takes that can be predicted."""
        sizes = (3 * coefficient_count(self.sh_degree), 1, 3, 4, 3)
        return dict(zip(_PREDICTED, sizes, strict=True))

    def build(self, space: ExpressionSpace, points: Tensor) -> "HeadGaS":
        return HeadGaS(space, points, self)


class HeadGaS(TrainableAvatar):
    """Static means and covariances; colour and opacity follow the expression e.

    f_i = f_0 + Fᵀ(e - neutral)      blended feature, [f] per Gaussian
    (SH, α) = MLP(f_i, PE(μ))        two hidden layers, shared by all Gaussians
    """

    model = "HeadGaS"

    def __init__(
        self, space: ExpressionSpace, points: Tensor, config: HeadGaSConfig, basis: Tensor | CompactBasis | None = None
    ) -> None:
        """An untrained avatar.

        Args:
            space: the parameters that drive it.
            points: [N,3] where the Gaussians start, metres.
            basis: [1+B,N,f]; zeros when left out.
        """
        super().__init__(space, points, config)
        self.settings = config
        count = len(points)
        for name in ("harmonics", "opacity"):
            if name not in config.predicted:
                self.register_parameter(name, nn.Parameter(torch.zeros(count, config.sizes[name])))
        self._columns = _columns(config)
        outputs = sum(config.sizes[name] for name in config.predicted)
        # Row 0 is f_0. It is no parameter: its gradient is an outer product that training never builds.
        rows = 1 if config.blended == "nothing" else 1 + len(space)
        channels = outputs if config.blended == "outputs" else config.features
        shape = (rows, count, channels)
        if basis is None:
            basis = torch.zeros(shape, device=points.device)
        elif basis.shape != shape:
            raise RuntimeError(f"basis has the shape {tuple(basis.shape)}, not {shape}")
        self.stored_basis: Tensor | CompactBasis = basis  # as the file holds it: float32 or compact
        self.decoder: Decoder | None = None
        if config.blended != "outputs":
            condition = len(space) if config.blended == "nothing" else 0
            encoding = 3 + 6 * config.frequencies
            self.decoder = Decoder(config.features, encoding, config.hidden, outputs, condition)
            nn.init.zeros_(self.decoder.output_layer.bias)  # grey, half transparent and still to begin with
            with torch.no_grad():
                for name in _MOTION_GAINS.keys() & set(config.predicted):
                    self.decoder.output_layer.weight[self._columns[name]] = 0
        self._encoding: Tensor | None = None  # PE(μ) [N,3+6L]
        self._folded: Tensor | None = None  # its part of the decoder's first layer [N,hidden], for rendering
        self._inference: Inference | None = None
        self._on_cuda: CudaInference | None = None

    @property
    def basis(self) -> Tensor:
        """[1+B,N,f] float32; a compact one is expanded every time."""
        return self.stored_basis.expanded() if isinstance(self.stored_basis, CompactBasis) else self.stored_basis

    @basis.setter
    def basis(self, basis: Tensor) -> None:
        self.stored_basis = basis

    def coefficients(self, expression: Tensor) -> Tensor:
        """(1, e - neutral) [1+B]: what multiplies the rows of the basis; (1) [1] when nothing is blended."""
        one = torch.ones(1, device=expression.device)
        return one if self.settings.blended == "nothing" else torch.cat([one, expression - self.neutral()])

    def blend(self, expression: Tensor) -> Tensor:
        """The blended features [N,f], without gradients."""
        if isinstance(self.stored_basis, CompactBasis) and not self.means.is_cuda:
            return self.stored_basis.blend(self.coefficients(expression))
        return blend(self.basis, self.coefficients(expression))

    def refresh(self) -> None:
        self._encoding = self._folded = self._inference = self._on_cuda = None

    def decode(self, features: Tensor, expression: Tensor, camera: Camera) -> Gaussians:
        """The Gaussians [N] of blended features [N,f]; means enter the encoding and the view direction detached."""
        return self._shown(self._outputs(features, expression), camera)

    def study(self, expressions: Tensor, cameras: Sequence[Camera]) -> tuple[Tensor, list[Gaussians]]:
        """On CUDA in one kernel, which reads the basis once for all frames."""
        if self.means.is_cuda and cuda_inference.serves(self):
            assert self.decoder is not None
            if self._encoding is None:
                self._encoding = self.encode(self.means.detach())
            coefficients = torch.stack([self.coefficients(expression) for expression in expressions])
            folded, weights = self.decoder.encoding_layer(self._encoding), Weights.of(self.decoder)
            features, outputs = blend_and_decode_for_training(self.basis, coefficients, folded, weights)
            return features, [self._shown(*pair) for pair in zip(outputs, cameras, strict=True)]
        features = torch.stack([self.blend(expression) for expression in expressions]).requires_grad_()
        frames = zip(features, expressions, cameras, strict=True)
        return features, [self.decode(*frame) for frame in frames]

    def _shown(self, outputs: Tensor, camera: Camera) -> Gaussians:
        """The Gaussians of what follows the expression [N,outputs], see `_columns`."""
        means, quaternions, log_scales, looks = self._completed(outputs)
        bands, column = coefficient_count(self.sh_degree), self.settings.sizes["harmonics"]
        opacities, colors = shade(looks, self.means, camera.position, bands, column)
        return Gaussians(means, quaternions, log_scales.exp(), opacities, colors)

    @torch.no_grad()
    def splats(self, expression: Tensor) -> Splats:
        self.check_expression(expression)
        means, quaternions, log_scales, looks = self._completed(self._outputs(self.blend(expression), expression))
        bands, column = coefficient_count(self.sh_degree), self.settings.sizes["harmonics"]
        harmonics = looks[:, : 3 * bands].reshape(-1, bands, 3)
        parts = (means, quaternions, log_scales, looks[:, column], harmonics)
        return Splats(*(part.detach().clone() for part in parts), antialiased=self.antialiased)

    def _completed(self, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Means, quaternions, logarithms of scales, and looks: harmonics, then the opacity's logit, a row for each
        Gaussian."""

        def predicted(name: str) -> Tensor | None:
            return outputs[:, self._columns[name]] if name in self._columns else None

        means, quaternions, log_scales = self.means, self.quaternions, self.log_scales
        if (shift := predicted("means")) is not None:
            means = means + _MOTION_GAINS["means"] * self.extent * shift
        if (turn := predicted("quaternions")) is not None:
            quaternions = nn.functional.normalize(quaternions, dim=1) + _MOTION_GAINS["quaternions"] * turn
        if (growth := predicted("scales")) is not None:
            log_scales = log_scales + _MOTION_GAINS["scales"] * growth
        looks = ("harmonics", "opacity")
        if tuple(self._columns)[:2] != looks:  # some of it does not follow the expression
            values = [self.get_parameter(name) * self._gains(name) if (value := predicted(name)) is None else value
                      for name in looks]  # fmt: skip
            outputs = torch.cat(values, 1)
        return means, quaternions, log_scales, outputs

    def gaussians(self, expression: Tensor, camera: Camera) -> Gaussians:
        self.check_expression(expression)
        if self.means.is_cuda and not self.training and not torch.is_grad_enabled() and cuda_inference.serves(self):
            self._on_cuda = self._on_cuda or CudaInference(self)
            return self._on_cuda.gaussians(expression, camera)
        return self.decode(self.blend(expression), expression, camera)

    def visible_gaussians(self, expression: Tensor, camera: Camera) -> Gaussians:
        if self.training or torch.is_grad_enabled() or not serves(self):
            return self.gaussians(expression, camera)
        self.check_expression(expression)
        if self._inference is None or not self._inference.is_of(self):
            self._inference = Inference(self)
        return self._inference.gaussians(expression - self.neutral(), camera)

    def _outputs(self, features: Tensor, expression: Tensor) -> Tensor:
        """What follows the expression [N,outputs], as `_columns` has it."""
        if self.decoder is None:
            return features * torch.cat([self._gains(name) for name in self._columns])
        if self._encoding is None:
            self._encoding = self.encode(self.means.detach())
        condition = expression - self.neutral() if self.settings.blended == "nothing" else None
        if self.training or features.is_cuda:
            return self.decoder(features, self._encoding, condition)
        if self._folded is None:
            self._folded = self.decoder.folded(self._encoding)
        return self.decoder.forward_folded(features, self._folded, condition)

    def _gains(self, name: str) -> Tensor:
        """What a unit of each number of a prediction changes, where no decoder scales it."""
        size, device = self.settings.sizes[name], self.means.device
        if name == "harmonics":
            gains = torch.full((size,), _BAND_GAIN, device=device)
            gains[:3] = _BASE_GAIN
            return gains
        return torch.full((size,), _OPACITY_GAIN, device=device)

    def encode(self, means: Tensor) -> Tensor:
        """PE [N,3+6L] of positions in the head's bounds."""
        return positional_encoding((means - self.center) / self.extent, self.settings.frequencies)

    def _apply(self, fn: Any, recurse: bool = True) -> "HeadGaS":
        basis = self.stored_basis
        self.stored_basis = basis.mapped(fn) if isinstance(basis, CompactBasis) else fn(basis)
        self.refresh()
        return super()._apply(fn, recurse)

    def features(self) -> tuple[Tensor, str]:
        return self.basis, "feature basis"

    def config(self) -> dict[str, Any]:
        return asdict(self.settings) | {"sh_degree_in_use": self.sh_degree}

    def tensors(self, compact: bool = False) -> dict[str, Tensor]:
        basis = self.stored_basis
        if compact and not isinstance(basis, CompactBasis):
            basis = CompactBasis.compressed(basis)
        return self.state_dict() | (basis.tensors() if isinstance(basis, CompactBasis) else {"basis": basis})

    @classmethod
    def from_checkpoint(cls, config: dict[str, Any], tensors: dict[str, Tensor], space: ExpressionSpace) -> "HeadGaS":
        config = dict(config)
        in_use = config.pop("sh_degree_in_use")
        rest = {name: value for name, value in tensors.items() if name.partition(".")[0] != "basis"}
        basis = tensors["basis"] if "basis" in tensors else CompactBasis.from_tensors(tensors)
        avatar = cls(space, tensors["means"], HeadGaSConfig(**config), basis)
        avatar.use_degree(in_use)
        avatar.load_state_dict(rest)
        return avatar.eval()


def _columns(config: HeadGaSConfig) -> dict[str, slice]:
    """Where the outputs [N,outputs] hold each prediction."""
    columns, start = {}, 0
    for name in config.predicted:
        columns[name] = slice(start, start + config.sizes[name])
        start = columns[name].stop
    return columns
