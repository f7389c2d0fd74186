"""Bytes of every format in the sample, the same bytes in every run. Knows nothing of what the texts mean.

Compressed bytes depend on the version of the compressor, so that tests compare what is inside.
"""

from __future__ import annotations

import html
import io
import json
import struct
import uuid
import zlib
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time, unknown system


def gzip_member(data: bytes) -> bytes:
    """One gzip member without a time stamp."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return _GZIP_HEADER + deflate.compress(data) + deflate.flush() + _gzip_end(data)


def stored_member(data: bytes) -> bytes:
    """One gzip member of at most 64 kB, not compressed, so that a cut lands at the same byte everywhere."""
    block = struct.pack("<BHH", 1, len(data), len(data) ^ 0xFFFF) + data  # 1: the last block, stored
    return _GZIP_HEADER + block + _gzip_end(data)


def _gzip_end(data: bytes) -> bytes:
    return struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def zstd(data: bytes) -> bytes:
    """One zstd frame."""
    return zstandard.ZstdCompressor(level=19, write_checksum=True).compress(data)


def json_line(record: Any) -> bytes:
    """A record and a line feed."""
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


def parquet(rows: Sequence[dict[str, Any]], schema: pa.Schema, group: int) -> bytes:
    """A table in row groups of `group` rows."""
    sink = io.BytesIO()
    table = pa.Table.from_pylist(list(rows), schema)
    pq.write_table(table, sink, row_group_size=group, compression="zstd")
    return sink.getvalue()


def front_matter(fields: dict[str, str], text: str) -> str:
    """A Markdown page that opens with a block of YAML."""
    return "---\n" + "".join(f"{key}: {value}\n" for key, value in fields.items()) + "---\n\n" + text + "\n"


_SITES = Path(__file__).parent / "sites"
SITES = tuple(sorted(path.stem for path in _SITES.glob("*.html")))
"""Names of the page templates."""


def page(site: str, lang: str, title: str, text: str, charset: str) -> bytes:
    """A page of one of `SITES`; characters that the charset lacks become numeric references."""
    escaped = html.escape(text, quote=False).split("\n\n")
    paragraphs = "\n".join(f"<p>{one.replace(chr(10), '<br>' + chr(10))}</p>" for one in escaped)
    template = Template((_SITES / f"{site}.html").read_text(encoding="utf-8"))
    whole = template.substitute(lang=lang, charset=charset, title=html.escape(title), body=paragraphs)
    return whole.encode({"gb2312": "gb18030"}.get(charset, charset), "xmlcharrefreplace")


def http(body: bytes, content_type: str, status: str = "200 OK", headers: Sequence[str] = ()) -> bytes:
    """An HTTP response message."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", *headers, f"Content-Length: {len(body)}"]
    if "Transfer-Encoding: chunked" in lines:
        lines.pop()
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(body: bytes, size: int) -> bytes:
    """A body in chunks of `size` bytes, as `Transfer-Encoding: chunked` wants it."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


def record_id(number: int) -> str:
    """The id of a WARC record."""
    return f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'http://crawl.example/{number}')}>"


def warc_record(number: int, kind: str, uri: str, content_type: str, block: bytes) -> bytes:
    """One record in a gzip member of its own."""
    fields = {
        "WARC-Type": kind,
        "WARC-Record-ID": record_id(number),
        "WARC-Date": f"2024-05-01T{number // 60:02d}:{number % 60:02d}:00Z",
        **({"WARC-Target-URI": uri} if uri else {}),
        "Content-Type": content_type,
        "Content-Length": str(len(block)),
    }
    head = "WARC/1.1\r\n" + "".join(f"{key}: {value}\r\n" for key, value in fields.items())
    return gzip_member(head.encode() + b"\r\n" + block + b"\r\n\r\n")
