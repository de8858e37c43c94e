# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPU rasterizer: projection, sorting, tiles and their gradients as one step of torch's autograd."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from headgas.splatting import binning, projection, tiles
from headgas.splatting.camera import Camera
from headgas.splatting.compiling import announced
from headgas.splatting.gaussians import Gaussians
from headgas.splatting.simd import CONSTANTS, LANES
from headgas.splatting.threads import get_threads, run

f32 = np.float32
NO_OFFSETS = np.empty((0, 2), np.float32)
_NO_IMAGE = np.empty((0, 0), np.float32)
_LINE = 16  # floats in a cache line
_COMPILE_SECONDS = 10


class Settings(NamedTuple):
    """What one image is made with; see `rasterize`."""

    camera: np.ndarray  # [17] float32: R row by row, t, fx, fy, cx, cy, 1 (0 when orthographic)
    width: int
    height: int
    with_depth: bool
    antialiased: bool
    eps2d: np.float32
    near: np.float32
    alpha_threshold: np.float32
    alpha_max: np.float32
    limits: np.ndarray  # [H,W] depth limits, metres, or [0,0]

    @property
    def columns(self) -> int:
        return -(-self.width // binning.TILE_WIDTH)

    @property
    def tiles(self) -> int:
        return self.columns * -(-self.height // binning.TILE_HEIGHT)

    @property
    def groups(self) -> int:
        return -(-self.tiles // binning.NEIGHBOURS)


class Lists(NamedTuple):
    """Each tile's Gaussians, nearest first."""

    first_entry: np.ndarray  # [N+1]
    listed: np.ndarray  # [entries] Gaussian
    entries: np.ndarray  # [entries] number of the entry, Gaussian by Gaussian
    first_of_tile: np.ndarray  # [tiles+1]
    fullest: np.ndarray  # [groups] the order in which threads take groups of tiles


def array_of(tensor: Tensor) -> np.ndarray:
    """Its values, in place where they are contiguous."""
    return tensor.detach().contiguous().numpy()


def _blocks(count: int) -> int:
    return -(-count // projection.BLOCK)


def _aligned(*shape: int) -> np.ndarray:
    """An uninitialized array of float32 that begins at a cache line."""
    size = math.prod(shape)
    memory = np.empty(size + _LINE, f32)
    start = -memory.__array_interface__["data"][0] % (4 * _LINE) // 4
    return memory[start : start + size].reshape(shape)


def project_arrays(arrays: tuple[np.ndarray, ...], offsets: np.ndarray, settings: Settings) -> tuple[np.ndarray, ...]:
    """rows, touched, depths and entries as `projection.project` writes them, of a Gaussian's five fields."""
    count, channels = len(arrays[0]), arrays[-1].shape[1] + settings.with_depth
    rows = _aligned(count, -(-(projection.HEADER + channels) // _LINE) * _LINE)
    touched, depths = np.empty((count, 4), np.uint16), np.empty(count, f32)
    entries = np.empty(count + 1, np.int32)
    run(
        projection.project, _blocks(count), *arrays, offsets, settings.camera, settings.width, settings.height,
        settings.near, settings.eps2d, settings.alpha_threshold, settings.antialiased, settings.with_depth, rows,
        touched, depths, entries,
    )  # fmt: skip
    return rows, touched, depths, entries


def list_tiles(touched: np.ndarray, depths: np.ndarray, first_entry: np.ndarray, settings: Settings) -> Lists:
    """The tiles' lists; first_entry [N+1] as `project` wrote its `entries`, changed."""
    count, columns = len(depths), settings.columns
    order = np.empty(count, np.int32)
    keys, spare = np.empty((2, count), np.uint64)
    visible = binning.depth_order(depths, first_entry, keys, spare, order)
    order, total = order[:visible], int(first_entry[count])
    blocks = 1 if get_threads() == 1 else min(2 * get_threads(), visible // 512 + 1)
    counts = np.empty((blocks, settings.tiles), np.int32)
    first_of_tile, fullest = np.empty(settings.tiles + 1, np.int32), np.empty(settings.groups, np.int32)
    run(binning.count_entries, blocks, order, touched, columns, counts)
    binning.tile_offsets(counts, first_of_tile, fullest)
    listed, entries = np.empty(total, np.int32), np.empty(total, np.int32)
    run(binning.list_entries, blocks, order, touched, columns, counts, first_entry, listed, entries)
    return Lists(first_entry, listed, entries, first_of_tile, fullest)


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, means, quaternions, scales, opacities, colors, offsets, background, settings: Settings):
        arrays = tuple(array_of(tensor) for tensor in (means, quaternions, scales, opacities, colors))
        height, width, channels = settings.height, settings.width, arrays[-1].shape[1]
        moved = NO_OFFSETS if offsets is None else array_of(offsets)
        rows, touched, depths, entries = project_arrays(arrays, moved, settings)
        lists = list_tiles(touched, depths, entries, settings)
        behind = tuple(array_of(background)) + (f32(0),) * settings.with_depth
        color, alpha = _aligned(height, width, channels), _aligned(height, width)
        transmittance = _aligned(height, width)
        depth = _aligned(height, width) if settings.with_depth else _NO_IMAGE
        ends = np.empty(settings.tiles, np.int32)
        run(
            tiles.blend, settings.groups, rows, lists.listed, lists.first_of_tile, lists.fullest, settings.columns,
            behind, settings.with_depth, settings.limits, settings.alpha_threshold, settings.alpha_max, CONSTANTS,
            color, alpha, depth, transmittance, ends,
        )  # fmt: skip
        results = torch.from_numpy(color), torch.from_numpy(alpha), torch.from_numpy(depth)
        ctx.save_for_backward(means, quaternions, scales, opacities, results[0], results[2])
        ctx.kept = arrays[:4], color, depth, settings, rows, lists, transmittance, ends
        ctx.set_materialize_grads(False)
        return results

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, color_gradient, alpha_gradient, depth_gradient):
        _ = ctx.saved_tensors  # raises if one of them has been changed since
        shapes, color, depth, settings, rows, lists, transmittance, ends = ctx.kept
        height, width, colors = color.shape
        with_depth = settings.with_depth and depth_gradient is not None  # else its channel need not be walked through
        g_depth = _NO_IMAGE if depth_gradient is None or not with_depth else array_of(depth_gradient)
        channels = colors + with_depth
        g_color = np.zeros_like(color) if color_gradient is None else array_of(color_gradient)
        g_alpha = np.zeros((height, width), f32) if alpha_gradient is None else array_of(alpha_gradient)
        slots = _aligned(len(lists.listed), -(-(6 + channels) // LANES) * LANES)
        count = len(shapes[0])
        gradients = [np.empty_like(array) for array in shapes]
        gradients += [np.empty((count, colors), f32), np.empty((count, 2), f32)]
        with announced(f"the gradients of the rasterizer for {channels} channels", _COMPILE_SECONDS):
            run(
                tiles.blend_backward, settings.groups, rows, lists.listed, lists.entries, lists.first_of_tile, ends,
                lists.fullest, settings.columns, (f32(0),) * channels, with_depth, settings.alpha_threshold,
                settings.alpha_max, CONSTANTS, color, depth, transmittance, g_color, g_alpha, g_depth, slots,
            )  # fmt: skip
            run(
                projection.project_backward, _blocks(count), *shapes, settings.camera, settings.width, settings.height,
                settings.eps2d, settings.antialiased, rows, lists.first_entry, slots, colors if with_depth else -1,
                *gradients,
            )  # fmt: skip
        results: list[Tensor | None] = [torch.from_numpy(gradient) for gradient in gradients]
        if not ctx.needs_input_grad[5]:
            results[5] = None
        through = np.einsum("hwc,hw->c", g_color, transmittance) if ctx.needs_input_grad[6] else None
        return *results, None if through is None else torch.from_numpy(through), None


def settings_of(
    camera: Camera, with_depth, antialiased, eps2d, near, alpha_threshold, alpha_max, depth_limit: Tensor | None = None
) -> Settings:
    """Those of a picture, see `rasterize`."""
    first, second, third, _ = camera.viewmat.tolist()
    (fx, _, cx), (_, fy, cy), _ = camera.K.tolist()
    packed = [*first[:3], *second[:3], *third[:3], first[3], second[3], third[3], fx, fy, cx, cy]
    packed.append(not camera.orthographic)
    return Settings(
        np.array(packed, f32), camera.width, camera.height, with_depth, antialiased, f32(eps2d), f32(near),
        f32(alpha_threshold), f32(alpha_max), _NO_IMAGE if depth_limit is None else array_of(depth_limit),
    )  # fmt: skip


def rasterize_numba(
    gaussians: Gaussians, camera: Camera, background: Tensor, with_depth: bool, antialiased: bool, eps2d: float,
    near: float, alpha_threshold: float, alpha_max: float, screen_offsets: Tensor | None,
    depth_limit: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor | None]:  # fmt: skip
    """color [H,W,C], alpha [H,W], depth [H,W] or None; arguments as in `rasterize`, background [C]."""
    blended = with_depth or depth_limit is not None  # a limit is compared with the depths that are blended
    settings = settings_of(camera, blended, antialiased, eps2d, near, alpha_threshold, alpha_max, depth_limit)
    with announced(f"the rasterizer for {gaussians.colors.shape[1] + blended} channels", _COMPILE_SECONDS):
        color, alpha, depth = _Rasterize.apply(
            gaussians.means, gaussians.quaternions, gaussians.scales, gaussians.opacities, gaussians.colors,
            screen_offsets, background, settings,
        )  # fmt: skip
    return color, alpha, depth if with_depth else None
