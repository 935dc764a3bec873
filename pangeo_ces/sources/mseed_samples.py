"""Samples of miniSEED records, decoded straight into one array without the interpreter lock."""

from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .. import vectors
from .mseed_checksum import checksum
from .mseed_records import CHECK, CRC, FEWER, FRAME

#: Samples come as these, by the encoding of their record.
DTYPES = {
    1: np.dtype("i4"), 3: np.dtype("i4"), 4: np.dtype("f4"), 5: np.dtype("f8"),
    10: np.dtype("i4"), 11: np.dtype("i4"), 12: np.dtype("f4"), 13: np.dtype("f4"),
    14: np.dtype("f4"), 16: np.dtype("i4"), 30: np.dtype("i4"), 32: np.dtype("i4"),
}  # fmt: skip
#: Encodings that :func:`decode` knows; the others of :data:`DTYPES` are old and rare.
DECODED = (1, 3, 4, 5, 10, 11)


@numba.njit(nogil=True, cache=True)
def decode(buf, rows, members, out):
    """Write the samples of some records one after the other.

    Parameters
    ----------
    buf : (bytes,) uint8
    rows : (records,) RECORD
    members : (n,) int
        Rows to decode; their ``samples`` must have been found to fit their length.
    out : (samples,) uint32, or uint64 for encoding 5
        Bits of the samples, to be viewed as :data:`DTYPES` says.

    Returns
    -------
    (n,) uint8
        What was wrong with each record, an index into ``FAULTS``; its samples are then void.
    """
    faults = np.zeros(members.size, np.uint8)
    at = 0
    for i in range(members.size):
        row = rows[members[i]]
        end = row.offset + row.length
        piece = out[at : at + row.samples]
        at += row.samples
        if row.version == 3:
            stored = (
                buf[row.offset + 28] | (np.uint32(buf[row.offset + 29]) << 8)
                | (np.uint32(buf[row.offset + 30]) << 16) | (np.uint32(buf[row.offset + 31]) << 24)
            )  # fmt: skip
            if checksum(buf, row.offset, end) != stored:
                faults[i] = CRC
                continue
        if row.encoding == 10 or row.encoding == 11:
            faults[i] = _steim(buf[row.data : end], piece, row.encoding == 11, row.big)
            if faults[i] and not row.told and 4 * row.samples == end - row.data:
                _words(buf[row.data : end], piece, row.big)  # it is full of plain integers
                faults[i] = 0
        elif row.encoding == 1:
            _halves(buf[row.data : end], piece, row.big)
        else:
            _words(buf[row.data : end], piece, row.big)
    return faults


@numba.njit(nogil=True, cache=True)
def _halves(data, out, big):
    for i in range(out.size):
        value = np.uint16(data[2 * i + 1]) | (np.uint16(data[2 * i]) << 8)
        if not big:
            value = np.uint16(data[2 * i]) | (np.uint16(data[2 * i + 1]) << 8)
        out[i] = np.int16(value)


@numba.njit(nogil=True, cache=True)
def _words(data, out, big):
    width = out.itemsize
    for i in range(out.size):
        value = np.uint64(0)
        for j in range(width):
            byte = data[width * i + (j if big else width - 1 - j)]
            value = (value << np.uint64(8)) | np.uint64(byte)
        out[i] = value


@intrinsic
def _word(typing, data, at, big):
    """Four bytes as they lie there, or the other way round."""

    def make(context, builder, signature, arguments):
        data, at, big = arguments
        word = vectors.load(context, builder, signature.args[0], data, at, ir.IntType(32))
        return builder.select(big, builder.bswap(word), word)

    return types.uint32(data, at, big), make


#: How many differences of how many bits a word holds, by its code and its first two bits.
_STEIM1 = {1: (4, 8), 2: (2, 16), 3: (1, 32)}
_STEIM2 = {(2, 1): (1, 30), (2, 2): (2, 15), (2, 3): (3, 10),
           (3, 0): (5, 6), (3, 1): (6, 5), (3, 2): (7, 4)}  # fmt: skip
_LANES = 8
_ROW = np.uint32(4 * _LANES)
_NONE_SUCH = np.uint64(255)


