"""JSON Lines, whole and in ranges."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.formats.lines import Run, read_range, runs
from stages.formats.rows import Good, Job, Record
from stages.formats.spec import SourceSpec
from stages.formats.streams import zstd

Load = Callable[..., Any]

TWO = b'{"id": 7, "text": "one", "url": "http://a"}\n\n{"id": "x", "text": "two"}\n'


def test_a_line_is_a_record_numbered_by_its_line(load_file: Load) -> None:
    """Blank lines make no record but count."""
    found = load_file("a.jsonl", TWO)
    assert [(row["record"], row["text"], row["orig_id"], row["url"]) for row in found.rows] == [
        (0, "one", "7", "http://a"),
        (2, "two", "x", None),
    ]
    assert found.tallies["blank_lines"] == 1
    assert [row["offset"] for row in found.rows] == [0, TWO.index(b'{"id": "x"')]


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress, bz2.compress, lzma.compress])
def test_compressed_files_and_concatenated_members_read_alike(load_file: Load, pack: Any) -> None:
    """Each member may end in the middle of a line."""
    name = {gzip.compress: "gz", zstd.compress: "zst", bz2.compress: "bz2", lzma.compress: "xz"}[pack]
    found = load_file(f"a.jsonl.{name}", pack(TWO[:10]) + pack(TWO[10:]))
    assert found.texts == ["one", "two"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "a"', "bad_json"),
        (b"garbage", "bad_json"),
        (b'["text"]', "bad_type"),
        (b'"text"', "bad_type"),
        (b'{"text": 3}', "bad_type"),
        (b'{"text": ["a"]}', "bad_type"),
        (b'{"text": null}', "no_text"),
        (b'{"body": "a"}', "no_text"),
        (b'{"text": "caf\xe9"}', "bad_encoding"),
        (b'{"text": "a", "deep": ' + b"[" * 5000 + b"]" * 5000 + b"}", "deep_json"),
        (b'{"text": "' + b"x" * 5000 + b'"}', "too_long"),
    ],
)
def test_a_bad_line_costs_itself(load_file: Load, line: bytes, reason: str) -> None:
    """Its neighbours are good rows; it is a row with a reason, an excerpt and where it begins."""
    limit = {"max_record_bytes": 5000 if reason == "too_long" else 1 << 20}
    found = load_file("a.jsonl", b'{"text": "before"}\n' + line + b'\n{"text": "after"}', stage=limit)
    assert found.texts == ["before", None, "after"]
    assert found.reasons == [None, reason, None]
    assert found.rows[1]["offset"] == 19
    assert found.rows[1]["excerpt"].startswith(line[:8].decode())
    assert len(found.rows[1]["excerpt"]) < 500


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (rb'{"text": "half \ud83d pair"}', "half \ufffd pair"),
        (rb'{"text": "whole \ud83d\ude00 pair"}', "whole \U0001f600 pair"),
        (b'{"text": "a\x00b\tc"}', "a\x00b\tc"),
        (rb'{"text": "a\u0000b"}', "a\x00b"),
        (b'{"text": "x", "score": NaN}', "x"),
        (b'\xef\xbb\xbf{"text": "mark"}', "mark"),
        (b'{"text": "carriage"}\r', "carriage"),
        (b'{"text": ""}', ""),
    ],
)
def test_what_can_be_repaired_is_a_good_row(load_file: Load, line: bytes, text: str) -> None:
    """Half surrogate pairs become U+FFFD; control characters and NaN are let through."""
    assert load_file("a.jsonl", line + b"\n").texts == [text]


def test_lines_in_another_encoding_are_read_when_the_recipe_names_it(load_file: Load) -> None:
    """Line by line, so that UTF-8 lines in between stay what they are."""
    content = '{"text": "中文"}\n'.encode("gb18030") + '{"text": "中文"}\n'.encode()
    assert load_file("a.jsonl", content, encoding="gb18030").texts == ["中文", "中文"]
    assert load_file("a.jsonl", content).reasons == ["bad_encoding", None]


def test_an_encoding_means_what_it_means_everywhere(load_file: Load) -> None:
    """`gb2312` is GB18030, as in pages: 镕 is in the larger one only."""
    content = '{"text": "镕"}\n'.encode("gb18030")
    assert load_file("a.jsonl", content, encoding="gb2312").texts == ["镕"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le"])
def test_wide_encodings_are_read_whole(load_file: Load, encoding: str) -> None:
    """By their mark or by the recipe's word; such files are not cut into ranges."""
    content = ('{"text": "中文"}\n' * 50).encode(encoding)
    named = None if encoding in {"utf-16", "utf-32"} else encoding
    found = load_file("a.jsonl", content, encoding=named, stage={"part_bytes": 100})
    assert found.texts == ["中文"] * 50


def test_a_json_array_gives_its_items(load_file: Load) -> None:
    """Also over many lines; a file that only begins like one is read line by line."""
    found = load_file("a.json", b' [{"text": "a"},\n {"text":\n "b"}, 3]', stage={"part_bytes": 10})
    assert [(row["record"], row["text"], row["reason"]) for row in found.rows] == [
        (0, "a", None),
        (1, "b", None),
        (2, None, "bad_type"),
    ]
    assert load_file("marked.json", b'\xef\xbb\xbf[\n{"text": "a"}]').texts == ["a"]
    mixed = b'["no record"]\n{"text": "a"}\n'
    assert load_file("b.json", mixed).reasons == ["bad_type", None]
    assert load_file("c.json", mixed, stage={"max_record_bytes": 20}).reasons == ["bad_type", None]


