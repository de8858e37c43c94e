# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianHead and its parts against their formulas written out."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from headgas.avatars import ExpressionSpace, GaussianHead, GaussianHeadConfig, load_avatar, save_avatar
from headgas.avatars.blocks import in_blocks
from headgas.avatars.deformation import Deformation
from headgas.avatars.derivations import derived
from headgas.avatars.factors import sample_plainly
from headgas.avatars.spherical_harmonics import sh_to_color
from headgas.avatars.stretching import unstretched
from headgas.errors import HeadGaSError
from headgas.splatting.rotations import matrices_of
from tests.headgas.avatars.test_headgas import camera
from tests.headgas.conftest import NAMES

SMALL: dict[str, Any] = dict(resolutions=(8,), octaves=2, deformation_layers=4, deformation_width=8, hidden=8)


def small_gaussian_head(count: int = 40, seed: int = 0, **options: Any) -> GaussianHead:
    """An untrained avatar in which nothing is zero and every Gaussian has derivations of its own."""
    torch.manual_seed(seed)
    space = ExpressionSpace("custom", NAMES, (0.0, 0.1, 0.0), (0.0,) * 3, (1.0,) * 3)
    points = 0.1 * normalize(torch.randn(count, 3), dim=1) + torch.tensor([0.01, 0.02, 0.03])
    avatar = GaussianHead(space, points, GaussianHeadConfig(**SMALL | options))
    with torch.no_grad():
        for layer in avatar.deformation.layers:
            layer.get_parameter("weight").normal_(std=0.3)
        for name in ("move", "turn", "stretch"):
            head = avatar.deformation.get_submodule(name)
            head.get_parameter("weight").normal_(std=0.2)
            head.get_parameter("bias").normal_(std=0.05)
        for name, scale in (("opacity_network", 3.0), ("color_network", 3.0)):
            for parameter in avatar.get_submodule(name).parameters():
                parameter.mul_(scale)
        if avatar.derivations is not None:
            avatar.derivations.add_(0.3 * torch.randn_like(avatar.derivations))
    avatar.eval()
    return avatar


def rotation_formula(q: Tensor) -> Tensor:
    """The matrix of a quaternion [4], as textbooks write it, whatever its length."""
    w, x, y, z = q.tolist()
    return torch.tensor(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ],
        dtype=torch.float64,
    )


def test_blocks_equal_the_function_itself_with_all_gradients() -> None:
    generator = torch.Generator().manual_seed(0)

    def function(a: Tensor, b: Tensor, weight: Tensor, unused: Tensor) -> Tensor:
        return torch.tanh(a @ weight) * b

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()

    a, b, weight, unused = draw(2500, 3), draw(2500, 4).detach(), draw(3, 4), draw(2)
    towards = draw(2500, 4).detach()
    got, wanted = in_blocks(function, [a, b], [weight, unused]), function(a, b, weight, unused)
    torch.testing.assert_close(got, wanted)
    found = torch.autograd.grad((got * towards).sum(), (a, weight))
    for one, other in zip(found, torch.autograd.grad((wanted * towards).sum(), (a, weight)), strict=True):
        torch.testing.assert_close(one, other)
    with torch.no_grad():
        torch.testing.assert_close(in_blocks(function, [a, b], [weight, unused]), wanted)
    assert in_blocks(function, [a[:0], b[:0]], [weight, unused]).shape == (0, 4)


@pytest.mark.parametrize("layers", [3, 4, 8])
def test_the_deformation_field_sees_its_input_again_after_the_middle(layers: int) -> None:
    torch.manual_seed(1)
    field = Deformation(2, 3, layers, 8).double()
    positions, expression = torch.randn(20, 3).double(), torch.tensor([0.2, -0.4, 1.0]).double()
    parts = [positions]
    for octave in (1.0, 2.0):
        parts += [(octave * positions).sin(), (octave * positions).cos()]
    encoded = torch.cat(parts, 1)
    torch.testing.assert_close(field.encode(positions), encoded)
    given = torch.cat([encoded, expression.expand(20, 3)], 1)
    hidden = given
    for number, layer in enumerate(field.layers):
        hidden = torch.relu(layer(hidden))
        if number == layers // 2:
            hidden = torch.cat([given, hidden], 1)
    wanted = torch.cat([field.get_submodule(name)(hidden) for name in ("move", "turn", "stretch")], 1)
    torch.testing.assert_close(field(encoded, expression), wanted)


