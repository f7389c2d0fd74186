"""Records become Arrow tables of bounded size, each row with its doc_id and, where it failed, its reason.

Does not read files. A record is numbered by its reader; its doc_id hangs on (source, file, number) alone,
never on how the corpus is cut.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from stages.formats.metadata import MetadataField, kinds, values
from stages.formats.spec import SourceSpec

WRITES: Final[dict[str, pa.DataType]] = {
    "doc_id": pa.binary(16),
    "orig_id": pa.string(),
    "source": pa.string(),
    "file": pa.string(),
    "record": pa.int64(),
    "url": pa.string(),
    "text": pa.large_string(),
    "bytes": pa.int64(),
    "excerpt": pa.string(),
    "offset": pa.int64(),
}

MEANINGS: Final[dict[str, str]] = {
    "doc_id": "hash of source, file and record: the document's name everywhere",
    "orig_id": "the id that the data carries",
    "source": "name of the source",
    "file": "path of the file, relative to the source's root",
    "record": "position of the record in its file, from 0",
    "url": "address that the data carries",
    "text": "the text as it was read; null where the record could not be",
    "bytes": "bytes of the text in UTF-8",
    "excerpt": "how a record begins that could not be read",
    "offset": "byte of the file, decompressed, at which a record begins that could not be read",
}
"""Column -> what it holds."""

SCHEMA: Final = pa.schema([*WRITES.items(), ("reason", pa.string())])
"""The columns of every table; those of the recipe's metadata stand behind them."""

REASONS: Final[dict[str, str]] = {
    "bad_json": "The line is not JSON.",
    "deep_json": "The JSON is nested too deeply to be a document.",
    "bad_type": "The record is not an object, or its text is not a string.",
    "no_text": "The record has no text field, or it is null.",
    "bad_encoding": "The bytes are no text in the declared or any detected encoding.",
    "bad_csv": "The row is not CSV: an open quote, or more fields than columns.",
    "bad_http": "The HTTP message inside the WARC record cannot be decoded.",
    "bad_page": "The page made the extractor crash, run out of memory or take too long.",
    "too_long": "The record is longer than max_record_bytes.",
    "truncated": "The file ends inside this record.",
    "unreadable": "This stretch of the file is broken or not in the format it claims.",
    "bomb": "The compressed stream expands beyond max_ratio.",
    "outside_root": "The path leads out of the source's root.",
    "not_regular": "The path is not a regular file.",
    "unknown_format": "Neither the name nor the first bytes tell the format; name it with `format:`.",
}
"""Reason code -> what it says, for every record that cannot be read."""

_CHUNK_CHARS: Final = 1 << 20
_CHUNK_ROWS: Final = 4096
_EXCERPT: Final = 120
_UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


Strings: TypeAlias = Sequence[str | None] | pa.Array


class Record(NamedTuple):
    """One record of a file, good (reason None) or not (text None)."""

    number: int
    text: str | None
    orig_id: str | None = None
    url: str | None = None
    reason: str | None = None
    excerpt: str | None = None
    offset: int | None = None
    metadata: tuple[Any, ...] = ()
    """A value a field of the job's metadata; empty: none has a value."""


class Good(NamedTuple):
    """Neighbouring good records, numbered from `first`, column by column."""

    first: int
    texts: Strings
    orig_ids: Strings
    urls: Strings
    offsets: Sequence[int | None] | pa.Array
    metadata: Sequence[Sequence[Any]] = ()
    """A column a field of the job's metadata."""


@dataclass
class Job:
    """What a reader needs to know, and where it counts what makes no row."""

    spec: SourceSpec
    max_record_bytes: int
    max_ratio: int
    metadata: Mapping[str, MetadataField] = field(default_factory=dict)
    tallies: Counter[str] = field(default_factory=Counter)

    def described(self, fields: Mapping[str, Any], missing: Collection[str] = ()) -> tuple[Any, ...]:
        """The metadata that a record's fields hold; see `metadata.values`."""
        return values(fields, self.metadata, self.tallies, missing)


def failed(number: int, reason: str, excerpt: bytes | str = b"", offset: int | None = None) -> Record:
    """A record that cannot be read."""
    if isinstance(excerpt, bytes):
        excerpt = excerpt[: 4 * _EXCERPT].decode("utf-8", "backslashreplace")
    shown = _UNSEEN.sub(lambda found: f"\\x{ord(found[0]):02x}", excerpt[:_EXCERPT])
    return Record(number, None, reason=reason, excerpt=shown, offset=offset)


