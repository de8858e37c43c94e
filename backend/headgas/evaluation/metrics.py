# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""How close an avatar comes to the photographs.

The avatar and the photograph lie over white, whole frame, values clipped to 0..1, float32; PSNR and SSIM as
torchmetrics defines them; means over frames.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from headgas.avatars import Avatar, Checkpoint
from headgas.captures import Box, Capture, Frame
from headgas.errors import HeadGaSError
from headgas.evaluation.refining import refined
from headgas.perceptual import Lpips, load_lpips

_REGIONS = ("eyes", "mouth")


@dataclass(frozen=True)
class Evaluation:
    """How close an avatar came to one split of a capture, and how fast."""

    psnr: float  # dB
    ssim: float
    lpips: float | None  # None without weights
    regions: dict[str, float | None] | None  # PSNR in dB around eyes and mouth; None without boxes
    frames: int
    frames_per_second: float  # expression in, picture out
    per_frame: tuple[dict[str, Any], ...]
    refined: dict[str, Any] | None = None  # the first four, each frame from the pose that fits it best


def evaluation_row(checkpoint: Checkpoint, result: Evaluation) -> dict[str, Any]:
    """What `headgas evaluate --json` prints: the means, and what they were bought with."""
    row = {name: value for name, value in vars(result).items() if name != "per_frame"}
    return row | {
        "bytes": checkpoint.bytes,
        "gaussians": checkpoint.avatar.count,
        "preset": checkpoint.header["preset"],
    }


def check_same_space(checkpoint: Checkpoint, capture: Capture) -> None:
    """Refuses a capture whose parameters are not the avatar's.

    Raises:
        HeadGaSError: naming the first difference.
    """
    ours, theirs = checkpoint.avatar.expression_space.names, capture.expression_space.names
    if ours != theirs:
        missing = [name for name in ours if name not in theirs][:5]
        difference = f"it lacks {', '.join(missing)}" if missing else "their order or number differs"
        raise HeadGaSError(
            f"{capture.path}: its expression space does not fit the avatar {checkpoint.path}: {difference}.",
            "Evaluate an avatar on a capture with the parameters that it was trained on.",
        )


@torch.inference_mode()
def evaluate(
    checkpoint: Checkpoint, capture: Capture, split: str = "test", refine: bool | None = None
) -> Evaluation:
    """Renders every frame of a split and compares.

    Args:
        refine: whether to do so once more with poses that fit; None: where the capture's are estimated.

    Raises:
        HeadGaSError: the capture does not fit the avatar, or a frame cannot be read.
    """
    check_same_space(checkpoint, capture)
    avatar, frames = checkpoint.avatar, capture.split(split)
    refine = capture.poses_estimated if refine is None else refine
    lpips = load_lpips(avatar.device)
    render_over_white(avatar, frames[0])  # compiles and allocates: not part of the speed
    rows, refined_rows, seconds = [], [], 0.0
    for frame in frames:
        started = time.perf_counter()
        image = render_over_white(avatar, frame)
        if image.is_cuda:
            torch.cuda.synchronize()
        seconds += time.perf_counter() - started
        target = photograph_over_white(frame).to(image.device)
        rows.append(_compare(frame, image, target, lpips))
        if refine:
            refined_rows.append(_compare(frame, refined(avatar, frame, target), target, lpips))
    return Evaluation(
        **_means(rows),
        frames=len(frames),
        frames_per_second=len(frames) / seconds,
        per_frame=tuple(rows),
        refined=_means(refined_rows) if refine else None,
    )


def _means(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The means over frames, as `Evaluation` has them."""
    means: dict[str, Any] = {name: _mean(rows, name) for name in ("psnr", "ssim", "lpips")}
    regions = {name: _mean(rows, name) for name in _REGIONS}
    return means | {"regions": regions if any(value is not None for value in regions.values()) else None}


def photograph_over_white(frame: Frame) -> Tensor:
    """The photograph [H,W,3] over white."""
    rgba = torch.from_numpy(frame.load_rgba())
    return rgba[..., :3] * rgba[..., 3:] + (1 - rgba[..., 3:])


def render_over_white(avatar: Avatar, frame: Frame) -> Tensor:
    """The avatar [H,W,3] in sRGB over white, clipped to 0..1."""
    camera = frame.camera.to(avatar.device)
    expression = torch.from_numpy(frame.expression).to(avatar.device)
    white = torch.ones(3, device=avatar.device)
    return avatar.render(expression, camera, white).color.clamp(0, 1)


def _compare(frame: Frame, image: Tensor, target: Tensor, lpips: Lpips | None) -> dict[str, Any]:
    from torchmetrics.functional.image import structural_similarity_index_measure  # loads for most of a second

    a, b = (picture.permute(2, 0, 1)[None] for picture in (image, target))
    row: dict[str, Any] = {
        "name": frame.name,
        "psnr": psnr_of(a, b),
        "ssim": structural_similarity_index_measure(a, b, data_range=1.0).item(),  # type: ignore[union-attr]
        "lpips": lpips(image, target).item() if lpips else None,
    }
    for region in _REGIONS:
        box = frame.boxes.get(region)
        row[region] = _box_psnr(image, target, box) if box else None
    return row


def _box_psnr(image: Tensor, target: Tensor, box: Box) -> float:
    x0, y0, x1, y1 = box
    return psnr_of(image[y0:y1, x0:x1], target[y0:y1, x0:x1])


def psnr_of(image: Tensor, target: Tensor) -> float:
    """How close two pictures of one shape, values in 0..1, are in dB."""
    from torchmetrics.functional.image import peak_signal_noise_ratio

    return peak_signal_noise_ratio(image, target, data_range=1.0).item()


def _mean(rows: Sequence[dict[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows if row[name] is not None]
    return sum(values) / len(values) if values else None
