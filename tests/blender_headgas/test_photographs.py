# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at an avatar through its capture's cameras, with the photographs."""

import json
import math
import struct
import zlib
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from avatar_files import write_avatar
from bl_ext.user_default.headgas.core.cameras import blender_camera_matrix, intrinsics, opencv_viewmat
from bl_ext.user_default.headgas.core.errors import HeadGaSError
from bl_ext.user_default.headgas.core.framing import Rectangle, beside, frame_rectangle, photograph_rectangle, wiped
from bl_ext.user_default.headgas.core.photographs import photograph_at, read_photographs
from bl_ext.user_default.headgas.operators import photograph_drawing
from bl_ext.user_default.headgas.rig.photographs import photograph_path
from mathutils import Matrix

WIDTH, HEIGHT = 40, 60
POINTS = np.array([[0.0, 0.0, 0.0], [0.1, 0.02, 0.05], [-0.08, 0.05, -0.1]])


def _png(path, red, width=WIDTH, height=HEIGHT):
    """A picture of one colour."""
    rows = (b"\0" + bytes([red, 0, 0, 255]) * width) * height
    size = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = ((b"IHDR", size), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    data = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


def _viewmat(yaw, distance):
    """An OpenCV camera in front of the face, which looks at the origin."""
    right = np.array([math.cos(yaw), math.sin(yaw), 0.0])
    forward = np.array([-math.sin(yaw), math.cos(yaw), 0.0])
    turn = np.stack([right, [0.0, 0.0, -1.0], forward])
    return np.block([[turn, np.array([[0.01], [-0.02], [distance]])], [np.zeros((1, 3)), np.ones((1, 1))]])


def _K(focal, cx, cy, aspect=1.0):
    return np.array([[focal, 0, cx], [0, focal / aspect, cy], [0, 0, 1.0]])


CAMERAS = [
    (_viewmat(0.0, 0.7), _K(70.0, 20.0, 30.0)),
    (_viewmat(0.5, 0.6), _K(75.0, 18.5, 33.0)),
    (_viewmat(-1.2, 0.9), _K(80.0, 25.0, 21.5)),
]


def write_capture(folder, cameras=CAMERAS, **changes):
    """A capture whose file order is not that of its images' names."""
    frames = []
    for number, (viewmat, K) in enumerate(cameras):
        image = f"images/{'cab'[number]}{number}.png"
        _png(folder / image, 50 * number)
        frame = {"name": str(number), "image": image, "width": WIDTH, "height": HEIGHT, "expression": [0.0]}
        frames.append(frame | {"viewmat": viewmat.tolist(), "K": K.tolist()})
    data = {"format": "headgas-capture", "version": 1, "frames": frames} | changes
    (folder / "capture.json").write_text(json.dumps(data))
    return folder / "capture.json"


def _project(points, viewmat, K):
    camera = points @ viewmat[:3, :3].T + viewmat[:3, 3]
    pixels = camera @ K.T
    return pixels[:, :2] / pixels[:, 2:]


@pytest.fixture
def avatar(scene, tmp_path):
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "a.safetensors")))
    mesh = bpy.context.object
    yield mesh
    for camera in list(bpy.data.cameras):
        bpy.data.cameras.remove(camera)
    photograph_drawing.update_drawing()


