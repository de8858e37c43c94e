# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""In `blender -b` with graphics: EEVEE's picture with avatars in it, by both operators, and the user's nodes after it.

`blender -b shot.blend --python eevee.py -- FOLDER`. The compositor's picture is compared with numpy's of both scenes.
"""

import sys
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.compositing import links_of, make_glow, users_nodes

_CLOSE = 0.01
_FRONT, _BACK = (0.8, 0.1, 0.1), (0.1, 0.3, 0.6)


def main(folder: Path) -> None:
    scene = bpy.context.scene
    scene.render.engine = 'BLENDER_EEVEE' if bpy.app.version >= (5, 0, 0) else 'BLENDER_EEVEE_NEXT'
    scene.render.image_settings.file_format, scene.render.image_settings.color_depth = 'OPEN_EXR', '32'
    scene.render.film_transparent, scene.eevee.taa_render_samples = False, 1
    scene.render.use_overwrite = True
    _plane("front", -0.3, _FRONT, 0.0)
    _plane("back", 0.4, _BACK, -1.0)
    tree = users_nodes(scene)
    before = links_of(tree)
    control = next(obj for obj in scene.objects if obj.headgas.is_avatar)
    control.visible_camera = False
    alone = _rendered(scene, folder / "alone.exr")
    assert bpy.ops.headgas.set_up_compositing() == {'FINISHED'}
    image = _rendered(scene, folder / "combined.exr")
    second = next(other for other in bpy.data.scenes if other != scene)
    avatar = _rendered(second, folder / "avatars.exr")
    _compare(image, alone, avatar)
    assert bpy.ops.headgas.remove_compositing() == {'FINISHED'}
    assert list(bpy.data.scenes) == [scene] and links_of(tree) == before
    assert np.abs(_rendered(scene, folder / "again.exr") - alone).max() < _CLOSE
    print("EEVEE is as it should be")


def _compare(image: np.ndarray, alone: np.ndarray, avatar: np.ndarray) -> None:
    """The user's node doubles the light of all. The right half is behind the plane in front, the left half before."""
    middle = image.shape[1] // 2
    assert avatar[..., 3].max() > 0.9 and (avatar[..., 3] > 0.5).mean() > 0.05
    right, left = slice(middle + 3, None), slice(None, middle - 3)
    assert np.abs(image[:, right] - alone[:, right]).max() < _CLOSE, "the avatar is seen through the plane in front"
    expected = 2 * avatar[:, left, :3] + (1 - avatar[:, left, 3:]) * alone[:, left, :3]
    error = np.abs(image[:, left, :3] - expected).max(-1)
    solid = np.abs(avatar[:, left, 3] - 0.5) > 0.49  # Z Combine softens the edges between what is nearer
    assert np.median(error) < _CLOSE and np.quantile(error[solid], 0.98) < _CLOSE, float(error[solid].max())
    assert (error[avatar[:, left, 3] > 0.99] < _CLOSE).mean() > 0.98


def _plane(name: str, y: float, color: tuple[float, float, float], left: float) -> None:
    """A glowing plane across the camera's view, from `left` to the right, at y metres."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(left, y, -1), (1, y, -1), (1, y, 1), (left, y, 1)], [], [(0, 1, 2, 3)])
    make_glow(mesh, color)
    bpy.context.scene.collection.objects.link(bpy.data.objects.new(name, mesh))


def _rendered(scene: bpy.types.Scene, path: Path) -> np.ndarray:
    """The scene's picture [H,W,4], row 0 on top."""
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True, scene=scene.name)
    image = bpy.data.images.load(str(path))
    width, height = image.size
    values = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(values)
    bpy.data.images.remove(image)
    return values.reshape(height, width, 4)[::-1]


main(Path(sys.argv[sys.argv.index("--") + 1]))
