# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures as other programs' datasets have them: a file a layout, each with its source and its conventions.

Every layout is told by its files and the fields in them; none is asked for by name. docs/formats.md has the table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headgas.captures.capture import Capture
from headgas.captures.layouts import (
    ad_nerf,
    flash_avatar,
    gaussian_avatars,
    gaussian_head,
    imavatar,
    insta,
    metrical,
    nerf_blendshape,
    nerface,
)
from headgas.captures.layouts.reading import Report, Seen


@dataclass(frozen=True)
class Layout:
    """One published layout."""

    name: str
    detect: Callable[[Seen], bool]
    # (folder, where what is wrong with single frames goes, the user's FLAME) to its capture, or HeadGaSError
    read: Callable[[Path, Report, Path | None], Capture]


# In the order in which they are tried: what holds more than another comes before it.
LAYOUTS = (
    Layout("FlashAvatar", flash_avatar.detect, flash_avatar.read),
    Layout("metrical-tracker (GaussianBlendshapes, RGBAvatar)", metrical.detect, metrical.read),
    Layout("INSTA", insta.detect, insta.read),
    Layout("GaussianAvatars (VHAP)", gaussian_avatars.detect, gaussian_avatars.read),
    Layout("GaussianHead", gaussian_head.detect, gaussian_head.read),
    Layout("NeRFBlendShape", nerf_blendshape.detect, nerf_blendshape.read),
    Layout("AD-NeRF", ad_nerf.detect, ad_nerf.read),
    Layout("NeRFace", nerface.detect, nerface.read),
    Layout("IMAvatar (PointAvatar, SplattingAvatar)", imavatar.detect, imavatar.read),
)


def find_layout(folder: Path) -> Layout | None:
    """The layout that a folder has, or None where it has none of these."""
    seen = Seen.of(folder)
    return next((layout for layout in LAYOUTS if layout.detect(seen)), None)
