# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A character's capture: the exact cameras, the pictures, their depth, and the folder."""

import json
from dataclasses import replace

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from captured import centre_of, glow, marker, order_for, read_depth, read_rgba, white_character  # noqa: E402

from blender_headgas.capture.cameras import intrinsics, project, rigid, viewmat  # noqa: E402
from blender_headgas.capture.capture import render_capture  # noqa: E402
from blender_headgas.capture.order import Order, read_order  # noqa: E402
from blender_headgas.capture.render import prepare_scene, render_frame  # noqa: E402
from blender_headgas.capture.sampler import sample  # noqa: E402
from blender_headgas.core.errors import HeadGaSError  # noqa: E402

# --- cameras ----------------------------------------------------------------------------------------------------


@pytest.fixture
def scene():
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
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
    bpy.context.object.data.materials.append(glow())
    data = bpy.data.cameras.new("camera")
    data.sensor_fit, data.shift_x, data.shift_y, data.sensor_width, data.sensor_height = fit, *shift, 36.0, 20.0
    camera = bpy.data.objects.new("camera", data)
    scene.collection.objects.link(camera)
    camera.location, camera.rotation_euler, camera.scale = (0.35, -1.4, 0.45), (1.5, 0.1, 0.05), (1.7,) * 3
    scene.camera = camera
    bpy.context.view_layer.update()
    prepare_scene(scene, Order("", (), (), denoise=False))
    scene.cycles.samples, scene.render.resolution_x, scene.render.resolution_y = 32, width, height
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = aspect
    render_frame(scene, tmp_path / "ball.png", tmp_path / "depth.png", 1e-4)
    alpha = read_rgba(tmp_path / "ball.png")[..., 3]
    rows, columns = np.indices(alpha.shape) + 0.5
    found = np.array([(alpha * columns).sum(), (alpha * rows).sum()]) / alpha.sum()
    view, K = viewmat(camera, rigid(head.matrix_world)), intrinsics(data, width, height, aspect)
    expected = project(point[None], view, K)[0]
    assert alpha.sum() > 4
    np.testing.assert_allclose(found, expected, atol=0.12)
    depth = read_depth(tmp_path / "depth.png", 1e-4)
    assert depth[int(found[1]), int(found[0])] == pytest.approx((view @ (*point, 1.0))[2] - 0.025, abs=0.002)
    assert (depth[alpha == 0] == 0).all() and (depth[alpha == 1] > 0).all()


def test_an_orthographic_camera_is_refused(scene):
    data = bpy.data.cameras.new("camera")
    data.type = "ORTHO"
    with pytest.raises(HeadGaSError, match="perspective"):
        intrinsics(data, 64, 64)


# --- the folder -------------------------------------------------------------------------------------------------


@pytest.fixture
def head(scene):
    return white_character(scene)


def test_a_capture_folder_holds_what_the_format_says(head, tmp_path):
    folder = render_capture(order_for(head), tmp_path / "capture")
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
    folder = render_capture(order_for(head, samples=16), tmp_path / "capture")
    pixels = read_rgba(folder / "images" / "0000.png")
    edge = (pixels[..., 3] > 0.1) & (pixels[..., 3] < 0.9)
    assert edge.sum() > 20
    assert pixels[edge][:, :3].min() > 0.9  # premultiplied, the faintest would be 0.35


def test_expressions_are_what_blender_evaluates(head, tmp_path):
    key = head.data.shape_keys.key_blocks["jawOpen"]
    for frame, value in ((1, 1.0), (50, 0.2)):
        key.value = value
        key.keyframe_insert("value", frame=frame)  # an action would have the last word at every render
    folder = render_capture(order_for(head), tmp_path / "capture")
    wanted = [s.expression for s in sample(["eyeBlinkLeft", "jawOpen", "mouthFunnel"], 5, 2, 0)]
    stored = [f["expression"] for f in json.loads((folder / "capture.json").read_text())["frames"]]
    np.testing.assert_allclose(stored, wanted, atol=1e-6)
    assert json.loads((folder / "capture.json").read_text())["rendered"]["seconds_per_frame"] > 0


