# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Map From Character: the list, the drivers that it becomes, and what happens to them afterwards."""

import bpy
import pytest
from bl_ext.user_default.headgas.rig import drivers
from characters import avatar, character, choose, set_values, values

# neutral and largest seen value of the avatar's channels, see avatar_files
HIGH = {"jawOpen": 1.0, "mouthSmileLeft": 0.8, "mouthSmileRight": 0.6, "browInnerUp": 0.5}
NEUTRAL = {"jawOpen": 0.1, "mouthSmileLeft": 0.0, "mouthSmileRight": 0.0, "browInnerUp": -0.2}


@pytest.fixture
def pair(scene, tmp_path):
    """An avatar, active, and a character with some of ARKit's shapes, selected."""
    face = avatar(tmp_path)
    actor = character("Jaw_Open", "Mouth_Smile_L", "browInnerUp_L", "browInnerUp_R", "hairLength")
    choose(face, actor)
    return face, actor


def mapped(pair, **options):
    choose(*pair)
    assert bpy.ops.headgas.match_character() == {'FINISHED'}
    assert bpy.ops.headgas.create_drivers(**options) == {'FINISHED'}


def curve(face, channel):
    return dict(drivers.drivers(face))[channel]


def test_the_list_shows_pairs_by_region_and_what_stayed_alone(pair):
    assert bpy.ops.headgas.match_character() == {'FINISHED'}
    review = bpy.context.scene.headgas_review
    rows = [(row.source, row.channel) for row in review.rows]
    assert rows == [
        ("browInnerUp_L", "browInnerUp"), ("browInnerUp_R", "browInnerUp"), ("Jaw_Open", "jawOpen"),
        ("Mouth_Smile_L", "mouthSmileLeft"), ("hairLength", ""), ("", "mouthSmileRight"),
    ]  # fmt: skip
    assert review.source == pair[1]
    gains = [0.5 * 0.7, 0.5 * 0.7, 0.9, 0.8]
    assert [row.gain for row in review.rows][:4] == pytest.approx(gains)
    assert all(row.use and row.confidence >= 0.9 for row in review.rows[:4]) and "adds to" in review.rows[0].note
    assert not drivers.ours(pair[0])
    bpy.ops.headgas.match_character(fit=False)
    assert [row.gain for row in review.rows][:4] == [0.5, 0.5, 1.0, 1.0]


def test_accepting_makes_drivers_that_run_without_python(pair, monkeypatch):
    face, actor = pair
    monkeypatch.setattr(bpy.context.preferences.filepaths, "use_scripts_auto_execute", False)
    mapped(pair)
    assert sorted(drivers.ours(face)) == ["browInnerUp", "jawOpen", "mouthSmileLeft"]
    for channel in drivers.ours(face):
        driver = curve(face, channel).driver
        assert driver.is_simple_expression and driver.is_valid
        assert all(variable.type == 'SINGLE_PROP' for variable in driver.variables)
    assert curve(face, "mouthSmileLeft").driver.expression == "headgas_1 * 0.8"
    assert curve(face, "jawOpen").driver.expression == "headgas_1 * 0.9 + 0.1"
    assert values(face) == pytest.approx(NEUTRAL)  # the character rests: so does the avatar
    set_values(actor, Jaw_Open=1.0, Mouth_Smile_L=1.0, browInnerUp_L=1.0, browInnerUp_R=1.0)
    assert values(face) == pytest.approx(HIGH | {"mouthSmileRight": 0.0})
    set_values(actor, Jaw_Open=0.5, browInnerUp_R=0.0)
    assert values(face)["jawOpen"] == pytest.approx(0.55) and values(face)["browInnerUp"] == pytest.approx(0.15)


def test_the_source_s_animation_arrives(pair, scene):
    face, actor = pair
    mapped(pair)
    key = actor.data.shape_keys.key_blocks["Mouth_Smile_L"]
    for frame, value in ((1, 0.0), (11, 1.0)):
        key.value = value
        key.keyframe_insert("value", frame=frame)
    for frame, value in ((1, 0.0), (11, 0.8)):
        scene.frame_set(frame)
        assert values(face)["mouthSmileLeft"] == pytest.approx(value, abs=1e-6)


