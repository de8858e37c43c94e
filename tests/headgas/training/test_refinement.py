# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrections of poses and expressions: what they put right, and that they go on after a kill."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from headgas import cli
from headgas.avatars import ExpressionSpace, HeadGaS, load_avatar, read_header
from headgas.avatars.trainable import TrainableAvatar
from headgas.captures import Capture, load_capture
from headgas.errors import HeadGaSError
from headgas.splatting import Camera, rasterize
from headgas.splatting.example import egg
from headgas.training.config import Rate, RefinementConfig, preset
from headgas.training.frames import TrainingFrames
from headgas.training.refinement import Refinement, expression_gradient, moved_camera
from headgas.training.run import CORRECTED, Run
from headgas.training.trainer import Budget, Trainer
from tests.headgas.conftest import NAMES, small_avatar, write_capture

pytestmark = pytest.mark.usefixtures("one_thread")
CONFIG = dataclasses.replace(preset("modes"), initial_gaussians=500, max_gaussians=900, densify_events=5)


def test_a_correction_moves_the_head_before_the_camera_does_its_part() -> None:
    _, camera = egg(1, 24, 24, yaw=0.4)
    camera = Camera(camera.viewmat.double(), camera.K.double(), 24, 24)
    pose, center = torch.tensor([0.1, -0.05, 0.2, 0.3, -0.1, 0.2]).double(), torch.tensor([0.01, -0.02, 0.03]).double()
    moved = moved_camera(camera, pose, center, 0.15)
    torch.testing.assert_close(moved.viewmat, camera.viewmat @ _motion(pose, center, 0.15))


def _motion(pose: Tensor, center: Tensor, extent: float) -> Tensor:
    motion = torch.eye(4).double()
    x, y, z = pose[:3]
    zero = torch.zeros(())
    motion[:3, :3] = torch.matrix_exp(torch.tensor([[zero, -z, y], [z, zero, -x], [-y, x, zero]]).double())
    motion[:3, 3] = center - motion[:3, :3] @ center + extent * pose[3:]
    return motion


@pytest.mark.parametrize("name", ["modes", "headgas", "headgas_concat", "headgas_no_mlp", "gaussian_head"])
def test_every_model_says_how_the_expression_counts(name: str) -> None:
    """Against differences: through the basis, the networks, or both. What rests gets no gradient through a basis."""
    torch.manual_seed(0)
    space = ExpressionSpace("custom", NAMES, (0.0,) * 3, (0.0,) * 3, (1.0,) * 3)
    points = 0.1 * torch.nn.functional.normalize(torch.randn(40, 3), dim=1)
    avatar = preset(name).model.build(space, points)
    assert isinstance(avatar, TrainableAvatar)
    if avatar.basis is not None:
        avatar.basis = torch.randn_like(avatar.basis)
    with torch.no_grad():
        for parameter in avatar.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    avatar.train()
    avatar.advance(1.0)
    _, camera = egg(1, 16, 16)
    weights = [torch.randn_like(part) for part in vars(avatar.gaussians(torch.ones(3), camera)).values()]

    def studied(expressions: Tensor) -> tuple[Tensor, Tensor | None]:
        features, drawn = avatar.study(expressions, [camera] * len(expressions))
        losses = [(part * weight).sum() for g in drawn for part, weight in zip(vars(g).values(), weights, strict=True)]
        return torch.stack(losses).sum(), features

    expressions = torch.tensor([[0.4, 0.7, 0.2], [0.5, 0.1, 0.3]])
    leaf = expressions.clone().requires_grad_()
    loss, features = studied(leaf)
    loss.backward()
    found = expression_gradient(avatar, leaf, None if features is None else features.grad)
    expected = torch.zeros(2, 3)
    for row in range(2):
        for column in range(3):
            step = torch.zeros(2, 3)
            step[row, column] = 2e-3
            expected[row, column] = (studied(expressions + step)[0] - studied(expressions - step)[0]).item() / 4e-3
    assert expected.abs().min() > 1e-2
    torch.testing.assert_close(found, expected, rtol=0.03, atol=0.03 * expected.abs().max().item())


