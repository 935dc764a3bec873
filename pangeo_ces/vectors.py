"""Whole vectors in numba kernels, where LLVM does not find them in a loop by itself.

Pieces of LLVM's intermediate code for ``numba.extending.intrinsic``; LLVM makes the best of them on
any processor.
"""

from __future__ import annotations

import operator
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

_INDEX = ir.IntType(32)


def vector(bits: int, lanes: int) -> ir.VectorType:
    """The type of so many whole numbers of so many bits."""
    return ir.VectorType(ir.IntType(bits), lanes)


def constant(kind: ir.VectorType, value: int) -> ir.Constant:
    """The same number in every lane."""
    return ir.Constant(kind, [value] * kind.count)


def splat(builder: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """One value in every lane."""
    none = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = builder.insert_element(none, value, ir.Constant(_INDEX, 0))
    return builder.shuffle_vector(first, none, constant(vector(32, lanes), 0))


def take(builder: ir.IRBuilder, values: ir.Value, other: ir.Value, lanes: list[int]) -> ir.Value:
    """Lanes of ``values``, or of ``other`` where the number is that of no lane of these."""
    return builder.shuffle_vector(values, other, ir.Constant(vector(32, len(lanes)), lanes))


def lane(builder: ir.IRBuilder, values: ir.Value, number: int) -> ir.Value:
    """One of the lanes."""
    return builder.extract_element(values, ir.Constant(_INDEX, number))


def load(context: Any, builder: ir.IRBuilder, kind: Any, array: Any, at: ir.Value,
         wanted: ir.Type) -> ir.Value:  # fmt: skip
    """Memory of a contiguous array from an element on."""
    loaded = builder.load(_place(context, builder, kind, array, at, wanted))
    loaded.align = 1
    return loaded


def store(context: Any, builder: ir.IRBuilder, kind: Any, array: Any, at: ir.Value,
          values: ir.Value) -> None:  # fmt: skip
    """The inverse of :func:`load`."""
    stored = builder.store(values, _place(context, builder, kind, array, at, values.type))
    stored.align = 1


def _place(context: Any, builder: ir.IRBuilder, kind: Any, array: Any, at: ir.Value,
           wanted: ir.Type) -> ir.Value:  # fmt: skip
    start = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(start, [at]), wanted.as_pointer())


class Octet(types.Type):
    """Eight float64 side by side: a number in a kernel, with ``+``, ``-``, ``*`` and ``/``."""

    def __init__(self) -> None:
        super().__init__(name="Octet")


OCTET = Octet()
#: How many numbers there are in one.
WIDTH = 8
_OCTET = ir.VectorType(ir.DoubleType(), WIDTH)


@register_model(Octet)
class _OctetModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _OCTET)


@numba.njit(nogil=True, cache=True)
def put(values, out):
    """``out[:] = values``, without numba's message of unequal shapes: seconds of compiling."""
    for i in range(len(out)):
        out[i] = values[i]


@intrinsic
def octet(typing: Any, value: Any) -> Any:
    """The same number eight times."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return splat(builder, arguments[0], WIDTH)

    return OCTET(types.float64), make


@intrinsic
def octet_at(typing: Any, array: Any, place: Any) -> Any:
    """Octet number ``place`` of a contiguous float64 array."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, place = arguments
        place = builder.mul(place, ir.Constant(place.type, WIDTH))
        return load(context, builder, signature.args[0], array, place, _OCTET)

    return OCTET(array, place), make


@intrinsic
def put_octet(typing: Any, array: Any, place: Any, value: Any) -> Any:
    """The inverse of :func:`octet_at`."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, place, value = arguments
        place = builder.mul(place, ir.Constant(place.type, WIDTH))
        store(context, builder, signature.args[0], array, place, value)
        return context.get_dummy_value()

    return types.void(array, place, value), make


@intrinsic
def eight_at(typing: Any, array: Any, place: Any) -> Any:
    """Eight numbers of a contiguous float32 or float64 array, from element ``place`` on."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind, (array, place) = signature.args[0], arguments
        wide = ir.VectorType(context.get_data_type(kind.dtype), WIDTH)
        values = load(context, builder, kind, array, place, wide)
        return values if kind.dtype == types.float64 else builder.fpext(values, _OCTET)

    return OCTET(array, place), make


@intrinsic
def put_turned(
    typing: Any, array: Any, place: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any,
    h: Any,
) -> Any:  # fmt: skip
    """Eight octets as the columns of octets ``place``, ``place + 1``, … of a float64 array."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, place, *rows = arguments
        for step in (1, 2, 4):  # swap bit by bit what is row and what is column
            keep = [n if not n & step else n - step + WIDTH for n in range(WIDTH)]
            swap = [n + step if not n & step else n + WIDTH for n in range(WIDTH)]
            for n in range(WIDTH):
                if not n & step:
                    low, high = rows[n], rows[n + step]
                    rows[n] = take(builder, low, high, keep)
                    rows[n + step] = take(builder, low, high, swap)
        start = builder.mul(place, ir.Constant(place.type, WIDTH))
        for n, row in enumerate(rows):
            at = builder.add(start, ir.Constant(start.type, n * WIDTH))
            store(context, builder, signature.args[0], array, at, row)
        return context.get_dummy_value()

    return types.void(array, place, a, b, c, d, e, f, g, h), make


@intrinsic
def multiply_add(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c``, rounded once."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _call(builder, "llvm.fma.v8f64", arguments)

    return OCTET(a, b, c), make


@intrinsic
def magnitude(typing: Any, a: Any) -> Any:
    """Absolute values."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _call(builder, "llvm.fabs.v8f64", arguments)

    return OCTET(a), make


@intrinsic
def larger(typing: Any, a: Any, b: Any) -> Any:
    """The larger ones; those of ``b`` where ``a`` is NaN."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, b = arguments
        return builder.select(builder.fcmp_ordered(">", a, b), a, b)

    return OCTET(a, b), make


@intrinsic
def exceeding(typing: Any, a: Any, b: Any) -> Any:
    """Bits, the first for the first number: whether ``a`` is larger than ``b``."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(builder.fcmp_ordered(">", *arguments), ir.IntType(WIDTH))

    return types.uint8(a, b), make


@intrinsic
def smallest(typing: Any, a: Any) -> Any:
    """The smallest of the eight."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _call(builder, "llvm.vector.reduce.fmin.v8f64", arguments, ir.DoubleType())

    return types.float64(a), make


@intrinsic
def summed(typing: Any, a: Any) -> Any:
    """Sum of the eight."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total = lane(builder, arguments[0], 0)
        for number in range(1, WIDTH):
            total = builder.fadd(total, lane(builder, arguments[0], number))
        return total

    return types.float64(a), make


def _call(builder: ir.IRBuilder, name: str, arguments: Any, result: ir.Type = _OCTET) -> ir.Value:
    kind = ir.FunctionType(result, [_OCTET] * len(arguments))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _arithmetic(function: Any, instruction: str) -> None:
    @intrinsic
    def combine(typing: Any, a: Any, b: Any) -> Any:
        def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, instruction)(*arguments)

        return OCTET(a, b), make

    @overload(function)
    def of_octets(a, b):
        if isinstance(a, Octet) and isinstance(b, Octet):
            return lambda a, b: combine(a, b)
        return None


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")
_arithmetic(operator.truediv, "fdiv")
