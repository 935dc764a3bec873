"""The checksum of miniSEED 3: CRC-32C, after Castagnoli."""

from __future__ import annotations

import numba
import numpy as np


def _castagnoli() -> np.ndarray:
    """Tables (8, 256) of the CRC-32C, for eight bytes at a time."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1)
    tables = [table]
    for _ in range(7):
        tables.append(table[tables[-1] & 0xFF] ^ (tables[-1] >> 8))
    return np.array(tables, np.uint32)


_TABLES = _castagnoli()


@numba.njit(nogil=True, cache=True)
def checksum(buf, at, end):
    """CRC-32C of a miniSEED 3 record, whose own four bytes of it count as zero."""
    crc = np.uint32(0xFFFFFFFF)
    i = at
    while i + 8 <= end:
        b0, b1, b2, b3 = buf[i], buf[i + 1], buf[i + 2], buf[i + 3]
        b4, b5, b6, b7 = buf[i + 4], buf[i + 5], buf[i + 6], buf[i + 7]
        if i == at + 24:
            b4 = b5 = b6 = b7 = np.uint8(0)
        crc = (
            _TABLES[7, b0 ^ (crc & 0xFF)] ^ _TABLES[6, b1 ^ ((crc >> 8) & 0xFF)]
            ^ _TABLES[5, b2 ^ ((crc >> 16) & 0xFF)] ^ _TABLES[4, b3 ^ (crc >> 24)]
            ^ _TABLES[3, b4] ^ _TABLES[2, b5] ^ _TABLES[1, b6] ^ _TABLES[0, b7]
        )  # fmt: skip
        i += 8
    while i < end:
        crc = (crc >> np.uint32(8)) ^ _TABLES[0, (crc ^ buf[i]) & np.uint32(0xFF)]
        i += 1
    return crc ^ np.uint32(0xFFFFFFFF)
