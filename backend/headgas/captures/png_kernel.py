# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undoing the filters of an 8-bit RGBA PNG: each pixel depends on the one before, so its four channels are one step."""

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import models, register_model

from headgas.splatting.compiling import compiled
from headgas.splatting.simd import intrinsic

NONE, SUB, UP, AVERAGE, PAETH = range(5)  # PNG specification, 9.2
_CHANNELS = 4
_BYTES = ir.VectorType(ir.IntType(8), _CHANNELS)
_WORDS = ir.VectorType(ir.IntType(16), _CHANNELS)  # sums and differences of bytes


class _Pixel(types.Type):
    def __init__(self) -> None:
        super().__init__("pixel")


_pixel = _Pixel()


@register_model(_Pixel)
class _PixelModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type) -> None:
        super().__init__(manager, fe_type, _WORDS)


def _constant(value: int) -> ir.Constant:
    return ir.Constant(_WORDS, [value] * _CHANNELS)


def _pointer(context, builder, array_type, array, index) -> ir.Value:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), ir.PointerType(_BYTES))


@intrinsic
def _load(typingctx, array, index):
    """The pixel at `index` of a contiguous uint8 array; no bounds are checked."""

    def codegen(context, builder, sig, args):
        return builder.zext(builder.load(_pointer(context, builder, sig.args[0], *args), align=1), _WORDS)

    return _pixel(array, types.int64), codegen


@intrinsic
def _add(typingctx, array, index, pixel):
    """Add a pixel to that at `index` of a contiguous uint8 array, modulo 256, and return the sum."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, sig.args[0], *args[:2])
        total = builder.add(builder.load(pointer, align=1), builder.trunc(args[2], _BYTES))
        builder.store(total, pointer, align=1)
        return builder.zext(total, _WORDS)

    return _pixel(array, types.int64, _pixel), codegen


@intrinsic
def _mean(typingctx, left, above):
    """Half the sum of two pixels, rounded down."""

    def codegen(context, builder, sig, args):
        return builder.lshr(builder.add(*args), _constant(1))

    return _pixel(_pixel, _pixel), codegen


@intrinsic
def _nearest(typingctx, left, above, corner):
    """Which of three pixels is nearest to left + above - corner, the earlier of two (PNG specification, 9.4).

    That is the smaller of left and above, the larger, or corner, as 3 corner - left - above lies beside them.
    """

    def codegen(context, builder, sig, args):
        left, above, corner = args
        threshold = builder.sub(builder.sub(builder.mul(corner, _constant(3)), above), left)
        less = builder.icmp_signed("<", left, above)
        low, high = builder.select(less, left, above), builder.select(less, above, left)
        nearest = builder.select(builder.icmp_signed("<=", high, threshold), low, corner)
        return builder.select(builder.icmp_signed("<=", threshold, low), high, nearest)

    return _pixel(_pixel, _pixel, _pixel), codegen


@compiled
def unfilter(lines):
    """Put the pixels [H,4W] of filtered lines [H,1+4W] uint8 in their place; False where there is no such filter."""
    height, length = lines.shape[0], lines.shape[1] - 1
    above = np.zeros(length, np.uint8)
    black = _load(above, 0)
    for y in range(height):
        kind, row = lines[y, 0], lines[y, 1:]
        left = corner = black
        if kind == SUB:
            for i in range(0, length, _CHANNELS):
                left = _add(row, i, left)
        elif kind == UP:
            for i in range(0, length, _CHANNELS):
                _add(row, i, _load(above, i))
        elif kind == AVERAGE:
            for i in range(0, length, _CHANNELS):
                left = _add(row, i, _mean(left, _load(above, i)))
        elif kind == PAETH:
            for i in range(0, length, _CHANNELS):
                over = _load(above, i)
                left, corner = _add(row, i, _nearest(left, over, corner)), over
        elif kind != NONE:
            return False
        above = row
    return True
