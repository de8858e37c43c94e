# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiling the CPU kernels before they are needed, by running each once on next to nothing."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from headgas.avatars import ExpressionSpace, HeadGaS, HeadGaSConfig, ModesConfig
from headgas.avatars.blending import blend
from headgas.avatars.compact import CompactBasis
from headgas.avatars.factors import Factors
from headgas.avatars.finishing import finish
from headgas.avatars.shading import shade
from headgas.avatars.skinning import skin, turned_quaternions
from headgas.captures.png import decoded_png
from headgas.splatting import Camera, Gaussians, rasterize
from headgas.splatting.compiling import announce, is_compiled
from headgas.splatting.pixels import count_contributions
from headgas.training.rank_one_adam import RankOneAdam
from headgas.training.ssim import ssim

_COUNT, _SIZE = 8, 16  # Gaussians, pixels
_SPACE = ExpressionSpace("custom", ("a",), (0.0,), (0.0,), (1.0,))


@dataclass(frozen=True)
class Kernels:
    """Kernels that are compiled together."""

    what: str  # as `announced` where they are used
    seconds: int  # about what compiling takes
    use: Callable[[], object]


def _camera(distance: float = 0.0) -> Camera:
    viewmat = torch.eye(4)
    viewmat[2, 3] = distance
    return Camera(viewmat, torch.tensor([[16.0, 0, 8], [0, 16, 8], [0, 0, 1]]), _SIZE, _SIZE)


def _some(differentiate: bool = False) -> Gaussians:
    means = torch.tensor([[0.0, 0.0, 1.0]]).repeat(_COUNT, 1).requires_grad_(differentiate)
    shapes = torch.ones(_COUNT, 4), torch.ones(_COUNT, 3)
    return Gaussians(means, *shapes, torch.full([_COUNT], 0.5), torch.ones(_COUNT, 3))


def _draw(with_depth: bool, differentiate: bool) -> None:
    rendering = rasterize(_some(differentiate), _camera(), with_depth=with_depth)
    if differentiate:
        total = rendering.color.sum() + rendering.alpha.sum()
        (total if rendering.depth is None else total + rendering.depth.sum()).backward()


@torch.inference_mode()
def _evaluate(views: int) -> None:
    """One frame with either kind of basis, seen from so many places."""
    avatar = HeadGaS(_SPACE, torch.rand(_COUNT, 3), HeadGaSConfig(features=4, hidden=8)).eval()
    for basis in (avatar.basis, CompactBasis.compressed(avatar.basis)):
        avatar.stored_basis = basis
        for view in range(views):
            avatar.visible_gaussians(torch.ones(1), _camera(1.0 + view))


@torch.inference_mode()
def _move() -> None:
    ModesConfig(modes=1, hidden=1).build(_SPACE, torch.rand(_COUNT, 3)).eval().gaussians(torch.ones(1), _camera())


def _compare() -> None:
    image = torch.zeros(_SIZE, _SIZE, 3)
    ssim(image.clone().requires_grad_(), image)


def _blend_compact() -> None:
    CompactBasis.compressed(torch.ones(2, _COUNT, 2)).blend(torch.ones(2))


def _finish() -> None:
    finish(torch.zeros(_SIZE, _SIZE, 3), torch.zeros(_SIZE, _SIZE), torch.zeros(_SIZE, _SIZE), 1.0, 0.1, 1.0)


def _shade() -> None:
    outputs = torch.zeros(_COUNT, 4, requires_grad=True)
    opacities, colors = shade(outputs, torch.zeros(_COUNT, 3), torch.ones(3), 1, 3)
    (opacities.sum() + colors.sum()).backward()


def _read_factors(differentiate: bool) -> None:
    factors = Factors((2,), 1, 2, 0, False).requires_grad_(differentiate)
    found = factors(torch.zeros(_COUNT, 1, 3))
    if differentiate:
        found.sum().backward()


def _optimize() -> None:
    RankOneAdam(torch.zeros(1, _COUNT, 2)).step(torch.ones(1, 1), torch.ones(1, _COUNT, 2), 0.1)


def _skin() -> None:
    skin(torch.ones(1, 1), torch.cat([torch.eye(3).flatten(), torch.zeros(3)])[None], torch.zeros(1, 3))


def _read_png() -> None:
    image = io.BytesIO()
    Image.new("RGBA", (_SIZE, _SIZE)).save(image, "png")
    decoded_png(image.getvalue(), _SIZE, _SIZE)


_SHADING = Kernels("the shading of Gaussians", 2, _shade)
_FACTORS = Kernels("the reading of factors", 3, lambda: _read_factors(False))
RENDERING = (
    Kernels("the rasterizer for 4 channels", 6, lambda: _draw(True, False)),
    Kernels("the evaluation of expressions", 8, lambda: _evaluate(1)),
    Kernels("colours from elsewhere", 1, lambda: _evaluate(3)),
    Kernels("the motion of Gaussians", 3, _move),
    Kernels("linear light", 2, _finish),
    _SHADING,
    _FACTORS,
    Kernels("the skinning of points", 3, _skin),
    Kernels("the turning of Gaussians", 3, lambda: turned_quaternions(torch.eye(3)[None], torch.ones(1, 4))),
)
TRAINING = (
    Kernels("the blending of features", 1, lambda: blend(torch.zeros(1, _COUNT, 2), torch.ones(1))),
    _SHADING,
    Kernels("the rasterizer for 3 channels", 2, lambda: _draw(False, False)),
    Kernels("the gradients of the rasterizer for 3 channels", 4, lambda: _draw(False, True)),
    Kernels("the similarity of images", 3, _compare),
    Kernels("the optimizer of the basis", 2, _optimize),
    Kernels("the reading of PNGs", 1, _read_png),
    _FACTORS,
    Kernels("the gradients of factors", 4, lambda: _read_factors(True)),
)
ALL = tuple(
    dict.fromkeys(
        (
            *RENDERING,
            *TRAINING,
            Kernels("the blending of compact features", 1, _blend_compact),
            Kernels("what pixels blend", 2, lambda: count_contributions(_some(), _camera())),
            Kernels("the gradients of the rasterizer for 4 channels", 3, lambda: _draw(True, True)),
        )
    )
)


@dataclass(frozen=True)
class Progress:
    """The kernels that are being compiled: the `number`-th of so many."""

    number: int
    of: int
    what: str


def compile_kernels(
    kernels: Sequence[Kernels] = ALL, report: Callable[[Progress], object] = lambda progress: None
) -> int:
    """Compile what this machine has not compiled yet, and load the rest. Returns the number of newly compiled ones.

    report is called before each that is compiled.
    """
    new = 0
    for number, item in enumerate(kernels, 1):
        if not is_compiled(item.what):
            new += 1
            report(Progress(number, len(kernels), item.what))
            announce(item.what, item.seconds, f"{number} of {len(kernels)}: ")
        item.use()
    return new
