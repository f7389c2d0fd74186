"""WARC, WET and ARC archives."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from fastwarc.stream_io import BrotliWriter
from fastwarc.warc import ArchiveIterator
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.formats.extractor import Extractor
from stages.formats.http import BadHttpError, payload
from stages.formats.rows import Job
from stages.formats.spec import SourceSpec
from stages.formats.warc import read_warc

Load = Callable[..., Any]

PROSE = (
    "The mill stood by the river and its wheel turned all day long, grinding the grain of the valley. " * 4
)
PAGE = f"<html><body><article><p>{PROSE}</p></article></body></html>".encode()


def record(kind: str, body: bytes, media: str = "application/http", uri: str = "http://a/") -> bytes:
    """One WARC record."""
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{kind}>\r\nWARC-Target-URI: {uri}\r\n"
        f"Content-Type: {media}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body + b"\r\n\r\n"


def response(body: bytes = PAGE, status: str = "200 OK", **fields: str) -> bytes:
    """An HTTP response."""
    lines = [
        f"{name.replace('_', '-')}: {value}"
        for name, value in {"Content_Type": "text/html", **fields}.items()
    ]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + body


def test_pages_are_documents_and_the_rest_is_counted(load_file: Load) -> None:
    """A record's number counts records of every type."""
    content = b"".join(
        gzip.compress(one)
        for one in (
            record("warcinfo", b"software: x", "application/warc-fields"),
            record("request", b"GET / HTTP/1.1\r\n\r\n"),
            record("response", response()),
            record("response", response(b"\x89PNG", Content_Type="image/png")),
            record("response", response(status="404 Not Found")),
            record("revisit", response(b"")),
            record("metadata", b"a: b"),
            record("resource", PAGE, "text/html; charset=utf-8"),
        )
    )
    found = load_file("a.warc.gz", content)
    assert [(row["record"], row["orig_id"], row["url"]) for row in found.rows] == [
        (2, "<urn:uuid:response>", "http://a/"),
        (7, "<urn:uuid:resource>", "http://a/"),
    ]
    assert all(PROSE.strip() in text for text in found.texts)
    assert found.tallies == {
        "skipped.metadata": 1,
        "skipped.not_html": 1,
        "skipped.request": 1,
        "skipped.revisit": 1,
        "skipped.status": 1,
        "skipped.warcinfo": 1,
    }


def test_wet_conversions_are_text(load_file: Load) -> None:
    """As they are."""
    text = "Première ligne\nzweite Zeile"
    content = gzip.compress(record("conversion", text.encode(), "text/plain"))
    assert load_file("a.warc.wet.gz", content).texts == [text]


def test_a_broken_header_costs_itself(load_file: Load) -> None:
    """Reading resumes at the next record; the stretch in between is one bad record."""
    good = record("response", response())
    found = load_file(
        "a.warc", good + good.replace(b"Content-Length", b"Content-Lengtx") + b"junk\r\n" + good
    )
    assert found.reasons == [None, "unreadable", None]
    assert found.rows[1]["offset"] == len(good)


@pytest.mark.parametrize("length", ["²", "-1", "9" * 30, "9" * 5000, ""])
def test_a_length_that_is_none_costs_its_record(load_file: Load, length: str) -> None:
    """Python takes "²" for a digit, and refuses numbers of more than 4,300."""
    broken = f"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Length: {length}\r\n\r\nlost\r\n\r\n".encode()
    found = load_file("a.wet", broken + record("conversion", b"kept", "text/plain"))
    assert list(zip(found.texts, found.reasons, strict=True)) == [(None, "unreadable"), ("kept", None)]


@pytest.mark.parametrize("charset", ["none", "utf-8"])
def test_a_charset_that_does_not_fit_is_not_believed(load_file: Load, charset: str) -> None:
    """The bytes are then looked at, as those of pages are."""
    text = "Gestern regnete es, doch heute scheint schon früh die Sonne."
    media = f"text/plain; charset={charset}"
    assert load_file("a.wet", record("conversion", text.encode("cp1252"), media)).texts == [text]


def test_a_truncated_record_says_so(load_file: Load) -> None:
    """Compressed or not."""
    good = record("response", response())
    assert load_file("a.warc", good + good[:-300]).reasons == [None, "truncated"]
    packed = gzip.compress(good)
    assert load_file("b.warc.gz", packed + packed[:-30]).reasons == [None, "truncated"]


