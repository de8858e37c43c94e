# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for another thread for some microseconds without sleeping: to be woken takes longer than a short kernel."""

from llvmlite import ir
from numba.core import types

from headgas.splatting.compiling import compiled
from headgas.splatting.simd import fetch_add, intrinsic

POSTED, LISTENING, SIZE = 0, 8, 16  # items of a pool's int64 state, each in a cache line of its own
_FINISHED = 8  # item of a kernel's work, see `threads.run`
_LISTEN = 200_000  # looks, about a nanosecond each
_HAND_OVER = 10_000  # looks while a caller that has posted a job still holds Python's lock
_FINISH, _RETURN = 100_000, 20_000  # looks for the last block, and for the helpers' return


@intrinsic
def _peek(typingctx, array, index):
    """An int64 array's item as other threads see it."""

    def codegen(context, builder, sig, args):
        pointer = builder.gep(context.make_array(sig.args[0])(context, builder, args[0]).data, [args[1]])
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(array, types.int64), codegen


@intrinsic
def _subtract_one(typingctx, array, index):
    """Atomically subtract 1 from an int64 array's item."""

    def codegen(context, builder, sig, args):
        pointer = builder.gep(context.make_array(sig.args[0])(context, builder, args[0]).data, [args[1]])
        return builder.atomic_rmw("sub", pointer, ir.Constant(ir.IntType(64), 1), "acq_rel")

    return types.int64(array, types.int64), codegen


@compiled
def listen(state, seen):
    """A helper's wait: until the number of posted jobs is not `seen` any more, or for a while."""
    fetch_add(state, LISTENING)
    for _ in range(_LISTEN):
        if _peek(state, POSTED) != seen:
            break
    _subtract_one(state, LISTENING)
    if _peek(state, POSTED) != seen:
        for _ in range(_HAND_OVER):
            _peek(state, POSTED)


@compiled
def settle(work, blocks, state, listening):
    """A caller's wait: until its blocks are finished and as many helpers listen again, but only for a while.

    A helper needs Python's lock to return; a caller that held it by then would make the helper sleep.
    """
    for _ in range(_FINISH):
        if _peek(work, _FINISHED) >= blocks:
            break
    for _ in range(_RETURN):
        if _peek(state, LISTENING) >= listening:
            break
