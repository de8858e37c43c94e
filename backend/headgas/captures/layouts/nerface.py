# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""NeRFace: transforms_{train,val,test}.json with `expression`, and `intrinsics` that count the centre in image sizes.

Source: Gafni et al., "Dynamic Neural Radiance Fields for Monocular 4D Facial Avatar Reconstruction", CVPR 2021;
gafniguy/4D-Facial-Avatars, load_flame.py, nerf_helpers.py (get_ray_bundle) and real_to_nerf.py: an OpenGL camera, rays
through whole pixel numbers. A negative fx, as real_to_nerf.py writes it, means that X of the camera points to the left
of the picture: then head and camera are mirrored together. The cameras are scaled to be 0.5 away on average; how many
metres that is is not written down, and the one scale that the program names stands for all.
"""

import math
from pathlib import Path

import numpy as np

from headgas.captures.capture import Capture, Frame
from headgas.captures.fields import Fields, check_rigid
from headgas.captures.layouts.reading import (
    HALF_PIXEL,
    Listed,
    Report,
    Seen,
    assembled,
    listed,
    opengl_viewmat,
    pixel_matrix,
    size_of,
)
from headgas.captures.transforms import expression_space

_SPLITS = {"transforms_train.json": "train", "transforms_test.json": "test"}  # _val: five frames, for neither
_SCALE = 1 / 0.31  # metres per unit; real_to_nerf.py has 0.30999
_MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])


def detect(seen: Seen) -> bool:
    described = "expression" in seen.first and "transform_matrix" in seen.first
    own = "intrinsics" in seen.top or not ("w" in seen.top or "w" in seen.first)
    return described and own and (seen.folder / "transforms_train.json").is_file()


def read(folder: Path, report: Report, flame: Path | None) -> Capture:
    entries = listed(folder, _SPLITS)
    space = expression_space(entries[0].top, [entries[0].fields.data])
    size = size_of(entries[0].top, _image(folder, entries[0].fields))

    def frame(entry: Listed) -> Frame:
        fields = entry.fields
        fx, fy, cx, cy = _intrinsics(entry.top, size[0])
        camera_to_head = fields.array("transform_matrix", (4, 4))
        if fx < 0:
            camera_to_head = camera_to_head @ _MIRROR
            if np.linalg.det(camera_to_head) < 0:
                camera_to_head = _MIRROR @ camera_to_head
        check_rigid(fields, "transform_matrix", camera_to_head)
        image = _image(folder, fields)
        return Frame(
            name=f"{image.parent.name}_{image.stem}",  # each split counts from 0
            split=entry.split,
            image=image,
            width=size[0],
            height=size[1],
            viewmat=opengl_viewmat(camera_to_head, _SCALE),
            K=pixel_matrix(entry.top, abs(fx), fy, cx * size[0] + HALF_PIXEL, cy * size[1] + HALF_PIXEL),
            expression=fields.array("expression", (len(space),)).astype(np.float32),
        )

    return assembled(folder, space, entries, frame, report)


def _intrinsics(top: Fields, width: int) -> tuple[float, float, float, float]:
    """Focal lengths in pixels, and the centre in image sizes."""
    if top.data.get("intrinsics"):
        fx, fy, cx, cy = (float(value) for value in top.array("intrinsics", (4,)))
        return fx, fy, cx, cy
    focal = 0.5 * width / math.tan(0.5 * top.number("camera_angle_x"))
    return focal, focal, 0.5, 0.5


def _image(folder: Path, fields: Fields) -> Path:
    path = fields.path("file_path", folder)
    return path if path.suffix else path.with_suffix(".png")
