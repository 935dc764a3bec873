"""Samples of miniSEED records, decoded straight into one array without the interpreter lock."""

from __future__ import annotations

import numba
import numpy as np

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


@numba.njit(nogil=True, cache=True, inline="always")
def _word(data, at, big):
    """Four bytes; all is unsigned here, as indices that may be negative cost half the speed."""
    b0, b1 = np.uint32(data[at]), np.uint32(data[at + np.uint64(1)])
    b2, b3 = np.uint32(data[at + np.uint64(2)]), np.uint32(data[at + np.uint64(3)])
    if big:
        return (b0 << np.uint32(24)) | (b1 << np.uint32(16)) | (b2 << np.uint32(8)) | b3
    return (b3 << np.uint32(24)) | (b2 << np.uint32(16)) | (b1 << np.uint32(8)) | b0


@numba.njit(nogil=True, cache=True)
def _sum(word, parts, bits, value, out, done):
    """Add up the differences in a word, as far as there is room; compiled for each width."""
    if done + np.uint64(parts) <= np.uint64(out.size):
        for j in range(parts):
            value += np.int32(word << np.uint32(32 - bits * (parts - j))) >> np.int32(32 - bits)
            out[done + np.uint64(j)] = np.uint32(value)
    else:
        for j in range(np.int64(np.uint64(out.size) - done)):
            value += np.int32(word << np.uint32(32 - bits * (parts - j))) >> np.int32(32 - bits)
            out[done + np.uint64(j)] = np.uint32(value)
    return value


@numba.njit(nogil=True, cache=True)
def _steim(data, out, second, big):
    """Decode frames of 64 bytes; returns the fault, 0 if all is well."""
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
            if code == 0:
                continue
            at = base + np.uint64(4 * w)
            word = _word(data, at, big)
            kind = word >> np.uint32(30)
            if code == 1:  # bytes in the order of the file
                parts = 4
                value = _sum(_word(data, at, True), 4, 8, value, out, done)
            elif not second:
                if code == 2:  # halves in the order of the file
                    parts = 2
                    if not big:
                        word = (word << np.uint32(16)) | (word >> np.uint32(16))
                    value = _sum(word, 2, 16, value, out, done)
                else:
                    parts = 1
                    value = _sum(word, 1, 32, value, out, done)
            elif code == 2 and kind == 1:
                parts = 1
                value = _sum(word, 1, 30, value, out, done)
            elif code == 2 and kind == 2:
                parts = 2
                value = _sum(word, 2, 15, value, out, done)
            elif code == 2 and kind == 3:
                parts = 3
                value = _sum(word, 3, 10, value, out, done)
            elif code == 3 and kind == 0:
                parts = 5
                value = _sum(word, 5, 6, value, out, done)
            elif code == 3 and kind == 1:
                parts = 6
                value = _sum(word, 6, 5, value, out, done)
            elif code == 3 and kind == 2:
                parts = 7
                value = _sum(word, 7, 4, value, out, done)
            else:
                return FRAME
            if done == 0:  # the first difference leads here from the record before
                shift = first - np.int32(out[0])
                value += shift
                for j in range(min(parts, out.size)):
                    out[j] += np.uint32(shift)
            done += np.uint64(parts)
            if done >= size:
                return 0 if np.int32(out[out.size - 1]) == last else CHECK
    return FEWER
