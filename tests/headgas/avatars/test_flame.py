# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's FLAME: found, read from its pickle, posed as its equations say, and asked for where it is missing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from headgas.avatars.flame import find_flame, load_flame, need_flame, read_shape
from headgas.errors import HeadGaSError
from headgas.exchange.flame_teeth import TRIANGLES, with_teeth
from tests.headgas.exchange.flame_files import POINTS, flame_fields, write_flame

Y_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # FLAME's axes to head space


def _rodrigues(vector: np.ndarray) -> np.ndarray:
    angle = np.linalg.norm(vector)
    x, y, z = vector / angle
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def posed(
    fields: dict[str, np.ndarray], betas: np.ndarray, pose: np.ndarray, lids: float | np.ndarray = 0.0
) -> np.ndarray:
    """Points [V,3] by FLAME's equations in its own axes; betas [400], pose [5,3] rotation vectors, lids [V,3]."""
    shaped = fields["v_template"] + fields["shapedirs"] @ betas
    joints = fields["J_regressor"] @ shaped
    matrices = [_rodrigues(vector) if vector.any() else np.eye(3) for vector in pose]
    feature = np.concatenate([(matrix - np.eye(3)).ravel() for matrix in matrices[1:]])
    shaped = shaped + fields["posedirs"] @ feature + lids
    world: list[np.ndarray] = []
    for joint, parent in enumerate((-1, 0, 1, 1, 1)):
        local = np.eye(4)
        local[:3, :3] = matrices[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        world.append(local if parent < 0 else world[parent] @ local)
    for joint in range(5):
        world[joint][:3, 3] -= world[joint][:3, :3] @ joints[joint]
    blended = np.einsum("vj,jab->vab", fields["weights"], np.stack(world))
    return np.einsum("vab,vb->va", blended[:, :3, :3], shaped) + blended[:, :3, 3]


def test_flame_moves_as_its_equations_say(tmp_path: Path) -> None:
    """From the pickle with chumpy's arrays and scipy's matrix, through our rig, in head space."""
    flame, fields, random = load_flame(write_flame(tmp_path)), flame_fields(), np.random.default_rng(7)
    identity, expression, pose = random.normal(size=300), random.normal(size=10), 0.4 * random.normal(size=(5, 3))
    pose[0] = 0
    rig = flame.rig(
        flame.points(torch.from_numpy(identity).float()), 10, False, (1, 2, 3, 4), torch.tensor(Y_UP).float(), 1.0
    )
    points, _ = rig(torch.from_numpy(np.concatenate([expression, pose[1:].ravel()])).float())
    wanted = posed(fields, np.concatenate([identity, expression, np.zeros(90)]), pose) @ Y_UP.T
    assert np.allclose(points, wanted, atol=1e-5)


def test_eyelids_close_where_their_files_are(tmp_path: Path) -> None:
    path = write_flame(tmp_path)
    flame = load_flame(path)
    assert flame.eyelids is not None
    rig = flame.rig(flame.template, 3, True, (2,), torch.eye(3), 2.0)
    moved = rig(torch.tensor([0.0, 0, 0, 0, 1, 0, 0, 0]))[0] - rig(torch.zeros(8))[0]
    assert torch.allclose(moved, 2 * torch.from_numpy(np.load(tmp_path / "r_eyelid.npy")).float(), atol=1e-6)
    (tmp_path / "l_eyelid.npy").unlink()
    assert load_flame(path).eyelids is None


def test_flame_is_found_by_option_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_flame(tmp_path)
    monkeypatch.delenv("HEADGAS_FLAME", raising=False)
    assert find_flame(None) is None
    for named in (path, tmp_path):
        assert find_flame(named) is not None
    monkeypatch.setenv("HEADGAS_FLAME", str(path))
    assert find_flame(None) is not None


def test_a_missing_flame_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HEADGAS_FLAME", raising=False)
    with pytest.raises(HeadGaSError) as caught:
        need_flame(Path("avatar.ply"), None)
    for word in ("avatar.ply", "flame.is.tue.mpg.de", "licence", "--flame", "HEADGAS_FLAME"):
        assert word in str(caught.value)
    for named in (tmp_path, tmp_path / "gone.pkl"):
        with pytest.raises(HeadGaSError, match=r"flame\.is\.tue\.mpg\.de"):
            find_flame(named)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("v_template", None),
        ("shapedirs", np.zeros((POINTS, 3))),
        ("posedirs", np.full((POINTS, 3, 36), np.nan)),
        ("weights", np.zeros((POINTS + 1, 5))),
        ("f", np.array([[0, 1, POINTS]])),
        ("kintree_table", np.array([[0, 3, 1, 1, 1], [0, 1, 2, 3, 4]])),
    ],
)
def test_a_wrong_field_is_named(name: str, value: np.ndarray | None, tmp_path: Path) -> None:
    fields = flame_fields()
    if value is None:
        del fields[name]
    else:
        fields[name] = value
    np.savez(tmp_path / "model.npz", **fields)  # type: ignore[arg-type]
    word = {"f": "faces", "kintree_table": "kintree_table"}.get(name, name)
    with pytest.raises(HeadGaSError, match=rf"model\.npz.*{word}"):
        load_flame(tmp_path / "model.npz")


