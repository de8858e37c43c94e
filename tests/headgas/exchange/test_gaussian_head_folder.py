# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianHead's run folders, written by the test, against the published code's arithmetic in plain torch."""

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from headgas import cli
from headgas.avatars import GaussianHead, SplatAvatar, load_avatar
from headgas.avatars.spherical_harmonics import sh_basis
from headgas.errors import HeadGaSError
from headgas.exchange import beside, convert
from headgas.exchange.imported import ReadingOptions
from headgas.exchange.reading import read_avatar, whole
from headgas.splatting import Camera, Gaussians, rasterize
from headgas.splatting.rotations import matrices_of
from tests.headgas.avatars.test_headgas import camera

COUNT, PARAMETERS = 30, 5
Weights = dict[str, dict[str, Tensor]]
# The columns are the file's x, y, z (OpenGL: x right, y up, z to the viewer) in head space (+X left, -Y front, +Z up)
TO_HEAD = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def some_weights(levels: int = 1, parameters: int = PARAMETERS) -> Weights:
    """Weights of all four files under the published names, quaternions of other lengths than one among them."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int, scale: float = 1.0) -> Tensor:
        return scale * torch.randn(shape, generator=generator)

    inputs, width = 63 + parameters, 256
    deform = {}
    for number in range(8):
        columns = {0: inputs, 5: width + inputs}.get(number, width)
        deform[f"linear.{number}.weight"] = draw(width, columns, scale=(2 / columns) ** 0.5)
        deform[f"linear.{number}.bias"] = draw(width, scale=0.05)
    for name, size, scale in (("warp", 3, 0.002), ("rotation", 4, 0.02), ("scaling", 3, 0.001)):
        deform[f"gaussian_{name}.weight"] = draw(size, width, scale=scale)
        deform[f"gaussian_{name}.bias"] = draw(size, scale=scale)
    trip = {}
    for level in range(levels):
        for plane in range(3):
            size = 64 * 2**level
            trip[f"tri_plane.{level}.{plane}"] = 0.1 + 0.9 * torch.rand(1, 32, size, size, generator=generator)
    shapes = {"opacity_net.net.0": (64, 32), "opacity_net.net.1": (64, 64), "opacity_net.net.2": (33, 64),
              "shs_net.net.0": (64, 35), "shs_net.net.1": (48, 64)}  # fmt: skip
    trip |= {f"{name}.weight": draw(*shape, scale=0.3) for name, shape in shapes.items()}
    trip |= {"shs_dc_net.weight": draw(3, 48, scale=0.1), "shs_dc_net.bias": draw(3, scale=0.1)}
    trip |= {"shs_rest_net.weight": draw(45, 48, scale=0.03), "shs_rest_net.bias": draw(45, scale=0.03)}
    cloud = {"xyz": draw(COUNT, 3, scale=0.05), "scaling": draw(COUNT, 3, scale=0.3) - 4.0, "rotation": draw(COUNT, 4)}
    tilted = {"tau": F.normalize(draw(COUNT, 4, 4), dim=2) * (1 + draw(COUNT, 4, 1, scale=0.2))}
    return {"point_cloud": cloud, "deform": deform, "trip": trip, "tilted": tilted}


def ply_bytes(cloud: dict[str, Tensor]) -> bytes:
    """As the published code writes it: opacities are no logits there, and harmonics are of the last frame."""
    names = ["x", "y", "z", "nx", "ny", "nz", *(f"f_dc_{i}" for i in range(3)), *(f"f_rest_{i}" for i in range(45))]
    names += ["opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {COUNT}\n"
    header += "".join(f"property float {name}\n" for name in names) + "end_header\n"
    rows = b""
    for i in range(COUNT):
        looks = [0.0] * 3 + [9.0] * 48 + [0.7]  # nobody may look at them
        values = [*cloud["xyz"][i].tolist(), *looks, *cloud["scaling"][i].tolist(), *cloud["rotation"][i].tolist()]
        rows += struct.pack(f"<{len(names)}f", *values)
    return header.encode() + rows


def write_run(folder: Path, weights: Weights, iteration: int = 80_000) -> Path:
    files = {"point_cloud": "point_cloud.ply", "deform": "deform.pth", "trip": "trip.pth", "tilted": "tilted.pth"}
    for name, file in files.items():
        path = folder / name / f"iteration_{iteration}" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == "point_cloud":
            path.write_bytes(ply_bytes(weights[name]))
        else:
            torch.save(weights[name], path)
    (folder / "cfg_args").write_text("Namespace(sh_degree=3, source_path='data/id1', white_background=True)")
    return folder


def released(weights: Weights, expression: Tensor, position: Tensor) -> dict[str, Tensor]:
    """What the published code hands to its rasterizer, in its own axes; position [3] of the camera. float64."""
    w = {name: value.double() for part in weights.values() for name, value in part.items()}
    xyz = w["xyz"]
    encoded = [xyz]
    for octave in range(10):
        encoded += [torch.sin(xyz * 2.0**octave), torch.cos(xyz * 2.0**octave)]
    given = torch.cat([*encoded, expression.double().expand(COUNT, -1)], -1)
    hidden = given
    for number in range(8):
        hidden = F.relu(F.linear(hidden, w[f"linear.{number}.weight"], w[f"linear.{number}.bias"]))
        if number == 4:
            hidden = torch.cat([given, hidden], -1)
    warp, turn, growth = (
        F.linear(hidden, w[f"gaussian_{name}.weight"], w[f"gaussian_{name}.bias"])
        for name in ("warp", "rotation", "scaling")
    )
    means, scales = xyz + warp, w["scaling"].exp() + growth
    q = F.normalize(w["rotation"], dim=1) + turn  # not normalised again
    factors = []
    for k in range(4):
        tau = w["tau"][:, k]
        t = tau * torch.sqrt(2.0 / tau.norm(dim=1, keepdim=True))
        o = t[:, :, None] * t[:, None, :]
        rows = [1 - o[:, 2, 2] - o[:, 3, 3], o[:, 1, 2] - o[:, 3, 0], o[:, 1, 3] + o[:, 2, 0],
                o[:, 1, 2] + o[:, 3, 0], 1 - o[:, 1, 1] - o[:, 3, 3], o[:, 2, 3] - o[:, 1, 0],
                o[:, 1, 3] - o[:, 2, 0], o[:, 2, 3] + o[:, 1, 0], 1 - o[:, 1, 1] - o[:, 2, 2]]  # fmt: skip
        places = torch.einsum("nij,nj->nj", torch.cat(rows).view(-1, 3, 3), means)  # sic, both: no rotation
        total = torch.zeros(COUNT, 8, dtype=torch.float64)
        for level in range(sum(name.endswith(".0") and name.startswith("tri_plane") for name in w)):
            product = torch.ones(COUNT, 8, dtype=torch.float64)
            for plane, axes in enumerate(([0, 1], [0, 2], [1, 2])):
                image = w[f"tri_plane.{level}.{plane}"][:, 24:32]  # the last eight channels, whatever k is
                grid = places[None, None, :, axes]
                found = F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=True)
                product = product * found[0, :, 0].T
            total = total + product
        factors.append(total)
    hidden = torch.cat(factors, 1)
    for number in (0, 1):
        hidden = torch.sigmoid(hidden @ w[f"opacity_net.net.{number}.weight"].T)
    hidden = hidden @ w["opacity_net.net.2.weight"].T
    directions = F.normalize(xyz - position.double(), dim=1)
    looks = torch.cat([hidden[:, 1:], directions], 1) @ w["shs_net.net.0.weight"].T @ w["shs_net.net.1.weight"].T
    base = F.linear(looks, w["shs_dc_net.weight"], w["shs_dc_net.bias"]).view(-1, 1, 3)
    rest = F.linear(looks, w["shs_rest_net.weight"], w["shs_rest_net.bias"]).view(-1, 15, 3)
    basis = sh_basis(F.normalize(means - position.double(), dim=1), 3)
    colors = (torch.einsum("nk,nkc->nc", basis, torch.cat([base, rest], 1)) + 0.5).clamp_min(0)
    r, x, y, z = q.unbind(1)
    matrix = torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - r * z), 2 * (x * z + r * y),
                          2 * (x * y + r * z), 1 - 2 * (x * x + z * z), 2 * (y * z - r * x),
                          2 * (x * z - r * y), 2 * (y * z + r * x), 1 - 2 * (x * x + y * y)], 1)  # fmt: skip
    factor = matrix.view(-1, 3, 3) * scales[:, None]
    return {"means": means, "covariances": factor @ factor.mT, "opacities": torch.sigmoid(hidden[:, 0]),
            "colors": colors}  # fmt: skip


def covariances(gaussians: Gaussians) -> Tensor:
    factor = matrices_of(F.normalize(gaussians.quaternions, dim=1)) * gaussians.scales[:, None]
    return factor @ factor.mT


@pytest.mark.parametrize(("levels", "scale"), [(1, 1.0), (3, 0.25)])
def test_a_run_folder_looks_as_the_published_code_has_it(tmp_path: Path, levels: int, scale: float) -> None:
    weights = some_weights(levels)
    imported = read_avatar(write_run(tmp_path / "id1", weights), ReadingOptions(scale=scale))
    avatar, expression = imported.avatar, torch.tensor([0.3, -0.5, 1.0, 0.0, 0.8])
    assert isinstance(avatar, GaussianHead) and avatar.count == COUNT
    got = avatar.gaussians(expression, camera())
    wanted = released(weights, expression, TO_HEAD.T @ camera().position / scale)
    turn = TO_HEAD.double() * scale
    torch.testing.assert_close(got.means.double(), wanted["means"] @ turn.T, atol=1e-5, rtol=1e-4)
    covariance = turn @ wanted["covariances"] @ turn.T
    torch.testing.assert_close(covariances(got).double(), covariance, atol=1e-7, rtol=1e-3)
    torch.testing.assert_close(got.opacities.double(), wanted["opacities"], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(got.colors.double(), wanted["colors"], atol=1e-4, rtol=1e-4)
    assert covariance.abs().mean() > 1e-6 and wanted["opacities"].std() > 1e-3  # there is something to compare


def test_the_picture_is_that_of_a_camera_before_the_face(tmp_path: Path) -> None:
    """A camera of the published code (OpenGL, from +Z) sees what ours sees from the same place in head space."""
    weights = some_weights()
    weights["point_cloud"]["xyz"][:, 0] += 0.05  # to the right of the picture, which is the subject's left
    avatar = read_avatar(write_run(tmp_path / "id1", weights)).avatar
    theirs = Camera(torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0])), camera().K, 48, 48)  # OpenCV's, looks along -Z
    theirs.viewmat[2, 3] = 0.6
    ours = Camera(theirs.viewmat.clone(), camera().K, 48, 48)
    ours.viewmat[:3, :3] = theirs.viewmat[:3, :3] @ TO_HEAD.T
    gaussians = avatar.gaussians(torch.zeros(PARAMETERS), ours)
    wanted = released(weights, torch.zeros(PARAMETERS), torch.tensor([0.0, 0.0, 0.6]))
    pixels = wanted["means"].float() @ theirs.viewmat[:3, :3].T + theirs.viewmat[:3, 3]
    seen = gaussians.means @ ours.viewmat[:3, :3].T + ours.viewmat[:3, 3]
    torch.testing.assert_close(seen, pixels, atol=1e-5, rtol=1e-4)
    alpha = rasterize(gaussians, ours).alpha
    assert alpha[:, 24:].sum() > 2 * alpha[:, :24].sum()


def test_the_newest_iteration_that_all_files_have_is_read(tmp_path: Path) -> None:
    newest, older = some_weights(), some_weights()
    older["point_cloud"]["xyz"] = older["point_cloud"]["xyz"] + 1
    write_run(tmp_path / "id1", older, 9_000)
    write_run(tmp_path / "id1", newest, 10_000)
    write_run(tmp_path / "id1", older, 20_000)
    (tmp_path / "id1/tilted/iteration_20000/tilted.pth").unlink()
    imported = read_avatar(tmp_path / "id1")
    assert imported.training["iterations"] == 10_000
    assert isinstance(imported.avatar, GaussianHead)
    torch.testing.assert_close(imported.avatar.means.detach(), newest["point_cloud"]["xyz"] @ TO_HEAD.T)


@pytest.mark.parametrize(
    "part",
    ["", "cfg_args", "point_cloud/iteration_80000/point_cloud.ply", "deform/iteration_80000/deform.pth", "tilted",
     "trip/iteration_80000", "input.ply"],
)  # fmt: skip
def test_any_part_of_a_run_stands_for_the_run(tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_run(tmp_path / "id1", some_weights())
    (folder / "input.ply").write_bytes(b"ply\nthe points that training began with")
    assert whole(folder / part) == folder and beside(folder / part) == tmp_path / "id1.headgas.safetensors"
    assert isinstance(read_avatar(folder / part).avatar, GaussianHead)
    monkeypatch.chdir((folder / part).parent)
    assert isinstance(read_avatar(Path((folder / part).name)).avatar, GaussianHead)


def test_what_only_lies_in_a_run_is_no_part_of_it(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "id1", some_weights())
    inside = folder / "point_cloud/iteration_80000"
    ours, splats = inside / "point_cloud.safetensors", folder / "smile.ply"
    convert(folder, ours)
    convert(ours, splats)
    assert read_avatar(ours).preset == "imported"
    assert isinstance(read_avatar(splats).avatar, SplatAvatar)
    missing = folder / "deform/iteration_80000/deform.pht"
    with pytest.raises(HeadGaSError, match="no such file"):
        read_avatar(missing)


def test_a_cloud_of_another_program_is_splats(tmp_path: Path) -> None:
    """Deformable 3D Gaussians' runs have point_cloud and deform, too, but no factors."""
    cloud = tmp_path / "run/point_cloud/iteration_7/point_cloud.ply"
    (tmp_path / "run/deform/iteration_7").mkdir(parents=True)
    cloud.parent.mkdir(parents=True)
    cloud.write_bytes(ply_bytes(some_weights()["point_cloud"]))
    assert isinstance(read_avatar(cloud).avatar, SplatAvatar)


