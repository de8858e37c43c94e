# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A character's capture: the script of expressions, the exact cameras and the folder."""

import json
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_headgas.capture import capture_character, sample  # noqa: E402
from blender_headgas.capture.cameras import intrinsics, project, viewmat  # noqa: E402
from blender_headgas.capture.render import capture_settings  # noqa: E402
from blender_headgas.capture.sampler import MAX_PITCH, MAX_YAW, facial_units  # noqa: E402
from blender_headgas.character.expressions import arkit_poses  # noqa: E402
from blender_headgas.core.errors import HeadGaSError  # noqa: E402

NAMES = list(arkit_poses())


def stems(names, expression):
    """The movements that an expression shows."""
    active = {name for name, value in zip(names, expression, strict=True) if value > 0}
    return {unit.stem for unit in facial_units(names) if any(set(v) & active for v in unit.variants)}


# --- the script -------------------------------------------------------------------------------------------------


def test_the_script_is_decided_by_its_seed():
    one, same, other = (sample(NAMES, 60, 10, seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a.expression, b.expression) and a.yaw == b.yaw for a, b in zip(one, same, strict=True))
    assert any(not np.array_equal(a.expression, b.expression) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_training_shows_every_channel_and_the_neutral_face(seed):
    train = [s for s in sample(NAMES, 96, 14, seed) if s.split == "train"]
    expressions = np.stack([s.expression for s in train])
    assert len(train) == 96
    assert (expressions == 0).all(axis=1).sum() >= 3
    assert (expressions.max(axis=0) >= 0.5).all()
    assert expressions.min() >= 0 and expressions.max() <= 1
    assert (expressions > 0).sum(axis=1).max() <= 16
    assert abs(np.array([s.yaw for s in train])).max() <= MAX_YAW
    assert abs(np.array([s.pitch for s in train])).max() <= MAX_PITCH
    assert np.ptp([s.yaw for s in train]) > 60 and np.ptp([s.pitch for s in train]) > 25


@pytest.mark.parametrize("seed", range(3))
def test_half_of_the_test_frames_combine_what_training_never_combined(seed):
    samples = sample(NAMES, 96, 14, seed)
    shown = [stems(NAMES, s.expression) for s in samples if s.split == "train"]
    unseen = 0
    for test in (s for s in samples if s.split == "test"):
        active = sorted(stems(NAMES, test.expression))
        pairs = [(a, b) for i, a in enumerate(active) for b in active[i + 1 :]]
        unseen += any(not any({a, b} <= train for train in shown) for a, b in pairs)
        views = [(s.yaw, s.pitch) for s in samples if s.split == "train"]
        assert (test.yaw, test.pitch) not in views
    assert unseen >= 7


@pytest.mark.parametrize("pair", [
    ("mouthLeft", "mouthRight"), ("jawLeft", "jawRight"), ("browDownLeft", "browInnerUp"),
    ("eyeLookInLeft", "eyeLookOutLeft"), ("eyeLookUpRight", "eyeLookDownRight"), ("eyeBlinkLeft", "eyeWideLeft"),
    ("mouthSmileLeft", "mouthFrownLeft"),
])
def test_opposites_never_meet(pair):
    a, b = (NAMES.index(name) for name in pair)
    for s in sample(NAMES, 300, 30, 1):
        assert s.expression[a] * s.expression[b] == 0


def test_the_eyes_look_the_same_way():
    for s in sample(NAMES, 300, 0, 2):
        value = dict(zip(NAMES, s.expression, strict=True))
        assert value["eyeLookOutLeft"] == value["eyeLookInRight"]
        assert value["eyeLookUpLeft"] == value["eyeLookUpRight"]


def test_lips_close_only_over_an_open_jaw():
    values = np.stack([s.expression for s in sample(NAMES, 300, 0, 0)])
    close, jaw = values[:, NAMES.index("mouthClose")], values[:, NAMES.index("jawOpen")]
    tongue = values[:, NAMES.index("tongueOut")]
    assert close.max() > 0 and (close <= jaw).all() and (tongue <= jaw).all()


def test_unknown_names_are_sampled_too():
    values = np.stack([s.expression for s in sample(["Angry", "Happy", "Blink.L"], 20, 4, 0)])
    assert (values.max(axis=0) > 0.4).all()


# --- cameras ----------------------------------------------------------------------------------------------------


@pytest.fixture
def scene():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    return bpy.context.scene


@pytest.mark.parametrize("width, height, shift, fit, aspect, scale", [
    (64, 64, (0.0, 0.0), "AUTO", (1, 1), 1.0),
    (80, 48, (0.12, 0.07), "AUTO", (1, 1), 1.0),
    (48, 80, (-0.10, 0.15), "AUTO", (1, 1), 2.0),
    (64, 48, (0.05, 0.05), "VERTICAL", (1, 1), 1.0),
    (48, 64, (0.05, 0.05), "HORIZONTAL", (1, 1), 1.0),
    (64, 48, (0.05, 0.05), "AUTO", (1.5, 1), 1.0),
    (64, 64, (0.05, -0.02), "AUTO", (1, 1.5), 1.0),
])
def test_a_point_lands_on_its_pixel(scene, tmp_path, width, height, shift, fit, aspect, scale):  # noqa: PLR0917
    """A small glowing ball, rendered, has its centre of light where viewmat and K say."""
    head = bpy.data.objects.new("head", None)
    scene.collection.objects.link(head)
    head.location, head.rotation_euler, head.scale = (0.3, -0.2, 0.5), (0.2, -0.3, 0.4), (scale,) * 3
    point = np.array([0.05, -0.08, 0.03])
    bpy.context.view_layer.update()
    location, rotation, _ = head.matrix_world.decompose()
    world = np.array(rotation.to_matrix()) @ point + np.array(location)
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.025, location=tuple(world), segments=24, ring_count=16)
    material = bpy.data.materials.new("glow")
    material.use_nodes = True
    material.node_tree.nodes.clear()
    emission = material.node_tree.nodes.new("ShaderNodeEmission")
    output = material.node_tree.nodes.new("ShaderNodeOutputMaterial")
    material.node_tree.links.new(emission.outputs[0], output.inputs[0])
    bpy.context.object.data.materials.append(material)
    data = bpy.data.cameras.new("camera")
    data.sensor_fit, data.shift_x, data.shift_y, data.sensor_width, data.sensor_height = fit, *shift, 36.0, 20.0
    camera = bpy.data.objects.new("camera", data)
    scene.collection.objects.link(camera)
    camera.location, camera.rotation_euler, camera.scale = (0.35, -1.4, 0.45), (1.5, 0.1, 0.05), (1.7,) * 3
    scene.camera = camera
    bpy.context.view_layer.update()
    with capture_settings(scene, width, height, 32):
        scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = aspect
        scene.cycles.use_denoising = False
        scene.render.filepath = str(tmp_path / "ball.png")
        bpy.ops.render.render(write_still=True)
    alpha = read_rgba(tmp_path / "ball.png")[..., 3]
    rows, columns = np.indices(alpha.shape) + 0.5
    found = np.array([(alpha * columns).sum(), (alpha * rows).sum()]) / alpha.sum()
    expected = project(point[None], viewmat(camera, head), intrinsics(data, width, height, aspect))[0]
    assert alpha.sum() > 4
    np.testing.assert_allclose(found, expected, atol=0.12)


