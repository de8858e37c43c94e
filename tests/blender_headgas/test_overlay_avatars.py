# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which avatars viewports show, and control meshes that are out of their way."""

import os
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from avatar_files import tensors, write_avatar
from bl_ext.user_default.headgas.overlay.avatars import shown_avatars
from bl_ext.user_default.headgas.rig import hide_mesh, hiding, hiding_modifier, is_hidden
from drawn import draw
from mathutils import Matrix


@pytest.fixture
def mesh(scene, tmp_path):
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "anna.safetensors")))
    return bpy.context.object


def _shown():
    layer = bpy.context.view_layer
    layer.update()
    return shown_avatars(bpy.context.evaluated_depsgraph_get(), layer)


def test_viewports_see_nothing_of_a_control_mesh_but_its_box_and_a_line_that_can_be_selected(mesh):
    vertices = tensors()["surface/vertices"]
    low, high = vertices.min(0), vertices.max(0)
    evaluated = mesh.evaluated_get(bpy.context.evaluated_depsgraph_get())
    points = np.array([vertex.co for vertex in evaluated.data.vertices])
    ends = np.array([[points[i] for i in edge.vertices] for edge in evaluated.data.edges if edge.is_loose])
    assert ends == pytest.approx(np.array([[low * 0.6 + high * 0.4, low * 0.4 + high * 0.6]]))
    corners = [points[list(polygon.vertices)] for polygon in evaluated.data.polygons]
    assert all(np.ptp(corner, 0).max() == 0.0 for corner in corners)
    assert np.unique(np.concatenate(corners).round(6), axis=0) == pytest.approx(np.stack([low, high]))
    assert not hiding_modifier(mesh).show_render  # F12 of other engines sees the mesh
    hiding_modifier(mesh).show_viewport = False
    bpy.context.view_layer.update()
    evaluated = mesh.evaluated_get(bpy.context.evaluated_depsgraph_get())
    assert len(evaluated.data.vertices) == len(vertices) and not is_hidden(mesh)


def test_all_avatars_of_a_file_share_the_nodes_that_hide_them(mesh, tmp_path):
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "bert.safetensors")))
    assert hiding_modifier(bpy.context.object).node_group == hiding_modifier(mesh).node_group


def test_an_avatar_from_before_is_shown_in_place_of_its_mesh_on_request(mesh):
    mesh.modifiers.remove(hiding_modifier(mesh))
    assert _shown() == []
    assert bpy.ops.headgas.show_avatars() == {'FINISHED'}
    assert is_hidden(mesh) and [avatar.mesh for avatar in _shown()] == [mesh]
    hide_mesh(mesh)
    assert len(mesh.modifiers) == 1


def test_control_meshes_are_seen_while_the_extension_is_off(mesh, tmp_path):
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "bert.safetensors")))
    shown = bpy.context.object
    hiding_modifier(shown).show_viewport = False  # by the user
    hiding.unregister_hiding()
    assert not is_hidden(mesh) and not is_hidden(shown)
    hiding.register_hiding()
    hiding.hide_revealed()  # Blender's timer, and opening a file
    assert is_hidden(mesh) and not is_hidden(shown)


def test_an_avatar_is_shown_as_it_is_posed_and_where_it_stands(mesh):
    mesh.data.shape_keys.key_blocks["jawOpen"].value = 0.7
    mesh.parent.location = (1.0, 2.0, 3.0)
    (avatar,) = _shown()
    assert avatar.posed.expression[0] == pytest.approx(0.7) and avatar.problem == ""
    assert avatar.matrix[:3, 3] == pytest.approx((1.0, 2.0, 3.0))
    vertices = tensors()["surface/vertices"]
    assert avatar.corners.min(0) == pytest.approx(vertices.min(0))
    assert avatar.corners.max(0) == pytest.approx(vertices.max(0))
    mesh.data.shape_keys.key_blocks["jawOpen"].value = 0.8
    assert _shown()[0].key != avatar.key


def test_what_blender_hides_is_not_shown(mesh):
    mesh.hide_set(True)
    assert _shown() == []
    mesh.hide_set(False)
    bpy.context.view_layer.layer_collection.exclude = False
    collection = bpy.data.collections.new("away")
    bpy.context.scene.collection.children.link(collection)
    for owner in list(mesh.users_collection):
        owner.objects.unlink(mesh)
    collection.objects.link(mesh)
    assert len(_shown()) == 1
    bpy.context.view_layer.layer_collection.children["away"].exclude = True
    assert _shown() == []


