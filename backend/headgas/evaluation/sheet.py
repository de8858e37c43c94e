# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sheets of pictures in rows and columns, such as photographs beside the avatar."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from headgas.avatars import Avatar
from headgas.captures import Capture, Frame
from headgas.captures.capture import spread
from headgas.evaluation.metrics import photograph_over_white, render_over_white
from headgas.files import save_image

ERROR_GAIN = 4  # errors are shown this many times larger
HEADER = 18  # pixels of a row of titles
_FONT_SIZE = 12  # pixels
_MOST_ROWS = 6


@torch.inference_mode()
def comparison_sheet(avatar: Avatar, frames: tuple[Frame, ...], most: int = _MOST_ROWS) -> np.ndarray:
    """Rows of captured | avatar | error for frames spread over the given ones. Returns [H,W,3] uint8."""
    rows = []
    for frame in spread(frames, most):
        target = photograph_over_white(frame)
        image = render_over_white(avatar, frame).cpu()
        rows.append([to_bytes(picture) for picture in (target, image, (image - target).abs() * ERROR_GAIN)])
    return titled_sheet(rows, ("captured", "avatar", f"error x {ERROR_GAIN}"))


@torch.inference_mode()
def avatars_sheet(avatars: dict[str, Avatar], frames: tuple[Frame, ...]) -> np.ndarray:
    """Rows of captured | each avatar, under their names, for frames spread over the given ones. [H,W,3] uint8."""
    rows = [
        [to_bytes(photograph_over_white(frame))]
        + [to_bytes(render_over_white(avatar, frame)) for avatar in avatars.values()]
        for frame in spread(frames, _MOST_ROWS)
    ]
    return titled_sheet(rows, ("captured", *avatars))


def preview_writer(capture: Capture) -> Callable[[Avatar, Path], None]:
    """What writes a training run's preview: the test frames, or the training frames where there are none."""
    frames = tuple(frame for frame in capture.frames if frame.split == "test") or capture.frames
    return lambda avatar, path: save_image(path, comparison_sheet(avatar, frames))


def titled_sheet(rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str]) -> np.ndarray:
    """Rows of equally many pictures [h,w,3] uint8 under titles, each over its share of the width.

    Narrower rows end in white; titles that do not fit end in an ellipsis.
    """
    joined = [np.concatenate(row, 1) for row in rows]
    width = max(row.shape[1] for row in joined)
    padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in joined]
    sheet = np.concatenate(padded)
    picture = Image.new("RGB", (width, sheet.shape[0] + HEADER), "white")
    picture.paste(Image.fromarray(sheet), (0, HEADER))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(_FONT_SIZE)
    share = width / len(titles)
    for column, title in enumerate(titles):
        fitting = _fitted(title, share - 6, lambda text: draw.textlength(text, font))
        draw.text((column * share + 3, 2), fitting, fill="black", font=font)
    return np.asarray(picture)


def _fitted(title: str, room: float, width: Callable[[str], float]) -> str:
    """As much of a title as there is room for, pixels."""
    kept, text = len(title), title
    while kept and (taken := width(text)) > room:
        kept = max(0, min(kept - 1, int(kept * room / taken)))
        text = title[:kept] + "…" if kept else ""
    return text


def to_bytes(image: Tensor) -> np.ndarray:
    """[H,W,C] in 0..1 to uint8."""
    return (image.clamp(0, 1) * 255 + 0.5).to(torch.uint8).cpu().numpy()