def test_derivations_turn_about_the_origin_whatever_their_length() -> None:
    torch.manual_seed(2)
    positions, quaternions = torch.randn(5, 3).double(), torch.randn(5, 4, 4).double()
    got = derived(positions, quaternions, released=False)
    for i in range(5):
        for k in range(4):
            torch.testing.assert_close(got[i, k], rotation_formula(normalize(quaternions[i, k], dim=0)) @ positions[i])


def test_released_derivations_stretch_by_entries_that_are_mixed_among_gaussians() -> None:
    """`as_matrix` of the published code: q·√(2/|q|), then 1 - q₂² - q₃² and so on; all Gaussians' first entries stand
    before all second ones, nine in a row are a matrix, and its columns' sums are what the axes are multiplied by."""
    torch.manual_seed(3)
    positions, quaternions = torch.randn(6, 3).double(), torch.randn(6, 2, 4).double()
    got = derived(positions, quaternions, released=True)
    for k in range(2):  # rotation_formula has the factor 2 itself
        matrices = [rotation_formula(q / q.norm().sqrt()) for q in quaternions[:, k]]
        row = [matrix.flatten()[entry] for entry in range(9) for matrix in matrices]
        for i in range(6):
            first, second, third = row[9 * i : 9 * i + 3], row[9 * i + 3 : 9 * i + 6], row[9 * i + 6 : 9 * i + 9]
            sums = torch.stack([a + b + c for a, b, c in zip(first, second, third, strict=True)])
            torch.testing.assert_close(got[i, k], sums * positions[i])


@pytest.mark.parametrize(
    "wrong", [{"hashed_rows": 1000}, {"hashed_rows": -2}, {"deformation_layers": 2}, {"resolutions": ()},
              {"resolutions": (64, 1)}]
)  # fmt: skip
def test_a_model_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GaussianHeadConfig(**wrong)


def test_unstretched_gaussians_have_the_covariance_of_the_formula() -> None:
    torch.manual_seed(6)
    quaternions = torch.randn(30, 4).double() * 0.7
    scales = torch.randn(30, 3).double() * 0.1  # of any sign
    quaternions[0], scales[1] = torch.tensor([1.0, 0, 0, 0]), 0.05  # nothing to do; a ball
    turned, sizes = unstretched(quaternions, scales)
    torch.testing.assert_close(turned.norm(dim=1), torch.ones(30).double())
    for i in range(30):
        factor = rotation_formula(quaternions[i]) * scales[i]
        rotation = matrices_of(turned[i : i + 1])[0] * sizes[i]
        torch.testing.assert_close(rotation @ rotation.T, factor @ factor.T, atol=1e-10, rtol=1e-6)


def test_unstretched_gaussians_have_the_gradient_of_their_covariance() -> None:
    torch.manual_seed(7)
    quaternions = (normalize(torch.randn(8, 4).double(), dim=1) * 1.1).requires_grad_()
    scales = (torch.rand(8, 3).double() + 0.2).requires_grad_()
    towards = torch.randn(8, 3, 3).double()

    def covariance(factor: Tensor) -> Tensor:
        return (factor @ factor.mT * towards).sum()

    turned, sizes = unstretched(quaternions, scales)
    found = torch.autograd.grad(covariance(matrices_of(turned) * sizes[:, None]), (quaternions, scales))
    wanted = torch.autograd.grad(covariance(matrices_of(quaternions) * scales[:, None]), (quaternions, scales))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-7, rtol=1e-6)
    ball = torch.full((1, 3), 0.1).double().requires_grad_()
    turned, sizes = unstretched(normalize(torch.randn(1, 4).double(), dim=1), ball)
    (gradient,) = torch.autograd.grad(turned.sum() + sizes.sum(), ball)
    assert torch.isfinite(gradient).all()


