# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is pruned, cloned and split."""

import torch

from headgas.training.densification import Densification, moved_into_parent

NONE = torch.zeros(4, 2)
FRAMED = torch.ones(4, dtype=torch.bool)


def test_a_gaussian_that_shows_in_one_frame_only_survives() -> None:
    statistics = Densification(4, torch.device("cpu"))
    for frame in range(20):
        tongue = 0.9 if frame == 7 else 0.0
        statistics.record(NONE, torch.tensor([0.5, tongue, 0.001, 0.0]))
    change = statistics.decide(4, torch.ones(4, 3), 1.0, 0.005, FRAMED)
    assert change.source.tolist() == [0, 1]
    assert not change.fresh.any()


def test_the_hardest_pulled_grow_to_the_target() -> None:
    statistics = Densification(4, torch.device("cpu"))
    statistics.record(torch.tensor([[0.1, 0.0], [0.0, 3.0], [2.0, 0.0], [0.0, 0.0]]), torch.ones(4))
    scales = torch.tensor([0.1, 0.1, 5.0, 0.1])[:, None].expand(4, 3)
    change = statistics.decide(6, scales, 1.0, 0.005, FRAMED)
    assert change.source.tolist() == [0, 1, 2, 3, 1, 2]
    assert change.split.tolist() == [False, False, True, False, False, True]
    assert change.fresh.tolist() == [False, False, True, False, True, True]


def test_what_the_pictures_leave_out_is_pruned() -> None:
    statistics = Densification(4, torch.device("cpu"))
    statistics.record(NONE, torch.ones(4))
    framed = torch.tensor([True, False, True, False])
    assert statistics.decide(4, torch.ones(4, 3), 1.0, 0.005, framed).source.tolist() == [0, 2]


def test_gaussians_that_nothing_pulls_do_not_grow() -> None:
    statistics = Densification(4, torch.device("cpu"))
    statistics.record(NONE, torch.ones(4))
    assert len(statistics.decide(100, torch.ones(4, 3), 1.0, 0.005, FRAMED).source) == 4


def test_pull_is_averaged_over_the_frames_that_saw_the_gaussian() -> None:
    """Seen once and pulled hard there counts more than pulled a little everywhere."""
    statistics = Densification(2, torch.device("cpu"))
    for frame in range(10):
        rare = 1.0 if frame == 0 else 0.0
        statistics.record(torch.tensor([[rare, 0.0], [0.5, 0.0]]), torch.ones(2))
    assert statistics.decide(3, torch.ones(2, 3), 9.0, 0.005, FRAMED[:2]).source.tolist() == [0, 1, 0]


def test_children_of_a_split_lie_within_their_parent() -> None:
    """Along the parent's own axes, with its own spread, and smaller."""
    n = 20_000
    half = torch.tensor(0.5).sqrt().item()
    quaternions = torch.tensor([[half, 0.0, 0.0, half]]).repeat(n, 1)  # a quarter turn about z: x becomes y
    log_scales = torch.tensor([[3.0, 1.0, 0.1]]).log().repeat(n, 1)
    split = torch.ones(n, dtype=torch.bool)
    split[0] = False
    means, smaller = moved_into_parent(torch.zeros(n, 3), quaternions, log_scales, split, seed=0)
    torch.testing.assert_close(means[1:].std(0), torch.tensor([1.0, 3.0, 0.1]), rtol=0.03, atol=0)
    torch.testing.assert_close(smaller[1:].exp(), log_scales[1:].exp() / 1.6)
    assert means[0].abs().max() == 0
    torch.testing.assert_close(smaller[0], log_scales[0])