def test_identities_are_read_from_a_tracked_frame(tmp_path: Path) -> None:
    shape = np.arange(300, dtype=np.float32)[None]
    torch.save({"flame": {"shape": shape, "exp": np.zeros((1, 100))}, "frame_id": "00001"}, tmp_path / "00001.frame")
    np.savez(tmp_path / "x.npz", shape=shape[0, :100])
    np.save(tmp_path / "x.npy", shape)
    assert read_shape(None)[1]
    for name, count in (("00001.frame", 300), ("x.npz", 100), ("x.npy", 300)):
        found, said = read_shape(tmp_path / name)
        assert found.shape == (300,) and not said
        assert found[:count].tolist() == list(range(count)) and not found[count:].any()
    torch.save({"frame_id": "00001"}, tmp_path / "00001.frame")
    with pytest.raises(HeadGaSError, match=r"flame\.shape"):
        read_shape(tmp_path / "00001.frame")


def test_teeth_are_two_rows_of_quadrangles(tmp_path: Path) -> None:
    """168 triangles on 120 points, each closed strip's corners used once per band; the rows follow neck and jaw."""
    np.savez(tmp_path / "model.npz", **flame_fields(points=5023))  # type: ignore[arg-type]
    flame = load_flame(tmp_path / "model.npz")
    teeth = with_teeth(flame)
    added = teeth.faces[len(flame.faces) :] - 5023
    assert added.shape == (TRIANGLES, 3) and added.min() == 0 and added.max() == 119
    # the first of each kind, as the published table has them
    table = {0: (0, 31, 30), 14: (7, 8, 37), 28: (60, 75, 76), 42: (67, 82, 68), 56: (75, 30, 76), 70: (82, 37, 38),
             84: (45, 46, 15), 98: (52, 23, 22), 112: (90, 106, 105), 126: (97, 98, 112), 140: (105, 106, 45),
             154: (112, 53, 52), 167: (118, 119, 59)}  # fmt: skip
    for row, triangle in table.items():
        assert tuple(added[row].tolist()) == triangle, row
    assert teeth.weights[5023:5038, 1].eq(1).all() and teeth.weights[5038:5053, 2].eq(1).all()
    assert torch.allclose(teeth.weights.sum(1), torch.ones(5143))
    np.savez(tmp_path / "model.npz", **flame_fields())  # type: ignore[arg-type]
    with pytest.raises(HeadGaSError, match="5023"):
        with_teeth(load_flame(tmp_path / "model.npz"))