def expected(avatar: GaussianHead, expression: Tensor) -> dict[str, Tensor]:
    """The sane model's Gaussians, Gaussian by Gaussian in float64."""
    w = {name: value.double() for name, value in avatar.state_dict().items()}
    position = camera().position.double()
    offset = expression.double() - torch.tensor(avatar.expression_space.neutral).double()
    columns: dict[str, list[Tensor]] = {name: [] for name in ("means", "quaternions", "scales", "opacities", "colors")}
    for i in range(avatar.count):
        resting = (w["means"][i] - w["center"]) / w["extent"]
        encoding = torch.cat([resting, resting.sin(), resting.cos(), (2 * resting).sin(), (2 * resting).cos()])
        given = torch.cat([encoding, offset])
        hidden = given
        for number in range(4):
            weight, bias = (w[f"deformation.layers.{number}.{kind}"] for kind in ("weight", "bias"))
            hidden = torch.relu(weight @ hidden + bias)
            hidden = torch.cat([given, hidden]) if number == 2 else hidden
        move, turn, stretch = (
            w[f"deformation.{name}.weight"] @ hidden + w[f"deformation.{name}.bias"]
            for name in ("move", "turn", "stretch")
        )
        place = resting + move
        turned = torch.stack([rotation_formula(normalize(q, dim=0)) @ place for q in w["derivations"][i]])
        factors = sample_plainly(turned[None], w["factors.tables"], avatar.factors.levels, 8, False)[0]
        first = torch.relu(w["opacity_network.0.weight"] @ factors)
        out = w["opacity_network.2.weight"] @ torch.relu(w["opacity_network.1.weight"] @ first)
        direction = normalize(w["means"][i] - position, dim=0)
        seen = torch.relu(w["color_network.0.weight"] @ torch.cat([out[1:], direction]))
        looks = w["color_network.1.weight"] @ seen
        harmonics = torch.cat(
            [w[f"{name}.weight"] @ looks + w[f"{name}.bias"] for name in ("base_layer", "band_layer")]
        )
        mean = w["means"][i] + w["extent"] * move
        towards = normalize(mean - position, dim=0)
        columns["means"].append(mean)
        columns["quaternions"].append(normalize(w["quaternions"][i], dim=0) + turn)
        columns["scales"].append((w["log_scales"][i] + stretch).exp())
        columns["opacities"].append(torch.sigmoid(out[0]))
        columns["colors"].append(sh_to_color(harmonics.view(1, 16, 3), towards[None])[0])
    return {name: torch.stack(values) for name, values in columns.items()}


def test_gaussians_follow_the_published_formulas() -> None:
    avatar, expression = small_gaussian_head(12), torch.tensor([0.7, 0.2, 0.3])
    got = avatar.gaussians(expression, camera())
    for name, wanted in expected(avatar, expression).items():
        torch.testing.assert_close(getattr(got, name).double(), wanted, atol=2e-5, rtol=2e-4, msg=name)


def test_everything_follows_the_expression() -> None:
    avatar = small_gaussian_head()
    first, second = (avatar.gaussians(torch.full((3,), value), camera()) for value in (0.0, 1.0))
    for name, least in (("means", 1e-4), ("quaternions", 1e-3), ("opacities", 1e-5), ("colors", 1e-5)):
        assert (getattr(first, name) - getattr(second, name)).abs().max() > least, name


@pytest.mark.parametrize("values", [[0.0], [0.0] * 4, [0.0, float("nan"), 0.0]])
def test_an_unfit_expression_is_refused(values: list[float]) -> None:
    with pytest.raises(HeadGaSError, match="expression"):
        small_gaussian_head().gaussians(torch.tensor(values), camera())


def test_nothing_moves_during_warm_up() -> None:
    avatar = small_gaussian_head(warm_up=0.25)
    avatar.advance(0.2)
    first, second = (avatar.gaussians(torch.full((3,), value), camera()) for value in (0.0, 1.0))
    torch.testing.assert_close(first.means, avatar.means)
    torch.testing.assert_close(first.colors, second.colors)
    avatar.advance(0.25)
    assert (avatar.gaussians(torch.ones(3), camera()).means - first.means).abs().max() > 1e-4