def _seen(scene, avatar, width, height):
    """Where POINTS of head space are in a render of width × height, by what Blender says of its camera."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    camera = scene.camera.evaluated_get(depsgraph)
    aspect = {"scale_x": scene.render.pixel_aspect_x, "scale_y": scene.render.pixel_aspect_y}
    projection = np.array(camera.calc_matrix_camera(depsgraph, x=width, y=height, **aspect))
    world = np.array(avatar.evaluated_get(depsgraph).matrix_world)
    viewmat = opencv_viewmat(np.array(camera.matrix_world)) @ world
    return _project(POINTS, viewmat, intrinsics(projection, width, height))


@pytest.mark.parametrize("start", [1, 101])
def test_the_camera_sees_what_the_capture_s_cameras_saw(scene, avatar, tmp_path, start):
    size = scene.render.resolution_x, scene.render.resolution_y
    avatar.parent.location, avatar.parent.rotation_euler = (1.0, 2.0, 3.0), (0.1, 0.2, 0.3)
    path = write_capture(tmp_path / "capture")
    assert bpy.ops.headgas.compare_with_capture(filepath=str(path), start=start) == {'FINISHED'}
    assert (scene.render.resolution_x, scene.render.resolution_y) == size  # nobody asked for another
    for number in (2, 0, 1):
        scene.frame_set(start + number)
        assert np.allclose(_seen(scene, avatar, WIDTH, HEIGHT), _project(POINTS, *CAMERAS[number]), atol=1e-3)
    scene.frame_set(start, subframe=0.9)  # nothing between two photographs
    assert np.allclose(_seen(scene, avatar, WIDTH, HEIGHT), _project(POINTS, *CAMERAS[0]), atol=1e-3)


def test_a_frame_of_another_height_shows_the_same_around_its_centre(scene, avatar, tmp_path):
    bpy.ops.headgas.compare_with_capture(filepath=str(write_capture(tmp_path / "capture")))
    scene.frame_set(2)
    expected = _project(POINTS, *CAMERAS[1]) + [0, (30 - HEIGHT) / 2]
    assert np.allclose(_seen(scene, avatar, WIDTH, 30), expected, atol=1e-3)


def test_the_scene_takes_the_photographs_size_when_it_may(scene, avatar, tmp_path):
    cameras = [(viewmat, _K(70.0, 20.0, 30.0, aspect=0.8)) for viewmat, _ in CAMERAS]
    bpy.ops.headgas.compare_with_capture(filepath=str(write_capture(tmp_path / "c", cameras)), use_size=True)
    render = scene.render
    assert (render.resolution_x, render.resolution_y, render.resolution_percentage) == (WIDTH, HEIGHT, 100)
    assert (render.pixel_aspect_x, render.pixel_aspect_y) == pytest.approx((1.25, 1.0))
    scene.frame_set(3)
    assert np.allclose(_seen(scene, avatar, WIDTH, HEIGHT), _project(POINTS, *cameras[2]), atol=1e-3)


def test_photographs_follow_the_frame(scene, avatar, tmp_path):
    bpy.ops.headgas.compare_with_capture(filepath=str(write_capture(tmp_path / "capture").parent), start=10)
    camera = scene.camera.data
    image = camera.background_images[0].image
    for frame, name, red in ((1, "c0", 0), (11, "a1", 50), (12, "b2", 100), (99, "b2", 100), (10, "c0", 0)):
        scene.frame_set(frame)
        assert photograph_path(camera, frame).stem == name and tuple(image.size) == (WIDTH, HEIGHT)
        assert image.pixels[0] == pytest.approx(red / 255, abs=1e-6) and camera.show_background_images
    camera.headgas_comparison.mode = 'WIPE'
    assert not camera.show_background_images and photograph_drawing.is_drawing()


def test_a_capture_with_its_own_rate_keeps_its_time(scene, avatar, tmp_path):
    scene.render.fps = 24
    bpy.ops.headgas.compare_with_capture(filepath=str(write_capture(tmp_path / "capture", fps=12)))
    camera = scene.camera.data
    assert [photograph_path(camera, frame).stem for frame in range(1, 6)] == ["c0", "c0", "a1", "a1", "b2"]


def test_missing_images_are_named(scene, avatar, tmp_path, capfd):
    path = write_capture(tmp_path / "capture")
    (path.parent / "images" / "a1.png").unlink()
    bpy.ops.headgas.compare_with_capture(filepath=str(path))
    assert "images/a1.png" in capfd.readouterr().out
    scene.frame_set(2)
    assert not scene.camera.data.show_background_images
    scene.frame_set(3)
    assert scene.camera.data.show_background_images
    for image in (path.parent / "images").iterdir():
        image.unlink()
    with pytest.raises(RuntimeError, match="None of the capture's images"):
        bpy.ops.headgas.compare_with_capture(filepath=str(path))


def test_one_operator_clears_all_of_it(scene, avatar, tmp_path):
    before = {name: set(getattr(bpy.data, name).keys()) for name in ("objects", "cameras", "images", "actions")}
    camera = scene.camera
    path = write_capture(tmp_path / "capture")
    for _ in range(2):  # the second time replaces the first
        bpy.ops.headgas.compare_with_capture(filepath=str(path))
        assert scene.camera != camera and len(bpy.data.cameras) == 2
    assert photograph_drawing.is_drawing() and bpy.ops.headgas.clear_comparison() == {'FINISHED'}
    assert scene.camera == camera and not photograph_drawing.is_drawing()
    assert {name: set(getattr(bpy.data, name).keys()) for name in before} == before
    assert not bpy.ops.headgas.clear_comparison.poll()


def test_photographs_are_there_again_after_loading(scene, avatar, tmp_path):
    bpy.ops.headgas.compare_with_capture(filepath=str(write_capture(tmp_path / "capture")))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "compared.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    assert not photograph_drawing.is_drawing()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "compared.blend"))
    assert photograph_drawing.is_drawing()
    bpy.context.scene.frame_set(3)
    image = bpy.context.scene.camera.data.background_images[0].image
    assert bpy.path.abspath(image.filepath).endswith("b2.png")


def test_transforms_are_read_in_their_own_axes(tmp_path):
    """Y up and Z out of the face, OpenGL cameras: docs/formats.md."""
    to_theirs = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    frames = [
        {"file_path": f"./images/{n}", "transform_matrix": (to_theirs @ blender_camera_matrix(viewmat)).tolist()}
        for n, (viewmat, _) in enumerate(CAMERAS)
    ]
    frames[1] |= {"fl_x": 90.0, "fl_y": 80.0, "cx": 10.0, "cy": 11.0, "file_path": "b/1.jpg"}
    data = {"camera_angle_x": 2 * math.atan(0.5), "w": 40, "h": 60, "frames": frames}
    (tmp_path / "transforms.json").write_text(json.dumps(data))
    read = read_photographs(tmp_path)
    assert [frame.image for frame in read.frames] == ["images/0.png", "b/1.jpg", "images/2.png"]
    for frame, (viewmat, _) in zip(read.frames, CAMERAS, strict=True):
        assert np.allclose(frame.viewmat, viewmat)
    assert np.allclose(read.frames[0].K, _K(40.0, 20.0, 30.0))
    assert np.allclose(read.frames[1].K, [[90, 0, 10], [0, 80, 11], [0, 0, 1]])
    data["intrinsics"] = [-50.0, 60.0, 0.25, 0.5]
    (tmp_path / "transforms.json").write_text(json.dumps(data))
    assert np.allclose(read_photographs(tmp_path).frames[0].K, [[50, 0, 10], [0, 60, 30], [0, 0, 1]])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("viewmat", [[1, 2], [3, 4]], "frame 1: the field 'viewmat' needs 4×4 finite numbers"),
        ("viewmat", (2 * np.eye(4)).tolist(), "'viewmat' needs a rotation"),
        ("K", [[float("nan")] * 3] * 3, "'K' needs 3×3 finite numbers"),
        ("K", np.zeros((3, 3)).tolist(), "positive focal lengths"),
        ("width", 12.5, "'width' needs a whole number"),
        ("height", None, "'height' needs a finite number"),
        ("image", "../secret.png", "a path inside the capture's folder"),
        ("image", 7, "a path inside the capture's folder"),
    ],
)
def test_damaged_captures_name_frame_and_field(tmp_path, field, value, message):
    path = write_capture(tmp_path)
    data = json.loads(path.read_text())
    data["frames"][1][field] = value
    path.write_text(json.dumps(data))
    with pytest.raises(HeadGaSError, match=message):
        read_photographs(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "no JSON object"),
        ('{"frames": []}', "'frames' needs"),
        ('{"frames": [1]}', "frame 0 is no"),
    ],
)
def test_files_that_are_no_captures(tmp_path, text, message):
    (tmp_path / "transforms.json").write_text(text)
    with pytest.raises(HeadGaSError, match=message):
        read_photographs(tmp_path)
    with pytest.raises(HeadGaSError, match="no capture"):
        read_photographs(tmp_path.parent)


def test_a_bad_rate_is_refused(tmp_path):
    with pytest.raises(HeadGaSError, match="'fps' needs a number above zero"):
        read_photographs(write_capture(tmp_path, fps=0))


def test_the_photograph_of_a_frame():
    frames = np.array([10.0, 12.5, 15.0])
    assert [photograph_at(frame, frames) for frame in (-3, 10, 12, 12.5, 14.9, 15, 400)] == [0, 0, 0, 1, 1, 2, 2]


def test_where_photographs_are_drawn():
    frame = frame_rectangle(np.array([[300.0, 250.0], [300.0, 50.0], [100.0, 50.0], [100.0, 250.0]]))
    assert frame == Rectangle(100, 50, 200, 200)
    tall = photograph_rectangle(frame, 100, 150)
    assert tall == Rectangle(100, 0, 200, 300)  # as wide, higher, the same centre
    assert photograph_rectangle(frame, 100, 50, 2.0) == frame
    assert wiped(tall, 0.0) is None
    wipe = wiped(tall, 0.25)
    assert wipe.place == Rectangle(100, 0, 50, 300) and wipe.right == 0.25


@pytest.mark.parametrize(
    ("low", "high", "place"),
    [
        (0, 600, Rectangle(300, 0, 200, 300)),  # to the right
        (0, 400, Rectangle(300, 75, 100, 150)),  # a sidebar from 400 on: half as large
        (-150, 400, Rectangle(-100, 0, 200, 300)),  # the left has room for all of it
        (0, 350, Rectangle(0, 75, 100, 150)),  # the left has more room
        (100, 300, None),
    ],
)
def test_beside_is_where_nothing_lies_over_the_viewport(low, high, place):
    frame = Rectangle(100, 50, 200, 200)
    found = beside(Rectangle(100, 0, 200, 300), frame, low, high)
    assert found is None if place is None else found.place == place and found.right == 1


def test_sidebars_and_toolbars_take_room():
    region = SimpleNamespace(type='WINDOW', x=10, width=400)
    tools = SimpleNamespace(type='TOOLS', x=10, width=50, alignment='LEFT')
    sidebar = SimpleNamespace(type='UI', x=310, width=100, alignment='RIGHT')
    closed = SimpleNamespace(type='UI', x=409, width=1, alignment='RIGHT')
    beyond = SimpleNamespace(type='UI', x=410, width=100, alignment='RIGHT')  # where regions do not overlap
    for regions, free in (([tools, sidebar], (50, 300)), ([closed], (0, 400)), ([beyond], (0, 400))):
        assert photograph_drawing.free_columns(SimpleNamespace(regions=[region, *regions]), region) == free


def _viewport(scene, avatar, tmp_path):
    """A viewport of 400 × 300 pixels that shows twice as much as a capture's camera does, in either direction."""
    bpy.ops.headgas.compare_with_capture(filepath=str(write_capture(tmp_path / "capture")), use_size=True)
    avatar.parent.location, avatar.parent.scale = (1.0, 2.0, 3.0), (2.0, 2.0, 2.0)
    scene.frame_set(3)
    camera = scene.camera
    projection = camera.calc_matrix_camera(bpy.context.evaluated_depsgraph_get(), x=WIDTH, y=HEIGHT)
    half = Matrix.Diagonal((0.5, 0.5, 1.0, 1.0))
    matrix = half @ projection @ camera.matrix_world.normalized().inverted()
    view = SimpleNamespace(perspective_matrix=matrix, view_perspective='CAMERA')
    region = SimpleNamespace(type='WINDOW', x=0, width=400, height=300)
    space, area = SimpleNamespace(camera=camera), SimpleNamespace(regions=[region])
    return SimpleNamespace(scene=scene, space_data=space, area=area, region=region, region_data=view)


