# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both real programs: every kind of avatar becomes a control mesh with channels, and is rendered."""

import bpy
import pytest

from tests.blender_headgas.stand_in import render_still

pytestmark = pytest.mark.usefixtures("real_service")


@pytest.mark.parametrize(
    ("chosen", "made", "channel"),
    [
        ("modes.safetensors", "modes.safetensors", "jaw"),
        ("foreign/avatar.zip", "foreign/avatar.headgas.safetensors", "jawOpen"),
        ("foreign/id1/cfg_args", "foreign/id1.headgas.safetensors", "expression_0"),
        ("foreign/id1/deform/iteration_80000/deform.pth", "foreign/id1.headgas.safetensors", "expression_0"),
        ("foreign/dump/mouth0_chkpnt500/pos.npy", "foreign/dump.headgas.safetensors", "expr_000"),
        ("foreign/bound/point_cloud.ply", "foreign/bound/point_cloud.headgas.safetensors", "jaw_x"),
        ("foreign/chkpnt1.pth", "foreign/chkpnt1.headgas.safetensors", "eyelid_left"),
    ],
)
def test_every_kind_of_avatar_is_imported_and_rendered(scene, material, tmp_path, chosen, made, channel):
    flame = str(material.folder / "foreign/flame")
    assert bpy.ops.headgas.import_avatar(filepath=str(material.folder / chosen), flame=flame) == {'FINISHED'}
    control = bpy.context.object
    assert control.headgas.filepath.endswith(made) and channel in control.data.shape_keys.key_blocks
    scene.camera.location = (0.0, -8.0, 0.0)  # some of these random heads are metres wide
    assert render_still(tmp_path / "still.exr")[..., 3].max() > 0.01


def test_what_needs_flame_says_where_to_name_it(scene, material, monkeypatch):
    monkeypatch.delenv("HEADGAS_FLAME", raising=False)
    with pytest.raises(RuntimeError, match="'FLAME Model' in HeadGaS's preferences"):
        bpy.ops.headgas.import_avatar(filepath=str(material.folder / "foreign/bound/point_cloud.ply"))
