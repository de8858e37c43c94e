# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""FlashAvatar's checkpoints: driven as the published code does it, still where something is missing."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from headgas.avatars import load_avatar, save_avatar
from headgas.errors import HeadGaSError
from headgas.exchange import ReadingOptions, read_avatar
from headgas.exchange.texture_coordinates import covered
from tests.headgas.avatars.test_flame import Y_UP, _rodrigues, posed
from tests.headgas.avatars.test_headgas import camera
from tests.headgas.exchange.flame_files import FACES, flame_fields, write_flame


def write_checkpoint(path: Path, count: int) -> tuple[dict[str, torch.Tensor], list]:
    """The tuple that its train.py saves; returns the network and the Gaussians."""
    random = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> torch.nn.Parameter:
        return torch.nn.Parameter(torch.randn(*shape, generator=random))

    widths = [171, *[256] * 6]
    network = {}
    for i, (width, following) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
        network[f"fcs.{i}.weight"], network[f"fcs.{i}.bias"] = normal(following, width) * 0.08, normal(following)
    network |= {"output_linear.weight": normal(10, 256) * 0.05, "output_linear.bias": normal(10)}
    network = {name: value.detach() for name, value in network.items()}
    optimizer = {"state": {}, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999), "params": [0]}]}
    parts = [3, normal(count, 3), normal(count, 1, 3), normal(count, 15, 3), normal(count, 3), normal(count, 4)]
    parts.append(normal(count, 1))
    statistics = [torch.zeros(count), torch.zeros(count, 1), torch.zeros(count, 1), optimizer, 5.0]
    torch.save(((network, optimizer), (*parts, *statistics), 150000), path)
    return network, parts


