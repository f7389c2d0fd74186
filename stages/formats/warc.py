"""WARC, WET and ARC archives: records framed, HTTP undone, pages turned into text.

Framing is our own, on decompressed blocks, because a reader must go on behind a broken record: it looks for
the next header instead of giving the file up. Pages and conversions become documents; all other records
(requests, metadata, revisits, images ...) are counted under `skipped.`, and every record has a number.
ISO 28500:2017; ARC 1.0 (Burner and Kahle 1996).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from stages.formats.encodings import decode
from stages.formats.extractor import Extractor
from stages.formats.html import page
from stages.formats.http import BadHttpError, header_fields, payload
from stages.formats.rows import Job, Record, failed
from stages.formats.streams import Block, Damage

_HEADER: Final = 1 << 16
_VERSION: Final = re.compile(rb"WARC/\d\.\d+[ \t]*\r?\n")
_NEXT: Final = re.compile(rb"\nWARC/\d\.\d")
_BLANK: Final = re.compile(rb"\r?\n\r?\n")
_LINE_ENDS: Final = re.compile(rb"[\r\n]*")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
"""Bytes of a record; longer numbers are no lengths of anything."""
_ARC_LINE: Final = re.compile(rb"(\S.*) (\S*) (\d{8,14}) (\S*) (\d{1,18})\r?\n")
_ARC_NEXT: Final = re.compile(rb"\n(?=(?:https?|dns|ftp|filedesc):\S.* \S* \d{8,14} \S* \d{1,18}\r?\n)")
_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})
_LOOKS_HTML: Final = re.compile(
    rb"(?i)\s*(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.DOTALL
)


class _Head(NamedTuple):
    """What the header of a record says."""

    kind: str
    length: int
    uri: str | None
    record_id: str | None
    content_type: str
    fields: dict[str, str]


class _Tape:
    """A stream of blocks with a window on it, from `at` on; damage is a wall until `cross`."""

    def __init__(self, stream: Iterator[Block]) -> None:
        self._stream = stream
        self._base = 0
        self.data = b""
        self.at = 0
        self.damage: Damage | None = None

    @property
    def offset(self) -> int:
        """Bytes of the decompressed stream before the window."""
        return self._base + self.at

    @property
    def ahead(self) -> int:
        """Bytes in the window."""
        return len(self.data) - self.at

    def fill(self) -> bool:
        """Adds a block to the window; False at the end or in front of damage."""
        block = None if self.damage else next(self._stream, None)
        if isinstance(block, Damage):
            self.damage = block
        if not isinstance(block, bytes):
            return False
        self.data = self.data[self.at :] + block
        self._base += self.at
        self.at = 0
        return True

    def cross(self) -> None:
        """Gives up what is left in front of the damage."""
        self.at = len(self.data)
        self.damage = None

    def skip_blank(self) -> bool:
        """Moves to the next byte that ends no line; False if there is none."""
        while True:
            self.at = _LINE_ENDS.match(self.data, self.at).end()  # type: ignore[union-attr]  # matches empty
            if self.ahead:
                return True
            if not self.fill():
                return False

    def shown(self) -> bytes:
        """The beginning of the window, for excerpts."""
        return self.data[self.at : self.at + 200]

    def match(self, wanted: re.Pattern[bytes], needed: int) -> re.Match[bytes] | None:
        """Takes what the pattern matches here, with `needed` bytes to look at where there are as many."""
        while self.ahead < needed and self.fill():
            pass
        found = wanted.match(self.data, self.at)
        if found:
            self.at = found.end()
        return found

    def until(self, end: re.Pattern[bytes]) -> bytes | None:
        """Takes everything up to the first match and the match; None if there is none within 64 kB."""
        while True:
            found = end.search(self.data, self.at, self.at + _HEADER)
            if found:
                taken = self.data[self.at : found.end()]
                self.at = found.end()
                return taken
            if self.ahead >= _HEADER or not self.fill():
                return None

    def take(self, size: int, keep: int) -> tuple[bytes, int]:
        """The next `size` bytes, of which at most `keep` are handed over, and how many there were."""
        parts: list[bytes] = []
        kept = taken = 0
        while taken < size and (self.ahead or self.fill()):
            step = min(self.ahead, size - taken)
            if kept < keep:
                parts.append(self.data[self.at : self.at + min(step, keep - kept)])
                kept += len(parts[-1])
            taken += step
            self.at += step
        return b"".join(parts), taken

    def resume(self, begin: re.Pattern[bytes]) -> None:
        """Moves to the line feed before the next header, or to the end or damage."""
        while True:
            found = begin.search(self.data, self.at)
            if found:
                self.at = found.start()
                return
            self.at = max(self.at, len(self.data) - _HEADER)
            if not self.fill():
                self.at = len(self.data)
                return


def read_warc(stream: Iterator[Block], job: Job, extractor: Extractor) -> Iterator[Record]:
    """The documents of a WARC or WET file; a record's number counts records of every type."""
    yield from _read(stream, job, extractor, arc=False)


