# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain torch code over the rows of tensors, in blocks that stay in the cache and keep every thread busy.

See `decoder` for why torch's own threads are not used.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from headgas.splatting.threads import share

_BLOCK = 1024  # rows


def in_blocks(function: Callable[..., Tensor], rows: Sequence[Tensor], shared: Sequence[Tensor]) -> Tensor:
    """function(*rows, *shared) [N,…], differentiable by all of them; on the CPU block by block.

    Sums over blocks run in the order of the blocks, so nothing depends on the number of threads.

    Args:
        function: makes row i of its result from rows i alone; must not keep or change anything.
        rows: each [N,…], at least one.
        shared: what all rows need, weights for example.
    """
    if rows[0].is_cuda:
        return function(*rows, *shared)
    if not torch.is_grad_enabled():
        return torch.cat(_each([tuple(t[part] for t in rows) for part in _parts(len(rows[0]))], function, shared))
    return _InBlocks.apply(function, len(rows), *rows, *shared)


def _parts(count: int) -> list[slice]:
    """At least one: an empty tensor has a shape too."""
    return [slice(start, start + _BLOCK) for start in range(0, max(1, count), _BLOCK)]


def _each(
    blocks: Sequence[tuple[Tensor, ...]], function: Callable[..., Tensor], shared: Sequence[Tensor]
) -> list[Tensor]:
    results: list[Tensor] = [torch.empty(0)] * len(blocks)
    differentiate = torch.is_grad_enabled()

    def block(number: int) -> None:
        with torch.set_grad_enabled(differentiate):  # each thread has its own switch
            results[number] = function(*blocks[number], *shared)

    share(block, len(blocks))
    return results


class _InBlocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, function: Callable[..., Tensor], count: int, *tensors: Tensor) -> Tensor:
        def leaf(tensor: Tensor, needed: bool) -> Tensor:
            return tensor.detach().requires_grad_(needed)

        rows, shared = tensors[:count], tensors[count:]
        needed = ctx.needs_input_grad[2:]
        ctx.blocks = [
            tuple(leaf(t[part], n) for t, n in zip(rows, needed[:count], strict=True)) for part in _parts(len(rows[0]))
        ]
        ctx.shared = tuple(leaf(t, n) for t, n in zip(shared, needed[count:], strict=True))
        with torch.enable_grad():
            ctx.results = _each(ctx.blocks, function, ctx.shared)
        return torch.cat([result.detach() for result in ctx.results])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        results, blocks, shared = ctx.results, ctx.blocks, ctx.shared
        ctx.results = ctx.blocks = ctx.shared = None  # the graphs are used up
        parts = gradient.split([len(result) for result in results])
        found: list[tuple[Tensor | None, ...]] = [()] * len(blocks)

        def block(number: int) -> None:
            inputs = (*blocks[number], *shared)
            wanted = [tensor for tensor in inputs if tensor.requires_grad]
            got = iter(torch.autograd.grad(results[number], wanted, parts[number], materialize_grads=True))
            found[number] = tuple(next(got) if tensor.requires_grad else None for tensor in inputs)

        share(block, len(blocks))
        columns = list(zip(*found, strict=True))
        rows = len(blocks[0])
        by_rows = [None if column[0] is None else torch.cat(column) for column in columns[:rows]]
        by_shared = [None if column[0] is None else torch.stack(column).sum(0) for column in columns[rows:]]
        return None, None, *by_rows, *by_shared
