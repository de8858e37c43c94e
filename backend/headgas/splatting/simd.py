# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Explicit vectors of float32 inside numba functions: the compiler's own vectorizer finds only half of this speed."""

import operator
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import binding, ir
from numba import extending
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

intrinsic = cast(Callable[..., Any], extending.intrinsic)  # called without the first parameter
LANES = 16 if binding.get_host_cpu_features().get("avx512f", False) else 8

_FLOAT = ir.FloatType()
_INT = ir.IntType(32)
_FLOATS = ir.VectorType(_FLOAT, LANES)
_INTS = ir.VectorType(_INT, LANES)
_BITS = ir.VectorType(ir.IntType(1), LANES)
_FUSE = ("contract",)  # a*b+c may become one instruction; NaN and infinity stay what they are


class _Vector(types.Type):
    def __init__(self) -> None:
        super().__init__(f"float32x{LANES}")


class _Mask(types.Type):
    def __init__(self) -> None:
        super().__init__(f"maskx{LANES}")


vector = _Vector()
mask = _Mask()


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type) -> None:
        super().__init__(manager, fe_type, _FLOATS)


@register_model(_Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type) -> None:
        super().__init__(manager, fe_type, _BITS)


def _constant(value: float) -> ir.Constant:
    return ir.Constant(_FLOATS, [value] * LANES)


def _broadcast(builder: ir.IRBuilder, scalar: ir.Value) -> ir.Value:
    one = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), scalar, ir.Constant(_INT, 0))
    return builder.shuffle_vector(one, ir.Constant(_FLOATS, ir.Undefined), ir.Constant(_INTS, [0] * LANES))


def _binary(operation, emit, result) -> None:
    """Define an operator between two vectors, or a vector and a float32 that is broadcast."""

    @infer_global(operation)  # type: ignore[misc]  # a decorator, whatever its signature seems to say
    class _Template(AbstractTemplate):
        def generic(self, args, kws):
            if not kws and len(args) == 2 and vector in args and all(a in (vector, types.float32) for a in args):
                return signature(result, *args)
            return None

    def lower(context, builder, sig, args):
        left, right = (v if t is vector else _broadcast(builder, v) for v, t in zip(args, sig.args, strict=True))
        return emit(builder, left, right)

    for left, right in ((vector, vector), (vector, types.float32), (types.float32, vector)):
        lower_builtin(operation, left, right)(lower)


_binary(operator.add, lambda b, x, y: b.fadd(x, y, flags=_FUSE), vector)
_binary(operator.sub, lambda b, x, y: b.fsub(x, y, flags=_FUSE), vector)
_binary(operator.mul, lambda b, x, y: b.fmul(x, y, flags=_FUSE), vector)
_binary(operator.truediv, lambda b, x, y: b.fdiv(x, y), vector)
_binary(operator.gt, lambda b, x, y: b.fcmp_ordered(">", x, y), mask)
_binary(operator.ge, lambda b, x, y: b.fcmp_ordered(">=", x, y), mask)
_binary(operator.le, lambda b, x, y: b.fcmp_ordered("<=", x, y), mask)


@intrinsic
def both(typingctx, left, right):
    """Lanes that are set in both masks."""

    def codegen(context, builder, sig, args):
        return builder.and_(*args)

    return mask(mask, mask), codegen


@intrinsic
def select(typingctx, condition, yes, no):
    """`yes` where the mask is set, else `no`."""

    def codegen(context, builder, sig, args):
        return builder.select(*args)

    return vector(mask, vector, vector), codegen


@intrinsic
def splat(typingctx, value):
    """One float32 in every lane."""

    def codegen(context, builder, sig, args):
        return _broadcast(builder, args[0])

    return vector(types.float32), codegen


@intrinsic(prefer_literal=True)
def lane_columns(typingctx, width):
    """lane % width; `width` is a literal."""

    def codegen(context, builder, sig, args):
        return ir.Constant(_FLOATS, [float(lane % width.literal_value) for lane in range(LANES)])

    return (vector(width), codegen) if isinstance(width, types.IntegerLiteral) else None