def test_rows_are_edited_before_they_are_accepted(pair):
    face, actor = pair
    bpy.ops.headgas.match_character()
    rows = bpy.context.scene.headgas_review.rows
    jaw, smile = rows[2], rows[3]
    jaw.gain, jaw.offset, jaw.limit, jaw.low, jaw.high = 2.0, -0.1, True, 0.0, 0.5
    smile.use = False
    rows[5].source = "Mouth_Smile_L"  # the row that stayed alone
    assert bpy.ops.headgas.create_drivers() == {'FINISHED'}
    assert curve(face, "jawOpen").driver.expression == "min(max(headgas_1 * 2, 0), 0.5)"
    assert sorted(drivers.ours(face)) == ["browInnerUp", "jawOpen", "mouthSmileRight"]
    set_values(actor, Jaw_Open=0.9, Mouth_Smile_L=0.25)
    assert values(face)["jawOpen"] == pytest.approx(0.5) and values(face)["mouthSmileRight"] == pytest.approx(0.15)


def test_rows_are_added_and_removed(pair):
    bpy.ops.headgas.match_character()
    review = bpy.context.scene.headgas_review
    review.active = 2
    bpy.ops.headgas.edit_review(action='ADD')
    assert len(review.rows) == 7 and review.active == 6 and review.rows[6].source == "Jaw_Open"
    review.rows[6].channel = "mouthSmileRight"
    assert bpy.ops.headgas.create_drivers() == {'FINISHED'}
    assert "mouthSmileRight" in drivers.ours(pair[0])
    for _ in range(9):
        bpy.ops.headgas.edit_review(action='REMOVE')
    assert not review.rows and not bpy.ops.headgas.create_drivers.poll()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: setattr(row, "source", "nobody"), "no shape key 'nobody'"),
        (lambda row: setattr(row, "channel", "nothing"), "no channel 'nothing'"),
        (lambda row: (setattr(row, "limit", True), setattr(row, "low", 2.0)), "above its maximum"),
    ],
)
def test_a_row_that_cannot_be_is_named_and_nothing_is_made(pair, change, message):
    bpy.ops.headgas.match_character()
    change(bpy.context.scene.headgas_review.rows[2])
    with pytest.raises(RuntimeError, match=message):
        bpy.ops.headgas.create_drivers()
    assert not drivers.ours(pair[0])


def test_the_user_s_drivers_are_kept_unless_asked(pair, capfd):
    face, _ = pair
    own = face.data.shape_keys.driver_add(drivers.key_path("jawOpen"))
    own.driver.expression = "frame * 0.01"
    mapped(pair)
    assert curve(face, "jawOpen").driver.expression == "frame * 0.01"
    assert "Kept 1 of your drivers, on jawOpen" in capfd.readouterr().out
    assert bpy.ops.headgas.remove_drivers() == {'FINISHED'}
    assert [channel for channel, _ in drivers.drivers(face)] == ["jawOpen"]
    mapped(pair, replace=True)
    assert "jawOpen" in drivers.ours(face)


def test_removing_keeps_the_values(pair):
    face, actor = pair
    mapped(pair)
    set_values(actor, Jaw_Open=1.0, Mouth_Smile_L=0.5)
    before = values(face)
    assert bpy.ops.headgas.remove_drivers() == {'FINISHED'}
    assert not list(drivers.drivers(face)) and values(face) == pytest.approx(before)
    set_values(actor, Jaw_Open=0.0)
    assert values(face) == pytest.approx(before)
    assert not bpy.ops.headgas.remove_drivers.poll()


def test_accepting_again_replaces_what_was_made(pair):
    face, actor = pair
    mapped(pair)
    rows = bpy.context.scene.headgas_review.rows
    rows[2].use = False
    bpy.ops.headgas.create_drivers()
    assert sorted(drivers.ours(face)) == ["browInnerUp", "mouthSmileLeft"]
    other = character("mouthSmileRight", name="other")
    mapped((face, other))
    assert sorted(drivers.ours(face)) == ["browInnerUp", "mouthSmileLeft", "mouthSmileRight"]  # two characters