def write_mesh(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """FlameMesh.obj and FLAME_masks.pkl; returns the texture's triangles [F,3,2], and which of them stay."""
    uv = np.random.default_rng(5).random((FACES, 1, 2)) * 0.9 + 0.05 * np.random.default_rng(6).random((FACES, 3, 2))
    faces = flame_fields()["f"].astype(int)
    lines = [f"vt {u:.9f} {v:.9f}" for triangle in uv for u, v in triangle]
    lines += [" ".join(["f", *(f"{v + 1}/{3 * t + k + 1}/1" for k, v in enumerate(f))]) for t, f in enumerate(faces)]
    (folder / "FlameMesh.obj").write_text("\n".join(lines))
    (folder / "FLAME_masks.pkl").write_bytes(pickle.dumps({"boundary": faces[0, :1], "face": np.arange(3)}, protocol=2))
    return uv, ~(faces == faces[0, 0]).any(1)


def twin_embedding(uv: np.ndarray, stays: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Triangle and barycentric coordinates of each pixel that is covered, pixel by pixel in float64."""
    found = []
    for row in range(128):
        for column in range(128):
            centre = np.array([(column + 0.5) / 128, 1 - (row + 0.5) / 128, 1])
            for number, triangle in enumerate(uv):
                where = np.linalg.solve(np.concatenate([triangle.T, np.ones((1, 3))]), centre)
                if (where > 0).all():
                    found += [(number, where)] if stays[number] else []
                    break
    return found


def test_texture_pixels_are_found_in_order(tmp_path: Path) -> None:
    uv, stays = write_mesh(tmp_path)
    numbers, where = covered(torch.from_numpy(uv).float(), 128)
    wanted = twin_embedding(uv, np.ones_like(stays))
    assert numbers.tolist() == [number for number, _ in wanted] and len(wanted) > 30
    assert np.allclose(where, np.stack([w for _, w in wanted]), atol=2e-3)


def test_a_checkpoint_is_driven_with_flame(tmp_path: Path) -> None:
    uv, stays = write_mesh(tmp_path)
    embedded = twin_embedding(uv, stays)
    path = tmp_path / "chkpnt150000.pth"
    network, parts = write_checkpoint(path, len(embedded))
    identity, random = np.random.default_rng(3).normal(size=300), np.random.default_rng(8)
    np.save(tmp_path / "shape.npy", identity)
    imported = read_avatar(path, ReadingOptions(flame=write_flame(tmp_path), shape=tmp_path / "shape.npy"))
    assert not imported.warnings and len(imported.avatar.expression_space) == 100 + 2 + 9
    expression, lids, turns = random.normal(size=100), np.array([0.2, 0.9]), 0.3 * random.normal(size=(3, 3))
    fields = flame_fields()
    pose = np.concatenate([np.zeros((2, 3)), turns])
    moved = np.einsum("l,lvc->vc", lids, np.stack([np.load(tmp_path / f"{side}_eyelid.npy") for side in "lr"]))
    mesh = posed(fields, np.concatenate([identity, expression]), pose, moved)
    rest = posed(fields, np.concatenate([identity, np.zeros(100)]), np.zeros((5, 3)))
    rows = [_rodrigues(turn)[:2].ravel() for turn in turns]
    e = torch.from_numpy(np.concatenate([expression, lids, turns.ravel()])).float()
    save_avatar(tmp_path / "a.safetensors", imported.avatar, "imported", {})
    found = load_avatar(tmp_path / "a.safetensors").avatar.gaussians(e, camera())
    for i in range(0, len(embedded), 7):
        number, where = embedded[i]
        corners = fields["f"][number].astype(int)
        place = where @ rest[corners]
        encoded = [place, *(f(place * 2.0**k) for k in range(8) for f in (np.sin, np.cos))]
        hidden = np.concatenate([*encoded, expression, *rows, lids])
        for layer in range(6):
            weight, bias = (network[f"fcs.{layer}.{name}"].double().numpy() for name in ("weight", "bias"))
            hidden = np.maximum(weight @ hidden + bias, 0)
        weight, bias = (network[f"output_linear.{name}"].double().numpy() for name in ("weight", "bias"))
        out = np.tanh(weight @ hidden + bias)
        assert np.allclose(found.means[i], Y_UP @ (where @ mesh[corners] + out[:3]), atol=3e-3)
        assert np.allclose(found.scales[i], np.exp(parts[4][i].detach().numpy() * np.exp(out[7:])), rtol=0.05)
        w, v = parts[5][i, 0].item(), parts[5][i, 1:].detach().numpy()
        dw, dv = np.exp(out[3]), out[4:7]
        turned = np.array([w * dw - v @ dv, *(w * dv + dw * v + np.cross(v, dv))])
        a, b, c, d = turned * 0.5**0.5  # then by 90° about x
        wanted = np.array([a - b, a + b, c - d, c + d])
        q = found.quaternions[i].numpy()
        assert abs(q @ wanted) / np.linalg.norm(q) / np.linalg.norm(wanted) > 0.9999


def test_what_is_missing_is_said_and_the_last_frame_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADGAS_FLAME", raising=False)
    path = tmp_path / "chkpnt150000.pth"
    _, parts = write_checkpoint(path, 7)
    flame = ReadingOptions(flame=write_flame(tmp_path))
    for options, words in ((None, "--flame"), (flame, "FlameMesh.obj and FLAME_masks.pkl"), (flame, "the file has 7")):
        if "7" in words:
            write_mesh(tmp_path)
        imported = read_avatar(path, options)
        assert imported.avatar.count == 7 and len(imported.avatar.expression_space) == 0
        assert "cannot be driven" in imported.warnings[0] and words in imported.warnings[0]
        found = imported.avatar.splats(torch.zeros(0))
        assert np.allclose(found.means, parts[1].detach().numpy() @ Y_UP.T, atol=1e-6)


def test_other_and_broken_checkpoints_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "chkpnt150000.pth"
    write_checkpoint(path, 7)
    network, parts, iteration = torch.load(path, weights_only=True)
    torch.save((network, (*parts[:6], parts[6][:5], *parts[7:]), iteration), path)
    with pytest.raises(HeadGaSError, match="opacities"):
        read_avatar(path)
    torch.save({"epoch": 3}, path)
    with pytest.raises(HeadGaSError, match="no checkpoint of FlashAvatar"):
        read_avatar(path)
    uv, stays = write_mesh(tmp_path)
    write_checkpoint(path, len(twin_embedding(uv, stays)))
    network, parts, iteration = torch.load(path, weights_only=True)
    del network[0]["fcs.2.bias"]
    torch.save((network, parts, iteration), path)
    with pytest.raises(HeadGaSError, match=r"fcs\.2\.bias"):
        read_avatar(path, ReadingOptions(flame=write_flame(tmp_path)))


def test_a_malicious_checkpoint_is_refused_and_named(tmp_path: Path) -> None:
    """Through the same door as every other file, and nothing of it runs."""
    marker, path = tmp_path / "marker", tmp_path / "chkpnt1.pth"
    torch.save(((Touches(marker), {}), (), 1), path)
    with pytest.raises(HeadGaSError, match=r"(?s)chkpnt1\.pth: is refused.*system.*malicious") as caught:
        read_avatar(path)
    assert not marker.exists() and "system" in str(caught.value)


class Touches:
    """Pickles as a call that makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.system, (f"touch '{self.marker}'",)