@intrinsic(prefer_literal=True)
def lane_rows(typingctx, width):
    """lane // width; `width` is a literal."""

    def codegen(context, builder, sig, args):
        return ir.Constant(_FLOATS, [float(lane // width.literal_value) for lane in range(LANES)])

    return (vector(width), codegen) if isinstance(width, types.IntegerLiteral) else None


@intrinsic
def minus_magnitude(typingctx, value):
    """-|x|."""

    def codegen(context, builder, sig, args):
        bits = builder.or_(builder.bitcast(args[0], _INTS), ir.Constant(_INTS, [-(2**31)] * LANES))
        return builder.bitcast(bits, _FLOATS)

    return vector(vector), codegen


@intrinsic
def smaller(typingctx, left, right):
    """The smaller of each lane; `right` where `left` is NaN."""

    def codegen(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered("<", *args), *args)

    return vector(vector, vector), codegen


@intrinsic
def any_positive(typingctx, value):
    """Whether any lane is above zero."""

    def codegen(context, builder, sig, args):
        bits = builder.bitcast(builder.fcmp_ordered(">", args[0], _constant(0.0)), ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(LANES), 0))

    return types.boolean(vector), codegen


# What exp2 and reciprocal need. Kernels take it as an argument: what the compiler knows, it loads anew every time.
CONSTANTS = np.array(
    [1.5 * 2.0**23, 0.009570096665, 0.05591785991, 0.2402474496, 0.6931218148, 0.9999992614]  # exp2
    + [2.0321257621, 1.0311678481, 2.0000006987],  # reciprocal
    np.float32,
)


@intrinsic
def broadcast(typingctx, array, like):
    """The first items of a float32 array, each in every lane of a vector, as many as the tuple `like` has."""

    def codegen(context, builder, sig, args):
        data = _data(context, builder, sig.args[0], args[0])
        scalars = [builder.load(builder.gep(data, [ir.Constant(ir.IntType(64), j)])) for j in range(len(like))]
        return cgutils.pack_array(builder, [_broadcast(builder, scalar) for scalar in scalars])

    return types.UniTuple(vector, len(like))(array, like), codegen


@intrinsic
def exp2(typingctx, value, constants):
    """2^x within 3e-6, for x in [-126, 126]; bits without meaning outside.

    x = n + f with f in [-1/2, 1/2]. Adding 1.5 * 2^23 leaves n in the lowest bits; 2^f is the polynomial with the
    smallest relative error; n goes straight into the exponent's bits.
    """

    def codegen(context, builder, sig, args):
        x, tuple_value = args
        rounder, *polynomial = (builder.extract_value(tuple_value, j) for j in range(6))
        rounded = builder.fadd(x, rounder)
        fraction = builder.fsub(x, builder.fsub(rounded, rounder))
        power = polynomial[0]
        for coefficient in polynomial[1:]:
            power = builder.fadd(builder.fmul(power, fraction, flags=_FUSE), coefficient, flags=_FUSE)
        exponent = builder.shl(builder.bitcast(rounded, _INTS), ir.Constant(_INTS, [23] * LANES))
        return builder.bitcast(builder.add(builder.bitcast(power, _INTS), exponent), _FLOATS)

    return vector(vector, constants), codegen


@intrinsic
def reciprocal(typingctx, value, constants):
    """1/x within 1e-6, for normal x > 0: a division takes as long as half the rest of a pixel's gradient.

    Subtracting x's bits from a constant negates the exponent; two Newton steps, with constants that balance their
    error, do the rest.
    """

    def codegen(context, builder, sig, args):
        x, tuple_value = args
        double, single, exact = (builder.extract_value(tuple_value, j) for j in (6, 7, 8))
        magic = ir.Constant(_INTS, [0x7EF00000] * LANES)
        guess = builder.bitcast(builder.sub(magic, builder.bitcast(x, _INTS)), _FLOATS)
        product = builder.fmul(x, guess)
        guess = builder.fmul(guess, builder.fsub(double, builder.fmul(product, single, flags=_FUSE), flags=_FUSE))
        return builder.fmul(guess, builder.fsub(exact, builder.fmul(x, guess, flags=_FUSE), flags=_FUSE))

    return vector(vector, constants), codegen


def _data(context, builder, array_type, array) -> ir.Value:
    return context.make_array(array_type)(context, builder, array).data


def _vector_pointer(context, builder, array_type, array, index) -> ir.Value:
    return builder.bitcast(builder.gep(_data(context, builder, array_type, array), [index]), ir.PointerType(_FLOATS))


def _offset(builder, index, distance: int) -> ir.Value:
    return builder.add(index, ir.Constant(index.type, distance))


@intrinsic
def load(typingctx, array, index):
    """The vector at flat `index` of a contiguous float32 array; no bounds are checked."""

    def codegen(context, builder, sig, args):
        return builder.load(_vector_pointer(context, builder, sig.args[0], *args), align=4)

    return vector(array, types.int64), codegen


@intrinsic
def store(typingctx, array, index, value):
    """Write a vector at flat `index` of a contiguous float32 array; no bounds are checked."""

    def codegen(context, builder, sig, args):
        array_value, position, lanes = args
        builder.store(lanes, _vector_pointer(context, builder, sig.args[0], array_value, position), align=4)
        return context.get_dummy_value()

    return types.void(array, types.int64, vector), codegen


@intrinsic
def load_scalars(typingctx, array, index, like):
    """As many float32 as the tuple `like` has, from flat `index` on; no bounds are checked."""

    def codegen(context, builder, sig, args):
        data = _data(context, builder, sig.args[0], args[0])
        values = [builder.load(builder.gep(data, [_offset(builder, args[1], j)])) for j in range(len(like))]
        return cgutils.pack_array(builder, values)

    return types.UniTuple(types.float32, len(like))(array, types.int64, like), codegen


@intrinsic
def zeros(typingctx, like):
    """A tuple of zero vectors, as many as the tuple `like` has items."""

    def codegen(context, builder, sig, args):
        return cgutils.pack_array(builder, [_constant(0.0)] * len(like))

    return types.UniTuple(vector, len(like))(like), codegen


@intrinsic(prefer_literal=True)
def add_weighted(typingctx, array, index, plane, weight, scalars):
    """array[index + j*plane] += weight * scalars[j], for every j; `plane` is a literal."""

    def codegen(context, builder, sig, args):
        array_value, position, _, weights, values = args
        for j in range(len(scalars)):
            at = _offset(builder, position, j * plane.literal_value)
            pointer = _vector_pointer(context, builder, sig.args[0], array_value, at)
            scalar = _broadcast(builder, builder.extract_value(values, j))
            term = builder.fmul(weights, scalar, flags=_FUSE)
            builder.store(builder.fadd(builder.load(pointer, align=4), term, flags=_FUSE), pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.int64, plane, vector, scalars), codegen


@intrinsic(prefer_literal=True)
def dot(typingctx, array, index, plane, scalars):
    """The sum over j of array[index + j*plane] * scalars[j]; `plane` is a literal."""

    def codegen(context, builder, sig, args):
        array_value, position, _, values = args
        total = None
        for j in range(len(scalars)):
            at = _offset(builder, position, j * plane.literal_value)
            lanes = builder.load(_vector_pointer(context, builder, sig.args[0], array_value, at), align=4)
            term = builder.fmul(lanes, _broadcast(builder, builder.extract_value(values, j)), flags=_FUSE)
            total = term if total is None else builder.fadd(total, term, flags=_FUSE)
        return total

    return vector(array, types.int64, plane, scalars), codegen


@intrinsic(prefer_literal=True)
def accumulate(typingctx, sums, array, index, plane, weight):
    """sums[j] + weight * array[index + j*plane], for every j, as a new tuple; `plane` is a literal."""

    def codegen(context, builder, sig, args):
        old, array_value, position, _, weights = args
        new = []
        for j in range(len(sums)):
            at = _offset(builder, position, j * plane.literal_value)
            lanes = builder.load(_vector_pointer(context, builder, sig.args[1], array_value, at), align=4)
            term = builder.fmul(weights, lanes, flags=_FUSE)
            new.append(builder.fadd(builder.extract_value(old, j), term, flags=_FUSE))
        return cgutils.pack_array(builder, new)

    return sums(sums, array, types.int64, plane, vector), codegen


@intrinsic
def store_sums(typingctx, array, index, vectors):
    """array[index + j] = the sum of the lanes of vectors[j]; whole groups of LANES are written, the rest as zeros.

    The vectors are folded together two at a time, so that LANES sums cost LANES - 1 additions.
    """

    def codegen(context, builder, sig, args):
        array_value, position, values = args

        def fold(left, right, groups):
            """Halve the width of every group of lanes; groups of `left`, then those of `right`."""
            if left is None:
                return None
            width = LANES // groups
            starts = [base + group * width for base in (0, LANES) for group in range(groups)]
            halves = []
            for shift in (0, width // 2):
                lanes = [start + shift + i for start in starts for i in range(width // 2)]
                other = _constant(0.0) if right is None else right
                halves.append(builder.shuffle_vector(left, other, ir.Constant(_INTS, lanes)))
            return builder.fadd(*halves)

        items = [builder.extract_value(values, j) for j in range(len(vectors))]
        for first in range(0, len(items), LANES):
            level = items[first : first + LANES]
            level += [None] * (LANES - len(level))
            groups = 1
            while len(level) > 1:
                level = [fold(level[i], level[i + 1], groups) for i in range(0, len(level), 2)]
                groups *= 2
            at = _offset(builder, position, first)
            builder.store(level[0], _vector_pointer(context, builder, sig.args[0], array_value, at), align=4)
        return context.get_dummy_value()

    return types.void(array, types.int64, vectors), codegen


@intrinsic
def prefetch(typingctx, array, index):
    """Begin to fetch the cache line at flat `index` of a contiguous float32 array."""

    def codegen(context, builder, sig, args):
        pointer = builder.gep(_data(context, builder, sig.args[0], args[0]), [args[1]])
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, _INT, _INT, _INT])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [pointer, *(ir.Constant(_INT, flag) for flag in (0, 3, 1))])  # read, keep, data
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


@intrinsic
def fetch_add(typingctx, array, index):
    """Atomically add 1 to an int64 array's item and return what it was."""

    def codegen(context, builder, sig, args):
        pointer = builder.gep(_data(context, builder, sig.args[0], args[0]), [args[1]])
        return builder.atomic_rmw("add", pointer, ir.Constant(ir.IntType(64), 1), "acq_rel")

    return types.int64(array, types.int64), codegen
