"""The HTTP response inside an archive record: status, media type, and the body with its codings undone.

Forgiving, because crawlers store what servers sent: bare line feeds, bodies that are not chunked or not
compressed although the header says so (crawlers decode and keep the header).
"""

from __future__ import annotations

import io
import re
import zlib
from typing import Final, NamedTuple

from fastwarc.stream_io import BrotliReader

from stages.formats.streams import Damage, blocks, compressed

_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_STATUS: Final = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})")
_CHUNK: Final = re.compile(rb"\s{0,4}([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]{0,1000})?\r?\n")


class BadHttpError(ValueError):
    """The body cannot be decoded."""


class Message(NamedTuple):
    """A decoded response."""

    status: int | None
    content_type: str
    body: bytes


def payload(message: bytes, limit: int, max_ratio: int) -> Message:
    """Undoes transfer and content codings of a stored response.

    Raises:
        BadHttpError: a coding is broken, unknown, or expands beyond `limit` bytes.
    """
    status = _STATUS.match(message)
    end = _HEAD_END.search(message, 0, 1 << 18)
    if not status or not end:
        return Message(None, "", message)
    head, body = message[: end.start()], message[end.end() :]
    fields = header_fields(head[status.end() :].partition(b"\n")[2])
    if "chunked" in fields.get("transfer-encoding", "").lower():
        body = dechunked(body)
    for coding in reversed(re.split(r"[,\s]+", fields.get("content-encoding", "").lower())):
        body = _decoded(body, coding, limit, max_ratio)
    return Message(int(status[1]), fields.get("content-type", ""), body)


def header_fields(lines: bytes) -> dict[str, str]:
    """Field name (lower case) -> value of header lines; folded lines are joined, the first of a name wins."""
    fields: dict[str, str] = {}
    for line in re.sub(rb"\r?\n[ \t]+", b" ", lines).decode("utf-8", "backslashreplace").split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip().lower(), value.strip())
    return fields


def dechunked(body: bytes) -> bytes:
    """A chunked body joined (RFC 9112 §7.1); as it is, if it does not start with a chunk size.

    What follows a broken chunk size is kept as content: better a stray number than half a page.
    """
    if not _CHUNK.match(body):
        return body
    parts: list[bytes] = []
    at = 0
    while found := _CHUNK.match(body, at):
        size = int(found[1], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(body[found.end() : found.end() + size])
        at = found.end() + size
    parts.append(body[at:])
    return b"".join(parts)


def _decoded(body: bytes, coding: str, limit: int, max_ratio: int) -> bytes:
    if coding in {"gzip", "x-gzip", "zstd"} and compressed(body[:16]):
        out = bytearray()
        for block in blocks(io.BytesIO(body), max_ratio):
            if isinstance(block, Damage):
                if block.reason == "bomb" or not out:
                    raise BadHttpError(f"{coding}: {block.detail}")
                break  # a page cut by the crawler's size limit still has its beginning
            out += block
            if len(out) > limit:
                raise BadHttpError(f"{coding}: more than {limit} bytes")
        return bytes(out)
    if coding == "deflate":
        return _inflated(body, limit)
    if coding == "br":
        return _brotli(body, limit)
    return body


def _inflated(body: bytes, limit: int) -> bytes:
    """Zlib or raw deflate: servers send either under this name."""
    for bits in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        inner = zlib.decompressobj(bits)
        try:
            out = inner.decompress(body, limit + 1)
        except zlib.error:
            continue
        if len(out) > limit:
            raise BadHttpError(f"deflate: more than {limit} bytes")
        return out
    return body


def _brotli(body: bytes, limit: int) -> bytes:
    if body.lstrip()[:1] == b"<":
        return body
    try:
        out: bytes = BrotliReader(io.BytesIO(body)).read(limit + 1)
    except (OSError, ValueError) as error:
        raise BadHttpError(f"br: {error}") from error
    if len(out) > limit:
        raise BadHttpError(f"br: more than {limit} bytes")
    return out
