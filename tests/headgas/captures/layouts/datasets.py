# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small datasets as the published programs write them, byte by byte, around the known head."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.headgas.captures.layouts.head import HEIGHT, SQUARE_K, WIDTH, K, Shot, parsed, photograph, save, with_alpha

FX, FY, CX, CY = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
MIRROR = np.diag([-1.0, 1, 1, 1])


def write_json(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")


def write_insta(folder: Path, shots: list[Shot], test: int = 2) -> Path:
    """Poses of OpenCV cameras, images with alpha, an expression a text file."""
    frames = []
    for shot in shots:
        name = f"{shot.number:05d}"
        save(folder / f"images/{name}.png", with_alpha(*photograph(shot.viewmat)))
        (folder / "flame/exp").mkdir(parents=True, exist_ok=True)
        np.savetxt(folder / f"flame/exp/{name}.txt", shot.expression, fmt="%.8f")
        frames.append(
            {
                "transform_matrix": np.linalg.inv(shot.head_to_camera).tolist(), "file_path": f"images/{name}.png",
                "mesh_path": f"meshes/{name}.obj", "exp_path": f"flame/exp/{name}.txt",
                "depth_path": f"depth/{name}.png", "seg_mask_path": f"seg_mask/{name}.png",
            }
        )  # fmt: skip
    top = {"cx": CX, "cy": CY, "fl_x": FX, "fl_y": FY, "w": float(WIDTH), "h": float(HEIGHT)}
    top |= {"integer_depth_scale": 0.001, "camera_angle_x": 0.5, "x_fov": 30.0}
    parts = {"": frames, "_train": frames[:-test], "_test": frames[-test:], "_val": frames[-1:]}
    for name, part in parts.items():
        write_json(folder / f"transforms{name}.json", top | {"frames": part})
    return folder


def nerf_blendshape_frames(shots: list[Shot]) -> dict[str, Any]:
    """Rays go through whole numbers there: the middle of pixel 0 is at 0."""
    frames = [
        {"img_id": s.number, "exp_ori": s.expression.tolist(), "transform_matrix": s.opengl_pose.tolist()}
        for s in shots
    ]
    return {"h": HEIGHT, "w": WIDTH, "fx": FX, "fy": FY, "cx": CX - 0.5, "cy": CY - 0.5, "frames": frames}


def write_nerf_blendshape(folder: Path, shots: list[Shot]) -> Path:
    """JPEGs and parsed pictures; the frames are listed in another order than that of their numbers."""
    for shot in shots:
        picture, matte = photograph(shot.viewmat)
        save(folder / f"ori_imgs/{shot.number}.jpg", picture)
        save(folder / f"parsing/{shot.number}.png", parsed(matte))
    write_json(folder / "transforms.json", nerf_blendshape_frames(shots[::-1]))
    return folder


def write_gaussian_head(folder: Path, shots: list[Shot]) -> Path:
    """The matte of image 7 is mask/8.png; mask/7.png is another's."""
    save(folder / f"mask/{shots[0].number}.png", np.full((HEIGHT, WIDTH), 255, np.uint8))
    for shot in shots:
        picture, matte = photograph(shot.viewmat)
        save(folder / f"ori_imgs/{shot.number}.jpg", picture)
        save(folder / f"parsing/{shot.number}.png", parsed(255 - matte))
        save(folder / f"mask/{shot.number + 1}.png", matte)
    write_json(folder / "transforms.json", nerf_blendshape_frames(shots))
    return folder


def write_ad_nerf(folder: Path, shots: list[Shot], val: int = 2) -> Path:
    """Image numbers have gaps; a row of track_params.pt is a place among the frames, not a number."""
    frames = []
    for shot in shots:
        number = 3 * shot.number + 1
        picture, matte = photograph(shot.viewmat, K=SQUARE_K)
        save(folder / f"ori_imgs/{number}.jpg", picture)
        save(folder / f"parsing/{number}.png", parsed(matte))
        pose = {"transform_matrix": shot.opengl_pose.tolist(), "face_rect": [1, 2, 3, 4]}
        frames.append({"img_id": number, "aud_id": number} | pose)
    top = {"focal_len": FX, "cx": CX - 0.5, "cy": CY - 0.5}
    for name, part in {"train": frames[:-val], "val": frames[-val:]}.items():
        write_json(folder / f"transforms_{name}.json", top | {"frames": part})
    exp = torch.tensor(np.stack([shot.expression for shot in shots]), dtype=torch.float32)
    count = len(shots)
    tracked = {"id": torch.zeros(1, 100), "exp": exp, "euler": torch.zeros(count, 3), "trans": torch.zeros(count, 3)}
    torch.save(tracked | {"focal": torch.tensor([FX])}, folder / "track_params.pt")
    return folder


def write_nerface(folder: Path, shots: list[Shot], units: float, mirrored: bool) -> Path:
    """Images with alpha, numbered anew in each split; units per metre.

    mirrored: X of the camera points left in the picture and fx is negative, as the published program writes it. Its
    matrices are rotations all the same: head and camera are both mirrored.
    """
    parts = {"train": shots[:-2], "val": shots[:1], "test": shots[-2:]}
    for split, part in parts.items():
        frames = []
        for number, shot in enumerate(part):
            save(folder / f"{split}/f_{number:04d}.png", with_alpha(*photograph(shot.viewmat)))
            pose = shot.opengl_pose
            pose[:3, 3] *= units
            pose = MIRROR @ pose @ MIRROR if mirrored else pose
            frame = {"file_path": f"./{split}/f_{number:04d}", "bbox": [0.1, 0.9, 0.1, 0.9]}
            frames.append(frame | {"transform_matrix": pose.tolist(), "expression": shot.expression.tolist()})
        intrinsics = [-FX if mirrored else FX, FY, (CX - 0.5) / WIDTH, (CY - 0.5) / HEIGHT]
        write_json(
            folder / f"transforms_{split}.json", {"camera_angle_x": 0.5, "frames": frames, "intrinsics": intrinsics}
        )
    return folder


def six_numbers(matrix: np.ndarray) -> np.ndarray:
    """PyTorch3D's matrix_to_rotation_6d: the first two rows."""
    return matrix[:2].reshape(1, 6).astype(np.float32)


def write_tracked(path: Path, shot: Shot, jaw: np.ndarray, eyes: list[np.ndarray]) -> None:
    """A `.frame` of metrical-tracker; jaw and eyes: matrices [3,3]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    expression = np.zeros((1, 100), np.float32)
    expression[0, : len(shot.expression)] = shot.expression
    view = shot.head_to_camera.astype(np.float32)
    flame = {
        "exp": expression, "shape": np.zeros((1, 300), np.float32), "tex": np.zeros((1, 140), np.float32),
        "sh": np.zeros((1, 9, 3), np.float32), "eyes": np.concatenate([six_numbers(eye) for eye in eyes], 1),
        "eyelids": np.array([[0.25, 0.5]], np.float32) * (shot.number + 1) / 10, "jaw": six_numbers(jaw),
    }  # fmt: skip
    # PyTorch3D's camera looks along +Z with X to the left: kept beside, and not to be mistaken for the other
    ndc = {"R": six_numbers(np.diag([-1.0, 1, -1])), "t": view[None, :3, 3] * 2, "fl": np.array([[9.0]], np.float32)}
    payload = {
        "flame": flame, "camera": ndc | {"pp": np.zeros((1, 2), np.float32)},
        "opencv": {"R": view[None, :3, :3], "t": view[None, :3, 3], "K": K[None].astype(np.float32)},
        "img_size": np.array([HEIGHT, WIDTH]), "frame_id": f"{shot.number:05d}", "global_step": 9,
    }  # fmt: skip
    torch.save(payload, path)


def write_metrical(folder: Path, shots: list[Shot], jaw: np.ndarray, eyes: list[np.ndarray]) -> Path:
    for shot in shots:
        save(folder / f"images/{shot.number:05d}.png", with_alpha(*photograph(shot.viewmat)))
        write_tracked(folder / f"checkpoint/{shot.number:05d}.frame", shot, jaw, eyes)
    return folder


def write_flash_avatar(root: Path, shots: list[Shot], jaw: np.ndarray, eyes: list[np.ndarray]) -> Path:
    """dataset/ID beside metrical-tracker/output/ID; image 00004 belongs to frame 00003."""
    folder = root / "dataset/id"
    for shot in shots:
        picture, matte = photograph(shot.viewmat)
        body = np.full_like(matte, 255)  # alpha has the shoulders, the parsed picture has not
        body[0] = 0
        number = f"{shot.number + 1:05d}"
        save(folder / f"imgs/{number}.jpg", picture)
        save(folder / f"alpha/{number}.jpg", body)
        save(folder / f"parsing/{number}_neckhead.png", matte)
        save(folder / f"parsing/{number}_mouth.png", 255 - matte)
        write_tracked(root / f"metrical-tracker/output/id/checkpoint/{shot.number:05d}.frame", shot, jaw, eyes)
    return folder
