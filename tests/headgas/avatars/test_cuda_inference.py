# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""CUDA's way to a frame: its arithmetic on the CPU, replaying and its failure, and whole frames where there is CUDA."""

import copy
import logging
from types import SimpleNamespace

import pytest
import torch

from headgas.avatars import HeadGaSConfig, cuda_inference
from headgas.avatars.compact import CompactBasis
from headgas.avatars.cuda_inference import CudaInference
from headgas.avatars.rendering import PlacedAvatar, finished, linear_premultiplied, render_frame
from headgas.avatars.replay import Replayed
from headgas.splatting import Camera
from tests.headgas.conftest import SIZE, intrinsics, look_at, small_avatar

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
EXPRESSION = torch.tensor([0.6, 0.0, 0.9])


def camera(size: int = SIZE) -> Camera:
    return Camera(torch.tensor(look_at(0.2)).float(), torch.tensor(intrinsics(size)).float(), size, size)


@pytest.mark.parametrize(("degree", "compact"), [(3, False), (1, False), (3, True)])
def test_it_is_what_the_avatar_shows(degree: int, compact: bool) -> None:
    avatar = small_avatar()
    if compact:
        avatar.stored_basis = CompactBasis.compressed(avatar.basis)
    avatar.sh_degree = degree
    with torch.inference_mode():
        expected = avatar.gaussians(EXPRESSION, camera())
        ours = CudaInference(avatar)
    with torch.no_grad():  # what it keeps serves outside of inference mode, too
        got = ours.gaussians(EXPRESSION, camera())
    for name, value in vars(expected).items():
        torch.testing.assert_close(getattr(got, name), value, rtol=1e-5, atol=1e-6)


def test_variants_of_the_model_go_another_way() -> None:
    avatar = small_avatar()
    assert cuda_inference.serves(avatar)
    for change in ({"blended": "nothing"}, {"blended": "outputs"}, {"predicted": ("harmonics", "opacity", "means")}):
        assert not cuda_inference.serves(SimpleNamespace(settings=HeadGaSConfig(**change)))


def test_what_cannot_be_recorded_is_called_and_said(monkeypatch, caplog) -> None:
    def refuse(self, arguments):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(Replayed, "_record", refuse)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    doubled = Replayed(lambda number: (2 * number.value,))
    with caplog.at_level(logging.WARNING):
        for value in (1, 2):
            assert doubled(SimpleNamespace(is_cuda=True, value=value)) == (2 * value,)
    assert [record.message for record in caplog.records] == [
        "Frames cannot be replayed as a CUDA graph, each operation is launched by itself: "
        "operation not permitted when stream is capturing"
    ]


def test_a_picture_is_finished_with_its_depth_in_metres() -> None:
    alpha = torch.tensor([[0.0, 0.5]])
    rgba, depth = finished(torch.full((1, 2, 3), 0.2), alpha, torch.tensor([[1e10, 0.25]]), 2.0)
    assert depth.tolist() == [[pytest.approx(1e10), 0.5]]
    torch.testing.assert_close(rgba, linear_premultiplied(torch.full((1, 2, 3), 0.2), alpha))


def learn(avatar, by_kernel: bool, monkeypatch) -> list[torch.Tensor]:
    """Features, outputs and all gradients of two frames, studied together as on CUDA or one after the other."""
    torch.manual_seed(0)
    expressions, views = torch.stack([EXPRESSION, EXPRESSION.flip(0)]), [camera(), camera()]
    monkeypatch.setattr(cuda_inference, "serves", lambda avatar: by_kernel)
    features, frames = avatar.study(expressions.to(avatar.device), [view.to(avatar.device) for view in views])
    results = [features.detach()]
    for gaussians in frames:
        loss = gaussians.colors.square().sum() + gaussians.opacities.sum() + gaussians.scales.sum()
        loss.backward(retain_graph=True)
        results += [gaussians.colors.detach(), gaussians.opacities.detach()]
    gradients = [features.grad, *(parameter.grad for parameter in avatar.parameters())]
    return [tensor.cpu() for tensor in [*results, *gradients] if tensor is not None]


def test_frames_studied_together_teach_what_each_alone_would(monkeypatch) -> None:
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    together = learn(small_avatar().train(), True, monkeypatch)
    monkeypatch.setattr(torch.Tensor, "is_cuda", False)
    alone = learn(small_avatar().train(), False, monkeypatch)
    for ours, theirs in zip(together, alone, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@needs_cuda
def test_training_on_cuda_teaches_what_the_cpu_does(monkeypatch) -> None:
    on_cuda = learn(small_avatar(500).train().to("cuda"), True, monkeypatch)
    on_cpu = learn(small_avatar(500).train(), False, monkeypatch)
    for ours, theirs in zip(on_cuda, on_cpu, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


@needs_cuda
def test_replays_follow_the_arguments_and_leave_earlier_results() -> None:
    offset = torch.ones(3, device="cuda")
    added = Replayed(lambda numbers: (numbers + offset, 2 * numbers))
    results = [added(torch.full((3,), value, device="cuda")) for value in (1.0, 5.0)]
    assert added._graph is not None, "the graph was not recorded"
    assert [tensor.tolist() for pair in results for tensor in pair] == [[2.0] * 3, [2.0] * 3, [6.0] * 3, [10.0] * 3]


@needs_cuda
@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_frames_on_cuda_equal_those_on_the_cpu(scale: float) -> None:
    avatar, transform, view = small_avatar(3000), scale * torch.eye(4), camera(128)
    transform[3, 3] = 1
    with torch.no_grad():
        avatar.log_scales -= 1
    on_cuda = copy.deepcopy(avatar).to("cuda").eval()
    for expression in (EXPRESSION, torch.zeros(3)):
        pictures = []
        for shown in (avatar, on_cuda):
            rgba, depth = render_frame([PlacedAvatar(shown, expression, transform)], view)
            pictures.append((rgba.cpu(), depth.cpu()))
        error = (pictures[0][0] - pictures[1][0]).abs()
        assert pictures[0][0][..., 3].max() > 0.5
        assert error.max() <= 2 / 255 and error.mean() <= 1e-4, f"max {error.max():.2g}, mean {error.mean():.2g}"
        hit = pictures[0][0][..., 3] > 0.01
        torch.testing.assert_close(pictures[0][1][hit], pictures[1][1][hit], rtol=1e-2, atol=1e-3)
    assert on_cuda._on_cuda is not None
    graph = on_cuda._on_cuda._appearance._graph
    assert graph is not None, "the decoding was not replayed"


@needs_cuda
def test_two_places_of_one_avatar_do_not_disturb_each_other() -> None:
    moved = torch.eye(4)
    moved[0, 3] = 0.1
    pictures = []
    for avatar in (small_avatar(500), small_avatar(500).to("cuda").eval()):
        placed = [PlacedAvatar(avatar, EXPRESSION, torch.eye(4)), PlacedAvatar(avatar, torch.zeros(3), moved)]
        pictures.append(render_frame(placed, camera())[0].cpu())
    assert (pictures[0] - pictures[1]).abs().max() <= 2 / 255
