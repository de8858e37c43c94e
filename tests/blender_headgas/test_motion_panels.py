# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels of live motion, baking, transfer and photographs say; drawn into a stand-in for Blender's layout."""

import socket
from types import SimpleNamespace

import bpy
import pytest
from avatar_files import write_avatar
from bl_ext.user_default.headgas.panels.motion import HEADGAS_PT_live, HEADGAS_PT_motion, HEADGAS_PT_photographs
from bl_ext.user_default.headgas.rig import live
from test_live import packet
from test_photographs import write_capture

ICONS = bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items


class _Layout:
    """Notes texts, properties and operators; what Blender has not is an error."""

    def __init__(self, said):
        self.said = said

    def row(self, **_):
        return _Layout(self.said)

    column = row

    def label(self, text, icon='NONE'):
        assert icon in ICONS
        self.said.append(text)

    def prop(self, data, name, **_):
        assert name in data.bl_rna.properties
        self.said.append(name)

    def operator(self, name, icon='NONE', text="", depress=False):
        assert icon in ICONS and getattr(bpy.ops.headgas, name.split(".")[1]).get_rna_type()
        self.said.append(text or name)


def _drawn(panel):
    said = []
    assert panel.poll(bpy.context)
    panel.draw(SimpleNamespace(layout=_Layout(said)), bpy.context)
    return said


@pytest.fixture
def avatar(scene, tmp_path):
    assert not HEADGAS_PT_live.poll(bpy.context)
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "a.safetensors")))
    yield bpy.context.object
    live.stop()


def test_live_says_what_it_hears(avatar):
    settings = live.live_settings()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        settings.address, settings.port = probe.getsockname()
    said = _drawn(HEADGAS_PT_live)
    assert "headgas.start_live" in said and "A phone needs this machine's address, or 0.0.0.0" in said
    bpy.ops.headgas.start_live()
    assert f"Waiting on port {settings.port}" in _drawn(HEADGAS_PT_live)
    session = live.session()
    session.reception.take(b"?", 0.0)
    session.reception.take(b"", live.time.monotonic())
    assert {"A packet is empty, not with version 6", "2 not understood"} <= set(_drawn(HEADGAS_PT_live))
    for data in (packet(frame=1), packet(frame=3, face=False), packet(frame=2), packet(name="other", device="o")):
        session.reception.take(data, live.time.monotonic())
    said = _drawn(HEADGAS_PT_live)
    assert {"phone: 2 packets/s, no face", "1 lost, 1 late, 2 not understood", "Also sending: other"} <= set(said)
    bpy.ops.headgas.record_live()
    session.failure = "The cable is out"
    bpy.data.objects.remove(avatar)
    said = []
    HEADGAS_PT_live.draw(SimpleNamespace(layout=_Layout(said)), bpy.context)
    assert {"Stop and Write Keys", "The cable is out", "The avatar is gone"} <= set(said)


def test_operators_of_keys_and_performances_are_offered(avatar):
    assert _drawn(HEADGAS_PT_motion) == [
        "headgas.bake", "headgas.unbake", "headgas.transfer_performance", "headgas.unlink_performance"
    ]  # fmt: skip


def test_photographs_can_be_wiped_and_missing_ones_are_said(avatar, scene, tmp_path):
    assert _drawn(HEADGAS_PT_photographs) == ["headgas.compare_with_capture", "headgas.clear_comparison"]
    path = write_capture(tmp_path / "capture")
    bpy.ops.headgas.compare_with_capture(filepath=str(path))
    assert "position" not in _drawn(HEADGAS_PT_photographs)
    scene.camera.data.headgas_comparison.mode = 'WIPE'
    assert {"folder", "mode", "position"} <= set(_drawn(HEADGAS_PT_photographs))
    (path.parent / "images" / "a1.png").unlink()
    scene.frame_set(2)
    assert "This frame's photograph is missing" in _drawn(HEADGAS_PT_photographs)
    bpy.ops.headgas.clear_comparison()
