"""Load: files become rows, whatever they are.

Files are cut into slices, each a function of one file (or of one neighbourhood of small files) alone, so
that adding a file leaves the others as they are. A slice is read record by record into tables of about
`part_bytes` of text. Every record is a row: a good one with text, or one without text and with the reason
why it cannot be read. Formats are read in `stages/formats/`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Self

import pyarrow as pa
from pydantic import Field, PositiveInt, model_validator

from stages.base import Found, InputFile, Share, Slice, Source
from stages.formats import arrow, delimited, discover, html, lines, parquet, plain, rows, warc
from stages.formats.encodings import stream_encoding
from stages.formats.extractor import Extractor
from stages.formats.metadata import Metadata, kinds
from stages.formats.rows import Good, Job, Record, failed
from stages.formats.spec import SourceSpec, format_of, kind_of_name
from stages.formats.streams import Damage, NotRegularError, blocks, compressed, open_regular
from stages.naming import stage_class, stage_names

RESERVED = ("row", "reason", "alive", "part", "bucket", "weight", "fate")
"""Columns that the pipeline adds; no metadata may have these names."""

_HEAD = 4096
"""First bytes of a file, which tell its format."""

_OPENING = 4096
"""What opening a file costs, as bytes of reading."""

_SPARED = 64 << 20
"""Bytes that any compressed file may expand to."""

_EXPANSION = 4
"""Bytes that a byte of a compressed file is taken for."""


class Load(Source):
    """Reads JSONL, Parquet, Arrow, CSV, text, Markdown, HTML, WARC, WET and ARC, plain or compressed.

    Every record becomes a row, good or with the reason why it could not be read.
    """

    version: ClassVar[int] = 3
    writes: ClassVar = rows.WRITES
    meanings: ClassVar = rows.MEANINGS
    reasons: ClassVar = rows.REASONS
    libraries: ClassVar = ("pyarrow", "orjson", "resiliparse")
    guards: ClassVar = frozenset({"max_drop", "max_quarantine"})

    sources: tuple[SourceSpec, ...] = Field(min_length=1)
    """Where the documents come from."""

    metadata: Metadata = Field(default_factory=dict)
    """Fields of the records to keep as columns, `{date: date, topic: {field: meta.topic, type: string}}`: those
    of JSON, CSV and Parquet, of Markdown's front matter, `title` of HTML pages, `date`, `content_type` and header
    fields of archives. Null where a record has none, or (counted as `unfit.NAME`) one of another type.
    """

    part_bytes: PositiveInt = 32_000_000
    """UTF-8 bytes of text that a part holds, about."""

    max_record_bytes: PositiveInt = 64_000_000
    """Bytes of the longest record; longer ones are quarantined unread."""

    max_ratio: PositiveInt = 200
    """Bytes that a byte of a compressed file may expand to (beyond 64 MiB) before it counts as a bomb."""

    max_quarantine: Share = 0.01
    """Largest share of all records that may be unreadable before the run stops (exit 3)."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for name, count in Counter(spec.name for spec in self.sources).items():
            if count > 1:
                raise ValueError(f"{name!r} is the name of two sources; ids hang on it, so give each its own")
        return self

    @property
    def written(self) -> Mapping[str, pa.DataType]:
        """The columns of every record, and those of its metadata."""
        return {**self.writes, **kinds(self.metadata)}

    def check(self, sizes: Mapping[str, int]) -> list[tuple[tuple[str | int, ...], str]]:
        """Names of metadata that are taken."""
        del sizes
        if not self.metadata:
            return []
        taken = dict.fromkeys(RESERVED, "the pipeline")
        taken |= {name: f"stage {word}" for word in stage_names() for name in stage_class(word).writes}
        return [
            (
                ("metadata", name),
                f"{name!r} is a column of {taken[name]}; choose another name: {{my_{name}: {{field: {name}, ...}}}}",
            )
            for name in self.metadata
            if name in taken
        ]

    def spec(self, source: str) -> SourceSpec:
        """The source of this name."""
        return next(spec for spec in self.sources if spec.name == source)

    def source_names(self) -> tuple[str, ...]:
        """The sources in the order of the recipe, which is their order of priority."""
        return tuple(spec.name for spec in self.sources)

    def discover(self, base: Path) -> tuple[list[Found], list[tuple[tuple[str | int, ...], str]]]:
        """The files of all sources; a pattern that matches nothing is a complaint."""
        found: list[Found] = []
        wrong: list[tuple[tuple[str | int, ...], str]] = []
        for number, spec in enumerate(self.sources):
            try:
                for name, path, refused in discover.discover(spec, base):
                    most = 0 if refused else self._most_text(path)
                    found.append(Found(spec.name, name, path, most, refused))
            except discover.NoFilesError as error:
                wrong.append((("sources", number, "paths", error.place), str(error)))
        return found, wrong

    def _most_text(self, path: Path) -> int:
        """Bytes of text that a file can hold: what packs it, or a narrow encoding, bounds the growth."""
        size, kind = path.stat().st_size, kind_of_name(path.name)
        packed = kind.compressed or kind.format in {"parquet", "arrow"}
        return max(_SPARED, size * self.max_ratio) if packed else size * 3

    def digest(self, found: Found) -> InputFile:
        """Size, digest and line counts of a file, in one pass."""
        return discover.examine(
            discover.Found(found.name, found.path, found.refused), found.source, self.part_bytes
        )

    def for_slice(self, piece: Slice) -> Self:
        """This stage with one source."""
        return self.model_copy(update={"sources": (self.spec(piece.source),)})

    def slice_identity(self, piece: Slice) -> dict[str, Any]:
        """The parameters that decide what a slice becomes: its own source's, not where the files lie."""
        metadata = self.model_dump(mode="json", include={"metadata"}) if self.metadata else {}
        return metadata | {
            "source": self.spec(piece.source).model_dump(mode="json", exclude={"paths", "root"}),
            "part_bytes": self.part_bytes,
            "max_record_bytes": self.max_record_bytes,
            "max_ratio": self.max_ratio,
        }

    def slices(self, files: Sequence[InputFile]) -> list[Slice]:
        """Ranges of big files that can be cut, big files that cannot, and groups of small files.

        Small files are taken in the order of their names; a group ends behind a file with the probability
        of its share in `part_bytes`, decided by the hash of its name: adding a file touches one group.
        """
        found: list[Slice] = []
        for source in dict.fromkeys(file.source for file in files):
            small: list[InputFile] = []
            for file in sorted((one for one in files if one.source == source), key=lambda one: one.name):
                if _weight(file) * 8 >= self.part_bytes:
                    found += self._cut(file)
                    continue
                small.append(file)
                if _ends_group(file, self.part_bytes):
                    found.append(_slice(small))
                    small = []
            if small:
                found.append(_slice(small))
        return found

    def _cut(self, file: InputFile) -> list[Slice]:
        """A big file as ranges of bytes or of row groups, if its format allows."""
        if file.size < self.part_bytes:
            return [_slice([file])]
        spec = self.spec(file.source)
        with open_regular(file.path) as opened:
            head = opened.read(_HEAD)
            format_ = None if compressed(head) else format_of(spec, file.name, head)
            wide = stream_encoding(head, spec.encoding or "utf-8").startswith(("utf-16", "utf-32"))
            if format_ == "jsonl" and file.lines and not wide and not lines.is_array(head):
                starts = range(0, file.size, self.part_bytes)
                return [
                    _slice([file], start, min(start + self.part_bytes, file.size), feeds)
                    for start, feeds in zip(starts, file.lines, strict=True)
                ]
            if format_ == "parquet":
                return self._row_groups(file, parquet.group_rows(opened, spec.text))
            if format_ == "arrow":
                return self._row_groups(file, arrow.batch_rows(opened))
        return [_slice([file])]

    def _row_groups(self, file: InputFile, groups: list[tuple[int, int]]) -> list[Slice]:
        """Neighbouring row groups or record batches together, up to `part_bytes` of text."""
        found: list[Slice] = []
        begin = first = held = number = 0
        for index, (count, size) in enumerate(groups):
            if held and held + size > self.part_bytes:
                found.append(_slice([file], begin, index, first))
                begin, first, held = index, number, 0
            number += count
            held += size
        return [*found, _slice([file], begin, -1, first)]

    def read(self, piece: Slice) -> Iterator[pa.Table]:
        """The slice's records; see `Source.read`. Tables also have `offset`, `excerpt`, tallies as metadata.

        `record` is the position in the file: the line (JSON Lines), row, archive record or piece, from 0.
        `offset` is a byte of the decompressed file, null where it is not known.
        """
        job = Job(self.spec(piece.source), self.max_record_bytes, self.max_ratio, self.metadata)
        with Extractor(job.spec.extractor) as extractor:
            files = ((file.name, _records(file, piece, job, extractor)) for file in piece.files)
            yield from rows.tables(job, files, self.part_bytes)


