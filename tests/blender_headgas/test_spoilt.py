# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes whose picture another scene's render wants, and which fail: no frame without avatars stays as a file."""

import bpy
import pytest
from avatar_files import write_avatar

from tests.compositing import users_nodes


@pytest.fixture
def failing(scene, service, tmp_path):
    """A scene whose avatar the backend refuses; another with the same objects, which writes f_0001.exr and so on."""
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "refuse.safetensors")))
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    main = scene.copy()
    main.name, main.render.engine, main.frame_end = "main", 'CYCLES', 2
    return scene


def _fails(tmp_path) -> None:
    main = bpy.data.scenes["main"]
    path = main.render.filepath = str(tmp_path / "frames" / "f_")
    for _ in range(2):  # what is kept of the first must not be taken for the second
        with pytest.raises(RuntimeError, match="HeadGaS could not render the avatars"):
            bpy.ops.render.render(animation=True, scene="main")
        bpy.ops.render.render(write_still=True, scene="main")
        assert main.render.filepath == path
    assert not list((tmp_path / "frames").glob("*"))


@pytest.mark.parametrize("engine", ['HEADGAS', 'HEADGAS_CYCLES'])
def test_a_compositor_s_own_files(failing, tmp_path, engine, caplog):
    """The user's own nodes: they show another scene, and write a file beside others' files."""
    failing.render.engine, main = engine, bpy.data.scenes["main"]
    tree = users_nodes(main)
    next(node for node in tree.nodes if node.type == 'R_LAYERS').scene = failing
    output = tree.nodes.new('CompositorNodeOutputFile')
    if hasattr(output, "directory"):
        output.directory, output.file_name = str(tmp_path / "nodes"), "beauty_"
        output.file_output_items.new('RGBA', "Image")
    else:
        output.base_path, output.file_slots[0].path = str(tmp_path / "nodes"), "beauty_"
    tree.links.new(next(node for node in tree.nodes if node.type == 'EXPOSURE').outputs[0], output.inputs[0])
    (tmp_path / "nodes").mkdir()
    others = [tmp_path / "nodes" / f"beauty_{frame:04d}.exr" for frame in (2, 7)]
    for path in others:
        path.write_bytes(b"another machine's")
    _fails(tmp_path)
    assert sorted((tmp_path / "nodes").iterdir()) == others
    assert "Frame 1: This avatar is refused" in caplog.text


@pytest.mark.parametrize("engine", ['HEADGAS', 'HEADGAS_CYCLES'])
def test_a_strip_of_the_sequencer(failing, tmp_path, engine):
    failing.render.engine = engine
    editor = bpy.data.scenes["main"].sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strips.new_scene("shot", failing, 1, 1)
    _fails(tmp_path)
