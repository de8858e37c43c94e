# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows that only a GPU has: the fused kernel beside torch, and whether CPU and CUDA show the same."""

import copy
from collections.abc import Iterator

import torch

from bench_rows.measuring import Bench, Row, Work
from bench_rows.rendering import MLP
from bench_rows.scenes import FEATURES, expressions, head
from headgas.avatars.fused import Weights, blend_and_decode, blend_and_decode_plainly
from headgas.avatars.rendering import PlacedAvatar, render_frame
from headgas.splatting import Camera


def fused_rows(bench: Bench) -> Iterator[Row]:
    count = 50_000
    avatar, _ = head(count, 512)
    avatar = avatar.to(bench.device)
    assert avatar.decoder is not None
    weights = Weights.of(avatar.decoder)
    with torch.no_grad():
        folded = avatar.decoder.folded(avatar.encode(avatar.means))
    for frames in (1, 4, 8):
        coefficients = expressions(frames).to(bench.device)
        basis = avatar.basis[1:]
        used = int((coefficients != 0).any(0).sum())
        for dtype in (torch.float32, torch.float16):
            rows = basis.to(dtype)

            @torch.no_grad()
            def plainly(rows: torch.Tensor = rows, coefficients: torch.Tensor = coefficients) -> None:
                blend_and_decode_plainly(rows, coefficients, folded, weights)

            read = rows.element_size() * used * count * FEATURES + 4.0 * count * (64 + 49 * frames)
            operations = 2.0 * frames * count * (MLP + used * FEATURES)
            work = Work(
                lambda rows=rows, coefficients=coefficients: blend_and_decode(rows, coefficients, folded, weights),
                read, operations, {"torch": plainly},
            )  # fmt: skip
            yield from bench.timed(f"blend and decode {count}, {frames} frames, {dtype}".replace("torch.", ""), work)


def agreement_rows(bench: Bench) -> Iterator[Row]:
    """The largest and the mean difference of linear RGBA between CPU and CUDA."""
    size, count = (256, 10_000) if bench.quick else (512, 50_000)
    avatar, camera = head(count, size)
    on_cuda = copy.deepcopy(avatar).to(bench.device).eval()
    errors = []
    for expression in expressions(3):
        ours, theirs = (_picture(shown, expression, camera) for shown in (avatar, on_cuda))
        errors.append((ours - theirs).abs())
    together = torch.stack(errors)
    yield bench.row(f"CPU against CUDA {size}² {count}, largest error", together.max().item() * 255, "of 255")
    yield bench.row(f"CPU against CUDA {size}² {count}, mean error", together.mean().item(), "of 1")


def _picture(avatar: torch.nn.Module, expression: torch.Tensor, camera: Camera) -> torch.Tensor:
    return render_frame([PlacedAvatar(avatar, expression, torch.eye(4))], camera)[0].cpu()  # type: ignore[arg-type]

