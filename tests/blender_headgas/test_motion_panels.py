# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels of live motion, baking, transfer and photographs say."""

import socket

import bpy
import pytest
from avatar_files import write_avatar
from bl_ext.user_default.headgas.rig import live
from drawn import draw
from test_live import packet
from test_photographs import write_capture


@pytest.fixture
def avatar(scene, tmp_path):
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "a.safetensors")))
    yield bpy.context.object
    live.stop()


def _operators(panel):
    return [name for name, _ in draw(panel).operators]


def _properties(panel):
    return {name for _, name in draw(panel).properties}


def test_live_says_what_it_hears(avatar):
    settings = live.live_settings()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        settings.address, settings.port = probe.getsockname()
    assert _operators("HEADGAS_PT_live") == ["headgas.start_live"]
    assert draw("HEADGAS_PT_live").labels == ["A phone needs this computer's", "address, or 0.0.0.0"]
    bpy.ops.headgas.start_live()
    assert f"Waiting on port {settings.port}" in draw("HEADGAS_PT_live").labels
    session = live.session()
    session.reception.take(b"?", 0.0)
    session.reception.take(b"", live.time.monotonic())
    said = " ".join(draw("HEADGAS_PT_live").labels)
    assert "A packet is empty, not with version 6 2 not understood" in said
    for data in (packet(frame=1), packet(frame=3, face=False), packet(frame=2), packet(name="other", device="o")):
        session.reception.take(data, live.time.monotonic())
    said = " ".join(draw("HEADGAS_PT_live").labels)
    assert "phone: 2 packets/s, no face 1 lost, 1 late, 2 not understood Also sending: other" in said
    assert _operators("HEADGAS_PT_live") == ["headgas.stop_live", "headgas.record_live"]
    session.failure = "The cable is out"
    rig = bpy.context.view_layer.objects.active = avatar.parent
    bpy.ops.headgas.import_avatar(filepath=avatar.headgas.filepath)
    bpy.data.objects.remove(avatar)
    assert {"The cable is out", "The avatar is gone"} <= set(draw("HEADGAS_PT_live").labels)
    bpy.context.view_layer.objects.active = rig
    assert not draw("HEADGAS_PT_live").operators  # an armature whose avatar is gone


def test_operators_of_keys_and_performances_are_offered(avatar):
    assert _operators("HEADGAS_PT_motion") == [
        "headgas.bake", "headgas.unbake", "headgas.bake_sequence", "headgas.bake_native",
        "headgas.transfer_performance", "headgas.unlink_performance"
    ]  # fmt: skip


def test_photographs_can_be_wiped_and_missing_ones_are_said(avatar, scene, tmp_path):
    assert _operators("HEADGAS_PT_photographs") == ["headgas.compare_with_capture", "headgas.clear_comparison"]
    path = write_capture(tmp_path / "capture")
    bpy.ops.headgas.compare_with_capture(filepath=str(path))
    assert _properties("HEADGAS_PT_photographs") == {"folder", "mode"}
    scene.camera.data.headgas_comparison.mode = 'WIPE'
    assert _properties("HEADGAS_PT_photographs") == {"folder", "mode", "position"}
    (path.parent / "images" / "a1.png").unlink()
    scene.frame_set(2)
    assert "This frame's photograph is missing" in " ".join(draw("HEADGAS_PT_photographs").labels)
    bpy.ops.headgas.clear_comparison()
