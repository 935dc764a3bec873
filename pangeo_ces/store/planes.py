"""Chunks as Blosc's bitshuffle and zstd have them, without compressing what is noise.

Blosc puts the lowest bits of all samples together, then the next ones, and so on, and compresses
these *bit planes* as one.  The lowest of a seismogram are noise, on which zstd spends half its time
in vain; the highest are all the sign.  Here the former are stored as they are, in a zstd frame of
their own before that of the others: every Blosc reads it, and it is no larger.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numcodecs import zstd

from .. import vectors
from ..errors import StoreError
from ..memory import scratch

#: Version 2 of Blosc, version 1 of zstd in it, bitshuffle, one block that is not split.
_VERSION, _FLAGS = b"\x02\x01", 0x04 | 0x10 | 0x80
_HEAD = struct.Struct("<2sBBIIIII")
_START = _HEAD.size
#: A zstd frame in one segment whose size is given in four bytes.
_FRAME = b"\x28\xb5\x2f\xfd\xa0"
_LONGEST_BLOCK = 128 * 1024
_LEVEL = 1

Part = bytes | memoryview
_LANES = 64
#: So many bytes of a plane, in so many pieces, tell whether it is noise: whether their
#: chi-squared, which is 255 for random bytes, says that entropy coding would save less than about
#: a quarter.  To compress such planes together with others gains nothing, as their statistics mix.
_PROBE, _PIECES = 2048, 16
_NOISE = 255 + 6 * _PROBE


def encode(chunk: np.ndarray) -> list[Part]:
    """A chunk as Blosc would write it, in parts; none where it is better left to Blosc itself.

    Parameters
    ----------
    chunk
        Contiguous samples of 4 or 8 bytes, a multiple of 8 of them.
    """
    if chunk.itemsize not in (4, 8) or not chunk.size or chunk.size % 8:
        return []
    bits = chunk.reshape(-1).view(f"i{chunk.itemsize}")
    planes = scratch("planes", chunk.nbytes, np.dtype("u1"))
    distinct = to_planes(bits, planes)
    stride = chunk.size // 8
    noise = stride * _noisy(planes, stride, distinct)
    if noise == chunk.nbytes:
        return []
    parts = [*_stored(planes[:noise]), zstd.compress(planes[noise:], _LEVEL)]
    size = sum(map(len, parts))
    if size >= chunk.nbytes:
        return []
    head = _HEAD.pack(_VERSION, _FLAGS, chunk.itemsize, chunk.nbytes, chunk.nbytes,
                      _START + size, _START - 4, size)  # fmt: skip
    return [head, *parts]


def is_planes(content: bytes, samples: int, dtype: np.dtype) -> bool:
    """Whether a chunk is one block of bit planes, as Blosc and :func:`encode` write them."""
    if len(content) <= _START:
        return False
    whole = samples * dtype.itemsize
    version, flags, size, *lengths, end, start, length = _HEAD.unpack_from(content)
    return (
        (version, flags, size, *lengths) == (_VERSION, _FLAGS, dtype.itemsize, whole, whole)
        and (end, start, length) == (len(content), _START - 4, len(content) - _START)
        and length < whole
    )


def decode(content: bytes, size: int, dtype: np.dtype, first: int, last: int) -> np.ndarray:
    """Samples ``first`` to ``last`` (exclusive) of a chunk of ``size`` that :func:`is_planes`."""
    planes = np.frombuffer(zstd.decompress(memoryview(content)[_START:]), "u1")
    if planes.size != size * dtype.itemsize:
        raise StoreError("a chunk is not as long as it says: copy the store again")
    begin, end = first // 8 * 8, -(-last // 8) * 8
    bits = scratch("bits", end - begin, np.dtype(f"i{dtype.itemsize}"))
    from_planes(planes, begin, bits)
    return bits.view(dtype)[first - begin : last - begin]


def _stored(content: np.ndarray) -> Iterator[Part]:
    """A zstd frame of blocks that are not compressed, or nothing where there is no content."""
    if content.size:
        yield _FRAME + content.size.to_bytes(4, "little")
    for begin in range(0, content.size, _LONGEST_BLOCK):
        block = content[begin : begin + _LONGEST_BLOCK]
        is_last = begin + block.size == content.size
        yield (block.size << 3 | is_last).to_bytes(3, "little")
        yield memoryview(block)


@intrinsic
def _split(  # type: ignore[no-untyped-def]
    typing, bits, at, shift, planes, where, stride
):
    """Eight bits of 64 samples, from bit ``shift`` on, to a word of eight planes each."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits, at, shift, planes, where, stride = arguments
        kind, _, given, target, *_ = signature.args
        shift = context.cast(builder, shift, given, kind.dtype)
        wide = vectors.vector(kind.dtype.bitwidth, _LANES)
        small = vectors.vector(8, _LANES)
        values = vectors.load(context, builder, kind, bits, at, wide)
        values = builder.lshr(values, vectors.splat(builder, shift, _LANES))
        values = builder.trunc(values, small)
        for k in range(8):
            chosen = builder.and_(values, vectors.constant(small, 1 << k))
            mask = builder.icmp_unsigned("!=", chosen, vectors.constant(small, 0))
            place = builder.add(where, builder.mul(stride, ir.Constant(stride.type, k)))
            word = builder.bitcast(mask, ir.IntType(_LANES))
            vectors.store(context, builder, target, planes, place, word)
        return context.get_dummy_value()

    return types.void(bits, at, shift, planes, where, stride), make


