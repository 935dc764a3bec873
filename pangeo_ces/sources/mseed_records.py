"""miniSEED 2 and 3 records in a run of bytes: where they are, and what their headers say.

No header is believed when it says how long its record is: where another record starts within that
length the first is cut short, so that damage to one swallows no other.
"""

from __future__ import annotations

import numba
import numpy as np

from .mseed_checksum import checksum

#: One row for each record, in file order; see :func:`record_index`.
RECORD = np.dtype(
    [
        ("offset", "i8"), ("length", "i8"), ("data", "i8"), ("start", "i8"), ("samples", "i8"),
        ("rate", "f8"), ("factor", "i2"), ("multiplier", "i2"), ("encoding", "i2"),
        ("version", "u1"), ("quality", "u1"), ("big", "?"), ("told", "?"), ("leap", "?"),
        ("fault", "u1"), ("new", "?"), ("goes_on", "?"),
    ]
)  # fmt: skip

CUT, MISFIT, YEAR, FRAME, FEWER, CHECK, CRC, ENCODING = range(1, 9)
#: What is wrong with a record, by its ``fault``.
FAULTS = (
    "", "cut short", "more samples than fit into it", "outside the years 1900 to 2262",
    "invalid compression frame", "fewer samples than its header says", "check value differs",
    "checksum differs", "unknown encoding",
)  # fmt: skip

_CHAIN = 64  # blockettes in one record, at most


def record_index(content: bytes) -> np.ndarray:
    """The records of miniSEED 2 or 3 bytes, from their headers alone.

    Parameters
    ----------
    content
        Bytes of a file, uncompressed.

    Returns
    -------
    ndarray of RECORD
        In file order.  ``offset``, ``length`` and ``data`` (start of the payload, from the start
        of the file) in bytes; ``start`` in ns since 1970-01-01 UTC; ``rate`` in Hz, or minus the
        interval in s where the format gives that; ``factor`` and ``multiplier`` of a miniSEED 2
        rate that needs no blockette 100, else 0; ``encoding`` as in the format; ``quality`` the
        letter's code, or the publication version of miniSEED 3; ``big`` for big-endian samples;
        ``told`` where the header names the encoding; ``leap`` where the time is 23:59:60, which
        POSIX time calls 00:00:00; ``fault`` an index into :data:`FAULTS`; ``new`` where the
        channel is not that of the row before; ``goes_on`` where a record continues the series
        of the row before, and lies right behind it.  Bytes outside all records are none.

    Examples
    --------
    >>> record_index(b"no record").size
    0
    """
    rows = _index(content, thorough=False)
    if rows["fault"].any() or rows["length"].sum() < len(content):
        return _index(content, thorough=True)
    return rows


def _index(content: bytes, thorough: bool) -> np.ndarray:
    """All records; ``thorough`` looks at each byte, where a glance at some of them is enough to
    find a file in order."""
    buffer = np.frombuffer(content, np.uint8)
    state = np.array([0, 4 * len(content), 0, -1])
    parts = []
    while state[0] < len(content):
        rows = np.zeros(min(1 + (len(content) - int(state[0])) // 256, 1 << 14), RECORD)
        parts.append(rows[: _scan(buffer, state, rows, thorough)])
    return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, RECORD), *parts])


@numba.njit(nogil=True, cache=True)
def _number(buf, at, size, big):
    """An unsigned integer of 2 or 4 bytes."""
    value = 0
    for i in range(size):
        value = (value << 8) | np.int64(buf[at + i if big else at + size - 1 - i])
    return value


@numba.njit(nogil=True, cache=True)
def _order(buf, at):
    """Byte order of the header of a miniSEED 2 record: 1 big, 0 little, -1 if this is none."""
    if at + 48 > buf.size or buf[at + 7] not in (32, 0):
        return -1
    if buf[at + 6] not in (68, 82, 81, 77):  # D R Q M
        return -1
    for i in range(at, at + 6):
        if not (48 <= buf[i] <= 57 or buf[i] == 32 or buf[i] == 0):
            return -1
    if buf[at + 24] > 23 or buf[at + 25] > 59 or buf[at + 26] > 60:
        return -1
    for big in (1, 0):
        year, day = _number(buf, at + 20, 2, big), _number(buf, at + 22, 2, big)
        if 1900 <= year <= 2100 and 1 <= day <= 366:
            return big
    return -1


