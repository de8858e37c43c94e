# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holdouts cut avatars out: meshes and other avatars, in our own engine and within Cycles."""

import bpy
import numpy as np
import pytest
from avatar_files import write_avatar
from stand_in import render_layers
from test_engine_cycles import plane

_AT = 1010.5  # metres: of the stand-in's avatars the top row and a bit lies before it
_COLUMNS, _ROWS = np.meshgrid(np.arange(48), np.arange(32))
_BEHIND = _COLUMNS + 1000 * _ROWS > _AT


@pytest.fixture
def avatar(scene, service, tmp_path):
    scene.camera.data.clip_end = 10000.0
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling = 4, False, False
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "head.safetensors")))
    return bpy.context.object


@pytest.fixture
def mesh(scene, avatar):
    """A holdout that covers the left half of the picture."""
    found = plane(scene, _AT, (0.2, 0.4, 0.6), size=4000.0)
    found.location.x, found.is_holdout = -2000.0, True
    return found


def _rgba(layers, name: str = "Combined") -> np.ndarray:
    return np.stack([layers[f"ViewLayer.{name}.{channel}"] for channel in "RGBA"], -1)


@pytest.mark.parametrize("engine", ['HEADGAS', 'HEADGAS_CYCLES'])
def test_a_mesh_hides_what_is_behind_it(scene, mesh, tmp_path, engine):
    scene.render.engine, scene.view_layers[0].use_pass_z = engine, True
    layers = render_layers(tmp_path / "cut.exr")
    alpha, depth = _rgba(layers)[..., 3], layers["ViewLayer.Depth.Z"]
    left = _COLUMNS < 24
    assert np.allclose(alpha, np.where(left & _BEHIND, 0, 1), atol=1e-4)
    assert np.allclose(depth, np.where(left & _BEHIND, 1e10, _COLUMNS + 1000 * _ROWS), rtol=1e-5)


def test_edges_are_soft_and_passes_are_cut(scene, mesh, avatar, tmp_path):
    mesh.location.x += 1010.5 * 36 / 50 / 48 / 3  # a third of a pixel
    layer = scene.view_layers[0]
    layer.headgas_passes.use_median_depth = layer.headgas_passes.use_count = layer.use_pass_normal = True
    layer.headgas_passes.use_avatar_alphas = True
    layers = render_layers(tmp_path / "cut.exr")
    alpha = _rgba(layers)[..., 3]
    assert np.allclose(alpha[5, 22:27], [0, 0, 2 / 3, 1, 1], atol=1e-4)
    assert np.allclose(layers[f"ViewLayer.Alpha {avatar.name}.A"], alpha)
    hidden = (_COLUMNS < 24) & _BEHIND
    assert (layers["ViewLayer.Median Depth.Z"][hidden] == np.float32(1e10)).all()
    assert (layers["ViewLayer.Median Depth.Z"][~hidden] < 1e9).all()
    assert (layers["ViewLayer.Gaussian Count.X"][hidden] == 0).all()
    assert (layers["ViewLayer.Gaussian Count.X"][~hidden & (_COLUMNS > 0)] > 0).all()
    assert (layers["ViewLayer.Normal.Y"] == -1).all()


@pytest.mark.parametrize("engine", ['HEADGAS', 'HEADGAS_CYCLES'])
@pytest.mark.parametrize("avatars", ["half", "none", "blurred"])
def test_a_mesh_is_a_hole_in_the_world_too(scene, mesh, avatar, tmp_path, engine, avatars):
    scene.render.engine, scene.render.film_transparent = engine, False
    scene.world = bpy.data.worlds.new("world")
    if bpy.app.version < (5, 0, 0):
        scene.world.use_nodes = True
    background = next(node for node in scene.world.node_tree.nodes if node.type == 'BACKGROUND')
    background.inputs["Color"].default_value = (0.0, 0.0, 0.5, 1.0)
    avatar.headgas.filepath = str(write_avatar(tmp_path / "half.safetensors"))
    if avatars == "none":
        avatar.hide_render = True
    if avatars == "blurred":
        avatar.data.shape_keys.key_blocks["jawOpen"].driver_add("value").driver.expression = "frame"
        scene.render.use_motion_blur, scene.headgas_render.motion_samples = True, 2
    alpha = _rgba(render_layers(tmp_path / "hole.exr"))[..., 3]
    left, right = _COLUMNS < 23, _COLUMNS > 24  # Cycles blurs the edge
    assert np.allclose(alpha[right], 1, atol=1e-4)
    before = 0.0 if avatars == "none" else 0.5
    assert np.allclose(alpha[left & _BEHIND], 0, atol=1e-4) and np.allclose(alpha[left & ~_BEHIND], before, atol=1e-4)


def test_moving_meshes_blur(scene, mesh, tmp_path):
    for frame, aside in ((0, -2500.0), (2, -1500.0)):
        mesh.location.x = aside
        mesh.keyframe_insert("location", frame=frame)
    scene.render.use_motion_blur, scene.headgas_render.motion_samples = True, 4
    alpha = _rgba(render_layers(tmp_path / "blurred.exr"))[..., 3]
    assert len(np.unique(alpha[5].round(3))) > 3 and alpha[5, 0] == 0 and alpha[5, -1] == 1


