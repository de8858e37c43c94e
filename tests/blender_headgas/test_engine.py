# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""F12: what is asked of the backend, and where its pixels end."""

import bpy
import numpy as np
import pytest
from avatar_files import NAMES, NEUTRAL, write_avatar
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Matrix, Vector
from stand_in import StandIn, read_pixels, render_layers, render_still


@pytest.fixture
def avatar(scene, service, tmp_path):
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "head.safetensors")))
    return bpy.context.object


def _rays(scene) -> np.ndarray:
    """x/z and y/z [H,W,2] (y down) through the pixel centres of the full frame, from the camera's own view frame; of an
    orthographic camera x and y in metres."""
    render = scene.render
    width = render.resolution_x * render.resolution_percentage // 100
    height = render.resolution_y * render.resolution_percentage // 100
    right_top, right_bottom, left_bottom, left_top = (
        p.xy if scene.camera.data.type == 'ORTHO' else p.xy / -p.z
        for p in scene.camera.data.view_frame(scene=scene)
    )
    u = (np.arange(width) + 0.5) / width
    v = (np.arange(height) + 0.5) / height
    x = left_top.x + u * (right_top.x - left_top.x)
    y = left_top.y + v * (left_bottom.y - left_top.y)
    assert right_bottom.y == left_bottom.y
    return np.stack(np.broadcast_arrays(x[None, :], -y[:, None]), axis=-1)


def _make_orthographic(scene) -> None:
    scene.camera.data.type, scene.camera.data.ortho_scale = 'ORTHO', 0.7


CAMERAS = {
    "plain": lambda scene: None,
    "percentage": lambda scene: setattr(scene.render, "resolution_percentage", 51),
    "shift": lambda scene: (setattr(scene.camera.data, "shift_x", 0.2), setattr(scene.camera.data, "shift_y", -0.1)),
    "portrait": lambda scene: setattr(scene.render, "resolution_y", 77),
    "vertical sensor": lambda scene: setattr(scene.camera.data, "sensor_fit", 'VERTICAL'),
    "horizontal sensor, portrait": lambda scene: (
        setattr(scene.camera.data, "sensor_fit", 'HORIZONTAL'),
        setattr(scene.render, "resolution_y", 77),
    ),
    "wide pixels": lambda scene: setattr(scene.render, "pixel_aspect_x", 1.5),
    "tall pixels, portrait, shift": lambda scene: (
        setattr(scene.render, "pixel_aspect_y", 1.4),
        setattr(scene.render, "resolution_y", 77),
        setattr(scene.camera.data, "shift_x", 0.13),
    ),
    "orthographic": _make_orthographic,
    "orthographic, tall pixels, portrait, shift": lambda scene: (
        _make_orthographic(scene),
        setattr(scene.render, "pixel_aspect_y", 1.4),
        setattr(scene.render, "resolution_y", 77),
        setattr(scene.camera.data, "shift_x", 0.13),
        setattr(scene.camera.data, "shift_y", -0.21),
    ),
}


@pytest.mark.parametrize("name", CAMERAS)
def test_pixels_lie_on_the_camera_s_rays(scene, avatar, tmp_path, name):
    CAMERAS[name](scene)
    image = render_still(tmp_path / "still.exr")
    assert np.abs(image[..., :2] - _rays(scene)).max() < 1e-4


