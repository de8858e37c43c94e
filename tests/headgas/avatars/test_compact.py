# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The basis of bytes against the one that was trained."""

from pathlib import Path

import pytest
import torch

from headgas.avatars import load_avatar, save_avatar
from headgas.avatars.compact import CompactBasis
from headgas.avatars.rendering import PlacedAvatar, render_frame
from headgas.splatting import set_threads
from headgas.splatting.threads import get_threads
from tests.headgas.avatars.test_headgas import camera
from tests.headgas.conftest import small_avatar


def basis(rows: int = 7, count: int = 300, features: int = 20) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    sizes = 10.0 ** (torch.arange(features) - features / 2)  # channels of very different sizes
    return sizes * torch.randn(rows, count, features, generator=generator)


def test_no_value_moves_by_more_than_half_a_step_of_its_channel() -> None:
    whole = basis()
    whole[3] = 0
    compact = CompactBasis.compressed(whole)
    assert compact.shape == whole.shape and compact.values.dtype == torch.int8
    assert torch.equal(compact.neutral, whole[0])
    step = whole[1:].abs().amax(1, keepdim=True) / 127
    assert ((compact.expanded()[1:] - whole[1:]).abs() <= 0.5001 * step).all()
    assert (compact.scales > 0).all() and torch.equal(compact.expanded()[3], whole[3])


def test_compressing_what_was_expanded_changes_nothing() -> None:
    compact = CompactBasis.compressed(basis())
    again = CompactBasis.compressed(compact.expanded())
    assert torch.equal(again.values, compact.values) and torch.equal(again.neutral, compact.neutral)
    torch.testing.assert_close(again.scales, compact.scales)


@pytest.mark.parametrize("count", [0, 1, 300, 1000])
def test_blending_is_that_of_the_expanded_basis(count: int) -> None:
    compact = CompactBasis.compressed(basis(count=count))
    expanded, threads = compact.expanded(), get_threads()
    for active in (0, 2, 7):
        coefficients = torch.linspace(1, 0.3, 7) * (torch.arange(7) < active)
        wanted = torch.einsum("r,rnf->nf", coefficients, expanded)
        sizes = 10.0 ** (torch.arange(20) - 10)
        torch.testing.assert_close(compact.blend(coefficients) / sizes, wanted / sizes, rtol=1e-5, atol=1e-5)
        try:
            set_threads(1)
            alone = compact.blend(coefficients)
            set_threads(3)
            assert torch.equal(compact.blend(coefficients), alone)
        finally:
            set_threads(threads)


def test_opening_and_rendering_never_expands_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_avatar(tmp_path / "avatar.safetensors", small_avatar(), "headgas", {})

    def forbidden(self: CompactBasis) -> torch.Tensor:
        raise AssertionError("a basis was expanded")

    monkeypatch.setattr(CompactBasis, "expanded", forbidden)
    avatar = load_avatar(tmp_path / "avatar.safetensors").avatar
    avatar.gaussians(torch.ones(3), camera())
    render_frame([PlacedAvatar(avatar, torch.ones(3), torch.eye(4))], camera())
    save_avatar(tmp_path / "again.safetensors", avatar, "headgas", {})
