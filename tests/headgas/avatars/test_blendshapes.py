# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars that follow a rig: against a twin that goes from Gaussian to Gaussian, and as files."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from headgas.avatars import ExpressionSpace, load_avatar, read_header, save_avatar
from headgas.avatars.blendshapes import BlendshapeAvatar, BlendshapesConfig, Projection
from headgas.avatars.compact import CompactBasis
from headgas.avatars.rig import Rig, Skeleton
from headgas.avatars.splats import SplatAvatar
from headgas.avatars.surface_frames import Binding, uv_tangents
from headgas.errors import HeadGaSError
from headgas.splatting.rotations import rotation_matrices
from tests.headgas.avatars.test_headgas import camera

NAMES = ("smile", "blink", "neck_x", "neck_y", "neck_z", "jaw_x", "jaw_y", "jaw_z")
AXES = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # Y up to head space
POINTS = 12


def space(names: tuple[str, ...] = NAMES) -> ExpressionSpace:
    zeros = (0.0,) * len(names)
    return ExpressionSpace("custom", names, zeros, zeros, (1.0,) * len(names))


def rig(generator: torch.Generator) -> Rig:
    """Two shapes; a neck, and a jaw that follows it; the root stays."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    skeleton = Skeleton(
        torch.softmax(normal(POINTS, 3), 1),
        0.1 * normal(3, 3),
        (-1, 0, 1),
        (1, 2),
        0.02 * normal(2, 3, 3),
        0.01 * normal(18, POINTS, 3),
        AXES,
    )
    return Rig(0.1 * normal(POINTS, 3), 0.03 * normal(2, POINTS, 3), skeleton)


def avatar(kind: str) -> BlendshapeAvatar:
    """With every path in use. kind: points, edges, or uv with a projection."""
    generator = torch.Generator().manual_seed(5)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    moved = rig(generator)
    if kind == "points":
        config = BlendshapesConfig(("quaternions", "log_scales", "logits", "harmonics"), 2, turn_harmonics=True)
        return BlendshapeAvatar(space(), moved, {}, config, 0.5 * normal(3, POINTS, 4 + 3 + 1 + 27))
    triangles, count = torch.stack([torch.randperm(POINTS, generator=generator)[:3] for _ in range(5)]), 9
    of = torch.randint(0, 5, (count,), generator=generator)
    barycentric = torch.softmax(normal(count, 3), 1)
    rest = {"log_scales": normal(count, 3) - 4, "logits": normal(count, 1)}
    if kind == "edges":
        rest |= {"offsets": normal(count, 3), "quaternions": normal(count, 4), "harmonics": normal(count, 12)}
        binding = Binding(triangles, of, barycentric)
        return BlendshapeAvatar(space(), moved, rest, BlendshapesConfig((), 1), binding=binding)
    torch.manual_seed(1)
    projection = Projection((2 + 12 + 3, 8, 4), trailing=1)
    binding = Binding(triangles, of, barycentric, uv_tangents(torch.rand(5, 3, 2, generator=generator)))
    config = BlendshapesConfig(("offsets", "quaternions", "harmonics"))
    return BlendshapeAvatar(space(), moved, rest, config, normal(5, count, 10), projection, binding).eval()


def posed_slowly(moved: Rig, e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points [V,3] and blended matrices [V,3,3], point by point, from SMPL's equations with 4×4 matrices."""
    skeleton = moved.skeleton
    assert skeleton is not None
    a = AXES.double().numpy()
    matrices = [np.eye(3), *(_rodrigues(e[2 + 3 * i : 5 + 3 * i]) for i in range(2))]
    entries = np.concatenate([(m - np.eye(3)).ravel() for m in matrices[1:]])
    joints = skeleton.joints.double().numpy() + sum(
        e[s] * skeleton.joint_shapes[s].double().numpy() for s in range(2)
    )
    world = []
    for j, parent in enumerate(skeleton.parents):
        local = np.eye(4)
        local[:3, :3] = a @ matrices[j] @ a.T
        local[:3, 3] = joints[j] - (joints[parent] if parent >= 0 else 0)
        world.append(world[parent] @ local if parent >= 0 else local)
    back = []
    for j, m in enumerate(world):
        inverse = np.eye(4)
        inverse[:3, 3] = -joints[j]
        back.append(m @ inverse)
    points, turns = [], []
    for v in range(POINTS):
        x = moved.points[v].double().numpy()
        x = x + sum(e[s] * moved.shapes[s, v].double().numpy() for s in range(2))
        x = x + entries @ skeleton.pose_shapes[:, v].double().numpy()
        m = np.einsum("j,jab->ab", skeleton.weights[v].double().numpy(), np.stack(back))
        points.append(m[:3, :3] @ x + m[:3, 3])
        turns.append(m[:3, :3])
    return np.array(points), np.array(turns)


