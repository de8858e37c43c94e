# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""From one file to another: what `headgas convert` and Blender's importer do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from headgas.avatars import Avatar, save_avatar
from headgas.avatars.framing import visible_bounds
from headgas.avatars.surface import extract_surface
from headgas.captures import load_capture
from headgas.errors import HeadGaSError
from headgas.exchange import gltf, ply, spz
from headgas.exchange.axes import out_of_head_space
from headgas.exchange.imported import Imported, ReadingOptions, check_writable
from headgas.exchange.own import SUFFIX, is_own
from headgas.exchange.reading import read_avatar, whole

_CONVERTED = ".headgas" + SUFFIX
# What splats are written by, and the axes that readers of the format expect
_WRITERS = {
    ".ply": (ply.write_ply, ply.AXES),
    ".spz": (spz.write_spz, spz.AXES),
    ".glb": (gltf.write_gltf, gltf.AXES),
    ".gltf": (gltf.write_gltf, gltf.AXES),
}


@dataclass(frozen=True)
class Conversion(ReadingOptions):
    """What a conversion can be told. Axes and scale are those of the file that is not ours; of the one that is read,
    where both are not."""

    compact: bool = True  # our own files: a quarter of the bytes
    expression: Mapping[str, float] = field(default_factory=dict)  # splats: parameters that are not at rest
    capture: Path | None = None  # splats: where expressions come from, a file for each frame
    frame: int | None = None  # only this one, from 0
    split: str = "all"  # only these: "train", "test" or "all"


@dataclass(frozen=True)
class Converted:
    """What a conversion wrote."""

    files: tuple[Path, ...]
    format: str  # of what was read
    warnings: tuple[str, ...]


def convert(source: Path, target: Path, wanted: Conversion | None = None) -> Converted:
    """Reads an avatar of any format and writes it in the format that the target's name ends in.

    Raises:
        HeadGaSError: the source cannot be read, the target not be written, or the two do not go together.
    """
    wanted = wanted or Conversion()
    suffix = target.suffix.lower()
    if suffix != SUFFIX and suffix not in _WRITERS:
        known = ", ".join([SUFFIX, *_WRITERS])
        raise HeadGaSError(f"{target}: the name must end in one of {known}; that says what is written.")
    if _are_one(source, target):
        raise HeadGaSError(f"{target}: would be written over what is read.", "Choose another name.")
    wanted.check()
    if suffix == SUFFIX and (wanted.expression or wanted.capture):
        raise HeadGaSError(f"{target}: holds every expression.", "Leave out --expression and --capture.")
    source = whole(source)
    ours = is_own(source)
    imported = read_avatar(source, ReadingOptions() if ours and suffix != SUFFIX else wanted)
    if suffix == SUFFIX:
        _save(target, imported, source, ours, wanted.compact)
        return Converted((target,), imported.format, tuple(imported.warnings))
    write, axes = _WRITERS[suffix]
    axes, scale = (wanted.axes or axes, wanted.scale) if ours else (axes, 1.0)
    files, warnings = [], list(imported.warnings)
    if imported.avatar.splats_lack:
        warnings.append(f"{source.name}: {imported.avatar.splats_lack}")
    for name, expression in _expressions(imported.avatar, wanted):
        path = target.with_name(target.stem + name + target.suffix)
        splats = imported.avatar.splats(expression)
        check_writable(splats)
        warnings += write(path, out_of_head_space(splats, axes, scale))
        files.append(path)
    return Converted(tuple(files), imported.format, tuple(dict.fromkeys(warnings)))


def _are_one(source: Path, target: Path) -> bool:
    try:
        return target.samefile(source)
    except OSError:  # one of them is not there
        return False


def beside(source: Path) -> Path:
    """Where Blender keeps what becomes of another program's avatar: beside its file, or beside the folder it is."""
    source = whole(source).absolute()
    return source.with_name((source.name if source.is_dir() else source.stem) + _CONVERTED)


def _save(target: Path, imported: Imported, source: Path, ours: bool, compact: bool) -> None:
    avatar, training = imported.avatar, dict(imported.training)
    if not ours:
        training |= {"source": source.absolute().name, "format": imported.format, "gaussians": avatar.count}
    surface = imported.surface or _surface(avatar)
    save_avatar(target, avatar, imported.preset, training, surface, compact)


def _surface(avatar: Avatar) -> dict[str, Tensor]:
    """A light mesh; the box around the Gaussians where they are nowhere dense enough to have a surface."""
    surface = extract_surface(avatar)
    if len(surface["vertices"]):
        return surface
    low, high = visible_bounds(avatar)
    corners = torch.tensor([[i & 1, i >> 1 & 1, i >> 2] for i in range(8)], dtype=torch.float32)
    sides = ((0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5))  # from outside
    faces = [triangle for a, b, c, d in sides for triangle in ((a, b, c), (a, c, d))]
    return {
        "vertices": low.cpu() + corners * (high - low).cpu(),
        "faces": torch.tensor(faces, dtype=torch.int32),
        "colors": torch.full((8, 3), 128, dtype=torch.uint8),
    }


def _expressions(avatar: Avatar, wanted: Conversion) -> list[tuple[str, Tensor]]:
    """The expressions to write, each with what is added to the file's name."""
    space = avatar.expression_space
    if (wanted.expression or wanted.capture) and not len(space):
        raise HeadGaSError("Nothing drives this avatar: it has one look.", "Leave out --expression and --capture.")
    rest = dict(zip(space.names, space.neutral, strict=True))
    unknown = [name for name in wanted.expression if name not in rest]
    if unknown:
        names = ", ".join(space.names)
        raise HeadGaSError(f"The avatar has no parameter {unknown[0]!r}.", f"It has {names}.")
    if wanted.capture is None:
        if wanted.frame is not None:
            raise HeadGaSError("A frame without a capture says nothing.", "Add --capture CAPTURE.")
        values = rest | dict(wanted.expression)
        return [("", torch.tensor(list(values.values()), dtype=torch.float32))]
    if wanted.expression:
        raise HeadGaSError("An expression and a capture exclude each other.", "Leave out --expression or --capture.")
    return _expressions_of(wanted.capture, rest, wanted)


def _expressions_of(folder: Path, rest: dict[str, float], wanted: Conversion) -> list[tuple[str, Tensor]]:
    """The expressions of a capture's frames, their parameters found by name."""
    capture = load_capture(folder)
    missing = [name for name in rest if name not in capture.expression_space.names]
    if missing:
        raise HeadGaSError(
            f"{folder}: its expression space does not fit the avatar: it lacks {', '.join(missing[:5])}."
        )
    frames = capture.split(wanted.split) if wanted.frame is None else capture.frames
    if wanted.frame is not None and not 0 <= wanted.frame < len(frames):
        raise HeadGaSError(f"--frame {wanted.frame}: the capture has the frames 0 to {len(frames) - 1}.")
    numbered = list(enumerate(frames, 1)) if wanted.frame is None else [(0, frames[wanted.frame])]
    names = capture.expression_space.names
    order = [names.index(name) for name in rest]
    return [
        (f"_{number:04d}" if number else "", torch.from_numpy(frame.expression[order])) for number, frame in numbered
    ]
