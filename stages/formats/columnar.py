"""Parquet and Arrow IPC, row group by row group, in small batches.

Reads only the columns that are asked for. Batches of good rows stay Arrow; others are looked at row by row.
A row group that cannot be read costs its own rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.formats.lines import label, look_up
from stages.formats.rows import Good, Job, Record, failed

_BATCH_BYTES: Final = 4 << 20
_ERRORS: Final = (pa.ArrowException, OSError, ValueError)


def read_parquet(file: BinaryIO, job: Job, start: int, stop: int, first: int) -> Iterator[Record | Good]:
    """The rows of row groups [start, stop); `first` is the number of the first of them."""
    try:
        reader = pq.ParquetFile(file)
    except _ERRORS as error:
        yield failed(0, "unreadable", str(error))
        return
    names = reader.schema_arrow.names
    wanted = [name for name in names if name in _tops(job)]
    number = first
    for group in range(start, reader.num_row_groups if stop < 0 else stop):
        rows = reader.metadata.row_group(group).num_rows
        size = _rows_at_once(rows, reader.metadata.row_group(group).total_byte_size)
        done = 0
        try:
            for batch in reader.iter_batches(size, row_groups=[group], columns=wanted, use_threads=False):
                yield from _rows(batch, number + done, job)
                done += batch.num_rows
        except _ERRORS as error:
            for lost in range(done, rows):
                yield failed(number + lost, "unreadable", f"row group {group}: {error}")
        number += rows


def read_arrow(file: BinaryIO, job: Job) -> Iterator[Record | Good]:
    """The rows of an Arrow IPC file or stream, record batch by record batch."""
    number = 0
    try:
        for whole in _arrow_batches(file):
            size = _rows_at_once(whole.num_rows, whole.nbytes)
            for begin in range(0, whole.num_rows, size):
                yield from _rows(whole.slice(begin, size), number + begin, job)
            number += whole.num_rows
    except _ERRORS as error:
        yield failed(number, "unreadable", str(error))


def _arrow_batches(file: BinaryIO) -> Iterator[pa.RecordBatch]:
    head = file.read(6)
    file.seek(0)
    if head != b"ARROW1":
        yield from pa.ipc.open_stream(file)
        return
    reader = pa.ipc.open_file(file)
    for index in range(reader.num_record_batches):
        yield reader.get_batch(index)


def group_rows(file: BinaryIO, job_text: str) -> list[tuple[int, int]]:
    """Rows and uncompressed bytes of the text column of each Parquet row group; empty if unreadable."""
    try:
        metadata = pq.ParquetFile(file).metadata
    except _ERRORS:
        return []
    groups = []
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        columns = [group.column(column) for column in range(group.num_columns)]
        sizes = [c.total_uncompressed_size for c in columns if c.path_in_schema == job_text]
        groups.append((group.num_rows, sum(sizes) or group.total_byte_size))
    return groups


def _tops(job: Job) -> set[str]:
    """Top-level columns that text, id and url may lie in."""
    paths = (job.spec.text, job.spec.id, job.spec.url)
    return set(paths) | {path.partition(".")[0] for path in paths}


def _rows_at_once(rows: int, size: int) -> int:
    return min(4096, max(1, _BATCH_BYTES * rows // max(1, size)))


def _rows(batch: pa.RecordBatch, first: int, job: Job) -> Iterator[Record | Good]:
    good = _good(batch, first, job)
    if good:
        yield good
    else:
        yield from _one_by_one(batch, first, job)


def _good(batch: pa.RecordBatch, first: int, job: Job) -> Good | None:
    """A batch all of whose rows have a text, as columns; None where that is not sure."""
    text = _column(batch, job.spec.text)
    orig_ids, urls = _column(batch, job.spec.id), _column(batch, job.spec.url)
    if text is None or text.null_count or not len(text) or orig_ids is None or urls is None:
        return None
    if not _is_string(text.type):
        return None
    if not all(_is_string(one.type) or pa.types.is_integer(one.type) for one in (orig_ids, urls)):
        return None
    try:
        for one in (text, orig_ids, urls):
            one.validate(full=True)
        text = text.cast(pa.large_string())
    except pa.ArrowException:
        return None
    if pc.max(pc.binary_length(text)).as_py() > job.max_record_bytes:
        return None
    return Good(first, text, orig_ids, urls, pa.nulls(len(text), pa.int64()))


def _column(batch: pa.RecordBatch, path: str) -> pa.Array | None:
    """The column of this name; nulls if there is none; None if it may lie inside another."""
    index = batch.schema.get_field_index(path)
    if index >= 0:
        return batch.column(index)
    return None if "." in path else pa.nulls(batch.num_rows, pa.string())


def _one_by_one(batch: pa.RecordBatch, first: int, job: Job) -> Iterator[Record]:
    spec = job.spec
    if batch.num_columns == 0:
        yield from (failed(first + row, "no_text") for row in range(batch.num_rows))
        return
    for number, row in enumerate(_values(batch), first):
        text = look_up(row, spec.text)
        if isinstance(text, bytes):
            try:
                text = text.decode()
            except UnicodeDecodeError:
                yield failed(number, "bad_encoding", text)
                continue
        if not isinstance(text, str):
            yield failed(number, "no_text" if text is None else "bad_type", str(text))
        elif 4 * len(text) > job.max_record_bytes and len(text.encode()) > job.max_record_bytes:
            yield failed(number, "too_long", text)
        else:
            yield Record(number, text, label(look_up(row, spec.id)), label(look_up(row, spec.url)))


def _values(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Rows as dictionaries; where a column of strings is not all UTF-8, its values stay bytes."""
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except UnicodeDecodeError:
        columns = {
            name: column.cast(pa.large_binary()) if _is_string(column.type) else column
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        }
        rows = pa.RecordBatch.from_pydict(columns).to_pylist()
    return rows


def _is_string(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))
