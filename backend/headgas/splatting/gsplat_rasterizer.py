# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CUDA rasterizer: gsplat, which compiles its kernels at first use."""

import contextlib
import functools
import logging
import shutil
import sys
from types import ModuleType

import torch
from torch import Tensor

from headgas.errors import HeadGaSError
from headgas.splatting.camera import Camera
from headgas.splatting.gaussians import Gaussians

log = logging.getLogger(__name__)

_VERSION = "1.5.3"
_ALPHA_THRESHOLD, _ALPHA_MAX = 1 / 255, 0.999  # compiled into that version
_NOWHERE = 1e10


@functools.cache
def load_gsplat() -> ModuleType:
    """gsplat with its kernels built, which takes minutes when it is the first time on this machine.

    Raises:
        HeadGaSError: what is missing, and the command that helps.
    """
    install = f"Run: {sys.executable} -m pip install gsplat=={_VERSION}"
    try:
        import gsplat
    except ImportError as error:
        raise HeadGaSError(f"Rendering on the GPU needs gsplat ({error}).", install) from error
    if gsplat.__version__ != _VERSION:
        raise HeadGaSError(f"HeadGaS needs gsplat {_VERSION}, not {gsplat.__version__}.", install)
    log.info("loading gsplat; the first time on this machine its kernels are compiled, which takes some minutes")
    try:
        # it reports its build, and standard output may belong to a protocol
        with contextlib.redirect_stdout(sys.stderr):
            from gsplat.cuda._backend import _C  # type: ignore  # made by its compilation
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise HeadGaSError(f"gsplat could not build its CUDA kernels: {error}", _build_hint()) from error
    if _C is None:
        raise HeadGaSError("gsplat found no CUDA toolkit to build its kernels with.", _build_hint())
    return gsplat


def _build_hint() -> str:
    """The command that brings what builds kernels, or shows in full why they are not built."""
    version = torch.version.cuda or ""
    compiler = "cl" if sys.platform == "win32" else "c++"
    missing = [name for name in ("nvcc", compiler) if shutil.which(name) is None]
    if not missing:
        return f'Run: {sys.executable} -c "from gsplat.cuda._backend import _C", and read what the compilers say.'
    if sys.platform == "win32":
        command = f"winget install --exact --id Nvidia.CUDA --version {version}"
        if "cl" in missing:
            tools = "--wait --passive --add Microsoft.VisualStudio.Workload.VCTools --includeRecommended"
            build_tools = f'winget install --exact --id Microsoft.VisualStudio.2022.BuildTools --override "{tools}"'
            command = f"{command} && {build_tools}" if "nvcc" in missing else build_tools
    else:
        packages = {"nvcc": f"cuda-toolkit-{version.replace('.', '-')}", "c++": "g++"}
        command = f"sudo apt-get install -y {' '.join(packages[name] for name in missing)}"
    return f"Missing on the PATH: {' and '.join(missing)} (CUDA toolkit {version} and a C++ compiler). Run: {command}"


def _route_screen_gradient(screen_means: Tensor, screen_offsets: Tensor) -> None:
    """Add dL/d(screen means) [1,N,2] to screen_offsets.grad [N,2]; gsplat's own call takes no offsets."""
    if not screen_means.requires_grad:
        raise ValueError("on CUDA, screen_offsets receive a gradient only if means, quaternions or scales require one")

    def accumulate(gradient: Tensor) -> None:
        own = gradient[0].detach()
        screen_offsets.grad = own.clone() if screen_offsets.grad is None else screen_offsets.grad + own

    screen_means.register_hook(accumulate)


def rasterize_gsplat(
    gaussians: Gaussians, camera: Camera, background: Tensor, with_depth: bool, antialiased: bool, eps2d: float,
    near: float, alpha_threshold: float, alpha_max: float, screen_offsets: Tensor | None,
    depth_limit: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor | None]:  # fmt: skip
    """color [H,W,C], alpha [H,W], depth [H,W] or None; arguments as in `rasterize`, background [C]."""
    if alpha_threshold != _ALPHA_THRESHOLD or alpha_max != _ALPHA_MAX:
        raise ValueError(f"gsplat {_VERSION} has alpha_threshold 1/255 and alpha_max {_ALPHA_MAX} compiled in")
    # Looking at values on a CUDA device would make the host wait for all its work: there, they count as zeros.
    if screen_offsets is not None and not screen_offsets.is_cuda and bool(screen_offsets.any()):
        raise ValueError("on CUDA, screen_offsets must be zeros: they only receive a gradient")
    if len(gaussians) == 0:
        return _nothing(gaussians, camera, background, with_depth)
    colors, alphas, meta = load_gsplat().rasterization(
        means=gaussians.means,
        quats=gaussians.quaternions,
        scales=gaussians.scales,
        opacities=gaussians.opacities,
        colors=gaussians.colors,
        viewmats=camera.viewmat.to(gaussians.means)[None],  # [1,4,4]
        Ks=camera.K.to(gaussians.means)[None],  # [1,3,3]
        width=camera.width,
        height=camera.height,
        near_plane=near,
        eps2d=eps2d,
        packed=False,
        backgrounds=background[None],  # [1,C]
        render_mode="RGB+ED" if with_depth else "RGB",
        rasterize_mode="antialiased" if antialiased else "classic",
        camera_model="ortho" if camera.orthographic else "pinhole",
    )
    if screen_offsets is not None and screen_offsets.requires_grad:
        _route_screen_gradient(meta["means2d"], screen_offsets)
    color, alpha, expected = colors[0], alphas[0, ..., 0], None
    if with_depth:
        color, expected = color[..., :-1], torch.where(alpha > 0, color[..., -1], _NOWHERE)
    if depth_limit is None:
        return color, alpha, expected
    from headgas.splatting.gsplat_limits import blend_limited

    return blend_limited(meta, gaussians.colors, background, depth_limit, (color, alpha, expected))


def _nothing(
    gaussians: Gaussians, camera: Camera, background: Tensor, with_depth: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The background alone, still a function of the (no) Gaussians; gsplat's sorting is not called with none."""
    size = camera.height, camera.width
    fields = (gaussians.means, gaussians.quaternions, gaussians.scales, gaussians.opacities, gaussians.colors)
    zero = sum(tensor.sum() for tensor in fields)
    alpha = torch.zeros(size, device=background.device) + zero
    return background.expand(*size, -1) + zero, alpha, torch.full_like(alpha, _NOWHERE) + zero if with_depth else None
