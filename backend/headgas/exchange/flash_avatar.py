# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars of FlashAvatar: `chkpntN.pth`, opened as the last frame that training saw.

Source: Xiang et al., "FlashAvatar", CVPR 2024, and its published code (USTC3DV/FlashAvatar-code, `train.py`):
((network, optimizer), (active degree, places, f_dc, f_rest, log scales, rotations, logits of opacities, three
statistics, optimizer, extent), iteration).

Why it stands still: its Gaussians are numbered by the pixels that PyTorch3D's rasterizer covers of FLAME's texture,
less those of a mask. The file has neither, and a pixel more or less gives every later Gaussian the wrong place.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headgas.errors import HeadGaSError
from headgas.exchange.flame import AXES
from headgas.exchange.imported import Imported, ReadingOptions, assembled, check_count, static
from headgas.exchange.pickles import read_torch

_FIELDS = {1: "places", 2: "f_dc", 3: "f_rest", 4: "scales", 5: "rotations", 6: "opacities"}
_PARTS = 12  # of what GaussianModel.capture returns
_STILL = (
    "opened as it was in the last frame of its training, without that frame's turns and sizes: it cannot be driven. "
    "Its network moves Gaussians that are numbered by the pixels of PyTorch3D's rasterizer over FLAME's texture, "
    "which the file does not hold; your FLAME would not bring it back."
)


def is_flash_avatar(path: Path, start: bytes) -> bool:
    """Whether a file that begins so may be a checkpoint of FlashAvatar: its name, in a file that torch wrote."""
    return path.suffix == ".pth" and path.stem.startswith("chkpnt") and start[:2] in (b"PK", b"\x80\x02")


def read_flash_avatar(path: Path, options: ReadingOptions) -> Imported:
    """The avatar in a checkpoint, static, with the warning that says why.

    Raises:
        HeadGaSError: the file is damaged, malicious, or something else.
    """
    parts = _parts(path, read_torch(path))
    arrays = {name: parts[index].detach().float().cpu().numpy() for index, name in _FIELDS.items()}
    count = len(arrays["places"])
    check_count(path, count)
    bands = 1 + arrays["f_rest"].shape[1] if arrays["f_rest"].ndim == 3 else 0
    wanted = {
        "places": (count, 3), "f_dc": (count, 1, 3), "f_rest": (count, bands - 1, 3), "scales": (count, 3),
        "rotations": (count, 4), "opacities": (count, 1),
    }  # fmt: skip
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise HeadGaSError(f"{path}: its {name} are {list(arrays[name].shape)}; expected {list(shape)}.")
    if bands not in (1, 4, 9, 16):
        raise HeadGaSError(f"{path}: has {bands} harmonics; expected 1, 4, 9 or 16.")
    splats = assembled(
        path,
        arrays["places"],
        arrays["rotations"],
        arrays["scales"],
        arrays["opacities"][:, 0],
        np.concatenate([arrays["f_dc"], arrays["f_rest"]], 1),
    )
    return static(splats, "FlashAvatar checkpoint", AXES, options, [f"{path}: {_STILL}"])


def _parts(path: Path, content: Any) -> Sequence[Any]:
    """What GaussianModel.capture returned."""
    match content:
        case [[dict() | list(), *_], [_, *_] as parts, int()] if len(parts) == _PARTS:
            if all(isinstance(parts[index], torch.Tensor) for index in _FIELDS):
                return parts
    raise HeadGaSError(
        f"{path}: is no checkpoint of FlashAvatar: expected ((network, optimizer), ({_PARTS} parts), iteration).",
        "Other programs' .pth files are not read; many of them can export a .ply.",
    )
