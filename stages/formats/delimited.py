"""CSV and TSV: a header line, then a row a record; quoted fields may hold line feeds.

Decoded as it goes; the encoding is the recipe's or the one that the first megabyte speaks for.
"""

from __future__ import annotations

import codecs
import csv
import sys
from collections.abc import Iterator

from stages.formats.encodings import codec, decode
from stages.formats.lines import from_object
from stages.formats.rows import Job, Record, failed
from stages.formats.streams import Block, Damage


def read_delimited(stream: Iterator[Block], job: Job, delimiter: str) -> Iterator[Record]:
    """The rows below the header, numbered from 0; after damage nothing is read, for quotes may be open."""
    csv.field_size_limit(min(job.max_record_bytes, sys.maxsize))
    feed = _Feed(stream, job)
    parsed = csv.reader(feed.lines(), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    number = 0
    while True:
        try:
            row = next(parsed, None)
        except csv.Error as error:
            reason = "too_long" if "field larger" in str(error) else "bad_csv"
            yield failed(number, reason, str(error))
            number += 1
            continue
        if row is None:
            break
        if header is None:
            header = row
        elif row:
            if len(row) > len(header):
                yield failed(number, "bad_csv", delimiter.join(row))
            else:
                fields = dict(zip(header, row, strict=False))
                yield from_object(fields, number, None, job.spec, delimiter.join(row))
            number += 1
    if feed.damage:
        yield failed(number, feed.damage.reason, feed.damage.detail)


class _Feed:
    """Decoded lines of a stream, until it ends or breaks."""

    def __init__(self, stream: Iterator[Block], job: Job) -> None:
        self._stream = stream
        self._job = job
        self.damage: Damage | None = None

    def lines(self) -> Iterator[str]:
        """Lines with their ends."""
        held = ""
        decoder: codecs.IncrementalDecoder | None = None
        for block in self._stream:
            if isinstance(block, Damage):
                self.damage = block
                return
            if decoder is None:
                decoder = codecs.getincrementaldecoder(self._encoding(block))("replace")
            held += decoder.decode(block)
            *whole, held = held.split("\n")
            for line in whole:
                yield line + "\n"
        if held:
            yield held

    def _encoding(self, block: bytes) -> str:
        if block.startswith(codecs.BOM_UTF8):
            return "utf-8-sig"
        if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        if self._job.spec.encoding:
            return codec(self._job.spec.encoding) or "utf-8"
        cut = block.rfind(b"\n") + 1
        found = decode(block[: cut or None])
        return found.encoding if found else "utf-8"
