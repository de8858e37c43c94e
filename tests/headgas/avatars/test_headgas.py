# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HeadGaS model against its formulas written out."""

import math

import pytest
import torch

from headgas.avatars.blending import blend
from headgas.avatars.decoder import Decoder, decode_plainly
from headgas.avatars.expression_space import ExpressionSpace
from headgas.avatars.headgas import HeadGaS, HeadGaSConfig
from headgas.avatars.spherical_harmonics import coefficient_count, sh_basis, sh_to_color
from headgas.errors import HeadGaSError
from headgas.splatting import Camera
from tests.headgas.conftest import intrinsics, look_at, small_avatar


def camera(yaw: float = 0.2) -> Camera:
    return Camera(torch.tensor(look_at(yaw)).float(), torch.tensor(intrinsics()).float(), 48, 48)


def test_blend_equals_the_weighted_sum() -> None:
    generator = torch.Generator().manual_seed(1)
    basis = torch.randn(7, 500, 24, generator=generator)
    coefficients = torch.tensor([1.0, 0.0, -0.5, 0.0, 0.25, 2.0, 0.0])
    torch.testing.assert_close(blend(basis, coefficients), torch.einsum("r,rnf->nf", coefficients, basis))
    assert blend(basis, torch.zeros(7)).abs().max() == 0


def test_gaussians_follow_the_published_formulas() -> None:
    """f_i = f_0 + Fᵀ(e - neutral); (SH, α) = MLP(f_i, PE(μ)), every step written out in float64."""
    avatar = small_avatar(count=20)
    avatar.sh_degree = 3
    avatar.expression_space = ExpressionSpace("custom", ("a", "b", "c"), (0.1, 0.0, -0.2), (0.0,) * 3, (1.0,) * 3)
    expression = torch.tensor([0.7, 0.2, 0.3])
    got = avatar.gaussians(expression, camera())
    w = {name: value.double() for name, value in avatar.state_dict().items()}
    coefficients = torch.cat([torch.ones(1), expression - torch.tensor([0.1, 0.0, -0.2])]).double()
    features = torch.einsum("r,rnf->nf", coefficients, avatar.basis.double())
    position = (w["means"] - w["center"]) / w["extent"]
    encoding = [position]
    angles = torch.stack([math.pi * 2.0**octave * position for octave in range(2)], -1).flatten(1)
    encoding += [angles.sin(), angles.cos()]
    first = torch.relu(
        features @ w["decoder.feature_layer.weight"].T
        + torch.cat(encoding, 1) @ w["decoder.encoding_layer.weight"].T
        + w["decoder.encoding_layer.bias"]
    )
    second = torch.relu(first @ w["decoder.hidden_layer.weight"].T + w["decoder.hidden_layer.bias"])
    out = second @ w["decoder.output_layer.weight"].T + w["decoder.output_layer.bias"]
    directions = torch.nn.functional.normalize(w["means"] - camera().position.double(), dim=1)
    colors = (torch.einsum("nk,nkc->nc", sh_basis(directions, 3), out[:, :48].view(-1, 16, 3)) + 0.5).clamp_min(0)
    torch.testing.assert_close(got.colors.double(), colors, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(got.opacities.double(), torch.sigmoid(out[:, 48]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(got.means, avatar.means)


def test_means_and_covariances_do_not_follow_the_expression() -> None:
    avatar = small_avatar()
    first, second = (avatar.gaussians(torch.full((3,), value), camera()) for value in (0.0, 1.0))
    for name in ("means", "quaternions", "scales"):
        torch.testing.assert_close(getattr(first, name), getattr(second, name))
    assert (first.colors - second.colors).abs().max() > 0.01
    assert (first.opacities - second.opacities).abs().max() > 0.01


def test_training_and_rendering_give_the_same_gaussians() -> None:
    avatar = small_avatar()
    expression = torch.tensor([0.3, 0.6, 0.0])
    shown = avatar.eval().gaussians(expression, camera())
    trained = avatar.train().gaussians(expression, camera())
    torch.testing.assert_close(shown.colors, trained.colors)


@pytest.mark.parametrize("values", [[0.0], [0.0] * 4, [0.0, float("nan"), 0.0]])
def test_an_unfit_expression_is_refused(values: list[float]) -> None:
    with pytest.raises(HeadGaSError, match="expression"):
        small_avatar().gaussians(torch.tensor(values), camera())


def test_spherical_harmonics_are_orthonormal() -> None:
    """∫ Y_i Y_j = δ_ij, by Monte Carlo over the sphere."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(400_000, 3, generator=generator), dim=1)
    values = sh_basis(directions, 3)
    gram = 4 * math.pi * values.T @ values / len(directions)
    torch.testing.assert_close(gram, torch.eye(16), atol=0.03, rtol=0)


def test_harmonics_have_the_signs_of_gaussian_splatting() -> None:
    """Band 1 is (-y, z, -x): the order and signs in every published checkpoint."""
    x, y, z = 0.48, 0.6, 0.64
    c = math.sqrt(3 / (4 * math.pi))
    got = sh_basis(torch.tensor([[x, y, z]]), 1)[0]
    torch.testing.assert_close(got, torch.tensor([0.28209479, -c * y, c * z, -c * x]))
    assert sh_to_color(torch.zeros(1, 1, 3), torch.tensor([[x, y, z]])).tolist() == [[0.5, 0.5, 0.5]]


@pytest.mark.parametrize("count", [1, 46, 52, 120])
def test_any_number_of_parameters_works(count: int) -> None:
    zeros = (0.0,) * count
    space = ExpressionSpace("custom", tuple(f"p{i}" for i in range(count)), zeros, zeros, (1.0,) * count)
    avatar = HeadGaS(space, torch.randn(10, 3) * 0.1, HeadGaSConfig(features=4, hidden=8)).eval()
    gaussians = avatar.gaussians(torch.rand(count), camera())
    assert gaussians.colors.shape == (10, 3)
    assert avatar.decoder is not None and avatar.decoder.output_layer.out_features == 3 * coefficient_count(3) + 1 == 49


def test_the_decoder_in_blocks_equals_its_plain_twin() -> None:
    """Values and all gradients, over several blocks with an incomplete last one."""
    torch.manual_seed(3)
    decoder = Decoder(5, 7, 16, 9).double()
    features, encoding = torch.randn(5000, 5).double().requires_grad_(), torch.randn(5000, 7).double()
    towards = torch.randn(5000, 9).double()
    inputs = (features, *decoder.parameters())
    got = decoder(features, encoding)
    found = torch.autograd.grad((got * towards).sum(), inputs)
    layers = (decoder.feature_layer, decoder.encoding_layer, decoder.hidden_layer, decoder.output_layer)
    weights = [weight for layer in layers for weight in (layer.weight, layer.bias) if weight is not None]
    plain = decode_plainly(features, encoding, *weights)
    torch.testing.assert_close(got, plain)
    for a, b in zip(found, torch.autograd.grad((plain * towards).sum(), inputs), strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(decoder.forward_folded(features.detach(), decoder.folded(encoding)), plain.detach())
