# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars that nothing drives: their pictures, their files, and avatars of other models as splats."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from headgas import cli
from headgas.avatars import SplatAvatar, load_avatar, read_header, save_avatar
from headgas.avatars.spherical_harmonics import sh_to_color
from headgas.avatars.surface import extract_surface
from headgas.errors import HeadGaSError
from headgas.splatting.splats import Splats
from tests.headgas.avatars.test_headgas import camera
from tests.headgas.conftest import small_avatar

NOTHING = torch.zeros(0)


def some_splats(count: int = 50, degree: int = 3, seed: int = 0) -> Splats:
    """Random Gaussians of 2 to 4 cm on a ball as large as a head."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    means = 0.1 * torch.nn.functional.normalize(normal(count, 3), dim=1)
    harmonics = normal(count, (degree + 1) ** 2, 3) * 0.4
    return Splats(means, normal(count, 4), 0.2 * normal(count, 3) - 3.6, normal(count) + 1, harmonics)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_colours_and_opacities_are_those_of_the_harmonics(degree: int) -> None:
    splats = some_splats(degree=degree)
    gaussians = SplatAvatar(splats).gaussians(NOTHING, camera())
    directions = torch.nn.functional.normalize(splats.means - camera().position, dim=1)
    torch.testing.assert_close(gaussians.colors, sh_to_color(splats.harmonics, directions), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gaussians.opacities, splats.logits.sigmoid())
    torch.testing.assert_close(gaussians.scales, splats.log_scales.exp())


def test_a_round_trip_keeps_every_number(tmp_path: Path) -> None:
    avatar = SplatAvatar(some_splats(degree=2))
    save_avatar(tmp_path / "a.safetensors", avatar, "imported", {})
    checkpoint = load_avatar(tmp_path / "a.safetensors")
    assert checkpoint.header["expression_space"]["names"] == [] and checkpoint.header["model"] == "Splats"
    assert checkpoint.avatar.tensors().keys() == avatar.tensors().keys()
    for name, value in avatar.tensors().items():
        assert torch.equal(checkpoint.avatar.tensors()[name], value), name


def test_it_has_a_surface_and_info_speaks_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    avatar = SplatAvatar(some_splats(2000))
    surface = extract_surface(avatar)
    assert len(surface["faces"]) > 100
    save_avatar(tmp_path / "a.safetensors", avatar, "imported", {}, surface)
    assert cli.main(["info", str(tmp_path / "a.safetensors")]) == 0
    said = capsys.readouterr().out
    assert "Splats" in said and "Nothing drives it" in said
    assert cli.main(["explain", str(tmp_path / "a.safetensors")]) == 2
    assert "nothing drives" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        {"harmonics": torch.zeros(50, 5, 3)},
        {"harmonics": torch.zeros(50, 25, 3)},
        {"logits": torch.zeros(49)},
        {"means": torch.full((50, 3), torch.nan)},
        {"quaternions": torch.zeros(50, 4, dtype=torch.float64)},
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path: Path, wrong: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "a.safetensors"
    save_avatar(path, SplatAvatar(some_splats()), "imported", {})
    save_file(load_file(path) | wrong, path, metadata={"headgas": json.dumps(read_header(path))})
    with pytest.raises(HeadGaSError, match="damaged"):
        load_avatar(path)


def test_an_expression_is_refused() -> None:
    with pytest.raises(HeadGaSError, match="0 parameters"):
        SplatAvatar(some_splats()).gaussians(torch.zeros(1), camera())


@pytest.mark.parametrize(
    "options",
    [{}, {"blended": "outputs"}, {"blended": "nothing"}, {"predicted": ("opacity", "means", "quaternions", "scales")}],
)
def test_splats_of_an_expression_look_as_the_avatar_does(options: dict) -> None:
    avatar, expression = small_avatar(**options), torch.tensor([0.2, 0.9, 0.4])
    frozen = SplatAvatar(avatar.splats(expression))
    assert frozen.antialiased == avatar.antialiased
    for view in (camera(), camera(0.7)):
        expected, got = avatar.gaussians(expression, view), frozen.gaussians(NOTHING, view)
        names = set(vars(expected)) - ({"colors"} if "means" in options.get("predicted", ()) else set())
        for name in names:  # colours are seen in the directions of the means, which HeadGaS takes before they move
            value = getattr(expected, name)
            torch.testing.assert_close(getattr(got, name), value, rtol=1e-4, atol=1e-5, msg=name)
