"""Benchmark files as an index of grams: what `decontaminate` looks for, and which items it came from.

Every item has parts: question, answer, passage, and question and answer joined, of which only the grams that
reach from one into the other are new. A part of at least n tokens gives all its n-grams, a shorter one is one
gram, and an item none of whose parts is long enough cannot be checked (RULES 12.2). An item that repeats an
earlier one of its benchmark is indexed once.
"""

from __future__ import annotations

import gzip
import io
import json
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from backports import zstd
from pydantic import BaseModel, ConfigDict, Field

from stages.base import StageError
from stages.columns import TEXT, utf8
from stages.kernels.ngrams import Rules, Table, grams_of, table_of


class Benchmark(BaseModel):
    """One benchmark: its files, and which fields of their records are matched."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Field(min_length=1)
    """How evidence and report call it."""

    paths: tuple[str, ...] = Field(min_length=1)
    """JSON Lines files (.gz and .zst too), globs allowed."""

    question: str | None = "question"
    """Field of the question; dots lead into nested objects, lists are joined by spaces."""

    answer: str | None = None
    """Field of the answer, matched alone and joined to the question."""

    passage: str | None = None
    """Field of a context that the question is about."""

    id: str | None = "id"
    """Field of the item's name; where a record has none, its number in the benchmark, from 0."""


@dataclass(frozen=True)
class Count:
    """What became of the items of one benchmark when it was indexed."""

    items: int
    repeated: int
    not_checkable: int


@dataclass(frozen=True)
class Index:
    """All benchmarks, indexed.

    Attributes:
        table: the grams.
        weak: bool[grams], grams of too few different tokens or of too many texts to convict alone.
        starts: int64[grams + 1], where in `items` the items of each gram lie.
        items: int64[], items, ascending for each gram.
        benchmark: int64[items], place of each item's benchmark.
        names: the items' names.
        counts: by benchmark.
    """

    table: Table
    weak: npt.NDArray[np.bool_]
    starts: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    benchmark: npt.NDArray[np.int64]
    names: tuple[str, ...]
    counts: tuple[Count, ...]

    def items_of(self, gram: int) -> npt.NDArray[np.int64]:
        """The items that hold a gram."""
        return self.items[self.starts[gram] : self.starts[gram + 1]]


def _records(path: Path) -> Iterator[dict[str, Any]]:
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    elif path.suffix == ".zst":
        content = zstd.decompress(content)
    for number, line in enumerate(io.BytesIO(content), 1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise StageError(f"{path}, line {number}: not a JSON object ({error})") from error


def _value(record: dict[str, Any], field: str | None) -> str:
    """The text of a field; empty where there is none."""
    if field is None:
        return ""
    found: Any = record
    for step in field.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    if isinstance(found, list):
        return " ".join(str(value) for value in found)
    return "" if found is None else str(found)


class _Texts:
    """The parts of all items, each distinct text once, with the items that it belongs to."""

    def __init__(self) -> None:
        self.items_of: dict[tuple[str, int], list[int]] = {}  # (text, seam) -> items

    def add(self, item: int, question: str, answer: str, passage: str) -> None:
        for text in {question, answer, passage} - {""}:
            self.items_of.setdefault((text, -1), []).append(item)
        if question and answer:
            joined = (f"{question}\n{answer}", len(question.encode()))
            self.items_of.setdefault(joined, []).append(item)


def _gather(benchmark: Benchmark, paths: Sequence[Path], first: int, texts: _Texts) -> tuple[list[str], int]:
    """Adds a benchmark's items, numbered from `first`; returns their names and how many records repeat one."""
    names: list[str] = []
    seen: set[tuple[str, ...]] = set()
    known: dict[str, None] = {}
    records = 0
    for path in paths:
        for record in _records(path):
            values = [
                _value(record, field) for field in (benchmark.question, benchmark.answer, benchmark.passage)
            ]
            parts = tuple(unicodedata.normalize("NFC", value) for value in values)
            known |= dict.fromkeys(record)
            if parts not in seen:
                seen.add(parts)
                texts.add(first + len(names), *parts)
                names.append(_value(record, benchmark.id) or str(records))
            records += 1
    if not seen - {("", "", "")}:
        fields = [field for field in (benchmark.question, benchmark.answer, benchmark.passage) if field]
        raise StageError(
            f"benchmark {benchmark.name}: no record has text in {' or '.join(fields) or 'any field'}; its "
            f"records have {', '.join(known) or 'no fields at all'}; name the right ones under question:, "
            "answer: or passage:"
        )
    return names, records - len(names)


@lru_cache(maxsize=2)
def _index(
    benchmarks: tuple[Benchmark, ...],
    files: tuple[tuple[tuple[Path, int, int], ...], ...],
    rules: Rules,
    min_distinct: int,
    max_texts: int | None,
) -> Index:
    texts = _Texts()
    names: list[str] = []
    numbers: list[int] = []
    repeated: list[int] = []
    for number, benchmark in enumerate(benchmarks):
        found, again = _gather(benchmark, [path for path, _, _ in files[number]], len(names), texts)
        names += found
        numbers += [number] * len(found)
        repeated.append(again)
    data, offsets = utf8(pa.array([text for text, _ in texts.items_of], TEXT))
    seams = np.array([seam for _, seam in texts.items_of], np.int64)
    grams = grams_of(data, offsets, seams, rules)
    table = table_of(grams, rules.head)
    places = np.searchsorted(table.grams, grams.grams)
    pairs = np.unique(np.stack([places, grams.owners], 1), axis=0)
    weak = np.zeros(len(table.grams), np.bool_)
    weak[places[grams.distinct < min_distinct]] = True
    if max_texts is not None:
        weak |= np.bincount(pairs[:, 0], minlength=len(weak)) > max_texts
    owned = list(texts.items_of.values())
    sizes = np.array([len(items) for items in owned], np.int64)
    flat = np.array([item for items in owned for item in items], np.int64)
    of_text = pa.LargeListArray.from_arrays(pa.array(np.append(0, np.cumsum(sizes))), pa.array(flat))
    items = of_text.take(pa.array(pairs[:, 1])).flatten().to_numpy()
    both = np.unique(np.stack([np.repeat(pairs[:, 0], sizes[pairs[:, 1]]), items], 1), axis=0)
    starts = np.searchsorted(both[:, 0], np.arange(len(weak) + 1))
    of_benchmark = np.array(numbers, np.int64)
    checked = np.zeros(len(names), np.bool_)
    checked[both[:, 1]] = True
    counts = tuple(
        Count(int(own.sum()), repeated[number], int((own & ~checked).sum()))
        for number in range(len(benchmarks))
        for own in [of_benchmark == number]
    )
    return Index(table, weak, starts, both[:, 1], of_benchmark, tuple(names), counts)


def index_of(
    benchmarks: tuple[Benchmark, ...],
    files: Sequence[Sequence[Path]],
    rules: Rules,
    min_distinct: int,
    max_texts: int | None,
) -> Index:
    """The index of these benchmarks; kept in memory as long as neither files nor rules change.

    Args:
        benchmarks: which fields are matched.
        files: the files of each.
        rules: lengths of grams.
        min_distinct: grams with fewer different tokens are weak.
        max_texts: grams in more different texts than this are weak; None: never.

    Raises:
        StageError: a file is not JSON Lines, or a benchmark has none of the fields.
    """
    stamped = tuple(
        tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in paths) for paths in files
    )
    return _index(benchmarks, stamped, rules, min_distinct, max_texts)
