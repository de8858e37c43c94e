# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion blur and stereoscopy: at which times and from where the avatars are rendered, and how that becomes a frame."""

import bpy
import numpy as np
import pytest
from avatar_files import write_avatar
from stand_in import read_layers, render_layers, render_still
from test_engine_cycles import plane


@pytest.fixture(params=['HEADGAS', 'HEADGAS_CYCLES'])
def avatar(scene, service, tmp_path, request):
    """An avatar whose jaw opens by a tenth a frame, in either engine."""
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "half.safetensors")))
    scene.render.engine = request.param
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    obj = bpy.context.object
    _move(obj.data.shape_keys.key_blocks["jawOpen"].driver_add("value"))
    scene.render.use_motion_blur = True
    return obj


def _move(curve) -> None:
    curve.driver.expression = "min((frame - 1) / 10, 1)"


def _jaws(service) -> list[float]:
    return [request["avatars"][0]["expression"][0] for request in service.requests]


@pytest.mark.parametrize(("position", "first"), [('START', 5.0), ('CENTER', 4.75), ('END', 4.5)])
def test_the_shutter_is_sampled_at_sub_frames(scene, avatar, service, tmp_path, position, first):
    scene.render.motion_blur_position, scene.render.motion_blur_shutter = position, 0.5
    scene.headgas_render.motion_samples = 4
    _move(scene.camera.driver_add("location", 0))
    _move(avatar.parent.driver_add("location", 2))
    scene.frame_set(5)
    image = render_still(tmp_path / "blurred.exr")
    times = [first + 0.5 * (number + 0.5) / 4 for number in range(4)]
    expected = [(time - 1) / 10 for time in times]
    assert _jaws(service) == pytest.approx(expected, abs=1e-5)
    assert [-request["camera"]["viewmat"][0][3] for request in service.requests] == pytest.approx(expected, abs=1e-5)
    heights = [request["avatars"][0]["transform"][2][3] for request in service.requests]
    assert heights == pytest.approx(expected, abs=1e-5)
    blue = [0.5 * np.dot([1, 2, 3, 4], request["avatars"][0]["expression"]) for request in service.requests]
    assert image[..., 2] == pytest.approx(np.mean(blue), abs=1e-4)
    assert image[..., 3] == pytest.approx(0.5, abs=1e-6)
    assert (scene.frame_current, scene.frame_subframe) == (5, 0.0)
    again = render_still(tmp_path / "again.exr")
    assert np.array_equal(again, image)


def test_a_frame_after_a_cut_has_nothing_of_the_camera_before(scene, avatar, service, tmp_path):
    """Its shutter opens before the cut, and its vectors look back across it."""
    other = scene.camera.copy()
    other.location.x = 5.0
    scene.collection.objects.link(other)
    for frame, camera in ((1, scene.camera), (5, other)):
        scene.timeline_markers.new("cut", frame=frame).camera = camera
    scene.render.motion_blur_position, scene.headgas_render.motion_samples = 'CENTER', 4
    scene.view_layers[0].use_pass_vector = True
    scene.frame_set(5)
    for blurred in (True, False):
        scene.render.use_motion_blur = blurred
        render_still(tmp_path / "frame.exr")
    cameras = [request["camera"] for request in service.requests]
    around = service.requests[-1]["around"]  # within Cycles there is none
    cameras += [around[moment]["camera"] for moment in ("before", "after")] if around else []
    assert len(cameras) >= 5 and {-camera["viewmat"][0][3] for camera in cameras} == {5.0}
    assert scene.frame_current == 5 and scene.camera == other


def test_what_stands_still_is_rendered_once(scene, avatar, service, tmp_path):
    scene.frame_set(20)
    render_still(tmp_path / "still.exr")
    assert len(service.requests) == 1


def test_the_shutter_curve_weighs_the_moments(scene, avatar, service, tmp_path):
    curve = scene.render.motion_blur_shutter_curve
    points = curve.curves[0].points
    while len(points) > 2:
        points.remove(points[1])
    points[0].location, points[1].location = (0.0, 0.0), (1.0, 1.0)
    for point in points:
        point.handle_type = 'VECTOR'
    curve.update()
    scene.headgas_render.motion_samples = 2
    scene.frame_set(5)
    image = render_still(tmp_path / "still.exr")
    jaws = _jaws(service)
    rest = 0.5 * 4 * service.requests[0]["avatars"][0]["expression"][3]
    assert image[0, 0, 2] == pytest.approx(rest + 0.5 * (0.25 * jaws[0] + 0.75 * jaws[1]), abs=1e-3)


def test_a_clipping_plane_that_moves_is_motion(scene, avatar, service, tmp_path):
    """Where all else stands still; the planes are the camera's own."""
    scene.headgas_render.motion_samples, scene.render.motion_blur_shutter = 2, 1.0
    scene.camera.data.clip_start = 0.125
    for frame, end in ((20, 10.0), (24, 14.0)):
        scene.camera.data.clip_end = end
        scene.camera.data.keyframe_insert("clip_end", frame=frame)
    scene.frame_set(22)
    render_still(tmp_path / "still.exr")
    planes = [(request["camera"]["near"], request["camera"]["far"]) for request in service.requests]
    assert planes == [(0.125, pytest.approx(11.75, abs=0.5)), (0.125, pytest.approx(12.25, abs=0.5))]
    assert planes[0] != planes[1]