@pytest.mark.parametrize("engine", ['HEADGAS', 'HEADGAS_CYCLES'])
def test_faces_with_holdout_materials_hide_what_is_behind_them(scene, mesh, tmp_path, capfd, engine):
    """The square's left half has a Holdout material; the right half mixes Holdout with what glows."""
    mesh.is_holdout, scene.render.engine = False, engine
    mesh.data.clear_geometry()
    mesh.data.from_pydata(
        [(x, 0, z) for x in (-2e3, 2e3, 6e3) for z in (-2e3, 2e3)], [], [(0, 2, 3, 1), (2, 4, 5, 3)]
    )
    mesh.data.polygons[1].material_index = 1
    glow = mesh.data.materials[0]
    mixed, whole = glow.copy(), glow.copy()
    for material in (whole, mixed):
        tree = material.node_tree
        holdout = tree.nodes.new('ShaderNodeHoldout')
        surface = tree.get_output_node('ALL').inputs["Surface"]
        if material is mixed:
            mix = tree.nodes.new('ShaderNodeMixShader')
            tree.links.new(holdout.outputs[0], mix.inputs[1])
            tree.links.new(surface.links[0].from_socket, mix.inputs[2])
            holdout = mix
        tree.links.new(holdout.outputs[0], surface)
    mesh.data.materials[0] = whole
    mesh.data.materials.append(mixed)
    alpha = _rgba(render_layers(tmp_path / "cut.exr"))[..., 3]
    left = _COLUMNS < 23  # what mixes begins in the next column, and Cycles blurs edges
    assert np.allclose(alpha[left], np.where(_BEHIND, 0, 1)[left], atol=1e-4)
    assert alpha[5, 40] == 1
    assert f"'{mixed.name}' is a holdout in part" in capfd.readouterr().out


@pytest.mark.parametrize("what", ["collection", "instance", "not seen by the camera", "only this layer"])
def test_collections_and_instances(scene, mesh, tmp_path, what):
    mesh.is_holdout = False
    collection = bpy.data.collections.new("cut out")
    scene.collection.children.link(collection)
    collection.objects.link(mesh)
    scene.collection.objects.unlink(mesh)
    if what == "instance":
        instance = bpy.data.objects.new("instance", None)
        instance.instance_type, instance.instance_collection = 'COLLECTION', collection
        scene.collection.objects.link(instance)
        scene.view_layers[0].layer_collection.children["cut out"].exclude = True
        instance.is_holdout = True
    else:
        scene.view_layers[0].layer_collection.children["cut out"].holdout = what != "only this layer"
    mesh.visible_camera = what != "not seen by the camera"
    alpha = _rgba(render_layers(tmp_path / "cut.exr"))[..., 3]
    assert (alpha[5, 10] == 0) == (what in ("collection", "instance")) and alpha[5, 40] == 1


@pytest.fixture
def pair(scene, avatar, tmp_path):
    """Two avatars: of each pair of columns one shows the first, the other the second, which is a holdout."""
    avatar.name = "Seen"
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "second.safetensors")))
    bpy.context.object.name = "Cut"
    bpy.data.objects["Cut"].is_holdout = True
    return [bpy.data.objects["Seen"], bpy.data.objects["Cut"]]


@pytest.mark.parametrize("transparent", [True, False])
def test_an_avatar_is_a_hole_in_our_engine(scene, pair, service, tmp_path, transparent):
    scene.render.film_transparent = transparent
    world = scene.world = bpy.data.worlds.new("world")
    world.color = (0.5, 0.5, 0.5)
    layer = scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_object_index = layer.use_pass_cryptomatte_object = True
    layer.headgas_passes.use_avatar_alphas = True
    pair[0].pass_index = pair[1].pass_index = 3
    layers = render_layers(tmp_path / "cut.exr")
    held = (_COLUMNS % 2).astype(bool)
    assert [avatar["holdout"] for avatar in service.requests[-1]["avatars"]] == [False, True]
    assert (_rgba(layers)[held] == 0).all() and (_rgba(layers)[~held][:, 3] == 1).all()
    index = next(plane for name, plane in layers.items() if "Index" in name)
    assert (index == np.where(held, 0, 3)).all() and (layers["ViewLayer.CryptoObject00.g"] == ~held).all()
    assert (layers["ViewLayer.Alpha Cut.A"] == held).all() and (layers["ViewLayer.Depth.Z"][held] > 1e9).all()


def test_an_avatar_is_a_hole_in_cycles(scene, pair, tmp_path):
    scene.render.engine, scene.render.film_transparent = 'HEADGAS_CYCLES', False
    plane(scene, 5000.5, (0.2, 0.4, 0.6), size=9000.0)
    image = _rgba(render_layers(tmp_path / "cut.exr"))
    held, behind = (_COLUMNS % 2).astype(bool), _COLUMNS + 1000 * _ROWS > 5000.5
    assert (image[held & ~behind] == 0).all() and np.allclose(image[..., 3][~held | behind], 1, atol=1e-4)
    assert np.allclose(image[behind], [0.2, 0.4, 0.6, 1], atol=2e-3)


def test_hair_and_volumes_are_named(scene, avatar, tmp_path, capfd):
    volume = bpy.data.objects.new("smoke", bpy.data.volumes.new("smoke"))
    scene.collection.objects.link(volume)
    volume.is_holdout, scene.render.engine = True, 'HEADGAS_CYCLES'
    render_layers(tmp_path / "still.exr")
    assert "'smoke' is a holdout without a surface" in capfd.readouterr().out