@intrinsic
def _join(  # type: ignore[no-untyped-def]
    typing, planes, where, stride, shift, before, bits, at
):
    """Put eight bits of 64 samples where :func:`_split` had them from.

    What is there already is kept where ``before`` is -1.  Where it is 0, it is not, and all higher
    bits are as the last one.
    """

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        planes, where, stride, shift, before, bits, at = arguments
        source, _, _, given, flag, kind, _ = signature.args
        wide = vectors.vector(kind.dtype.bitwidth, _LANES)
        small = vectors.vector(8, _LANES)
        shift = vectors.splat(builder, context.cast(builder, shift, given, kind.dtype), _LANES)
        before = vectors.splat(builder, context.cast(builder, before, flag, kind.dtype), _LANES)
        nothing = vectors.constant(small, 0)
        values = nothing
        for k in range(8):
            place = builder.add(where, builder.mul(stride, ir.Constant(stride.type, k)))
            word = vectors.load(context, builder, source, planes, place, ir.IntType(_LANES))
            mask = builder.bitcast(word, vectors.vector(1, _LANES))
            bit = builder.select(mask, vectors.constant(small, 1 << k), nothing)
            values = builder.or_(values, bit)
        own = builder.or_(builder.not_(before), vectors.constant(wide, 255))
        values = builder.shl(builder.and_(builder.sext(values, wide), own), shift)
        held = builder.and_(vectors.load(context, builder, kind, bits, at, wide), before)
        vectors.store(context, builder, kind, bits, at, builder.or_(held, values))
        return context.get_dummy_value()

    return types.void(planes, where, stride, shift, before, bits, at), make


@numba.njit(nogil=True, cache=True)
def to_planes(bits: np.ndarray, planes: np.ndarray) -> int:
    """Bit planes of samples, the lowest first.

    Parameters
    ----------
    bits : (n,) int32 or int64
        A multiple of 8.
    planes : (n * itemsize,) uint8
        Filled.

    Returns
    -------
    int
        How many of the planes may differ; all above are as the last of them.
    """
    width, stride = 8 * bits.itemsize, bits.size // 8
    low = high = bits[0]
    for i in range(bits.size):
        low, high = min(low, bits[i]), max(high, bits[i])
    distinct, most = 1, max(high, -(low + 1))
    while most:
        most >>= 1
        distinct += 1
    whole = bits.size // _LANES * _LANES
    for shift in range(0, distinct, 8):
        for i in range(0, whole, _LANES):
            where = shift * stride + i // 8
            _split(bits, i, shift, planes, where, stride)  # type: ignore[call-arg]
        for i in range(whole, bits.size, 8):
            for p in range(shift, shift + 8):
                word = 0
                for j in range(8):
                    word |= ((bits[i + j] >> p) & 1) << j
                planes[p * stride + i // 8] = word
    last = planes[(distinct - 1) * stride : distinct * stride]
    for p in range(distinct, width):
        plane = planes[p * stride : (p + 1) * stride]
        for k in range(stride):
            plane[k] = last[k]
    return distinct


@numba.njit(nogil=True, cache=True)
def from_planes(planes: np.ndarray, first: int, bits: np.ndarray) -> None:
    """Some of the samples that bit planes are of.

    Parameters
    ----------
    planes : (n * itemsize,) uint8
    first : int
        Number of the first sample, a multiple of 8.
    bits : (m,) int32 or int64
        Filled; a multiple of 8.
    """
    width = 8 * bits.itemsize
    stride = planes.size // width
    begin, end = first // 8, (first + bits.size) // 8
    top = width - 8  # from here on, all bits may be the sign
    while top and _same(planes, stride, begin, end, top - 1, width):
        top -= 8
    whole = bits.size // _LANES * _LANES
    for i in range(0, whole, _LANES):
        for shift in range(top, -1, -8):
            where = shift * stride + begin + i // 8
            before = 0 if shift == top else -1
            _join(planes, where, stride, shift, before, bits, i)  # type: ignore[call-arg]
    for i in range(whole, bits.size, 8):
        for j in range(8):
            value = np.int64(0)
            for p in range(width):
                value |= np.int64((planes[p * stride + begin + i // 8] >> j) & 1) << p
            bits[i + j] = value


@numba.njit(nogil=True, cache=True)
def _same(planes: np.ndarray, stride: int, begin: int, end: int, one: int, last: int) -> bool:
    """Whether planes ``one`` to before ``last`` are the same between two bytes of them."""
    for p in range(one, last - 1):
        # As slices, since an index that could be negative keeps LLVM from whole vectors.
        lower = planes[p * stride + begin : p * stride + end]
        upper = planes[(p + 1) * stride + begin : (p + 1) * stride + end]
        different = np.uint8(0)
        for k in range(lower.size):
            different = np.uint8(different | (lower[k] ^ upper[k]))
        if different:
            return False
    return True


@numba.njit(nogil=True, cache=True)
def _noisy(planes: np.ndarray, stride: int, distinct: int) -> int:
    """How many of the planes, from the lowest on, are noise."""
    piece = min(_PROBE, stride) // _PIECES
    counts = np.empty(256, np.int64)
    for p in range(distinct):
        counts[:] = 0
        for k in range(_PIECES):
            begin = p * stride + k * (stride // _PIECES)
            for i in range(begin, begin + piece):
                counts[planes[i]] += 1
        number = piece * _PIECES
        if number < _PROBE or 256.0 / number * (counts * counts).sum() - number > _NOISE:
            return p
    return distinct