def read_arc(stream: Iterator[Block], job: Job, extractor: Extractor) -> Iterator[Record]:
    """The documents of an ARC file."""
    yield from _read(stream, job, extractor, arc=True)


def _read(stream: Iterator[Block], job: Job, extractor: Extractor, *, arc: bool) -> Iterator[Record]:
    tape = _Tape(stream)
    number = -1
    while True:
        if not tape.skip_blank():
            if tape.damage is None:
                return
            number += 1
            yield failed(number, tape.damage.reason, tape.damage.detail, tape.offset)
            tape.cross()
            continue
        number += 1
        begin = tape.offset
        shown = tape.shown()
        head = _arc_head(tape) if arc else _warc_head(tape)
        if head is None:
            if tape.damage and tape.ahead < _HEADER:
                yield failed(number, tape.damage.reason, shown, begin)
                tape.cross()
            else:
                yield failed(number, "unreadable", shown, begin)
                tape.resume(_ARC_NEXT if arc else _NEXT)
            continue
        wanted = head.kind in {"response", "resource", "conversion"}
        body, size = tape.take(head.length, job.max_record_bytes if wanted else 0)
        if size < head.length:
            yield failed(number, tape.damage.reason if tape.damage else "truncated", shown, begin)
            tape.cross()
        elif not wanted:
            job.tallies[f"skipped.{head.kind}"] += 1
        elif size > job.max_record_bytes:
            yield failed(number, "too_long", shown, begin)
        else:
            record = _document(head, body, number, job, extractor)
            if record:
                yield record._replace(orig_id=head.record_id, url=head.uri, offset=begin)


def _warc_head(tape: _Tape) -> _Head | None:
    """The header of the next record, taken from the tape; None if none stands there."""
    if not tape.match(_VERSION, 16):
        return None
    raw = tape.until(_BLANK)
    fields = header_fields(raw) if raw else {}
    length = fields.get("content-length", "")
    if not _LENGTH.fullmatch(length):
        return None
    kind = fields.get("warc-type", "").lower()
    return _Head(
        kind if kind in _KINDS else "unknown",
        int(length),
        fields.get("warc-target-uri", "").strip("<>") or None,
        fields.get("warc-record-id"),
        fields.get("content-type", "").lower(),
        fields,
    )


_KINDS: Final = frozenset(
    ["warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation"]
)


def _arc_head(tape: _Tape) -> _Head | None:
    """The URL line of the next ARC record."""
    found = tape.match(_ARC_LINE, _HEADER)
    if not found:
        return None
    uri = found[1].decode("utf-8", "backslashreplace")
    scheme = uri.partition(":")[0].lower()
    kind = {"filedesc": "warcinfo", "dns": "resource"}.get(scheme, "response")
    media = found[4].decode("ascii", "replace").lower()
    written = found[3].decode().ljust(14, "0")  # yyyymmddhhmmss; older files have no seconds
    date = f"{written[:4]}-{written[4:6]}-{written[6:8]}T{written[8:10]}:{written[10:12]}:{written[12:]}Z"
    media = media if kind != "response" else "application/http"
    return _Head(kind, int(found[5]), uri, None, media, {"warc-date": date})


def _document(head: _Head, body: bytes, number: int, job: Job, extractor: Extractor) -> Record | None:
    """The document in a record; None, and a count, if there is none."""
    media, charset = _media(head.content_type)
    if head.kind == "conversion":
        found = decode(body, job.spec.encoding or charset)
        if found is None and not job.spec.encoding:  # the header's charset is a claim, the recipe's an order
            found = decode(body)
        if found is None:
            return failed(number, "bad_encoding", body)
        return Record(number, found.text, metadata=job.described(_fields(head, media)))
    if head.kind == "response" and (media.startswith("application/http") or body.startswith(b"HTTP/")):
        try:
            message = payload(body, job.max_record_bytes, job.max_ratio)
        except BadHttpError as error:
            return failed(number, "bad_http", str(error))
        if message.status is not None and not 200 <= message.status < 300:
            job.tallies["skipped.status"] += 1
            return None
        body = message.body
        media, charset = _media(message.content_type)
    if not (media in _PAGES or (not media and _LOOKS_HTML.match(body))):
        job.tallies["skipped.not_html"] += 1
        return None
    return page(body, charset, number, job, extractor, _fields(head, media))


def _fields(head: _Head, media: str) -> dict[str, str]:
    """What metadata may ask for: the record's header, names in lower case, `date` and `content_type`."""
    return {**head.fields, "date": head.fields.get("warc-date", ""), "content_type": media}


def _media(content_type: str) -> tuple[str, str | None]:
    """Media type and charset of a Content-Type value."""
    media, _, parameters = content_type.partition(";")
    found = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", parameters, re.IGNORECASE)
    return media.strip().lower(), found[1] if found else None
