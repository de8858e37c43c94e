# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianHead learns a head, and training treats its parameters as it must."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from headgas.avatars import GaussianHead, GaussianHeadConfig, load_avatar, save_avatar
from headgas.captures import load_capture
from headgas.training.config import PRESETS, Rate, preset
from headgas.training.densification import Change
from headgas.training.losses import psnr
from headgas.training.trainer import Budget, Trainer
from tests.headgas.avatars.test_headgas import camera
from tests.headgas.conftest import write_capture


def trained(folder: Path, name: str, iterations: int) -> Trainer:
    recipe = preset(name)
    model = dataclasses.replace(recipe.model, octaves=2, deformation_width=16)  # type: ignore[type-var]  # a dataclass
    recipe = dataclasses.replace(
        recipe, model=model, initial_gaussians=200, max_gaussians=400, perceptual_weight=0.0
    )
    trainer = Trainer(load_capture(folder), recipe, Budget(iterations=iterations))
    trainer.train()
    return trainer


@pytest.fixture(scope="module")
def trained_avatar(tmp_path_factory: pytest.TempPathFactory) -> tuple[GaussianHead, Path]:
    folder = write_capture(tmp_path_factory.mktemp("gaussian_head") / "capture")
    avatar = trained(folder, "gaussian_head_plus", 150).finish()
    assert isinstance(avatar, GaussianHead)
    return avatar, folder


def frame_scores(avatar: Any, folder: Path) -> list[float]:
    scores = []
    for frame in load_capture(folder).split("test"):
        rgba = torch.from_numpy(frame.load_rgba())
        white = torch.ones(3)
        target = rgba[..., :3] * rgba[..., 3:] + white * (1 - rgba[..., 3:])
        with torch.inference_mode():
            color = avatar.render(torch.from_numpy(frame.expression), frame.camera, white).color
        scores.append(psnr(color, target).item())
    return scores


def test_training_learns_the_head_and_its_expressions(trained_avatar: tuple[GaussianHead, Path]) -> None:
    avatar, folder = trained_avatar
    scores = frame_scores(avatar, folder)
    assert sum(scores) / len(scores) > 22
    first, second = (avatar.gaussians(torch.tensor([v, 0, 0]), camera()) for v in (0.0, 1.0))
    assert (first.means - second.means).norm(dim=1).max() > 2e-5  # before training: 0


def test_a_compact_file_loses_little(trained_avatar: tuple[GaussianHead, Path], tmp_path: Path) -> None:
    avatar, folder = trained_avatar
    sizes, scores = [], []
    for compact in (False, True):
        path = tmp_path / f"{compact}.safetensors"
        save_avatar(path, avatar, "gaussian_head_plus", {}, compact=compact)
        sizes.append(path.stat().st_size)
        scores.append(frame_scores(load_avatar(path).avatar, folder))
    assert sizes[1] < 0.56 * sizes[0]
    assert max(abs(a - b) for a, b in zip(*scores, strict=True)) < 0.05


def test_new_gaussians_inherit_the_derivations_of_their_parents(capture_folder: Path) -> None:
    trainer = trained(capture_folder, "gaussian_head", 5)
    avatar = trainer.avatar
    before = avatar.get_parameter("derivations").detach().clone()
    state = trainer._optimizer.state[avatar.get_parameter("derivations")]["exp_avg_sq"].clone()
    source = torch.cat([torch.arange(avatar.count), torch.tensor([3, 3, 7])])
    fresh = torch.arange(len(source)) >= avatar.count
    trainer._apply(Change(source, fresh, torch.zeros_like(fresh)))
    torch.testing.assert_close(avatar.get_parameter("derivations").detach(), before[source])
    kept = trainer._optimizer.state[avatar.get_parameter("derivations")]["exp_avg_sq"]
    torch.testing.assert_close(kept[~fresh], state)
    assert kept[fresh].abs().max() == 0 and state.abs().max() > 0


def test_what_moves_all_gaussians_at_once_learns_slower_than_the_rest_of_the_field(capture_folder: Path) -> None:
    trainer = trained(capture_folder, "gaussian_head", 1)
    rates = {id(p): group["name"] for group in trainer._optimizer.param_groups for p in group["params"]}
    named = {name: rates[id(p)] for name, p in trainer.avatar.named_parameters()}
    assert named["deformation.layers.0.weight"] == "deformation"
    assert named["deformation.move.weight"] == named["deformation.move.bias"] == "deformation.move"
    assert trainer.config.rates["deformation.move"].start < trainer.config.rates["deformation"].start


def test_gaussians_that_a_shifted_field_shows_within_the_pictures_stay(capture_folder: Path) -> None:
    trainer = trained(capture_folder, "gaussian_head", 5)
    avatar = trainer.avatar
    assert isinstance(avatar, GaussianHead)
    resting, shift = avatar.means.detach().clone(), 0.15  # metres; more than the head's radius
    with torch.no_grad():
        avatar.means[:, 2] -= shift
        avatar.deformation.get_submodule("move").get_parameter("bias")[2] += shift / avatar.extent
    shown = trainer.finish().gaussians(avatar.neutral(), camera()).means
    assert len(shown) == len(resting)
    torch.testing.assert_close(shown, resting, atol=0.01, rtol=0)


def test_a_killed_run_goes_on_as_if_nothing_had_happened(capture_folder: Path) -> None:
    whole = trained(capture_folder, "gaussian_head", 16)
    first = Trainer(load_capture(capture_folder), whole.config, Budget(iterations=16))
    for _ in range(7):
        first.step()
    tensors, numbers = first.state()
    second = Trainer(load_capture(capture_folder), whole.config, Budget(iterations=16))
    second.restore({name: value.clone() for name, value in tensors.items()}, numbers)
    first.train()
    second.train()
    for name, value in first.avatar.state_dict().items():
        torch.testing.assert_close(second.avatar.state_dict()[name], value, msg=name)


def test_the_presets_differ_in_what_they_are_named_for() -> None:
    names = ("gaussian_head", "gaussian_head_fixed", "gaussian_head_multires", "gaussian_head_plus")
    models = {name: PRESETS[name].model for name in names}
    assert all(isinstance(model, GaussianHeadConfig) and not model.released for model in models.values())
    full, fixed, multires, plus = (dataclasses.asdict(models[name]) for name in names)  # type: ignore[call-overload]
    assert fixed == full | {"learnt_derivations": False}
    assert multires == full | {"resolutions": multires["resolutions"]} and len(multires["resolutions"]) > 1
    assert plus["hashed_rows"] and max(plus["resolutions"]) ** 2 > plus["hashed_rows"]
    assert all(isinstance(PRESETS[name].rates["derivations"], Rate) for name in names)
