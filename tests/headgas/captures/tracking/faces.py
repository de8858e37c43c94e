# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A face of 478 landmarks that moves as it is told, and a stand-in for the tracker's worker that has seen it.

`python faces.py JOB.json` does the worker's jobs for a "video" that is a folder with `seen.npz`.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT, FOCAL = 640, 480, 800.0
K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
TO_CAMERA = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])  # of a head that looks straight at the camera
_EYE_HEIGHT, _EYE_DEPTH = 0.0, -0.085


@dataclass(frozen=True)
class Video:
    """Truth and what is seen of it, in F frames."""

    rotations: np.ndarray  # [F,3,3]
    translations: np.ndarray  # [F,3]
    positions: np.ndarray  # [F,478,3] metres in head space
    landmarks: np.ndarray  # [F,478,3] pixels
    moved: dict[str, np.ndarray] = field(default_factory=dict)  # [F] what each named motion does, 0..1


def neutral_face() -> np.ndarray:
    """Landmarks [478,3] in metres, head space: the front of an ellipsoid, mirrored as MediaPipe numbers it."""
    from headgas.captures.tracking import landmarks as named

    generator = np.random.default_rng(1)
    face = np.zeros((named.COUNT, 3))
    for number in range(248):
        x = 0.0 if named.mirrored(number) == number else -generator.uniform(0.005, 0.06)
        face[number] = (x, 0.0, generator.uniform(-0.1, 0.08))
    known = {33: (-0.046, 0.0), 133: (-0.017, 0.0), 61: (-0.025, -0.067), 10: (0, 0.075), 2: (0, -0.035)}
    known |= {152: (0, -0.115), 148: (-0.01, -0.113), 13: (0, -0.066), 14: (0, -0.067), 82: (-0.008, -0.066)}
    known |= {87: (-0.008, -0.067), 0: (0, -0.06), 17: (0, -0.075), 37: (-0.01, -0.06), 84: (-0.01, -0.075)}
    known |= {159: (-0.0315, 0.005), 145: (-0.0315, -0.005), 158: (-0.025, 0.005), 153: (-0.025, -0.005)}
    known |= {160: (-0.038, 0.005), 144: (-0.038, -0.005)}
    known |= {107: (-0.012, 0.02), 66: (-0.018, 0.022), 55: (-0.012, 0.018)}
    known |= {70: (-0.05, 0.022), 63: (-0.044, 0.025), 105: (-0.038, 0.026)}
    for number, (x, z) in known.items():
        face[number, [0, 2]] = x, z
    face[:, 1] = -0.1 * np.sqrt(np.maximum(1 - (face[:, 0] / 0.08) ** 2 - (face[:, 2] / 0.14) ** 2, 0.05))
    for number in (33, 133, 159, 145, 158, 153, 160, 144):
        face[number, 1] = _EYE_DEPTH
    # the forehead lies behind the nose's base, by as much as the tracker takes for granted
    face[2, 1] = face[10, 1] - np.tan(np.radians(9.0)) * (face[10, 2] - face[2, 2])
    for number in range(248):
        face[named.mirrored(number)] = face[number] * (-1 if named.mirrored(number) != number else 1, 1, 1)
    face[468:473], face[473:478] = (-0.0315, _EYE_DEPTH, 0.0), (0.0315, _EYE_DEPTH, 0.0)
    return face


