# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the backend makes of a shot."""

import bpy
import numpy as np

from .. import client
from ..client.launch import launch_settings, render_deadline
from ..core.images import DEPTH_OF_NOTHING
from .shots import Shot


def ready_backend(engine: bpy.types.RenderEngine, shot: Shot) -> client.Backend:
    """The backend for a shot; tells the user what has to be waited for.

    Raises:
        HeadGaSError: it cannot be started.
        client.Cancelled: the user does not want to wait.
    """
    starting = client.running() is None
    if starting:
        engine.update_stats("", "HeadGaS: starting the backend")
    backend = client.backend(launch_settings(shot.files), engine.test_break)
    if starting and backend.facts.get("notice"):
        engine.report({'WARNING'}, backend.facts["notice"])
    return backend


def picture(
    engine: bpy.types.RenderEngine, shot: Shot, view: str, limit: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Image [H,W,4] (scene-linear, premultiplied) and depth [H,W] (metres), float32, row 0 on top.

    Several moments are averaged; their depths are weighted as their pixels show.

    Args:
        limit: [H,W] metres; what lies behind it at a pixel is left out there.
    """
    shape = shot.region.height, shot.region.width
    image, distance, seen = (np.zeros(size, np.float32) for size in ((*shape, 4), shape, shape))
    for number, moment in enumerate(shot.moments, 1):
        if not moment.avatars:  # all are hidden at this time, or in this view layer
            continue
        backend = ready_backend(engine, shot)
        count = len(moment.avatars)
        what = f"rendering {count} avatar{'s' if count > 1 else ''}"
        if len(shot.moments) > 1:
            what += f", moment {number} of {len(shot.moments)}"
        engine.update_stats("", f"HeadGaS: {backend.compiling(engine.test_break) or what}")
        got = backend.render(
            moment.avatars, moment.cameras[view], render_deadline(), engine.test_break, depth_limit=limit
        )
        if len(shot.moments) == 1:
            return got.image, got.depth
        share = np.float32(moment.weight) * np.where(got.depth < DEPTH_OF_NOTHING, got.image[..., 3], 0)
        image += np.float32(moment.weight) * got.image
        distance += share * got.depth
        seen += share
    hit = seen > 0
    depth = np.full(shape, DEPTH_OF_NOTHING, np.float32)
    depth[hit] = distance[hit] / seen[hit]
    return image, depth
