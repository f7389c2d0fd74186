"""CSV and TSV."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.formats.delimited import read_delimited
from stages.formats.rows import Job
from stages.formats.spec import SourceSpec

Load = Callable[..., Any]


def test_rows_below_the_header_are_records(load_file: Load) -> None:
    """Quoted fields may hold commas, quotes and line feeds."""
    found = load_file("a.csv", b'id,text\n1,"one, ""two""\nthree"\n\n2,four\n')
    assert [(row["record"], row["orig_id"], row["text"]) for row in found.rows] == [
        (0, "1", 'one, "two"\nthree'),
        (1, "2", "four"),
    ]


def test_the_header_is_the_first_line_that_is_not_blank(load_file: Load) -> None:
    """Spreadsheets leave empty lines at the top."""
    assert load_file("a.csv", b"\n\ntext\na\n").texts == ["a"]


def test_tabs_separate_tsv(load_file: Load) -> None:
    """Also compressed."""
    assert load_file("a.tsv.gz", gzip.compress(b"text\turl\na,b\thttp://x\n")).rows[0]["url"] == "http://x"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "cp932"])
def test_the_encoding_is_detected(load_file: Load, encoding: str) -> None:
    """From the beginning of the file."""
    text = "きのうは雨が降っていました。" if encoding == "cp932" else "今天天气很好，我们去公园散步。"
    assert load_file("a.csv", f"id,text\n1,{text}\n".encode(encoding)).texts == [text]


@pytest.mark.parametrize(
    ("row", "reason"),
    [(b"1,a,b", "bad_csv"), (b"1", "no_text"), (b'1,"a"b', "bad_csv"), (b"1," + b"x" * 300, "too_long")],
)
def test_a_bad_row_costs_itself(load_file: Load, row: bytes, reason: str) -> None:
    """The rows around it are good."""
    found = load_file("a.csv", b"id,text\n0,before\n" + row + b"\n2,after\n", stage={"max_record_bytes": 200})
    assert found.reasons == [None, reason, None]
    assert found.texts == ["before", None, "after"]


def test_bytes_that_are_not_in_the_encoding_cost_their_row(load_file: Load) -> None:
    """The rows around it are good."""
    found = load_file("a.csv", b"text\ngood\nbad \xe9\ngood\n", encoding="utf-8")
    assert found.reasons == [None, "bad_encoding", None]


def test_a_missing_column_quarantines_every_row(load_file: Load) -> None:
    """Rather than reading another one."""
    assert load_file("a.csv", b"body\na\nb\n").reasons == ["no_text", "no_text"]


def test_an_open_quote_costs_what_it_swallows(load_file: Load) -> None:
    """At most `max_record_bytes` are held."""
    found = load_file("a.csv", b'text\na\n"open\n' + b"b\n" * 1000, stage={"max_record_bytes": 500})
    assert found.reasons[:2] == [None, "too_long"]
    assert found.texts[-1] == "b"


@pytest.mark.parametrize("quote", [b"", b'"'])
def test_a_line_beyond_the_limit_is_no_row_of_its_beginning(load_file: Load, quote: bytes) -> None:
    """However long: a line is never held whole, and what was read of it is not taken for all of it."""
    long = quote + b"x" * (3 << 20) + quote
    found = load_file("a.csv", b"id,text\n1," + long + b"\n2,after\n", stage={"max_record_bytes": 2 << 20})
    assert [(row["record"], row["text"], row["reason"]) for row in found.rows] == [
        (0, None, "too_long"),
        (1, "after", None),
    ]


def test_a_limit_beyond_all_numbers_of_the_parser_is_none(load_file: Load) -> None:
    """Python's parser takes no limit above 2**63."""
    assert load_file("a.csv", b"text\na\n", stage={"max_record_bytes": 10**19}).texts == ["a"]


def test_a_truncated_file_keeps_its_complete_rows(load_file: Load) -> None:
    """And says so."""
    packed = gzip.compress(b"text\n" + b"".join(b"%d\n" % (i * 7919) for i in range(9000)))
    found = load_file("a.csv.gz", packed[: len(packed) // 2])
    assert found.reasons[-1] == "truncated"
    assert found.texts[:2] == ["0", "7919"]


@given(st.lists(st.text('ab",\n\ré ', max_size=6), min_size=1, max_size=6), st.integers(1, 9))
def test_what_the_csv_module_writes_is_read_back(texts: list[str], block: int) -> None:
    """Whatever the blocks."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([["text"], *([text] for text in texts)])
    content = out.getvalue().encode()
    job = Job(SourceSpec(name="s", paths=("x",)), 1 << 20, 200)
    blocks = (content[i : i + block] for i in range(0, len(content), block))
    assert [record.text for record in read_delimited(blocks, job, ",")] == texts
