# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small picture by which a run is recognised."""

from pathlib import Path

import torch

from headgas.avatars import Avatar
from headgas.avatars.framing import face_camera
from headgas.files import save_image

_SIZE = 160  # pixels


@torch.inference_mode()
def write_thumbnail(avatar: Avatar, path: Path) -> None:
    """The resting face from the front, with alpha.

    Raises:
        HeadGaSError: the file cannot be written.
    """
    rendering = avatar.render(avatar.neutral(), face_camera(avatar, _SIZE))
    alpha = rendering.alpha[..., None]
    straight = torch.cat([rendering.color / alpha.clamp_min(1e-6), alpha], -1)
    save_image(path, (straight.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy())
