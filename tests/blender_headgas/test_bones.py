# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar's armature: neck and head move it, jaw and eyes change its expression, left is left."""

import bpy
import numpy as np
import pytest
from avatar_files import NAMES, NEUTRAL, header_of, tensors, write_avatar
from bl_ext.user_default.headgas.core import arkit
from bl_ext.user_default.headgas.rig import build_avatar, expression_of
from mathutils import Matrix, Quaternion, Vector

X, Y, Z = (1, 0, 0), (0, 1, 0), (0, 0, 1)
FLAME = ["expr_000", *(f"{joint}_{axis}" for joint in ("jaw", "left_eye", "right_eye") for axis in "xyz")]
HEAD_OF_FLAME = Matrix(((1, 0, 0), (0, 0, -1), (0, 1, 0)))  # FLAME: Y up, Z out of the face


def _avatar(tmp_path, names):
    return build_avatar(bpy.context, write_avatar(tmp_path / "a.safetensors", header_of(list(names))))


def _turn(mesh, name, axis, degrees):
    """Turns a bone about an axis of the head."""
    bone = mesh.parent.pose.bones[name]
    rest = bone.bone.matrix_local.to_3x3()
    bone.rotation_mode = 'QUATERNION'
    turn = rest.inverted() @ Quaternion(axis, np.radians(degrees)).to_matrix() @ rest
    bone.rotation_quaternion = turn.to_quaternion()
    return bone


def _moved(mesh):
    """What is not 0 in the expression, by name."""
    names = [key.name for key in mesh.data.shape_keys.key_blocks][1:]
    expression = expression_of(mesh, bpy.context.evaluated_depsgraph_get())
    return {name: round(float(v), 3) for name, v in zip(names, expression, strict=True) if abs(v) > 1e-4}


def test_the_bones_are_where_a_head_has_them(scene, tmp_path):
    """A dense ball of a head, 0.24 m high, wide and deep."""
    grid = np.random.default_rng(1).normal(size=(4000, 3))
    ball = (grid / np.linalg.norm(grid, axis=1, keepdims=True) * 0.12 + (0.01, 0.02, 1.5)).astype(np.float32)
    arrays = tensors() | {"surface/vertices": ball, "surface/colors": np.zeros((4000, 3), np.uint8)}
    mesh = build_avatar(bpy.context, write_avatar(tmp_path / "ball.safetensors", arrays=arrays))
    bones = mesh.parent.data.bones
    parents = {bone.name: bone.parent.name if bone.parent else None for bone in bones}
    assert parents == {
        "root": None, "neck": "root", "head": "neck", "jaw": "head", "eye.L": "head", "eye.R": "head"
    }  # fmt: skip
    for bone in bones:
        assert tuple(bone.matrix_local.col[0].xyz) == pytest.approx(X, abs=1e-5)
    assert tuple(bones["neck"].tail_local) == pytest.approx(tuple(bones["head"].head_local))
    left, right = bones["eye.L"].head_local, bones["eye.R"].head_local
    assert left.x - 0.01 == pytest.approx(0.01 - right.x, abs=1e-3) and 0.02 < left.x < 0.06
    for name in ("eye.L", "eye.R", "jaw"):
        bone = bones[name]
        assert tuple(bone.matrix_local.col[1].xyz) == pytest.approx((0, -1, 0), abs=1e-5)
        inside = (bone.head_local - Vector((0.01, 0.02, 1.5))).length
        assert inside < 0.12 and bone.tail_local.y < bone.head_local.y
    assert bones["jaw"].head_local.z < left.z < bones["head"].tail_local.z


def test_shapes_are_made_once_in_a_file_and_lie_in_no_collection(scene, tmp_path):
    first, second = _avatar(tmp_path, NAMES), _avatar(tmp_path, NAMES)
    shapes = {bone.name: bone.custom_shape for bone in first.parent.pose.bones}
    assert all(shapes.values())
    assert shapes == {bone.name: bone.custom_shape for bone in second.parent.pose.bones}
    for shape in shapes.values():
        assert not shape.users_collection and len(shape.data.edges) and not shape.data.polygons
    shapes["jaw"].data = bpy.data.meshes.new("something else")
    third = _avatar(tmp_path, NAMES)
    assert third.parent.pose.bones["jaw"].custom_shape != shapes["jaw"]


def test_shapes_leave_the_face_free(scene, tmp_path):
    """Seen from the front, no line of a shape but the eyes' passes between brows and chin."""
    mesh = _avatar(tmp_path, NAMES)
    low, high = -0.15 + 0.25 * 0.3, -0.15 + 0.75 * 0.3
    for bone in mesh.parent.pose.bones:
        if bone.name.startswith("eye"):
            continue
        place = bone.matrix @ Matrix.Translation(bone.custom_shape_translation)
        place = place @ Matrix.Diagonal((*bone.custom_shape_scale_xyz, 1))
        heights = [(place @ vertex.co).z for vertex in bone.custom_shape.data.vertices]
        assert max(heights) < low or min(heights) > high, bone.name


