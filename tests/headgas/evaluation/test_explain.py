# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an avatar has learnt: effects, the basis as colours, importance and removal, the page."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.functional.image import peak_signal_noise_ratio

from headgas.avatars import ExpressionSpace, ModesConfig, load_avatar, save_avatar
from headgas.avatars.framing import face_camera
from headgas.captures import load_capture
from headgas.errors import HeadGaSError
from headgas.evaluation.basis import basis_colors
from headgas.evaluation.effects import Effect, effect_sheets, parameter_effects
from headgas.evaluation.explain import explain
from headgas.evaluation.metrics import photograph_over_white, render_over_white
from headgas.evaluation.plot import curve_plot, ticks
from headgas.evaluation.removal import SHARES, importance, removal_series
from headgas.evaluation.sheet import titled_sheet
from headgas.evaluation.views import extreme_of, frame_views, sampled_views
from headgas.splatting import rasterize
from tests.headgas.conftest import NAMES, SIZE, small_avatar, write_capture


def _psnr(image: torch.Tensor, target: torch.Tensor) -> float:
    return peak_signal_noise_ratio(image, target, data_range=1.0).item()


def test_the_value_that_shows_a_parameter() -> None:
    space = ExpressionSpace(
        "custom", tuple("abcde"), (0.0, 0.0, 0.5, 0.0, 0.2), (0.0, 0.0, 0.0, -0.7, 0.2), (3.0, 0.4, 1.0, 0.0, 0.2)
    )
    expected = [(1.0, True), (0.4, True), (1.0, True), (-0.7, True), (1.2, False)]
    assert [extreme_of(space, i) for i in range(5)] == expected


def test_the_face_camera_holds_the_avatar_and_sees_the_face() -> None:
    avatar = small_avatar(400)
    camera = face_camera(avatar, 64)
    assert camera.position[1] < avatar.means[:, 1].min() and abs(camera.position[0]) < 0.02
    pixels = (avatar.means.detach() @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]) @ camera.K.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    assert pixels.min() > 0 and pixels.max() < 64 and (pixels.amax(0) - pixels.amin(0) > 48).all()
    turned = face_camera(avatar, 64, yaw=30)
    assert turned.position[0] > 0.1  # to the subject's left


def test_effects_are_those_of_the_rendered_parameter() -> None:
    avatar = small_avatar(200)
    avatar.basis[2] = 0  # eyeBlinkLeft does nothing
    effects = parameter_effects(avatar)
    assert sorted(effect.name for effect in effects) == sorted(NAMES) and effects[-1].name == "eyeBlinkLeft"
    assert effects[-1].color_change == effects[-1].opacity_change == 0
    tiles = np.split(effects[-1].picture, 4, axis=1)
    np.testing.assert_array_equal(tiles[0], tiles[1])
    assert not tiles[2].any()
    first = effects[0]
    camera = face_camera(avatar, 160)
    expression = avatar.neutral()
    expression[NAMES.index(first.name)] = first.value
    change = avatar.gaussians(expression, camera).opacities - avatar.gaussians(avatar.neutral(), camera).opacities
    assert first.opacity_change == pytest.approx(change.abs().mean().item(), rel=1e-5) and first.movement == 0
    tiles = [tile.astype(int) for tile in np.split(first.picture, 4, axis=1)]
    np.testing.assert_allclose(tiles[2], np.clip(4 * abs(tiles[1] - tiles[0]), 0, 255), atol=5)
    orange = (tiles[3][..., 0] - tiles[3][..., 2]).clip(0).sum()
    assert (orange > 0) == bool((change > 0.01).any())