@numba.njit(nogil=True, cache=True)
def _is_third(buf, at):
    """Whether a miniSEED 3 record starts here."""
    return (
        at + 40 <= buf.size and buf[at] == 77 and buf[at + 1] == 83 and buf[at + 2] == 3
        and buf[at + 12] <= 23 and buf[at + 13] <= 59 and buf[at + 14] <= 60
        and 1 <= _number(buf, at + 10, 2, False) <= 366
        and _number(buf, at + 4, 4, False) < 1_000_000_000
    )  # fmt: skip


@numba.njit(nogil=True, cache=True)
def _find(buf, at, end, step):
    """The first of the places ``at, at + step, …`` before ``end`` where a record starts."""
    while at < min(end, buf.size - 39):
        first = buf[at]
        if first == 77:
            if _is_third(buf, at):
                return at
        elif (48 <= first <= 57 or first == 32 or first == 0) and _order(buf, at) >= 0:
            return at
        at += step
    return end


@numba.njit(nogil=True, cache=True)
def _nanoseconds(year, day, hour, minute, second):
    """POSIX time; the second 60 is the first one of the next minute."""
    before = year - 1
    leaps = before // 4 - before // 100 + before // 400 - 477
    days = 365 * (year - 1970) + leaps + day - 1
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000_000


@numba.njit(nogil=True, cache=True)
def _parse_second(buf, at, big, row):
    """Fill in a row from a miniSEED 2 header; its length is 0 where the header does not tell."""
    row.version, row.quality, row.length = 2, buf[at + 6], 0
    row.samples = _number(buf, at + 30, 2, big)
    row.factor = np.int16(_number(buf, at + 32, 2, big))
    row.multiplier = np.int16(_number(buf, at + 34, 2, big))
    row.data = at + _number(buf, at + 44, 2, big)
    row.encoding, row.big, row.leap = 10, big == 1, buf[at + 26] == 60
    start = _nanoseconds(
        _number(buf, at + 20, 2, big), _number(buf, at + 22, 2, big),
        np.int64(buf[at + 24]), np.int64(buf[at + 25]), np.int64(buf[at + 26]),
    )  # fmt: skip
    start += _number(buf, at + 28, 2, big) * 100_000
    if not buf[at + 36] & 2:  # the correction is not in the start time yet
        start += np.int64(np.int32(_number(buf, at + 40, 4, big))) * 100_000
    rate = 0.0
    if row.factor > 0:
        rate = float(row.factor)
    elif row.factor < 0:
        rate = -1.0 / row.factor
    if row.multiplier > 0:
        rate *= row.multiplier
    elif row.multiplier < 0:
        rate = -rate / row.multiplier
    there = _number(buf, at + 46, 2, big)
    for _ in range(_CHAIN):
        here = at + there
        if there < 48 or here + 8 > buf.size or 0 < row.length < there + 8:
            break
        kind = _number(buf, here, 2, big)
        if kind == 1000:
            row.encoding, row.big, row.told = buf[here + 4], buf[here + 5] != 0, True
            if 7 <= buf[here + 6] <= 20:
                row.length = 1 << np.int64(buf[here + 6])
        elif kind == 1001:
            start += np.int64(np.int8(buf[here + 5])) * 1000
        elif kind == 100:
            bits = np.empty(1, np.uint32)
            bits[0] = _number(buf, here + 4, 4, big)
            rate = float(bits.view(np.float32)[0])
            row.factor = row.multiplier = 0
        following = _number(buf, here + 2, 2, big)
        if following < there + 4:  # a chain must move on, or it would never end
            break
        there = following
    row.start, row.rate = start, rate


@numba.njit(nogil=True, cache=True)
def _parse_third(buf, at, row):
    """Fill in a row from a miniSEED 3 header."""
    row.version, row.quality, row.factor, row.multiplier = 3, buf[at + 32], 0, 0
    row.encoding, row.told, row.leap = buf[at + 15], True, buf[at + 14] == 60
    row.big = row.encoding in (10, 11)  # Steim frames are, all other samples are not
    row.samples = _number(buf, at + 24, 4, False)
    row.data = at + 40 + buf[at + 33] + _number(buf, at + 34, 2, False)
    row.length = row.data - at + _number(buf, at + 36, 4, False)
    bits = np.empty(1, np.uint64)
    bits[0] = (_number(buf, at + 20, 4, False) << 32) | _number(buf, at + 16, 4, False)
    row.rate = bits.view(np.float64)[0]
    year = _number(buf, at + 8, 2, False)
    if 1900 <= year <= 2261:
        row.start = _number(buf, at + 4, 4, False) + _nanoseconds(
            year, _number(buf, at + 10, 2, False),
            np.int64(buf[at + 12]), np.int64(buf[at + 13]), np.int64(buf[at + 14]),
        )  # fmt: skip
    else:
        row.fault = YEAR