def test_renamed_sources_are_followed_and_deleted_ones_are_named(pair):
    face, actor = pair
    mapped(pair)
    keys = actor.data.shape_keys.key_blocks
    keys["Jaw_Open"].name = "mouth_wide"
    assert not drivers.state(face).gone
    set_values(actor, mouth_wide=1.0)
    assert values(face)["jawOpen"] == pytest.approx(1.0)
    actor.shape_key_remove(keys["mouth_wide"])
    bpy.context.view_layer.update()
    assert drivers.state(face).gone == {"'mouth_wide' of 'character'": ["jawOpen"]}
    # the list is made again with what there is; the driver without a source goes when it is accepted
    actor.shape_key_add(name="jaw.open")
    mapped(pair)
    assert not drivers.state(face).gone and not drivers.state(face).stopped
    set_values(actor, **{"jaw.open": 0.5})
    assert values(face)["jawOpen"] == pytest.approx(0.55)


def test_a_key_that_comes_back_leaves_a_driver_that_blender_has_given_up(pair):
    face, actor = pair
    mapped(pair)
    actor.shape_key_remove(actor.data.shape_keys.key_blocks["Jaw_Open"])
    bpy.context.view_layer.update()
    actor.shape_key_add(name="Jaw_Open")
    bpy.context.view_layer.update()
    assert not drivers.state(face).gone and drivers.state(face).stopped == ["jawOpen"]
    mapped(pair)
    assert not drivers.state(face).stopped


def test_a_deleted_character_is_named(pair):
    face, actor = pair
    mapped(pair)
    mesh = actor.data
    bpy.data.objects.remove(actor)
    bpy.data.meshes.remove(mesh)
    lost = drivers.state(face).gone
    assert sorted(channel for channels in lost.values() for channel in channels) == [
        "browInnerUp", "browInnerUp", "jawOpen", "mouthSmileLeft",
    ]  # fmt: skip
    assert all(name in str(lost) for name in ("Jaw_Open", "Mouth_Smile_L"))
    assert bpy.ops.headgas.remove_drivers() == {'FINISHED'} and not drivers.state(face).gone


def test_drivers_and_their_mark_survive_saving(pair, tmp_path):
    mapped(pair)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    face, actor = bpy.data.objects["anna control"], bpy.data.objects["character"]
    assert len(drivers.ours(face)) == 3 and not drivers.state(face).gone
    assert len(bpy.context.scene.headgas_review.rows) == 6
    set_values(actor, Mouth_Smile_L=1.0)
    assert values(face)["mouthSmileLeft"] == pytest.approx(0.8)


def test_undo(pair):
    face, actor = pair
    bpy.ops.ed.undo_push(message="before")
    mapped(pair)
    bpy.ops.ed.undo_push(message="drivers")
    bpy.ops.ed.undo()
    face = bpy.data.objects["anna control"]
    assert not drivers.ours(face)
    bpy.ops.ed.redo()
    face, actor = bpy.data.objects["anna control"], bpy.data.objects["character"]
    assert len(drivers.ours(face)) == 3
    set_values(actor, Mouth_Smile_L=1.0)
    assert values(face)["mouthSmileLeft"] == pytest.approx(0.8)


def _library(path, *names):
    """Links objects from a library into a new file."""
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(path), link=True) as (_, wanted):
        wanted.objects = list(names)
    for obj in wanted.objects:
        bpy.context.scene.collection.objects.link(obj)
    return wanted.objects


def test_a_linked_character_drives_a_local_avatar(scene, tmp_path):
    actor = character("Jaw_Open", "Mouth_Smile_L")
    key = actor.data.shape_keys.key_blocks["Jaw_Open"]
    for frame, value in ((1, 0.0), (11, 1.0)):
        key.value = value
        key.keyframe_insert("value", frame=frame)
    (actor,) = _library(tmp_path / "library.blend", "character")
    face = avatar(tmp_path)
    mapped((face, actor))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    face = bpy.data.objects["anna control"]
    for frame, value in ((1, 0.1), (11, 1.0)):
        bpy.context.scene.frame_set(frame)
        assert values(face)["jawOpen"] == pytest.approx(value, abs=1e-6)


