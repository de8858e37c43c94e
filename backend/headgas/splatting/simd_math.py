# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Products of small matrices, bytes and powers in explicit vectors: what a frame needs before and after rasterizing."""

import math

from llvmlite import ir
from numba.core import cgutils, types

from headgas.splatting.simd import (
    _FLOAT,
    _FLOATS,
    _FUSE,
    _INTS,
    LANES,
    _broadcast,
    _constant,
    _data,
    _offset,
    _vector_pointer,
    intrinsic,
    vector,
)

_WIDE = LANES == 16  # thirty-two registers of sixteen; else, for what is certain, sixteen of eight
ROWS = 6  # of a block of a product: with HIDDEN_VECTORS it fills the registers
HIDDEN_VECTORS = 4 if _WIDE else 2
COLOR_ROWS = 8 if _WIDE else 2
COLOR_VECTORS = 48 // LANES  # of a row of three channels of sixteen harmonics

_LN2 = math.log(2)
_SQRT_HALF = 0x3F3504F3  # the bits of sqrt(1/2)


@intrinsic
def load_values(typingctx, array, index):
    """The vector at flat `index` of a contiguous float32 or int8 array, as float32; no bounds are checked."""
    if array.dtype not in (types.float32, types.int8):
        return None

    def codegen(context, builder, sig, args):
        if sig.args[0].dtype == types.float32:
            return builder.load(_vector_pointer(context, builder, sig.args[0], *args), align=4)
        bytes_type = ir.VectorType(ir.IntType(8), LANES)
        pointer = builder.gep(_data(context, builder, sig.args[0], args[0]), [args[1]])
        values = builder.load(builder.bitcast(pointer, ir.PointerType(bytes_type)), align=1)
        return builder.sitofp(builder.sext(values, _INTS), _FLOATS)

    return vector(array, types.int64), codegen


@intrinsic(prefer_literal=True)
def load_rows(typingctx, array, index, stride, rows, vectors):
    """The first `vectors` vectors of `rows` rows, row by row, from flat `index` on; both are literals."""

    def codegen(context, builder, sig, args):
        array_value, position, distance, _, _ = args
        items = []
        for row in range(rows.literal_value):
            start = builder.add(position, builder.mul(distance, ir.Constant(distance.type, row)))
            for j in range(vectors.literal_value):
                at = _offset(builder, start, j * LANES)
                items.append(
                    builder.load(_vector_pointer(context, builder, sig.args[0], array_value, at), align=4)
                )
        return cgutils.pack_array(builder, items)

    count = rows.literal_value * vectors.literal_value
    return types.UniTuple(vector, count)(array, types.int64, types.int64, rows, vectors), codegen


@intrinsic(prefer_literal=True)
def add_products(typingctx, sums, left, index, stride, right, right_index, rows):
    """sums[i, j] + left[index + i*stride] * (vector j at right_index), for every row i; `rows` is a literal."""

    def codegen(context, builder, sig, args):
        old, left_array, position, distance, right_array, right_position, _ = args
        data = _data(context, builder, sig.args[1], left_array)
        vectors = len(sums) // rows.literal_value
        factors = [
            builder.load(
                _vector_pointer(
                    context, builder, sig.args[4], right_array, _offset(builder, right_position, j * LANES)
                ),
                align=4,
            )
            for j in range(vectors)
        ]
        new = []
        for i in range(rows.literal_value):
            at = builder.add(position, builder.mul(distance, ir.Constant(distance.type, i)))
            scalar = _broadcast(builder, builder.load(builder.gep(data, [at])))
            for j in range(vectors):
                term = builder.fmul(scalar, factors[j], flags=_FUSE)
                new.append(builder.fadd(builder.extract_value(old, i * vectors + j), term, flags=_FUSE))
        return cgutils.pack_array(builder, new)

    return sums(sums, left, types.int64, types.int64, right, types.int64, rows), codegen


@intrinsic
def positive(typingctx, vectors):
    """max(0, x) of every vector of a tuple."""

    def codegen(context, builder, sig, args):
        zero, results = _constant(0.0), []
        for j in range(len(vectors)):
            value = builder.extract_value(args[0], j)
            results.append(builder.select(builder.fcmp_ordered(">", value, zero), value, zero))
        return cgutils.pack_array(builder, results)

    return vectors(vectors), codegen


@intrinsic(prefer_literal=True)
def store_rows(typingctx, array, index, stride, rows, vectors):
    """Write a tuple of vectors as `rows` rows, from flat `index` on; `rows` is a literal."""

    def codegen(context, builder, sig, args):
        array_value, position, distance, _, values = args
        per_row = len(vectors) // rows.literal_value
        for i in range(rows.literal_value):
            start = builder.add(position, builder.mul(distance, ir.Constant(distance.type, i)))
            for j in range(per_row):
                pointer = _vector_pointer(
                    context, builder, sig.args[0], array_value, _offset(builder, start, j * LANES)
                )
                builder.store(builder.extract_value(values, i * per_row + j), pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64, rows, vectors), codegen


