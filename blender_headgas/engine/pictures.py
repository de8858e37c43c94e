# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the backend makes of a shot."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import bpy
import numpy as np

from .. import client
from ..client.backend import Around
from ..client.launch import launch_settings, render_deadline
from ..client.pixels import PASSES, UNLIMITED
from ..core.depth_raster import Covered
from ..core.images import DEPTH_OF_NOTHING
from .colour import in_working_space
from .shots import Moment, Shot

_Result = TypeVar("_Result")


def ask(engine: bpy.types.RenderEngine, shot: Shot, request: Callable[[client.Backend], _Result]) -> _Result:
    """What `request` returns for the backend of a shot; tells the user what has to be waited for. See `client.ask`."""
    before = client.running()
    if before is None:
        engine.update_stats("", "HeadGaS: starting the backend")

    def told(backend: client.Backend) -> _Result:
        if backend is not before and backend.facts.get("notice"):
            engine.report({'WARNING'}, backend.facts["notice"])
        return request(backend)

    settings = launch_settings(shot.files)
    return client.ask(settings, told, engine.test_break, lambda notice: engine.report({'WARNING'}, notice))


def picture(
    engine: bpy.types.RenderEngine,
    shot: Shot,
    view: str,
    limit: np.ndarray | None = None,
    coverage: bool = False,
    passes: Sequence[str] = (),
) -> client.Picture:
    """What a view of a shot shows. Several moments are averaged; depths and normals are weighted as their pixels show.

    Args:
        limit: [H,W] metres; what lies behind it at a pixel is left out there, as what meshes that are holdouts hide.
        coverage, passes: see `client.Backend.render`.
    """
    shape = shot.region.height, shot.region.width
    taken: list[tuple[float, client.Picture]] = []
    for number, moment in enumerate(shot.moments):
        if not moment.avatars:  # all are hidden at this time, or in this view layer
            if view in moment.hidden:
                nothing = averaged([], shape, len(shot.names), passes)
                taken.append((moment.weight, nothing._replace(held=moment.hidden[view].share)))
            continue
        got = _rendered(engine, shot, view, number, limit, coverage, passes)
        if view in moment.hidden:
            hidden = moment.hidden[view]
            before = hidden.depth if limit is None else np.minimum(hidden.depth, limit)
            limited = [name for name in passes if name not in UNLIMITED]
            got = cut_out(got, _rendered(engine, shot, view, number, before, coverage, limited), hidden)
        taken.append((moment.weight, _of_all(got, moment, shot)))
    got = taken[0][1] if len(shot.moments) == len(taken) == 1 else averaged(taken, shape, len(shot.names), passes)
    return got._replace(image=in_working_space(got.image) if shot.inverse is None else shot.inverse(got.image))


def _rendered(
    engine: bpy.types.RenderEngine, shot: Shot, view: str, number: int, limit: np.ndarray | None, coverage: bool,
    passes: Sequence[str],
) -> client.Picture:  # fmt: skip
    """What the backend answers of one moment."""
    moment = shot.moments[number]
    number_of = f", moment {number + 1} of {len(shot.moments)}" if len(shot.moments) > 1 else ""

    def rendered(backend: client.Backend) -> client.Picture:
        count = len(moment.avatars)
        what = f"rendering {count} avatar{'s' if count > 1 else ''}{number_of}"
        engine.update_stats("", f"HeadGaS: {backend.compiling(engine.test_break) or what}")
        return backend.render(
            moment.avatars, moment.cameras[view], render_deadline(), engine.test_break, coverage=coverage,
            depth_limit=limit, passes=passes, around=_around(shot, view),
        )  # fmt: skip

    return ask(engine, shot, rendered)


