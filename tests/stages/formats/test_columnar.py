"""Parquet and Arrow IPC."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

Load = Callable[..., Any]


def parquet(table: pa.Table, **options: Any) -> bytes:
    """A Parquet file."""
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def arrow(table: pa.Table, *, stream: bool) -> bytes:
    """An Arrow IPC file or stream of batches of two rows."""
    out = io.BytesIO()
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return out.getvalue()


TABLE = pa.table(
    {
        "text": ["one", None, "", "four", "five"],
        "id": [1, 2, 3, 4, 5],
        "meta": [{"url": f"u{index}"} for index in range(5)],
        "unread": [[0.0] * 3] * 5,
    }
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.parquet", parquet(TABLE, row_group_size=2)),
        ("a.arrow", arrow(TABLE, stream=False)),
        ("a.arrow", arrow(TABLE, stream=True)),
        ("data", parquet(TABLE)),
        ("wrong.jsonl", parquet(TABLE)),
    ],
)
def test_rows_are_records(load_file: Load, name: str, content: bytes) -> None:
    """Numbered through all row groups; nested columns are reached; the first bytes win over the name."""
    found = load_file(name, content, url="meta.url")
    assert [(row["record"], row["text"], row["orig_id"], row["url"]) for row in found.rows] == [
        (0, "one", "1", "u0"),
        (1, None, None, None),
        (2, "", "3", "u2"),
        (3, "four", "4", "u3"),
        (4, "five", "5", "u4"),
    ]
    assert found.reasons == [None, "no_text", None, None, None]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.binary()])
def test_any_column_of_strings_is_text(load_file: Load, kind: pa.DataType) -> None:
    """Bytes too, if they are UTF-8."""
    table = pa.table({"text": pa.array(["é"], kind)})
    assert load_file("a.arrow", arrow(table, stream=False)).texts == ["é"]


def test_dictionary_columns_are_text(load_file: Load) -> None:
    """As written by other tools."""
    table = pa.table({"text": pa.array(["a", "b", "a"]).dictionary_encode()})
    assert load_file("a.parquet", parquet(table)).texts == ["a", "b", "a"]


def test_strings_that_are_no_utf8_cost_themselves(load_file: Load) -> None:
    """Parquet does not check them."""
    raw = pa.array([b"good", b"\xff\xfe\xfd", b"too"], pa.binary()).view(pa.string())
    found = load_file("a.parquet", parquet(pa.table({"text": raw})))
    assert found.texts == ["good", None, "too"]
    assert found.reasons == [None, "bad_encoding", None]


def test_a_missing_column_quarantines_every_row(load_file: Load) -> None:
    """Rather than reading another one."""
    table = pa.table({"body": ["a", "b"], "id": [1, 2]})
    assert load_file("a.parquet", parquet(table)).reasons == ["no_text", "no_text"]
    assert load_file("a.parquet", parquet(table.select(["body"]))).reasons == ["no_text", "no_text"]


def test_a_column_of_numbers_is_no_text(load_file: Load) -> None:
    """It is named as such."""
    assert load_file("a.parquet", parquet(pa.table({"text": [1]}))).reasons == ["bad_type"]


def test_a_broken_row_group_costs_its_rows(load_file: Load) -> None:
    """The groups before and behind it are read."""
    table = pa.table({"text": [f"{index:0200d}" for index in range(30)]})
    content = bytearray(parquet(table, row_group_size=10, compression="zstd", use_dictionary=False))
    middle = pq.ParquetFile(io.BytesIO(bytes(content))).metadata.row_group(1).column(0)
    begin = middle.data_page_offset
    content[begin : begin + middle.total_compressed_size] = b"\xff" * middle.total_compressed_size
    found = load_file("a.parquet", bytes(content))
    assert found.reasons == [None] * 10 + ["unreadable"] * 10 + [None] * 10
    assert [row["record"] for row in found.rows] == list(range(30))


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_a_file_that_is_none_is_one_bad_record(load_file: Load, name: str) -> None:
    """Cut, or never what its name says."""
    for content in (b"nonsense", parquet(TABLE)[:-20], b"PAR1", b"ARROW1\0\0"):
        assert load_file(name, content).reasons == ["unreadable"]


def test_a_cell_beyond_the_limit_is_too_long(load_file: Load) -> None:
    """The rows around it are good."""
    table = pa.table({"text": ["a", "é" * 60, "b"]})
    found = load_file("a.parquet", parquet(table), stage={"max_record_bytes": 100})
    assert found.reasons == [None, "too_long", None]


@pytest.mark.parametrize(("ids", "expected"), [([1, 2], "1"), ([1.5, 2.5], "1.5"), ([True, False], "True")])
def test_ids_read_alike_whether_rows_stay_columns_or_not(
    load_file: Load, ids: list[Any], expected: str
) -> None:
    """A bad row in the batch changes nothing for its neighbours."""
    good = pa.table({"text": ["a", "b"], "id": ids})
    bad = pa.table({"text": ["a", None], "id": ids})
    for table in (good, bad):
        row = load_file("a.parquet", parquet(table)).rows[0]
        assert (row["text"], row["orig_id"], row["url"]) == ("a", expected, None)


def test_large_rows_are_cut_into_parts(load_file: Load) -> None:
    """Also where a dictionary makes them small on disk."""
    content = parquet(pa.table({"text": ["x" * 150_000] * 8}))
    found = load_file("a.parquet", content, stage={"part_bytes": 300_000})
    assert (len(found.rows), found.parts) == (8, 4)