@pytest.mark.parametrize("border", [(0.0, 0.5, 0.5, 1.0), (0.21, 0.77, 0.33, 0.9), (0.1, 0.3, 0.05, 0.999)])
def test_border_render_is_a_crop(scene, avatar, service, tmp_path, border):
    scene.render.resolution_x, scene.render.resolution_y = 61, 47
    full = render_still(tmp_path / "full.exr")
    render = scene.render
    render.use_border = True
    render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = border
    render.use_crop_to_border = True
    crop = render_still(tmp_path / "crop.exr")
    height, width = crop.shape[:2]
    left, bottom = int(border[0] * 61), int(border[2] * 47)
    top = 47 - bottom - height
    assert np.abs(crop - full[top : top + height, left : left + width]).max() < 1e-4
    camera = service.requests[-1]["camera"]
    assert (camera["width"], camera["height"]) == (width, height) and width < 61 and height < 47
    render.use_crop_to_border = False
    patch = render_still(tmp_path / "patch.exr")
    assert patch.shape == full.shape
    assert np.abs(patch[top : top + height, left : left + width] - crop).max() == 0
    outside = patch.copy()
    outside[top : top + height, left : left + width] = 0
    assert not outside.any()


def test_an_overscanned_frame_holds_the_plain_one(scene, avatar, tmp_path):
    """A larger picture through a larger sensor, as compositors want it."""
    plain = render_still(tmp_path / "plain.exr")
    scene.camera.data.sensor_width *= 1.5
    scene.render.resolution_x, scene.render.resolution_y = 72, 48
    wide = render_still(tmp_path / "wide.exr")
    assert np.abs(wide[8:-8, 12:-12] - plain).max() < 1e-5


@pytest.mark.parametrize("kind", ['PERSP', 'ORTHO'])
def test_points_land_where_blender_projects_them(scene, avatar, service, tmp_path, kind):
    scene.camera.data.type = kind
    scene.camera.matrix_world = Matrix.Translation((0.3, -1.2, 0.4)) @ scene.camera.matrix_world.to_3x3().to_4x4()
    scene.camera.rotation_euler.rotate(Matrix.Rotation(0.3, 3, 'Z'))
    scene.camera.scale = (2.0, 2.0, 2.0)
    scene.camera.data.shift_x = 0.1
    scene.render.pixel_aspect_x = 1.2
    render_still(tmp_path / "still.exr")
    camera = service.requests[-1]["camera"]
    for point in ((0.0, 0.0, 0.0), (0.1, 0.05, -0.2), (-0.2, 0.3, 0.1)):
        x, y, z = (np.array(camera["viewmat"]) @ [*point, 1.0])[:3]
        assert camera["orthographic"] == (kind == 'ORTHO')
        u, v, w = np.array(camera["K"]) @ [x, y, 1.0 if kind == 'ORTHO' else z]
        expected = world_to_camera_view(scene, scene.camera, Vector(point))
        assert np.allclose([u / w / 48, 1 - v / w / 32, z], expected, atol=1e-5)


def test_moving_cameras_and_cuts(scene, avatar, service):
    second = scene.camera.copy()
    second.data = scene.camera.data.copy()
    scene.collection.objects.link(second)
    for frame, x in ((1, 0.0), (3, 0.5)):
        scene.camera.location.x = x
        scene.camera.keyframe_insert("location", frame=frame)
        scene.camera.data.lens = 50 + 50 * x
        scene.camera.data.keyframe_insert("lens", frame=frame)
    second.animation_data_clear()
    second.location.x = -0.7
    for frame, camera in ((1, scene.camera), (4, second)):
        scene.timeline_markers.new("cut", frame=frame).camera = camera
    scene.frame_start, scene.frame_end = 1, 4
    bpy.ops.render.render(animation=True)
    cameras = [request["camera"] for request in service.requests]
    assert [-camera["viewmat"][0][3] for camera in cameras] == pytest.approx([0.0, 0.25, 0.5, -0.7], abs=1e-6)
    widths = [camera["K"][0][0] for camera in cameras]
    assert widths == pytest.approx([lens / 36 * 48 for lens in (50, 62.5, 75, 50)], rel=1e-5)


def test_depth_pass(scene, avatar, tmp_path):
    scene.view_layers[0].use_pass_z = True
    layers = render_layers(tmp_path / "layers.exr")
    passes = ("Combined.A", "Combined.B", "Combined.G", "Combined.R", "Depth.Z")
    assert sorted(layers) == [f"ViewLayer.{name}" for name in passes]
    columns, rows = np.meshgrid(np.arange(48), np.arange(32))
    assert (layers["ViewLayer.Depth.Z"] == columns + 1000 * rows).all()