@numba.njit(nogil=True, cache=True)
def _misfits(row, end):
    """The fault of a record whose samples cannot all lie between its data offset and its end."""
    if row.samples == 0:
        return 0
    size, encoding = end - row.data, row.encoding
    if size <= 0 or row.data < row.offset + 40:
        return MISFIT
    if encoding == 11:  # up to seven samples in four bytes
        return MISFIT if 4 * row.samples > 7 * size else 0
    if encoding in (0, 10):
        width = 1
    elif encoding in (1, 13, 14, 16, 30, 32):
        width = 2
    elif encoding == 12:
        width = 3
    elif encoding in (3, 4):
        width = 4
    elif encoding == 5:
        width = 8
    else:
        return ENCODING
    return MISFIT if width * row.samples > size else 0


@numba.njit(nogil=True, cache=True)
def _same_channel(buf, one, two):
    """Whether the records at two places carry the same codes, quality and format."""
    if one < 0 or (buf[one] == 77) != (buf[two] == 77):
        return False
    begin, end, differences = 6, 20, 0
    if buf[one] == 77:
        begin, end = 40, 40 + buf[one + 33]
        differences += (buf[one + 32] != buf[two + 32]) + (buf[one + 33] != buf[two + 33])
    for i in range(begin, min(end, buf.size - max(one, two))):
        differences += buf[one + i] != buf[two + i]
    return differences == 0


@numba.njit(nogil=True, cache=True)
def _goes_on(one, two):
    """Whether a record of a channel continues the one before, with nothing between or wrong."""
    if one.fault or two.fault or two.leap or one.offset + one.length != two.offset:
        return False
    if one.samples == 0 or two.samples == 0 or one.encoding != two.encoding or one.rate <= 0:
        return False
    step = 1e9 / one.rate
    gap = two.start - one.start - one.samples * step
    return one.rate == two.rate and abs(gap) <= step / 2


@numba.njit(nogil=True, cache=True)
def _scan(buf, state, rows, thorough):
    """Fill in rows until they or the bytes are used up; returns how many.

    ``state``: where to go on, how many bytes may still be summed to settle a doubt (or hostile
    bytes could ask for it for ever), length of the last record, place of the last record.
    """
    at, count = state[0], 0
    while count < rows.size:
        at = _find(buf, at, buf.size, 1)
        if at >= buf.size:
            break
        row = rows[count]
        row.offset = at
        third = buf[at] == 77
        if third:
            _parse_third(buf, at, row)
        else:
            _parse_second(buf, at, _order(buf, at), row)
        if row.length == 0:  # without blockette 1000 it lasts until the next one
            end = _find(buf, at + 1, buf.size, 1)
        else:
            end = _end(buf, at, row, third, state, thorough)
            if end < at + row.length:
                row.fault = CUT
        row.length = end - at
        if row.fault == 0:
            row.fault = _misfits(row, end)
        row.new = not _same_channel(buf, state[3], at)
        if count > 0 and not row.new:
            row.goes_on = _goes_on(rows[count - 1], row)
        state[2], state[3] = row.length, at
        at = end
        count += 1
    state[0] = at
    return count


@numba.njit(nogil=True, cache=True)
def _end(buf, at, row, third, state, thorough):
    """Where a record ends: before its length is over, if another record starts within it."""
    end = at + row.length
    inside = min(end, buf.size)
    if third:
        found = _find(buf, at + 1, inside, 1)
        if found < inside and end <= buf.size and row.length <= state[1]:
            state[1] -= row.length
            if checksum(buf, at, end) == _number(buf, at + 28, 4, False):
                return end
        return found
    follows = end == buf.size or (end < buf.size and (_order(buf, end) >= 0 or _is_third(buf, end)))
    if follows and row.length == state[2] and not thorough:
        return _find(buf, at + 128, end, 128)
    found = _find(buf, at + 1, inside, 1)
    if end - 6 < found < end and buf[found] == 0:
        return end  # zeros among samples, not in the number of a record that lost its first bytes
    return found