def cut_out(whole: client.Picture, front: client.Picture, hidden: Covered) -> client.Picture:
    """The picture of which meshes hide what is not in `front`, the picture of what lies before them.

    Passes that cannot be had of `front` are the whole's, where there is anything before the meshes.
    """
    share, hides = hidden.share, hidden.share >= 0.5

    def mixed(own: np.ndarray, other: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return own + weight * (other - own)

    coverage = None
    if whole.coverage is not None and front.coverage is not None:
        coverage = mixed(whole.coverage, front.coverage, share)
    passes = {}
    for name, plane in whole.passes.items():
        if name in UNLIMITED:
            gone, nothing = hides & (front.image[..., 3] == 0), DEPTH_OF_NOTHING if name == "median" else 0
            passes[name] = np.where(gone, np.float32(nothing), plane)
        else:
            passes[name] = np.where(hides[..., None], front.passes[name], plane)
    image, depth = mixed(whole.image, front.image, share[..., None]), np.where(hides, front.depth, whole.depth)
    before = front.image[..., 3] if front.coverage is None else front.coverage.sum(0)
    return whole._replace(image=image, depth=depth, coverage=coverage, passes=passes, held=share * (1 - before))


def hidden_by_avatars(shot: Shot, got: client.Picture) -> np.ndarray | None:
    """How much [H,W] of each pixel avatars that are holdouts hide; None where none is one. Needs coverage."""
    if not shot.holdouts or got.coverage is None:
        return None
    return got.coverage.sum(0) - got.image[..., 3]


def hidden_of_background(shot: Shot, got: client.Picture) -> np.ndarray | None:
    """How much [H,W] of each pixel holdouts of any kind hide of what is behind all; None where there are none."""
    hidden = [plane for plane in (hidden_by_avatars(shot, got), got.held) if plane is not None]
    return sum(hidden[1:], hidden[0]) if hidden else None


def _around(shot: Shot, view: str) -> Around | None:
    if shot.around is None:
        return None
    before, after = shot.around
    return (before.avatars, before.cameras[view]), (after.avatars, after.cameras[view])


def _of_all(got: client.Picture, moment: Moment, shot: Shot) -> client.Picture:
    """The picture with a coverage for every avatar of the shot: some may be hidden for a part of the exposure."""
    if got.coverage is None or len(shot.moments) == 1:
        return got
    planes = np.zeros((len(shot.names), *got.depth.shape), np.float32)
    for plane, name in zip(got.coverage, moment.names, strict=True):
        planes[shot.names.index(name)] += plane
    return got._replace(coverage=planes)


def averaged(
    taken: Sequence[tuple[float, client.Picture]], shape: tuple[int, int], count: int, passes: Sequence[str]
) -> client.Picture:
    """The mean of pictures [H,W] with their weights, of `count` coverages and of these passes."""

    def mean(planes: Iterator[np.ndarray], weights: Iterator[np.ndarray | float], *size: int) -> np.ndarray:
        total = np.zeros((*shape, *size), np.float32)
        for weight, plane in zip(weights, planes, strict=True):
            total += np.asarray(weight, np.float32) * plane
        return total

    shares = [weight for weight, _ in taken]
    pictures = [got for _, got in taken]
    seen = [np.where(got.depth < DEPTH_OF_NOTHING, share * got.image[..., 3], 0) for share, got in taken]
    total = sum(seen, np.zeros(shape, np.float32))

    def mean_depth(planes: list[np.ndarray]) -> np.ndarray:
        summed = mean((np.where(plane < DEPTH_OF_NOTHING, plane, 0) for plane in planes), iter(seen))
        return np.where(total > 0, summed / np.where(total > 0, total, 1), DEPTH_OF_NOTHING).astype(np.float32)

    planes = {}
    for name in passes:
        own = [got.passes[name] for got in pictures]
        if name == "median":
            planes[name] = mean_depth(own)
        elif name == "normal":
            summed = mean(iter(own), (share[..., None] for share in seen), 3)
            planes[name] = summed / np.maximum(np.linalg.norm(summed, axis=-1, keepdims=True), 1e-12)
        else:
            planes[name] = mean(iter(own), iter(shares), *((PASSES[name],) if PASSES[name] > 1 else ()))
    covered = [(share, got.coverage) for share, got in taken if got.coverage is not None]
    coverage = np.zeros((count, *shape), np.float32)
    for share, plane in covered:
        coverage += np.float32(share) * plane
    image = mean((got.image for got in pictures), iter(shares), 4)
    depth = mean_depth([got.depth for got in pictures])
    farthest = max((got.farthest for got in pictures), default=0.0)
    held = [(share, got.held) for share, got in taken if got.held is not None]
    hidden = mean((plane for _, plane in held), (share for share, _ in held)) if held else None
    return client.Picture(image, depth, coverage if covered else None, passes=planes, farthest=farthest, held=hidden)