class _Attack:
    """Calls something when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_malicious_file_is_refused_by_the_name_of_what_it_calls(tmp_path: Path, legacy: bool) -> None:
    folder = write_run(tmp_path / "id1", some_weights())
    deform = folder / "deform/iteration_80000/deform.pth"
    state = torch.load(deform) | {"linear.0.bias": _Attack(tmp_path / "it_ran")}
    torch.save(state, deform, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(HeadGaSError, match=r"deform\.pth: is refused: opening it would call \S+, ") as caught:
        read_avatar(deform)
    assert "malicious" in str(caught.value) and not (tmp_path / "it_ran").exists()


@pytest.mark.parametrize("folder", ["point_cloud", "deform", "trip", "tilted"])
def test_a_folder_that_is_missing_is_named(tmp_path: Path, folder: str) -> None:
    run = write_run(tmp_path / "id1", some_weights())
    shutil.rmtree(run / folder)
    with pytest.raises(HeadGaSError, match=f"{folder}: holds no iteration_N"):
        read_avatar(run / "cfg_args")


@pytest.mark.parametrize(("parameters", "kind"), [(46, "FaceWarehouse"), (7, "custom")])
def test_expressions_are_numbered(tmp_path: Path, parameters: int, kind: str) -> None:
    space = read_avatar(write_run(tmp_path / "id1", some_weights(parameters=parameters))).avatar.expression_space
    assert (space.kind, len(space)) == (kind, parameters)
    assert space.names[:2] == ("expression_0", "expression_1")


@pytest.mark.parametrize("name", ["a.ply", "a.spz", "a.glb"])
def test_a_run_folder_is_converted_to_splats_with_fitted_colours(tmp_path: Path, name: str) -> None:
    converted = convert(write_run(tmp_path / "id1", some_weights()), tmp_path / name)
    assert (tmp_path / name).stat().st_size > 100 * COUNT // 8
    assert sum("colours were fitted" in warning for warning in converted.warnings) == 1
    assert any(warning.startswith("id1: ") for warning in converted.warnings)


def test_a_run_folder_is_converted_to_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights, out = some_weights(), tmp_path / "a.safetensors"
    assert cli.main(["convert", str(write_run(tmp_path / "id1", weights)), str(out), "--basis", "float32"]) == 0
    assert "range" in capsys.readouterr().err
    expression = torch.tensor([0.3, -0.5, 1.0, 0.0, 0.8])
    checkpoint, read = load_avatar(out), read_avatar(tmp_path / "id1").avatar
    assert checkpoint.header["training"]["iterations"] == 80_000
    got, wanted = (avatar.render(expression, camera()).color for avatar in (checkpoint.avatar, read))
    torch.testing.assert_close(got, wanted)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _edit(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        state = torch.load(path)
        change(state)
        torch.save(state, path)

    return edit


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("tilted/iteration_80000/tilted.pth", Path.unlink, "holds no iteration_N/tilted.pth"),
        ("trip/iteration_80000/trip.pth", _truncate, "trip.pth: is damaged"),
        ("trip/iteration_80000/trip.pth", lambda path: path.write_bytes(b""), "trip.pth: is damaged"),
        ("trip/iteration_80000/trip.pth", lambda path: path.write_bytes(b"nonsense"), "trip.pth: is damaged"),
        ("point_cloud/iteration_80000/point_cloud.ply", _truncate, "ends too early"),
        ("tilted/iteration_80000/tilted.pth", lambda path: torch.save([1], path), "expected weights by their names"),
        ("tilted/iteration_80000/tilted.pth", lambda path: torch.save({"tau": Path()}, path), r"would call pathlib"),
        ("tilted/iteration_80000/tilted.pth", _edit(lambda s: s.update(tau=s["tau"][1:])), r"'tau' is .*\[29, 4, 4\]"),
        ("tilted/iteration_80000/tilted.pth", _edit(lambda s: s["tau"].fill_(float("nan"))), "'tau' holds values"),
        ("deform/iteration_80000/deform.pth", _edit(lambda s: s.pop("linear.3.bias")), "lacks the tensor 'linear.3"),
        ("deform/iteration_80000/deform.pth", _edit(lambda s: s.pop("gaussian_warp.weight")), "'gaussian_warp.weight'"),
        ("deform/iteration_80000/deform.pth", _edit(lambda s: s.clear()), "lacks the tensor 'linear.0"),
        ("trip/iteration_80000/trip.pth", _edit(lambda s: s.pop("tri_plane.0.1")), "lacks the tensor 'tri_plane.0.1'"),
        ("trip/iteration_80000/trip.pth", _edit(lambda s: s.pop("shs_dc_net.bias")), "'shs_dc_net.bias'"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(
    tmp_path: Path, file: str, change: Callable[[Path], object], said: str
) -> None:
    folder = write_run(tmp_path / "id1", some_weights())
    change(folder / file)
    with pytest.raises(HeadGaSError, match=said):
        read_avatar(folder)


def test_values_of_a_point_cloud_must_be_finite(tmp_path: Path) -> None:
    weights = some_weights()
    weights["point_cloud"]["rotation"][3, 1] = float("nan")
    with pytest.raises(HeadGaSError, match="rot_0"):
        read_avatar(write_run(tmp_path / "id1", weights))