@pytest.mark.parametrize(
    ("name", "axis", "degrees", "wanted"),
    [
        ("jaw", X, 12.5, {"jawOpen": 0.5}),
        ("jaw", Z, 5, {"jawLeft": 0.5}),
        ("jaw", Z, -5, {"jawRight": 0.5}),
        ("eye.L", X, 15, {"eyeLookDownLeft": 0.5}),
        ("eye.R", X, -15, {"eyeLookUpRight": 0.5}),
        ("eye.L", Z, 15, {"eyeLookOutLeft": 0.5}),
        ("eye.R", Z, 15, {"eyeLookInRight": 0.5}),
        ("head", X, 20, {}),
        ("neck", Z, 20, {}),
        ("root", Y, 20, {}),
    ],
)
def test_turned_bones_add_to_arkit_s_parameters(scene, tmp_path, name, axis, degrees, wanted):
    mesh = _avatar(tmp_path, arkit.NAMES)
    _turn(mesh, name, axis, degrees)
    assert _moved(mesh) == wanted


def test_positive_about_x_opens_and_looks_down(scene, tmp_path):
    mesh = _avatar(tmp_path, arkit.NAMES)
    for name in ("jaw", "eye.L", "eye.R"):
        bone = mesh.parent.pose.bones[name]
        assert bone.rotation_mode == 'XYZ'
        bone.rotation_euler.x = np.radians(15)
    assert _moved(mesh) == {"jawOpen": 0.6, "eyeLookDownLeft": 0.5, "eyeLookDownRight": 0.5}


@pytest.mark.parametrize("name", ["eye.L", "eye.R"])
def test_an_eye_looks_to_the_side_that_its_bone_points_to(scene, tmp_path, name):
    mesh = _avatar(tmp_path, arkit.NAMES)
    bone = _turn(mesh, name, Z, 20)
    bpy.context.view_layer.update()
    towards_left = bone.tail.x - bone.head.x  # +X is the subject's left
    side, other = ("Left", "Right") if name == "eye.L" else ("Right", "Left")
    outward = (towards_left > 0) == (side == "Left")
    assert _moved(mesh) == {f"eyeLook{'Out' if outward else 'In'}{side}": 0.667}
    assert abs(towards_left) > 0.005 and other not in "".join(_moved(mesh))


def test_a_jaw_moves_forward_and_aside(scene, tmp_path):
    mesh = _avatar(tmp_path, arkit.NAMES)
    jaw = mesh.parent.pose.bones["jaw"]
    jaw.location = (0.05 * jaw.length, 0.08 * jaw.length, 0.0)  # X is the subject's left, Y is forward
    assert _moved(mesh) == {"jawForward": 0.8, "jawLeft": 0.5}


@pytest.mark.parametrize(("name", "joint"), [("jaw", "jaw"), ("eye.L", "left_eye"), ("eye.R", "right_eye")])
def test_flame_s_joints_turn_as_the_bones_do(scene, tmp_path, name, joint):
    mesh = _avatar(tmp_path, FLAME)
    bone = mesh.parent.pose.bones[name]
    bone.rotation_euler = np.radians((12, 0, -9))
    bpy.context.view_layer.update()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    values = dict(zip(FLAME, expression_of(mesh, depsgraph).tolist(), strict=True))
    turned = Vector([values.pop(f"{joint}_{axis}") for axis in "xyz"])
    assert not any(abs(value) > 1e-6 for value in values.values())
    rotation = Quaternion(turned.normalized(), turned.length).to_matrix()
    for direction in ((0, 0, 1), (1, 0, 0), (0.3, 0.5, -0.2)):  # in FLAME's axes
        wanted = HEAD_OF_FLAME @ (rotation @ Vector(direction))
        posed = bone.matrix.to_3x3() @ bone.bone.matrix_local.to_3x3().inverted() @ (HEAD_OF_FLAME @ Vector(direction))
        assert (wanted - posed).length < 1e-5


def test_bones_add_to_sliders_which_stay_free(scene, tmp_path):
    mesh = _avatar(tmp_path, arkit.NAMES)
    mesh.data.shape_keys.key_blocks["jawOpen"].value = 0.25
    _turn(mesh, "jaw", X, 12.5)
    assert _moved(mesh) == {"jawOpen": 0.75}
    assert mesh.data.shape_keys.key_blocks["jawOpen"].value == 0.25
    assert mesh.data.shape_keys.animation_data is None


def test_a_posed_head_and_a_placed_avatar_change_no_expression(scene, tmp_path):
    mesh = _avatar(tmp_path, arkit.NAMES)
    _turn(mesh, "jaw", X, 12.5)
    _turn(mesh, "eye.L", Z, 15)
    _turn(mesh, "neck", Vector((0.6, 0, 0.8)), 50)
    head = _turn(mesh, "head", Vector((0, 0.8, 0.6)), -70)
    head.scale, head.location = (1.5, 1.5, 1.5), (0.1, 0.2, 0.3)
    mesh.parent.rotation_euler, mesh.parent.scale = (1, 2, 3), (2, 2, 2)
    assert _moved(mesh) == {"jawOpen": 0.5, "eyeLookOutLeft": 0.5}


