# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cycles that shows avatars, too: they are merged into each finished frame by its Depth pass."""

from types import FunctionType
from typing import Any

import bpy
import numpy as np
from cycles import CyclesRender

from .. import client
from ..core.errors import HeadGaSError
from ..core.images import depth_of_soft_edges, grown, hides_nothing, merged, shows_what_is_behind
from ..core.messages import listed
from ..rig import visible_avatars
from .failures import reported
from .holdouts import ineffective_holdouts
from .native_panels import CYCLES_ENGINE
from .pictures import ask, hidden_by_avatars, picture
from .planes import check_size, read_plane, write_plane
from .shots import Shot, blurs, read_shot
from .stamps import stamp

# Cycles' methods without its class: Blender may unregister that at any time, and crashes when a registered class has
# an unregistered base.
_taken: dict[str, Any] = {
    name: value
    for name, value in vars(CyclesRender).items()
    if name != "__init__" and (isinstance(value, FunctionType) or name.startswith("bl_use_"))
}
_Cycles: Any = type("_Cycles", (), _taken)


class HeadGaSCyclesRenderEngine(_Cycles, bpy.types.RenderEngine):
    """Renders photoreal head avatars within a scene of Cycles"""

    bl_idname = CYCLES_ENGINE
    bl_label = "Cycles + HeadGaS"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.session = None  # of Cycles
        self._shots: dict[str, Shot] = {}
        self._begun: set[str] = set()  # layers whose avatars the backend renders while Cycles is at work

    def update_render_passes(self, scene: bpy.types.Scene, renderlayer: bpy.types.ViewLayer) -> None:
        """Cycles' passes, and Depth, which Cycles fills wherever it exists: merging needs it."""
        super().update_render_passes(scene, renderlayer)
        if not renderlayer.use_pass_z:
            self.register_pass(scene, renderlayer, "Depth", 1, "Z", 'VALUE')

    def render(self, depsgraph: bpy.types.Depsgraph) -> None:
        """Reads the avatars of a view layer, and has Cycles render the rest of it."""
        if not self.is_preview:
            evaluated = False
            self._scene = depsgraph.scene.original
            with reported(self, self._scene, depsgraph.scene.frame_current):
                self._read(depsgraph)  # after Cycles' render the evaluated scene may be gone
                evaluated = True
            if not evaluated:
                return
        super().render(depsgraph)

    def render_frame_finish(self) -> None:
        """Merges the avatars into all view layers: only now every tile of Cycles has arrived."""
        super().render_frame_finish()
        shots, self._shots = self._shots, {}
        for shot in shots.values():
            with reported(self, self._scene, shot.frame):
                self._merge(shot)
                stamp(self, shot)
        self._begun.clear()

    def _read(self, depsgraph: bpy.types.Depsgraph) -> None:
        shot = read_shot(self, depsgraph)
        if not shot.files:
            return
        _check_control_meshes(depsgraph)
        if blurs(depsgraph.scene, depsgraph.view_layer) and depsgraph.scene.cycles.rolling_shutter_type != 'NONE':
            raise HeadGaSError(
                "Cycles' rolling shutter looks at each line of a frame at another time, which avatars cannot follow",
                "Set Rolling Shutter to None in Render Properties > Motion Blur",
            )
        for warning in ineffective_holdouts(depsgraph):
            self.report({'WARNING'}, warning)
        # what is missing is told before Cycles works for an hour
        if ask(self, shot, lambda backend: _begin(backend, shot)):
            self._begun.add(shot.layer)
        self._shots[shot.layer] = shot

    def _merge(self, shot: Shot) -> None:
        result = self.get_result()
        width, height = shot.region.width, shot.region.height
        check_size(result, width, height)
        passes = result.layers[shot.layer].passes
        for number, view in enumerate(shot.views):
            planes = {render_pass.name: render_pass for render_pass in passes if render_pass.view_id == number}
            scene, depth = (read_plane(planes[name], width, height) for name in ("Combined", "Depth"))
            limit = depth_of_soft_edges(scene, depth)
            front, whole = self._pictures(shot, view, limit, bool(shows_what_is_behind(scene, limit).any()))
            hidden, cut = hidden_by_avatars(shot, front), np.zeros_like(depth, bool)
            for moment in shot.moments:
                if view in moment.hidden:
                    cut |= grown(moment.hidden[view].share > 0)
            hidden = np.zeros_like(depth) if hidden is None else hidden
            image = merged(scene, limit, front.image, whole.image, hidden, cut)
            write_plane(planes["Combined"], image)
            write_plane(planes["Depth"], np.where(front.image[..., 3] >= 0.5, front.depth, limit))

    def _pictures(
        self, shot: Shot, view: str, limit: np.ndarray, see_through: bool
    ) -> tuple[client.Picture, client.Picture]:
        """The avatars before the depths `limit` [H,W]; and all of them, where that was made or is seen through."""
        coverage = bool(shot.holdouts)
        if not (see_through or shot.layer in self._begun):
            front = picture(self, shot, view, limit, coverage)
            return front, front
        whole = picture(self, shot, view, None, coverage)
        covered = whole.image[..., 3] if whole.coverage is None else whole.coverage.sum(0)
        if hides_nothing(limit, covered, whole.farthest):
            return whole, whole
        return picture(self, shot, view, limit, coverage), whole


def _begin(backend: client.Backend, shot: Shot) -> bool:
    """Has the backend render a shot's avatars while Cycles is at work; returns whether it does. Of several moments or
    views it could begin but one."""
    if len(shot.moments) != 1 or len(shot.views) != 1:
        return False
    moment, view = shot.moments[0], shot.views[0]
    return backend.render_ahead(moment.avatars, moment.cameras[view], bool(shot.holdouts))


def _check_control_meshes(depsgraph: bpy.types.Depsgraph) -> None:
    seen = list(dict.fromkeys(obj.name for obj, _, _ in visible_avatars(depsgraph) if obj.visible_camera))
    if seen:
        raise HeadGaSError(
            f"{'Control meshes are' if len(seen) > 1 else 'A control mesh is'} visible to the camera and would hide "
            f"{'their avatars' if len(seen) > 1 else 'its avatar'}: {listed(seen)}",
            "Click Hide Control Meshes from Camera in Render Properties > HeadGaS",
        )