def test_a_shutter_that_never_opens_is_refused(scene, avatar, tmp_path):
    curve = scene.render.motion_blur_shutter_curve
    for point in curve.curves[0].points:
        point.location.y = 0.0
    curve.update()
    scene.render.filepath = str(tmp_path / "failed.exr")
    with pytest.raises(RuntimeError, match="shutter never opens"):
        bpy.ops.render.render(write_still=True)


@pytest.mark.parametrize("mode", ['OFFAXIS', 'TOE', 'PARALLEL'])
def test_both_eyes_see_from_their_own_place(scene, avatar, service, tmp_path, mode):
    """Each eye's rays are those of a camera that Blender itself places there."""
    scene.render.use_motion_blur = False
    scene.render.use_multiview = True
    stereo = scene.camera.data.stereo
    stereo.pivot = 'CENTER'
    stereo.convergence_mode, stereo.interocular_distance, stereo.convergence_distance = mode, 0.1, 2.0
    scene.render.image_settings.views_format, scene.render.image_settings.exr_codec = 'INDIVIDUAL', 'NONE'
    scene.render.filepath = str(tmp_path / "eyes.exr")
    plane(scene, 2.0, (1.0, 0.0, 0.0), size=0.01)  # the point on which toed-in and off-axis eyes converge
    bpy.ops.render.render(write_still=True)
    left, right = service.requests[-2:]
    shift = 0.0
    for request, side in ((left, -1), (right, 1)):
        viewmat, K = np.array(request["camera"]["viewmat"]), np.array(request["camera"]["K"])
        place = -viewmat[:3, :3].T @ viewmat[:3, 3]
        assert place == pytest.approx([side * 0.05, -1.0, 0.0], abs=1e-5)
        u, _, w = K @ (viewmat @ [0.0, 1.0, 0.0, 1.0])[:3]
        converged = abs(u / w - 24) < 0.02
        assert converged == (mode != 'PARALLEL')
        shift += abs(K[0][2] - 24)
    assert (shift > 1) == (mode == 'OFFAXIS')
    for name in ("L", "R"):
        assert any(plane.any() for plane in read_layers(tmp_path / f"eyes_{name}.exr").values())


@pytest.mark.parametrize("crop", [False, True])
@pytest.mark.parametrize("mode", ['OFFAXIS', 'TOE'])
def test_a_border_is_a_crop_of_both_eyes(scene, avatar, tmp_path, mode, crop):
    """The stand-in draws rays: each eye's are those of its own whole frame. Before them stands a plane, for Cycles."""
    scene.render.use_motion_blur, scene.render.use_multiview, scene.render.filter_size = False, True, 0.01
    stereo = scene.camera.data.stereo
    stereo.convergence_mode, stereo.interocular_distance, stereo.convergence_distance = mode, 0.2, 2.0
    scene.render.image_settings.views_format, scene.render.image_settings.exr_codec = 'INDIVIDUAL', 'NONE'
    plane(scene, 2.0, (0.0, 0.0, 0.5), size=0.3)
    render = scene.render
    render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = 0.25, 0.75, 0.25, 0.875
    eyes = {}
    for name, border in (("whole", False), ("part", True)):
        render.use_border, render.use_crop_to_border = border, crop
        render.filepath = str(tmp_path / f"{name}.exr")
        bpy.ops.render.render(write_still=True)
        files = [read_layers(tmp_path / f"{name}_{side}.exr") for side in "LR"]
        eyes[name] = [np.stack([channels[channel] for channel in "RGBA"], -1) for channels in files]
    apart = np.abs(eyes["whole"][0][4:24, 12:36, 0] - eyes["whole"][1][4:24, 12:36, 0]).max()
    assert (apart > 0.01) == (mode == 'OFFAXIS')  # toed-in ones have the same rays before themselves
    for whole, part in zip(eyes["whole"], eyes["part"], strict=True):
        if not crop:
            assert part.shape == whole.shape and not part[:4].any() and not part[:, :12].any()
        within = part if crop else part[4:24, 12:36]
        assert within.shape == (20, 24, 4)
        assert np.abs(within - whole[4:24, 12:36]).max() < 1e-4


def test_each_view_has_its_own_camera(scene, avatar, service, tmp_path):
    scene.render.use_motion_blur = False
    scene.render.use_multiview, scene.render.views_format = True, 'MULTIVIEW'
    render = scene.render
    scene.camera.name = "shot_left"
    right = scene.camera.copy()
    right.name, right.location.x = "shot_right", 0.7
    scene.collection.objects.link(right)
    assert [view.camera_suffix for view in render.views] == ["_L", "_R"]
    render.views[0].camera_suffix, render.views[1].camera_suffix = "_left", "_right"
    render.image_settings.views_format = 'INDIVIDUAL'
    render.filepath = str(tmp_path / "views.exr")
    bpy.ops.render.render(write_still=True)
    places = [-request["camera"]["viewmat"][0][3] for request in service.requests]
    assert places == pytest.approx([0.0, 0.7], abs=1e-6)


def test_a_multilayer_file_has_all_views(scene, avatar, tmp_path):
    scene.render.use_motion_blur = False
    scene.render.use_multiview = True
    scene.render.image_settings.views_format = 'MULTIVIEW'
    names = render_layers(tmp_path / "views.exr").keys()
    assert {name for name in names if "Combined.left" in name} and {name for name in names if "Combined.right" in name}
