# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars as splats: files of a sequence, and Blender's own point clouds with the attributes that 5.3 expects."""

import json

import bpy
import numpy as np
import pytest
from avatar_files import write_avatar
from bl_ext.user_default.headgas.core.errors import HeadGaSError
from bl_ext.user_default.headgas.core.splats import split_splats
from bl_ext.user_default.headgas.engine import native_splats
from bl_ext.user_default.headgas.rig.actions import fcurves

_HAS_CLOUDS = "resize" in bpy.types.PointCloud.bl_rna.functions  # since 5.2
needs_clouds = pytest.mark.skipif(not _HAS_CLOUDS, reason="this Blender's point clouds cannot be resized by Python")


@pytest.fixture
def avatar(scene, service, tmp_path):
    """Its first parameter, which the stand-in makes the number of splats, is the frame's number."""
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "head.safetensors")))
    avatar = bpy.context.object
    key = avatar.data.shape_keys.key_blocks["jawOpen"]
    key.slider_max = 9.0
    for frame in (1, 4):
        key.value, avatar.parent.location.x = frame, frame / 10
        key.keyframe_insert("value", frame=frame)
        avatar.parent.keyframe_insert("location", frame=frame)
    for owner in (avatar.data.shape_keys, avatar.parent):
        for curve in fcurves(owner):
            for point in curve.keyframe_points:
                point.interpolation = 'LINEAR'
    scene.frame_start, scene.frame_end = 1, 3
    return avatar


def test_a_sequence_is_a_file_for_each_frame(scene, avatar, service, tmp_path):
    folder = tmp_path / "baked"
    folder.mkdir()
    assert bpy.ops.headgas.bake_sequence(filepath=str(folder / "head.ply")) == {'FINISHED'}
    assert sorted(path.name for path in folder.iterdir()) == [f"head_{n:04d}.ply" for n in (1, 2, 3)]
    for number in (1, 2, 3):
        asked = json.loads((folder / f"head_{number:04d}.ply").read_text())
        assert (asked["kind"], asked["axes"]) == ("ply", "blender")
        assert asked["avatar"]["expression"][0] == pytest.approx(number)
        assert asked["avatar"]["transform"][0][3] == pytest.approx(number / 10)
    assert scene.frame_current == 1


_CHOSEN = [("a.spz", 'FORMAT', "opengl"), ("a.spz", 'BLENDER', "blender"), ("a.ply", 'OPENCV', "opencv")]


@pytest.mark.parametrize(("name", "axes", "sent"), _CHOSEN)
def test_axes_are_the_format_s_or_chosen(scene, avatar, service, tmp_path, name, axes, sent):
    scene.frame_end = 1
    bpy.ops.headgas.bake_sequence(filepath=str(tmp_path / name), axes=axes)
    assert (service.requests[-1]["kind"], service.requests[-1]["axes"]) == (name[2:], sent)


def test_what_cannot_be_baked_leaves_no_file(avatar, tmp_path):
    with pytest.raises(RuntimeError, match="neither PLY nor SPZ"):
        bpy.ops.headgas.bake_sequence(filepath=str(tmp_path / "head.obj"))
    with pytest.raises(RuntimeError, match="cannot be written"):
        bpy.ops.headgas.bake_sequence(filepath=str(tmp_path / "none" / "head.ply"))
    assert not list(tmp_path.glob("head_*"))


def test_older_blenders_say_what_to_do_instead(avatar):
    if native_splats.has_native_splats():
        assert bpy.ops.headgas.bake_native.poll()
        return
    with pytest.raises(RuntimeError, match="use Bake Sequence"):
        bpy.ops.headgas.bake_native()


def test_bytes_become_planes():
    data = np.arange(2 * 23, dtype="<f4").tobytes()
    splats = split_splats(data, 2, 4)
    assert [plane.shape for plane in splats] == [(2, 3), (2, 4), (2, 3), (2, 4), (3, 2, 3)]
    assert splats.rotations[0].tolist() == [6, 7, 8, 9] and splats.harmonics[2, 1].tolist() == [43, 44, 45]
    assert split_splats(data[: 4 * 28], 2, 1).harmonics.shape == (0, 2, 3)
    with pytest.raises(HeadGaSError, match="sent 180 bytes for 2 splats"):
        split_splats(data[:-4], 2, 4)


def _read(cloud) -> dict[str, tuple[str, np.ndarray]]:
    """Types and numbers of a point cloud's attributes."""
    found = {}
    for attribute in cloud.attributes:
        key, channels = ("value", 4) if attribute.data_type == 'QUATERNION' else ("vector", 3)
        channels = 4 if attribute.data_type == 'FLOAT4' else channels
        if attribute.data_type not in ('QUATERNION', 'FLOAT4', 'FLOAT_VECTOR'):
            continue
        values = np.empty(channels * len(attribute.data), np.float32)
        attribute.data.foreach_get(key, values)
        found[attribute.name] = attribute.data_type, values.reshape(-1, channels)
    return found


@pytest.fixture
def native(monkeypatch):
    """Point clouds of this Blender stand in for those of 5.3, whose type it does not have."""
    if not native_splats.has_native_splats():
        monkeypatch.setattr(native_splats, "has_native_splats", lambda: True)
        monkeypatch.setattr(native_splats, "_as_splats", lambda cloud: None)


@needs_clouds
def test_a_cloud_has_blender_s_attributes(avatar, native):
    bpy.context.scene.frame_set(2)
    bpy.context.view_layer.objects.active = avatar
    assert bpy.ops.headgas.bake_native() == {'FINISHED'}
    obj = next(obj for obj in bpy.context.scene.objects if obj.type == 'POINTCLOUD')
    splats = split_splats(np.arange(2 * 23, dtype="<f4").tobytes(), 2, 4)
    found = _read(obj.data)
    expected = {"position": splats.positions, "scale": splats.scales} | {
        f"radiance:sh_{number}": plane for number, plane in enumerate(splats.harmonics)
    }
    for name, values in expected.items():
        assert found[name][0] == 'FLOAT_VECTOR' and (found[name][1] == values).all(), name
    assert found["rotation"][0] == 'QUATERNION' and (found["rotation"][1] == splats.rotations).all()
    assert found["radiance:base"][0] == 'FLOAT4' and (found["radiance:base"][1] == splats.base).all()
    bpy.context.scene.frame_set(3)
    assert len(obj.data.points) == 2  # it is not live
    native_splats.fill(obj.data, splats._replace(harmonics=splats.harmonics[:0]))
    assert not [name for name in _read(obj.data) if name.startswith("radiance:sh")]


@needs_clouds
def test_a_live_cloud_follows_its_avatar(avatar, native, tmp_path, capfd):
    scene = bpy.context.scene
    bpy.ops.headgas.bake_native(live=True)
    cloud = next(obj for obj in scene.objects if obj.type == 'POINTCLOUD').data
    for frame in (3, 2):
        scene.frame_set(frame)
        assert len(cloud.points) == frame
    cloud.headgas_splats.live = False
    scene.frame_set(3)
    assert len(cloud.points) == 2
    cloud.headgas_splats.live = True
    avatar.headgas.filepath = str(tmp_path / "gone.safetensors")
    scene.frame_set(1)
    assert len(cloud.points) == 0 and "gone.safetensors" in capfd.readouterr().err
