"""HTML pages: the right charset, then the main text.

Parsing happens in a child process (`extractor.py`), because native code cannot be stopped from within.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from stages.formats.encodings import decode_page, plainly_utf8
from stages.formats.extractor import Extractor
from stages.formats.metadata import every_path
from stages.formats.plain import whole
from stages.formats.rows import Job, Record, failed
from stages.formats.streams import Block

_PRESCAN: Final = 4096
_TITLE: Final = re.compile(r"<title[^>]{0,200}>(.{0,2000}?)</title", re.DOTALL | re.IGNORECASE)
_TITLE_WITHIN: Final = 1 << 16  # bytes: the head of a page, bounded
_META: Final = re.compile(
    rb"""<(?:meta[^>]{0,400}?charset\s*=|\?xml[^>]{0,400}?encoding\s*=)\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""",
    re.IGNORECASE,
)


def declared_charsets(data: bytes, header: str | None = None) -> list[str]:
    """The charsets that the HTTP header and the page's first 4 kB claim, in that order of trust."""
    claims = [header] if header else []
    return claims + [found.decode("ascii") for found in _META.findall(data[:_PRESCAN])]


def read_html(stream: Iterator[Block], job: Job, extractor: Extractor) -> Iterator[Record]:
    """The file as one page."""
    data, trouble = whole(stream, job.max_record_bytes)
    if trouble:
        yield failed(0, trouble.reason, data or trouble.detail, 0)
    else:
        yield page(data, None, 0, job, extractor)._replace(offset=0)


def page(
    data: bytes,
    header: str | None,
    number: int,
    job: Job,
    extractor: Extractor,
    fields: Mapping[str, Any] | None = None,
) -> Record:
    """The main text of one page; its `title` is a field for metadata.

    Args:
        data: the page, transfer and content encodings undone.
        header: the charset of the HTTP header, if it names one.
        number: the record's number.
        job: the reader's job.
        extractor: what turns HTML into text.
        fields: what is known of the page besides.
    """
    if plainly_utf8(data):
        text, shown = extractor.text(data), data
    else:
        claims = [job.spec.encoding] if job.spec.encoding else declared_charsets(data, header)
        found = decode_page(data, claims)
        if found is None:
            return failed(number, "bad_encoding", data)
        text, shown = extractor.text(found.text), found.text.encode("utf-8", "replace")
        if found.encoding != "utf-8" and text is not None:
            job.tallies[f"encoding.{found.encoding}"] += 1
        if found.replaced and text is not None:
            job.tallies["replaced_bytes"] += found.replaced
    if text is None:
        return failed(number, "bad_page", shown)
    return Record(number, text, metadata=job.described({**title(shown, job), **(fields or {})}))


def title(markup: bytes, job: Job) -> dict[str, str]:
    """The page's title as the field `title`, looked for only if metadata asks for it."""
    if "title" not in every_path(job.metadata):
        return {}
    found = _TITLE.search(markup[:_TITLE_WITHIN].decode("utf-8", "replace"))
    return {"title": " ".join(html.unescape(found[1]).split())} if found else {}
