# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mapping files on avatars, what drivers do as a file, and presets of the review list."""

import json
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from bl_ext.user_default.headgas.core.mapping import Mapping, load_mapping, save_mapping
from bl_ext.user_default.headgas.rig import avatar_channels, drivers, mapping_of
from characters import avatar, character, choose, set_values, values


@pytest.fixture
def face(scene, tmp_path):
    return avatar(tmp_path)


def mapping_file(folder, names_out=("jawOpen", "mouthSmileLeft")):
    low, high = np.full(2, -np.inf, np.float32), np.full(2, np.inf, np.float32)
    matrix = np.array([[0.5, 0.0, 0.1], [0.0, 1.0, 0.0]], np.float32)
    path = folder / "mapping.json"
    names_in = ("jaw", "smile", "jawOpen")
    save_mapping(path, Mapping(names_in, tuple(names_out), matrix, np.zeros(2, np.float32), low, high, "test", "CC0"))
    return path


def test_loading_adds_the_channels_that_are_missing_and_keeps_the_others(face, tmp_path, capfd):
    keys = face.data.shape_keys
    keys.key_blocks["jawOpen"].value = 0.7
    keys.key_blocks["jawOpen"].keyframe_insert("value", frame=1)
    assert bpy.ops.headgas.load_mapping(filepath=str(mapping_file(tmp_path))) == {'FINISHED'}
    names = [key.name for key in keys.key_blocks]
    assert names == ["Basis", "jawOpen", "mouthSmileLeft", "mouthSmileRight", "browInnerUp", "jaw", "smile"]
    assert keys.key_blocks["jawOpen"].value == pytest.approx(0.7) and keys.animation_data.action is not None
    assert (keys.key_blocks["jaw"].value, keys.key_blocks["smile"].value) == (0.0, 0.0)
    assert mapping_of(face).names_in == ("jaw", "smile", "jawOpen") and mapping_of(face).licence == "CC0"
    assert list(avatar_channels(face).names) == ["jaw", "smile", "jawOpen"]
    output = capfd.readouterr().out
    assert "2 parameters stay at rest" in output and "3 channels, 2 of them new" in output
    bpy.ops.headgas.load_mapping(filepath=str(tmp_path / "mapping.json"))
    assert len(bpy.data.texts) == 1  # not once more
    assert bpy.ops.headgas.clear_mapping() == {'FINISHED'} and mapping_of(face) is None
    assert not bpy.ops.headgas.clear_mapping.poll()


def test_blender_evaluates_an_avatar_whose_mapping_has_changed(face, tmp_path):
    bpy.ops.headgas.load_mapping(filepath=str(mapping_file(tmp_path)))
    bpy.context.view_layer.update()
    seen = []
    bpy.app.handlers.depsgraph_update_post.append(lambda _scene, depsgraph: seen.extend(depsgraph.updates))
    try:
        bpy.ops.headgas.clear_mapping()
        bpy.context.view_layer.update()
        assert face in [update.id.original for update in seen]
    finally:
        bpy.app.handlers.depsgraph_update_post.pop()


def test_a_mapping_is_edited_saved_and_shared(face, tmp_path):
    bpy.ops.headgas.load_mapping(filepath=str(mapping_file(tmp_path)))
    text = face.headgas.mapping
    text.from_string(text.as_string().replace("0.5", "0.75"))
    assert bpy.ops.headgas.save_mapping(filepath=str(tmp_path / "b.json"), what='MAPPING') == {'FINISHED'}
    saved = load_mapping(tmp_path / "b.json")
    assert saved.matrix[0, 0] == 0.75 and saved.licence == "CC0"
    bpy.ops.headgas.save_mapping(filepath=str(tmp_path / "b.json"), what='MAPPING', licence="MIT")
    assert load_mapping(tmp_path / "b.json").licence == "MIT"


def test_a_mapping_is_saved_and_linked_with_the_avatar(face, tmp_path):
    bpy.ops.headgas.load_mapping(filepath=str(mapping_file(tmp_path)))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        wanted.objects = ["anna control"]
    assert mapping_of(wanted.objects[0]).names_in == ("jaw", "smile", "jawOpen")