def test_many_parameters_and_long_names_stay_readable() -> None:
    """A hundred and twenty parameters in pages of 24; names of any length end within their cell."""
    picture = np.zeros((160, 4 * 160, 3), np.uint8)
    effects = [Effect(f"parameter_{i}_" + "ü" * 3 * i, 1.0, True, 0.1, 0.1, 0.0, picture) for i in range(120)]
    sheets = effect_sheets(effects)
    assert len(sheets) == 5 and all(sheet.shape[1] == 2 * 4 * 160 for sheet in sheets)
    assert effect_sheets(effects[:1])[0].shape[1] == 4 * 160
    cell = titled_sheet([[np.full((4, 80, 3), 7, np.uint8), np.full((4, 80, 3), 9, np.uint8)]], ["x" * 200, ""])
    assert cell.shape == (22, 160, 3) and (cell[:18, 80:] == 255).all() and (cell[:18, :80] < 128).any()


def test_basis_colors_are_the_principal_components() -> None:
    """Two kinds of Gaussians along one direction of the rows beyond f_0; f_0 itself must not count."""
    torch.manual_seed(0)
    kind = torch.arange(50) % 2
    basis = 1e-3 * torch.randn(4, 50, 3)
    basis[0] = 100 * torch.randn(50, 3)
    basis[2, :, 1] += kind * 5.0
    colors, shares = basis_colors(basis)
    assert colors.shape == (50, 3) and colors.min() >= 0 and colors.max() <= 1
    assert shares[0] > 0.99 and sum(shares) <= 1 + 1e-5
    np.testing.assert_allclose(colors[:, 0], kind.float(), atol=0.01)
    again, _ = basis_colors(basis)
    assert torch.equal(colors, again)
    constant, shares = basis_colors(basis[:1])  # nothing but f_0
    assert constant.std() > 0.1 and len(shares) == 3
    flat, _ = basis_colors(torch.zeros(2, 5, 1))
    assert flat.shape == (5, 3) and torch.isfinite(flat).all()


def test_importance_is_what_each_gaussian_paints(tmp_path: Path) -> None:
    """The slow twin: paint one Gaussian white and all others black, and add up the picture."""
    avatar = small_avatar(30)
    views = frame_views(avatar, load_capture(write_capture(tmp_path / "capture", 2, 1)).frames)
    expected = torch.zeros(30)
    for view in views:
        gaussians = avatar.gaussians(view.expression, view.camera)
        for i in range(30):
            colors = torch.zeros(30, 3)
            colors[i] = 1
            painted = dataclasses.replace(gaussians, colors=colors)
            expected[i] += rasterize(painted, view.camera, antialiased=True).color[..., 0].sum().item()
    torch.testing.assert_close(importance(avatar, views), expected, rtol=1e-3, atol=1e-2)


def test_removal_against_photographs(tmp_path: Path) -> None:
    avatar = small_avatar(100)
    capture = load_capture(write_capture(tmp_path / "capture", 4, 2))
    test = capture.split("test")
    series, strip = removal_series(
        avatar, importance(avatar, frame_views(avatar, capture.frames)), frame_views(avatar, test)
    )
    assert [part.gaussians for part in series] == [100, 80, 60, 40, 30, 20, 10, 5]
    expected = [_psnr(render_over_white(avatar, frame), photograph_over_white(frame)) for frame in test]
    assert series[0].psnr == pytest.approx(np.mean(expected), abs=1e-4)
    assert strip.shape == (2 * SIZE + 18, (1 + len(SHARES)) * SIZE, 3)


def test_removal_keeps_the_important() -> None:
    """What is removed first changes the avatar's own pictures least."""
    avatar = small_avatar(200)
    views = sampled_views(avatar, 4, SIZE, seed=0)
    weights = importance(avatar, views)
    right, strip = removal_series(avatar, weights, views)
    wrong, _ = removal_series(avatar, -weights, views)
    assert right[0].psnr is None and strip.shape == (3 * SIZE + 18, len(SHARES) * SIZE, 3)
    assert all(a.psnr > b.psnr + 3 for a, b in zip(right[1:4], wrong[1:4], strict=True))  # type: ignore[operator]
    assert right[1].psnr > right[3].psnr > right[7].psnr  # type: ignore[operator]


