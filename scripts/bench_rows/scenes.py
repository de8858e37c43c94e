# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars and captures of a made-up head, in memory."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headgas.avatars import ExpressionSpace, HeadGaS, HeadGaSConfig, Modes, ModesConfig
from headgas.captures import Capture, Frame
from headgas.splatting import Camera, Gaussians
from headgas.splatting.example import egg

PARAMETERS, ACTIVE = 52, 20  # of an expression; as many move at a time
FEATURES = 32


def expression_space() -> ExpressionSpace:
    zeros, ones = (0.0,) * PARAMETERS, (1.0,) * PARAMETERS
    return ExpressionSpace("custom", tuple(f"parameter{i}" for i in range(PARAMETERS)), zeros, zeros, ones)


def expressions(count: int, seed: int = 0) -> Tensor:
    """[count,52], 20 of which are not zero in each."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.rand(count, PARAMETERS, generator=generator).argsort(1) < ACTIVE
    return torch.rand(count, PARAMETERS, generator=generator) * chosen


def head(count: int, size: int, seed: int = 0) -> tuple[HeadGaS, Camera]:
    """An avatar with an egg's Gaussians, opaque as a trained one's, whose colours follow the expression."""
    scene, camera = egg(count, size, size, seed=seed)
    torch.manual_seed(seed)
    avatar = HeadGaS(expression_space(), scene.means, HeadGaSConfig())
    avatar.basis = 0.2 * torch.randn(avatar.basis.shape)
    with torch.no_grad():
        avatar.quaternions.copy_(scene.quaternions)
        avatar.log_scales.copy_(scene.scales.log())
        assert avatar.decoder is not None
        avatar.decoder.output_layer.bias[-1] = 1.0
    return avatar.eval(), camera


def moving_head(
    count: int, size: int, seed: int = 0, space: ExpressionSpace | None = None
) -> tuple[Modes, Camera]:
    """An avatar with the same Gaussians, whose places, turns and sizes follow the expression."""
    scene, camera = egg(count, size, size, seed=seed)
    torch.manual_seed(seed)
    avatar = Modes(space or expression_space(), scene.means, ModesConfig())
    with torch.no_grad():
        avatar.quaternions.copy_(scene.quaternions)
        avatar.log_scales.copy_(scene.scales.log())
        avatar.get_parameter("opacity").fill_(1.0)
        avatar.get_parameter("base").normal_()
        avatar.get_parameter("bands").normal_(std=0.1)
        avatar.get_parameter("code").normal_()
        avatar.mixer.weight.normal_(std=0.01)
    return avatar.eval(), camera


def evaluations(gaussians: Gaussians, camera: Camera) -> float:
    """How many pixels all Gaussians touch: the ellipses in which their alpha is at least 1/255."""
    means = gaussians.means @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    w, x, y, z = torch.nn.functional.normalize(gaussians.quaternions, dim=1).unbind(1)
    rows = [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]  # fmt: skip
    # orthographic: the third row of the rotation does not count, and a head is small before its distance
    turned = torch.einsum("ij,njk->nik", camera.viewmat[:2, :3], _completed(rows)) * gaussians.scales[:, None]
    focal = camera.K[0, 0] / means[:, 2]
    covariance = turned @ turned.transpose(1, 2) * focal[:, None, None] ** 2 + 0.3 * torch.eye(2)
    reach = 2 * (255 * gaussians.opacities).clamp_min(1).log()  # squared, in standard deviations
    return (math.pi * reach * torch.linalg.det(covariance).sqrt()).sum().item()


def _completed(rows: list[Tensor]) -> Tensor:
    """Rotations [N,3,3] from the six entries of their first two rows: the third is their cross product."""
    first, second = torch.stack(rows[:3], 1), torch.stack(rows[3:], 1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], 1)


@dataclass(frozen=True)
class PaintedFrame(Frame):
    """A frame whose picture never was a file."""

    pixels: Any = field(default=None, repr=False)  # [H,W,4] float32

    def load_rgba(self) -> np.ndarray:
        return self.pixels

    def load_head(self) -> np.ndarray:
        return np.round(255 * self.pixels).astype(np.uint8)


@dataclass(frozen=True)
class PaintedCapture(Capture):
    """A capture in memory."""

    surface: Any = field(default=None, repr=False)  # [n,3] float32

    def load_points(self) -> np.ndarray:
        return self.surface


def capture(size: int, train: int = 24, test: int = 4, gaussians: int = 10_000) -> PaintedCapture:
    """Pictures of an avatar with other features, from cameras around its face."""
    teacher, _ = head(gaussians, size, seed=1)
    frames = []
    for number, expression in enumerate(expressions(train + test, seed=2)):
        _, camera = egg(1, size, size, yaw=0.6 * math.sin(2.4 * number))
        with torch.inference_mode():
            rendering = teacher.render(expression, camera)
        color = rendering.color / rendering.alpha.clamp_min(1e-6)[..., None]
        frames.append(
            PaintedFrame(
                name=f"{number:04d}", split="train" if number < train else "test", image=Path("none"), width=size,
                height=size, viewmat=camera.viewmat.numpy(), K=camera.K.numpy(), expression=expression.numpy(),
                pixels=torch.cat([color.clamp(0, 1), rendering.alpha[..., None]], -1).numpy(),
            )  # fmt: skip
        )
    return PaintedCapture(Path("made-up"), expression_space(), tuple(frames), surface=teacher.means.detach().numpy())