def test_expression_of_each_frame(scene, avatar, service, tmp_path):
    keys = avatar.data.shape_keys
    for frame, value in ((1, 0.0), (5, 0.8)):
        keys.key_blocks["jawOpen"].value = value
        keys.key_blocks["jawOpen"].keyframe_insert("value", frame=frame)
    driver = keys.key_blocks["browInnerUp"].driver_add("value").driver
    variable = driver.variables.new()
    variable.type = 'TRANSFORMS'
    target = variable.targets[0]
    target.id, target.bone_target, target.transform_type = avatar.parent, "head", 'LOC_X'
    target.transform_space = 'LOCAL_SPACE'
    driver.expression = "var * 2"
    bone = avatar.parent.pose.bones["head"]
    for frame, x in ((1, 0.0), (5, 0.1)):
        bone.location.x = x
        bone.keyframe_insert("location", frame=frame)
    keys.key_blocks["mouthSmileLeft"].value = 0.5
    keys.key_blocks["mouthSmileRight"].value = 0.5
    keys.key_blocks["mouthSmileRight"].mute = True
    scene.frame_start, scene.frame_end = 1, 5
    scene.frame_set(3)
    bpy.ops.render.render(animation=True)
    requests = service.requests
    assert len(requests) == 5
    for frame, request in enumerate(requests, 1):
        expression = dict(zip(NAMES, request["avatars"][0]["expression"], strict=True))
        action = avatar.data.shape_keys.animation_data.action
        curve = _fcurve(keys, 'key_blocks["jawOpen"].value')
        assert action and expression["jawOpen"] == pytest.approx(curve.evaluate(frame), abs=1e-5)
        x = request["avatars"][0]["transform"][0][3]
        assert expression["browInnerUp"] == pytest.approx(2 * x, abs=1e-5)
        assert expression["mouthSmileLeft"] == pytest.approx(0.5)
        assert expression["mouthSmileRight"] == pytest.approx(NEUTRAL[2])
    assert requests[0]["avatars"][0]["expression"] != requests[4]["avatars"][0]["expression"]
    assert requests[4]["avatars"][0]["transform"][0][3] == pytest.approx(0.1, abs=1e-5)
    image = read_pixels(tmp_path / "frames" / "f_0005.exr")
    expected = np.dot([1, 2, 3, 4], requests[4]["avatars"][0]["expression"])
    assert image[..., 2] == pytest.approx(expected, abs=1e-4)


def _fcurve(datablock, path):
    animation = datablock.animation_data
    if hasattr(animation.action, "fcurves"):
        curves = animation.action.fcurves
    else:
        curves = animation.action.layers[0].strips[0].channelbag(animation.action_slot).fcurves
    return next(curve for curve in curves if curve.data_path == path)


def test_sub_frames(scene, avatar, service, tmp_path):
    key = avatar.data.shape_keys.key_blocks["jawOpen"]
    for frame, value in ((1, 0.0), (3, 0.8)):
        key.value = value
        key.keyframe_insert("value", frame=frame)
    scene.frame_set(1, subframe=0.5)
    render_still(tmp_path / "still.exr")
    expected = _fcurve(avatar.data.shape_keys, 'key_blocks["jawOpen"].value').evaluate(1.5)
    assert service.requests[-1]["avatars"][0]["expression"][0] == pytest.approx(expected, abs=1e-5)


