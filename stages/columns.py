"""Arrow columns as arrays for the kernels, and back: text as bytes and offsets, ids as bytes.

Zero copy wherever Arrow allows it. No kernels here, no stages.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

DOC_ID: Final = pa.binary(16)
TEXT: Final = pa.large_string()


def whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One array, whatever the chunks."""
    if isinstance(column, pa.ChunkedArray):
        return (
            column.chunk(0)
            if column.num_chunks == 1
            else pa.concat_arrays(column.chunks)
            if column.num_chunks
            else pa.array([], column.type)
        )
    return column


def utf8(column: pa.ChunkedArray | pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """A string column as (bytes uint8[], offsets int64[n + 1]); nulls count as empty."""
    array = whole(column)
    if array.type != TEXT:
        array = array.cast(TEXT)
    if array.null_count:
        array = pc.fill_null(array, "")
    _, offsets, data = array.buffers()
    bounds = (
        np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
        if offsets
        else np.zeros(1, np.int64)
    )
    content = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return content, bounds


def from_utf8(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> pa.Array:
    """The inverse of `utf8`: a large_string array over these buffers, without a copy."""
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))


def ids(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.uint8]:
    """A column of doc_ids as uint8 (n, 16)."""
    array = whole(column)
    if not len(array):
        return np.zeros((0, 16), np.uint8)
    return np.frombuffer(array.buffers()[1], np.uint8).reshape(-1, 16)[
        array.offset : array.offset + len(array)
    ]


def no_reasons(rows: int) -> pa.Array:
    """Reasons of rows that all live."""
    return pa.nulls(rows, pa.string())