def test_turning_the_neck_turns_the_avatar(scene, tmp_path):
    mesh = _avatar(tmp_path, NAMES)
    neck = _turn(mesh, "neck", Z, 90)
    bpy.context.view_layer.update()
    joint = neck.bone.head_local
    assert (mesh.matrix_world @ (joint + Vector((0, -0.1, 0.1))) - (joint + Vector((0.1, 0, 0.1)))).length < 1e-6


@pytest.mark.parametrize(
    ("name", "path", "value", "wanted"),
    [
        ("jaw", "rotation_euler", np.radians((80, 80, 0)), {"jawOpen": 30 / 25}),
        ("jaw", "rotation_euler", np.radians((0, 0, 80)), {"jawRight": 12 / 10}),
        ("jaw", "location", (0, 1, 1), {"jawForward": 1.2}),
        ("jaw", "location", (-1, -1, -1), {"jawRight": 1.2}),
        ("eye.R", "rotation_euler", np.radians((-80, 80, 0)), {"eyeLookUpRight": 35 / 30}),
        ("eye.L", "rotation_euler", np.radians((0, 0, -80)), {"eyeLookOutLeft": 40 / 30}),
    ],
)
def test_bones_go_no_farther_than_their_limits(scene, tmp_path, name, path, value, wanted):
    mesh = _avatar(tmp_path, arkit.NAMES)
    bone = mesh.parent.pose.bones[name]
    setattr(bone, path, value)
    assert _moved(mesh) == pytest.approx(wanted, abs=1e-3)
    assert all(limit.owner_space == 'LOCAL' and limit.use_transform_limit for limit in bone.constraints)
    assert tuple(bone.lock_scale) == (True, True, True)
    assert tuple(bone.lock_location) == ((False, False, True) if name == "jaw" else (True, True, True))


def test_constraints_and_drivers_of_bones_count(scene, tmp_path):
    mesh = _avatar(tmp_path, arkit.NAMES)
    rig = mesh.parent
    target = bpy.data.objects.new("target", None)
    scene.collection.objects.link(target)
    eye = rig.pose.bones["eye.R"]
    target.location = eye.bone.head_local + Vector((1, -1, 0)) * 0.5  # 45° to the subject's left
    aim = eye.constraints.new('DAMPED_TRACK')
    aim.target, aim.track_axis = target, 'TRACK_Y'
    eye.constraints.move(len(eye.constraints) - 1, 0)  # before the limit
    driver = rig.driver_add('pose.bones["jaw"].rotation_euler', 0).driver
    rig["talk"] = 0.5
    variable = driver.variables.new()
    variable.targets[0].id, variable.targets[0].data_path = rig, '["talk"]'
    driver.expression = f"var * {np.radians(25)}"
    assert _moved(mesh) == {"eyeLookInRight": pytest.approx(40 / 30, abs=1e-3), "jawOpen": 0.5}


def test_bones_that_are_gone_add_nothing(scene, tmp_path):
    mesh = _avatar(tmp_path, arkit.NAMES)
    _turn(mesh, "jaw", X, 12.5)
    _turn(mesh, "eye.R", X, 15)
    bpy.context.view_layer.objects.active = mesh.parent
    bpy.ops.object.mode_set(mode='EDIT')
    mesh.parent.data.edit_bones.remove(mesh.parent.data.edit_bones["jaw"])
    bpy.ops.object.mode_set(mode='OBJECT')
    assert _moved(mesh) == {"eyeLookDownRight": 0.5}
    bpy.ops.object.mode_set(mode='EDIT')
    for name in ("eye.L", "eye.R"):  # root and head only, as armatures of older avatars
        mesh.parent.data.edit_bones.remove(mesh.parent.data.edit_bones[name])
    bpy.ops.object.mode_set(mode='OBJECT')
    assert _moved(mesh) == {}
    mesh.parent = bpy.data.objects.new("nowhere", bpy.data.armatures.new("nowhere"))
    assert _moved(mesh) == {}
    mesh.parent = None
    assert _moved(mesh) == {}


def test_a_rest_position_shows_no_pose(scene, tmp_path):
    mesh = _avatar(tmp_path, arkit.NAMES)
    _turn(mesh, "jaw", X, 12.5)
    mesh.parent.data.pose_position = 'REST'
    assert _moved(mesh) == {}


def test_at_rest_the_expression_is_exactly_neutral(scene, tmp_path):
    mesh = build_avatar(bpy.context, write_avatar(tmp_path / "a.safetensors"))
    expression = expression_of(mesh, bpy.context.evaluated_depsgraph_get())
    assert expression.dtype == np.float32 and np.abs(expression - NEUTRAL).max() < 1e-6
