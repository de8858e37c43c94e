# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shot's exported files say what F12 asks the backend for, frame by frame."""

import json

import bpy
import numpy as np
import pytest
from avatar_files import NAMES, write_avatar
from bl_ext.user_default.headgas.core.errors import HeadGaSError
from bl_ext.user_default.headgas.core.takes import read_take
from bpy_extras.io_utils import ExportHelper


@pytest.fixture
def shot(scene, service, tmp_path):
    """An avatar that moves and talks, seen by a camera that moves and, from frame 3 on, by another one."""
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "head.safetensors")))
    avatar = bpy.context.object
    key = avatar.data.shape_keys.key_blocks["jawOpen"]
    for frame, value in ((1, 0.2), (4, 0.8)):
        key.value, avatar.parent.location.x, scene.camera.location.z = value, value, value / 10
        key.keyframe_insert("value", frame=frame)
        avatar.parent.keyframe_insert("location", frame=frame)
        scene.camera.keyframe_insert("location", frame=frame)
    scene.camera.data.shift_x, scene.camera.data.shift_y = 0.2, -0.1
    flat = bpy.data.objects.new("flat", bpy.data.cameras.new("flat"))
    scene.collection.objects.link(flat)
    flat.matrix_world, flat.data.type, flat.data.ortho_scale = scene.camera.matrix_world, 'ORTHO', 0.7
    for frame, camera in ((1, scene.camera), (3, flat)):
        scene.timeline_markers.new("cut", frame=frame).camera = camera
    scene.frame_start, scene.frame_end, scene.render.fps = 1, 4, 25
    return scene


def _export(path, operator, **options) -> dict:
    assert operator(filepath=str(path), **options) == {'FINISHED'}
    return json.loads(path.read_text("utf-8"))


def _requested(service) -> list[dict]:
    """What F12 asks the backend for, of the whole animation."""
    bpy.ops.render.render()  # a backend that runs has nothing to ask beside
    asked = len(service.requests)
    bpy.ops.render.render(animation=True)
    return service.requests[asked:]


def _assert_cameras(found: list[dict], expected: list[dict]) -> None:
    for own, asked in zip(found, expected, strict=True):
        for name in ("viewmat", "K"):
            assert np.allclose(own[name], asked["camera"][name], atol=1e-5), name
        for name in ("width", "height", "near", "far", "orthographic"):
            assert own[name] == asked["camera"][name], name


def test_files_say_what_frames_show(shot, service, tmp_path):
    take = _export(tmp_path / "take.json", bpy.ops.headgas.export_take)
    cameras = _export(tmp_path / "cameras.json", bpy.ops.headgas.export_cameras)
    assert shot.frame_current == 1
    requests = _requested(service)
    assert (take["format"], take["version"], take["fps"], take["names"]) == ("headgas-take", 1, 25, NAMES)
    assert (cameras["format"], cameras["version"], cameras["fps"]) == ("headgas-cameras", 1, 25)
    for frames in (take["frames"], cameras["frames"]):
        assert [frame["frame"] for frame in frames] == [1, 2, 3, 4]
    for frame, request in zip(take["frames"], requests, strict=True):
        avatar = request["avatars"][0]
        assert np.allclose(frame["values"], avatar["expression"], atol=1e-6)
        assert np.allclose(frame["transform"], avatar["transform"], atol=1e-6)
    assert take["frames"][0]["values"] != take["frames"][3]["values"]
    _assert_cameras(cameras["frames"], requests)
    assert [frame["orthographic"] for frame in cameras["frames"]] == [False, False, True, True]


def test_an_exported_take_is_read_again(shot, tmp_path):
    _export(tmp_path / "take.json", bpy.ops.headgas.export_take)
    take = read_take(tmp_path / "take.json")
    written = json.loads((tmp_path / "take.json").read_text())
    assert take.names == tuple(NAMES) and np.allclose(take.times, np.arange(4) / 25) and take.rotations is None
    assert np.allclose(take.values, [frame["values"] for frame in written["frames"]])


DAMAGED = {
    "newer": ({"version": 2}, "is of the version 2"),
    "no frames": ({"frames": []}, "at least one frame"),
    "no values": ({"frames": [{"frame": 1}]}, "frame 0, 'values'"),
    "no number": ({"frames": [{"values": [0.5], "frame": None}]}, "frame 0, 'frame'"),
    "not rising": ({"frames": [{"values": [0.5], "frame": 2}, {"values": [0.5], "frame": 2}]}, "frame 1 is at"),
    "a frame that is none": ({"frames": [7]}, "frame 0 is no object"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_takes_are_refused(tmp_path, name):
    change, message = DAMAGED[name]
    data = {"format": "headgas-take", "version": 1, "names": ["jawOpen"], "frames": [{"frame": 1, "values": [0.5]}]}
    (tmp_path / "take.json").write_text(json.dumps(data | change))
    with pytest.raises(HeadGaSError, match=message):
        read_take(tmp_path / "take.json")


def test_a_border_and_every_second_frame(shot, service, tmp_path):
    render = shot.render
    render.use_border, render.use_crop_to_border, shot.frame_step = True, True, 2
    render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = 0.25, 0.75, 0.5, 1.0
    cameras = _export(tmp_path / "cameras.json", bpy.ops.headgas.export_cameras)
    assert [frame["frame"] for frame in cameras["frames"]] == [1, 3]
    _assert_cameras(cameras["frames"], _requested(service))


def test_overscan_adds_the_same_on_each_side(shot, tmp_path):
    plain = _export(tmp_path / "plain.json", bpy.ops.headgas.export_cameras)["frames"][0]
    wide = _export(tmp_path / "wide.json", bpy.ops.headgas.export_cameras, overscan=25)["frames"][0]
    assert (wide["width"], wide["height"]) == (48 + 24, 32 + 16) and wide["viewmat"] == plain["viewmat"]
    moved = np.array(wide["K"]) - np.array(plain["K"])
    assert np.allclose(moved, [[0, 0, 12], [0, 0, 8], [0, 0, 0]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda scene: setattr(scene.camera.data.dof, "use_dof", True), "depth of field"),
        (lambda scene: setattr(scene.camera.data, "type", 'PANO'), "perspective and orthographic cameras only"),
    ],
)
def test_cameras_that_are_not_rendered_are_not_exported(shot, tmp_path, change, message):
    change(shot)
    with pytest.raises(RuntimeError, match=message):
        bpy.ops.headgas.export_cameras(filepath=str(tmp_path / "cameras.json"))
    assert not (tmp_path / "cameras.json").exists()


def test_names_end_as_the_format_does(shot):
    from bl_ext.user_default.headgas.operators.export_take import HEADGAS_OT_export_take

    endings = [HEADGAS_OT_export_take.filename_ext.fget(type("", (), {"format": kind})()) for kind in ("CSV", "JSON")]
    assert endings == [".csv", ".json"] and issubclass(HEADGAS_OT_export_take, ExportHelper)


def test_without_a_camera_nothing_is_exported(shot):
    shot.timeline_markers.clear()
    shot.camera = None
    assert not bpy.ops.headgas.export_cameras.poll()