def _weight(file: InputFile) -> int:
    return file.size * (_EXPANSION if kind_of_name(file.name).compressed else 1) + _OPENING


def _hash(file: InputFile) -> str:
    return hashlib.blake2b(
        f"{file.source}\0{file.name}".encode(errors="surrogateescape"), digest_size=8
    ).hexdigest()


def _ends_group(file: InputFile, part_bytes: int) -> bool:
    return int(_hash(file), 16) * part_bytes < _weight(file) << 64


def _slice(files: list[InputFile], start: int = 0, stop: int = -1, first: int = 0) -> Slice:
    """A slice named after its last file, which ends its group whatever comes before it."""
    last = files[-1]
    return Slice(f"{last.source}-{_hash(last)}-{start:06d}", last.source, tuple(files), start, stop, first)


def _records(file: InputFile, piece: Slice, job: Job, extractor: Extractor) -> Iterator[Record | Good]:
    """The records of one file; nothing but regular files inside the root is opened."""
    if file.sha256 in discover.REFUSED:
        yield failed(0, file.sha256, file.name)
        return
    try:
        opened = open_regular(file.path)
    except NotRegularError:
        yield failed(0, "not_regular", file.name)
        return
    with closing(opened):
        yield from _read(opened, file.name, piece, job, extractor)