def _shifts(second: bool) -> np.ndarray:
    """For each code and first two bits, in eight lanes each: how far to shift the word left, which
    bits are then in use, the number of differences, and how far to shift them right."""
    rows = np.zeros((16, _ROW), "u4")
    for code, first in np.ndindex(4, 4):
        row = rows[4 * code + first]
        unknown = (0, 32) if code == 0 else (int(_NONE_SUCH), 32)
        parts, bits = _STEIM1.get(code, unknown)
        if second and code > 1:
            parts, bits = _STEIM2.get((code, first), unknown)
        row[2 * _LANES :] = parts
        row[3 * _LANES :] = 32 - bits
        if parts <= _LANES:
            row[:parts] = 32 - bits * np.arange(parts, 0, -1)
            row[_LANES : _LANES + parts] = 2**32 - 1
    return rows.ravel()


_TABLES = np.stack([_shifts(False), _shifts(True)])


@intrinsic
def _add_up(typing, word, table, row, value, out, at):
    """Sums of ``value`` and the differences in a word to ``out[at:]``, eight of them although only
    the first may mean something; the sum of all differences is returned."""

    def make(context, builder, signature, arguments):
        word, table, row, value, out, at = arguments
        numbers = vectors.vector(32, _LANES)

        def lanes(begin):
            place = builder.add(row, ir.Constant(row.type, begin))
            return vectors.load(context, builder, signature.args[1], table, place, numbers)

        sums = builder.shl(vectors.splat(builder, word, _LANES), lanes(0))
        sums = builder.ashr(sums, lanes(3 * _LANES))
        sums = builder.and_(sums, lanes(_LANES))
        nothing = vectors.constant(numbers, 0)
        for step in (1, 2, 4):
            before = [i - step if i >= step else _LANES for i in range(_LANES)]
            sums = builder.add(sums, vectors.take(builder, sums, nothing, before))
        total = vectors.lane(builder, sums, _LANES - 1)
        sums = builder.add(sums, vectors.splat(builder, value, _LANES))
        vectors.store(context, builder, signature.args[4], out, at, sums)
        return total

    return types.int32(word, table, row, value, out, at), make


@numba.njit(nogil=True, cache=True)
def _steim(data, out, second, big):
    """Decode frames of 64 bytes; returns the fault, 0 if all is well.

    Which widths follow each other cannot be foreseen, so that no branch depends on them.
    """
    table = _TABLES[1 if second else 0]
    size, done, value = np.uint64(out.size), np.uint64(0), np.int32(0)
    first, last = np.int32(0), np.int32(0)
    for frame in range(data.size // 64):
        base = np.uint64(64 * frame)
        codes = _word(data, base, big)
        begin = 1
        if frame == 0:
            first = np.int32(_word(data, base + np.uint64(4), big))
            last = np.int32(_word(data, base + np.uint64(8), big))
            begin = 3
        for w in range(begin, 16):
            code = (codes >> np.uint32(30 - 2 * w)) & np.uint32(3)
            # Bytes and halves are in the order of the file.
            word = _word(data, base + np.uint64(4 * w), big or code == 1)
            if not (big or second) and code == 2:
                word = np.uint32((word << 16) | (word >> 16))
            row = np.uint64((np.uint32(4) * code + (word >> np.uint32(30))) * _ROW)
            parts = np.uint64(table[row + np.uint64(2 * _LANES)])
            if parts == _NONE_SUCH:
                return FRAME
            if done + np.uint64(_LANES) <= size:
                value = np.int32(value + _add_up(word, table, row, value, out, done))
            else:
                right = np.int32(table[row + np.uint64(3 * _LANES)])
                for j in range(min(parts, size - done)):
                    left = table[row + np.uint64(j)]
                    value = np.int32(value + (np.int32(word << left) >> right))
                    out[done + np.uint64(j)] = np.uint32(value)
            if done == 0 and parts:  # the first difference leads here from the record before
                shift = np.int32(first - np.int32(out[0]))
                value = np.int32(value + shift)
                for j in range(min(parts, size)):
                    out[j] += np.uint32(shift)
            done += parts
            if done >= size:
                return 0 if np.int32(out[out.size - 1]) == last else CHECK
    return FEWER
