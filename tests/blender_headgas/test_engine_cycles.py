# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars within a scene of Cycles: each frame against Cycles' own frame and the avatars', composited by numpy."""

import gc

import bpy
import numpy as np
import pytest
from avatar_files import write_avatar
from mathutils import Matrix
from stand_in import read_layers, render_layers, render_still

from tests.compositing import make_glow

_CLOSE = 2e-3  # of colours up to 1: files hold float32, but Cycles' sums depend on the order of its threads


@pytest.fixture
def stage(scene, service, tmp_path):
    """An avatar of half the opacity, of which only the top row and a bit lies before the plane on the left."""
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "half.safetensors")))
    scene.render.engine = 'HEADGAS_CYCLES'
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling = 2, False, False
    scene.camera.data.clip_end = 10000.0
    plane(scene, 1010.5, (0.2, 0.4, 0.6)).location.x = -400.0
    return scene


def plane(scene, distance: float, color: tuple[float, float, float], size: float = 800.0) -> bpy.types.Object:
    """A glowing square before the camera, metres."""
    mesh = bpy.data.meshes.new("plane")
    half = size / 2
    mesh.from_pydata([(-half, 0, -half), (half, 0, -half), (half, 0, half), (-half, 0, half)], [], [(0, 1, 2, 3)])
    make_glow(mesh, color)
    obj = bpy.data.objects.new("plane", mesh)
    scene.collection.objects.link(obj)
    obj.matrix_world = Matrix.Translation((0.0, distance - 1.0, 0.0))
    return obj


def _alone(scene, tmp_path) -> dict[str, np.ndarray]:
    """What Cycles alone makes of the scene."""
    scene.render.engine = 'CYCLES'
    for layer in scene.view_layers:
        layer.use_pass_z = True
    layers = render_layers(tmp_path / "cycles.exr")
    for layer in scene.view_layers:
        layer.use_pass_z = False
    scene.render.engine = 'HEADGAS_CYCLES'
    return layers


def _avatars(scene, tmp_path) -> tuple[np.ndarray, np.ndarray]:
    """What our own engine makes of the scene: image and depth."""
    transparent = scene.render.film_transparent
    scene.render.engine, scene.render.film_transparent = 'HEADGAS', True
    scene.view_layers[0].use_pass_z = True
    layers = render_layers(tmp_path / "headgas.exr")
    scene.view_layers[0].use_pass_z = False
    scene.render.engine, scene.render.film_transparent = 'HEADGAS_CYCLES', transparent
    return _rgba(layers), layers["ViewLayer.Depth.Z"]


def _rgba(layers: dict[str, np.ndarray], name: str = "ViewLayer") -> np.ndarray:
    return np.stack([layers[f"{name}.Combined.{channel}"] for channel in "RGBA"], -1)


def _composite(scene: np.ndarray, depth: np.ndarray, avatars: np.ndarray, distance: np.ndarray) -> np.ndarray:
    depth = _filled(scene, depth)
    front = avatars * (distance <= depth)[..., None]
    image = front + (1 - front[..., 3:]) * scene
    soft = (scene[..., 3] > 0) & (scene[..., 3] < 1) & (depth < 1e9)
    return image + np.where(soft, 1 - scene[..., 3], 0)[..., None] * (avatars - front)


