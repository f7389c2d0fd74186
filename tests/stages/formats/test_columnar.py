"""Parquet and Arrow IPC: rows, damage, and files that expand without end."""

from __future__ import annotations

import io
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.formats.arrow import read_arrow
from stages.formats.discover import discover, examine
from stages.formats.rows import Job
from stages.formats.spec import SourceSpec
from stages.load import Load

LoadFile = Callable[..., Any]


def parquet(table: pa.Table, **options: Any) -> bytes:
    """A Parquet file."""
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def arrow(table: pa.Table, *, stream: bool, batch: int = 2, **options: Any) -> bytes:
    """An Arrow IPC file or stream of batches of two rows."""
    out = io.BytesIO()
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(out, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=batch)
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
def test_rows_are_records(load_file: LoadFile, name: str, content: bytes) -> None:
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
def test_any_column_of_strings_is_text(load_file: LoadFile, kind: pa.DataType) -> None:
    """Bytes too, if they are UTF-8."""
    table = pa.table({"text": pa.array(["é"], kind)})
    assert load_file("a.arrow", arrow(table, stream=False)).texts == ["é"]


def test_dictionary_columns_are_text(load_file: LoadFile) -> None:
    """As written by other tools."""
    table = pa.table({"text": pa.array(["a", "b", "a"]).dictionary_encode()})
    assert load_file("a.parquet", parquet(table)).texts == ["a", "b", "a"]


def test_strings_that_are_no_utf8_cost_themselves(load_file: LoadFile) -> None:
    """Parquet does not check them."""
    raw = pa.array([b"good", b"\xff\xfe\xfd", b"too"], pa.binary()).view(pa.string())
    found = load_file("a.parquet", parquet(pa.table({"text": raw})))
    assert found.texts == ["good", None, "too"]
    assert found.reasons == [None, "bad_encoding", None]


def test_nested_strings_that_are_no_utf8_cost_themselves(load_file: LoadFile) -> None:
    """Text, and what is not text but lies beside it; a broken address is repaired, not fatal."""
    raw = pa.array([b"good", b"\xff\xfe\xfd", b"too"], pa.binary()).view(pa.string())
    nested = pa.StructArray.from_arrays([raw, raw], ["text", "url"])
    found = load_file("a.parquet", parquet(pa.table({"meta": nested})), text="meta.text")
    assert found.reasons == [None, "bad_encoding", None]
    beside = pa.table({"text": ["a", "b", "c"], "meta": nested})
    found = load_file("b.parquet", parquet(beside), url="meta.url")
    assert [row["url"] for row in found.rows] == ["good", "\ufffd\ufffd\ufffd", "too"]
    lists = pa.ListArray.from_arrays([0, 1, 2, 3], raw)
    found = load_file("c.parquet", parquet(pa.table({"text": ["a", "b", "c"], "id": lists})))
    assert found.reasons == [None, "bad_encoding", None]


def test_a_missing_column_quarantines_every_row(load_file: LoadFile) -> None:
    """Rather than reading another one; the excerpt says which columns there are."""
    table = pa.table({"body": ["a", "b"], "id": [1, 2]})
    for name, content in (("a.parquet", parquet(table)), ("a.arrow", arrow(table, stream=True))):
        assert [row["excerpt"] for row in load_file(name, content).rows] == [
            "no column text, but body, id"
        ] * 2
    assert load_file("a.parquet", parquet(table)).reasons == ["no_text", "no_text"]
    assert load_file("a.parquet", parquet(table.select(["body"]))).reasons == ["no_text", "no_text"]


def test_a_column_of_numbers_is_no_text(load_file: LoadFile) -> None:
    """It is named as such."""
    assert load_file("a.parquet", parquet(pa.table({"text": [1]}))).reasons == ["bad_type"]


def test_a_broken_row_group_costs_its_rows(load_file: LoadFile) -> None:
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
def test_a_file_that_is_none_is_one_bad_record(load_file: LoadFile, name: str) -> None:
    """Cut, or never what its name says."""
    for content in (b"nonsense", parquet(TABLE)[:-20], b"PAR1", b"ARROW1\0\0"):
        assert load_file(name, content).reasons == ["unreadable"]


def test_a_cell_beyond_the_limit_is_too_long(load_file: LoadFile) -> None:
    """The rows around it are good."""
    table = pa.table({"text": ["a", "é" * 60, "b"]})
    found = load_file("a.parquet", parquet(table), stage={"max_record_bytes": 100})
    assert found.reasons == [None, "too_long", None]


