# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both real programs: a baked sequence, read here byte by byte, and rendered as an avatar again, is the shot."""

import gzip
import struct

import bpy
import numpy as np
import pytest

from tests.blender_headgas.stand_in import render_still
from tests.contract.test_pixels import head  # noqa: F401

pytestmark = pytest.mark.usefixtures("real_service")
_NAMES = [*"xyz", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", *(f"scale_{i}" for i in range(3)),
          *(f"rot_{i}" for i in range(4))]  # fmt: skip


def _read_ply(data: bytes) -> dict[str, np.ndarray]:
    """Columns [N] by their names."""
    header, _, rows = data.partition(b"end_header\n")
    lines = header.decode().splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    names = [line.split()[2] for line in lines if line.startswith("property float ")]
    count = next(int(line.split()[2]) for line in lines if line.startswith("element vertex "))
    assert len(rows) == 4 * count * len(names)
    values = struct.unpack(f"<{count * len(names)}f", rows)
    return dict(zip(names, np.array(values).reshape(count, len(names)).T, strict=True))


def _place(scene, head) -> None:  # noqa: F811
    rig = head.parent
    rig.location, rig.rotation_euler, rig.scale = (0.02, -0.01, 0.03), (0.1, -0.2, 0.4), (1.1, 1.1, 1.1)
    scene.frame_start, scene.frame_end = 7, 8
    key = head.data.shape_keys.key_blocks["jawOpen"]
    for frame, value in ((7, 0.0), (8, 1.0)):
        key.value = value
        key.keyframe_insert("value", frame=frame)


def test_a_frame_of_a_sequence_is_the_avatar_where_it_stood(scene, head, tmp_path):  # noqa: F811
    _place(scene, head)
    assert bpy.ops.headgas.bake_sequence(filepath=str(tmp_path / "head.ply")) == {'FINISHED'}
    frames = [_read_ply((tmp_path / f"head_{number:04d}.ply").read_bytes()) for number in (7, 8)]
    assert set(_NAMES) <= frames[0].keys() and len(frames[0]) in (17, 26, 41, 62)
    places = np.stack([frames[0][axis] for axis in "xyz"], 1)
    bpy.context.view_layer.update()
    inside = (places - np.array(head.matrix_world)[:3, 3]) @ np.linalg.inv(np.array(head.matrix_world)[:3, :3]).T
    assert np.linalg.norm(inside, axis=1).max() < 0.13 and len(places) > 20  # Gaussians lie on a ball of 10 cm
    assert any(np.abs(frames[0][name] - frames[1][name]).max() > 0.1 for name in ("f_dc_0", "opacity"))
    _assert_spz(frames[0], tmp_path)
    head.parent.scale.x = 2.0
    with pytest.raises(RuntimeError, match="scaled unevenly or mirrored"):
        bpy.ops.headgas.bake_sequence(filepath=str(tmp_path / "uneven.ply"))
    assert not list(tmp_path.glob("uneven*"))
    head.parent.scale.x = 1.1
    scene.frame_set(8)
    expected = render_still(tmp_path / "expected.exr")
    for obj in (head, head.parent):
        bpy.data.objects.remove(obj)
    bpy.ops.headgas.import_avatar(filepath=str(tmp_path / "head_0008.ply"), axes='BLENDER')
    assert expected[..., 3].max() > 0.9
    assert np.abs(render_still(tmp_path / "baked.exr") - expected).max() < 5e-3


def _assert_spz(columns: dict[str, np.ndarray], folder) -> None:
    """The first frame as SPZ: what the PLY file says, lying as the format says."""
    bpy.context.scene.frame_end = 7
    bpy.ops.headgas.bake_sequence(filepath=str(folder / "head.spz"))
    data = gzip.decompress((folder / "head_0007.spz").read_bytes())
    magic, version, count, _, bits = struct.unpack_from("<4sIIBB", data)
    assert (magic, version) == (b"NGSP", 3)
    packed = np.frombuffer(data, np.uint8, 9 * count, 16).reshape(count, 3, 3).astype(np.int64)
    fixed = packed[..., 0] | packed[..., 1] << 8 | packed[..., 2] << 16
    places = (fixed - ((fixed & 0x800000) << 1)) / (1 << bits)
    x, y, z = (columns[axis] for axis in "xyz")
    assert np.abs(places - np.stack([x, z, -y], 1)).max() < 1e-5  # Y up, Z to the viewer