def _filled(scene: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """What covers a pixel in part without a depth has that of its nearest neighbours, pixel by pixel."""
    height, width = depth.shape
    depth = depth.copy()
    while True:
        found = {}
        for y, x in np.argwhere((scene[..., 3] > 0) & (scene[..., 3] < 1) & (depth > 1e9)):
            around = depth[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].min()
            if around < 1e9:
                found[y, x] = around
        if not found:
            return depth
        for place, value in found.items():
            depth[place] = value


SETTINGS = {
    "plain": lambda scene: None,
    "with a background": lambda scene: setattr(scene.render, "film_transparent", False),
    "portrait": lambda scene: setattr(scene.render, "resolution_y", 77),
    "tiles": lambda scene: (setattr(scene.cycles, "use_auto_tile", True), setattr(scene.cycles, "tile_size", 16)),
    "orthographic": lambda scene: (
        setattr(scene.camera.data, "type", 'ORTHO'),
        setattr(scene.camera.data, "ortho_scale", 600.0),
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_avatars_lie_before_and_behind_what_cycles_renders(stage, tmp_path, name):
    SETTINGS[name](stage)
    own, (avatars, distance) = _alone(stage, tmp_path), _avatars(stage, tmp_path)
    merged = render_layers(tmp_path / "merged.exr")
    depth = own["ViewLayer.Depth.Z"]
    expected = _composite(_rgba(own), depth, avatars, distance)
    assert np.abs(_rgba(merged) - expected).max() < _CLOSE * max(1.0, np.abs(expected).max())
    plane_seen = depth < 2000
    assert 0.1 < plane_seen.mean() < 0.9 and (plane_seen & (distance <= depth)).any()
    depth = _filled(_rgba(own), depth)
    nearer = np.where((avatars[..., 3] >= 0.5) & (distance <= depth), distance, depth)
    assert np.allclose(merged["ViewLayer.Depth.Z"], nearer, rtol=1e-4, atol=0)
    assert not stage.view_layers[0].use_pass_z  # settings stay as they are


@pytest.mark.parametrize("crop", [False, True])
def test_borders_are_crops_of_the_whole(stage, tmp_path, crop):
    whole = render_still(tmp_path / "whole.exr")
    render = stage.render
    render.use_border, render.use_crop_to_border = True, crop
    render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = 0.25, 0.75, 0.5, 1.0
    image = render_still(tmp_path / "part.exr")
    if not crop:
        assert image.shape == whole.shape and not image[16:].any()
        image = image[:16, 12:36]
    assert image.shape == (16, 24, 4)
    glow = whole[:16, 12:36]
    assert np.abs(image[..., 3] - glow[..., 3]).max() < _CLOSE
    assert np.median(np.abs(image - glow)) < _CLOSE


def test_each_view_layer_and_each_frame_with_persistent_data(stage, service, tmp_path):
    avatar = next(obj for obj in bpy.data.objects if obj.headgas.is_avatar)
    collection = bpy.data.collections.new("cast")
    stage.collection.children.link(collection)
    collection.objects.link(avatar)
    for other in list(avatar.users_collection):
        if other != collection:
            other.objects.unlink(avatar)
    stage.view_layers.new("without").layer_collection.children["cast"].exclude = True
    key = avatar.data.shape_keys.key_blocks["jawOpen"]
    for frame, value in ((1, 0.0), (2, 1.0)):
        key.value = value
        key.keyframe_insert("value", frame=frame)
    stage.frame_start, stage.frame_end, stage.render.use_persistent_data = 1, 2, True
    stage.render.film_transparent = True
    render_layers(tmp_path / "still.exr")  # sets the file format
    stage.render.filepath = str(tmp_path / "f_")
    asked = len(service.requests)
    bpy.ops.render.render(animation=True)
    frames = [read_layers(tmp_path / f"f_{frame:04d}.exr") for frame in (1, 2)]
    without = [_rgba(frame, "without") for frame in frames]
    assert np.abs(without[0] - without[1]).max() < _CLOSE
    step = _rgba(frames[1])[..., 2] - _rgba(frames[0])[..., 2]
    assert step[0] == pytest.approx(0.5, abs=_CLOSE)  # half of jawOpen's weight of 1, before the plane
    limited = [request["avatars"][0]["expression"][0] for request in service.requests[asked:] if request["depth_limit"]]
    assert limited == pytest.approx([0.0, 1.0])


def test_soft_edges_and_veils_show_the_avatar_behind(stage, tmp_path):
    """The edge of a disc has pixels that it covers in part: there the avatar behind shows through."""
    near = plane(stage, 5.5, (0.9, 0.1, 0.1), size=1.2)
    near.rotation_euler.y = 0.6
    stage.cycles.samples = 16
    own, (avatars, distance) = _alone(stage, tmp_path), _avatars(stage, tmp_path)
    image = render_still_exr(stage, tmp_path)
    depth, scene = own["ViewLayer.Depth.Z"], _rgba(own)
    soft = (scene[..., 3] > 0.05) & (scene[..., 3] < 0.95) & (depth < 6)
    assert soft.sum() > 4
    expected = _composite(scene, depth, avatars, distance)
    assert np.abs(image - expected)[soft].max() < _CLOSE * np.abs(expected).max()
    assert (image[soft][:, 3] > scene[soft][:, 3] + 0.01).any()


def render_still_exr(scene, tmp_path) -> np.ndarray:
    """The Combined pass [H,W,4] of the view layer."""
    return _rgba(render_layers(tmp_path / "still.exr"))


def test_the_backend_renders_while_cycles_does(stage, service, tmp_path):
    """Where nothing is in its way, what it made meanwhile is what is shown: nothing is left to do afterwards."""
    meanwhile = []

    def look(*_: object) -> None:
        meanwhile.append(service.asked(1))

    bpy.app.handlers.render_stats.append(look)
    try:
        sliced = render_still_exr(stage, tmp_path)
    finally:
        bpy.app.handlers.render_stats.remove(look)
    assert any(meanwhile)
    assert [request["depth_limit"] is not False for request in service.requests] == [False, True]
    next(obj for obj in bpy.data.objects if obj.name.startswith("plane")).location.y = 40000.0
    stage.camera.data.clip_end, stage.render.film_transparent = 1e6, False
    behind = render_still_exr(stage, tmp_path)
    assert [request["depth_limit"] is not False for request in service.requests] == [False, True, False]
    assert (behind[..., 3] >= sliced[..., 3] - 1e-4).all() and np.abs(behind - sliced).max() > 0.1


def test_control_meshes_cast_shadows_but_are_never_seen(stage, tmp_path):
    avatar = next(obj for obj in bpy.data.objects if obj.headgas.is_avatar)
    assert not avatar.visible_camera and avatar.visible_shadow and avatar.visible_glossy and avatar.visible_diffuse
    avatar.visible_camera = True
    stage.render.filepath = str(tmp_path / "failed.exr")
    with pytest.raises(RuntimeError, match="visible to the camera"):
        bpy.ops.render.render(write_still=True)
    assert not (tmp_path / "failed.exr").exists()
    assert bpy.ops.headgas.hide_control_meshes() == {'FINISHED'} and not avatar.visible_camera
    assert render_still(tmp_path / "still.exr").any()


def test_what_cannot_be_merged_is_refused(stage, tmp_path):
    stage.camera.data.dof.use_dof = True
    stage.render.filepath = str(tmp_path / "failed.exr")
    with pytest.raises(RuntimeError, match="depth of field"):
        bpy.ops.render.render(write_still=True)
    assert not (tmp_path / "failed.exr").exists()


def test_a_backend_that_fails_writes_no_image(stage, service, tmp_path):
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "refuse.safetensors")))
    stage.render.filepath = str(tmp_path / "failed.exr")
    with pytest.raises(RuntimeError, match="This avatar is refused"):
        bpy.ops.render.render(write_still=True)
    assert not (tmp_path / "failed.exr").exists()