@pytest.mark.parametrize(("ids", "expected"), [([1, 2], "1"), ([1.5, 2.5], "1.5"), ([True, False], "True")])
def test_ids_read_alike_whether_rows_stay_columns_or_not(
    load_file: LoadFile, ids: list[Any], expected: str
) -> None:
    """A bad row in the batch changes nothing for its neighbours."""
    good = pa.table({"text": ["a", "b"], "id": ids})
    bad = pa.table({"text": ["a", None], "id": ids})
    for table in (good, bad):
        row = load_file("a.parquet", parquet(table)).rows[0]
        assert (row["text"], row["orig_id"], row["url"]) == ("a", expected, None)


def test_large_rows_are_cut_into_parts(load_file: LoadFile) -> None:
    """Also where a dictionary makes them small on disk."""
    content = parquet(pa.table({"text": ["x" * 150_000] * 8}))
    found = load_file("a.parquet", content, stage={"part_bytes": 300_000})
    assert (len(found.rows), found.parts) == (8, 4)


WIDE = "x" * 1_000_000


def repeated(rows: int, value: str = WIDE) -> pa.Table:
    """A column that says one value over and over, in a few bytes."""
    codes = pa.array(np.zeros(rows, np.int32))
    return pa.table({"text": pa.DictionaryArray.from_arrays(codes, pa.array([value]))})