def test_moving_has_its_price_in_metres_over_the_frames_studied() -> None:
    avatar = small_gaussian_head(warm_up=0.25).train()
    expressions = torch.tensor([[0.2, 0.1, 0.7], [1.0, 0.0, 0.4]])
    avatar.advance(0.2)
    avatar.study(expressions, [camera()] * 2)
    assert avatar.penalty() is None
    avatar.advance(0.25)
    wanted = []
    for expression in expressions:
        move, turn, stretch = avatar._motion(avatar._resting(avatar._axes()), expression)
        wanted.append((avatar.extent * move).abs().sum(1) + 0.01 * turn.abs().sum(1) + 0.01 * stretch.abs().sum(1))
    avatar.gaussians(torch.ones(3), camera())  # not studied: costs nothing
    avatar.study(expressions, [camera()] * 2)
    torch.testing.assert_close(avatar.penalty(), torch.stack(wanted).mean())


def test_an_untrained_field_stands_still_and_sees_no_expression() -> None:
    space = ExpressionSpace("custom", ("a",), (0.0,), (0.0,), (1.0,))
    points = torch.rand(10, 3)
    avatar = GaussianHead(space, points, GaussianHeadConfig(**SMALL)).eval()
    torch.testing.assert_close(avatar.gaussians(torch.ones(1), camera()).means, points)
    torch.nn.init.normal_(avatar.deformation.get_submodule("move").get_parameter("weight"))
    first, second = (avatar.gaussians(torch.full((1,), value), camera()).means for value in (0.0, 1.0))
    torch.testing.assert_close(first, second)


def test_the_fixed_mapping_equals_derivations_that_are_the_identity() -> None:
    fixed, learnt = small_gaussian_head(learnt_derivations=False), small_gaussian_head()
    assert "derivations" not in fixed.state_dict() and learnt.derivations is not None
    learnt.load_state_dict(fixed.state_dict(), strict=False)
    with torch.no_grad():
        learnt.derivations.copy_(torch.tensor([2.0, 0, 0, 0]).expand_as(learnt.derivations))  # any length
    learnt.refresh()
    wanted, got = (avatar.gaussians(torch.rand(3, generator=torch.Generator().manual_seed(1)), camera())
                   for avatar in (fixed, learnt))  # fmt: skip
    torch.testing.assert_close(got.colors, wanted.colors)
    torch.testing.assert_close(got.opacities, wanted.opacities)


def test_every_channel_learns_unless_the_released_slice_is_wanted() -> None:
    for released, width in ((False, 32), (True, 8)):
        avatar = small_gaussian_head(released=released)
        assert avatar.factors.tables.shape[1] == width
        _, (gaussians,) = avatar.study(torch.rand(1, 3), [camera()])
        (gaussians.colors.sum() + gaussians.opacities.sum() + gaussians.scales.sum()).backward()
        gradient = avatar.factors.tables.grad
        assert gradient is not None and (gradient.abs().sum(0) > 0).all()
        assert avatar.derivations is not None and avatar.derivations.grad is not None
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in avatar.deformation.parameters())


@pytest.mark.parametrize("released", [False, True])
def test_a_file_gives_back_the_same_picture(tmp_path: Path, released: bool) -> None:
    avatar, path = small_gaussian_head(released=released, antialiased=not released), tmp_path / "a.safetensors"
    save_avatar(path, avatar, "gaussian_head", {}, compact=False)
    again = load_avatar(path).avatar
    assert isinstance(again, GaussianHead) and again.settings == avatar.settings
    expression = torch.tensor([0.5, 0.0, 1.0])
    torch.testing.assert_close(again.render(expression, camera()).color, avatar.render(expression, camera()).color)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    avatar, path = small_gaussian_head(), tmp_path / "a.safetensors"
    save_avatar(path, avatar, "gaussian_head", {})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(HeadGaSError, match="damaged"):
        load_avatar(path)
    with torch.no_grad():
        avatar.factors.tables[0] = math.nan
    save_avatar(path, avatar, "gaussian_head", {})
    with pytest.raises(HeadGaSError, match=r"factors\.tables"):
        load_avatar(path)
