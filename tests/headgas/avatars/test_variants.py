# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variants that the paper's ablation compares: options of one model, each against its formula."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import normalize

from headgas.avatars import HeadGaSConfig, load_avatar, save_avatar
from headgas.splatting import Camera
from headgas.training.config import PRESETS
from tests.headgas.conftest import intrinsics, look_at, small_avatar

MODELS = {name: config.model for name, config in PRESETS.items() if isinstance(config.model, HeadGaSConfig)}
NEUTRAL, MOVED = torch.zeros(3), torch.tensor([0.9, 0.4, 0.7])


def camera() -> Camera:
    return Camera(torch.tensor(look_at(0.2)).float(), torch.tensor(intrinsics()).float(), 48, 48)


def options(preset: str) -> dict[str, Any]:
    return {"blended": MODELS[preset].blended, "predicted": MODELS[preset].predicted}


@pytest.mark.parametrize(
    ("preset", "moving"),
    [
        ("headgas", {"colors", "opacities"}),
        ("headgas_concat", {"colors", "opacities"}),
        ("headgas_motion", {"means", "quaternions"}),
        ("headgas_all", {"colors", "opacities", "means", "quaternions", "scales"}),
        ("headgas_no_mlp", {"colors", "opacities"}),
        ("linear_motion", {"means"}),
    ],
)
def test_only_what_a_variant_predicts_follows_the_expression(preset: str, moving: set[str]) -> None:
    avatar = small_avatar(**options(preset))
    still, moved = (avatar.gaussians(expression, camera()) for expression in (NEUTRAL, MOVED))
    for name in ("means", "quaternions", "scales", "opacities", "colors"):
        assert torch.equal(getattr(still, name), getattr(moved, name)) == (name not in moving), name


def test_without_mlp_harmonics_and_opacity_are_blended_themselves() -> None:
    avatar = small_avatar(**options("headgas_no_mlp"))
    assert avatar.decoder is None and avatar.basis.shape == (4, 60, 49)
    one, two = torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0])
    logits = [torch.logit(avatar.gaussians(e, camera()).opacities) for e in (NEUTRAL, one, two, one + two)]
    torch.testing.assert_close(logits[3] - logits[0], logits[1] + logits[2] - 2 * logits[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(logits[0], avatar.basis[0, :, 48], atol=1e-4, rtol=1e-4)


def test_the_concatenated_expression_enters_the_first_layer() -> None:
    """relu(W [f_0, PE(μ), e] + b) with one matrix for all: the variant holds no other features than f_0."""
    avatar = small_avatar(**options("headgas_concat"))
    assert avatar.basis.shape == (1, 60, 4)
    w = avatar.state_dict()
    names = ("feature_layer", "encoding_layer", "condition_layer")
    together = torch.cat([w[f"decoder.{name}.weight"] for name in names], 1)
    inputs = torch.cat([avatar.basis[0], avatar.encode(avatar.means.detach()), MOVED.expand(60, 3)], 1)
    first = torch.relu(inputs @ together.T + w["decoder.encoding_layer.bias"])
    second = torch.relu(first @ w["decoder.hidden_layer.weight"].T + w["decoder.hidden_layer.bias"])
    outputs = second @ w["decoder.output_layer.weight"].T + w["decoder.output_layer.bias"]
    torch.testing.assert_close(avatar.gaussians(MOVED, camera()).opacities, torch.sigmoid(outputs[:, 48]))


def test_predicted_motion_is_added_to_means_and_rotations() -> None:
    avatar = small_avatar(**options("headgas_all"))
    assert avatar.decoder is not None
    with torch.no_grad():
        outputs = avatar.train().decoder(avatar.blend(MOVED), avatar.encode(avatar.means))  # type: ignore[misc]
        gaussians = avatar.gaussians(MOVED, camera())
    torch.testing.assert_close(gaussians.means, avatar.means + 0.1 * avatar.extent * outputs[:, 49:52])
    turned = normalize(avatar.quaternions, dim=1) + 0.1 * outputs[:, 52:56]
    torch.testing.assert_close(gaussians.quaternions, turned)
    torch.testing.assert_close(gaussians.scales, (avatar.log_scales + 0.3 * outputs[:, 56:59]).exp())


@pytest.mark.parametrize("preset", MODELS)
def test_every_variant_renders_as_it_trains_and_survives_its_file(tmp_path: Path, preset: str) -> None:
    avatar = small_avatar(**options(preset))
    trained = avatar.train().gaussians(MOVED, camera())
    shown = avatar.eval().gaussians(MOVED, camera())
    save_avatar(tmp_path / "avatar.safetensors", avatar, preset, {}, compact=False)
    loaded = load_avatar(tmp_path / "avatar.safetensors").avatar.gaussians(MOVED, camera())
    for name in ("means", "quaternions", "scales", "opacities", "colors"):
        torch.testing.assert_close(getattr(shown, name), getattr(trained, name))
        torch.testing.assert_close(getattr(loaded, name), getattr(shown, name))
    save_avatar(tmp_path / "avatar.safetensors", avatar, preset, {})
    compact = load_avatar(tmp_path / "avatar.safetensors").avatar.gaussians(MOVED, camera())
    torch.testing.assert_close(compact.colors, shown.colors, atol=0.02, rtol=0)
    torch.testing.assert_close(compact.opacities, shown.opacities, atol=0.02, rtol=0)


@pytest.mark.parametrize("unfit", [{"blended": "colors"}, {"predicted": ()}, {"predicted": ("opacity", "harmonics")}])
def test_an_unknown_variant_is_refused(unfit: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        HeadGaSConfig(**unfit)