def video(frames: int = 120, noise: float = 0.0, seed: int = 0, still: tuple[str, ...] = ()) -> Video:
    """A head that turns, nods, talks, blinks, smiles and looks aside; `still` names what it does not do."""
    from scipy.spatial.transform import Rotation

    from headgas.captures.tracking import landmarks as named

    generator = np.random.default_rng(seed)
    time = np.arange(frames) / 25
    angles = np.stack([0.35 * np.sin(1.1 * time), 0.15 * np.sin(1.7 * time + 1), 0.05 * np.sin(0.7 * time)], 1)
    rotations = TO_CAMERA @ Rotation.from_euler("zxy", angles).as_matrix()
    translations = np.stack([0.02 * np.sin(time), 0.01 * np.cos(time), 0.6 + 0.03 * np.sin(0.8 * time)], 1)
    beats = {"jaw": 2.3, "smile": 0.9, "blink": 3.1, "look": 1.4, "brows": 0.6, "cheek": 4.1}
    moved = {n: np.clip(np.sin(w * time + i), 0, 1) * (n not in still) for i, (n, w) in enumerate(beats.items())}
    positions = np.repeat(neutral_face()[None], frames, 0)

    def move(numbers: list[int], axis: int, name: str, metres: float) -> None:
        positions[:, numbers, axis] += metres * moved[name][:, None]

    move([*named.JAW, 377, 14, 87, 317, 17, 84, 314], 2, "jaw", -0.025)
    for side, sign in ((0, -1), (1, 1)):
        move([named.MOUTH_CORNER[side]], 2, "smile", 0.008)
        move([named.MOUTH_CORNER[side]], 0, "smile", 0.006 * sign)
        move(named.UPPER_LID[side], 2, "blink", -0.009)
        move([*named.BROW_INNER[side], *named.BROW_OUTER[side]], 2, "brows", 0.008)
        move(list(range(named.IRIS[side], named.IRIS[side] + 5)), 0, "look", 0.005)
    move([50, 280, 36, 266, 205, 425], 1, "cheek", -0.004)
    move([50, 280, 36, 266, 205, 425], 2, "cheek", 0.004)
    camera = positions @ rotations.transpose(0, 2, 1) + translations[:, None]
    scale = FOCAL / translations[:, 2]
    pixels = camera[..., :2] / camera[..., 2:] * FOCAL + (WIDTH / 2, HEIGHT / 2)
    depth = (camera[..., 2] - translations[:, None, 2]) * scale[:, None]
    seen = np.concatenate([pixels, depth[..., None]], -1) + generator.normal(0, 1, camera.shape) * noise
    return Video(rotations, translations, positions, seen, moved)


def write_video(folder: Path, seen: Video, **changed: np.ndarray) -> Path:
    """The folder that the stand-in takes for a video; `changed`: arrays other than the video's."""
    folder.mkdir(parents=True)
    arrays = {"landmarks": seen.landmarks, "sharpness": np.full(len(seen.landmarks), 50.0)}
    np.savez(folder / "seen.npz", **(arrays | changed))
    return folder


def main() -> None:
    """The worker's jobs."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    source = Path(job["source"])
    if not (source / "seen.npz").is_file():
        print(json.dumps({"end": "error", "message": f"{source}: cannot be read as a video."}))
        return
    if (source / "crash").exists():
        sys.exit("ImportError: libGL.so.1 is missing")
    with np.load(source / "seen.npz") as arrays:
        seen = dict(arrays)
    print("a library's chatter", flush=True)
    if job["job"] == "landmarks":
        declared = np.array(len(seen["landmarks"]) + seen.pop("cut", 0))
        seen.setdefault("heads", np.zeros((0, 4)))
        np.savez(job["out"], **seen, size=np.array((WIDTH, HEIGHT)), rate=np.array(25.0), declared=declared)
    else:
        for number, x, y, side in np.load(job["boxes"]):
            scale = job["size"] / side
            v, u = np.mgrid[: job["size"], : job["size"]] / scale
            middle = seen["landmarks"][number, :, :2].mean(0)
            ball = np.hypot(u + x - middle[0], v + y - middle[1]) < 110
            Image.fromarray(np.where(ball[..., None], (200, 150, 120), (40, 90, 60)).astype(np.uint8)).save(
                Path(job["out"], f"{number:06d}.png")
            )
            Image.fromarray((ball * 255).astype(np.uint8)).save(Path(job["out"], f"{number:06d}_matte.png"))
    print(json.dumps({"done": 1, "of": 1}))
    print(json.dumps({"end": "done"}))


if __name__ == "__main__":
    main()
