"""JSON Lines: one object a line, whole files or byte ranges of them.

Lines that orjson takes (strict JSON, UTF-8) are the fast way; what it refuses is looked at again, slowly:
control characters in strings, NaN and lone surrogates are repaired and counted, other encodings tried.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import orjson

from stages.formats.rows import Job, Record, failed
from stages.formats.spec import SourceSpec
from stages.formats.streams import BLOCK, Block, Damage


class Line(NamedTuple):
    """One line of a stream, without its line feed."""

    offset: int
    content: bytes
    trouble: Damage | None = None
    """Why the content is not the whole line (`too_long`, or what ended the stream)."""


def lines(stream: Iterator[Block], limit: int, offset: int = 0) -> Iterator[Line]:
    """Splits blocks at line feeds, holding at most `limit` bytes of an unfinished line.

    A line longer than `limit`, and one cut by damage, comes with its trouble and the first bytes of it.
    """
    parts: list[bytes] = []
    held = 0  # bytes of the unfinished line so far, kept or not
    for block in stream:
        if isinstance(block, Damage):
            yield Line(offset, b"".join(parts)[:BLOCK], block)
            offset += held
            parts, held = [], 0
            continue
        head, feed, tail = block.partition(b"\n")
        if not feed:
            held += len(block)
            if held <= limit + 1:
                parts.append(block)
            continue
        first = b"".join(parts) + head
        size = held + len(head)
        if size > limit:
            yield Line(offset, first[:BLOCK], Damage("too_long", f"{size} bytes", offset))
        else:
            yield Line(offset, first)
        offset += size + 1
        *whole, last = tail.split(b"\n")
        for content in whole:
            if len(content) > limit:
                yield Line(offset, content, Damage("too_long", f"{len(content)} bytes", offset))
            else:
                yield Line(offset, content)
            offset += len(content) + 1
        parts, held = ([last], len(last)) if last else ([], 0)
    if held > limit:
        yield Line(offset, b"".join(parts)[:BLOCK], Damage("too_long", f"{held} bytes", offset))
    elif held:
        yield Line(offset, b"".join(parts))


def read_jsonl(stream: Iterator[Block], job: Job) -> Iterator[Record]:
    """The records of a whole file; a record's number is its line, blank lines counted."""
    yield from _records(lines(stream, job.max_record_bytes), job, 0)


def read_range(file: BinaryIO, job: Job, start: int, stop: int, line: int) -> Iterator[Record]:
    """The records whose first byte lies in [start, stop) of an uncompressed file.

    Args:
        file: the file, open.
        job: what to read from a record.
        start: first byte of the range.
        stop: end of the range, exclusive; -1: the end of the file.
        line: line feeds before `start`.
    """
    file.seek(max(0, start - 1))
    found = lines(_blocks(file), job.max_record_bytes, max(0, start - 1))
    if start:  # the line that holds the byte before the range belongs to the range before
        before = next(found, None)
        if before is None:
            return
        if before.offset + len(before.content) >= start:
            line += 1
    yield from _records(_until(found, stop), job, line)


def _blocks(file: BinaryIO) -> Iterator[Block]:
    while block := file.read(BLOCK):
        yield block


def _until(found: Iterator[Line], stop: int) -> Iterator[Line]:
    for line in found:
        if 0 <= stop <= line.offset:
            return
        yield line


def _records(found: Iterator[Line], job: Job, number: int) -> Iterator[Record]:
    spec, loads = job.spec, orjson.loads
    for number, (offset, content, trouble) in enumerate(found, number):  # noqa: B020, PLR1704
        if trouble:
            yield failed(number, trouble.reason, content, offset)
            continue
        if not offset and content.startswith(b"\xef\xbb\xbf"):
            content = content[3:]  # noqa: PLW2901
        try:
            record = loads(content)
        except orjson.JSONDecodeError as error:
            if not content.strip():
                job.tallies["blank_lines"] += 1
                continue
            record = _second_look(content, job, number, offset, str(error))
            if isinstance(record, Record):
                yield record
                continue
        yield from_object(record, number, offset, spec, content)


def _second_look(content: bytes, job: Job, number: int, offset: int, error: str) -> Any:
    """What strict JSON refused: the value after all, or a failed `Record`."""
    try:
        decoded = content.decode()
    except UnicodeDecodeError:
        if not job.spec.encoding:
            return failed(number, "bad_encoding", content, offset)
        try:
            decoded = content.decode(job.spec.encoding)
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


def look_up(record: dict[str, Any], path: str) -> Any:
    """The value of a field; `a.b` is the key `a.b`, else the key `b` of the object `a`. None if absent."""
    if path in record:
        return record[path]
    first, dot, rest = path.partition(".")
    inner = record.get(first) if dot else None
    return look_up(inner, rest) if isinstance(inner, dict) else None


def from_object(
    record: Any, number: int, offset: int | None, spec: SourceSpec, excerpt: bytes | str
) -> Record:
    """A decoded object as a `Record`: its text, id and address under the source's field names."""
    if not isinstance(record, dict):
        return failed(number, "bad_type", excerpt, offset)
    content = look_up(record, spec.text)
    if not isinstance(content, str):
        return failed(number, "no_text" if content is None else "bad_type", excerpt, offset)
    orig_id, url = label(look_up(record, spec.id)), label(look_up(record, spec.url))
    return Record(number, content, orig_id, url, None, None, offset)


def label(value: Any) -> str | None:
    """An id or address as a string; null for what is neither text nor number."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) else None