def read_rgba(path: Path) -> np.ndarray:
    """Stored values [H,W,4] in 0..1, row 0 on top."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    image.alpha_mode = "CHANNEL_PACKED"
    flat = np.empty(4 * image.size[0] * image.size[1], np.float32)
    image.pixels.foreach_get(flat)
    pixels = flat.reshape(image.size[1], image.size[0], 4)[::-1].copy()
    bpy.data.images.remove(image)
    return pixels


def test_an_orthographic_camera_is_refused(scene):
    data = bpy.data.cameras.new("camera")
    data.type = "ORTHO"
    with pytest.raises(HeadGaSError, match="perspective"):
        intrinsics(data, 64, 64)


# --- the folder -------------------------------------------------------------------------------------------------


def white_character(scene) -> bpy.types.Object:
    """A white glowing ball whose keys have two ARKit names: quick, and its straight-alpha colour is 1 everywhere."""
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.1, segments=32, ring_count=24)
    head = bpy.context.object
    material = bpy.data.materials.new("white")
    material.use_nodes = True
    material.node_tree.nodes.clear()
    emission = material.node_tree.nodes.new("ShaderNodeEmission")
    output = material.node_tree.nodes.new("ShaderNodeOutputMaterial")
    material.node_tree.links.new(emission.outputs[0], output.inputs[0])
    head.data.materials.append(material)
    head.shape_key_add(name="Basis")
    for name, height in (("eyeBlinkLeft", 0.04), ("jawOpen", -0.06), ("mouthFunnel", -0.03)):
        key = head.shape_key_add(name=name, from_mix=False)
        for index, vertex in enumerate(head.data.vertices):
            if vertex.co.y < -0.04 and abs(vertex.co.z - height) < 0.03:
                key.data[index].co = vertex.co * 1.2
    scene.world = bpy.data.worlds.new("world")
    return head


@pytest.fixture
def head(scene):
    return white_character(scene)


SMALL = {"frames": 5, "test_frames": 2, "resolution": 64, "samples": 1}


def test_a_capture_folder_holds_what_the_format_says(head, tmp_path):
    folder = capture_character(head, tmp_path / "capture", **SMALL)
    capture = json.loads((folder / "capture.json").read_text())
    assert capture["format"] == "headgas-capture" and capture["version"] == 1
    assert capture["color_encoding"] == "srgb-display"
    assert capture["expression_space"] == {
        "kind": "ARKit", "names": ["eyeBlinkLeft", "jawOpen", "mouthFunnel"], "neutral": [0.0, 0.0, 0.0]
    }
    points = np.load(folder / capture["points"])
    assert points.shape == (20_000, 3) and points.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 0.1, atol=0.002)
    frames = capture["frames"]
    assert [frame["split"] for frame in frames] == ["train"] * 5 + ["test"] * 2
    assert len({frame["name"] for frame in frames}) == 7
    for frame in frames:
        view, K = np.array(frame["viewmat"]), np.array(frame["K"])
        np.testing.assert_allclose(view[:3, :3] @ view[:3, :3].T, np.eye(3), atol=1e-6)
        assert np.linalg.det(view[:3, :3]) == pytest.approx(1) and view[2, 3] > 0
        assert len(frame["expression"]) == 3
        pixels = read_rgba(folder / frame["image"])
        assert pixels.shape == (64, 64, 4)
        rows, columns = np.where(pixels[..., 3] > 0.5)
        silhouette = project(points.astype(float), view, K)
        assert abs(columns.min() - silhouette[:, 0].min()) < 4 and abs(rows.max() + 1 - silhouette[:, 1].max()) < 4
        for x0, y0, x1, y1 in frame["boxes"].values():
            assert 0 <= x0 < x1 <= 64 and 0 <= y0 < y1 <= 64
        assert frame["boxes"]["eyes"][1] < frame["boxes"]["mouth"][1]
    assert not [*folder.rglob("*unfinished*"), *folder.rglob("*.part")]


def test_alpha_is_straight(head, tmp_path):
    """A white thing stays white along its silhouette: premultiplied colours would darken there."""
    folder = capture_character(head, tmp_path / "capture", **{**SMALL, "samples": 16})
    pixels = read_rgba(folder / "images" / "0000.png")
    edge = (pixels[..., 3] > 0.1) & (pixels[..., 3] < 0.9)
    assert edge.sum() > 20
    assert pixels[edge][:, :3].min() > 0.9  # premultiplied, the faintest would be 0.35


def test_expressions_are_what_blender_evaluates_and_the_scene_is_given_back(head, scene, tmp_path):
    head.data.shape_keys.key_blocks["jawOpen"].value = 0.3
    bystander = bpy.data.objects.new("bystander", bpy.data.meshes.new("bystander"))
    scene.collection.objects.link(bystander)
    before = (scene.render.engine, scene.render.resolution_x, scene.view_settings.view_transform, scene.camera,
              scene.render.film_transparent, scene.render.filepath, len(bpy.data.objects), len(bpy.data.cameras))
    folder = capture_character(head, tmp_path / "capture", **SMALL)
    after = (scene.render.engine, scene.render.resolution_x, scene.view_settings.view_transform, scene.camera,
             scene.render.film_transparent, scene.render.filepath, len(bpy.data.objects), len(bpy.data.cameras))
    assert before == after and not bystander.hide_render
    assert head.data.shape_keys.key_blocks["jawOpen"].value == pytest.approx(0.3)
    wanted = [s.expression for s in sample(["eyeBlinkLeft", "jawOpen", "mouthFunnel"], 5, 2, 0)]
    stored = [f["expression"] for f in json.loads((folder / "capture.json").read_text())["frames"]]
    np.testing.assert_allclose(stored, wanted, atol=1e-6)


def test_an_interrupted_capture_goes_on(head, tmp_path):
    folder = tmp_path / "capture"

    class Stop(Exception):
        pass

    def stop_after_three(done: int, total: int) -> None:
        assert total == 7
        if done == 3:
            raise Stop

    with pytest.raises(Stop):
        capture_character(head, folder, **SMALL, progress=stop_after_three)
    assert not (folder / "capture.json").exists()
    first = {path.name: path.stat().st_mtime_ns for path in (folder / "images").iterdir()}
    assert len(first) == 3
    capture_character(head, folder, **SMALL)
    second = {path.name: path.stat().st_mtime_ns for path in (folder / "images").iterdir()}
    assert len(second) == 7 and all(second[name] == time for name, time in first.items())


def test_another_capture_is_not_overwritten(head, tmp_path):
    capture_character(head, tmp_path / "capture", **SMALL)
    with pytest.raises(HeadGaSError, match="another capture"):
        capture_character(head, tmp_path / "capture", **{**SMALL, "seed": 1})


def test_what_cannot_be_captured_says_why(scene, head, tmp_path):
    bpy.ops.mesh.primitive_cube_add()
    with pytest.raises(HeadGaSError, match="no shape keys"):
        capture_character(bpy.context.object, tmp_path / "a", **SMALL)
    with pytest.raises(HeadGaSError, match="smirk"):
        capture_character(head, tmp_path / "b", **SMALL, names=["smirk"])
    (tmp_path / "file").write_text("")
    with pytest.raises(HeadGaSError, match="Can't write"):
        capture_character(head, tmp_path / "file" / "c", **SMALL)
    scene.world = None
    with pytest.raises(HeadGaSError, match="lights"):
        capture_character(head, tmp_path / "d", **SMALL)