def test_sampled_views_stay_within_what_training_saw() -> None:
    avatar = small_avatar(names=tuple(f"p{i}" for i in range(40)))
    views = sampled_views(avatar, 20, 32, seed=3)
    assert not views[0].expression.any()
    expressions = torch.stack([view.expression for view in views])
    assert expressions.min() >= 0 and expressions.max() <= 1
    assert 4 < (expressions[1:] > 0).sum(1).float().mean() < 12
    assert torch.equal(expressions[7], sampled_views(avatar, 20, 32, seed=3)[7].expression)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 12000, [0, 5000, 10000, 15000]), (15.8, 32.1, [15, 20, 25, 30, 35]), (2, 2, [2.0, 2.0002])],
)
def test_ticks(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_the_curve_passes_its_points() -> None:
    picture = curve_plot([(0.0, 10.0), (50.0, 20.0), (100.0, 20.0)], "x", "y").astype(int)
    green = (picture[..., 1] - picture[..., 0] > 40) & (picture[..., 1] - picture[..., 2] > 20)
    rows, columns = np.nonzero(green)
    assert rows[columns < columns.min() + 3].mean() > rows[columns > columns.max() - 3].mean() + 200
    assert curve_plot([], "x", "y").shape == picture.shape


def test_the_files_of_an_explanation(tmp_path: Path) -> None:
    space = ("jaw & <chin>", "b")
    save_avatar(tmp_path / "avatar.safetensors", small_avatar(40, names=space), "headgas", {})
    out = tmp_path / "out"
    numbers = explain(load_avatar(tmp_path / "avatar.safetensors"), None, out)
    names = {path.name for path in out.iterdir()}
    assert names == {
        "effects_1.png", "basis.png", "removal.png", "removal_plot.png", "explain.html", "explain.json"
    }  # fmt: skip
    assert json.loads((out / "explain.json").read_text("utf-8")) == numbers
    assert {row["name"] for row in numbers["parameters"]} == set(space)
    assert numbers["removal"]["series"][0] == {"share": 1.0, "gaussians": 40, "psnr": None}
    page = (out / "explain.html").read_text("utf-8")
    assert "jaw &amp; &lt;chin&gt;" in page and "<chin>" not in page and page.count("<img") == 4
    assert Image.open(out / "basis.png").size == (512, 512)


def test_motion_modes_are_explained_by_what_they_move(tmp_path: Path) -> None:
    torch.manual_seed(0)
    space = ExpressionSpace("custom", ("a", "b"), (0.0, 0.0), (0.0, 0.0), (1.0, 1.0))
    points = torch.nn.functional.normalize(torch.randn(40, 3), dim=1) * 0.1
    avatar = ModesConfig(modes=4, code=2, hidden=4, frequencies=2).build(space, points)
    with torch.no_grad():
        avatar.get_parameter("mixer.weight")[:, 0].normal_()  # the second parameter moves nothing
    save_avatar(tmp_path / "avatar.safetensors", avatar, "modes", {}, compact=False)
    numbers = explain(load_avatar(tmp_path / "avatar.safetensors"), None, tmp_path / "out")
    movement = {row["name"]: row["movement"] for row in numbers["parameters"]}
    assert movement["a"] > 1e-4 and movement["b"] < 1e-6
    assert numbers["basis"]["rows"] == 1


def test_a_capture_of_other_parameters_is_refused(tmp_path: Path, capture_folder: Path) -> None:
    save_avatar(tmp_path / "avatar.safetensors", small_avatar(10, names=("smile",)), "headgas", {})
    with pytest.raises(HeadGaSError, match="smile"):
        explain(load_avatar(tmp_path / "avatar.safetensors"), load_capture(capture_folder), tmp_path / "out")
    assert not (tmp_path / "out").exists()
