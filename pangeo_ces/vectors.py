"""Whole vectors in numba kernels, where LLVM does not find them in a loop by itself.

Pieces of LLVM's intermediate code for ``numba.extending.intrinsic``; LLVM makes the best of them on
any processor.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

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
