# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianAvatars and RGBAvatar: PLY files written number by number, driven through a tiny FLAME as their code does."""

from pathlib import Path

import numpy as np
import pytest
import torch

from headgas import cli
from headgas.errors import HeadGaSError
from headgas.exchange import ReadingOptions, read_avatar
from tests.headgas.avatars.test_flame import Y_UP, _rodrigues, posed
from tests.headgas.avatars.test_headgas import camera
from tests.headgas.exchange.flame_files import FACES, POINTS, flame_fields, splat_columns, write_flame, write_ply

COUNT, ROWS = 300, 3
POSE = 0.3 * np.random.default_rng(2).normal(size=(4, 3))  # neck, jaw, eyes


def write_gaussian_avatars(folder: Path, expressions: int = 10) -> tuple[Path, dict[str, np.ndarray], dict]:
    random = np.random.default_rng(6)
    columns = splat_columns(COUNT, degree=1) | {"binding_0": random.integers(0, FACES, COUNT).astype(np.float32)}
    write_ply(folder / "point_cloud.ply", columns)
    parameters = {
        "shape": random.normal(size=300), "expr": random.normal(size=(4, expressions)), "rotation": np.zeros((4, 3)),
        "neck_pose": np.zeros((4, 3)), "jaw_pose": random.normal(size=(4, 3)), "eyes_pose": np.zeros((4, 6)),
        "translation": np.zeros((4, 3)), "static_offset": 0.01 * random.normal(size=(1, POINTS, 3)),
        "dynamic_offset": np.zeros((4, POINTS, 3)),
    }  # fmt: skip
    np.savez(folder / "flame_param.npz", **{name: value.astype(np.float32) for name, value in parameters.items()})
    return folder / "point_cloud.ply", columns, parameters


def test_gaussian_avatars_follow_triangles(tmp_path: Path) -> None:
    path, columns, parameters = write_gaussian_avatars(tmp_path)
    avatar = read_avatar(path, ReadingOptions(flame=write_flame(tmp_path))).avatar
    space = avatar.expression_space
    assert space.kind == "FLAME" and space.names[10:16] == ("neck_x", "neck_y", "neck_z", "jaw_x", "jaw_y", "jaw_z")
    assert space.high[0] == pytest.approx(max(0, parameters["expr"][:, 0].max()))
    expression = np.random.default_rng(8).normal(size=10)
    fields = flame_fields()
    fields["v_template"] = fields["v_template"] + parameters["static_offset"][0]
    betas = np.concatenate([parameters["shape"], expression, np.zeros(90)])
    mesh = posed(fields, betas, np.concatenate([np.zeros((1, 3)), POSE])) @ Y_UP.T
    e = torch.from_numpy(np.concatenate([expression, POSE.ravel()])).float()
    found = avatar.gaussians(e, camera())
    for i in range(0, COUNT, 29):
        a, b, c = mesh[fields["f"][int(columns["binding_0"][i])].astype(int)]
        along = (b - a) / np.linalg.norm(b - a)
        normal = np.cross(along, c - a) / np.linalg.norm(np.cross(along, c - a))
        third = -np.cross(normal, along)
        size = (np.linalg.norm(b - a) + abs(third @ (c - a))) / 2
        local = np.array([columns[axis][i] for axis in "xyz"])
        wanted = np.stack([along, normal, third], 1) @ local * size + (a + b + c) / 3
        assert np.allclose(found.means[i], wanted, atol=1e-5)
        assert found.scales[i, 2] == pytest.approx(size * np.exp(columns["scale_2"][i]), rel=1e-4)


