"""CSV and TSV: a header line, then a row a record; quoted fields may hold line feeds.

Read as UTF-8 lines, whatever the encoding: the recipe's, or the one that the first block speaks for.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from typing import Self

from stages.formats.encodings import ESCAPED, stream_encoding, transcoded
from stages.formats.lines import Run, from_object, runs
from stages.formats.rows import Job, Record, failed
from stages.formats.streams import Block, Damage


def read_delimited(stream: Iterator[Block], job: Job, delimiter: str) -> Iterator[Record]:
    """The rows below the header, which is the first that is not blank, numbered from 0; after damage nothing is read, for quotes may be open."""
    first = next(stream, b"")
    if isinstance(first, Damage):
        yield failed(0, first.reason, first.detail, 0)
        return
    encoding = stream_encoding(first, job.spec.encoding)
    csv.field_size_limit(min(job.max_record_bytes, sys.maxsize))
    feed = _Feed(transcoded(first, stream, encoding), job.max_record_bytes)
    parsed = csv.reader(feed, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    number = 0
    while True:
        begin = feed.offset if encoding == "utf-8" else None
        try:
            row = next(parsed, None)
        except csv.Error as error:
            long = isinstance(error, _LongLineError) or "field larger" in str(error)
            yield failed(number, "too_long" if long else "bad_csv", str(error), begin)
            number += 1
            continue
        if row is None:
            break
        if not row:
            continue
        if header is None:
            header = row
            continue
        shown = delimiter.join(row)
        if len(row) > len(header):
            yield failed(number, "bad_csv", shown, begin)
        elif ESCAPED.search(shown):
            yield failed(number, "bad_encoding", shown, begin)
        else:
            fields = dict(zip(header, row, strict=False))
            yield from_object(fields, number, begin, job, shown)
        number += 1
    if feed.damage:
        yield failed(number, feed.damage.reason, feed.damage.detail)


class _LongLineError(csv.Error):
    """A line is longer than a record may be. It passes through the parser, which begins anew behind it."""


class _Feed:
    """Decoded lines of a stream with their ends, until it ends or breaks; `offset` is where the next begins."""

    def __init__(self, stream: Iterator[Block], limit: int) -> None:
        self._lines = self._read(runs(stream, limit))
        self.offset = 0
        self.damage: Damage | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if isinstance(line, Damage):
            raise _LongLineError(f"a line of {line.detail}")
        return line

    def _read(self, found: Iterator[Run]) -> Iterator[str | Damage]:
        for offset, contents, trouble in found:
            self.offset = offset
            if trouble and trouble.reason == "too_long":
                yield trouble
                continue
            if trouble:
                self.damage = trouble
                return
            for content in contents:
                self.offset += len(content) + 1
                yield content.decode("utf-8", "surrogateescape") + "\n"
