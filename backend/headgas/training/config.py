# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training run can be told, and the named presets."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from headgas.avatars import GaussianHeadConfig, HeadGaSConfig, ModesConfig
from headgas.avatars.trainable import ModelConfig
from headgas.errors import HeadGaSError


@dataclass(frozen=True)
class Rate:
    """Adam's learning rate of some parameters; it decays exponentially."""

    start: float  # in the parameter's unit per step
    final: float = 0.03  # the share of it that is left at the end
    decay: float = 0.0  # of the weights, times the rate: decoupled from the gradient (Loshchilov and Hutter 2019)

    def at(self, progress: float) -> float:
        return self.start * self.final**progress


# By a parameter's name or the module it belongs to, the innermost that is named here. Unpublished: ours.
_GEOMETRY_RATES = {"means": Rate(1e-3), "quaternions": Rate(1e-2), "log_scales": Rate(2e-2)}  # means: metres
HEADGAS_RATES = _GEOMETRY_RATES | {
    "basis": Rate(5e-2, decay=0.2),  # f_0 does not decay: what few frames show must not be learnt by heart
    "harmonics": Rate(5e-2),
    "opacity": Rate(5e-2),
    "decoder": Rate(5e-3),
}

# As HeadGaS's where they are the same; the rest found likewise (docs/methods.md). The published code, for 80,000 steps:
# means 8e-4, scales 5e-3, rotations 1e-3, derivations 1e-3, planes 1e-3, deformation 8e-4, decoders 1e-4 to 1e-3.
GAUSSIAN_HEAD_RATES = _GEOMETRY_RATES | {
    "derivations": Rate(1e-2),
    "factors": Rate(3e-2),
    "deformation": Rate(3e-3, decay=0.3),  # or the field learns the frames by heart, after some 2,500 steps
    # One step of these moves all Gaussians at once: at 3e-3 the head jumps to and fro until the field's units are dead.
    "deformation.move": Rate(3e-4, decay=1.0),
    "deformation.turn": Rate(1e-3, decay=1.0),
    "deformation.stretch": Rate(1e-3, decay=1.0),
    "opacity_network": Rate(3e-3),
    "color_network": Rate(3e-3),
    "base_layer": Rate(3e-3),
    "band_layer": Rate(3e-4),
}

MODES_RATES = _GEOMETRY_RATES | {
    "means": Rate(5e-4),
    "base": Rate(1e-2),
    "bands": Rate(1e-3),
    "opacity": Rate(5e-2),
    "code": Rate(2e-2, decay=1.0),
    "field": Rate(5e-3),
    "resting": Rate(5e-3),
    "mixer": Rate(5e-4, decay=8.0),
    "moving": Rate(5e-3),
}


@dataclass(frozen=True)
class RefinementConfig:
    """How training corrects the poses and expressions of a capture that was tracked. Unpublished: ours."""

    pose: Rate = field(default_factory=lambda: Rate(1.0, final=0.1, decay=3e-3))  # of the motion that pictures ask for
    expression: Rate = field(default_factory=lambda: Rate(0.1, final=0.03, decay=5.0))  # of ranges, in a whole run
    start: float = 0.03  # share of the run: before, there is no face to compare with
    most_pose: float = 0.2  # radians, or extents: no tracker is further off
    most_expression: float = 0.3