def turned(folder: Path, count: int = 8) -> tuple[HeadGaS, Capture, Capture]:
    """A speckled ball, its capture with exact poses, and the same with heads turned and moved at random."""
    teacher = small_avatar(2500, names=NAMES, sh_degree=0)  # of the same colours from all sides, as heads are
    with torch.no_grad():
        teacher.log_scales.fill_(np.log(0.02))
        teacher.basis[1:] *= 0.2
    exact = load_capture(write_capture(folder, count, 2))
    for frame in exact.frames:
        rgba = teacher.render(torch.from_numpy(frame.expression), frame.camera)
        color = rgba.color / rgba.alpha.clamp_min(1e-6)[..., None]
        pixels = torch.cat([color, rgba.alpha[..., None]], -1).clamp(0, 1).detach().numpy()
        Image.fromarray((pixels * 255).astype(np.uint8)).save(frame.image)
    poses = torch.from_numpy(np.random.default_rng(0).normal(0, 0.04, (len(exact.frames), 6)).astype(np.float32))
    frames = []
    for frame, pose in zip(exact.frames, poses, strict=True):
        camera = moved_camera(frame.camera, pose, torch.zeros(3), 0.1)
        frames.append(dataclasses.replace(frame, viewmat=camera.viewmat.numpy()))
    return teacher, exact, dataclasses.replace(exact, frames=tuple(frames), poses_estimated=True)


def errors(exact: Capture, found: list[np.ndarray]) -> np.ndarray:
    """Degrees that heads are turned by, but for a turn that all share."""
    pairs = zip(exact.split("train"), found, strict=True)
    motions = np.stack([(np.linalg.inv(frame.viewmat.astype(float)) @ other)[:3, :3] for frame, other in pairs])
    u, _, v = np.linalg.svd(motions.sum(0))
    return np.degrees(np.arccos(np.clip((np.trace((u @ v).T @ motions, axis1=1, axis2=2) - 1) / 2, -1, 1)))


def test_poses_come_to_the_exact_ones_where_the_avatar_is_right(tmp_path: Path) -> None:
    """Six visits to each frame; the expressions are taken to be right, too."""
    teacher, exact, wrong = turned(tmp_path / "capture")
    frames = TrainingFrames(wrong.split("train"), torch.device("cpu"))
    refinement = Refinement(RefinementConfig(pose=Rate(1.0)), teacher, frames.expressions)
    background = torch.zeros(3)
    for visit in range(6):
        for number in range(len(frames)):
            frame = refinement.corrected(number, frames[number])
            with torch.no_grad():
                gaussians = teacher.gaussians(frame.expression, frame.camera)
            seen = rasterize(gaussians, frame.camera, background=background, antialiased=teacher.antialiased)
            motion = refinement.motion(seen, frame.over(background), frame, teacher.means, gaussians.means)
            refinement.learn([number], motion[None], torch.empty(1, 0), 0.05 + 0.1 * visit, 0.1)
    before = errors(exact, [frame.viewmat for frame in wrong.split("train")])
    after = errors(exact, [np.array(frame["viewmat"]) for frame in refinement.frames(wrong.split("train"))])
    assert np.median(before) > 2.5
    assert np.median(after) < 0.15 * np.median(before), (before, after)


def test_what_the_avatar_has_learnt_to_turn_becomes_the_pose(tmp_path: Path) -> None:
    teacher, exact, _ = turned(tmp_path / "capture", 2)
    frames = TrainingFrames(exact.split("train"), torch.device("cpu"))
    refinement = Refinement(RefinementConfig(), teacher, frames.expressions)
    frame, background, means = refinement.corrected(0, frames[0]), torch.zeros(3), teacher.means.detach()
    with torch.no_grad():
        gaussians = teacher.gaussians(frame.expression, frame.camera)
    seen = rasterize(gaussians, frame.camera, background=background)
    turn = torch.tensor([0.02, 0.0, -0.01])
    moved = means + torch.linalg.cross(turn.expand_as(means), means - teacher.center)
    still, turning = (refinement.motion(seen, frame.over(background), frame, means, m) for m in (means, moved))
    torch.testing.assert_close((turning - still)[:3], turn, rtol=0, atol=1e-4)