def _read(
    opened: BinaryIO, name: str, piece: Slice, job: Job, extractor: Extractor
) -> Iterator[Record | Good]:
    """The records of an open file, by its format."""
    head = opened.read(_HEAD)
    opened.seek(0)
    if not head:
        job.tallies["empty_files"] += 1
        return
    if piece.start or piece.stop >= 0:
        first = (piece.start, piece.stop, piece.first_record)
        ranges = {"parquet": parquet.read_parquet, "arrow": arrow.read_arrow}
        read = ranges.get(format_of(job.spec, name, head) or "", lines.read_range)
        yield from read(opened, job, *first)
        return
    packed = compressed(head)
    stream = blocks(opened, job.max_ratio)
    if packed:
        opening = next(stream, b"")
        head = b"" if isinstance(opening, Damage) else opening[:_HEAD]
        stream = chain([opening], stream)
    format_ = format_of(job.spec, name, head)
    if format_ in {"parquet", "arrow"} and packed:
        yield failed(0, "unreadable", f"{format_} inside a compressed file: decompress it first")
    elif format_ == "parquet":
        yield from parquet.read_parquet(opened, job, 0, -1, 0)
    elif format_ == "arrow":
        yield from arrow.read_arrow(opened, job, 0, -1, 0)
    elif format_ is None:
        yield failed(0, "unknown_format", head, 0)
    elif not packed and kind_of_name(name).compressed and b"\0" in head:
        yield failed(0, "unreadable", head, 0)
    elif format_ in {"html", "warc", "arc"}:
        pages = {"html": html.read_html, "warc": warc.read_warc, "arc": warc.read_arc}
        yield from pages[format_](stream, job, extractor)
    elif format_ in {"csv", "tsv"}:
        yield from delimited.read_delimited(stream, job, "," if format_ == "csv" else "\t")
    else:
        texts = {"jsonl": lines.read_jsonl, "txt": plain.read_text, "md": plain.read_markdown}
        yield from texts[format_](stream, job)