def test_nested_fields_are_found(load_file: Load) -> None:
    """`a.b` is the key itself if there is one, else the way into an object."""
    content = b'{"doc": {"body": "in", "n": 1}}\n{"doc.body": "flat"}\n{"doc": "no object"}\n'
    found = load_file("a.jsonl", content, text="doc.body", id="doc.n")
    assert found.texts == ["in", "flat", None]
    assert found.reasons == [None, None, "no_text"]
    assert found.rows[0]["orig_id"] == "1"


def test_a_truncated_gzip_keeps_its_complete_lines(load_file: Load) -> None:
    """And has one row that says so."""
    rng = random.Random(1)
    content = b"".join(
        json.dumps({"text": f"{rng.getrandbits(120):030x}"}).encode() + b"\n" for _ in range(2000)
    )
    packed = gzip.compress(content)
    found = load_file("a.jsonl.gz", packed[: len(packed) // 2])
    good = [row["text"] for row in found.rows if row["reason"] is None]
    assert good == [json.loads(line)["text"] for line in content.splitlines()[: len(good)]]
    assert len(good) > 800
    assert [row["reason"] for row in found.rows[len(good) :]] == ["truncated"]


def test_a_broken_gzip_member_costs_itself(load_file: Load) -> None:
    """Reading resumes at the next member."""
    members = [bytearray(gzip.compress(b'{"text": "%d"}\n' % index * 50)) for index in range(3)]
    members[1][14] ^= 0xFF
    found = load_file("a.jsonl.gz", b"".join(members))
    texts = [text for text in found.texts if text is not None]
    assert texts[:50] == ["0"] * 50
    assert texts[-50:] == ["2"] * 50
    assert "unreadable" in found.reasons


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), max_size=12),
    st.booleans(),
    st.integers(1, 20),
    st.integers(1, 9),
)
def test_lines_are_those_of_split_whatever_the_blocks(
    content: list[bytes], ends: bool, block: int, limit: int
) -> None:
    """And those longer than the limit come with their trouble."""
    whole = b"\n".join(content) + (b"\n" if ends else b"")
    expected = whole.split(b"\n")
    if not expected[-1]:
        expected.pop()
    found = one_by_one(runs((whole[i : i + block] for i in range(0, len(whole), block)), limit))
    assert [bool(line.trouble) for line in found] == [len(line) > limit for line in expected]
    assert [a.contents for a in found if not a.trouble] == [[b] for b in expected if len(b) <= limit]
    offsets = [sum(len(line) + 1 for line in expected[:index]) for index in range(len(expected))]
    assert [line.offset for line in found] == offsets


def one_by_one(found: Iterable[Run]) -> list[Run]:
    """Runs of one line each."""
    lines = []
    for offset, contents, trouble in found:
        for content in contents:
            lines.append(Run(offset, [content], trouble))
            offset += len(content) + 1  # noqa: PLW2901
    return lines


def flat(found: Iterable[Record | Good]) -> list[Record]:
    """Good runs as records."""
    records: list[Record] = []
    for one in found:
        if isinstance(one, Record):
            records.append(one)
        else:
            columns = zip(one.texts, one.orig_ids, one.urls, one.offsets, strict=True)
            records += [
                Record(number, text, orig_id, url, offset=offset)
                for number, (text, orig_id, url, offset) in enumerate(columns, one.first)
            ]
    return records


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 30), max_size=20),
    st.booleans(),
    st.integers(1, 64),
    st.sampled_from([20, 1 << 20]),
)
def test_ranges_together_give_the_whole_file(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], ends: bool, step: int, limit: int
) -> None:
    """Each record in exactly one range, with the number that it has in the whole file; also those too long."""
    made = [b'{"text": "%s"}' % (b"x" * size) if size % 5 else b"" for size in sizes]
    content = b"\n".join(made) + (b"\n" if ends else b"")
    path = tmp_path_factory.getbasetemp() / "ranges.jsonl"
    path.write_bytes(content)
    job = Job(SourceSpec(name="s", paths=("x",)), limit, 200)
    cut: list[Record] = []
    with path.open("rb") as file:
        for start in range(0, len(content), step):
            stop = start + step if start + step < len(content) else -1
            cut += flat(read_range(file, job, start, stop, content[:start].count(b"\n")))
        whole = flat(read_range(file, job, 0, -1, 0))
    assert cut == whole
    assert [record.number for record in whole] == [index for index, size in enumerate(sizes) if size % 5]


def test_a_big_file_is_cut_into_ranges_that_give_the_same_rows(tmp_path: Path, load_file: Load) -> None:
    """Part size changes the parts, never the rows."""
    content = b"".join(b'{"text": "%s"}\n' % (b"word " * (i % 40)) for i in range(500))
    small = load_file("a.jsonl", content, stage={"part_bytes": 1000})
    large = load_file("a.jsonl", content)
    assert small.parts > 20
    assert large.parts == 1
    assert small.rows == large.rows