def test_training_brings_poses_closer_to_the_exact_ones(tmp_path: Path) -> None:
    _, exact, wrong = turned(tmp_path / "capture", 24)
    trainer = Trainer(wrong, CONFIG, Budget(iterations=240), refine=True)
    trainer.train()
    assert trainer.refinement is not None
    before = errors(exact, [frame.viewmat for frame in wrong.split("train")])
    after = errors(exact, [np.array(frame["viewmat"]) for frame in trainer.refinement.frames(wrong.split("train"))])
    assert np.median(after) < 0.6 * np.median(before), (before, after)


def test_corrections_are_small_at_rest_where_the_expression_is_and_zero_on_average(tmp_path: Path) -> None:
    capture = load_capture(write_capture(tmp_path / "capture", 8, 2))
    trainer = Trainer(capture, CONFIG, Budget(iterations=40), refine=True)
    trainer.train()
    assert trainer.refinement is not None
    turn, move = trainer.refinement.sizes()
    assert 0 < turn < 0.2 and 0 < move < 0.05
    moved = 0
    for frame, found in zip(capture.split("train"), trainer.refinement.frames(capture.split("train")), strict=True):
        difference = np.array(found["expression"], np.float32) - frame.expression
        assert (difference[frame.expression == 0] == 0).all() and np.abs(difference).max() <= 0.3
        moved += np.count_nonzero(difference)
    assert moved > 8
    poses = torch.stack([trainer.refinement._pose(number) for number in range(8)])
    torch.testing.assert_close(poses.mean(0), torch.zeros(6), atol=1e-6, rtol=0)


def test_a_restored_trainer_goes_on_with_its_corrections(tmp_path: Path) -> None:
    capture = load_capture(write_capture(tmp_path / "capture", 8, 2))
    first, second = (Trainer(capture, CONFIG, Budget(iterations=50), refine=True) for _ in range(2))
    for _ in range(20):
        first.step()
    tensors, numbers = first.state()
    tensors = {name: value.clone() for name, value in tensors.items()}
    corrections = [value for name, value in tensors.items() if name.startswith("refinement.")]
    assert len(corrections) == 5 and all(value.any() for value in corrections)
    expected = [first.step().loss for _ in range(12)]
    second.restore(tensors, json.loads(json.dumps(numbers)))
    assert [second.step().loss for _ in range(12)] == pytest.approx(expected, rel=1e-4)


def test_the_run_keeps_corrections_and_the_avatar_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = write_capture(tmp_path / "capture", 8, 2), tmp_path / "run"
    data = json.loads((folder / "capture.json").read_text())
    (folder / "capture.json").write_text(json.dumps(data | {"poses": "estimated"}))
    command = ["train", str(folder), "--iterations", "6", "--gaussians", "200", "--out"]
    assert cli.main([*command, str(out)]) == 0
    found = json.loads((out / CORRECTED).read_text())["frames"]
    assert [frame["name"] for frame in found] == [f"{n:04d}" for n in range(8)]
    assert np.array(found[0]["viewmat"]).shape == (4, 4) and len(found[0]["expression"]) == 3
    assert set(read_header(out / "avatar.safetensors")["training"]) & {"corrected", "refinement", "poses"} == set()
    load_avatar(out / "avatar.safetensors")
    capsys.readouterr()
    assert cli.main(["evaluate", str(out / "avatar.safetensors"), str(folder), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["refined"]["psnr"] >= row["psnr"] - 0.01 and row["refined"]["regions"]["mouth"] > 0
    assert cli.main([*command, str(tmp_path / "plain"), "--no-refine-poses"]) == 0
    assert not (tmp_path / "plain" / CORRECTED).exists()


def test_a_run_is_resumed_as_it_was_begun(tmp_path: Path) -> None:
    capture = load_capture(write_capture(tmp_path / "capture", 8, 2))
    plain, refining = (Trainer(capture, CONFIG, Budget(iterations=9), refine=refine) for refine in (False, True))
    run = Run(tmp_path / "run", capture, "modes", CONFIG)
    run.prepare(resume=False)
    run.save_state(refining)
    with pytest.raises(HeadGaSError, match="treats the frames' poses otherwise"):
        run.resume(plain)
    assert run.resume(refining)
