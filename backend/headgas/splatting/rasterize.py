# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one rasterizer: 3D Gaussians to pixels, differentiable, on CUDA and on CPU."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from headgas.splatting.camera import Camera
from headgas.splatting.gaussians import Gaussians
from headgas.splatting.numba_rasterizer import rasterize_numba

Implementation = Literal["auto", "reference", "numba", "gsplat"]
_LARGEST = 32768  # pixels along one side
EPS2D = 0.3  # pixels², what 3D Gaussian Splatting blurs by
ALPHA_THRESHOLD = 1 / 255  # what 3D Gaussian Splatting calls invisible
ALPHA_MAX = 0.999


@dataclass(frozen=True)
class Rendering:
    """What a camera sees of Gaussians."""

    color: Tensor  # [H,W,C], premultiplied, over the background
    alpha: Tensor  # [H,W], 0..1
    depth: Tensor | None  # [H,W] expected camera-space z in metres, 1e10 where nothing is hit


def _check(
    gaussians: Gaussians, camera: Camera, background: Tensor | None, screen_offsets: Tensor | None,
    depth_limit: Tensor | None,
) -> None:  # fmt: skip
    """Raise ValueError on anything that does not fit together."""
    means = gaussians.means
    count = means.shape[0]
    wanted = {
        "means": (means, (count, 3)),
        "quaternions": (gaussians.quaternions, (count, 4)),
        "scales": (gaussians.scales, (count, 3)),
        "opacities": (gaussians.opacities, (count,)),
        "colors": (gaussians.colors, (count, gaussians.colors.shape[-1])),
        "viewmat": (camera.viewmat, (4, 4)),
        "K": (camera.K, (3, 3)),
    }
    if background is not None:
        wanted["background"] = (background, (gaussians.colors.shape[-1],))
    if screen_offsets is not None:
        wanted["screen_offsets"] = (screen_offsets, (count, 2))
    if depth_limit is not None:
        wanted["depth_limit"] = (depth_limit, (camera.height, camera.width))
    for name, (tensor, shape) in wanted.items():
        if tensor.shape != shape:
            raise ValueError(f"{name} must have the shape {list(shape)}, got {list(tensor.shape)}")
        if tensor.dtype != means.dtype and name not in ("viewmat", "K"):
            raise ValueError(f"{name} must be {means.dtype} as the means are, got {tensor.dtype}")
        if tensor.device != means.device and name not in ("viewmat", "K"):
            raise ValueError(f"{name} must be on {means.device} as the means are, got {tensor.device}")
    if gaussians.colors.shape[1] == 0:
        raise ValueError("colors must have at least one channel")
    if not (1 <= camera.width <= _LARGEST and 1 <= camera.height <= _LARGEST):
        size = f"{camera.width} x {camera.height}"
        raise ValueError(f"an image must have 1..{_LARGEST} pixels along each side, got {size}")


def rasterize(
    gaussians: Gaussians,
    camera: Camera,
    *,
    background: Tensor | None = None,
    with_depth: bool = True,
    antialiased: bool = False,
    eps2d: float = EPS2D,
    near: float = 0.01,
    alpha_threshold: float = ALPHA_THRESHOLD,
    alpha_max: float = ALPHA_MAX,
    screen_offsets: Tensor | None = None,
    depth_limit: Tensor | None = None,
    implementation: Implementation = "auto",
) -> Rendering:
    """Blend Gaussians front to back as gsplat does (Kerbl et al. 2023), with gradients for all their fields.

    background [C]: black when left out. eps2d: pixels squared, added to the screen covariances; `antialiased` makes up
    for it in the opacity (Yu et al. 2024). near: metres. Contributions below `alpha_threshold` are skipped, alpha is
    clamped to `alpha_max`, and a Gaussian that would leave a pixel with a transmittance of 1e-4 or less ends it.
    screen_offsets [N,2]: added to the projected means, pixels; zeros that require a gradient receive dL/d(screen mean),
    which densification reads. On CUDA they must be zeros, which is not looked at: the host would wait for the device.
    depth_limit [H,W]: metres; where a Gaussian's centre lies behind it (the camera-space z that `depth` averages), the
    Gaussian does not contribute. Infinity limits nothing. Only the reference has gradients with limits.

    implementation: "numba" (CPU, float32, the same bits for any number of threads), "gsplat" (CUDA), "reference"
    (naive, any dtype, any device); "auto" takes gsplat for CUDA tensors, else numba. The camera gets no gradient. An
    opacity above 1 or a value that is not finite gives an unspecified image.
    """
    _check(gaussians, camera, background, screen_offsets, depth_limit)
    if not 0 < alpha_threshold < alpha_max < 1:
        raise ValueError(f"0 < alpha_threshold < alpha_max < 1 must hold, got {alpha_threshold} and {alpha_max}")
    if not (near > 0 and eps2d >= 0 and math.isfinite(near + eps2d)):
        raise ValueError(f"near must be positive and eps2d not negative, got {near} and {eps2d}")
    means = gaussians.means
    if implementation == "auto":
        implementation = "gsplat" if means.is_cuda else "numba"
    if background is None:
        background = torch.zeros(gaussians.colors.shape[1], dtype=means.dtype, device=means.device)
    rest = (background, with_depth, antialiased, eps2d, near, alpha_threshold, alpha_max, screen_offsets, depth_limit)
    if implementation == "reference":
        from headgas.splatting.reference import rasterize_reference

        return Rendering(*rasterize_reference(gaussians, camera, *rest))
    tensors = (means, gaussians.quaternions, gaussians.scales, gaussians.opacities, gaussians.colors)
    if depth_limit is not None and torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        raise ValueError("a depth limit has no gradients: render under torch.no_grad()")
    if implementation == "numba":
        if means.device.type != "cpu" or means.dtype != torch.float32:
            raise ValueError(f"numba takes float32 tensors on the CPU, got {means.dtype} on {means.device}")
        return Rendering(*rasterize_numba(gaussians, camera, *rest))
    if implementation == "gsplat":
        if not means.is_cuda or means.dtype != torch.float32:
            raise ValueError(f"gsplat takes float32 tensors on a CUDA device, got {means.dtype} on {means.device}")
        from headgas.splatting.gsplat_rasterizer import rasterize_gsplat

        return Rendering(*rasterize_gsplat(gaussians, camera, *rest))
    raise ValueError(f'implementation must be "auto", "reference", "numba" or "gsplat", got {implementation!r}')