@dataclass(frozen=True)
class TrainingConfig:
    """One recipe. Moments are fractions of the whole run, so that a budget of minutes keeps the recipe's shape.

    The comments say what the paper gives ("HeadGaS: …", for 50,000 iterations) and what is our choice.
    """

    model: ModelConfig = field(default_factory=HeadGaSConfig)

    initial_gaussians: int = 2_500  # HeadGaS: 2,500 centres on the face model's mesh
    max_gaussians: int = 12_000  # choice: what two CPU cores train at 256² in minutes
    batch: int = 1  # frames per step
    small_until: float = 0.0  # share of the run; choice: large motions are found in small pictures (docs/methods.md)
    small_side: int = 64  # pixels on a small picture's longer side

    # Loss. HeadGaS: 0.8 L1 + 0.2 SSIM + 0.1 perceptual after 10k iterations
    l1_weight: float = 0.8
    ssim_weight: float = 0.2
    matte_weight: float = 0.1  # choice: with it and a random background the silhouette is learnt, not painted
    perceptual_weight: float = 0.1
    perceptual_from: float = 0.2

    penalty_weight: float = 0.0  # of what the avatar's own penalty adds, such as motion

    rates: Mapping[str, Rate] = field(default_factory=lambda: HEADGAS_RATES)

    refinement: RefinementConfig = field(default_factory=RefinementConfig)  # where the capture's poses are estimated

    # Densification. HeadGaS: iterations 500 to 15,000, otherwise as 3D Gaussian Splatting
    densify_from: float = 0.01
    densify_until: float = 0.3
    densify_events: int = 25  # choice
    prune_opacity: float = 0.005  # 3D Gaussian Splatting, on the maximum over all frames since the last event
    split_scale: float = 0.01  # 3D Gaussian Splatting: larger than this share of the head's extent is split, not cloned

    harmonics_every: float = 0.02  # one more degree each; 3D Gaussian Splatting: every 1,000 iterations


def _variant(blended: str = "features", predicted: tuple[str, ...] = ("harmonics", "opacity")) -> TrainingConfig:
    return TrainingConfig(model=HeadGaSConfig(blended=blended, predicted=predicted))


def _gaussian_head(**options: Any) -> TrainingConfig:
    """GaussianHead with a smaller deformation field: 3 layers of 64 units and 4 octaves.

    The published 8 of 256 and 10 cost 0.2 s more a step, for 12,000 Gaussians on two cores, and were no better
    after 1,000 steps.
    """
    model = GaussianHeadConfig(octaves=4, deformation_layers=3, deformation_width=64, **options)
    return TrainingConfig(model=model, rates=GAUSSIAN_HEAD_RATES, penalty_weight=0.06)


_MODES = TrainingConfig(model=ModesConfig(), rates=MODES_RATES, penalty_weight=0.2, small_until=0.25)
_MOTION = ("means", "quaternions")
_RESOLUTIONS = (16, 32, 64, 128)  # GaussianHead, up to its fourth version: 64 to 512
# Our own model, both papers' models, and what their ablations compare them with
PRESETS: dict[str, TrainingConfig] = {
    "modes": _MODES,
    "modes_no_code": replace(_MODES, rates=MODES_RATES | {"code": Rate(0.0)}),  # only from where a Gaussian is
    "modes_no_price": replace(_MODES, penalty_weight=0.0),  # moving costs nothing
    "modes_full_size": replace(_MODES, small_until=0.0),  # pictures as large as they are from the first step on
    "headgas": TrainingConfig(),
    "headgas_concat": _variant(blended="nothing"),  # the expression is concatenated to the MLP's input
    "headgas_motion": _variant(predicted=_MOTION),  # colour and opacity stay, Gaussians move
    "headgas_all": _variant(predicted=("harmonics", "opacity", *_MOTION, "scales")),
    "headgas_no_mlp": _variant(blended="outputs"),  # blended harmonics and opacity
    "headgas_no_perceptual": replace(TrainingConfig(), perceptual_weight=0.0),
    # GPAvatar's idea: means move by a linear map of the expression, one for each Gaussian; the rest stays
    "linear_motion": replace(
        _variant(blended="outputs", predicted=("means",)), rates=HEADGAS_RATES | {"basis": Rate(2e-3, decay=1.0)}
    ),
    "gaussian_head": _gaussian_head(),
    "gaussian_head_fixed": _gaussian_head(learnt_derivations=False),  # the fixed mapping that the paper argues against
    "gaussian_head_multires": _gaussian_head(resolutions=_RESOLUTIONS),
    "gaussian_head_plus": _gaussian_head(resolutions=_RESOLUTIONS, hashed_rows=2048),
}
DEFAULT_PRESET = "modes"


def preset(name: str) -> TrainingConfig:
    """The recipe of that name.

    Raises:
        HeadGaSError: there is none.
    """
    if name not in PRESETS:
        raise HeadGaSError(f"There is no preset {name!r}.", f"Presets: {', '.join(PRESETS)}.")
    return PRESETS[name]


def config_to_json(config: TrainingConfig) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(config)))  # tuples become lists, as they are in a file
