# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""NeRFace: transforms_{train,val,test}.json with `expression`, and `intrinsics` that count the centre in image sizes.

Source: Gafni et al., "Dynamic Neural Radiance Fields for Monocular 4D Facial Avatar Reconstruction", CVPR 2021;
gafniguy/4D-Facial-Avatars, load_flame.py, nerf_helpers.py (get_ray_bundle) and real_to_nerf.py: an OpenGL camera, rays
through whole pixel numbers. A negative fx, as real_to_nerf.py writes it, means that X of the camera points to the left
of the picture: then head and camera are mirrored together. The cameras are scaled to be 0.5 away on average; how many
metres that is is not written down, and the one scale that the program names stands for all.
"""

from pathlib import Path

import numpy as np

from headgas.captures.capture import Capture, Frame
from headgas.captures.fields import Fields, check_rigid, frames_of, gathered
from headgas.captures.layouts.reading import (
    HALF_PIXEL,
    Listed,
    Report,
    Seen,
    assembled,
    common,
    listed,
    opengl_viewmat,
    pixel_matrix,
    size_of,
)
from headgas.captures.transforms import expression_space, focal_length, image_path

_SPLITS = {"transforms_train.json": "train", "transforms_test.json": "test"}  # _val: five frames, for neither
_SCALE = 1 / 0.31  # metres per unit; real_to_nerf.py has 0.30999
_MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])


def detect(seen: Seen) -> bool:
    described = "expression" in seen.frame and "transform_matrix" in seen.frame
    own = "intrinsics" in seen.top or not ("w" in seen.top or "w" in seen.frame)
    return described and own and (seen.folder / "transforms_train.json").is_file()


def read(folder: Path, report: Report, flame: Path | None) -> Capture:
    entries = listed(folder, _SPLITS)
    space = expression_space(entries[0].top, frames_of(entries[0].top))
    size = common(entries, lambda entry: size_of(entry.top, image_path(entry.fields, folder)))

    def frame(entry: Listed) -> Frame:
        fields = entry.fields
        right = gathered(
            {
                "image": lambda: image_path(fields, folder),
                "width": lambda: size[0],
                "height": lambda: size[1],
                "viewmat": lambda: _viewmat(entry, size[0]),
                "K": lambda: _K(entry.top, *size),
                "expression": lambda: fields.array("expression", (len(space),)).astype(np.float32),
            }
        )
        image = right["image"]
        return Frame(name=f"{image.parent.name}_{image.stem}", split=entry.split, **right)  # each split counts from 0

    return assembled(folder, space, entries, frame, report)


def _viewmat(entry: Listed, width: int) -> np.ndarray:
    camera_to_head = entry.fields.array("transform_matrix", (4, 4))
    if _intrinsics(entry.top, width)[0] < 0:
        camera_to_head = camera_to_head @ _MIRROR
        if np.linalg.det(camera_to_head) < 0:
            camera_to_head = _MIRROR @ camera_to_head
    check_rigid(entry.fields, "transform_matrix", camera_to_head)
    return opengl_viewmat(camera_to_head, _SCALE)


def _K(top: Fields, width: int, height: int) -> np.ndarray:
    fx, fy, cx, cy = _intrinsics(top, width)
    return pixel_matrix(top, abs(fx), fy, cx * width + HALF_PIXEL, cy * height + HALF_PIXEL)


def _intrinsics(top: Fields, width: int) -> tuple[float, float, float, float]:
    """Focal lengths in pixels, and the centre in image sizes."""
    if top.data.get("intrinsics"):
        fx, fy, cx, cy = (float(value) for value in top.array("intrinsics", (4,)))
        return fx, fy, cx, cy
    focal = focal_length(top, width)
    return focal, focal, 0.5, 0.5
