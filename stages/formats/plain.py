"""Plain text and Markdown: one document a file, or pieces between separators.

Does not clean: line ends, control characters and white space are the business of `clean`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any, Final

from stages.formats.encodings import codec, decode
from stages.formats.rows import Job, Record, failed
from stages.formats.streams import BLOCK, Block, Damage

_FRONT: Final = re.compile(r"\A(---|\+\+\+)[ \t]*\r?\n(.*?)^\1[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_PARSED: Final = 1 << 14
"""Characters of front matter that are parsed: nobody writes more, and the parser takes 10 µs for each."""
_NULLS: Final = frozenset({"~", "null", "Null", "NULL"})
"""How YAML writes that there is no value."""
_SCALAR: Final = re.compile(r"^([A-Za-z_][\w.-]*)[ \t]*[:=](.+)$", re.MULTILINE)


def whole(stream: Iterator[Block], limit: int) -> tuple[bytes, Damage | None]:
    """A file's content, if it stays within `limit` bytes and is not damaged; else its beginning and why."""
    parts: list[bytes] = []
    size = 0
    for block in stream:
        if isinstance(block, Damage):
            return b"".join(parts)[:BLOCK], block
        size += len(block)
        if size > limit:
            return b"".join(parts)[:BLOCK], Damage("too_long", f"more than {limit} bytes", 0)
        parts.append(block)
    return b"".join(parts), None


def read_text(stream: Iterator[Block], job: Job) -> Iterator[Record]:
    """The file as one document, or the pieces between separators, numbered; blank pieces make no record."""
    if job.spec.separator:
        yield from _pieces(stream, job, job.spec.separator)
        return
    data, trouble = whole(stream, job.max_record_bytes)
    yield _document(0, data, trouble, job, 0)


def read_markdown(stream: Iterator[Block], job: Job) -> Iterator[Record]:
    """The file without its front matter, which may give id, address and metadata."""
    data, trouble = whole(stream, job.max_record_bytes)
    record = _document(0, data, trouble, job, 0)
    if record.text is not None:
        text, front = front_matter(record.text)
        if job.metadata and front:
            described = job.described(_parsed(record.text, job) or front, _NULLS)
            record = record._replace(metadata=described)
        record = record._replace(text=text, orig_id=front.get(job.spec.id), url=front.get(job.spec.url))
    yield record


def _parsed(text: str, job: Job) -> dict[str, Any]:
    """A page's front matter, nested values too; empty, and counted, where it is too long or broken.

    YAML scalars stay text: what they are is for the metadata's types to say, and nothing is constructed.
    """
    from ruamel.yaml import YAML  # noqa: PLC0415 - only front matter with metadata pays for it
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - likewise

    found = _FRONT.match(text)
    if found and len(found[2]) <= _PARSED:
        try:
            made = (
                tomllib.loads(found[2]) if found[1] == "+++" else YAML(typ="base", pure=True).load(found[2])
            )
        except (YAMLError, ValueError, TypeError, RecursionError):
            made = None
        if isinstance(made, dict):
            return made
    job.tallies["bad_front_matter"] += 1
    return {}


def front_matter(text: str) -> tuple[str, dict[str, str]]:
    """A page and the scalars of the YAML (`---`) or TOML (`+++`) block that it opens with.

    Only `key: value` lines at the left edge are understood; nested values stay unread.
    A rule at the top of a page (`---` without a single key below it) is no front matter.
    """
    found = _FRONT.match(text)
    if not found:
        return text, {}
    written = ((key, value.strip(" \t\r")) for key, value in _SCALAR.findall(found[2]))
    scalars = {key: value.strip("'\"") for key, value in written if value}
    return (text[found.end() :].lstrip("\r\n"), scalars) if scalars else (text, {})


def _document(number: int, data: bytes, trouble: Damage | None, job: Job, offset: int) -> Record:
    if trouble:
        return failed(number, trouble.reason, data or trouble.detail, offset)
    found = decode(data, job.spec.encoding)
    if found is None:
        return failed(number, "bad_encoding", data, offset)
    if found.replaced:
        job.tallies["replaced_bytes"] += found.replaced
    if found.encoding != "utf-8":
        job.tallies[f"encoding.{found.encoding}"] += 1
    return Record(number, found.text, offset=offset)


def _pieces(stream: Iterator[Block], job: Job, separator: str) -> Iterator[Record]:
    """Pieces of a file of any size; the separator is searched for in the file's own encoding."""
    mark = separator.encode(codec(job.spec.encoding or "utf-8") or "utf-8")
    limit = job.max_record_bytes
    held, number, offset, skipped = b"", 0, 0, 0
    for block in stream:
        if isinstance(block, Damage):
            yield failed(number, block.reason, held or block.detail, offset)
            offset += skipped + len(held)
            held, skipped, number = b"", 0, number + 1
            continue
        begin = max(0, len(held) - len(mark) + 1)
        held += block
        while (end := held.find(mark, begin)) >= 0:
            yield from _piece(number, held[:end], skipped, job, offset)
            offset += skipped + end + len(mark)
            held, begin, skipped, number = held[end + len(mark) :], 0, 0, number + 1
        if len(held) > limit + len(mark):
            keep = len(mark)
            skipped += len(held) - keep
            held = held[-keep:]
    yield from _piece(number, held, skipped, job, offset)


def _piece(number: int, data: bytes, skipped: int, job: Job, offset: int) -> Iterator[Record]:
    if skipped or len(data) > job.max_record_bytes:
        yield failed(number, "too_long", data, offset)
    elif data.strip():
        yield _document(number, data, None, job, offset)