def _rodrigues(vector: np.ndarray) -> np.ndarray:
    angle = np.linalg.norm(vector)
    if angle == 0:
        return np.eye(3)
    x, y, z = vector / angle
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * k + (1 - math.cos(angle)) * k @ k


def _matrix(q: Tensor) -> np.ndarray:
    w, x, y, z = (q / q.norm()).double().tolist()
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


@pytest.mark.parametrize("e", [[0.0] * 8, [0.4, 0.9] + [0.0] * 6, [0.3, -0.2, 0.2, -0.1, 0.5, 0.6, 0.1, -0.2]])
def test_points_follow_shapes_and_joints(e: list[float]) -> None:
    """Rows of the basis change the Gaussians, the blended joints move and turn them."""
    model, expression = avatar("points"), torch.tensor(e)
    points, blended = posed_slowly(model.rig, np.array(e))
    basis = model.stored_basis
    assert basis is not None and not isinstance(basis, CompactBasis)
    values = basis[0] + e[0] * basis[1] + e[1] * basis[2]
    found = model.gaussians(expression, camera())
    for i in range(POINTS):
        u, _, v = np.linalg.svd(blended[i])
        turn = u @ v
        assert np.allclose(found.means[i], points[i], atol=1e-6)
        assert np.allclose(_matrix(found.quaternions[i]), turn @ _matrix(values[i, :4]), atol=2e-3)
    assert torch.allclose(found.scales, values[:, 4:7].exp())
    assert torch.allclose(found.opacities, torch.sigmoid(values[:, 7]), atol=1e-6)


def test_triangles_carry_gaussians_with_their_edges() -> None:
    model, e = avatar("edges"), torch.tensor([0.3, -0.2, 0.2, -0.1, 0.5, 0.6, 0.1, -0.2])
    points = torch.tensor(posed_slowly(model.rig, e.double().numpy())[0]).float()
    binding, found = model.binding, model.gaussians(e, camera())
    assert binding is not None
    for i in range(model.count):
        a, b, c = points[binding.triangles[binding.of[i]]]
        along = (b - a) / (b - a).norm()
        normal = torch.linalg.cross(b - a, c - a)
        normal = normal / normal.norm()
        third = torch.linalg.cross(along, normal)
        size = ((b - a).norm() + (third @ (c - a)).abs()) / 2
        frame = torch.stack([along, normal, third], 1)
        origin = binding.barycentric[i] @ torch.stack([a, b, c])
        assert torch.allclose(found.means[i], origin + size * frame @ model.get_buffer("offsets")[i], atol=1e-6)
        assert torch.allclose(found.scales[i], size * model.get_buffer("log_scales")[i].exp(), atol=1e-6)
        wanted = frame.double().numpy() @ _matrix(model.get_buffer("quaternions")[i])
        assert np.allclose(_matrix(found.quaternions[i]), wanted, atol=1e-5)


def test_a_projection_makes_few_coefficients_of_shapes_and_matrices() -> None:
    model, e = avatar("uv"), torch.tensor([0.3, -0.2, 0.2, -0.1, 0.5, 0.6, 0.1, -0.2])
    assert model.projection is not None
    first, _, second = model.projection.layers
    assert isinstance(first, torch.nn.Linear) and isinstance(second, torch.nn.Linear)
    rows = [torch.tensor(_rodrigues(e[2 + 3 * i : 5 + 3 * i].double().numpy())).float() for i in range(2)]
    given = torch.cat([e[:1], *(row[:2].flatten() for row in rows), e[1:2], torch.zeros(3)])
    coefficients = second.weight @ torch.relu(first.weight @ given + first.bias) + second.bias
    basis = model.stored_basis
    assert basis is not None and not isinstance(basis, CompactBasis)
    values = basis[0] + torch.einsum("r,rnf->nf", coefficients, basis[1:])
    points = torch.tensor(posed_slowly(model.rig, e.double().numpy())[0]).float()
    origins, frames, _, _ = model.binding(points)  # type: ignore[misc]
    found = model.gaussians(e, camera())
    assert torch.allclose(found.means, origins + torch.einsum("nij,nj->ni", frames, values[:, :3]), atol=1e-5)
    base = 0.28209479177387814 * values[:, 7:] + 0.5
    assert torch.allclose(found.colors, base.clamp_min(0), atol=1e-5)