def test_the_camera_s_frame_is_found_in_a_viewport(scene, avatar, tmp_path):
    context = _viewport(scene, avatar, tmp_path)
    frame = photograph_drawing.camera_frame(scene, scene.camera, context.region, context.region_data)
    assert (frame.left, frame.bottom, frame.width, frame.height) == pytest.approx((100, 75, 200, 150), abs=1e-3)


@pytest.mark.skipif(bpy.app.version < (5, 2, 0), reason="without a window Blender draws from 5.2 on only")
@pytest.mark.parametrize(
    ("mode", "columns", "rows"),
    [('WIPE', (100, 150), (0, 300)), ('BESIDE', (300, 400), (75, 225)), ('UNDER', (0, 0), (0, 0))],
)
def test_photographs_are_drawn_where_they_belong(scene, avatar, tmp_path, mode, columns, rows):
    import gpu

    gpu.init()
    context = _viewport(scene, avatar, tmp_path)
    comparison = scene.camera.data.headgas_comparison
    comparison.mode, comparison.position = mode, 0.25
    target = gpu.types.GPUOffScreen(400, 300, format='RGBA32F')
    with target.bind():
        framebuffer = gpu.state.active_framebuffer_get()
        framebuffer.clear(color=(0.0, 0.0, 0.0, 0.0))
        with gpu.matrix.push_pop(), gpu.matrix.push_pop_projection():
            gpu.matrix.load_matrix(Matrix.Identity(4))
            gpu.matrix.load_projection_matrix(
                Matrix.Translation((-1, -1, 0)) @ Matrix.Diagonal((2 / 400, 2 / 300, 1, 1))
            )
            photograph_drawing.draw_over(context)
        drawn = np.array(framebuffer.read_color(0, 0, 400, 300, 4, 0, 'FLOAT').to_list())
    target.free()
    expected = np.zeros((300, 400), bool)
    expected[slice(*rows), slice(*columns)] = True  # 200 wide and, with two by three pixels, as high as the viewport
    assert np.array_equal(drawn[..., 3] > 0.5, expected) and not drawn[..., 1:3].any()
    # the photograph has a red of 100: x to the power of 1 / 2.2 comes onto the screen
    assert np.allclose(255 * drawn[expected, 0] ** (1 / 2.2), 100, atol=0.5)  # drawn in software


