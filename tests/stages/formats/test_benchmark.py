"""Benchmark files, read strictly."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.formats.benchmark import BenchmarkFileError, records
from stages.formats.streams import zstd

ITEMS: list[dict[str, Any]] = [{"question": "1+1?", "answer": "2"}, {"question": "中", "answer": "x,\ny"}]
LINES = '{"question": "1+1?", "answer": "2"}\n\n{"question": "中", "answer": "x,\\ny"}\n'
CSV = 'question,answer\r\n1+1?,2\r\n中,"x,\ny"\r\n'


def parquet() -> bytes:
    """The items as Parquet."""
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ITEMS), out)
    return out.getvalue()


def arrow() -> bytes:
    """The items as an Arrow stream."""
    out = io.BytesIO()
    table = pa.Table.from_pylist(ITEMS)
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", LINES.encode()),
        ("a.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)),
        ("a.jsonl.zst", zstd.compress(LINES.encode())),
        ("a.json", b"[" + LINES.replace("\n\n", ",").encode() + b"]"),
        ("a.jsonl", LINES.encode("utf-16")),
        ("a.csv", CSV.encode()),
        ("a.csv", CSV.encode("utf-8-sig")),
        ("a.tsv", CSV.replace("?,", "?\t").replace("n,", "n\t").replace("中,", "中\t").encode()),
        ("a.parquet", parquet()),
        ("a.arrow", arrow()),
    ],
)
def test_records_are_read_in_order(tmp_path: Path, name: str, content: bytes) -> None:
    """Whatever the format."""
    (tmp_path / name).write_bytes(content)
    assert list(records(tmp_path / name)) == ITEMS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"q": 1}\n{"q": \n', r"a\.jsonl, line 2: not JSON"),
        ("a.jsonl", b'{"q": 1}\n3\n', r"a\.jsonl, line 2: expected an object"),
        ("a.json", b"[1]", r"a\.json, item 0: expected an object"),
        ("a.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)[:-9], r"a\.jsonl\.gz: .*fetch the file again"),
        ("a.jsonl", bytes(range(256)) * 4, "convert it to UTF-8"),
        ("a.csv", b"a,b\n1\n", r"a\.csv, line 2: the row has not as many fields"),
        ("a.csv", b'a,b\n1,"x"y\n', r"a\.csv, behind line 1: "),
        ("a.parquet", b"PAR1", "not a whole parquet file"),
        ("a.bin", b"", r"expected \.jsonl"),
        ("a.html", b"<html>", r"a\.html: .* items with fields, which \.html files have not"),
    ],
)
def test_the_first_broken_record_is_an_error(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """It says which file and record, and what was expected."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BenchmarkFileError, match=message):
        list(records(tmp_path / name))


def test_of_plain_text_every_line_is_an_item(tmp_path: Path) -> None:
    """Its field is `text`; empty lines are none."""
    (tmp_path / "a.txt").write_text("1+1?\n\n中\n", encoding="utf-8")
    assert list(records(tmp_path / "a.txt")) == [{"text": "1+1?"}, {"text": "中"}]


def test_a_format_may_be_named(tmp_path: Path) -> None:
    """For files whose name says nothing."""
    (tmp_path / "items").write_text(LINES, encoding="utf-8")
    assert list(records(tmp_path / "items", "jsonl")) == ITEMS


def test_fields_may_be_as_long_as_the_file(tmp_path: Path) -> None:
    """Python's parser stops at 128 kB, or at what someone set before."""
    csv.field_size_limit(10)
    long = "word " * 40_000
    (tmp_path / "a.csv").write_text(f'text,label\n"{long}",1\n', encoding="utf-8")
    assert list(records(tmp_path / "a.csv")) == [{"text": long, "label": "1"}]
