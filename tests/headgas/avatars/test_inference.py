# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPU's short way to a frame against the plain one: every size, every camera, what is kept and what is not."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from headgas.avatars import ExpressionSpace, HeadGaS, HeadGaSConfig, inference
from headgas.avatars.compact import CompactBasis
from headgas.errors import HeadGaSError
from headgas.splatting import Camera, Gaussians, rasterize, set_threads
from headgas.splatting.threads import get_threads

SIZE = 64


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def avatar(count: int = 500, parameters: int = 9, compact: bool = True, seed: int = 0, **options: Any) -> HeadGaS:
    """Random Gaussians on a ball of 10 cm; opacities from nothing to all."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    zeros, ones = (0.0,) * parameters, (1.0,) * parameters
    neutral = tuple(0.1 * (i % 3) for i in range(parameters))
    space = ExpressionSpace("custom", tuple(f"p{i}" for i in range(parameters)), neutral, zeros, ones)
    points = 0.1 * torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    model = HeadGaS(space, points, HeadGaSConfig(**options))
    with torch.no_grad():
        model.log_scales.copy_(math.log(0.004) + 0.5 * torch.randn(count, 3, generator=generator))
        model.decoder.output_layer.weight.mul_(3)
        model.decoder.output_layer.weight[-1].mul_(12)
    model.basis = torch.randn(model.basis.shape, generator=generator)
    if compact:
        model.stored_basis = CompactBasis.compressed(model.basis)
    return model.eval()


def camera(yaw: float = 0.3, distance: float = 0.5, side: float = 0.0) -> Camera:
    viewmat = torch.eye(4)
    viewmat[0, 0] = viewmat[2, 2] = math.cos(yaw)
    viewmat[0, 2], viewmat[2, 0] = math.sin(yaw), -math.sin(yaw)
    viewmat[0, 3], viewmat[2, 3] = side, distance
    K = torch.tensor([[90.0, 0, SIZE / 2], [0, 80.0, SIZE / 2], [0, 0, 1]])
    return Camera(viewmat, K, SIZE, SIZE)


def expression(model: HeadGaS, active: int = 4, seed: int = 0) -> torch.Tensor:
    value, generator = model.neutral().clone(), torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(value), generator=generator)[:active]
    value[chosen] = torch.rand(len(chosen), generator=generator)
    return value


def check(model: HeadGaS, value: torch.Tensor, view: Camera) -> Gaussians:
    """The same picture; what is drawn has the same numbers."""
    plain, fast = model.gaussians(value, view), model.visible_gaussians(value, view)
    drawn = fast.opacities >= 1 / 255 + 1e-5
    torch.testing.assert_close(fast.opacities[drawn], plain.opacities[drawn], atol=3e-5, rtol=3e-5)
    torch.testing.assert_close(fast.colors[drawn], plain.colors[drawn], atol=1e-4, rtol=1e-4)
    pictures = [rasterize(gaussians, view, antialiased=model.antialiased) for gaussians in (plain, fast)]
    for name in ("color", "alpha"):
        torch.testing.assert_close(*(getattr(picture, name) for picture in pictures), atol=2e-3, rtol=0)
        difference = getattr(pictures[0], name) - getattr(pictures[1], name)
        assert difference.abs().mean() < 1e-5
    return fast


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize(
    ("count", "parameters", "options"),
    [
        (500, 9, {}),
        (2, 1, {"features": 1, "hidden": 1, "frequencies": 1}),
        (193, 52, {"features": 20, "hidden": 40, "sh_degree": 2}),
        (192, 200, {"features": 48, "hidden": 80, "sh_degree": 1}),
        (1000, 6, {"features": 16, "hidden": 128, "sh_degree": 0}),
        (300, 5, {"blended": "nothing"}),
    ],
)
def test_every_size_gives_the_plain_picture(
    count: int, parameters: int, options: dict[str, Any], compact: bool
) -> None:
    model = avatar(count, parameters, compact, **options)
    assert inference.serves(model)
    for seed, active in enumerate((0, 1, 4, parameters)):
        check(model, expression(model, active, seed), camera())
    value = expression(model, 4)
    for yaw in (0.0, 1.0, 2.5):  # the same expression from elsewhere
        check(model, value, camera(yaw))


def test_an_avatar_of_one_and_of_no_gaussian() -> None:
    check(avatar(1), expression(avatar(1)), camera())
    none = avatar(2)
    for name in ("means", "quaternions", "log_scales"):
        setattr(none, name, torch.nn.Parameter(none.get_parameter(name)[:0]))
    for compact in (True, False):
        none.basis = none.basis[:, :0]
        if compact:
            none.stored_basis = CompactBasis.compressed(none.basis)
        for yaw in (0.0, 1.0, 2.0):
            assert len(none.visible_gaussians(expression(none), camera(yaw))) == 0


@pytest.mark.parametrize(
    "view", [camera(side=0.12), camera(side=5.0), camera(distance=-0.5), camera(distance=0.02), camera(distance=0.09)]
)
def test_what_is_outside_of_the_frame_costs_nothing_and_is_not_missed(view: Camera) -> None:
    model = avatar(3000)
    fast = check(model, expression(model), view)
    plain = model.gaussians(expression(model), view)
    skipped = (fast.opacities == 0) & (plain.opacities > 0.1)
    assert skipped.any()


def test_faded_gaussians_get_no_colour() -> None:
    model = avatar(3000)
    model.decoder.output_layer.bias[-1] = -5  # half of them, say
    plain = model.gaussians(expression(model), camera())
    faded = plain.opacities < 1 / 255 - 1e-5
    assert 100 < faded.sum() < 2900
    fast = check(model, expression(model), camera())
    assert not fast.colors[faded].any() and plain.colors[faded].any()


def test_the_number_of_threads_changes_no_bit() -> None:
    model, threads = avatar(5000), get_threads()
    try:
        results = []
        for number in (1, 2, 5):
            set_threads(number)
            model.refresh()
            for view in (camera(), camera(1.0), camera(2.0)):
                results.append(model.visible_gaussians(expression(model), view))
    finally:
        set_threads(threads)
    for first, other in zip(results[:3] * 2, results[3:], strict=True):
        assert torch.equal(first.opacities, other.opacities) and torch.equal(first.colors, other.colors)


def test_what_did_not_change_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model, calls = avatar(), []

    def counted(name: str) -> Any:
        def run(kernel: Any, *arguments: Any) -> None:
            calls.append("recolor" if kernel is inference.recolor else "evaluate")
            original(kernel, *arguments)

        original = getattr(inference, name)
        return run

    monkeypatch.setattr(inference, "run", counted("run"))
    first, second = expression(model, seed=1), expression(model, seed=2)
    model.visible_gaussians(first, camera())
    model.visible_gaussians(first.clone(), camera())
    assert calls == ["evaluate"]
    for yaw in (1.0, 2.0, 3.0):
        model.visible_gaussians(first, camera(yaw))
    assert calls == ["evaluate", "evaluate", "recolor", "recolor", "recolor"]
    model.visible_gaussians(second, camera(3.0))
    model.visible_gaussians(first, camera(3.0))
    assert calls[5:] == ["evaluate", "evaluate"]


@pytest.mark.parametrize("what", ["weights", "means", "basis", "basis in place", "degree", "training"])
def test_a_changed_avatar_is_seen_at_once(what: str) -> None:
    with torch.inference_mode(False), torch.no_grad():
        model = avatar(compact=False)
        value, view = expression(model), camera()
        before = model.visible_gaussians(value, view)
        if what == "weights":
            model.decoder.hidden_layer.weight.mul_(0.5)
        elif what == "means":
            model.means = torch.nn.Parameter(model.means * 0.9)
            model.refresh()
        elif what == "basis":
            model.basis = 0.5 * model.basis
        elif what == "basis in place":
            model.basis[1:] *= 0.5
        elif what == "degree":
            model.sh_degree = 1
        else:
            model.train()
            model.decoder.output_layer.bias.add_(0.1)
            model.eval()
        after = check(model, value, view)
    assert not torch.equal(after.colors, before.colors)


def test_training_and_gradients_take_the_plain_way() -> None:
    with torch.inference_mode(False):
        model = avatar(compact=False).requires_grad_()
        value, view = expression(model), camera()
        assert model.visible_gaussians(value, view).scales.requires_grad
        with torch.no_grad():
            plain = model.train().visible_gaussians(value, view)
    assert (plain.opacities > 0).all()


def test_an_unfit_expression_is_refused() -> None:
    model = avatar()
    for value in (torch.zeros(3), torch.full((9,), math.nan)):
        with pytest.raises(HeadGaSError, match="expression"):
            model.visible_gaussians(value, camera())