@pytest.mark.parametrize(
    ("transform", "shading", "keeps"),
    [('AgX', 'SOLID', True), ('AgX', 'RENDERED', False), ('Standard', 'RENDERED', True)],
)
def test_backgrounds_keep_their_colours(scene, avatar, tmp_path, monkeypatch, transform, shading, keeps):
    context = _viewport(scene, avatar, tmp_path)
    scene.view_settings.view_transform = transform
    later = []
    monkeypatch.setattr(photograph_drawing, "_shadings", lambda: ['WIREFRAME', shading])
    monkeypatch.setattr(photograph_drawing.bpy.app.timers, "register", later.append)
    image = scene.camera.data.headgas_comparison.image
    image.use_view_as_render = not keeps
    photograph_drawing.draw_over(context)
    assert image.use_view_as_render != keeps and len(later) == 1  # not while Blender draws
    later[0]()
    photograph_drawing.draw_over(context)
    assert image.use_view_as_render == keeps and len(later) == 1


def test_the_matrix_is_the_way_back():
    matrix = blender_camera_matrix(CAMERAS[1][0])
    assert np.allclose(opencv_viewmat(matrix), CAMERAS[1][0])
    assert np.allclose(np.array(Matrix(matrix.tolist()).to_3x3()) @ [0, 0, -1], CAMERAS[1][0][2, :3])  # looks along -Z
