# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Importing other programs' avatars: the backend converts them beside the file, and nothing drives what is still."""

import os

import bpy
import pytest
from avatar_files import NAMES, header, write_avatar
from bl_ext.user_default.headgas.rig import avatar_path, expression_of
from stand_in import render_still


def _import(path, **options):
    assert bpy.ops.headgas.import_avatar(filepath=str(path), **options) == {'FINISHED'}
    return bpy.context.object


def _still():
    head = header()
    head["expression_space"] = {"kind": "custom", "names": [], "neutral": [], "low": [], "high": []}
    return head | {"model": "Splats"}


def test_an_avatar_without_channels_is_a_mesh_that_renders(scene, service, tmp_path):
    mesh = _import(write_avatar(tmp_path / "statue.safetensors", _still()))
    assert [key.name for key in mesh.data.shape_keys.key_blocks] == ["Basis"]
    assert expression_of(mesh, bpy.context.evaluated_depsgraph_get()).shape == (0,)
    assert bpy.ops.headgas.reset_expression() == {'FINISHED'}
    assert render_still(tmp_path / "still.exr")[..., 3].min() == 1
    assert service.requests[0]["avatars"][0]["expression"] == []


@pytest.mark.parametrize("suffix", [".ply", ".PLY", ".spz", ".splat"])
def test_a_foreign_file_is_converted_beside_itself(scene, service, tmp_path, suffix):
    foreign = write_avatar(tmp_path / f"scan{suffix}")
    mesh = _import(foreign)
    assert mesh.name == "scan control" and avatar_path(mesh) == tmp_path / "scan.headgas.safetensors"
    assert [key.name for key in mesh.data.shape_keys.key_blocks][1:] == NAMES
    (request,) = service.requests
    assert request == {"source": str(foreign), "axes": None, "scale": 1.0, "flame": None, "shape": None}


def test_an_import_is_undone_and_done_again(scene, service, tmp_path):
    foreign = write_avatar(tmp_path / "scan.ply")
    bpy.ops.ed.undo_push(message="before")
    before = set(bpy.data.objects.keys())
    assert bpy.ops.headgas.import_avatar('EXEC_DEFAULT', True, filepath=str(foreign)) == {'FINISHED'}
    made = set(bpy.data.objects.keys())
    assert "scan control" in made - before
    bpy.ops.ed.undo()
    assert set(bpy.data.objects.keys()) == before
    bpy.ops.ed.redo()
    assert set(bpy.data.objects.keys()) == made and len(service.requests) == 1


def test_axes_and_scale_are_handed_on(scene, service, tmp_path):
    _import(write_avatar(tmp_path / "scan.ply"), axes='OPENGL', scale=0.5)
    assert (service.requests[0]["axes"], service.requests[0]["scale"]) == ("opengl", 0.5)


def test_flame_and_the_head_s_shape_are_handed_on(scene, service, tmp_path):
    preferences = bpy.context.preferences.addons["bl_ext.user_default.headgas"].preferences
    foreign = write_avatar(tmp_path / "scan.ply")
    preferences.flame_model = str(tmp_path / "generic_model.pkl")
    try:
        _import(foreign, shape=str(tmp_path / "00000.frame"))
        _import(foreign, flame=str(tmp_path / "other.pkl"))
    finally:
        preferences.flame_model = ""
    first, second = service.requests
    assert first["flame"] == str(tmp_path / "generic_model.pkl") and first["shape"] == str(tmp_path / "00000.frame")
    assert second["flame"] == str(tmp_path / "other.pkl") and second["shape"] is None


@pytest.mark.parametrize("name", ["cfg_args", "deform.pth", "pos.npy"])
def test_a_part_of_a_run_is_handed_on_and_the_answer_is_imported(scene, service, tmp_path, name):
    (tmp_path / "id1").mkdir()
    part = write_avatar(tmp_path / "id1" / name)
    mesh = _import(part)
    assert service.requests[0]["source"] == str(part)
    assert avatar_path(mesh) == part.with_name(f"{part.stem}.headgas.safetensors")


def test_a_folder_is_imported(scene, service, tmp_path):
    folder = tmp_path / "id1"
    folder.mkdir()
    write_avatar(folder / "weights")
    mesh = _import(str(folder) + os.sep)
    assert service.requests[0]["source"] == str(folder) and mesh.name == "id1 control"
    assert avatar_path(mesh) == tmp_path / "id1.headgas.safetensors"


def test_several_files_of_both_kinds(scene, service, tmp_path):
    write_avatar(tmp_path / "a.safetensors"), write_avatar(tmp_path / "b.spz")
    files = [{"name": "a.safetensors"}, {"name": "b.spz"}]
    assert bpy.ops.headgas.import_avatar(directory=str(tmp_path), files=files) == {'FINISHED'}
    assert {obj.name for obj in bpy.data.objects if obj.headgas.is_avatar} == {"a control", "b control"}


def test_warnings_are_reported(scene, service, tmp_path, capfd):
    _import(write_avatar(tmp_path / "warn.ply"))
    assert "There is something to know" in capfd.readouterr().out


@pytest.mark.parametrize(("name", "message"), [("refuse.ply", "This avatar is refused"), ("bug.ply", "ZeroDivision")])
def test_what_the_backend_refuses_is_reported_and_nothing_is_made(scene, service, tmp_path, name, message):
    before = len(bpy.data.objects)
    with pytest.raises(RuntimeError, match=message):
        _import(write_avatar(tmp_path / name))
    assert len(bpy.data.objects) == before and not list(tmp_path.glob("*.headgas.safetensors"))


def test_a_file_that_is_not_there_needs_no_backend(scene, service, tmp_path):
    with pytest.raises(RuntimeError, match="no avatar at"):
        _import(tmp_path / "gone.ply")
    assert not os.path.exists(tmp_path / "requests.jsonl")


def test_every_format_can_be_dropped_and_chosen():
    suffixes = bpy.types.HEADGAS_FH_avatar.bl_file_extensions.split(";")
    assert {".safetensors", ".ply", ".spz", ".splat"} <= set(suffixes)
    properties = bpy.ops.headgas.import_avatar.get_rna_type().properties
    offered = [*(f"*{suffix}" for suffix in suffixes), "cfg_args"]
    assert properties["filter_glob"].default.split(";") == offered
