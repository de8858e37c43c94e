# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Points that parameters move: linear shapes, then joints with linear blend skinning.

Source: Loper et al., "SMPL: A Skinned Multi-Person Linear Model", SIGGRAPH Asia 2015, sections 3 and 4; FLAME
(Li et al., SIGGRAPH Asia 2017) is the same with expressions for shapes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from headgas.avatars.blending import blend
from headgas.avatars.skinning import skin
from headgas.splatting.rotations import rotation_matrices


class Skeleton(nn.Module):
    """Joints in a tree, and how far each point follows them.

    A rotation is about its joint, in the axes of the file it comes from: `axes` turns those into head space. What the
    pose adds to the points before they are skinned, SMPL's B_P, is linear in the rotations' matrices.
    """

    weights: Tensor
    joints: Tensor
    joint_shapes: Tensor
    pose_shapes: Tensor
    axes: Tensor

    def __init__(
        self,
        weights: Tensor,
        joints: Tensor,
        parents: Sequence[int],
        driven: Sequence[int],
        joint_shapes: Tensor | None = None,
        pose_shapes: Tensor | None = None,
        axes: Tensor | None = None,
    ) -> None:
        """A skeleton in head space.

        Args:
            weights: [V,J], each row's sum is 1.
            joints: [J,3] metres, in rest.
            parents: [J]; each smaller than its joint's own number, -1 for a root.
            driven: the numbers of the joints that parameters rotate, in the order of the parameters.
            joint_shapes: [S,J,3] metres: how the shapes of the points move the joints.
            pose_shapes: [9(J-1),V,3] metres, for the entries, row by row, of all matrices but the first one's.
            axes: [3,3], the file's axes to head space.
        """
        super().__init__()
        points, count = weights.shape
        if len(parents) != count or any(not -1 <= parent < joint for joint, parent in enumerate(parents)):
            raise ValueError(f"the parents {list(parents)} make no tree of {count} joints")
        if any(not 0 <= joint < count for joint in driven):
            raise ValueError(f"the driven joints {list(driven)} are not all among {count}")
        self.parents, self.driven = tuple(map(int, parents)), tuple(map(int, driven))
        self.register_buffer("weights", weights)
        self.register_buffer("joints", joints)
        self.register_buffer("joint_shapes", weights.new_zeros(0, count, 3) if joint_shapes is None else joint_shapes)
        self.register_buffer("pose_shapes", weights.new_zeros(0, points, 3) if pose_shapes is None else pose_shapes)
        self.register_buffer("axes", torch.eye(3) if axes is None else axes)
        wanted = {"joints": (count, 3), "joint_shapes": (len(self.joint_shapes), count, 3), "axes": (3, 3)}
        rows = 9 * (count - 1) if len(self.pose_shapes) else 0
        _check_shapes(self, wanted | {"pose_shapes": (rows, points, 3)})

    def matrices(self, rotations: Tensor) -> Tensor:
        """[J,3,3] of all joints in the file's axes, from rotation vectors [D,3] (radians) of the driven ones."""
        matrices = torch.eye(3, device=rotations.device).repeat(len(self.parents), 1, 1)
        matrices[list(self.driven)] = rotation_matrices(rotations)
        return matrices

    def forward(self, points: Tensor, coefficients: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor]:
        """Posed points [V,3] and how they are turned [V,3,3].

        Args:
            points: [V,3] with their shapes, metres.
            coefficients: [S] of the shapes.
            rotations: [D,3] rotation vectors of the driven joints, radians.
        """
        matrices = self.matrices(rotations)
        if len(self.pose_shapes):
            entries = (matrices[1:] - torch.eye(3, device=points.device)).flatten()
            points = points + blend(self.pose_shapes, entries)
        joints = self.joints
        if len(self.joint_shapes):
            joints = joints + torch.einsum("s,sjc->jc", coefficients[: len(self.joint_shapes)], self.joint_shapes)
        turns, shifts = self._chained(self.axes @ matrices @ self.axes.T, joints)
        return skin(self.weights, torch.cat([turns.flatten(1), shifts], 1), points)

    def _chained(self, matrices: Tensor, joints: Tensor) -> tuple[Tensor, Tensor]:
        """What each joint does to a point x that follows it alone: turn [J,3,3] @ x + shift [J,3]."""
        turns: list[Tensor] = []
        shifts: list[Tensor] = []
        for matrix, joint, parent in zip(matrices, joints, self.parents, strict=True):
            turn, shift = matrix, joint - matrix @ joint
            if parent >= 0:
                turn, shift = turns[parent] @ turn, turns[parent] @ shift + shifts[parent]
            turns.append(turn)
            shifts.append(shift)
        return torch.stack(turns), torch.stack(shifts)


class Rig(nn.Module):
    """Points [V,3] that the first S parameters move linearly, and the next three of each driven joint turn."""

    points: Tensor
    shapes: Tensor

    def __init__(self, points: Tensor, shapes: Tensor, skeleton: Skeleton | None = None) -> None:
        """points: [V,3] metres, in rest; shapes: [S,V,3] metres per unit of a parameter."""
        super().__init__()
        self.register_buffer("points", points)
        self.register_buffer("shapes", shapes)
        self.skeleton = skeleton
        _check_shapes(self, {"points": (len(points), 3), "shapes": (len(shapes), len(points), 3)})
        if skeleton is not None and len(skeleton.weights) != len(points):
            raise TypeError(f"the skeleton holds {len(skeleton.weights)} points, not {len(points)}")

    @property
    def parameters_used(self) -> int:
        """How many parameters it takes."""
        return len(self.shapes) + (3 * len(self.skeleton.driven) if self.skeleton else 0)

    def forward(self, offsets: Tensor) -> tuple[Tensor, Tensor | None]:
        """The points [V,3], and how they are turned [V,3,3]: None for not at all.

        Args:
            offsets: [P] of the parameters from rest: coefficients of the shapes, then rotation vectors in radians.
        """
        coefficients, rotations = offsets[: len(self.shapes)], offsets[len(self.shapes) :].view(-1, 3)
        points = self.points + blend(self.shapes, coefficients) if len(self.shapes) else self.points
        if self.skeleton is None or (not rotations.is_cuda and not rotations.any()):  # a GPU is not waited for
            return points, None
        return self.skeleton(points, coefficients, rotations)


def _check_shapes(module: nn.Module, wanted: dict[str, tuple[int, ...]]) -> None:
    for name, shape in wanted.items():
        tensor = module.get_buffer(name)
        if tensor.shape != shape or tensor.dtype != torch.float32:
            raise TypeError(f"{name} is {tensor.dtype} {list(tensor.shape)}, not torch.float32 {list(shape)}")
