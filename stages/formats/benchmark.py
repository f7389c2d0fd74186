"""Records of a benchmark or labelled file, strict: what decontamination must not miss may not be skipped.

Reads JSON Lines, a JSON array, CSV, TSV, Parquet, Arrow and plain text, compressed or not. Unlike the readers
of sources it raises at the first record that is broken, holds the file in memory, and hands over whole records.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from stages.formats.encodings import decode
from stages.formats.spec import Format, kind_of_name
from stages.formats.streams import Damage, blocks, open_regular

_RATIO: Final = 1000


class BenchmarkFileError(ValueError):
    """A benchmark file cannot be read whole; the message names file, record and what was expected."""


def records(path: Path, format_: Format | None = None) -> Iterator[dict[str, Any]]:
    """The records of a benchmark file, in order, as dictionaries.

    Args:
        path: the file.
        format_: `jsonl`, `csv`, `tsv`, `parquet`, `arrow` or `txt` (a record a line, its field `text`); by default what the extension says.

    Raises:
        BenchmarkFileError: the file or one of its records is broken.
        OSError: the file cannot be opened.
    """
    kind = format_ or kind_of_name(path.name).format
    with open_regular(path) as file:
        if kind in {"parquet", "arrow"}:
            yield from _columnar(file, path, kind)
        elif kind == "jsonl":
            yield from _json(_text(file, path), path)
        elif kind in {"csv", "tsv"}:
            yield from _delimited(_text(file, path), path, "," if kind == "csv" else "\t")
        elif kind == "txt":
            yield from ({"text": line} for line in _text(file, path).split("\n") if line.strip())
        elif kind is not None:
            raise BenchmarkFileError(
                f"{path}: expected items with fields, which .{kind} files have not; convert it to "
                ".jsonl, .csv, .tsv, .parquet, .arrow, or .txt with an item a line"
            )
        else:
            raise BenchmarkFileError(
                f"{path}: the name does not tell the format; expected .jsonl, .json, "
                ".csv, .tsv, .txt, .parquet or .arrow, each but the last two also with .gz, .zst, .bz2 or .xz"
            )


def _text(file: BinaryIO, path: Path) -> str:
    parts = []
    for block in blocks(file, _RATIO):
        if isinstance(block, Damage):
            raise BenchmarkFileError(f"{path}: {block.detail} (byte {block.offset}); fetch the file again")
        parts.append(block)
    found = decode(b"".join(parts))
    if found is None or found.replaced:
        raise BenchmarkFileError(f"{path}: not text in any encoding known here; convert it to UTF-8")
    return found.text


def _json(text: str, path: Path) -> Iterator[dict[str, Any]]:
    """Lines, or the one array that the file is."""
    if text.lstrip().startswith("["):
        for index, value in enumerate(_value(text, f"{path}")):
            yield _object(value, f"{path}, item {index}")
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _object(_value(line, f"{path}, line {number}"), f"{path}, line {number}")


def _value(text: str, where: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BenchmarkFileError(
            f"{where}: not JSON: {error}; expected an object a line, or one array of objects"
        ) from error


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BenchmarkFileError(f"{where}: expected an object with fields, found {type(value).__name__}")
    return value


def _delimited(text: str, path: Path, delimiter: str) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(len(text) + 1)  # the parser's own is 128 kB, less than a document may have
    parsed = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in parsed:
            if None in row or None in row.values():
                raise BenchmarkFileError(
                    f"{path}, line {parsed.line_num}: the row has not as many fields as the header"
                )
            yield dict(row)
    except csv.Error as error:
        raise BenchmarkFileError(f"{path}, behind line {parsed.line_num}: {error}") from error


def _columnar(file: BinaryIO, path: Path, kind: str) -> Iterator[dict[str, Any]]:
    try:
        if kind == "parquet":
            table = pq.read_table(file, use_threads=False)
        else:
            head = file.read(6)
            file.seek(0)
            table = (pa.ipc.open_file if head == b"ARROW1" else pa.ipc.open_stream)(file).read_all()
    except (pa.ArrowException, OSError) as error:
        raise BenchmarkFileError(f"{path}: not a whole {kind} file: {error}") from error
    for batch in table.to_batches(1024):
        yield from batch.to_pylist()
