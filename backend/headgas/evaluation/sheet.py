# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that compare photographs with the avatar."""

import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from headgas.avatars import Avatar
from headgas.captures import Frame
from headgas.errors import HeadGaSError
from headgas.evaluation.metrics import photograph_over_white, render_over_white

_ERROR_GAIN = 4  # errors are shown this many times larger
_TITLES = ("captured", "avatar", f"error x {_ERROR_GAIN}")
_HEADER = 18  # pixels


@torch.inference_mode()
def comparison_sheet(avatar: Avatar, frames: tuple[Frame, ...], most: int = 6) -> np.ndarray:
    """Rows of captured | avatar | error for frames spread over the given ones. Returns [H,W,3] uint8."""
    chosen = [frames[i] for i in np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int)]
    rows = []
    for frame in chosen:
        target = photograph_over_white(frame)
        image = render_over_white(avatar, frame).cpu()
        error = ((image - target).abs() * _ERROR_GAIN).clamp(0, 1)
        rows.append(torch.cat([target, image, error], 1))
    width = max(row.shape[1] for row in rows)
    padded = [torch.nn.functional.pad(row, (0, 0, 0, width - row.shape[1]), value=1.0) for row in rows]
    return _with_titles(to_bytes(torch.cat(padded)))


def to_bytes(image: Tensor) -> np.ndarray:
    """[H,W,C] in 0..1 to uint8."""
    return (image.clamp(0, 1) * 255 + 0.5).to(torch.uint8).cpu().numpy()


def _with_titles(sheet: np.ndarray) -> np.ndarray:
    picture = Image.new("RGB", (sheet.shape[1], sheet.shape[0] + _HEADER), "white")
    picture.paste(Image.fromarray(sheet), (0, _HEADER))
    draw = ImageDraw.Draw(picture)
    for column, title in enumerate(_TITLES):
        draw.text((column * sheet.shape[1] // len(_TITLES) + 6, 3), title, fill="black")
    return np.asarray(picture)


def save_image(path: Path, image: np.ndarray) -> None:
    """Writes a PNG [H,W,3 or 4] uint8 beside its final name and renames it.

    Raises:
        HeadGaSError: the file cannot be written.
    """
    unfinished = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(unfinished, format="PNG")
        os.replace(unfinished, path)
    except OSError as error:
        raise HeadGaSError(f"{path}: cannot be written ({error.strerror or error}).") from None