def test_an_overridden_avatar_gets_a_mapping_and_keeps_it(face, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        wanted.objects = ["anna control"]
    (linked,) = wanted.objects
    bpy.context.scene.collection.objects.link(linked)
    choose(linked)
    with pytest.raises(RuntimeError, match="linked"):
        bpy.ops.headgas.load_mapping(filepath=str(mapping_file(tmp_path)))
    choose(linked.override_create(remap_local_usages=True))
    assert bpy.ops.headgas.load_mapping(filepath=str(mapping_file(tmp_path))) == {'FINISHED'}
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    face = next(obj for obj in bpy.data.objects if obj.override_library)
    assert mapping_of(face).names_in == ("jaw", "smile", "jawOpen")
    assert {"jaw", "smile"} <= set(face.data.shape_keys.key_blocks.keys())


def test_a_character_drives_the_channels_of_a_mapping(face, tmp_path):
    bpy.ops.headgas.load_mapping(filepath=str(mapping_file(tmp_path)))
    actor = character("Jaw", "Smile")
    choose(face, actor)
    bpy.ops.headgas.match_character(fit=False)
    bpy.ops.headgas.create_drivers()
    assert sorted(drivers.ours(face)) == ["jaw", "smile"]
    set_values(actor, Smile=0.5)
    assert values(face)["smile"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: mapping_file(folder, ("expr_000", "expr_001")), "nothing in common"),
        (lambda folder: (folder / "none.json"), "cannot be read"),
        (lambda folder: (folder / "anna.safetensors"), "anna.safetensors"),
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(face, tmp_path, make, message):
    with pytest.raises(RuntimeError, match=message):
        bpy.ops.headgas.load_mapping(filepath=str(make(tmp_path)))
    assert face.headgas.mapping is None and len(face.data.shape_keys.key_blocks) == 5 and not bpy.data.texts


@pytest.fixture
def driven(face):
    actor = character("Jaw_Open", "Mouth_Smile_L", "browInnerUp_L", "browInnerUp_R")
    choose(face, actor)
    bpy.ops.headgas.match_character()
    row = next(row for row in bpy.context.scene.headgas_review.rows if row.channel == "jawOpen")
    row.limit, row.low, row.high = True, 0.0, 0.8
    bpy.ops.headgas.create_drivers()
    return face, actor


def test_drivers_are_saved_as_the_linear_map_that_they_are(driven, tmp_path):
    face, actor = driven
    path = tmp_path / "drivers.json"
    assert bpy.ops.headgas.save_mapping(filepath=str(path), what='DRIVERS', licence="CC0-1.0") == {'FINISHED'}
    mapping = load_mapping(path)
    assert "character" in mapping.source and mapping.licence == "CC0-1.0"
    wanted = {"Jaw_Open": 0.9, "Mouth_Smile_L": 0.5, "browInnerUp_L": 0.25, "browInnerUp_R": 1.0}
    set_values(actor, **wanted)
    shown = values(face)
    result = mapping(np.array([wanted[name] for name in mapping.names_in]))
    assert dict(zip(mapping.names_out, result, strict=True)) == pytest.approx(
        {name: shown[name] for name in mapping.names_out}, abs=1e-6
    )
    assert shown["jawOpen"] == pytest.approx(0.8)  # limited


def test_a_driver_that_is_more_than_linear_is_named(driven, tmp_path):
    face, _ = driven
    driver = dict(drivers.drivers(face))["jawOpen"].driver
    driver.expression = "headgas_1 * headgas_1"
    with pytest.raises(RuntimeError, match="driver of 'jawOpen'"):
        bpy.ops.headgas.save_mapping(filepath=str(tmp_path / "d.json"), what='DRIVERS')
    driver.expression = "headgas_1 + frame"
    with pytest.raises(RuntimeError, match="more than shape keys"):
        bpy.ops.headgas.save_mapping(filepath=str(tmp_path / "d.json"), what='DRIVERS')
    bpy.ops.headgas.remove_drivers()
    with pytest.raises(RuntimeError, match="Map From Character first"):
        bpy.ops.headgas.save_mapping(filepath=str(tmp_path / "d.json"), what='DRIVERS')
    with pytest.raises(RuntimeError, match="has no mapping"):
        bpy.ops.headgas.save_mapping(filepath=str(tmp_path / "d.json"), what='MAPPING')
    assert not list(tmp_path.glob("d.json*"))


def test_the_list_is_kept_as_a_preset(driven):
    face, _ = driven
    review = bpy.context.scene.headgas_review

    def rows():
        return [{field: getattr(row, field) for field in row.bl_rna.properties.keys()[2:]} for row in review.rows]

    before = rows()
    assert bpy.ops.headgas.add_mapping_preset(name="My Character") == {'FINISHED'}
    folder = Path(bpy.utils.user_resource('SCRIPTS', path="presets/headgas/mapping"))
    (preset,) = folder.glob("*.py")
    review.rows.clear()
    menu = "HEADGAS_MT_mapping_presets"
    assert bpy.ops.script.execute_preset(filepath=str(preset), menu_idname=menu) == {'FINISHED'}
    assert rows() == before and len(before) == 5
    assert bpy.ops.headgas.create_drivers() == {'FINISHED'}
    assert bpy.ops.headgas.add_mapping_preset(name="My Character", remove_name=True) == {'FINISHED'}
    assert not list(folder.glob("*.py"))


def test_re_matching_keeps_edits(driven):
    review = bpy.context.scene.headgas_review
    bpy.ops.headgas.match_character(keep=True)
    assert [row.high for row in review.rows if row.limit] == [pytest.approx(0.8)]
    bpy.ops.headgas.match_character()
    assert not [row for row in review.rows if row.limit]


class Layout:
    """What a draw function asks of a layout; properties, operators and icons must exist."""

    def __init__(self):
        self.calls = []
        parameters = bpy.types.UILayout.bl_rna.functions["label"].parameters
        self.icons = {item.identifier for item in parameters["icon"].enum_items}

    def __getattr__(self, name):
        def call(*arguments, **options):
            assert options.get("icon", 'NONE') in self.icons, options
            assert name in bpy.types.UILayout.bl_rna.functions, name
            assert set(options) <= set(bpy.types.UILayout.bl_rna.functions[name].parameters.keys()), (name, options)
            if name.startswith("prop"):
                assert arguments[1] in arguments[0].bl_rna.properties, arguments[1]
            if name == "operator":
                area, idname = arguments[0].split(".")
                assert getattr(getattr(bpy.ops, area), idname).get_rna_type() is not None
            self.calls.append((name, arguments, options))
            return self

        return call

    def texts(self):
        return [options["text"] for name, _, options in self.calls if name == "label"]


def draw():
    """Blender prints exceptions of draw functions and goes on; here the panel is drawn as Blender would."""
    from bl_ext.user_default.headgas.panels import mapping as panel

    layout = Layout()
    region = SimpleNamespace(width=900)  # a wide sidebar
    context = SimpleNamespace(object=bpy.context.object, scene=bpy.context.scene, region=region)
    panel.HEADGAS_PT_mapping.draw(SimpleNamespace(layout=layout), context)
    for row in bpy.context.scene.headgas_review.rows:
        panel.HEADGAS_UL_mapping.draw_item(None, context, layout, None, row, 0, None, "", 0)
    return layout


def test_the_panel_draws_whatever_is_missing(driven):
    face, actor = driven
    layout = draw()
    assert layout.texts()[0] == "HeadGaS drives 3 channels" and "95%" in layout.texts()
    assert not [call for call in layout.calls if call[2].get("text") == "Re-match"]
    actor.shape_key_remove(actor.data.shape_keys.key_blocks["Jaw_Open"])
    bpy.context.view_layer.update()
    layout = draw()
    assert "'Jaw_Open' of 'character' is gone (1 channel)" in layout.texts()
    assert [call for call in layout.calls if call[2].get("text") == "Re-match"]
    actor.shape_key_add(name="Jaw_Open")
    bpy.context.view_layer.update()
    assert "Stopped, though its source is back: jawOpen" in draw().texts()
    mesh = actor.data
    bpy.data.objects.remove(actor)
    bpy.data.meshes.remove(mesh)
    assert "'Mouth_Smile_L', with its mesh, is gone (1 channel)" in draw().texts()
    bpy.context.scene.headgas_review.active = 99
    draw()
    face.shape_key_clear()
    assert "HeadGaS drives 3 channels" not in draw().texts()


def test_the_list_is_searched(driven):
    from bl_ext.user_default.headgas.panels.mapping import HEADGAS_UL_mapping

    search = type("List", (), {"filter_name": "JAW", "bitflag_filter_item": 4})
    review = bpy.context.scene.headgas_review
    flags, order = HEADGAS_UL_mapping.filter_items(search, bpy.context, review, "rows")
    assert [row.channel for row, flag in zip(review.rows, flags, strict=True) if flag] == ["jawOpen"] and order == []


def test_files_are_json(driven, tmp_path):
    bpy.ops.headgas.save_mapping(filepath=str(tmp_path / "d.json"), what='DRIVERS')
    assert json.loads((tmp_path / "d.json").read_text())["format"] == "headgas-mapping"