def test_appended_an_avatar_brings_its_character(pair, tmp_path):
    mapped(pair)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=False) as (_, wanted):
        wanted.objects = ["anna control"]
    (face,) = wanted.objects
    bpy.context.scene.collection.objects.link(face)
    (mesh,) = drivers.source_meshes(face)
    mesh.shape_keys.key_blocks["Mouth_Smile_L"].value = 1.0
    bpy.context.view_layer.update()
    assert values(face)["mouthSmileLeft"] == pytest.approx(0.8) and not drivers.state(face).gone


def test_linked_with_its_character_an_avatar_stays_driven(pair, tmp_path):
    mapped(pair)
    set_values(pair[1], Mouth_Smile_L=1.0)
    (face,) = _library(tmp_path / "library.blend", "anna control")
    assert len(drivers.ours(face)) == 3 and values(face)["mouthSmileLeft"] == pytest.approx(0.8)
    actor = character("jawOpen")
    choose(face, actor)
    bpy.ops.headgas.match_character()
    with pytest.raises(RuntimeError, match="linked"):
        bpy.ops.headgas.create_drivers()
    with pytest.raises(RuntimeError, match="linked"):
        bpy.ops.headgas.remove_drivers()


@pytest.mark.parametrize("with_mesh", [False, True])
def test_an_overridden_avatar_is_driven_and_stays_so(scene, tmp_path, with_mesh):
    key = avatar(tmp_path).data.shape_keys.key_blocks["browInnerUp"]
    for frame, value in ((1, 0.0), (11, 0.5)):
        key.value = value
        key.keyframe_insert("value", frame=frame)
    (linked,) = _library(tmp_path / "library.blend", "anna control")
    face = linked.override_create(remap_local_usages=True)
    if with_mesh:
        face.data.override_create(remap_local_usages=True)
    actor = character("Mouth_Smile_L")
    mapped((face, actor))
    assert face.data.library is None and face.data.override_library is None and face.override_library is not None
    set_values(actor, Mouth_Smile_L=1.0)
    assert values(face)["mouthSmileLeft"] == pytest.approx(0.8)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    face = next(obj for obj in bpy.data.objects if obj.override_library)
    assert drivers.ours(face) == ["mouthSmileLeft"]
    set_values(bpy.data.objects["character"], Mouth_Smile_L=0.5)
    assert values(face)["mouthSmileLeft"] == pytest.approx(0.4)
    bpy.context.scene.frame_set(11)
    assert values(face)["browInnerUp"] == pytest.approx(0.5)  # animated in the library


def test_names_with_quotes_are_driven(scene, tmp_path):
    face, actor = avatar(tmp_path), character('"jaw"\\open')
    choose(face, actor)
    bpy.ops.headgas.match_character()
    row = bpy.context.scene.headgas_review.rows[0]
    assert (row.source, row.channel) == ('"jaw"\\open', "jawOpen")
    bpy.ops.headgas.create_drivers()
    set_values(actor, **{'"jaw"\\open': 1.0})
    assert values(face)["jawOpen"] == pytest.approx(1.0) and not drivers.state(face).gone


def test_poll_says_what_is_missing(scene, tmp_path):
    assert not bpy.ops.headgas.match_character.poll()
    face = avatar(tmp_path)
    choose(face)
    assert not bpy.ops.headgas.match_character.poll() and not bpy.ops.headgas.create_drivers.poll()
    plain = character()
    choose(face, plain)
    assert not bpy.ops.headgas.match_character.poll()
    actor = character("a", name="actor")
    bpy.context.scene.headgas_review.source = actor
    choose(face.parent)
    assert bpy.ops.headgas.match_character.poll()


def test_an_avatar_whose_file_is_gone_is_reported(pair, tmp_path):
    (tmp_path / "anna.safetensors").unlink()
    with pytest.raises(RuntimeError, match="anna.safetensors"):
        bpy.ops.headgas.match_character()