def test_gaussian_avatars_ask_for_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADGAS_FLAME", raising=False)
    path, columns, _ = write_gaussian_avatars(tmp_path)
    with pytest.raises(HeadGaSError, match=r"point_cloud\.ply.*FLAME"):
        read_avatar(path)
    options = ReadingOptions(flame=write_flame(tmp_path))
    for number, word in ((0.5, "binding_0"), (-1.0, "binding_0"), (np.nan, "binding_0"), (9000.0, "5023")):
        columns["binding_0"][5] = number
        write_ply(path, columns)
        with pytest.raises(HeadGaSError, match=word):
            read_avatar(path, options)
    write_ply(path, columns | {"binding_0": np.full(len(columns["x"]), 1e30)})
    with pytest.raises(HeadGaSError, match="binding_0"):
        read_avatar(path, options)
    parameters = dict(np.load(tmp_path / "flame_param.npz"))
    write_ply(path, columns | {"binding_0": np.zeros(len(columns["x"]))})
    for name, value in (("jaw_pose", np.zeros(3)), ("eyes_pose", np.zeros((9, 6))), ("static_offset", np.ones(4))):
        np.savez(tmp_path / "flame_param.npz", **(parameters | {name: value.astype(np.float32)}))
        with pytest.raises(HeadGaSError, match=rf"flame_param\.npz: '{name}' is"):
            read_avatar(path, options)
    (tmp_path / "flame_param.npz").unlink()
    with pytest.raises(HeadGaSError, match=r"flame_param\.npz"):
        read_avatar(path, options)


def write_rgbavatar(folder: Path) -> tuple[Path, dict[str, np.ndarray], list[np.ndarray]]:
    """With a network without hidden layers, so that 300 rows hold its weights: 129 to 2, and 2 biases."""
    random = np.random.default_rng(9)
    columns = splat_columns(COUNT, degree=3)
    for name in list(columns):
        if name.startswith("f_rest_"):
            columns[name][:] = 0
    rows = 2
    for prefix, size in (("xyz_b_", 3), ("rot_b_", 4), ("f_dc_b_", 3)):
        columns |= {f"{prefix}{i}": random.normal(size=COUNT).astype(np.float32) for i in range(rows * size)}
    weight, bias = random.normal(size=(rows, 129)).astype(np.float32), random.normal(size=rows).astype(np.float32)
    columns["weight_module"] = np.zeros(COUNT, np.float32)
    columns["weight_module"][: rows * 129 + rows] = np.concatenate([weight.ravel(), bias])
    columns["face_id"] = random.integers(0, FACES, COUNT)
    corners = random.dirichlet(np.ones(3), COUNT).astype(np.float32)
    columns |= {f"face_bary_{i}": corners[:, i] for i in range(3)}
    write_ply(folder / "model.ply", columns, {"face_id": "int"})
    (folder / "config.yaml").write_text("model:\n  num_basis_in: 129\n  use_mlp_proj: False  # one layer\n")
    uv = random.random((FACES, 3, 2))
    lines = [f"vt {u} {v}" for triangle in uv for u, v in triangle]
    lines += [f"f 1/{3 * t + 1} 2/{3 * t + 2} 3/{3 * t + 3}" for t in range(FACES)]
    (folder / "head_template.obj").write_text("\n".join(["# a mesh", "v 0 0 0", *lines]))
    return folder / "model.ply", columns, [weight, bias, uv]