def test_avatars_are_moved_rotated_and_scaled_by_their_objects(scene, avatar, service, tmp_path):
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "second.safetensors")))
    second = bpy.context.object
    wanted = Matrix.Translation((1, 2, 3)) @ Matrix.Rotation(0.7, 4, (0.6, 0.0, 0.8)) @ Matrix.Diagonal((2, 2, 2, 1))
    second.parent.matrix_world = wanted
    bone = second.parent.pose.bones["head"]
    bone.rotation_mode = 'XYZ'
    bone.rotation_euler = (0.2, 0.1, 0.3)
    hidden = second.copy()
    scene.collection.objects.link(hidden)
    hidden.hide_render = True
    render_still(tmp_path / "still.exr")
    avatars = {request["path"]: np.array(request["transform"]) for request in service.requests[-1]["avatars"]}
    assert len(service.requests[-1]["avatars"]) == 2
    assert np.allclose(avatars[str(tmp_path / "head.safetensors")], np.eye(4), atol=1e-6)
    armature = second.parent
    pivot = armature.data.bones["head"].matrix_local
    posed = np.array(wanted @ armature.pose.bones["head"].matrix @ pivot.inverted())
    assert np.allclose(avatars[str(tmp_path / "second.safetensors")], posed, atol=1e-5)
    assert not np.allclose(posed, np.array(wanted), atol=1e-2)


def test_instances_are_avatars_too(scene, avatar, service, tmp_path):
    collection = bpy.data.collections.new("cast")
    collection.objects.link(avatar)
    empty = bpy.data.objects.new("copy", None)
    empty.instance_type, empty.instance_collection, empty.location = 'COLLECTION', collection, (0.5, 0.0, 0.0)
    scene.collection.objects.link(empty)
    render_still(tmp_path / "still.exr")
    offsets = sorted(request["transform"][0][3] for request in service.requests[-1]["avatars"])
    assert offsets == pytest.approx([0.0, 0.5])


def test_each_view_layer_has_its_own_avatars(scene, avatar, service, tmp_path):
    collection = bpy.data.collections.new("second")
    scene.collection.children.link(collection)
    bpy.context.view_layer.active_layer_collection = bpy.context.view_layer.layer_collection.children["second"]
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "second.safetensors")))
    bpy.context.object.data.shape_keys.key_blocks["jawOpen"].value = 1.0
    scene.view_layers.new("without").layer_collection.children["second"].exclude = True
    layers = render_layers(tmp_path / "layers.exr")
    seen = [sorted(item["expression"][0] for item in request["avatars"]) for request in service.requests]
    assert seen == [pytest.approx([0.1, 1.0]), pytest.approx([0.1])]
    difference = layers["ViewLayer.Combined.B"] - layers["without.Combined.B"]
    assert difference == pytest.approx(1.0 + 4 * NEUTRAL[3], abs=1e-4)


def test_world_colour_behind_the_avatar(scene, service, tmp_path):
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "half.safetensors")))
    transparent = render_still(tmp_path / "transparent.exr")
    assert transparent[..., 3] == pytest.approx(0.5)
    world = scene.world = bpy.data.worlds.new("world")
    if world.node_tree is None:
        world.use_nodes = True
    node = next(node for node in world.node_tree.nodes if node.type == 'BACKGROUND')
    node.inputs["Color"].default_value, node.inputs["Strength"].default_value = (0.2, 0.4, 0.6, 1.0), 2.0
    scene.render.film_transparent = False
    opaque = render_still(tmp_path / "opaque.exr")
    assert opaque[..., 3] == pytest.approx(1.0)
    assert np.allclose(opaque[..., :3], transparent[..., :3] + 0.5 * np.array([0.4, 0.8, 1.2]), atol=1e-5)


def test_modifiers_on_the_control_mesh_do_not_hide_its_channels(scene, avatar, service, tmp_path):
    avatar.modifiers.new("subdivision", 'SUBSURF')
    avatar.data.shape_keys.key_blocks["jawOpen"].value = 0.6
    render_still(tmp_path / "still.exr")
    assert service.requests[-1]["avatars"][0]["expression"][0] == pytest.approx(0.6)


