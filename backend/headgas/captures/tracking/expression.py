# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The expression of every frame: the named channels first, then the principal components of what they leave.

With the head's motion taken out, what the landmarks do is regressed on the named channels. The components are those
of the rest, so a named slider does all that goes along with it, and the components do nothing that a name says.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from headgas.captures.tracking.channels import Channel, measure_channels
from headgas.captures.tracking.pose import HeadMotion, project, unproject

_FEWEST, _MOST = 16, 32  # components
_EXPLAINED = 0.995  # of the motion's variance, by channels and components together
_REACH = 0.06  # metres from the middle of the face: beyond, landmarks slide along the border of the head
_QUIET = 0.2  # of the training frames, the quietest: they say what the face at rest is
_RIDGE = 1e-3  # of the channels' variance: channels that move alike share
_FULL = 98  # percentile of a component that is 1


@dataclass(frozen=True)
class Expressions:
    """What F frames of a subject show; named channels come first."""

    channels: list[Channel]  # all, trusted or not
    names: tuple[str, ...]  # [B]
    named: int  # of them are channels
    values: np.ndarray  # [F,B]
    explained: np.ndarray  # [k+1] share of the motion's variance with 0…k components
    rest: np.ndarray  # [478,3] metres, head space: the face at rest
    errors: np.ndarray  # [F] pixels, root mean square over the face, as the expression explains it


def fit_expressions(
    landmarks: np.ndarray, motion: HeadMotion, K: np.ndarray, train: np.ndarray, in_order: bool
) -> Expressions:
    """Fits to the training frames, and describes all.

    Args:
        landmarks: [F,478,3] pixels of the whole picture, whose intrinsics are K [3,3].
        train: [F] bool.
        in_order: the frames follow each other.
    """
    positions = unproject(landmarks[..., :2], motion, K)
    channels = measure_channels(positions, train, in_order)
    trusted = [channel for channel in channels if not channel.problem]
    named = np.stack([channel.values for channel in trusted], 1) if trusted else np.zeros((len(positions), 0))
    quiet = _quiet(named, train)
    rest = np.median(positions[quiet], 0)
    face = np.flatnonzero(np.abs(rest[:, 0]) < _REACH)
    moved = (positions - rest)[:, face].reshape(len(positions), -1)
    along = _regression(named[train], moved[train])
    left = moved - named @ along
    values, basis, explained = _components(left, moved, train)
    pixels = project(_added(rest, face, named @ along + values @ basis), motion.rotations, motion.translations, K)
    errors = np.sqrt(((pixels - landmarks[..., :2])[:, face] ** 2).sum(-1).mean(-1))
    names = [channel.name for channel in trusted] + [f"component_{k:02d}" for k in range(values.shape[1])]
    return Expressions(
        channels, tuple(names), len(trusted), np.concatenate([named, values], 1), explained, rest, errors
    )


def _quiet(named: np.ndarray, train: np.ndarray) -> np.ndarray:
    """The training frames in which the channels are closest to rest."""
    frames = np.flatnonzero(train)
    order = np.argsort(named[frames].sum(1), kind="stable")
    return frames[order[: max(1, round(_QUIET * len(frames)))]]


def _regression(named: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """What each channel moves [C,D], without an offset: at rest nothing is moved."""
    if not named.shape[1]:
        return np.zeros((0, moved.shape[1]))
    normal = named.T @ named
    ridge = _RIDGE * np.trace(normal) / len(normal)
    return np.linalg.solve(normal + ridge * np.eye(len(normal)), named.T @ moved)


def _components(left: np.ndarray, moved: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values [F,k], what they move [k,D], and the share of `moved` that is explained with 0…k of them."""
    strengths, directions = _principal(left[train])
    total = max(float((moved[train] ** 2).sum()), 1e-12)
    explained = 1 - (float((left[train] ** 2).sum()) - np.concatenate([[0], np.cumsum(strengths)])) / total
    enough = int(np.argmax(explained >= _EXPLAINED)) if (explained >= _EXPLAINED).any() else _MOST
    count = min(max(enough, _FEWEST), len(strengths))
    values = left @ directions[:count].T
    full = np.maximum(np.percentile(np.abs(values[train]), _FULL, axis=0), 1e-9)
    full = full * np.where((values[train] ** 3).sum(0) < 0, -1.0, 1.0)  # the rarer, stronger way is the positive one
    return values / full, directions[:count] * full[:, None], explained[: count + 1]


def _principal(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The strongest right singular vectors [k,D] of rows [F,D], and the squares [k] of their singular values."""
    tall = rows.shape[0] > rows.shape[1]
    gram = rows.T @ rows if tall else rows @ rows.T
    count = len(gram)
    squares, vectors = eigh(gram, subset_by_index=[max(0, count - _MOST), count - 1])
    squares, vectors = np.maximum(squares[::-1], 0), vectors[:, ::-1]
    if tall:
        return squares, vectors.T
    kept = squares > 1e-12 * max(float(squares[0]), 1e-30)
    return squares[kept], (vectors[:, kept] / np.sqrt(squares[kept])).T @ rows


def _added(rest: np.ndarray, face: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """The landmarks [F,478,3] of a face at rest and what is moved [F,D] of it."""
    points = np.repeat(rest[None], len(moved), 0)
    points[:, face] += moved.reshape(len(moved), len(face), 3)
    return points
