# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianAvatars and VHAP: transforms_{train,val,test}.json with `flame_param_path`; cameras stand, FLAME moves.

Source: Qian et al., "GaussianAvatars", CVPR 2024; ShenhanQian/VHAP, vhap/export_as_nerf_dataset.py and
vhap/model/flame.py: OpenGL cameras, metres; the .npz of each moment has rotation vectors, and a translation that is
added last. The images are mixed with white by fg_masks. Validation is a camera that training does not see, of moments
that it sees; both it and the moments of `test` are tested on, as they were published.
"""

import os
from pathlib import Path

import numpy as np

from headgas.captures.capture import Capture, Frame
from headgas.captures.fields import Fields, gathered
from headgas.captures.flame_parameters import FLAME_FILE, described, read_arrays, vector
from headgas.captures.layouts.head_pose import HeadPose
from headgas.captures.layouts.reading import Listed, Report, Seen, assembled, common, listed, unnamed_space, viewmat_of
from headgas.captures.mattes import Matte
from headgas.captures.transforms import OPENGL_TO_OPENCV, image_path, intrinsics
from headgas.errors import HeadGaSError

_SPLITS = {"transforms_train.json": "train", "transforms_val.json": "test", "transforms_test.json": "test"}
_OFFSETS = ("static_offset", "dynamic_offset")  # of points


def detect(seen: Seen) -> bool:
    return FLAME_FILE in seen.frame and "transform_matrix" in seen.frame


def read(folder: Path, report: Report, flame: Path | None) -> Capture:
    folder = Path(os.path.abspath(folder))
    entries = listed(folder, _SPLITS)
    moments = _Moments(folder, entries, flame)

    def mattes(fields: Fields) -> tuple[Matte, ...]:
        if "fg_mask_path" not in fields:
            return ()
        return (Matte(fields.path("fg_mask_path", folder, within=folder.parent), blended=True),)

    def frame(entry: Listed) -> Frame:
        fields = entry.fields
        right = gathered(
            {
                "image": lambda: image_path(fields, folder, within=folder.parent),
                "mattes": lambda: mattes(fields),
                "camera": lambda: intrinsics(fields, entry.top),
                "pose": lambda: fields.rigid("transform_matrix"),
                "moment": lambda: moments.read(entry),
            }
        )
        image, (K, width, height), (expression, head) = right["image"], right["camera"], right["moment"]
        own = image.is_relative_to(folder)
        return Frame(
            name=image.stem if own else f"{image.parent.parent.name}_{image.stem}",  # a union of several folders
            split=entry.split,
            image=image,
            width=width,
            height=height,
            viewmat=viewmat_of(OPENGL_TO_OPENCV @ np.linalg.inv(right["pose"]) @ head),
            K=K.astype(np.float32),
            expression=expression.astype(np.float32),
            mattes=right["mattes"],
        )

    return assembled(folder, unnamed_space("FLAME", moments.names), entries, frame, report)


class _Moments:
    """What FLAME does at each moment; its cameras share a file."""

    def __init__(self, folder: Path, entries: list[Listed], flame: Path | None) -> None:
        self._folder = folder
        self.names, shape = common(entries, self._subject)
        self._count = sum(name.startswith("expr_") for name in self.names)
        self._pose = HeadPose(folder, flame, np.array(shape), self._count)
        self._read: dict[Path, tuple[np.ndarray, np.ndarray]] = {}

    def _subject(self, entry: Listed) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """The parameters' names and the identity's shape, as one moment has them."""
        path = self._path(entry)
        arrays = read_arrays(path)
        if "shape" not in arrays:
            raise HeadGaSError(f"{path}: has no 'shape'.")
        return described(path, arrays)[0], tuple(arrays["shape"].ravel().tolist())

    def read(self, entry: Listed) -> tuple[np.ndarray, np.ndarray]:
        """The expression [B] of a frame, and the matrix [4,4] from FLAME at rest to the world."""
        path = self._path(entry)
        if path not in self._read:
            arrays = read_arrays(path)
            names, expression = described(path, arrays)
            if names != self.names:
                said = f"{len(names)} parameters of FLAME; other frames have {len(self.names)}"
                raise HeadGaSError(f"{path}: has {said}.")
            root, translation = (vector(path, arrays, field, 3) for field in ("rotation", "translation"))
            neck = arrays["neck_pose"].ravel() if "neck_pose" in arrays else np.zeros(3)
            offsets = [self._pose.offset(path, arrays[name]) for name in _OFFSETS if name in arrays]
            head = self._pose.matrix(root, neck, expression[: self._count], translation, sum(offsets))
            self._read[path] = (expression, head)
        return self._read[path]

    def _path(self, entry: Listed) -> Path:
        return entry.fields.path(FLAME_FILE, self._folder, within=self._folder.parent)