def test_tangents_run_along_the_texture() -> None:
    """A triangle in a plane whose texture is laid over it: turned by 30°, larger, and once mirrored."""
    corners = torch.tensor([[[0.0, 0, 0], [2, 0, 0], [0, 1, 0]]])
    angle = math.radians(30)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    for mirror in (torch.eye(2), torch.diag(torch.tensor([1.0, -1.0]))):
        uv = 3 * corners[..., :2] @ (mirror @ turn).T
        binding = Binding(torch.tensor([[0, 1, 2]]), torch.tensor([0]), torch.full((1, 3), 1 / 3), uv_tangents(uv))
        _, frame, _, size = binding(corners[0])
        along = torch.linalg.inv(mirror @ turn)  # columns: where u and v grow
        assert torch.allclose(frame[0, :2, :2], along, atol=1e-6)
        assert torch.allclose(frame[0, :, 2], torch.tensor([0.0, 0, 1])) and size[0] == 1


def test_harmonics_turn_with_the_points() -> None:
    """A head that is turned looks from the turned side as it did: as Gaussians, and as exported splats."""
    model = avatar("points")
    skeleton = model.rig.skeleton
    assert skeleton is not None
    skeleton.weights[:] = torch.tensor([0.0, 1.0, 0.0])
    skeleton.joints.zero_()
    skeleton.pose_shapes.zero_()
    vector = torch.tensor([[0.3, -0.5, 0.7]])
    turn = AXES @ rotation_matrices(vector)[0] @ AXES.T
    turned = torch.zeros(8)
    turned[2:5] = vector[0]
    view = camera()
    moved = view.viewmat.clone()
    moved[:3, :3] = view.viewmat[:3, :3] @ turn.T
    rest = model.gaussians(torch.zeros(8), view)
    seen = model.gaussians(turned, type(view)(moved, view.K, view.width, view.height))
    assert torch.allclose(seen.colors, rest.colors, atol=1e-5)
    splats = model.splats(turned)
    exported = SplatAvatar(splats).gaussians(torch.zeros(0), view)
    direct = model.gaussians(turned, view)
    for name, value in vars(direct).items():
        assert torch.allclose(getattr(exported, name), value, atol=1e-5), name


@pytest.mark.parametrize("kind", ["points", "edges", "uv"])
def test_files_hold_every_kind(kind: str, tmp_path: Path) -> None:
    before, path = avatar(kind), tmp_path / "a.safetensors"
    e = torch.tensor([0.3, -0.2, 0.2, -0.1, 0.5, 0.6, 0.1, -0.2])
    save_avatar(path, before, "imported", {}, compact=False)
    after = load_avatar(path).avatar
    for name, value in vars(before.gaussians(e, camera())).items():
        assert torch.equal(getattr(after.gaussians(e, camera()), name), value), name
    save_avatar(path, before, "imported", {})
    compact = load_avatar(path).avatar
    found, wanted = compact.gaussians(e, camera()), before.gaussians(e, camera())
    assert torch.allclose(found.means, wanted.means, atol=0.05)
    assert torch.allclose(found.colors, wanted.colors, atol=0.1)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    model, path = avatar("points"), tmp_path / "a.safetensors"
    with pytest.raises(TypeError, match="parameters"):
        BlendshapeAvatar(space(NAMES[:5]), model.rig, {}, model.settings, model.stored_basis)
    with pytest.raises(HeadGaSError, match="expression has 3 values"):
        model.gaussians(torch.zeros(3), camera())
    save_avatar(path, model, "imported", {})
    header = {"headgas": json.dumps(read_header(path))}
    tensors = load_file(path)
    for name in ("rig.points", "rig.skeleton.joints", "rig.skeleton.weights", "basis.neutral"):
        save_file(tensors | {name: tensors[name][:2].contiguous()}, path, metadata=header)
        with pytest.raises(HeadGaSError, match="damaged"):
            load_avatar(path)
    save_file(tensors | {"rig.points": tensors["rig.points"] * math.nan}, path, metadata=header)
    with pytest.raises(HeadGaSError, match=r"rig\.points.*not finite"):
        load_avatar(path)