def test_a_broken_member_costs_itself(load_file: Load) -> None:
    """The records around it are read."""
    packed = bytearray(gzip.compress(record("response", response())))
    broken = bytearray(packed)
    broken[len(broken) // 2] ^= 0x5A
    assert load_file("a.warc.gz", bytes(packed + broken + packed)).reasons[::2] == [None, None]


def test_a_record_beyond_the_limit_is_too_long(load_file: Load) -> None:
    """Whatever its header promises, only the limit is held."""
    content = record("response", response(PAGE + b" " * 100_000)) + record("response", response())
    assert load_file("a.warc", content, stage={"max_record_bytes": 10_000}).reasons == ["too_long", None]
    absurd = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 99999999999999\r\n\r\nx"
    assert load_file("b.warc", absurd).reasons == ["truncated"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["conversion", "request"]), st.binary(max_size=300)), max_size=5),
    st.integers(1, 700),
)
def test_records_are_those_of_fastwarc_whatever_the_blocks(
    bodies: list[tuple[str, bytes]], block: int
) -> None:
    """Same order, same addresses, same bodies."""
    content = b"".join(
        record(kind, body, "text/plain", f"http://{index}/") for index, (kind, body) in enumerate(bodies)
    )
    job = Job(SourceSpec(name="s", paths=("x",), encoding="latin-1"), 1 << 20, 200)
    blocks = (content[i : i + block] for i in range(0, len(content), block))
    found = [(one.number, one.url, one.text) for one in read_warc(blocks, job, Extractor("resiliparse"))]
    expected = [
        (number, one.headers["WARC-Target-URI"], one.reader.read().decode("cp1252", "replace"))
        for number, one in enumerate(ArchiveIterator(io.BytesIO(content), parse_http=False))
        if one.headers["WARC-Type"] == "conversion"
    ]
    assert [(number, url) for number, url, _ in found] == [(number, url) for number, url, _ in expected]
    assert all(
        a[2] in (b[2], None) or b[2] != b[2].lstrip("\ufeff") for a, b in zip(found, expected, strict=True)
    )


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 3))
def test_no_bytes_make_the_reader_raise(noise: bytes, where: int) -> None:
    """And a good record behind the noise is found."""
    good = record("conversion", b"good", "text/plain")
    content = [noise + b"\n" + good, good + noise, b"WARC/1.0\r\n" + noise, good[:where] + noise][where]
    job = Job(SourceSpec(name="s", paths=("x",)), 1 << 20, 200)
    found = list(read_warc(iter([content]), job, Extractor("resiliparse")))
    if where == 0 and b"WARC/" not in noise:
        assert found[-1].text == "good"


def test_an_arc_file_is_read(load_file: Load) -> None:
    """Addresses may hold spaces; a broken URL line costs its record."""
    body = response()
    content = (
        b"filedesc://x.arc 127.0.0.1 20140216050221 text/plain 6\n1 0 X\n\n"
        + b"http://a/b c 1.2.3.4 20140216050221 text/html %d\n%s\n" % (len(body), body)
        + b"http://bad/ 1.2.3.4 20140216050221 text/html abc\n\n"
        + b"http://d/ 1.2.3.4 20140216050221 text/html %d\n%s\n" % (len(body), body)
    )
    found = load_file("a.arc", content)
    assert [(row["url"], row["reason"]) for row in found.rows] == [
        ("http://a/b c", None),
        (None, "unreadable"),
        ("http://d/", None),
    ]


PACKED = gzip.compress(b"body", mtime=0)


def brotli(data: bytes) -> bytes:
    """Compressed as browsers ask for it."""
    out = io.BytesIO()
    with BrotliWriter(out) as writer:
        writer.write(data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({}, b"body"),
        ({"Transfer_Encoding": "chunked"}, b"2\r\nbo\r\n2;x=y\r\ndy\r\n0\r\n\r\n"),
        ({"Transfer_Encoding": "chunked"}, b"body"),
        ({"Content_Encoding": "gzip"}, gzip.compress(b"body", mtime=0)),
        ({"Content_Encoding": "gzip"}, b"body"),
        ({"Content_Encoding": "deflate"}, zlib.compress(b"body")),
        ({"Content_Encoding": "deflate"}, zlib.compress(b"body")[2:-4]),
        ({"Content_Encoding": "br"}, brotli(b"body")),
        ({"Content_Encoding": "identity"}, b"body"),
        ({"Content_Encoding": "gzip", "Transfer_Encoding": "chunked"}, b"18\r\n%s\r\n0\r\n\r\n" % PACKED),
    ],
)  # fmt: skip
def test_codings_of_http_are_undone(fields: dict[str, str], body: bytes) -> None:
    """Also where the header claims what the crawler has already undone."""
    message = payload(response(body, **fields), 1000, 200)
    assert (message.status, message.content_type, message.body) == (200, "text/html", b"body")


def test_bare_line_feeds_end_http_headers() -> None:
    """As in ClueWeb09."""
    message = payload(b"HTTP/1.1 200 OK\nContent-Type: text/html;\n charset=x\n\nbody", 1000, 200)
    assert (message.content_type, message.body) == ("text/html; charset=x", b"body")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_a_body_that_expands_beyond_the_limit_is_refused(coding: str) -> None:
    """Bounded memory, whatever a server sent."""
    pack = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli}[coding]
    with pytest.raises(BadHttpError, match=r"more than 1000 bytes"):
        payload(response(pack(b"x" * 5000), Content_Encoding=coding), 1000, 200)
