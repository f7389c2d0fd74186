"""Parquet, row group by row group, in small batches.

Reads only the columns that are asked for, page by page. A row group that cannot be read costs its own rows.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.formats import columnar
from stages.formats.columnar import ERRORS
from stages.formats.rows import Good, Job, Record, failed

_BUFFER: Final = 1 << 20
"""Bytes of a column chunk that are held at a time."""

_DECODED: Final = 64 << 20
"""Bytes that the decoder may make of a batch's dictionary codes at once."""


def read_parquet(file: BinaryIO, job: Job, start: int, stop: int, first: int) -> Iterator[Record | Good]:
    """The rows of row groups [start, stop); `first` is the number of the first of them."""
    try:
        reader = pq.ParquetFile(file, buffer_size=_BUFFER)
        metadata = reader.metadata
        columns = reader.schema_arrow.names
    except ERRORS as error:
        yield failed(0, "unreadable", str(error))
        return
    number = first
    for group in range(start, reader.num_row_groups if stop < 0 else stop):
        rows = metadata.row_group(group).num_rows
        yield from _group(file, reader, group, columns, number, job)
        number += rows


def _group(
    file: BinaryIO, reader: pq.ParquetFile, group: int, columns: list[str], first: int, job: Job
) -> Iterator[Record | Good]:
    """The rows of one row group, as long as they stay within its budget."""
    names = columnar.wanted(job, columns)
    metadata = reader.metadata.row_group(group)
    rows = metadata.num_rows
    chunks = [metadata.column(index) for index in range(metadata.num_columns)]
    tops = columnar.tops(names)
    chunks = [chunk for chunk in chunks if chunk.path_in_schema.partition(".")[0] in tops]
    packed = min(sum(chunk.total_compressed_size for chunk in chunks), file.seek(0, io.SEEK_END))
    claimed = sum(chunk.total_uncompressed_size for chunk in chunks)
    limit = columnar.allowed(job, packed, rows, reader.metadata.num_rows)
    if claimed > limit:
        yield failed(first, "bomb", f"row group {group}: {claimed} bytes out of {packed}")
        return
    if missing := columnar.no_text(job, columns):
        yield from columnar.lost(first, rows, "no_text", missing, limit)
        return
    done = 0
    try:
        size = _batch_size(file, metadata, group, chunks)
        for batch in reader.iter_batches(size, row_groups=[group], columns=names, use_threads=False):
            limit = yield from columnar.records(batch, first + done, job, limit)
            done += batch.num_rows
            if limit < 0:
                return
    except ERRORS as error:
        yield from columnar.lost(
            first + done, rows - done, "unreadable", f"row group {group}: {error}", limit
        )


def _batch_size(
    file: BinaryIO, metadata: pq.RowGroupMetaData, group: int, chunks: list[pq.ColumnChunkMetaData]
) -> int:
    """Rows at once: a few MB by what the row group takes, and no more than the widest dictionary entries allow."""
    size = columnar.rows_at_once(metadata.num_rows, metadata.total_byte_size)
    for chunk in chunks:
        may_expand = chunk.has_dictionary_page and chunk.physical_type == "BYTE_ARRAY"
        if may_expand and size * chunk.total_uncompressed_size > _DECODED:
            size = min(size, max(1, _DECODED // _widest(file, group, chunk.path_in_schema)))
    return size


def _widest(file: BinaryIO, group: int, path: str) -> int:
    """Bytes of the longest entry of a column chunk's dictionary; at least 1."""
    reader = pq.ParquetFile(file, read_dictionary=[path], buffer_size=_BUFFER)
    batch = next(reader.iter_batches(1, row_groups=[group], columns=[path], use_threads=False), None)
    column = None if batch is None else batch.column(0)
    while column is not None and pa.types.is_struct(column.type):
        column = column.field(0)
    if column is None or not pa.types.is_dictionary(column.type):
        return 1
    return max(1, pc.max(pc.binary_length(column.dictionary)).as_py() or 0)


def group_rows(file: BinaryIO, text: str) -> list[tuple[int, int]]:
    """Rows and uncompressed bytes of the text column of each Parquet row group; empty if unreadable."""
    try:
        metadata = pq.ParquetFile(file).metadata
    except ERRORS:
        return []
    groups = []
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        columns = [group.column(column) for column in range(group.num_columns)]
        sizes = [c.total_uncompressed_size for c in columns if c.path_in_schema == text]
        groups.append((group.num_rows, sum(sizes) or group.total_byte_size))
    return groups
