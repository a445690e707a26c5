# mypy: disable-error-code="arg-type, assignment, no-any-return"
"""The fingerprint of `rows.fingerprint` from the bytes of a file, compiled: CRC-32, four bytes a step.

Four tables, so that the four look-ups of a step do not wait for each other (Kounavis and Berry 2008, "Novel table
lookup-based algorithms for high-performance CRC generation").
"""

from typing import Any

import numpy as np
from numpy import ndarray as Array

from sqa_metrics.kernels.compiled import compiled, compiled_inline

POLYNOMIAL = np.uint32(0xEDB88320)  # of zlib, bits reversed
ONES = np.uint32(0xFFFFFFFF)


def _tables() -> Array:
    """(4, 256) uint32: the checksum of each byte followed by 0 to 3 zero bytes."""
    tables = np.zeros((4, 256), np.uint32)
    tables[0] = np.arange(256)
    for _ in range(8):
        tables[0] = (tables[0] >> np.uint32(1)) ^ np.where(tables[0] & np.uint32(1), POLYNOMIAL, np.uint32(0))
    for k in range(3):
        tables[k + 1] = (tables[k] >> np.uint32(8)) ^ tables[0][tables[k] & np.uint32(255)]
    return tables


TABLES = _tables()


@compiled
def squares(data: Array, spans: Array, numbers: Array, tables: Array) -> Array:
    """(rows,) uint64: the squared checksum of the texts of each row, parted by zero bytes, and of its int64 number.

    `spans` (rows, fields, 2) says where the texts lie in `data`; `numbers` is (rows, 8) uint8, little-endian.
    """
    result = np.empty(len(spans), np.uint64)
    for row in range(len(spans)):
        crc = ONES
        for field in range(spans.shape[1]):
            if field:
                crc = _byte(crc, np.uint8(0), tables)
            crc = _bytes(crc, data, spans[row, field, 0], spans[row, field, 1], tables)
        crc = _bytes(crc, numbers[row], 0, 8, tables) ^ ONES
        result[row] = np.uint64(crc) * np.uint64(crc)
    return result


@compiled_inline
def _bytes(crc: Any, data: Array, start: int, stop: int, tables: Array) -> Any:
    i = start
    while i + 4 <= stop:
        word = np.uint32(data[i]) | np.uint32(data[i + 1]) << np.uint32(8)
        word |= np.uint32(data[i + 2]) << np.uint32(16) | np.uint32(data[i + 3]) << np.uint32(24)
        word ^= crc
        crc = tables[3, word & np.uint32(255)] ^ tables[2, (word >> np.uint32(8)) & np.uint32(255)]
        crc ^= tables[1, (word >> np.uint32(16)) & np.uint32(255)] ^ tables[0, word >> np.uint32(24)]
        i += 4
    while i < stop:
        crc = _byte(crc, data[i], tables)
        i += 1
    return crc


@compiled_inline
def _byte(crc: Any, value: Any, tables: Array) -> Any:
    return np.uint32(tables[0, (crc ^ np.uint32(value)) & np.uint32(255)] ^ (crc >> np.uint32(8)))