@pytest.mark.skipif(bpy.app.version < (4, 5, 0), reason="Blender 4.2 itself keeps engines, plain Cycles' too")
@pytest.mark.parametrize("name", ["refuse", "die_at_1", "head"])
def test_a_failed_frame_leaves_no_engine_behind(scene, service, tmp_path, name):
    """Blender 5.2 cannot free Cycles' session any more where the engine outlives its render."""
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / f"{name}.safetensors")))
    scene.render.engine, scene.camera.data.dof.use_dof = 'HEADGAS_CYCLES', name == "head"
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(RuntimeError, match="Frame 1: "):
            bpy.ops.render.render()
        assert not [kept for kept in gc.get_objects() if type(kept).__name__ == "HeadGaSCyclesRenderEngine"]
    finally:
        gc.enable()


def test_a_scene_without_avatars_is_cycles_own(stage, tmp_path):
    for obj in [obj for obj in bpy.data.objects if obj.headgas.is_avatar]:
        bpy.data.objects.remove(obj)
    own = _rgba(_alone(stage, tmp_path))
    assert np.abs(render_still_exr(stage, tmp_path) - own).max() < _CLOSE


def test_panels_of_cycles_are_shown():
    from bl_ui import properties_render
    from cycles import ui

    panels = ui.CYCLES_RENDER_PT_sampling, ui.CYCLES_OBJECT_PT_visibility, properties_render.RENDER_PT_color_management
    for panel in panels:
        assert {'CYCLES', 'HEADGAS_CYCLES'} <= panel.COMPAT_ENGINES
    assert 'HEADGAS' not in ui.CYCLES_RENDER_PT_sampling.COMPAT_ENGINES
