# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of MediaPipe's Face Landmarker, frame by frame, as programs store them in JSON.

There is no standard file; the words are those of MediaPipe's result in Python, JavaScript and Swift:

    [{"timestamp_ms": 0, "blendshapes": {"jawOpen": 0.1, ...}, "facial_transformation_matrix": [[4] * 4]}, ...]

or an object with that list in `frames` (or `results`), and `fps` where frames have no times. `blendshapes` (or
`face_blendshapes`) is an object, or a list of {"category_name", "score"}; a list per face counts with its first face.
A frame without a face is left out. A bare `timestamp` counts milliseconds if frames would be over a second apart.
The matrix maps the face's axes (X to the subject's left, Y up, Z out of the face; centimetres) into those of a camera
that looks along -Z: MediaPipe's documentation of its Face Transform module. So no turn is: the face looks into the
camera. JavaScript's flat list is column by column, Python's rows are rows; a rigid matrix shows which it is.
"""

from pathlib import Path
from typing import Any

import numpy as np

from ..arkit import canonical
from ..rotations import from_matrices
from .checks import ReadingOptions, checked_rate, is_number, number, rising, table, wrong
from .head_axes import moves_to_head_space, turns_to_head_space
from .take import Take

_SHAPES = ("blendshapes", "face_blendshapes", "faceBlendshapes", "blendShapes")
_NAMES = ("category_name", "categoryName", "display_name", "displayName", "name")
_SCORES = ("score", "value")
_MATRICES = (
    "facial_transformation_matrixes", "facialTransformationMatrixes", "facial_transformation_matrix",
    "facialTransformationMatrix", "transformation_matrix", "matrix",
)  # fmt: skip
_MILLISECONDS = ("timestamp_ms", "timestampMs", "time_ms", "timestampInMilliseconds")
_SECONDS = ("time", "timestamp", "seconds")
_RATES = ("fps", "frame_rate", "frameRate")
_NO_SHAPE = "_neutral"  # MediaPipe's first category moves nothing


def is_mediapipe(data: Any) -> bool:
    """Whether a JSON file's content is a list of frames with blend shapes."""
    frames = _frames(data)
    return isinstance(frames, list) and any(isinstance(frame, dict) and _first(frame, _SHAPES) for frame in frames)


def read_mediapipe(path: Path, data: Any, options: ReadingOptions) -> Take:
    """The take in a file.

    Raises:
        HeadGaSError: something in it is damaged; the message names frame and field.
    """
    frames = _frames(data)
    scores, kept = [], []
    for place, frame in enumerate(frames):
        if not isinstance(frame, dict):
            raise wrong(path, f"frame {place} is {frame!r:.40}; expected an object")
        found = _scores(path, place, frame)
        if found:
            scores.append(found)
            kept.append(place)
    names = tuple(scores[0])
    for place, found in zip(kept, scores, strict=True):
        if found.keys() != scores[0].keys():
            odd = sorted(found.keys() ^ scores[0].keys())
            raise wrong(path, f"frame {place}: frame {kept[0]} has other blend shapes; they differ in {', '.join(odd)}")
    values = table(path, [[found[name] for name in names] for found in scores], len(names), "blendshapes", kept)
    times = rising(path, _times(path, data, frames, options)[kept], kept)
    rotations, positions = _poses(path, frames, kept)
    return Take(names, times, values.astype(np.float32), rotations, positions)


def _frames(data: Any) -> Any:
    if isinstance(data, dict):
        return data.get("frames", data.get("results"))
    return data


def _first(fields: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _scores(path: Path, place: int, frame: dict[str, Any]) -> dict[str, float]:
    """Scores by name; none where there is no face."""
    shapes = _first(frame, _SHAPES)
    if isinstance(shapes, list) and shapes and isinstance(shapes[0], list):
        shapes = shapes[0]
    if isinstance(shapes, list) and shapes and isinstance(shapes[0], dict) and "categories" in shapes[0]:
        shapes = shapes[0]
    if isinstance(shapes, dict) and isinstance(shapes.get("categories"), list):
        shapes = shapes["categories"]
    if isinstance(shapes, list):
        entries = [entry if isinstance(entry, dict) else {} for entry in shapes]
        pairs = [(_first(entry, _NAMES), _first(entry, _SCORES)) for entry in entries]
    else:
        pairs = list(shapes.items()) if isinstance(shapes, dict) else []
    found: dict[str, float] = {}
    for number_of, (name, score) in enumerate(pairs):
        if not isinstance(name, str) or not name:
            raise wrong(path, f"frame {place}, 'blendshapes[{number_of}]': has no name")
        if not is_number(score):
            raise wrong(path, f"frame {place}, 'blendshapes', {name}: {score!r:.40} is no finite number")
        if canonical(name) in found:
            raise wrong(path, f"frame {place}, 'blendshapes': {name} is there twice")
        if name != _NO_SHAPE:
            found[canonical(name)] = score
    return found


def _times(path: Path, data: Any, frames: list[dict[str, Any]], options: ReadingOptions) -> np.ndarray:
    """Seconds of all frames [F]."""
    for names in (_MILLISECONDS, _SECONDS):
        if any(_first(frame, names) is not None for frame in frames):
            said = [number(path, _first(frame, names), f"frame {i}, '{names[0]}'") for i, frame in enumerate(frames)]
            times = np.array(said)
            slow = len(times) > 1 and np.median(np.diff(times)) > 1
            return times / 1000 if names is _MILLISECONDS or slow else times
    said = _first(data, _RATES) if isinstance(data, dict) else None
    rate = options.frame_rate if said is None else checked_rate(path, said, "fps")
    return np.arange(len(frames)) / rate


def _poses(path: Path, frames: list[dict[str, Any]], kept: list[int]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Turns [T,4] and moves [T,3] (metres) of the head where frames have its matrix."""
    matrices = [_first(frames[place], _MATRICES) for place in kept]
    if not any(matrices):
        return None, None
    flat = table(path, [_flat(matrix) for matrix in matrices], 16, "facial_transformation_matrixes", kept)
    shaped = flat.reshape(-1, 4, 4)
    by_columns = (np.abs(shaped[:, :3, 3]).max(1) < 1e-9) & (np.abs(shaped[:, 3, :3]).max(1) > 1e-9)
    shaped = np.where(by_columns[:, None, None], shaped.transpose(0, 2, 1), shaped)
    bottom = np.abs(shaped[:, 3] - np.array([0, 0, 0, 1])).max(1) > 1e-4
    odd = bottom | (np.linalg.det(shaped[:, :3, :3]) <= 1e-6)
    if odd.any():
        place = kept[int(np.flatnonzero(odd)[0])]
        raise wrong(path, f"frame {place}, 'facial_transformation_matrixes': turns and moves no head")
    centimetres = shaped[:, :3, 3] - shaped[0, :3, 3]
    return turns_to_head_space(from_matrices(shaped[:, :3, :3])), moves_to_head_space(centimetres / 100)


def _flat(matrix: Any) -> Any:
    """The 16 numbers of a matrix in any of its shapes; of a list of matrices, of the first."""
    if isinstance(matrix, dict):
        matrix = matrix.get("data", matrix)
    while isinstance(matrix, list) and len(matrix) == 1:
        matrix = matrix[0]
        matrix = matrix.get("data", matrix) if isinstance(matrix, dict) else matrix
    if isinstance(matrix, list) and matrix and isinstance(matrix[0], list) and len(matrix[0]) == 4:
        return [value for row in matrix if isinstance(row, list) for value in row]
    return matrix
