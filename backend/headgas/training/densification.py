# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adding Gaussians where the picture asks for them and removing those that never show.

As in 3D Gaussian Splatting (Kerbl et al. 2023, section 5) a Gaussian whose projected mean is pulled hard is cloned
when it is small and split when it is large. Two things differ: the number grows along a schedule to a fixed maximum
(the hardest pulled first), so that a budget is kept; and a Gaussian is only pruned when its opacity stayed low in
*every* frame since the last event, because opacity depends on the expression: the tongue is hidden most of the time.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_SPLIT_SHRINK = 1.6  # 3D Gaussian Splatting: children of a split are this much smaller


@dataclass(frozen=True)
class Change:
    """How the Gaussians change: row i of the new set comes from row `source[i]` of the old one."""

    source: Tensor  # [N'] int64
    fresh: Tensor  # [N'] bool: made now, so the optimizer knows nothing about it
    split: Tensor  # [N'] bool: shrink, and move to a random place within the parent


class Densification:
    """Statistics between two events, and the decision at an event."""

    def __init__(self, count: int, device: torch.device) -> None:
        self._pull = torch.zeros(count, device=device)  # summed |gradient of the projected mean|, pixels⁻¹
        self._seen = torch.zeros(count, device=device)  # frames in which it showed
        self._opacity = torch.zeros(count, device=device)  # the largest since the last event
        self.frames = 0

    def record(self, screen_gradient: Tensor, opacities: Tensor) -> None:
        """Adds one frame: the gradient [N,2] of the projected means and the opacities [N]."""
        pull = screen_gradient.norm(dim=1)
        self._pull += pull
        self._seen += pull > 0
        torch.maximum(self._opacity, opacities.detach(), out=self._opacity)
        self.frames += 1

    def state(self) -> dict[str, Tensor]:
        return {"pull": self._pull, "seen": self._seen, "opacity": self._opacity}

    def restore(self, tensors: dict[str, Tensor], frames: int) -> None:
        self._pull, self._seen, self._opacity = (tensors[name] for name in ("pull", "seen", "opacity"))
        self.frames = frames

    def decide(
        self, target: int, scales: Tensor, split_above: float, prune_opacity: float, framed: Tensor
    ) -> Change:
        """Prunes what never showed and grows the rest towards `target` Gaussians.

        Args:
            scales: [N,3] metres.
            split_above: metres; a Gaussian whose largest scale is above is split, below it is cloned.
            framed: [N] bool; those that the pictures' frames leave out are pruned.
        """
        keep = (self._opacity >= prune_opacity) & framed
        if not keep.any():
            keep = torch.ones_like(keep)
        kept = keep.nonzero().squeeze(1)
        wanted = max(0, min(target - len(kept), len(kept)))
        score = (self._pull / self._seen.clamp_min(1))[kept]
        grown = kept[score.topk(wanted).indices]
        grown = grown[self._pull[grown] > 0]
        large = scales[grown].amax(1) > split_above
        splitting = torch.zeros_like(keep)
        splitting[grown[large]] = True
        source = torch.cat([kept, grown])
        fresh = torch.zeros(len(source), dtype=torch.bool, device=source.device)
        fresh[len(kept) :] = True
        return Change(source, fresh | splitting[source], splitting[source])


def moved_into_parent(
    means: Tensor, quaternions: Tensor, log_scales: Tensor, split: Tensor, seed: int
) -> tuple[Tensor, Tensor]:
    """Means [N,3] and log scales [N,3] after a split: each child is drawn from its parent's own distribution."""
    if not split.any():
        return means, log_scales
    means, log_scales = means.clone(), log_scales.clone()
    random = torch.randn(int(split.sum()), 3, generator=torch.Generator().manual_seed(seed)).to(means.device)
    local = random * log_scales[split].exp()
    means[split] += _rotate(torch.nn.functional.normalize(quaternions[split], dim=1), local)
    log_scales[split] -= torch.tensor(_SPLIT_SHRINK).log()
    return means, log_scales


def _rotate(quaternions: Tensor, vectors: Tensor) -> Tensor:
    """Rotates vectors [n,3] by unit quaternions [n,4] wxyz: v + 2 w (u×v) + 2 u×(u×v)."""
    w, u = quaternions[:, :1], quaternions[:, 1:]
    cross = torch.linalg.cross(u, vectors)
    return vectors + 2 * (w * cross + torch.linalg.cross(u, cross))
