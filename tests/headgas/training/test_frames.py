# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Training frames: the same from memory and from the disk, in no more memory than is allowed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from headgas import cli
from headgas.captures import load_capture
from headgas.errors import HeadGaSError
from headgas.splatting import Camera, Gaussians, Rendering, rasterize
from headgas.training.frames import FrameOrder, TrainingFrames, usual_cache
from headgas.training.trainer import Budget, Trainer
from tests.headgas.conftest import SIZE, write_capture
from tests.headgas.training.test_training import SMALL

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
PICTURE = 4 * SIZE * SIZE  # bytes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_capture(tmp_path_factory.mktemp("frames") / "capture")


def test_streamed_frames_are_those_in_memory(folder: Path) -> None:
    """Every frame of two epochs, with room for some, and never more in memory than that."""
    frames = load_capture(folder).split("train")
    allowed = 9 * PICTURE
    kept, streamed = TrainingFrames(frames, CPU), TrainingFrames(frames, CPU, allowed)
    assert streamed.streams and not kept.streams and len(streamed) == 24
    order = FrameOrder(24, seed=3)
    for step in range(48):
        streamed.expect([order[ahead] for ahead in range(step, step + 20)])
        assert 0 < streamed.bytes_kept <= allowed
        number = order[step]
        one, other = kept[number], streamed[number]
        assert torch.equal(one.color, other.color) and torch.equal(one.matte, other.matte)
        assert one.head == other.head and torch.equal(one.expression, other.expression)
        rgba = torch.from_numpy(frames[number].load_rgba())
        shown = rgba[..., 3:] > 0
        assert torch.equal(one.color * shown, rgba[..., :3] * shown) and torch.equal(one.matte, rgba[..., 3])
    assert streamed.bytes_kept > 6 * PICTURE


def test_shrunk_frames_show_the_mean_of_every_block(folder: Path) -> None:
    """Over any background, with the camera that sees so; what is small enough stays as it is."""
    frame = TrainingFrames(load_capture(folder).split("train"), CPU)[0]
    side = SIZE // 5  # no divisor of it
    block = -(-SIZE // side)
    small, background = frame.shrunk(side), torch.tensor([0.9, 0.1, 0.4])
    count = SIZE // block
    assert (small.camera.width, small.camera.height) == (count, count) and count <= side
    whole = frame.over(background)[: count * block, : count * block]
    means = whole.reshape(count, block, count, block, 3).mean((1, 3))
    torch.testing.assert_close(small.over(background), means, rtol=0, atol=1e-6)
    point = torch.tensor([0.02, -0.03, 0.6])
    large, less = (camera.K @ point / point[2] for camera in (frame.camera, small.camera))
    torch.testing.assert_close(less[:2], large[:2] / block)
    assert frame.shrunk(SIZE) is frame


def test_pictures_grow_while_training_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(SMALL, small_until=0.3, small_side=SIZE // 4)
    trainer, widths = Trainer(load_capture(folder), config, Budget(iterations=10)), []

    def watched(gaussians: Gaussians, camera: Camera, **options: Any) -> Rendering:
        widths.append(camera.width)
        return rasterize(gaussians, camera, **options)

    monkeypatch.setattr("headgas.training.trainer.rasterize", watched)
    trainer.train()
    assert widths == [SIZE // 4] * 3 + [SIZE] * 7


def test_frames_that_were_not_announced_come_all_the_same(folder: Path) -> None:
    frames = TrainingFrames(load_capture(folder).split("train"), CPU, 4 * PICTURE)
    frames.expect([1, 2, 3])
    frames.expect([9, 8])  # as after resuming: what is in the way is given up
    assert frames[5].color.shape == (SIZE, SIZE, 3)
    assert torch.equal(frames[9].expression, frames.expressions[9])


def test_the_usual_cache_is_a_quarter_of_a_small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for pages, expected in ((2_000_000, 2_048_000_000), (100_000_000, 4_000_000_000)):
        values = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": pages}
        monkeypatch.setattr("os.sysconf_names", values, raising=False)
        monkeypatch.setattr("os.sysconf", values.__getitem__, raising=False)
        assert usual_cache(CPU) == expected
    monkeypatch.setattr("os.sysconf_names", {})
    assert usual_cache(CPU) == 2_000_000_000


def test_training_does_not_depend_on_the_cache(folder: Path) -> None:
    capture = load_capture(folder)
    trainers = [Trainer(capture, SMALL, Budget(iterations=60), cache=cache) for cache in (10**9, 0, 9 * PICTURE)]
    losses = [[trainer.step().loss for _ in range(26)] for trainer in trainers]
    assert losses[0] == losses[1] == losses[2]


def test_a_damaged_picture_is_refused_when_its_turn_comes(tmp_path: Path) -> None:
    folder = write_capture(tmp_path / "capture", 4, 1)
    Image.new("RGBA", (SIZE, SIZE)).save(folder / "images/0002.png")
    split = load_capture(folder).split("train")
    with pytest.raises(HeadGaSError, match=r"0002 is empty[^$]*--skip-damaged"):
        TrainingFrames(split, CPU)
    frames = TrainingFrames(split, CPU, 0)
    frames.expect([1, 2])
    assert frames[1].matte.any()
    with pytest.raises(HeadGaSError, match="0002 is empty"):
        frames[2]


def test_every_frame_comes_once_per_epoch_however_far_one_looks_ahead() -> None:
    order = FrameOrder(10, seed=1)
    plain = [order[step] for step in range(50)]
    again = FrameOrder(10, seed=1)
    for step in range(40):
        assert [again[step + ahead] for ahead in (0, 9, 3)] == [plain[step + ahead] for ahead in (0, 9, 3)]
    for epoch in range(5):
        assert sorted(plain[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert not np.array_equal(plain[:10], plain[10:20])


def test_the_command_skips_damaged_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_capture(tmp_path / "capture", 6, 2)
    (folder / "images/0003.png").write_bytes(b"no picture")
    arguments = ["train", str(folder), "--iterations", "2", "--gaussians", "50", "--cache", "1M"]
    assert cli.main([*arguments, "--out", str(tmp_path / "run")]) == 2
    assert "0003.png" in capsys.readouterr().err and not (tmp_path / "run").exists()
    assert cli.main([*arguments, "--out", str(tmp_path / "run"), "--skip-damaged"]) == 0
    assert (tmp_path / "run/avatar.safetensors").is_file()
    for size in ("1", "-1G", "many", "9" * 400 + "G"):
        with pytest.raises(SystemExit):
            cli.main([*arguments, "--out", str(tmp_path / "run"), f"--cache={size}"])
        assert "is no size: expected for example 500M or 8G" in capsys.readouterr().err