@intrinsic(prefer_literal=True)
def row_products(typingctx, vectors, array, index, stride, rows, groups):
    """For each of `rows` rows of vectors and each of `groups` equal parts of a row, the sum of its vectors times those
    of the array's row; `stride` 0 gives every row the same factors. Literals: `rows`, `groups`."""

    def codegen(context, builder, sig, args):
        values, array_value, position, distance, _, _ = args
        per_row = len(vectors) // rows.literal_value
        per_group = per_row // groups.literal_value
        results = []
        for i in range(rows.literal_value):
            start = builder.add(position, builder.mul(distance, ir.Constant(distance.type, i)))
            for group in range(groups.literal_value):
                total = None
                for j in range(per_group):
                    at = _offset(builder, start, j * LANES)
                    factor = builder.load(_vector_pointer(context, builder, sig.args[1], array_value, at), align=4)
                    value = builder.extract_value(values, i * per_row + group * per_group + j)
                    term = builder.fmul(value, factor, flags=_FUSE)
                    total = term if total is None else builder.fadd(total, term, flags=_FUSE)
                results.append(total)
        return cgutils.pack_array(builder, results)

    count = rows.literal_value * groups.literal_value
    return types.UniTuple(vector, count)(vectors, array, types.int64, types.int64, rows, groups), codegen


@intrinsic
def log2(typingctx, value):
    """The logarithm to the base 2 of normal x > 0, within 2e-7 of 1 + |log2 x|; no meaning otherwise.

    x = 2^n m with m in [sqrt(1/2), sqrt(2)); log m = 2 artanh t with t = (m-1)/(m+1), |t| < 0.172.
    """

    def codegen(context, builder, sig, args):
        bits = builder.bitcast(args[0], _INTS)
        offset = builder.sub(bits, ir.Constant(_INTS, [_SQRT_HALF] * LANES))
        exponent = builder.ashr(offset, ir.Constant(_INTS, [23] * LANES))
        mantissa = builder.sub(bits, builder.shl(exponent, ir.Constant(_INTS, [23] * LANES)))
        m, one = builder.bitcast(mantissa, _FLOATS), _constant(1.0)
        t = builder.fdiv(builder.fsub(m, one), builder.fadd(m, one))
        square = builder.fmul(t, t)
        series = _constant(2 / _LN2 / 9)
        for power in (7, 5, 3, 1):
            series = builder.fadd(builder.fmul(series, square, flags=_FUSE), _constant(2 / _LN2 / power), flags=_FUSE)
        return builder.fadd(builder.fmul(t, series, flags=_FUSE), builder.sitofp(exponent, _FLOATS), flags=_FUSE)

    return vector(vector), codegen


@intrinsic(prefer_literal=True)
def load_interleaved(typingctx, array, index, parts):
    """LANES groups of `parts` float32 from flat `index` on, as one vector for each place in a group."""

    def codegen(context, builder, sig, args):
        wide = ir.VectorType(_FLOAT, LANES * parts.literal_value)
        pointer = builder.gep(_data(context, builder, sig.args[0], args[0]), [args[1]])
        values = builder.load(builder.bitcast(pointer, ir.PointerType(wide)), align=4)
        places = [[lane * parts.literal_value + j for lane in range(LANES)] for j in range(parts.literal_value)]
        items = [
            builder.shuffle_vector(values, ir.Constant(wide, ir.Undefined), ir.Constant(_INTS, place))
            for place in places
        ]
        return cgutils.pack_array(builder, items)

    return types.UniTuple(vector, parts.literal_value)(array, types.int64, parts), codegen


@intrinsic
def store_interleaved(typingctx, array, index, vectors):
    """The inverse of `load_interleaved`, for 2, 4, … vectors."""

    def codegen(context, builder, sig, args):
        array_value, position, values = args
        level = [builder.extract_value(values, j) for j in range(len(vectors))]
        while len(level) > 1:  # one after another
            lanes = ir.VectorType(ir.IntType(32), 2 * level[0].type.count)
            order = ir.Constant(lanes, list(range(lanes.count)))
            level = [builder.shuffle_vector(level[i], level[i + 1], order) for i in range(0, len(level), 2)]
        mixed = ir.VectorType(ir.IntType(32), level[0].type.count)
        order = [j * LANES + lane for lane in range(LANES) for j in range(len(vectors))]
        undefined = ir.Constant(level[0].type, ir.Undefined)
        value = builder.shuffle_vector(level[0], undefined, ir.Constant(mixed, order))
        pointer = builder.gep(_data(context, builder, sig.args[0], array_value), [position])
        builder.store(value, builder.bitcast(pointer, ir.PointerType(value.type)), align=4)
        return context.get_dummy_value()

    return types.void(array, types.int64, vectors), codegen