def test_coloured_points_land_on_their_pixels_and_left_is_left(head, scene, tmp_path):
    """Balls around the head, which is turned, moved and scaled: each is where viewmat and K say, and as far."""
    red, green, blue = np.eye(3).tolist()
    places = [(red, (0.15, -0.02, 0.0)), (green, (-0.13, -0.03, 0.04)), (blue, (0, -0.02, 0.15))]
    for colour, place in places:
        marker(scene, place, colour, head)
    stranger = marker(scene, (0, -0.3, 0), (1.0, 1.0, 0.0))
    head.location, head.rotation_euler, head.scale = (1.0, 2.0, 0.5), (0.2, -0.1, 0.6), (1.5,) * 3
    bpy.context.view_layer.update()
    folder = render_capture(order_for(head, resolution=96, samples=8), tmp_path / "capture")
    frames = json.loads((folder / "capture.json").read_text())["frames"]
    assert stranger.name in scene.objects
    for frame in frames:
        view, K = np.array(frame["viewmat"]), np.array(frame["K"])
        pixels = read_rgba(folder / frame["image"])
        depth = read_depth(folder / frame["depth"], frame["depth_unit"])
        assert not ((pixels[..., :2] > 0.7).all(-1) & (pixels[..., 2] < 0.3) & (pixels[..., 3] > 0.5)).any()
        for colour, place in places:
            point = 1.5 * np.array(place)  # metres: head space has no scale
            found = centre_of(pixels, colour)
            np.testing.assert_allclose(found, project(point[None], view, K)[0], atol=0.8)
            z = (view @ (*point, 1.0))[2]
            assert depth[int(found[1]), int(found[0])] == pytest.approx(z - 0.03, abs=0.004)
    front = read_rgba(folder / frames[0]["image"])
    assert centre_of(front, red)[0] > 52 and centre_of(front, green)[0] < 44  # +X is the subject's left


def test_light_and_its_paths_stay_the_scene_s(head, scene, tmp_path):
    """What the camera must not see goes on lighting: a red wall behind it colours a grey head."""
    grey = bpy.data.materials.new("grey")
    grey.use_nodes = True
    head.data.materials[0] = grey
    bpy.ops.mesh.primitive_plane_add(size=4, location=(0, -3, 0), rotation=(1.5708, 0, 0))
    wall = bpy.context.object
    wall.data.materials.append(glow((1.0, 0.0, 0.0)))
    scene.cycles.max_bounces = 7
    scene.world.use_nodes = True
    next(n for n in scene.world.node_tree.nodes if n.type == "BACKGROUND").inputs["Strength"].default_value = 0.0
    folder = render_capture(order_for(head, samples=8), tmp_path / "capture")
    pixels = read_rgba(folder / "images" / "0000.png")
    middle = pixels[28:36, 28:36]
    assert (middle[..., 3] == 1).all() and pixels[0, 0, 3] == 0
    assert middle[..., 0].mean() > 0.3 and middle[..., 1].mean() < 0.05
    assert scene.cycles.max_bounces == 7


def test_what_is_there_is_not_rendered_again(head, tmp_path):
    folder = tmp_path / "capture"

    class Stop(Exception):
        pass

    def stop_after_three(done: int, total: int, seconds: float) -> None:
        assert total == 7 and seconds > 0
        if done == 3:
            raise Stop

    with pytest.raises(Stop):
        render_capture(order_for(head), folder, stop_after_three)
    assert not (folder / "capture.json").exists()
    first = {path.name: path.stat().st_mtime_ns for path in (folder / "images").iterdir()}
    assert len(first) == 3
    render_capture(order_for(head), folder)
    second = {path.name: path.stat().st_mtime_ns for path in (folder / "images").iterdir()}
    assert len(second) == 7 and all(second[name] == time for name, time in first.items())


def test_what_cannot_be_captured_says_why(scene, head, tmp_path):
    order = order_for(head)
    bad = replace(order.channels[0], name="smirk", path="smirk")
    with pytest.raises(HeadGaSError, match="smirk"):
        render_capture(replace(order, channels=(bad,)), tmp_path / "a")
    with pytest.raises(HeadGaSError, match='no object "Anna"'):
        render_capture(replace(order, head="Anna"), tmp_path / "b")
    (tmp_path / "file").write_text("")
    with pytest.raises(HeadGaSError, match="Can't write"):
        render_capture(order, tmp_path / "file" / "c")
    with pytest.raises(HeadGaSError, match="No channel can move"):
        render_capture(replace(order, channels=(replace(order.channels[0], high=0.0),)), tmp_path / "d")
    scene.camera = None
    with pytest.raises(HeadGaSError, match="cannot render the frame: .*camera"):
        render_frame(scene, tmp_path / "a.png", tmp_path / "b.png", 1e-4)
    scene.world = None
    with pytest.raises(HeadGaSError, match="lights"):
        render_capture(order, tmp_path / "e")


def test_a_plan_is_read_as_it_was_written(head):
    order = order_for(head, action=(1.0, 20.0))
    assert read_order(order.to_json(), "here") == order
    for text in ("{}", "[]", "nothing", order.to_json().replace('"low"', '"lower"')):
        with pytest.raises(HeadGaSError, match="here is no plan"):
            read_order(text, "here")
