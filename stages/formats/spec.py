"""What a recipe says of a source, and which extension or first bytes mean which format.

Does not open files: it looks at names and at bytes that others read.
"""

from __future__ import annotations

import importlib.util
import re
from typing import Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stages.formats.encodings import codec

Format = Literal["jsonl", "parquet", "arrow", "csv", "tsv", "txt", "md", "html", "warc", "arc"]

EXTENSIONS: Final[dict[str, Format]] = {
    "jsonl": "jsonl", "ndjson": "jsonl", "json": "jsonl",
    "parquet": "parquet", "pq": "parquet",
    "arrow": "arrow", "feather": "arrow", "ipc": "arrow",
    "csv": "csv", "tsv": "tsv", "tab": "tsv",
    "txt": "txt", "text": "txt",
    "md": "md", "markdown": "md",
    "html": "html", "htm": "html", "xhtml": "html",
    "warc": "warc", "wet": "warc", "wat": "warc",
    "arc": "arc",
}  # fmt: skip
"""Extension (lower case) -> format. `.json` is read as JSON Lines, as most corpora mean it."""

COMPRESSED: Final = frozenset({"gz", "gzip", "zst", "zstd", "bz2", "xz"})

MAGIC: Final[tuple[tuple[re.Pattern[bytes], Format], ...]] = (
    (re.compile(rb"PAR1"), "parquet"),
    (re.compile(rb"ARROW1\0\0"), "arrow"),
    (re.compile(rb"WARC/\d\.\d+\r?\n"), "warc"),
    (re.compile(rb"filedesc://[^\n]{1,4096}\n"), "arc"),
)
"""First bytes that cannot mean anything else: they win over the extension."""

_LOOKS: Final[tuple[tuple[re.Pattern[bytes], Format], ...]] = (
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*\{"), "jsonl"),
    (
        re.compile(
            rb"(?i)(?:\xef\xbb\xbf)?\s*(?:<!--.{0,400}?-->\s*)?<(?:!doctype\s+html|html[\s>])", re.DOTALL
        ),
        "html",
    ),
)


class SourceSpec(BaseModel):
    """One source: where its files lie and how its records look."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    """Name of the source: letters, digits, `_ . -`; part of every doc_id."""

    paths: tuple[str, ...] = Field(min_length=1)
    """Files, directories and globs (`**` too) relative to the recipe; of directories the known extensions."""

    format: Format | None = None
    """Format of all its files; by default from the extension and, failing that, from the first bytes."""

    text: str = "text"
    """Field or column of the text; `a.b` looks inside `a`."""

    id: str = "id"
    """Field or column of the id that the data carries (kept as `orig_id`)."""

    url: str = "url"
    """Field or column of the document's address."""

    encoding: str | None = None
    """Encoding of text files and of lines that are not UTF-8; detected by default."""

    root: str | None = None
    """Directory that file names are relative to and that no file may lie outside of."""

    separator: str | None = None
    """String between the documents of a `txt` file; without it a file is one document."""

    extractor: Literal["article", "resiliparse", "trafilatura"] = "article"
    """What turns HTML into text: resiliparse's main content with its blocks judged, as it is, or trafilatura."""

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        if self.extractor == "trafilatura" and importlib.util.find_spec("trafilatura") is None:
            raise ValueError("extractor: trafilatura needs `pip install gristmill[trafilatura]`")
        if self.encoding and codec(self.encoding) is None:
            raise ValueError(
                f"encoding: {self.encoding!r} is no encoding of text; write utf-8, gb18030, shift_jis, cp1252 "
                "or the like, or leave it out to have it detected"
            )
        return self


class Kind(NamedTuple):
    """What a file's name says of it."""

    format: Format | None
    compressed: bool


def kind_of_name(name: str) -> Kind:
    """Format and compression by extension: `a.warc.wet.gz` is a compressed WARC; None where unknown."""
    parts = name.rpartition("/")[2].lower().split(".")
    compressed = len(parts) > 1 and parts[-1] in COMPRESSED
    if compressed:
        parts.pop()
    return Kind(EXTENSIONS.get(parts[-1]) if len(parts) > 1 else None, compressed)


def format_of(spec: SourceSpec, name: str, head: bytes) -> Format | None:
    """The format of a file from what the recipe says, its (decompressed) first bytes and its name.

    The recipe wins; then bytes that can mean one format only; then the extension; then a look at the
    bytes: JSON objects, HTML, else text if nothing speaks against it. None: nobody can tell.
    """
    if spec.format:
        return spec.format
    for pattern, format_ in MAGIC:
        if pattern.match(head):
            return format_
    named = kind_of_name(name).format
    if named:
        return named
    for pattern, format_ in _LOOKS:
        if pattern.match(head):
            return format_
    return "txt" if head and not re.search(rb"[\x00-\x08\x0e-\x1a\x7f]", head) else None
