# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""One known head, a few coloured dots, photographed by known cameras: the truth that every layout is built around."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from headgas.captures import Capture, Frame
from tests.headgas.conftest import look_at

WIDTH, HEIGHT = 64, 60
K = np.array([[88.0, 0, 30.5], [0, 96.0, 31.0], [0, 0, 1]])  # off-centre, and not square
SQUARE_K = np.array([[88.0, 0, 30.5], [0, 88.0, 31.0], [0, 0, 1]])
GREY = 200  # of the face; what is behind it is dark
# In head space, metres: X to the subject's left, -Y out of the face, Z up.
DOTS = {
    "nose": ((0.0, -0.10, 0.0), (255, 0, 0)),
    "left ear": ((0.07, -0.02, 0.01), (0, 255, 0)),
    "right ear": ((-0.07, -0.02, 0.01), (255, 255, 0)),
    "crown": ((0.0, -0.03, 0.085), (0, 255, 255)),
    "chin": ((0.0, -0.07, -0.07), (255, 0, 255)),
}
POINTS = np.array([place for place, _ in DOTS.values()])
COLORS = np.array([color for _, color in DOTS.values()])
# head space to the axes of nearly everybody else: X to the subject's left, Y up, Z out of the face
TO_Y_UP = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
FLIP = np.diag([1.0, -1, -1, 1])  # OpenCV's camera to OpenGL's, and back


@dataclass(frozen=True)
class Shot:
    """One photograph, as it was taken."""

    number: int
    viewmat: np.ndarray  # [4,4], head space to an OpenCV camera
    expression: np.ndarray  # [B], every number another

    @property
    def head_to_camera(self) -> np.ndarray:
        """The same [4,4] from a head with Y up and Z out of the face."""
        return self.viewmat @ np.linalg.inv(TO_Y_UP)

    @property
    def opengl_pose(self) -> np.ndarray:
        """Where the camera is [4,4], as nerf programs have it."""
        return np.linalg.inv(FLIP @ self.head_to_camera)


def shots(count: int = 6, parameters: int = 4) -> list[Shot]:
    """The head seen from the left, from the right, tilted, and from more and less far."""
    made = []
    for number in range(count):
        viewmat = look_at(0.12 * (number % 5 - 2), 0.5 + 0.02 * (number % 3))
        roll = 0.1 * (number % 4 - 1)
        turn = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
        viewmat[:3] = turn @ viewmat[:3]
        made.append(Shot(number, viewmat, np.round((number + 1) / 10 + np.arange(parameters) / 1000, 4)))
    return made


def pixels_of(viewmat: np.ndarray, points: np.ndarray, K: np.ndarray) -> np.ndarray:
    """The columns and rows [n,2] of the pixels that points [n,3] fall into."""
    camera = points @ viewmat[:3, :3].T + viewmat[:3, 3]
    assert (camera[:, 2] > 0).all()
    return np.floor((camera @ K.T)[:, :2] / camera[:, 2:]).astype(int)


def photograph(
    viewmat: np.ndarray, points: np.ndarray = POINTS, K: np.ndarray = K
) -> tuple[np.ndarray, np.ndarray]:
    """The picture [H,W,3] and the matte [H,W], uint8: a grey face with dots of 3 x 3 pixels on a dark ground."""
    matte = np.zeros((HEIGHT, WIDTH), np.uint8)
    matte[4:-4, 6:-6] = 255
    picture = np.where(matte[..., None] > 0, np.uint8(GREY), np.uint8(20)).repeat(3, 2)
    for (column, row), color in zip(pixels_of(viewmat, points, K), COLORS, strict=True):
        picture[row - 1 : row + 2, column - 1 : column + 2] = color
    return picture, matte


def save(path: Path, picture: np.ndarray) -> None:
    """Any picture; a JPEG as good as they get."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"quality": 100, "subsampling": 0} if path.suffix == ".jpg" else {}
    Image.fromarray(picture).save(path, **options)


def with_alpha(picture: np.ndarray, matte: np.ndarray) -> np.ndarray:
    return np.concatenate([picture, matte[..., None]], -1)


def parsed(matte: np.ndarray) -> np.ndarray:
    """AD-NeRF's classes: the head blue, a torso red, the background white."""
    classes = np.full((*matte.shape, 3), 255, np.uint8)
    classes[-3:] = (255, 0, 0)
    classes[matte > 0] = (0, 0, 255)
    return classes


def check_frame(frame: Frame, rest: np.ndarray = POINTS) -> None:
    """Every dot is where the frame's camera sees it, and the background is transparent.

    rest: [n,3] where the dots are on the head, in head space.
    """
    rgba = frame.load_rgba()
    assert rgba.shape == (HEIGHT, WIDTH, 4)
    camera = rest @ frame.viewmat[:3, :3].T + frame.viewmat[:3, 3]
    places = (camera @ frame.K.T)[:, :2] / camera[:, 2:]
    for name, (u, v), color in zip(DOTS, places, COLORS, strict=True):
        rows, columns = (slice(int(np.floor(x - 0.9)), int(np.floor(x + 0.9)) + 1) for x in (v, u))
        inside = rgba[rows, columns]
        assert np.abs(inside[..., :3] - color / 255).max() < 0.15, f"{name} of {frame.name}"
        assert (inside[..., 3] == 1).all(), f"{name} of {frame.name}"
    assert rgba[0, 0, 3] == rgba[-1, -1, 3] == 0
    ears = places[list(DOTS).index("left ear")], places[list(DOTS).index("right ear")]
    assert ears[0][0] > ears[1][0]  # the subject's left is on the picture's right
    assert places[list(DOTS).index("crown")][1] < places[list(DOTS).index("chin")][1]


def check_cameras(capture: Capture, truth: list[Shot], K: np.ndarray = K) -> None:
    """The frames are the shots, in order, with exactly their cameras."""
    assert len(capture.frames) == len(truth)
    for frame, shot in zip(capture.frames, truth, strict=True):
        np.testing.assert_allclose(frame.viewmat, shot.viewmat, atol=1e-5)
        np.testing.assert_allclose(frame.K, K, atol=1e-4)
        check_frame(frame)
