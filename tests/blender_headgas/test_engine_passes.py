# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The passes of our own engine, those that a view layer asks for: in multilayer files and in the compositor."""

import re

import bpy
import numpy as np
import pytest
from avatar_files import write_avatar
from bl_ext.user_default.headgas.core.cryptomatte import identifier
from stand_in import read_layers, render_layers

_INDEX = "Object Index" if bpy.app.version >= (5, 0, 0) else "IndexOB"


@pytest.fixture
def avatars(scene, service, tmp_path):
    """Two avatars; of each pair of columns one shows the first, the other the second."""
    for number, name in enumerate(("Left", "Right")):
        bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / f"{name.lower()}.safetensors")))
        bpy.context.object.name, bpy.context.object.pass_index = name, 5 + number
    return [bpy.data.objects["Left"], bpy.data.objects["Right"]]


def _ask_for_everything(layer) -> None:
    layer.use_pass_z = layer.use_pass_normal = layer.use_pass_vector = True
    layer.use_pass_object_index = layer.use_pass_cryptomatte_object = True
    layer.pass_cryptomatte_depth = 2
    own = layer.headgas_passes
    own.use_median_depth = own.use_opacity = own.use_count = own.use_avatar_alphas = True


def test_every_pass_is_written(scene, avatars, service, tmp_path):
    _ask_for_everything(scene.view_layers[0])
    layers = {name.removeprefix("ViewLayer."): plane for name, plane in render_layers(tmp_path / "all.exr").items()}
    columns, rows = np.meshgrid(np.arange(48), np.arange(32))
    depth = columns + 1000 * rows
    second = (columns % 2).astype(np.float32)
    expected = {
        "Depth.Z": depth,
        "Median Depth.Z": depth + 0.5,
        "Normal.X": 0, "Normal.Y": -1, "Normal.Z": 0,
        "Vector.X": 1, "Vector.Y": 2, "Vector.Z": 3, "Vector.W": 4,
        f"{_INDEX}.X": 5 + second,
        "Opacity.A": 1,
        "Gaussian Count.X": columns,
        "Alpha Left.A": 1 - second, "Alpha Right.A": second,
        "CryptoObject00.r": np.where(second > 0, identifier("Right"), identifier("Left")), "CryptoObject00.g": 1,
        "CryptoObject00.b": 0, "CryptoObject00.a": 0,
    }  # fmt: skip
    assert sorted(layers) == sorted([*expected, *(f"Combined.{channel}" for channel in "RGBA")])
    for name, plane in expected.items():
        assert (layers[name] == np.float32(plane)).all(), name
    header = (tmp_path / "all.exr").read_bytes()[:8000]
    manifest = rb'\{"Left":"[0-9a-f]{8}","Right":"[0-9a-f]{8}"\}'
    assert re.search(rb"cryptomatte/542cafa/manifest\0string\0...." + manifest, header, re.S)


def test_avatars_with_long_names_and_instances_have_alphas_of_their_own(scene, avatars, service, tmp_path):
    """Two names that are alike as far as a pass's name can be long; the second avatar is in the scene as instances."""
    scene.view_layers[0].headgas_passes.use_avatar_alphas = True
    long = "An avatar whose name is as long as old Blenders allow it, "
    avatars[0].name, avatars[1].name = long + "é", long + "è"
    cast = bpy.data.collections.new("cast")
    cast.objects.link(avatars[1])
    scene.collection.objects.unlink(avatars[1])
    for _ in range(2):
        instance = bpy.data.objects.new("instance", None)
        instance.instance_type, instance.instance_collection = 'COLLECTION', cast
        scene.collection.objects.link(instance)
    layers = render_layers(tmp_path / "alphas.exr")
    shares = [layers[name].mean() for name in sorted(layers) if ".Alpha " in name]
    assert sorted(shares) == pytest.approx([1 / 3, 2 / 3])  # columns take turns


def test_passes_cost_nothing_where_no_view_layer_asks(scene, avatars, service, tmp_path):
    assert {name.split(".")[1] for name in render_layers(tmp_path / "one.exr")} == {"Combined"}
    request = service.requests[-1]
    assert not request["coverage"] and request["passes"] == [] and request["around"] is None


def test_each_view_layer_has_its_passes(scene, avatars, tmp_path):
    scene.view_layers.new("second").use_pass_normal = True
    names = {name.rsplit(".", 1)[0] for name in render_layers(tmp_path / "two.exr")}
    assert names == {"ViewLayer.Combined", "second.Combined", "second.Normal"}


