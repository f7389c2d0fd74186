"""CSV and TSV: a header line, then a row a record; quoted fields may hold line feeds.

Read as UTF-8 lines, whatever the encoding: the recipe's, or the one that the first block speaks for.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

from stages.formats.encodings import ESCAPED, stream_encoding, transcoded
from stages.formats.lines import from_object, runs
from stages.formats.rows import Job, Record, failed
from stages.formats.streams import Block, Damage


def read_delimited(stream: Iterator[Block], job: Job, delimiter: str) -> Iterator[Record]:
    """The rows below the header, numbered from 0; after damage nothing is read, for quotes may be open."""
    first = next(stream, b"")
    if isinstance(first, Damage):
        yield failed(0, first.reason, first.detail, 0)
        return
    encoding = stream_encoding(first, job.spec.encoding)
    csv.field_size_limit(job.max_record_bytes)
    feed = _Feed(transcoded(first, stream, encoding), job.max_record_bytes)
    parsed = csv.reader(feed, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    number = 0
    while True:
        begin = feed.offset if encoding == "utf-8" else None
        try:
            row = next(parsed, None)
        except csv.Error as error:
            reason = "too_long" if "field larger" in str(error) else "bad_csv"
            yield failed(number, reason, str(error), begin)
            number += 1
            continue
        if row is None:
            break
        if header is None:
            header = row
            continue
        if not row:
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


class _Feed:
    """Decoded lines of a stream, until it ends or breaks; `offset` is where the next line begins."""

    def __init__(self, stream: Iterator[Block], limit: int) -> None:
        self._runs = runs(stream, limit)
        self.offset = 0
        self.damage: Damage | None = None

    def __iter__(self) -> Iterator[str]:
        """Lines with their ends; of one that is too long, so much that the parser finds it so."""
        for offset, contents, trouble in self._runs:
            if trouble and trouble.reason != "too_long":
                self.damage = trouble
                return
            self.offset = offset
            for content in contents:
                self.offset += len(content) + 1
                yield content.decode("utf-8", "surrogateescape") + "\n"
