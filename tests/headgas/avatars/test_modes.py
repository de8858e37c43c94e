# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion modes against their formula, their files, and what training does to them."""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from headgas.avatars import ExpressionSpace, Modes, ModesConfig, load_avatar, save_avatar
from headgas.avatars.packing import packed, unpacked
from headgas.captures import load_capture
from headgas.errors import HeadGaSError
from headgas.splatting import Camera
from headgas.training.config import preset
from headgas.training.trainer import Budget, Trainer
from tests.headgas.conftest import intrinsics, look_at, write_capture

SPACE = ExpressionSpace("custom", ("jaw", "smile", "still"), (0.0, 0.1, 0.0), (0.0, 0.0, 0.0), (1.0, 0.6, 0.0))
NEUTRAL, MOVED = torch.tensor(SPACE.neutral), torch.tensor([0.7, 0.4, 0.2])
CONFIG = ModesConfig(modes=6, code=4, hidden=8, frequencies=2)
STATIC = ("opacities", "colors")


def camera() -> Camera:
    return Camera(torch.tensor(look_at(0.2)).float(), torch.tensor(intrinsics()).float(), 48, 48)


def avatar(count: int = 60) -> Modes:
    """An untrained avatar with random numbers everywhere."""
    torch.manual_seed(0)
    points = normalize(torch.randn(count, 3), dim=1) * 0.1
    model = CONFIG.build(SPACE, points)
    with torch.no_grad():
        for name in ("base", "bands", "opacity", "code"):
            model.get_parameter(name).normal_()
        model.mixer.weight.normal_(0, 0.5)
    return model.eval()