def whole_characters(text: str) -> str:
    """The text with surrogate pairs joined and lone surrogates, which UTF-8 cannot hold, as U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def tables(
    job: Job, files: Iterable[tuple[str, Iterator[Record | Good]]], part_bytes: int
) -> Iterator[pa.Table]:
    """Tables of `SCHEMA` and metadata with about `part_bytes` of UTF-8 text each; at least one, though empty.

    Counts of what made no row (blank lines, WARC requests) are the schema's metadata `tallies`, as JSON.
    """
    form = _Form(job.spec.name, kinds(job.metadata))
    batches: list[pa.RecordBatch] = []
    held = made = 0
    for name, records in files:
        for batch in _batches(form, name, records, min(part_bytes, _CHUNK_CHARS)):
            batches.append(batch)
            held += form.weight(batch)
            if held >= part_bytes:
                yield _table(form, batches, job.tallies)
                batches, held, made = [], 0, made + 1
    if batches or job.tallies or not made:
        yield _table(form, batches, job.tallies)


class _Form:
    """What the tables of a source look like."""

    def __init__(self, source: str, extra: Mapping[str, pa.DataType]) -> None:
        self.source, self.extra = source, extra
        self.schema = pa.schema([*SCHEMA, *extra.items()])
        self._texts = [name for name, kind in extra.items() if kind == pa.string()]

    def weight(self, batch: pa.RecordBatch) -> int:
        """Bytes of text, and of metadata that is text."""
        held: int = pc.sum(batch.column("bytes")).as_py() or 0
        return held + sum(pc.sum(pc.binary_length(batch.column(name))).as_py() or 0 for name in self._texts)

    def metadata(self, columns: Sequence[Sequence[Any]], rows: int) -> dict[str, pa.Array]:
        """The columns of metadata; nulls where a reader has none."""
        if not columns:
            return {name: pa.nulls(rows, kind) for name, kind in self.extra.items()}
        return {
            name: _strings(values, kind) if kind == pa.string() else pa.array(values, kind)
            for (name, kind), values in zip(self.extra.items(), columns, strict=True)
        }


def _table(form: _Form, batches: list[pa.RecordBatch], tallies: Counter[str]) -> pa.Table:
    table = pa.Table.from_batches(batches, form.schema)
    counts = json.dumps(dict(sorted(tallies.items()))).encode()
    tallies.clear()
    return table.replace_schema_metadata({b"tallies": counts})


def _batches(
    form: _Form, name: str, records: Iterator[Record | Good], chunk: int
) -> Iterator[pa.RecordBatch]:
    """Record batches of `chunk` characters or so, so that Python strings live shortly."""
    pending: list[Record] = []
    chars = 0
    for record in records:
        if isinstance(record, Good):
            if pending:
                yield _batch(form, name, pending)
                pending, chars = [], 0
            yield from _pieces(_good_batch(form, name, record), chunk)
            continue
        pending.append(record)
        chars += len(record.text or "")
        if chars >= chunk or len(pending) >= _CHUNK_ROWS:
            yield _batch(form, name, pending)
            pending, chars = [], 0
    if pending:
        yield _batch(form, name, pending)


def _pieces(batch: pa.RecordBatch, chunk: int) -> Iterator[pa.RecordBatch]:
    """The batch in pieces of about `chunk` bytes of text, if it holds more than twice that."""
    held = pc.sum(batch.column("bytes")).as_py()
    size = max(1, batch.num_rows * chunk // held) if held > 2 * chunk else batch.num_rows
    for begin in range(0, batch.num_rows, size):
        yield batch.slice(begin, size)


def _batch(form: _Form, name: str, records: list[Record]) -> pa.RecordBatch:
    numbers, texts, orig_ids, urls, reasons, excerpts, offsets, described = zip(*records, strict=True)
    columns = _columns(form.source, name, numbers, texts=texts, orig_ids=orig_ids, urls=urls, offsets=offsets)
    columns |= {"reason": pa.array(reasons, pa.string()), "excerpt": pa.array(excerpts, pa.string())}
    if any(described):
        none = (None,) * len(form.extra)
        columns |= form.metadata(list(zip(*(one or none for one in described), strict=True)), len(numbers))
    else:
        columns |= form.metadata((), len(numbers))
    return pa.record_batch([columns[field.name] for field in form.schema], schema=form.schema)


def _good_batch(form: _Form, name: str, good: Good) -> pa.RecordBatch:
    numbers = range(good.first, good.first + len(good.texts))
    columns = _columns(
        form.source,
        name,
        numbers,
        texts=good.texts,
        orig_ids=good.orig_ids,
        urls=good.urls,
        offsets=good.offsets,
    )
    columns |= form.metadata(good.metadata, len(numbers))
    columns |= dict.fromkeys(("reason", "excerpt"), pa.nulls(len(numbers), pa.string()))
    return pa.record_batch([columns[field.name] for field in form.schema], schema=form.schema)


def _columns(
    source: str,
    name: str,
    numbers: Sequence[int],
    *,
    texts: Strings,
    orig_ids: Strings,
    urls: Strings,
    offsets: Sequence[int | None] | pa.Array,
) -> dict[str, pa.Array]:
    text = _strings(texts, pa.large_string())
    return {
        "doc_id": doc_ids(source, name, numbers),
        "orig_id": _strings(orig_ids, pa.string()),
        "source": pa.repeat(source, len(numbers)),
        "file": pa.repeat(
            name.encode(errors="surrogateescape").decode(errors="backslashreplace"), len(numbers)
        ),
        "record": pa.array(numbers, pa.int64()),
        "url": _strings(urls, pa.string()),
        "text": text,
        "bytes": pc.fill_null(pc.binary_length(text), 0),
        "offset": pa.array(offsets, pa.int64()),
    }


def _strings(values: Strings, kind: pa.DataType) -> pa.Array:
    """An Arrow column; strings that UTF-8 cannot hold are made whole first (JSON may escape half a pair)."""
    if isinstance(values, pa.Array):
        return values.cast(kind)
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array([None if value is None else whole_characters(value) for value in values], kind)


def doc_ids(source: str, name: str, numbers: Sequence[int]) -> pa.Array:
    """BLAKE2b-128 of (source, file, record number), as fixed binary 16.

    The two names end with a zero byte, which neither can hold; the number is 8 bytes, little-endian.
    """
    base = hashlib.blake2b(f"{source}\0{name}\0".encode("utf-8", "surrogateescape"), digest_size=16)
    digests = []
    for number in numbers:
        one = base.copy()
        one.update(number.to_bytes(8, "little"))
        digests.append(one.digest())
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), len(digests), [None, pa.py_buffer(b"".join(digests))]
    )