def test_vectors_come_from_the_frames_around(scene, avatars, service, tmp_path):
    driver = avatars[0].data.shape_keys.key_blocks["jawOpen"].driver_add("value").driver
    driver.expression = "frame / 10"
    avatars[1].parent.driver_add("location", 0).driver.expression = "frame"
    scene.camera.driver_add("location", 2).driver.expression = "frame"
    scene.view_layers[0].use_pass_vector = True
    scene.frame_set(4)
    render_layers(tmp_path / "moving.exr")
    request = service.requests[-1]
    for name, frame in (("before", 3), ("after", 5)):
        then = request["around"][name]
        assert then["avatars"][0]["expression"][0] == pytest.approx(frame / 10)
        assert then["avatars"][1]["transform"][0][3] == pytest.approx(frame)
        assert then["camera"]["viewmat"][1][3] == pytest.approx(frame)
    assert request["avatars"][0]["expression"][0] == pytest.approx(0.4) and scene.frame_current == 4


def test_an_avatar_that_was_hidden_before_stands_still(scene, avatars, service, tmp_path):
    avatars[0].driver_add("hide_render").driver.expression = "frame < 4"
    avatars[1].parent.driver_add("location", 0).driver.expression = "frame"
    scene.view_layers[0].use_pass_vector = True
    scene.frame_set(4)
    render_layers(tmp_path / "appearing.exr")
    request = service.requests[-1]
    paths = [avatar["path"] for avatar in request["avatars"]]
    assert [avatar["path"] for avatar in request["around"]["before"]["avatars"]] == paths and len(paths) == 2
    places = {avatar["path"]: avatar["transform"][0][3] for avatar in request["around"]["before"]["avatars"]}
    assert sorted(places.values()) == pytest.approx([0.0, 3.0])


def test_blurred_passes(scene, avatars, service, tmp_path):
    """Vectors are left out, as Cycles leaves them out; what is constant stays so."""
    _ask_for_everything(scene.view_layers[0])
    avatars[1].parent.driver_add("location", 0).driver.expression = "frame"
    scene.render.use_motion_blur, scene.headgas_render.motion_samples = True, 3
    layers = {name.removeprefix("ViewLayer."): plane for name, plane in render_layers(tmp_path / "all.exr").items()}
    assert len(service.requests) == 3 and "Vector.X" not in layers
    columns, rows = np.meshgrid(np.arange(48), np.arange(32))
    depth = columns + 1000 * rows
    wanted = {"Depth.Z": depth, "Median Depth.Z": depth + 0.5, "Normal.Y": -1, "Opacity.A": 1}
    wanted["Alpha Right.A"] = columns % 2
    for name, plane in wanted.items():
        assert np.allclose(layers[name], plane, rtol=1e-5, atol=1e-5), name


def test_indirect_only_avatars_are_not_in_the_picture(scene, avatars, service, tmp_path):
    collection = bpy.data.collections.new("mirrored")
    scene.collection.children.link(collection)
    collection.objects.link(avatars[0])
    for other in list(avatars[0].users_collection):
        if other != collection:
            other.objects.unlink(avatars[0])
    scene.view_layers[0].layer_collection.children["mirrored"].indirect_only = True
    render_layers(tmp_path / "one.exr")
    assert [avatar["path"][-17:] for avatar in service.requests[-1]["avatars"]] == ["right.safetensors"]


def test_the_compositor_has_sockets_for_the_passes(scene, avatars):
    _ask_for_everything(scene.view_layers[0])
    if bpy.app.version >= (5, 0, 0):
        tree = bpy.data.node_groups.new("compositing", 'CompositorNodeTree')
        scene.compositing_node_group = tree
    else:
        scene.use_nodes = True
        tree = scene.node_tree
    node = tree.nodes.new('CompositorNodeRLayers')
    node.scene = scene
    sockets = {socket.name for socket in node.outputs if socket.enabled}
    assert {"Image", "Depth", "Median Depth", "Normal", "Vector", "Opacity", "Alpha Left", "CryptoObject00"} <= sockets


def test_all_hidden_leaves_every_pass_empty(scene, avatars, tmp_path):
    _ask_for_everything(scene.view_layers[0])
    for avatar in avatars:
        avatar.hide_render = True
    layers = render_layers(tmp_path / "none.exr")
    for name, plane in layers.items():
        assert (plane == (1e10 if "Depth" in name else 0)).all(), name
    assert read_layers(tmp_path / "none.exr").keys() == layers.keys()
