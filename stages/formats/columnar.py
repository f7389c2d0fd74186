"""Batches of columns become records; and how much a columnar file may expand to.

`parquet.py` and `arrow.py` read the files. Batches of good rows stay Arrow; others are looked at row by row.
A dictionary can stand for gigabytes in a few bytes: batches are cut by what their rows hold when written out,
and a row group (Parquet) or record batch (Arrow) has a budget.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stages.formats.lines import label
from stages.formats.metadata import column as fitting
from stages.formats.metadata import every_path, has_value, look_up, paths
from stages.formats.rows import Good, Job, Record, failed
from stages.formats.streams import SLACK

ERRORS: Final = (pa.ArrowException, OSError, ValueError, KeyError, MemoryError)
"""What reading a broken file may raise."""

BATCH_BYTES: Final = 4 << 20
"""Bytes of a batch, about."""

_BATCH_ROWS: Final = 4096
_ROW_BYTES: Final = 64
"""What a row without text counts: about what it takes in the store."""


def allowed(job: Job, packed: int, rows: int, of_rows: int) -> int:
    """What a group of rows may hold, written out: `max_ratio` for each byte it takes in the file, and its share of the slack.

    A function of the group and of the file alone, so that it is the same however the file is cut.

    Args:
        job: the reader's job.
        packed: bytes of the group in the file.
        rows: rows of the group.
        of_rows: rows of the file.
    """
    return job.max_ratio * packed + SLACK * rows // max(1, of_rows)


def wanted(job: Job, names: list[str]) -> list[str]:
    """The top-level columns that text, id, url and metadata may lie in."""
    chosen = tops({*_own(job), *every_path(job.metadata)})
    return [name for name in names if name in chosen]


def _own(job: Job) -> set[str]:
    return {job.spec.text, job.spec.id, job.spec.url}


def tops(paths: Iterable[str]) -> set[str]:
    """Names of top-level columns that paths may mean: `a.b` is a column of this name, or lies inside `a`."""
    return {name for path in paths for name in (path, path.partition(".")[0])}


def no_text(job: Job, names: list[str]) -> str | None:
    """What to say of a file without the text's column; None if it has it."""
    path = job.spec.text
    if path in names or path.partition(".")[0] in names:
        return None
    return f"no column {path}, but {', '.join(names)}"


