# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics and pictures."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headgas.avatars import load_avatar, save_avatar
from headgas.captures import load_capture
from headgas.errors import HeadGaSError
from headgas.evaluation import comparison_sheet, evaluate
from headgas.evaluation.metrics import render_over_white
from headgas.perceptual import _TAPS, _Vgg16, load_lpips, load_perceptual_loss
from tests.headgas.conftest import SIZE, small_avatar


@pytest.fixture
def avatar_file(tmp_path: Path) -> Path:
    save_avatar(tmp_path / "avatar.safetensors", small_avatar(), "headgas", {})
    return tmp_path / "avatar.safetensors"


def test_psnr_is_that_of_the_pictures_over_white(avatar_file: Path, capture_folder: Path) -> None:
    checkpoint, capture = load_avatar(avatar_file), load_capture(capture_folder)
    result = evaluate(checkpoint, capture)
    expected, boxes = [], []
    for frame in capture.split("test"):
        rgba = np.asarray(Image.open(frame.image), np.float64) / 255
        target = rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]
        error = (render_over_white(checkpoint.avatar, frame).detach().double().numpy() - target) ** 2
        expected.append(-10 * math.log10(error.mean()))
        boxes.append(-10 * math.log10(error[24:36, 16:32].mean()))
    assert result.psnr == pytest.approx(np.mean(expected), abs=1e-3)
    assert result.regions == {"eyes": None, "mouth": pytest.approx(np.mean(boxes), abs=1e-3)}
    assert result.frames == 6 and result.frames_per_second > 0


def test_the_sheet_shows_captured_avatar_and_error(avatar_file: Path, capture_folder: Path) -> None:
    sheet = comparison_sheet(load_avatar(avatar_file).avatar, load_capture(capture_folder).split("test"), most=2)
    assert sheet.shape == (2 * SIZE + 18, 3 * SIZE, 3)
    captured, avatar, error = (sheet[18:, i * SIZE : (i + 1) * SIZE].astype(int) for i in range(3))
    np.testing.assert_allclose(error, np.clip(4 * abs(avatar - captured), 0, 255), atol=5)


def test_an_avatar_of_other_parameters_is_refused(tmp_path: Path, capture_folder: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_avatar(path, small_avatar(names=("jawOpen", "smile")), "headgas", {})
    with pytest.raises(HeadGaSError, match="smile"):
        evaluate(load_avatar(path), load_capture(capture_folder))


def test_without_weights_there_is_no_lpips(
    avatar_file: Path, capture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HEADGAS_WEIGHTS", str(tmp_path))
    assert evaluate(load_avatar(avatar_file), load_capture(capture_folder)).lpips is None


def test_weights_are_read_from_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights in the published files' layout: equal pictures are at distance 0, others are not."""
    torch.manual_seed(0)
    state = _Vgg16().state_dict() | {"classifier.0.weight": torch.zeros(2)}
    torch.save(state, tmp_path / "vgg16-397923af.pth")
    widths = (64, 128, 256, 512, 512)
    assert len(widths) == len(_TAPS)
    layers = {f"lin{i}.model.1.weight": torch.rand(1, width, 1, 1) for i, width in enumerate(widths)}
    torch.save(layers, tmp_path / "vgg.pth")
    monkeypatch.setenv("HEADGAS_WEIGHTS", str(tmp_path))
    image, other = torch.rand(32, 40, 3), torch.rand(32, 40, 3, requires_grad=True)
    for metric in (load_lpips(torch.device("cpu")), load_perceptual_loss(torch.device("cpu"))):
        assert metric is not None
        assert metric(image, image).item() == pytest.approx(0, abs=1e-6)
        distance = metric(other, image)
        distance.backward()
        assert distance.item() > 0 and other.grad is not None and other.grad.abs().sum() > 0
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "vgg16-397923af.pth")
    with pytest.raises(HeadGaSError, match="VGG16"):
        load_perceptual_loss(torch.device("cpu"))
    (tmp_path / "vgg16-397923af.pth").write_bytes(b"no weights")
    with pytest.raises(HeadGaSError, match="cannot be read"):
        load_perceptual_loss(torch.device("cpu"))