def views(rows: int) -> pa.Table:
    """Many views of one long string."""
    one = pa.array([WIDE], pa.string_view())
    view = one.buffers()[1].to_pybytes()[:16]
    many = pa.Array.from_buffers(pa.string_view(), rows, [None, pa.py_buffer(view * rows), one.buffers()[2]])
    return pa.table({"text": many})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("codes.parquet", parquet(repeated(300_000))),
        ("codes.arrow", arrow(repeated(300_000), stream=False, batch=300_000)),
        ("codes.arrows", arrow(repeated(300_000), stream=True, batch=300_000)),
        ("views.arrow", arrow(views(300_000), stream=False, batch=300_000)),
    ],
)
def test_a_dictionary_bomb_is_given_up_in_bounded_memory(
    load_file: LoadFile, name: str, content: bytes
) -> None:
    """Three hundred gigabytes in a small file: what fits the budget is kept, then one bad record says so."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = load_file(name, content, format="parquet" if name.endswith("parquet") else "arrow")
    assert found.reasons[-1] == "bomb"
    assert set(found.reasons[:-1]) == {None}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 900_000


@pytest.mark.parametrize("column", ["text", "other"])
def test_rows_of_nothing_are_bounded_too(
    load_file: LoadFile, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    """A column of nulls, or none of that name, takes no space at all: every row group has a budget of rows."""
    monkeypatch.setattr("stages.formats.columnar.SLACK", 1 << 20)
    nothing = pa.table({column: pa.nulls(1_000_000, pa.string())})
    for content in (
        parquet(nothing, row_group_size=500_000),
        arrow(nothing, stream=False, batch=500_000, compression="zstd"),
    ):
        found = load_file("a.parquet" if content.startswith(b"PAR1") else "a.arrow", content)
        assert found.reasons.count("bomb") == 2
        assert set(found.reasons) <= {"bomb", "no_text"}
        assert len(found.rows) < 40_000


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_compressed_batch_is_refused_before_it_is_expanded(load_file: LoadFile, compression: str) -> None:
    """Its buffers say how much they hold; the batch behind it is read."""
    table = pa.table({"text": ["x" * 100_000_000, "", "good", "too"]})
    content = arrow(table, stream=True, compression=compression)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = load_file("a.arrow", content, stage={"max_ratio": 20})
    assert (found.reasons, found.texts[1:]) == (["bomb", None, None], ["good", "too"])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_a_compressed_dictionary_is_refused_before_it_is_expanded(load_file: LoadFile) -> None:
    """It says how much it holds, as batches do."""
    content = arrow(repeated(2, "x" * 100_000_000), stream=True, compression="zstd")
    found = load_file("a.arrow", content, stage={"max_ratio": 20, "max_record_bytes": 1 << 30})
    assert found.reasons == ["bomb"]


def test_dictionaries_that_change_are_followed(load_file: LoadFile) -> None:
    """Streams may replace a dictionary between batches, or add to it."""
    out = io.BytesIO()
    words = [["a"], ["b", "c"], ["b", "c", "d"], ["z"]]
    schema = pa.schema({"text": pa.dictionary(pa.int32(), pa.string())})
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    with pa.ipc.new_stream(out, schema, options=options) as writer:
        for own in words:
            codes = pa.array(np.arange(len(own)), pa.int32())
            writer.write_batch(pa.record_batch([pa.DictionaryArray.from_arrays(codes, own)], schema=schema))
    found = load_file("a.arrow", out.getvalue())
    assert found.texts == [word for own in words for word in own]
    assert found.reasons == [None] * 7


def test_a_parquet_page_bomb_is_refused(load_file: LoadFile) -> None:
    """By the size that the row group claims."""
    table = pa.table({"text": ["x" * 80_000_000]})
    content = parquet(table, compression="zstd", use_dictionary=False)
    found = load_file("a.parquet", content, stage={"max_ratio": 20})
    assert found.reasons == ["bomb"]


def test_texts_that_repeat_are_no_bomb(load_file: LoadFile) -> None:
    """Forms and licences do; sixty megabytes of them come whole, from any type of column."""
    text = "the same licence again " * 2600
    plain = pa.table({"text": [text, "other"] * 500})
    for content in (parquet(plain), arrow(plain, stream=False), arrow(repeated(1000, text), stream=True)):
        found = load_file("a.parquet" if content.startswith(b"PAR1") else "a.arrow", content)
        assert len(found.rows) == 1000
        assert set(found.reasons) == {None}


@pytest.mark.parametrize("stream", [False, True])
def test_arrow_is_cut_by_record_batches(tmp_path: Path, stream: bool) -> None:
    """Neighbouring batches together up to the size of a part; dictionaries travel along; row numbers go on."""
    texts = [os.urandom(1000).hex() for _ in range(40)]
    table = pa.table({"text": texts, "url": pa.array([f"u{n % 3}" for n in range(40)]).dictionary_encode()})
    (tmp_path / "a.arrow").write_bytes(arrow(table, stream=stream, batch=10))
    load = Load(sources=[{"name": "s", "paths": ["a.arrow"]}], part_bytes=50_000)
    (file,) = [examine(found, "s", load.part_bytes) for found in discover(load.sources[0], tmp_path)]
    pieces = load.slices([file])
    assert [(one.start, one.stop, one.first_record) for one in pieces] == [(0, 2, 0), (2, -1, 20)]
    rows = [row for piece in pieces for part in load.read(piece) for row in part.to_pylist()]
    assert [row["text"] for row in rows] == texts
    assert [row["record"] for row in rows] == list(range(40))
    assert [row["url"] for row in rows] == [f"u{n % 3}" for n in range(40)]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_a_cut_arrow_file_keeps_its_whole_batches(
    load_file: LoadFile, stream: bool, compression: str | None
) -> None:
    """The index of a file, which lies at its end, is not needed."""
    content = arrow(TABLE, stream=stream, compression=compression)
    found = load_file("a.arrow", content[: content.rfind(b"five")] if not compression else content[:-700])
    assert found.texts[0] == "one"
    assert found.reasons[-1] == "truncated"
    assert 2 <= len(found.rows) < 6


def test_a_broken_arrow_batch_costs_its_rows(load_file: LoadFile) -> None:
    """The batches around it are read."""
    table = pa.table({"text": [f"{index:0200d}" for index in range(6)]})
    content = bytearray(arrow(table, stream=False, compression="zstd"))
    begin = content.find(
        b"\x28\xb5\x2f\xfd", content.find(b"\x28\xb5\x2f\xfd", content.find(b"\x28\xb5\x2f\xfd") + 4) + 4
    )
    content[begin + 4 : begin + 24] = b"\xff" * 20
    found = load_file("a.arrow", bytes(content))
    assert found.reasons.count("unreadable") == 2
    assert found.reasons.count(None) == 4


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_flipped_byte_makes_the_arrow_reader_raise(data: st.DataObject) -> None:
    """Headers are parsed here: any lie in them is a bad record."""
    content = bytearray(arrow(TABLE, stream=data.draw(st.booleans())))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    job = Job(SourceSpec(name="s", paths=("x",)), 1 << 20, 200)
    for found in read_arrow(io.BytesIO(bytes(content)), job, 0, -1, 0):
        assert found
