# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Datasets whose cameras stand while FLAME turns the head: placed by FLAME's own equations, not by the reader's."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.headgas.avatars.test_flame import posed
from tests.headgas.captures.layouts.datasets import CX, CY, FX, FY, write_json
from tests.headgas.captures.layouts.head import (
    DOTS,
    FLIP,
    HEIGHT,
    POINTS,
    TO_Y_UP,
    WIDTH,
    photograph,
    save,
    with_alpha,
)
from tests.headgas.exchange.flame_files import flame_fields, write_flame

COUNT = len(DOTS)
EXPRESSIONS = 3  # of IMAvatar's 50 and VHAP's 100
SHAPES = 5
_NECK = 1


@dataclass(frozen=True)
class Moment:
    """What FLAME does in one frame."""

    number: int
    expression: np.ndarray  # [EXPRESSIONS]
    turns: np.ndarray  # [5,3] rotation vectors of root, neck, jaw and both eyes
    world: np.ndarray  # [n,3] the dots, where FLAME puts them
    rest: np.ndarray  # [n,3] the dots in head space, before they are posed


def fields() -> dict[str, np.ndarray]:
    """A FLAME whose first points are the head's dots, which follow the neck alone."""
    made = flame_fields()
    made["v_template"][:COUNT] = POINTS @ TO_Y_UP[:3, :3].T
    made["shapedirs"] *= 0.1
    made["posedirs"][:COUNT] = 0
    made["weights"][:COUNT] = np.eye(5)[_NECK]
    return made


def moments(count: int, offset: np.ndarray | float = 0.0) -> tuple[np.ndarray, list[Moment]]:
    """The identity's shape [SHAPES], and frames; offset: [V,3] metres, what points are moved by in rest."""
    generator = np.random.default_rng(4)
    flame, shape = fields(), generator.normal(size=SHAPES)
    flame["v_template"] = flame["v_template"] + offset
    made = []
    for number in range(count):
        expression = np.round(generator.normal(size=EXPRESSIONS), 3)
        turns = generator.normal(0, 0.12, (5, 3))
        betas = np.zeros(400)
        betas[:SHAPES], betas[300 : 300 + EXPRESSIONS] = shape, expression
        rest = (flame["v_template"] + flame["shapedirs"] @ betas)[:COUNT]
        world = posed(flame, betas, turns)[:COUNT]
        made.append(Moment(number, expression, turns, world, rest @ TO_Y_UP[:3, :3]))
    return shape, made


def flame_file(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return write_flame(folder, fields())


def write_imavatar(
    folder: Path, shape: np.ndarray, frames: list[Moment], images: str = "image", old: bool = False
) -> Path:
    """A camera that stands two units in front of a head four times as large; images: where, with alpha if 'images'."""
    world_mat = np.array([[1, 0, 0, 0.04], [0, 1, 0, -0.03], [0, 0, 1, -2.1]])
    view = FLIP @ np.vstack([world_mat, [0, 0, 0, 1]])
    entries = []
    for moment in frames:
        picture, matte = photograph(view, 4 * moment.world)
        number = moment.number + 1
        if images == "images":
            save(folder / f"images/{number}.png", with_alpha(picture, matte))
        else:
            save(folder / f"image/{number}.png", picture)
            save(folder / f"mask/{number}.png", matte)
        keypoints = np.zeros((70, 2)) + np.linspace(-0.2, 0.2, 70)[:, None]
        entries.append(
            {
                "file_path": f"./image/{number}", "world_mat": world_mat.tolist(),
                "expression": moment.expression.tolist(), "pose": moment.turns.ravel().tolist(),
                "bbox": [-0.5, -0.5, 0.5, 0.5], "flame_keypoints": keypoints.tolist(),
            }
        )  # fmt: skip
    size = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT]) / (512 if old else 1)
    intrinsics = (np.array([-FX, FY, CX, CY]) / size).tolist()
    write_json(
        folder / "flame_params.json", {"frames": entries, "intrinsics": intrinsics, "shape_params": shape.tolist()}
    )
    return folder


def write_gaussian_avatars(
    folder: Path, shape: np.ndarray, frames: list[Moment], offset: np.ndarray | None = None, home: str = ""
) -> Path:
    """Two cameras that stand; the last two moments are for testing, camera 1 of the others for validation.

    Images are mixed with white. home: the folder beside this one that images and parameters are in, for a union.
    """
    translation = np.array([0.02, -0.01, 0.03])
    data = folder.parent / home if home else folder
    parts: dict[str, list[dict[str, Any]]] = {"train": [], "val": [], "test": []}
    for moment in frames:
        path = data / f"flame_param/{moment.number:05d}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        root, neck, jaw, left, right = moment.turns[:, None]
        arrays = {"translation": translation[None], "rotation": root, "neck_pose": neck, "jaw_pose": jaw}
        arrays |= {"eyes_pose": np.concatenate([left, right], 1), "shape": shape, "expr": moment.expression[None]}
        if offset is not None:
            arrays["static_offset"] = np.concatenate([offset, np.ones((120, 3))])[None]  # and of the teeth
        np.savez(path, **{name: array.astype(np.float32) for name, array in arrays.items()})  # type: ignore[arg-type]
        for camera in range(2):
            pose = np.eye(4)
            pose[:3, 3] = (0.05 * camera, 0.01, 0.6)
            picture, matte = photograph(FLIP @ np.linalg.inv(pose), moment.world + translation)
            soft = matte.astype(np.float32)
            soft[10, 10:14] = 128  # half there
            cover = soft[..., None] / 255
            name = f"{moment.number:05d}_{camera:02d}"
            save(data / f"images/{name}.png", np.round(picture * cover + 255 * (1 - cover)).astype(np.uint8))
            save(data / f"fg_masks/{name}.png", soft.astype(np.uint8))
            start = f"../{home}/" if home else ""
            split = "test" if moment.number >= len(frames) - 2 else ("train", "val")[camera]
            parts[split].append(
                {
                    "timestep_index": moment.number, "camera_index": camera, "cx": CX, "cy": CY, "fl_x": FX, "fl_y": FY,
                    "h": HEIGHT, "w": WIDTH, "camera_angle_x": 0.5, "transform_matrix": pose.tolist(),
                    "file_path": f"{start}images/{name}.png", "fg_mask_path": f"{start}fg_masks/{name}.png",
                    "flame_param_path": f"{start}flame_param/{moment.number:05d}.npz",
                }
            )  # fmt: skip
    for split, part in parts.items():
        write_json(folder / f"transforms_{split}.json", {"frames": part, "timestep_indices": [], "w": WIDTH})
    return folder