def test_pixels_travel_without_shared_memory_too(scene, avatar, service, tmp_path, monkeypatch):
    from bl_ext.user_default.headgas.client import pixels

    shared = render_still(tmp_path / "shared.exr")

    def refuse(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pixels, "SharedMemory", refuse)
    scene.render.resolution_percentage = 200  # larger than what is reserved
    scene.render.use_border, scene.render.use_crop_to_border = True, True
    scene.render.border_max_x = scene.render.border_max_y = 1.0
    large = render_still(tmp_path / "large.exr")
    assert service.requests[-1]["pixels"] is None and service.requests[0]["pixels"]
    assert np.abs(large[:, :, :2].reshape(32, 2, 48, 2, 2).mean(axis=(1, 3)) - shared[..., :2]).max() < 1e-4


def test_freestyle_draws_no_lines_of_meshes_that_are_not_shown(scene, avatar, tmp_path):
    plain = render_still(tmp_path / "plain.exr")
    scene.render.use_freestyle = True
    lines = scene.view_layers[0].freestyle_settings.linesets
    drawn = lines[0] if lines else lines.new("lines")
    drawn.linestyle = drawn.linestyle or bpy.data.linestyles.new("style")
    assert np.array_equal(render_still(tmp_path / "lines.exr"), plain)


def test_panoramic_cameras_are_refused(scene, avatar, tmp_path):
    scene.camera.data.type = 'PANO'
    _fails(scene, tmp_path, "'pano'")


def test_missing_file(scene, avatar, tmp_path):
    (tmp_path / "head.safetensors").unlink()
    _fails(scene, tmp_path, "There is no avatar at")


def test_renamed_channel(scene, avatar, tmp_path):
    avatar.data.shape_keys.key_blocks["jawOpen"].name = "jaw"
    _fails(scene, tmp_path, "no shape key 'jawOpen'")


def test_a_scene_without_avatar(scene, tmp_path):
    _fails(scene, tmp_path, "There is no avatar")


def test_refused_by_the_backend(scene, service: StandIn, tmp_path):
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "refuse.safetensors")))
    _fails(scene, tmp_path, "This avatar is refused \nTry another")


def test_a_bug_in_the_backend_shows_its_traceback(scene, service, tmp_path):
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "bug.safetensors")))
    _fails(scene, tmp_path, "Traceback: line 1")


def test_an_avatar_hidden_at_this_frame_leaves_it_empty(scene, avatar, service, tmp_path):
    avatar.hide_render = True
    assert not render_still(tmp_path / "still.exr").any()


def _fails(scene, tmp_path, message: str) -> None:
    scene.render.filepath = str(tmp_path / "failed.exr")
    with pytest.raises(RuntimeError) as error:
        bpy.ops.render.render(write_still=True)
    assert message in str(error.value)
    assert not (tmp_path / "failed.exr").exists()


def test_a_backend_that_dies_is_started_again_once_and_the_second_time_ends_the_animation(
    scene, service, tmp_path, capfd
):
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "die_at_3.safetensors")))
    scene.frame_start, scene.frame_end = 1, 6
    with pytest.raises(RuntimeError) as error:
        bpy.ops.render.render(animation=True)  # the third frame kills the first backend, the fifth the second
    message = str(error.value)
    assert "Frame 5: The backend died twice" in message and "exit status 7" in message and "about to die" in message
    assert "Warning: The backend stopped unexpectedly (exit status 7). It is started again" in capfd.readouterr().out
    written = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert written == [f"f_000{frame}.exr" for frame in range(1, 5)]
    assert [request["camera"] for request in service.requests[2:4]] == [service.requests[1]["camera"]] * 2
    assert render_still(tmp_path / "again.exr").any()


def test_what_keeps_the_gpu_from_being_used_is_said_when_the_backend_starts(avatar, service, tmp_path, capfd):
    service.misbehave("notice")
    render_still(tmp_path / "first.exr")
    assert "The GPU cannot be used" in capfd.readouterr().out
    render_still(tmp_path / "second.exr")
    assert "The GPU cannot be used" not in capfd.readouterr().out