def rows_at_once(rows: int, size: int) -> int:
    """Rows of a batch, if `rows` of them take `size` bytes."""
    return min(_BATCH_ROWS, max(1, BATCH_BYTES * rows // max(1, size)))


def lost(first: int, rows: int, reason: str, detail: str, limit: int) -> Iterator[Record]:
    """A bad record for each row of a stretch that cannot be read; one for all where they are too many to be true."""
    if rows * _ROW_BYTES > limit:
        yield failed(first, "bomb", f"{rows} rows; {detail}")
        return
    for number in range(first, first + rows):
        yield failed(number, reason, detail)


def records(batch: pa.RecordBatch, first: int, job: Job, limit: int) -> Generator[Record | Good, None, int]:
    """The rows of a batch in pieces of bounded size.

    Args:
        batch: columns as `wanted` says.
        first: number of its first row.
        job: the reader's job.
        limit: bytes that they may hold, 64 a row besides the text; what lies beyond is one `bomb`.

    Returns:
        What is left of the limit; negative if it was not enough.
    """
    for begin in range(0, batch.num_rows, _BATCH_ROWS):
        piece = batch.slice(begin, _BATCH_ROWS)
        ends = np.cumsum(_sizes(piece))
        at = 0
        while at < piece.num_rows:
            before = int(ends[at - 1]) if at else 0
            if int(ends[at]) > limit:
                lost_rows = batch.num_rows - begin - at
                yield failed(first + begin + at, "bomb", f"{lost_rows} rows, more than max_ratio allows")
                return -1
            end = max(at + 1, int(np.searchsorted(ends, min(before + BATCH_BYTES, limit), "right")))
            yield from _rows(piece.slice(at, end - at), first + begin + at, job)
            at = end
        limit -= int(ends[-1])
    return limit


def _sizes(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Bytes of each row, written out."""
    total = np.full(batch.num_rows, _ROW_BYTES, np.int64)
    for column in batch.columns:
        total += _widths(column)
    return total


def _widths(column: pa.Array) -> npt.NDArray[np.int64]:
    """Bytes of each value of a column, dictionaries looked up; a mean where the type is not text."""
    kind = column.type
    if pa.types.is_struct(kind):
        total = np.zeros(len(column), np.int64)
        for child in column.flatten():
            total += _widths(child)
        return total
    if pa.types.is_run_end_encoded(kind):
        return np.full(len(column), max(_widths(column.values), default=0), np.int64)
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):  # 16 bytes each, the length in front
        views = np.frombuffer(column.buffers()[1], np.int32)[::4][column.offset : column.offset + len(column)]
        return np.maximum(views.astype(np.int64), 0)
    if pa.types.is_dictionary(kind):
        found = pa.array(_widths(column.dictionary)).take(column.indices)
    elif is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        found = pc.binary_length(column)
    else:
        return np.full(len(column), column.nbytes // max(1, len(column)), np.int64)
    lengths: npt.NDArray[np.int64] = pc.fill_null(found, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return lengths


def _rows(batch: pa.RecordBatch, first: int, job: Job) -> Iterator[Record | Good]:
    """The rows of a piece; what is read for metadata alone is kept away from text, id and url."""
    described: list[list[Any]] = []
    if job.metadata:
        described, own = _metadata(batch, job), tops(_own(job))
        batch = batch.select([place for place, name in enumerate(batch.schema.names) if name in own])
    good = _good(batch, first, job)
    if good:
        yield good._replace(metadata=described)
    elif described:
        for record, values in zip(_one_by_one(batch, first, job), zip(*described, strict=True), strict=True):
            yield record if record.reason else record._replace(metadata=values)
    else:
        yield from _one_by_one(batch, first, job)


def _metadata(batch: pa.RecordBatch, job: Job) -> list[list[Any]]:
    """The metadata of the rows, a list a field."""
    found = []
    for name, field in job.metadata.items():
        columns = [column for path in paths(name, field) if (column := _inside(batch, path)) is not None]
        given = _plain(columns[0]) if columns else [None] * batch.num_rows
        for column in columns[1:]:
            others = _plain(column)
            given = [one if has_value(one) else other for one, other in zip(given, others, strict=True)]
        found.append(fitting(given, name, field.type, job.tallies))
    return found


def _inside(table: pa.RecordBatch | pa.StructArray, path: str) -> pa.Array | None:
    """The column of this name; `a.b` is the column `a.b`, else the field `b` of the struct `a`. None if absent."""
    names = [field.name for field in (table.schema if isinstance(table, pa.RecordBatch) else table.type)]
    if path in names:
        place = names.index(path)
        return table.column(place) if isinstance(table, pa.RecordBatch) else pc.struct_field(table, place)
    first, dot, rest = path.partition(".")
    inner = _inside(table, first) if dot and first in names else None
    return _inside(inner, rest) if inner is not None and pa.types.is_struct(inner.type) else None


def _plain(column: pa.Array) -> list[Any]:
    """The values of a column; times as text, and `...` for what Python has no value for."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_nested(kind):
        return [... if there else None for there in column.is_valid().to_pylist()]
    try:
        if pa.types.is_timestamp(kind):  # as text, because Python's times know no nanoseconds
            micro = column.cast(pa.timestamp("us", kind.tz), safe=kind.unit != "ns").view(pa.timestamp("us"))
            column = pc.binary_join_element_wise(micro.cast(pa.string()), "Z", "")
        found: list[Any] = column.to_pylist()
    except ERRORS:  # no UTF-8, or a year beyond the calendar: it costs its own row alone
        return [...] if len(column) == 1 else [_plain(column.slice(n, 1))[0] for n in range(len(column))]
    return found


def _good(batch: pa.RecordBatch, first: int, job: Job) -> Good | None:
    """A batch all of whose rows have a text, as columns; None where that is not sure."""
    text = _column(batch, job.spec.text)
    orig_ids, urls = _column(batch, job.spec.id), _column(batch, job.spec.url)
    if text is None or text.null_count or not len(text) or orig_ids is None or urls is None:
        return None
    if not is_string(text.type):
        return None
    if not all(is_string(one.type) or pa.types.is_integer(one.type) for one in (orig_ids, urls)):
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
    if index < 0:
        return None if "." in path else pa.nulls(batch.num_rows, pa.string())
    column = batch.column(index)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _one_by_one(batch: pa.RecordBatch, first: int, job: Job) -> Iterator[Record]:
    spec = job.spec
    for number, row in enumerate(_values(batch), first):
        if row is None:
            yield failed(number, "bad_encoding")
            continue
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


def _values(batch: pa.RecordBatch) -> list[dict[str, Any] | None]:
    """Rows as dictionaries; where strings are not all UTF-8 they stay bytes; None where that is not enough."""
    try:
        rows: list[dict[str, Any] | None] = batch.to_pylist()
    except UnicodeDecodeError:
        raw = pa.RecordBatch.from_arrays([_bytes(column) for column in batch.columns], batch.schema.names)
        return [_value(raw, row) for row in range(raw.num_rows)]
    return rows


def _value(batch: pa.RecordBatch, row: int) -> dict[str, Any] | None:
    try:
        value: dict[str, Any] = batch.slice(row, 1).to_pylist()[0]
    except UnicodeDecodeError:  # in a list of strings, say
        return None
    return value


def _bytes(column: pa.Array) -> pa.Array:
    """A column with strings as bytes, also inside of structs and dictionaries."""
    kind = column.type
    if is_string(kind):
        return column.cast(pa.large_binary())
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(column.indices, _bytes(column.dictionary))
    if pa.types.is_struct(kind):
        children = [_bytes(child) for child in column.flatten()]
        names = [kind.field(index).name for index in range(kind.num_fields)]
        return pa.StructArray.from_arrays(children, names, mask=column.is_null())
    return column


def is_string(kind: pa.DataType) -> bool:
    """Whether values of this type are strings."""
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))
