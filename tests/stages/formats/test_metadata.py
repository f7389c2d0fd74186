"""Metadata: the fields of records that a recipe keeps, from every format, as columns of the types it states."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from stages.formats.metadata import LONGEST, fitted
from stages.load import Load
from stages.naming import stage_class, stage_names
from tests.stages.formats.conftest import load_all

LoadFile = Callable[..., Any]

FIELDS = {
    "day": {"field": "date", "type": "date"},
    "stars": "integer",
    "topic": {"field": ["meta.topic", "category"]},
    "weight": "number",
    "fresh": "boolean",
}
KEPT = {"day": "2024-05-01T00:00:00Z", "stars": 3, "topic": "science", "weight": 0.5, "fresh": True}
NONE: dict[str, Any] = dict.fromkeys(KEPT)
GOOD = {
    "text": "a",
    "date": "2024-05-01",
    "stars": 3,
    "meta": {"topic": "science"},
    "weight": 0.5,
    "fresh": True,
}
BAD = {"text": "b", "date": "May", "stars": 1.5, "meta": {"topic": ["x"]}, "weight": "much", "fresh": 2}
BARE = {"text": "c", "category": "science", "stars": None}
UNFIT = {f"unfit.{name}": 1 for name in KEPT}


def kept(found: Any) -> list[dict[str, Any]]:
    """The metadata of every row."""
    return [{name: row[name] for name in KEPT} for row in found.rows]


CASES = json.loads((Path(__file__).parent.parent / "cases" / "metadata.json").read_text())


@pytest.mark.parametrize(("kind", "value", "expected"), CASES["fits"])
def test_a_value_that_fits_is_taken(kind: Any, value: Any, expected: Any) -> None:
    """Text that reads as a number, a truth or a date is one, because CSV has nothing but text."""
    tallies: Counter[str] = Counter()
    found = fitted(value, "x", kind, tallies)
    assert (found, type(found), tallies) == (expected, type(expected), {})


@pytest.mark.parametrize(("kind", "value"), CASES["misfits"])
def test_a_value_that_does_not_fit_is_null_and_counted(kind: Any, value: Any) -> None:
    """Never an error: one odd record may not stop a corpus."""
    tallies: Counter[str] = Counter()
    assert fitted(value, "x", kind, tallies) is None
    assert tallies == {"unfit.x": 1}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("string", datetime(2024, 5, 1, 12, tzinfo=UTC), "2024-05-01T12:00:00+00:00"),
        ("string", Decimal("1.50"), "1.50"),
        ("string", "x" * LONGEST, "x" * LONGEST),
        ("string", "x" * (LONGEST + 1), None),
        ("string", b"caf\xe9", None),
        ("number", Decimal("1.5"), 1.5),
        ("number", float("inf"), None),
        ("number", float("nan"), None),
        ("integer", b"7", 7),
        ("integer", 2**63, None),
        ("integer", Decimal("1.5"), None),
        ("date", date(2024, 5, 1), "2024-05-01T00:00:00Z"),
        ("date", datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
        ("date", ..., None),
    ],
)
def test_values_that_json_has_not(kind: Any, value: Any, expected: Any) -> None:
    """Columnar files and TOML have times, decimals and bytes."""
    assert fitted(value, "x", kind, Counter()) == expected


def test_json_lines_have_fields_in_fields(load_file: LoadFile) -> None:
    """One run of good lines, and the same lines looked at one by one, give the same."""
    lines = [json.dumps(one).encode() for one in (GOOD, BAD, BARE)]
    for content in (lines, [*lines, b"broken"]):
        found = load_file("a.jsonl", b"\n".join(content), stage={"metadata": FIELDS})
        assert kept(found)[:3] == [KEPT, NONE, {**NONE, "topic": "science"}]
        assert found.tallies == UNFIT


@pytest.mark.parametrize("kind", ["string", "number", "integer", "boolean", "date"])
def test_whole_columns_read_as_value_after_value(load_file: LoadFile, kind: Any) -> None:
    """All that fit, each with nulls among them; and with one that does not."""
    fitting = [value for of, value, _ in CASES["fits"] if of == kind]
    texts = [value for value in fitting if isinstance(value, str)]
    others = [value for value in fitting if not isinstance(value, str)]
    odd = ["", "x" * (LONGEST + 1), 2**64 - 1, 2**63, -(2**63)]
    for given in (
        fitting,
        texts,
        [None, *others],
        [None],
        *([value, *others] for value in odd),
        [*texts, odd[1]],
    ):
        lines = [json.dumps({"text": "a", "x": value}) for value in given]
        found = load_file("a.jsonl", "\n".join(lines).encode(), stage={"metadata": {"x": kind}})
        tallies: Counter[str] = Counter()
        assert [row["x"] for row in found.rows] == [fitted(value, "x", kind, tallies) for value in given]
        assert found.tallies == tallies


def test_a_record_that_cannot_be_read_has_no_metadata(load_file: LoadFile) -> None:
    """Neither values nor counts."""
    found = load_file("a.jsonl", json.dumps({**BAD, "text": None}).encode(), stage={"metadata": FIELDS})
    assert (kept(found), found.tallies) == ([NONE], {})


def test_a_lone_surrogate_is_made_whole(load_file: LoadFile) -> None:
    """As in texts: UTF-8 cannot hold it."""
    content = b'{"text": "\x01", "topic": "\\ud800"}'  # control characters send the line the slow way
    assert load_file("a.jsonl", content, stage={"metadata": {"topic": "string"}}).rows[0]["topic"] == "\ufffd"


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_columns_have_structs_and_dictionaries(load_file: LoadFile, name: str) -> None:
    """Columns of their own type, of text, of times with and without zones, and inside of structs."""
    table = pa.table(
        {
            "text": pa.array(["a", "b", "c"]),
            "date": pa.array([1_714_521_600_000_000_001, None, 2**62], pa.timestamp("ns", "Asia/Tokyo")),
            "stars": pa.array(["3", "no", None]).dictionary_encode(),
            "meta": pa.array([{"topic": "science"}, None, {"topic": None}]),
            "category": pa.array(["other", "other", None]),
            "weight": pa.array([0.5, float("nan"), None], pa.float32()),
            "fresh": pa.array([True, None, False]),
            "unread": pa.array([[1], [2], [3]]),
        }
    )
    out = io.BytesIO()
    if name == "a.parquet":
        pq.write_table(table, out)
    else:
        with pa.ipc.new_file(out, table.schema) as writer:
            writer.write_table(table)
    found = load_file(name, out.getvalue(), stage={"metadata": FIELDS})
    last = {**NONE, "day": "2116-02-20T23:53:38.427387Z", "fresh": False}
    assert kept(found) == [KEPT, {**NONE, "topic": "other"}, last]
    assert found.tallies == {"unfit.stars": 1}


def test_odd_columns_cost_no_record(load_file: LoadFile) -> None:
    """Lists, bytes that are no text, years beyond the calendar: null and counted, the texts stay."""
    table = pa.table(
        {
            "text": ["a", "b"],
            "tags": [["x"], None],
            "name": pa.array([b"caf\xe9", b"cafe"]),
            "born": pa.array([2**60, 0], pa.timestamp("ms")),
        }
    )
    out = io.BytesIO()
    pq.write_table(table, out)
    fields = {"tags": "string", "name": "string", "born": "date"}
    found = load_file("a.parquet", out.getvalue(), stage={"metadata": fields})
    assert (found.texts, found.reasons) == (["a", "b"], [None, None])
    assert [row["tags"] for row in found.rows] == [None, None]
    assert [row["name"] for row in found.rows] == [None, "cafe"]
    assert [row["born"] for row in found.rows] == [None, "1970-01-01T00:00:00Z"]
    assert found.tallies == {"unfit.tags": 1, "unfit.name": 1, "unfit.born": 1}


def test_the_first_of_several_columns_that_has_a_value_counts(load_file: LoadFile) -> None:
    """Zero is a value; nothing, not-a-number and empty text are none."""
    table = pa.table({"text": ["a"] * 4, "x": [0.0, float("nan"), None, 2.0], "y": ["7", "8", "", "9"]})
    out = io.BytesIO()
    pq.write_table(table, out)
    lines = "\n".join(json.dumps(row).replace("NaN", '""') for row in table.to_pylist())
    for name, content in (("a.parquet", out.getvalue()), ("a.jsonl", lines.encode())):
        found = load_file(name, content, stage={"metadata": {"n": {"field": ["x", "y"], "type": "number"}}})
        assert [row["n"] for row in found.rows] == [0.0, 8.0, None, 2.0]


def test_bad_rows_of_columns_leave_the_others_theirs(load_file: LoadFile) -> None:
    """A row without text is quarantined without metadata."""
    out = io.BytesIO()
    pq.write_table(pa.table({"text": ["a", None, "c"], "stars": [1, 2, 3]}), out)
    found = load_file("a.parquet", out.getvalue(), stage={"metadata": {"stars": "integer"}})
    assert [(row["reason"], row["stars"]) for row in found.rows] == [(None, 1), ("no_text", None), (None, 3)]


@pytest.mark.parametrize(("name", "mark"), [("a.csv", ","), ("a.tsv", "\t")])
def test_tables_of_text_have_columns(load_file: LoadFile, name: str, mark: str) -> None:
    """An empty cell is no value."""
    rows = [
        ["text", "date", "stars", "meta.topic", "weight", "fresh"],
        ["a", "2024-05-01", "3", "science", "0.5", "True"],
        ["b", "", "", "", "", ""],
        ["c", "May", "1.5", "science", "much", "maybe"],
    ]
    content = "\n".join(mark.join(row) for row in rows).encode()
    found = load_file(name, content, stage={"metadata": FIELDS})
    assert kept(found) == [KEPT, NONE, {**NONE, "topic": "science"}]
    assert found.tallies == {name: 1 for name in UNFIT if name != "unfit.topic"}


YAML = b"""---
title: "It's: quoted"
date: 2024-05-01
stars: 3
meta: {topic: science}
weight: .5
fresh: true
none: ~
---
# Text
"""
TOML = b"""+++
title = "It's: quoted"
date = 2024-05-01
stars = 3
weight = 0.5
fresh = true
[meta]
topic = "science"
+++
# Text
"""


@pytest.mark.parametrize("content", [YAML, TOML], ids=["yaml", "toml"])
def test_front_matter_leaves_the_text(load_file: LoadFile, content: bytes) -> None:
    """Its values, nested ones too, are metadata."""
    fields = {**FIELDS, "heading": {"field": "title"}, "none": "string"}
    found = load_file("a.md", content, stage={"metadata": fields})
    assert found.texts == ["# Text\n"]
    assert kept(found) == [KEPT]
    assert (found.rows[0]["heading"], found.rows[0]["none"]) == ("It's: quoted", None)
    assert found.tallies == {}


LAUGHS = "a0: &a0 {x: y}\n" + "\n".join(
    f"a{n}: &a{n} {{'<<': [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 30)
)


@pytest.mark.parametrize(
    ("front", "stars", "broken"),
    [
        ("stars: 3\ntitle: one: two", 3, 1),
        ("stars: 3\nstars: 4", 4, 1),
        ("stars: 3\nx: " + "[" * 9000, 3, 1),
        ("stars: 3\nx: " + "y" * 20_000, 3, 1),
        ("stars: 3\n" + LAUGHS, 3, 0),
        ("stars: 3\nx: !!python/object/apply:os.system [x]", 3, 0),
        ("stars: three", None, 0),
    ],
    ids=["colon", "twice", "deep", "long", "laughs", "tag", "unfit"],
)
def test_bad_front_matter_costs_neither_text_nor_scalars(
    load_file: LoadFile, front: str, stars: int | None, broken: int
) -> None:
    """What is no YAML, too deep or too long is read line by line, and counted; nothing in it is executed."""
    found = load_file("a.md", f"---\n{front}\n---\ntext".encode(), stage={"metadata": {"stars": "integer"}})
    assert (found.texts, found.rows[0]["stars"]) == (["text"], stars)
    assert found.tallies["bad_front_matter"] == broken


def test_a_page_has_its_title(load_file: LoadFile) -> None:
    """Entities and white space undone; a page without one has none."""
    page = (
        b"<html><head><title>\n A &amp;  B</title></head><body><p>Some words of the page.</p></body></html>"
    )
    fields = {"stage": {"metadata": {"heading": {"field": "title"}}}}
    assert load_file("a.html", page, **fields).rows[0]["heading"] == "A & B"
    assert load_file("a.html", page.replace(b"title", b"tilte"), **fields).rows[0]["heading"] is None


def test_archives_have_date_type_and_header(load_file: LoadFile) -> None:
    """Of pages and of conversions; the title of a page too."""
    page = b"<html><title>T</title><body><p>Some words of the page.</p></body></html>"
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + page
    records = []
    for kind, media, body in (("response", "application/http", http), ("conversion", "text/plain", b"words")):
        head = (
            f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Date: 2024-05-01T10:00:00Z\r\nContent-Type: {media}\r\n"
            f"WARC-Identified-Content-Language: eng\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        records.append(gzip.compress(head.encode() + body + b"\r\n\r\n"))
    fields = {
        "date": "date",
        "content_type": "string",
        "tongue": {"field": "warc-identified-content-language"},
        "heading": {"field": "title"},
    }
    rows = load_file("a.warc.gz", b"".join(records), stage={"metadata": fields}).rows
    assert [[row[name] for name in fields] for row in rows] == [
        ["2024-05-01T10:00:00Z", "text/html", "eng", "T"],
        ["2024-05-01T10:00:00Z", "text/plain", "eng", None],
    ]


def test_an_arc_record_has_a_date(load_file: LoadFile) -> None:
    """Fourteen digits in its line."""
    page = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html><body><p>Some words.</p></body></html>"
    content = b"http://a/ 1.2.3.4 20010203040506 text/html %d\n%s\n" % (len(page), page)
    found = load_file("a.arc", content, stage={"metadata": {"date": "date"}})
    assert found.rows[0]["date"] == "2001-02-03T04:05:06Z"


def test_text_has_no_metadata(load_file: LoadFile) -> None:
    """The columns are there, and null."""
    assert kept(load_file("a.txt", b"words", stage={"metadata": FIELDS})) == [NONE]


def test_the_cut_changes_no_metadata(tmp_path: Path) -> None:
    """Ranges of a file give what the file gives."""
    draw = random.Random(3)
    lines = [json.dumps({**GOOD, "text": "x" * draw.randrange(90), "stars": n}) for n in range(200)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    found = [
        load_all(Load(sources=[{"name": "s", "paths": ["*"]}], metadata=FIELDS, part_bytes=size), tmp_path)
        for size in (10**6, 2_000)
    ]
    assert found[0].rows == found[1].rows
    assert [row["stars"] for row in found[0].rows] == list(range(200))
    assert found[1].parts > 5


def test_without_the_key_nothing_is_added(load_file: LoadFile) -> None:
    """Columns, identity and parts are as they were."""
    load = Load(sources=[{"name": "s", "paths": ["*"]}])
    assert load.written == load.writes
    (row,) = load_file("a.jsonl", json.dumps(GOOD).encode()).rows
    assert set(row) == {*load.writes, "reason"}


def test_the_key_is_part_of_what_is_read() -> None:
    """Another type makes load read again; another order of the same fields does not."""
    from stages.base import Slice

    def identity(**metadata: Any) -> Any:
        load = Load(sources=[{"name": "s", "paths": ["*"]}], metadata=metadata)
        return load.slice_identity(Slice("s-0", "s", ()))

    assert identity(a="string", b="date") == identity(b="date", a="string")
    assert identity(a="string") != identity(a="date")
    assert "metadata" not in identity()


def test_names_of_columns_are_taken() -> None:
    """Every stage's, the pipeline's and the documents table's."""
    from pipeline.tabulate import FIXED

    names = {name for word in stage_names() for name in stage_class(word).writes}
    names |= {name for name, _, _ in FIXED} | {"row", "reason", "alive", "part", "bucket"}
    for name in names:
        load = Load(sources=[{"name": "s", "paths": ["*"]}], metadata={name: "string"})
        ((place, message),) = load.check({})
        assert place == ("metadata", name)
        assert f"{name!r} is a column of" in message
    assert Load(sources=[{"name": "s", "paths": ["*"]}], metadata={"stars": "integer"}).check({}) == []


@pytest.mark.parametrize(
    "given", [{"Date": "string"}, {"a": "text"}, {"a": {"field": []}}, {"a": {"of": "b"}}]
)
def test_metadata_that_says_nothing_is_refused(given: Any) -> None:
    """Names are plain words, types are known, fields are named."""
    with pytest.raises(ValidationError):
        Load(sources=[{"name": "s", "paths": ["*"]}], metadata=given)
