# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens avatars of any format: the table of readers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headgas.errors import HeadGaSError
from headgas.exchange import (
    flash_avatar,
    gaussian_avatars,
    gaussian_blendshapes,
    gaussian_head,
    lam,
    own,
    ply,
    rgbavatar,
    splat,
    spz,
)
from headgas.exchange.imported import Imported, ReadingOptions

_START = 1 << 16  # bytes of a file that readers are shown


@dataclass(frozen=True)
class Reader:
    """One format."""

    suffixes: tuple[str, ...]  # that such files usually have
    recognises: Callable[[Path, bytes], bool]  # from the path, and the first bytes of it (none of a folder)
    read: Callable[[Path, ReadingOptions], Imported]


# The first that recognises a file reads it: those that look more closely stand first.
READERS = (
    Reader((".safetensors",), lambda path, start: own.is_safetensors(start), own.read_own),
    Reader((".zip",), lam.is_lam, lam.read_lam),
    Reader((".ply",), lambda path, start: rgbavatar.is_rgbavatar(start), rgbavatar.read_rgbavatar),
    Reader(
        (".ply",),
        lambda path, start: gaussian_avatars.is_gaussian_avatars(start),
        gaussian_avatars.read_gaussian_avatars,
    ),
    Reader(
        (".npy",),
        lambda path, start: gaussian_blendshapes.is_gaussian_blendshapes(path),
        gaussian_blendshapes.read_gaussian_blendshapes,
    ),
    Reader((".pth",), flash_avatar.is_flash_avatar, flash_avatar.read_flash_avatar),
    Reader((".ply",), lambda path, start: ply.is_ply(start), ply.read_ply),
    Reader((".spz",), spz.is_spz, spz.read_spz),
    Reader((".splat",), lambda path, start: path.suffix.lower() == ".splat", splat.read_splat),
    Reader((".pth",), lambda path, start: gaussian_head.is_gaussian_head(path), gaussian_head.read_gaussian_head),
)


def whole(path: Path) -> Path:
    """What an avatar is read from where a user names a path: the path, or the folder whose part it is."""
    try:
        if not path.exists() or path.suffix.lower() == own.SUFFIX:  # ours may have been written into such a folder
            return path
        inside = path.absolute()
        return gaussian_head.run_of(inside) or gaussian_blendshapes.dump_of(inside) or path
    except OSError:  # who reads it says why it cannot be read
        return path


def read_avatar(path: Path, options: ReadingOptions | None = None) -> Imported:
    """The avatar in a file or a folder of any format that this room reads; a part of a folder stands for the folder.

    Raises:
        HeadGaSError: it is missing, of no known format, or damaged.
    """
    options = options or ReadingOptions()
    options.check()
    path = whole(path)
    try:
        if not path.exists():
            raise HeadGaSError(f"{path}: there is no such file.")
        if path.is_dir():
            start, empty = b"", not any(path.iterdir())
        else:
            with path.open("rb") as file:
                start = file.read(_START)
            empty = not start
        if empty:
            raise HeadGaSError(f"{path}: is empty.", "Copy or download it again.")
        for reader in READERS:
            if reader.recognises(path, start):
                return reader.read(path, options)
        raise _unknown(path)
    except OSError as error:
        raise HeadGaSError(f"{path}: cannot be read ({error.strerror or error}).") from None


def _unknown(path: Path) -> HeadGaSError:
    """What to say of a path that no reader recognises."""
    known = list(dict.fromkeys(suffix for reader in READERS for suffix in reader.suffixes))
    if path.is_dir():
        return HeadGaSError(
            f"{path}: is no folder of an avatar that HeadGaS reads.",
            "It reads the run folder of GaussianHead, which holds point_cloud, deform, trip and tilted, and that of 3D "
            "Gaussian Blendshapes' viewer, which holds fix_chkpnt….",
        )
    suffix = path.suffix.lower()
    if suffix in known:
        return HeadGaSError(
            f"{path}: is damaged, or is not a {suffix} file of the kind that HeadGaS reads.",
            "docs/formats.md says which programs' files those are. If it is one, copy or download it again.",
        )
    return HeadGaSError(
        f"{path}: is of no format that HeadGaS reads.", f"It reads {', '.join(known)}: see docs/formats.md."
    )
