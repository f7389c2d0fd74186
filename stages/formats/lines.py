"""JSON Lines: one object a line, whole files or byte ranges of them.

Lines that orjson takes (strict JSON, UTF-8) are the fast way; what it refuses is looked at again, slowly:
control characters in strings, NaN and lone surrogates are repaired and counted, other encodings tried.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from itertools import accumulate, chain
from types import NoneType
from typing import Any, BinaryIO, NamedTuple

import orjson

from stages.formats.encodings import codec, stream_encoding, transcoded
from stages.formats.metadata import columns, look_up
from stages.formats.rows import Good, Job, Record, failed
from stages.formats.streams import BLOCK, Block, Damage


class Run(NamedTuple):
    """Neighbouring lines, without their line feeds."""

    offset: int
    """Where the first begins."""
    contents: list[bytes]
    trouble: Damage | None = None
    """Why the content, a single one, is not the whole line (`too_long`, or what broke the stream)."""


def runs(stream: Iterator[Block], limit: int, offset: int = 0) -> Iterator[Run]:
    """Splits blocks at line feeds, holding at most `limit` bytes of an unfinished line.

    A line longer than `limit`, and one cut by damage, comes with its trouble and the first bytes of it.
    """
    parts: list[bytes] = []
    held = 0  # bytes of the unfinished line so far, kept or not
    for block in stream:
        if isinstance(block, Damage):
            yield Run(offset, [b"".join(parts)[:BLOCK]], block)
            offset += held
            parts, held = [], 0
            continue
        contents = block.split(b"\n")
        last = contents.pop()
        if contents and held:
            parts.append(contents[0])
            held += len(contents[0])
            if held > limit:
                yield _too_long(offset, b"".join(parts), held)
                offset += held + 1
                del contents[0]
            else:
                contents[0] = b"".join(parts)
            parts, held = [], 0
        if contents:
            yield from _within(offset, contents, limit)
            offset += sum(map(len, contents)) + len(contents)
        if last:
            held += len(last)
            if held <= limit + BLOCK:
                parts.append(last)
    if held > limit:
        yield _too_long(offset, b"".join(parts), held)
    elif held:
        yield Run(offset, [b"".join(parts)])


def _within(offset: int, contents: list[bytes], limit: int) -> Iterator[Run]:
    """The lines, those beyond the limit on their own."""
    begin = 0
    if max(map(len, contents)) > limit:
        for index, content in enumerate(contents):
            if len(content) > limit:
                if index > begin:
                    yield Run(offset, contents[begin:index])
                offset += sum(map(len, contents[begin:index])) + index - begin
                yield _too_long(offset, content, len(content))
                offset += len(content) + 1
                begin = index + 1
    if begin < len(contents):
        yield Run(offset, contents[begin:])


def _too_long(offset: int, content: bytes, size: int) -> Run:
    return Run(offset, [content[:BLOCK]], Damage("too_long", f"{size} bytes", offset))


def read_jsonl(stream: Iterator[Block], job: Job) -> Iterator[Record | Good]:
    """The records of a whole file; a record's number is its line, blank lines counted.

    UTF-16 and UTF-32 are read as a whole; any other encoding line by line, where a line is not UTF-8.
    A file that is one JSON array, and no longer than a record may be, gives its items.
    """
    first = next(stream, b"")
    wide = "utf-8" if isinstance(first, Damage) else stream_encoding(first, job.spec.encoding or "utf-8")
    if isinstance(first, bytes) and wide.startswith(("utf-16", "utf-32")):
        stream = transcoded(first, stream, wide)
    else:
        stream = chain([first], stream)
    if isinstance(first, bytes) and is_array(first):
        items, read = _array(stream, job.max_record_bytes)
        if items is not None:
            for number, item in enumerate(items):
                yield from_object(item, number, None, job, f"item {number}")
            return
        stream = chain(read, stream)
    yield from _records(runs(stream, job.max_record_bytes), job, 0)


def is_array(head: bytes) -> bool:
    """Whether a file that begins so may be a JSON array over many lines."""
    return head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")


def _array(stream: Iterator[Block], limit: int) -> tuple[list[Any] | None, list[Block]]:
    """The items of the array that a stream is, or None; and the blocks that were read to find out."""
    read: list[Block] = []
    size = 0
    for block in stream:
        read.append(block)
        size += len(block)
        if size > limit or isinstance(block, Damage):
            return None, read
    try:
        whole = b"".join(block for block in read if isinstance(block, bytes))
        items = orjson.loads(whole.removeprefix(codecs.BOM_UTF8))
    except orjson.JSONDecodeError:
        return None, read
    return items, read


def read_range(file: BinaryIO, job: Job, start: int, stop: int, line: int) -> Iterator[Record | Good]:
    """The records whose first byte lies in [start, stop) of an uncompressed file.

    Args:
        file: the file, open.
        job: what to read from a record.
        start: first byte of the range.
        stop: end of the range, exclusive; -1: the end of the file.
        line: line feeds before `start`.
    """
    before = max(0, start - 1)
    file.seek(before)
    found = runs(_blocks(file), job.max_record_bytes, before)
    if start:  # the line that holds the byte before the range belongs to the range before
        first = next(found, None)
        if first is None:
            return
        if first.contents[0]:
            line += 1
        rest = Run(first.offset + len(first.contents[0]) + 1, first.contents[1:])
        found = chain([rest], found)
    yield from _records(_until(found, stop), job, line)


def _blocks(file: BinaryIO) -> Iterator[Block]:
    while block := file.read(BLOCK):
        yield block


def _until(found: Iterator[Run], stop: int) -> Iterator[Run]:
    """The lines that begin before `stop`; -1: all."""
    for run in found:
        end = run.offset + sum(map(len, run.contents)) + len(run.contents)
        if stop < 0 or end <= stop:
            yield run
            continue
        inside, offset = 0, run.offset
        while offset < stop and inside < len(run.contents):
            offset += len(run.contents[inside]) + 1
            inside += 1
        if inside:
            yield run._replace(contents=run.contents[:inside])
        return


def _records(found: Iterator[Run], job: Job, number: int) -> Iterator[Record | Good]:
    """The records of lines: whole runs of good lines together, the others one by one."""
    for offset, contents, trouble in found:
        if trouble:
            yield failed(number, trouble.reason, contents[0], offset)
        elif contents:
            good = _good(number, contents, offset, job)
            if good:
                yield good
            else:
                yield from _one_by_one(number, contents, offset, job)
        number += len(contents)


def _good(number: int, contents: list[bytes], offset: int, job: Job) -> Good | None:
    """A run of lines all of which are objects with a text; None where one is not."""
    spec = job.spec
    try:
        records = list(map(orjson.loads, contents))
        texts = [record[spec.text] for record in records]
        orig_ids = [record.get(spec.id) for record in records]
        urls = [record.get(spec.url) for record in records]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if set(map(type, texts)) != {str}:
        return None
    if not set(map(type, chain(orig_ids, urls))) <= {str, NoneType}:
        orig_ids, urls = list(map(label, orig_ids)), list(map(label, urls))
    if "." in spec.id + spec.url and None in chain(orig_ids, urls):
        return None
    offsets = list(accumulate(map(len, contents[:-1]), lambda sum_, size: sum_ + size + 1, initial=offset))
    return Good(number, texts, orig_ids, urls, offsets, columns(records, job.metadata, job.tallies))


def _one_by_one(number: int, contents: list[bytes], offset: int, job: Job) -> Iterator[Record]:
    for number, content in enumerate(contents, number):  # noqa: B020, PLR1704
        line = content if offset else content.removeprefix(codecs.BOM_UTF8)
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            if line.strip():
                record = _second_look(line, job, number, offset, str(error))
                yield (
                    record if isinstance(record, Record) else from_object(record, number, offset, job, line)
                )
            else:
                job.tallies["blank_lines"] += 1
        else:
            yield from_object(record, number, offset, job, line)
        offset += len(content) + 1


def _second_look(content: bytes, job: Job, number: int, offset: int, error: str) -> Any:
    """What strict JSON refused: the value after all, or a failed `Record`."""
    try:
        decoded = content.decode()
    except UnicodeDecodeError:
        if not job.spec.encoding:
            return failed(number, "bad_encoding", content, offset)
        try:
            decoded = content.decode(codec(job.spec.encoding) or job.spec.encoding)
        except UnicodeDecodeError:
            return failed(number, "bad_encoding", content, offset)
        job.tallies["decoded_lines"] += 1
    if "recursion" in error.lower():
        return failed(number, "deep_json", content, offset)
    try:
        value = json.loads(decoded, strict=False)
    except RecursionError:
        return failed(number, "deep_json", content, offset)
    except ValueError:
        return failed(number, "bad_json", content, offset)
    job.tallies["repaired_json"] += 1
    return value


def from_object(record: Any, number: int, offset: int | None, job: Job, excerpt: bytes | str) -> Record:
    """A decoded object as a `Record`: its text, id, address and metadata under the recipe's field names."""
    spec = job.spec
    if not isinstance(record, dict):
        return failed(number, "bad_type", excerpt, offset)
    content = look_up(record, spec.text)
    if not isinstance(content, str):
        return failed(number, "no_text" if content is None else "bad_type", excerpt, offset)
    orig_id, url = label(look_up(record, spec.id)), label(look_up(record, spec.url))
    return Record(number, content, orig_id, url, None, None, offset, job.described(record))


def label(value: Any) -> str | None:
    """An id or address as a string; null for what is neither text nor number."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) else None
