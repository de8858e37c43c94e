# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo head: its keys move what their names say, on the right side, and nothing pokes through."""

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_headgas.character import build_demo_character  # noqa: E402
from blender_headgas.character.expressions import arkit_poses  # noqa: E402
from blender_headgas.character.surface import EYE_CENTRE, EYE_RADIUS  # noqa: E402

METRES = 0.01
SIDES = {"Left": 1.0, "Right": -1.0}
MOUTH_LOW, MOUTH_HIGH = -0.125, -0.03  # heights (m) between chin and nose


@pytest.fixture(scope="module")
def head():
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    return build_demo_character()


@pytest.fixture(scope="module")
def keys(head):
    """Every shape key's vertices [V,3] by name."""
    result = {}
    for key in head.data.shape_keys.key_blocks:
        flat = np.empty(3 * len(key.data), np.float32)
        key.data.foreach_get("co", flat)
        result[key.name] = flat.reshape(-1, 3).astype(float)
    return result


@pytest.fixture(scope="module")
def groups(head):
    """Vertex indices by group name."""
    members: dict[str, list[int]] = {group.name: [] for group in head.vertex_groups}
    for vertex in head.data.vertices:
        for group in vertex.groups:
            members[head.vertex_groups[group.group].name].append(vertex.index)
    return {name: np.array(indices) for name, indices in members.items()}


def moved_centre(keys, name):
    """Where a key acts: the mean of the vertices [3], weighted by how far each moves, and the largest movement."""
    length = np.linalg.norm(keys[name] - keys["Basis"], axis=1)
    return (keys["Basis"] * length[:, None]).sum(axis=0) / length.sum(), length.max()


def test_a_head_of_human_size_faces_the_front_view(head, keys):
    basis = keys["Basis"]
    assert len(basis) < 65_000
    assert 0.20 < np.ptp(basis[:, 0]) + 0.06 < 0.26 and 0.24 < np.ptp(basis[:, 2]) < 0.34
    assert basis.min(axis=0)[1] == pytest.approx(-0.10, abs=0.02)  # the tip of the nose points to -Y
    assert abs(basis[:, 0].mean()) < 0.01


def test_the_keys_are_the_52_arkit_names(keys):
    names = set(keys) - {"Basis"}
    assert len(names) == 52 and names == set(arkit_poses())
    for name in names:
        if name.endswith("Left") and name not in ("jawLeft", "mouthLeft"):
            assert name.removesuffix("Left") + "Right" in names


def test_all_keys_are_finite_and_move_something_a_little(keys):
    for name, positions in keys.items():
        assert np.isfinite(positions).all(), name
        if name != "Basis":
            assert 0.001 < moved_centre(keys, name)[1] < 0.06, name


@pytest.mark.parametrize("name", sorted(arkit_poses()))
def test_a_key_moves_its_region_on_its_side(keys, name):
    centre, _ = moved_centre(keys, name)
    assert centre[1] < 0.0  # the face, not the back of the head
    if name.startswith(("eye", "brow")):
        assert centre[2] > -0.035
    elif name.startswith(("mouth", "jaw", "tongue")):
        assert MOUTH_LOW < centre[2] < MOUTH_HIGH
    for suffix, side in SIDES.items():
        if name in (f"mouth{suffix}", f"jaw{suffix}"):
            shift = (keys[name] - keys["Basis"]).mean(axis=0)
            assert side * shift[0] > 0
        elif name.endswith(suffix):
            assert side * centre[0] > 0.005