def test_local_view_shows_what_is_in_it(mesh):
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == 'VIEW_3D')
    region, space = next(region for region in area.regions if region.type == 'WINDOW'), area.spaces.active
    for selected, visible in ((mesh, True), (bpy.context.scene.camera, False)):
        bpy.ops.object.select_all(action='DESELECT')
        selected.select_set(True)
        with bpy.context.temp_override(window=window, area=area, region=region):
            bpy.ops.view3d.localview(frame_selected=False)
            assert _shown()[0].visible_in(space, bpy.context.evaluated_depsgraph_get()) == visible
            bpy.ops.view3d.localview(frame_selected=False)
    assert _shown()[0].visible_in(space, bpy.context.evaluated_depsgraph_get())


def test_instances_are_shown_where_they_are_and_hidden_with_what_makes_them(mesh):
    collection = bpy.data.collections.new("head")
    for obj in (mesh.parent, mesh):
        for owner in list(obj.users_collection):
            owner.objects.unlink(obj)
        collection.objects.link(obj)
    empty = bpy.data.objects.new("instance", None)
    empty.instance_type, empty.instance_collection = 'COLLECTION', collection
    empty.matrix_world = Matrix.Translation((0.0, 5.0, 0.0))
    bpy.context.scene.collection.objects.link(empty)
    (avatar,) = _shown()
    assert avatar.mesh == mesh and avatar.owner == empty
    assert avatar.matrix[:3, 3] == pytest.approx((0.0, 5.0, 0.0))
    empty.hide_set(True)
    assert _shown() == []


def test_a_holdout_is_told(mesh):
    assert not _shown()[0].is_holdout
    mesh.is_holdout = True
    assert _shown()[0].is_holdout


def test_an_avatar_that_cannot_be_shown_says_why_and_the_others_are_shown(mesh, tmp_path):
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "gone.safetensors")))
    gone = bpy.context.object
    (tmp_path / "gone.safetensors").unlink()
    flat = mesh.parent
    by_mesh = {avatar.mesh: avatar for avatar in _shown()}
    assert "There is no avatar" in by_mesh[gone].problem and by_mesh[gone].posed is None
    assert by_mesh[mesh].problem == ""
    flat.scale = (0.0, 1.0, 1.0)
    assert "scaled to nothing" in next(avatar for avatar in _shown() if avatar.mesh == mesh).problem


def test_a_file_that_has_changed_is_noticed(mesh, tmp_path):
    (avatar,) = _shown()
    assert not avatar.is_outdated
    os.utime(tmp_path / "anna.safetensors", ns=(1, 1))
    assert avatar.is_outdated


def test_exact_colors_on_request(mesh):
    from bl_ext.user_default.headgas import overlay

    scene = bpy.context.scene
    scene.view_settings.view_transform, scene.view_settings.exposure = 'AgX', 1.0
    assert not overlay.is_exact(scene)
    bpy.ops.headgas.exact_colors()
    assert overlay.is_exact(scene)


def test_the_parameters_of_all_avatars_can_be_chosen(mesh):
    from bl_ext.user_default.headgas.overlay import settings

    found = settings._parameters(SimpleNamespace(id_data=bpy.context.scene), bpy.context, "SMILE")
    assert list(found) == ["mouthSmileLeft", "mouthSmileRight"]


def test_the_panel_offers_what_is_needed(mesh):
    bpy.context.scene.view_settings.view_transform = 'AgX'
    panel = draw("HEADGAS_PT_viewport")
    names = [name for _, name in panel.properties]
    assert {"mode", "fraction", "scale", "limit", "use_view_transform", "show_viewport"} <= set(names)
    assert "parameter" not in names and [name for name, _ in panel.operators] == ["headgas.exact_colors"]
    bpy.context.scene.view_settings.view_transform = 'Standard'
    bpy.context.scene.headgas_viewport.mode = 'INFLUENCE'
    hiding_modifier(mesh).show_viewport = False
    panel = draw("HEADGAS_PT_viewport")
    assert "parameter" in [name for _, name in panel.properties]
    assert [name for name, _ in panel.operators] == ["headgas.show_avatars"]
