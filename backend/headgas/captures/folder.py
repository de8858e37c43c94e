# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own capture format: a folder with `capture.json` (docs/formats.md)."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headgas import files
from headgas.avatars.expression_space import ExpressionSpace
from headgas.captures.capture import Box, Capture, Frame, Rendered, seen_range
from headgas.captures.fields import Fields, WrongFields, frames_of, gathered, is_pinhole, read_json
from headgas.errors import HeadGaSError

FILE = "capture.json"
VERSION = 1


def read_folder(folder: Path, report: Callable[[HeadGaSError], None]) -> Capture:
    """Reads `capture.json`; what is wrong with single frames goes to `report`, and those frames are left out.

    Raises:
        HeadGaSError: the file as a whole cannot be used.
    """
    path = folder / FILE
    fields = Fields(read_json(path), str(path))
    if fields.data.get("format") != "headgas-capture":
        raise fields.error("format", "'headgas-capture'")
    version = fields.number("version")
    if version > VERSION:
        raise HeadGaSError(
            f"{path}: was written by a newer HeadGaS (version {version:g}; this one reads {VERSION}).",
            "Update HeadGaS to open it.",
        )
    if fields.data.get("color_encoding", "srgb-display") != "srgb-display":
        raise fields.error("color_encoding", "'srgb-display'")
    space = ExpressionSpace.from_json(fields.data.get("expression_space"), str(path))
    if not len(space):
        raise fields.error("expression_space.names", "a list of at least one name")
    entries = frames_of(fields)
    frames: dict[str, Frame] = {}
    for number, entry in enumerate(entries):
        try:
            frame = _frame(folder, path, number, entry, space)
            if frame.name in frames:
                raise WrongFields(f"{path}, frame {number}: the name {frame.name!r} is used twice.", vars(frame))
            frames[frame.name] = frame
        except HeadGaSError as error:
            report(error)
    kept = tuple(frames.values())
    points = fields.path("points", folder) if "points" in fields else None
    seen = seen_range(space, kept) if kept else space
    return Capture(folder, seen, kept, points, fields.poses_estimated(), _rendered(fields))


def _rendered(fields: Fields) -> Rendered | None:
    """How the capture was rendered, where it says how long that took."""
    if "rendered" not in fields:
        return None
    said = Fields(fields.data["rendered"], f"{fields.where}, rendered")
    if "seconds_per_frame" not in said:  # all frames were there already
        return None
    return Rendered(said.text("engine"), said.number("seconds_per_frame"))


def _frame(folder: Path, path: Path, number: int, entry: Any, space: ExpressionSpace) -> Frame:
    name = entry.get("name", "?") if isinstance(entry, Mapping) else "?"
    fields = Fields(entry, f"{path}, frame {number} ({name!r})")
    return Frame(
        **gathered(
            {
                "name": lambda: fields.text("name"),
                "split": lambda: _split(fields),
                "image": lambda: fields.path("image", folder),
                "width": lambda: fields.size("width"),
                "height": lambda: fields.size("height"),
                "viewmat": lambda: fields.rigid("viewmat").astype(np.float32),
                "K": lambda: _intrinsics(fields),
                "expression": lambda: fields.array("expression", (len(space),)).astype(np.float32),
                "boxes": lambda: _boxes(fields),
                "depth": lambda: fields.path("depth", folder) if "depth" in fields else None,
                "depth_unit": lambda: fields.positive("depth_unit", 1.0),
            }
        )
    )


def _split(fields: Fields) -> str:
    split = fields.text("split", "train")
    if split not in ("train", "test"):
        raise fields.error("split", "'train' or 'test'")
    return split


def _intrinsics(fields: Fields) -> np.ndarray:
    K = fields.array("K", (3, 3))
    if not is_pinhole(K):
        raise fields.error("K", "fx 0 cx, 0 fy cy, 0 0 1 with positive focal lengths fx and fy")
    return K.astype(np.float32)


def _boxes(fields: Fields) -> dict[str, Box]:
    if "boxes" not in fields:
        return {}
    boxes = Fields(fields.data["boxes"], f"{fields.where}, boxes")
    width, height = fields.size("width"), fields.size("height")
    result: dict[str, Box] = {}
    for name in boxes.data:
        x0, y0, x1, y1 = (int(v) for v in boxes.array(name, (4,)))
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise boxes.error(name, f"x0, y0, x1, y1 with x0 < x1 ≤ {width} and y0 < y1 ≤ {height}")
        result[name] = (x0, y0, x1, y1)
    return result


def write_folder(
    folder: Path, space: ExpressionSpace, frames: Sequence[Frame], points: str = "", estimated: bool = False
) -> None:
    """Writes `capture.json` for images that lie in the folder already, as RGBA PNG files.

    Args:
        points: the name of the file with surface points; empty without.
        estimated: a tracker made the cameras and expressions.

    Raises:
        HeadGaSError: it cannot be written.
    """
    described = {"kind": space.kind, "names": list(space.names), "neutral": list(space.neutral)}
    data: dict[str, Any] = {"format": "headgas-capture", "version": VERSION, "color_encoding": "srgb-display"}
    data |= {"poses": "estimated" if estimated else "exact", "expression_space": described}
    data |= {"points": points} if points else {}
    data["frames"] = [_described(frame) for frame in frames]
    files.write(folder / FILE, json.dumps(data))


def _described(frame: Frame) -> Mapping[str, Any]:
    """The frame in capture.json."""
    entry: dict[str, Any] = {"name": frame.name, "split": frame.split, "image": f"images/{frame.name}.png"}
    entry |= {"width": frame.width, "height": frame.height}
    for name in ("viewmat", "K", "expression"):
        entry[name] = _rounded(getattr(frame, name))
    if frame.boxes:
        entry["boxes"] = {name: list(box) for name, box in frame.boxes.items()}
    return entry


def _rounded(array: np.ndarray) -> list[Any]:
    """Nested lists of the shortest numbers that are the same float32."""
    return [_rounded(row) if row.ndim else float(str(row)) for row in array.astype(np.float32)]