@pytest.mark.parametrize("side_name", SIDES)
@pytest.mark.parametrize("amount", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_lids_never_let_the_eyeball_through_while_they_close(head, keys, groups, side_name, amount):
    """The lids' skin stays outside the eyeball's sphere, all the way: shape keys move on straight lines."""
    centre = EYE_CENTRE * [SIDES[side_name], 1, 1] * METRES
    basis, closed = keys["Basis"], keys[f"eyeBlink{side_name}"]
    moved = np.linalg.norm(closed - basis, axis=1) > 1e-4
    skin = _skin_vertices(head)
    positions = (basis + amount * (closed - basis))[moved & skin]
    distance = np.linalg.norm(positions - centre, axis=1)
    assert distance.min() > EYE_RADIUS * METRES - 1e-6


def _skin_vertices(head):
    """Mask [V] of the face's own vertices: the first part, which ends before the first eyeball or tooth."""
    mesh = head.data
    slot = next(i for i, material in enumerate(mesh.materials) if "Skin" in material.name)
    used = np.zeros(len(mesh.vertices), bool)
    for polygon in mesh.polygons:
        if polygon.material_index == slot:
            used[list(polygon.vertices)] = True
    first_of_others = min(v for polygon in mesh.polygons if polygon.material_index != slot for v in polygon.vertices
                          if not used[v])
    used[first_of_others:] = False
    return used


@pytest.mark.parametrize("side_name", SIDES)
def test_a_full_blink_hides_the_eyeball_from_the_front(head, keys, groups, side_name):
    from mathutils import Vector
    from mathutils.bvhtree import BVHTree

    skin = _skin_vertices(head)
    for amount, least in ((1.0, 1.0), (0.0, 0.0)):
        positions = keys["Basis"] + amount * (keys[f"eyeBlink{side_name}"] - keys["Basis"])
        faces = [list(p.vertices) for p in head.data.polygons if skin[list(p.vertices)].all()]
        tree = BVHTree.FromPolygons(positions.tolist(), faces)
        ball = positions[groups[f"eyeball{side_name}"]]
        front = ball[ball[:, 1] < EYE_CENTRE[1] * METRES - 0.010]
        ahead = Vector((0, 1, 0))
        blocked = [tree.ray_cast(Vector((x, -0.3, z)), ahead, y + 0.3)[0] is not None for x, y, z in front]
        assert (np.mean(blocked) == 1.0) == (amount == 1.0), (amount, np.mean(blocked))
        assert np.mean(blocked) >= least


def test_jaw_open_reveals_both_rows_of_teeth(head, keys, groups):
    from mathutils import Vector
    from mathutils.bvhtree import BVHTree

    skin = _skin_vertices(head)
    faces = [list(p.vertices) for p in head.data.polygons if skin[list(p.vertices)].all()]
    for key, seen in (("Basis", False), ("jawOpen", True)):
        tree = BVHTree.FromPolygons(keys[key].tolist(), faces)
        for row in ("teethUpper", "teethLower"):
            front = [keys[key][i] for i in groups[row] if keys["Basis"][i][1] < -0.070]
            eye = Vector((0.0, -0.6, 0.06))  # a viewer a little above the mouth
            rays = [Vector(p) - eye for p in front]
            free = [tree.ray_cast(eye, ray.normalized(), ray.length - 1e-4)[0] is None for ray in rays]
            assert np.mean(free) > 0.1 if seen else np.mean(free) < 0.02, (key, row, np.mean(free))


def test_gaze_turns_the_pupils(keys, groups):
    for side_name, side in SIDES.items():
        ball = groups[f"eyeball{side_name}"]
        pupil = ball[np.argmin(keys["Basis"][ball][:, 1])]

        def shift(name, pupil=pupil):
            return keys[name][pupil] - keys["Basis"][pupil]

        assert side * shift(f"eyeLookOut{side_name}")[0] > 0.005
        assert side * shift(f"eyeLookIn{side_name}")[0] < -0.005
        assert shift(f"eyeLookUp{side_name}")[2] > 0.004
        assert shift(f"eyeLookDown{side_name}")[2] < -0.004


def test_mouth_close_undoes_the_open_lips_of_an_open_jaw(keys, groups):
    lips = groups["lips"]
    both = keys["jawOpen"] + keys["mouthClose"] - keys["Basis"]
    opened = np.linalg.norm((keys["jawOpen"] - keys["Basis"])[lips], axis=1).max()
    left_over = np.linalg.norm((both - keys["Basis"])[lips], axis=1).max()
    assert opened > 0.015 and left_over < 0.35 * opened


def test_colours_and_strands_are_stored(head):
    mesh = head.data
    colours = np.empty(4 * len(mesh.vertices), np.float32)
    mesh.color_attributes["Color"].data.foreach_get("color", colours)
    assert np.isfinite(colours).all() and colours.min() >= 0 and colours.max() <= 1
    assert {layer.name for layer in mesh.uv_layers} == {"Rest", "Strand"}
    assert all(0 <= polygon.material_index < len(mesh.materials) for polygon in mesh.polygons)
