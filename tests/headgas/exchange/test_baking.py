# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar baked into a scene: it looks the same there, and its bytes are what Blender's splats hold."""

from pathlib import Path

import numpy as np
import pytest
import torch

from headgas.avatars import SplatAvatar, save_avatar
from headgas.avatars.rendering import PlacedAvatar, render_frame
from headgas.avatars.spherical_harmonics import sh_to_color
from headgas.errors import HeadGaSError
from headgas.exchange import ReadingOptions, read_avatar
from headgas.exchange.axes import AXES, into_head_space
from headgas.exchange.baking import baked, content
from headgas.service.requests import Requests
from headgas.splatting.rotations import matrices_of
from tests.headgas.avatars.test_headgas import camera
from tests.headgas.avatars.test_splats import NOTHING, some_splats
from tests.headgas.conftest import small_avatar

EXPRESSION = torch.tensor([0.5, 0.0, 1.0])


def _transform(scale: float = 1.3) -> torch.Tensor:
    """A turn about a slanted axis, a move and a scale."""
    placed = torch.eye(4)
    turn = matrices_of(torch.nn.functional.normalize(torch.tensor([[0.9, -0.1, 0.2, 0.3]]), dim=1))[0]
    placed[:3, :3], placed[:3, 3] = scale * turn, torch.tensor([0.02, -0.03, 0.05])
    return placed


@pytest.mark.parametrize("axes", AXES)
def test_splats_look_as_the_avatar_does_there(axes: str) -> None:
    avatar, transform, view = small_avatar(), _transform(), camera(0.4)
    splats = baked(avatar, EXPRESSION, transform, axes)
    expected, _ = render_frame([PlacedAvatar(avatar, EXPRESSION, transform)], view)
    there = SplatAvatar(into_head_space(splats, axes))
    got, _ = render_frame([PlacedAvatar(there, NOTHING, torch.eye(4))], view)
    assert expected[..., 3].max() > 0.5
    torch.testing.assert_close(got, expected, rtol=0, atol=2e-3)


def test_what_no_picture_shows_is_left_out() -> None:
    splats = some_splats(9, 1)
    splats.logits[:] = torch.logit(torch.tensor([0.5] * 6 + [0.0038] * 3))
    assert len(baked(SplatAvatar(splats), NOTHING, torch.eye(4))) == 6


@pytest.mark.parametrize("degree", [0, 3])
def test_native_bytes_are_blender_s_attributes(degree: int) -> None:
    """Read here byte by byte: plane after plane, each with the numbers of all points."""
    splats = some_splats(5, degree)
    splats.logits.clamp_(min=0)
    kept = baked(SplatAvatar(splats), NOTHING, torch.eye(4))
    data, _ = content(kept, "native")
    count, bands = 5, (degree + 1) ** 2
    assert len(data) == 4 * count * (3 + 4 + 3 + 4 + 3 * (bands - 1))
    planes, start = [], 0
    for channels in (3, 4, 3, 4, *[3] * (bands - 1)):
        planes.append(np.frombuffer(data, "<f4", count * channels, start).reshape(count, channels))
        start += 4 * count * channels
    positions, rotations, scales, base, *rest = planes
    assert np.allclose(positions, splats.means, atol=1e-6) and np.allclose(scales, splats.log_scales.exp(), rtol=1e-5)
    assert np.allclose(np.linalg.norm(rotations, axis=1), 1, atol=1e-6)
    turned = matrices_of(torch.nn.functional.normalize(splats.quaternions, dim=1))
    assert torch.allclose(matrices_of(torch.tensor(rotations)), turned, atol=1e-5)
    assert np.allclose(base[:, 3], splats.logits.sigmoid(), atol=1e-6)
    harmonics = torch.tensor(np.stack([base[:, :3], *rest], 1))
    towards = torch.nn.functional.normalize(torch.randn(5, 3), dim=1)
    torch.testing.assert_close(sh_to_color(harmonics, towards), sh_to_color(splats.harmonics, towards))


@pytest.mark.parametrize("kind", ["ply", "spz"])
def test_files_are_what_readers_of_the_format_expect(tmp_path: Path, kind: str) -> None:
    splats = baked(small_avatar(), EXPRESSION, _transform())
    data, _ = content(splats, kind)
    path = tmp_path / f"baked.{kind}"
    path.write_bytes(data)
    read = read_avatar(path, ReadingOptions(axes="blender")).avatar.splats(NOTHING)
    assert torch.allclose(read.means, splats.means, atol=1e-5)
    assert torch.allclose(read.logits.sigmoid(), splats.logits.sigmoid(), atol=1 / 255)


def test_the_service_bakes(tmp_path: Path) -> None:
    path = tmp_path / "head.safetensors"
    save_avatar(path, small_avatar(), "headgas", {})
    placed = {"path": str(path), "expression": EXPRESSION.tolist(), "transform": _transform().tolist()}
    requests = Requests(torch.device("cpu"))
    result, data = requests.answer("splats", {"avatar": placed, "kind": "native"})
    assert data is not None and result["bytes"] == len(data)
    assert len(data) == 4 * result["count"] * (11 + 3 * result["harmonics"])
    assert any("antialiased" in warning for warning in result["warnings"])
    expected, _ = content(baked(small_avatar(), EXPRESSION, _transform()), "native")
    assert np.allclose(np.frombuffer(data, "<f4"), np.frombuffer(expected, "<f4"), atol=2e-2)  # a file's int8
    for change, message in (({"kind": "obj"}, "expected one of ply"), ({"axes": "up"}, "axes 'up'")):
        with pytest.raises(HeadGaSError, match=message):
            requests.answer("splats", {"avatar": placed, "kind": "ply"} | change)


@pytest.mark.parametrize("stretch", [(1.0, 1.0, 1.2), (-1.0, 1.0, 1.0), (0.0, 0.0, 0.0)])
def test_uneven_scales_are_refused(stretch: tuple[float, float, float]) -> None:
    with pytest.raises(HeadGaSError, match="scaled unevenly or mirrored"):
        baked(small_avatar(), EXPRESSION, _transform() @ torch.diag(torch.tensor([*stretch, 1.0])))