def test_rgbavatar_blends_by_its_network(tmp_path: Path) -> None:
    path, columns, (weight, bias, uv) = write_rgbavatar(tmp_path)
    identity = np.random.default_rng(3).normal(size=300)
    np.save(tmp_path / "shape.npy", identity)
    options = ReadingOptions(flame=write_flame(tmp_path), shape=tmp_path / "shape.npy")
    imported = read_avatar(path, options)
    assert not imported.warnings and imported.format == "RGBAvatar"
    expression, lids = np.random.default_rng(8).normal(size=100), np.array([0.3, 0.8])
    e = torch.from_numpy(np.concatenate([expression, lids, POSE.ravel()])).float()
    rows = [_rodrigues(vector)[:2].ravel() for vector in POSE]
    c = weight @ np.concatenate([expression, *rows, lids, np.zeros(3)]) + bias
    fields = flame_fields()
    closed = np.stack([np.load(tmp_path / f"{side}_eyelid.npy") for side in "lr"])
    moved = np.einsum("l,lvc->vc", lids, closed)
    pose = np.concatenate([np.zeros((1, 3)), POSE])
    mesh = posed(fields, np.concatenate([identity, expression]), pose, moved) @ Y_UP.T
    found = imported.avatar.gaussians(e, camera())
    for i in range(0, COUNT, 29):
        corners = mesh[fields["f"][int(columns["face_id"][i])].astype(int)]
        (d1, d2), (e1, e2) = (x[1:] - x[0] for x in (uv[int(columns["face_id"][i])], corners))
        f = 1 / (d1[0] * d2[1] - d2[0] * d1[1])
        frame = np.stack([f * (d2[1] * e1 - d1[1] * e2), f * (-d2[0] * e1 + d1[0] * e2), np.cross(e1, e2)], 1)
        frame /= np.linalg.norm(frame, axis=0)
        local = np.array([columns[axis][i] + sum(c[r] * columns[f"xyz_b_{3 * r + k}"][i] for r in range(2))
                          for k, axis in enumerate("xyz")])  # fmt: skip
        origin = np.array([columns[f"face_bary_{k}"][i] for k in range(3)]) @ corners
        assert np.allclose(found.means[i], origin + frame @ local, atol=1e-3)
        base = [columns[f"f_dc_{k}"][i] + sum(c[r] * columns[f"f_dc_b_{3 * r + k}"][i] for r in range(2))
                for k in range(3)]  # fmt: skip
        assert np.allclose(found.colors[i], np.maximum(0.28209479 * np.array(base) + 0.5, 0), atol=1e-3)


def test_rgbavatar_names_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADGAS_FLAME", raising=False)
    path, columns, _ = write_rgbavatar(tmp_path)
    with pytest.raises(HeadGaSError, match=r"model\.ply.*FLAME"):
        read_avatar(path)
    options = ReadingOptions(flame=write_flame(tmp_path))
    for lid in "lr":
        (tmp_path / f"{lid}_eyelid.npy").unlink()
    assert ["--shape" in said for said in read_avatar(path, options).warnings] == [True, False]
    settings = (tmp_path / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(settings.replace("129", "many"))
    with pytest.raises(HeadGaSError, match="2 blendshapes of many numbers"):
        read_avatar(path, options)
    (tmp_path / "config.yaml").write_text(settings)
    write_ply(path, {name: column for name, column in columns.items() if name not in ("xyz_b_1", "xyz_b_2")})
    with pytest.raises(HeadGaSError, match="xyz_b_"):
        read_avatar(path, options)
    write_ply(path, columns | {"face_bary_1": np.full(COUNT, np.nan)})
    with pytest.raises(HeadGaSError, match="where its Gaussians are in their triangles"):
        read_avatar(path, options)
    write_ply(path, columns)
    (tmp_path / "config.yaml").unlink()  # with 128 hidden units the weights do not fit
    with pytest.raises(HeadGaSError, match="weight_module"):
        read_avatar(path, options)
    mesh = tmp_path / "head_template.obj"
    mesh.write_text("vt 0 0\nf 1 2 3\n")
    with pytest.raises(HeadGaSError, match="weight_module|line 2"):
        read_avatar(path, options)
    unbound = {name: values for name, values in columns.items() if name != "face_id"}
    write_ply(path, unbound)
    with pytest.raises(HeadGaSError, match="face_id"):
        read_avatar(path, options)


def test_the_command_line_takes_flame_and_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADGAS_FLAME", raising=False)
    path, _, _ = write_rgbavatar(tmp_path)
    np.save(tmp_path / "shape.npy", np.zeros(300))
    out = tmp_path / "out.ply"
    assert cli.main(["convert", str(path), str(out)]) != 0 and not out.exists()
    flame = ["--flame", str(write_flame(tmp_path)), "--shape", str(tmp_path / "shape.npy")]
    assert cli.main(["convert", str(path), str(out), *flame, "--expression", "jaw_x=0.2,expr_003=1"]) == 0
    assert read_avatar(out).avatar.count == COUNT