def expected(model: Modes, expression: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Means, quaternions and scales by the formula, in float64."""
    w = {name: value.double() for name, value in model.state_dict().items()}
    position = (w["means"] - w["center"]) / w["extent"]
    waves = [position[:, [axis]] * torch.pi * 2.0**octave for axis in range(3) for octave in range(2)]
    encoding = torch.cat([position, *(wave.sin() for wave in waves), *(wave.cos() for wave in waves)], 1)
    first = w["code"] @ w["field.feature_layer.weight"].T + encoding @ w["field.encoding_layer.weight"].T
    second = (first + w["field.encoding_layer.bias"]).relu() @ w["field.hidden_layer.weight"].T
    second = (second + w["field.hidden_layer.bias"]).relu()
    shares = second @ w["field.output_layer.weight"].T + w["field.output_layer.bias"]
    x = (expression - NEUTRAL).double() / torch.tensor([1.0, 0.5, 1.0])  # what never moved is not divided
    mixed = torch.einsum("b,bhm->hm", x, w["mixer.weight"].T.reshape(3, 8, 6))
    resting = shares @ w["resting.weight"].T + w["resting.bias"]
    motion = ((resting + shares @ mixed.T).relu() - resting.relu()) @ w["moving.weight"].T
    means = w["means"] + w["extent"] * 0.1 * motion[:, :3]
    quaternions = normalize(w["quaternions"], dim=1) + 0.3 * motion[:, 3:7]
    return means, quaternions, (w["log_scales"] + 0.3 * motion[:, 7:]).exp()


@torch.no_grad()
def test_gaussians_follow_the_formula() -> None:
    model = avatar()
    shown = model.gaussians(MOVED, camera())
    for got, wanted in zip((shown.means, shown.quaternions, shown.scales), expected(model, MOVED), strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_at_rest_nothing_moves_and_far_beyond_what_was_seen_motion_goes_on_straight() -> None:
    model = avatar()
    torch.testing.assert_close(model.gaussians(NEUTRAL, camera()).means, model.means, rtol=0, atol=1e-6)

    def shift(times: float) -> Tensor:
        return model.gaussians(NEUTRAL + times * (MOVED - NEUTRAL), camera()).means - model.means

    assert shift(1).abs().max() > 1e-3
    torch.testing.assert_close(shift(4e4) - shift(3e4), shift(3e4) - shift(2e4), rtol=1e-2, atol=1e-2)


@torch.no_grad()
def test_opacity_and_colour_do_not_follow_the_expression() -> None:
    model = avatar()
    still, moved = (model.gaussians(expression, camera()) for expression in (NEUTRAL, MOVED))
    assert all(torch.equal(getattr(still, name), getattr(moved, name)) for name in STATIC)


def test_an_untrained_avatar_rests() -> None:
    model = CONFIG.build(SPACE, torch.randn(20, 3)).eval()
    torch.testing.assert_close(model.gaussians(MOVED, camera()).means, model.means, rtol=0, atol=1e-7)


@torch.no_grad()
def test_what_is_rendered_is_what_is_trained() -> None:
    model = avatar()
    rendered, studied = model.gaussians(MOVED, camera()), model.study(MOVED[None], [camera()])[1][0]
    for name, value in vars(rendered).items():
        torch.testing.assert_close(value, getattr(studied, name), rtol=1e-5, atol=1e-6)


def test_frames_studied_together_are_those_shown_one_by_one() -> None:
    model = avatar().train()
    blended, frames = model.study(torch.stack([NEUTRAL, MOVED]), [camera(), camera()])
    assert blended is None
    for expression, frame in zip((NEUTRAL, MOVED), frames, strict=True):
        alone = model.gaussians(expression, camera())
        assert all(torch.equal(getattr(frame, name), getattr(alone, name)) for name in vars(alone))


def test_the_penalty_is_what_gaussians_moved() -> None:
    model = avatar().train()
    model.study(NEUTRAL[None], [camera()])
    assert model.penalty() == 0
    model.study(MOVED[None], [camera()])
    means, quaternions, scales = expected(model, MOVED)
    shift = means - model.means.double()
    turn = quaternions - normalize(model.quaternions.double(), dim=1)
    growth = scales.log() - model.log_scales.double()
    cost = shift.abs().sum(1) + 0.01 * turn.abs().sum(1) + 0.01 * growth.abs().sum(1)
    penalty = model.penalty()
    assert penalty is not None
    torch.testing.assert_close(penalty.double(), cost.mean(), rtol=1e-4, atol=0)


@torch.no_grad()
def test_what_is_kept_for_rendering_is_forgotten_when_training_goes_on() -> None:
    model = avatar()
    before = model.gaussians(MOVED, camera()).means
    model.train()
    model.moving.weight *= 2
    model.eval()
    shift, doubled = before - model.means, model.gaussians(MOVED, camera()).means - model.means
    torch.testing.assert_close(doubled, 2 * shift, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_splats_of_an_expression_look_the_same() -> None:
    from headgas.avatars.splats import SplatAvatar

    model = avatar()
    frozen = SplatAvatar(model.splats(MOVED))
    own, theirs = (a.render(e, camera()).color for a, e in ((model, MOVED), (frozen, torch.empty(0))))
    assert own.std() > 0.01
    assert (own - theirs).abs().max() < 0.02  # colours are seen from where a Gaussian is, not from where it rests


@torch.no_grad()
def test_a_file_keeps_every_number_or_loses_what_no_eye_sees(tmp_path: Path) -> None:
    model = avatar()
    for compact, tolerance in ((False, 0), (True, 0.02)):
        save_avatar(tmp_path / "avatar.safetensors", model, "modes", {}, compact=compact)
        again = load_avatar(tmp_path / "avatar.safetensors").avatar
        assert isinstance(again, Modes)
        difference = model.render(MOVED, camera()).color - again.render(MOVED, camera()).color
        assert difference.abs().max() <= tolerance
    save_avatar(tmp_path / "twice.safetensors", again, "modes", {})
    twice = load_avatar(tmp_path / "twice.safetensors").avatar
    for name, value in again.tensors().items():
        torch.testing.assert_close(twice.tensors()[name], value, rtol=0, atol=1e-5)


def test_packed_numbers_are_within_half_a_step() -> None:
    values = torch.randn(50, 3) * torch.tensor([1.0, 0.01, 0.0]) + torch.tensor([0.0, 5.0, 2.0])
    tensors = packed("x", values)
    assert tensors["x.bytes"].dtype == torch.uint8
    half = (values.amax(0) - values.amin(0)) / 510
    assert ((unpacked("x", tensors) - values).abs() <= half + 1e-6).all()
    assert unpacked("x", packed("x", torch.zeros(0, 3))).shape == (0, 3)


@pytest.mark.parametrize("part", ["bytes", "low", "step"])
def test_a_file_with_missing_or_wrong_bytes_is_refused(tmp_path: Path, part: str) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    path = tmp_path / "avatar.safetensors"
    save_avatar(path, avatar(), "modes", {})
    with safe_open(path, framework="pt") as opened:
        metadata = opened.metadata()
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
    tensors[f"code.{part}"] = tensors[f"code.{part}"][:-1].clone()
    save_file(tensors, path, metadata)
    with pytest.raises(HeadGaSError, match="damaged"):
        load_avatar(path)


def test_training_moves_gaussians_and_new_ones_inherit_their_code(tmp_path: Path) -> None:
    config = dataclasses.replace(
        preset("modes"), model=dataclasses.replace(CONFIG, sh_degree=1), initial_gaussians=150, max_gaussians=300,
        densify_from=0.3, densify_until=0.7,
    )  # fmt: skip
    trainer = Trainer(load_capture(write_capture(tmp_path / "capture")), config, Budget(iterations=60))
    trainer.train()
    model = trainer.finish()
    assert isinstance(model, Modes) and 150 < model.count <= 300
    assert model.mixer.weight.abs().max() > 0
    code = model.get_parameter("code")
    assert len(code) == model.count and code.abs().max() > 0
