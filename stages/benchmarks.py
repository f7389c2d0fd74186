"""Benchmark files as an index of grams: what `decontaminate` looks for, and which items it came from.

Every item has parts: question, answer, passage, and question and answer joined, of which only the grams that
reach from one into the other are new. A part of at least n tokens gives all its n-grams, a shorter one is one
gram, and an item none of whose parts is long enough cannot be checked (RULES 12.2). An item that repeats an
earlier one of its benchmark is indexed once.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from stages.base import StageError
from stages.columns import TEXT, utf8
from stages.formats.benchmark import records
from stages.kernels.characters import WORD, classes
from stages.kernels.ngrams import Grams, Rules, Table, distinct, grams_of, table_of


class Benchmark(BaseModel):
    """One benchmark: its files, and which fields of their records are matched."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Field(min_length=1)
    """How evidence and report call it."""

    paths: tuple[str, ...] = Field(min_length=1)
    """Files of records: JSON Lines, a JSON array, CSV, TSV, Parquet, Arrow, compressed or not; globs allowed."""

    question: str | None = "question"
    """Field of the question; dots lead into nested objects, lists are joined by spaces."""

    answer: str | None = None
    """Field of the answer, matched alone and joined to the question.

    `choices[gold]` is the choice that the field `gold` numbers from 0 or names by a letter from A.
    """

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
        starts: int64[grams + 1], where in `texts` the texts of each gram lie.
        texts: int64[], texts (parts of items), ascending for each gram.
        sizes: int64[texts], tokens that the grams of each text cover.
        owners: int64[texts + 1], where in `items` the items of each text lie.
        items: int64[], items.
        before, after: gram at a text's edge -> what stands beyond it there, but no white space.
        benchmark: int64[items], place of each item's benchmark.
        names: the items' names.
        counts: by benchmark.
    """

    table: Table
    weak: npt.NDArray[np.bool_]
    starts: npt.NDArray[np.int64]
    texts: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    owners: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    before: Mapping[int, set[str]]
    after: Mapping[int, set[str]]
    benchmark: npt.NDArray[np.int64]
    names: tuple[str, ...]
    counts: tuple[Count, ...]

    def texts_of(self, gram: int) -> npt.NDArray[np.int64]:
        """The texts that hold a gram."""
        return self.texts[self.starts[gram] : self.starts[gram + 1]]

    def items_of(self, gram: int) -> npt.NDArray[np.int64]:
        """The items that hold a gram, ascending."""
        texts = self.texts_of(gram).tolist()
        return np.unique(np.concatenate([self.items[self.owners[t] : self.owners[t + 1]] for t in texts]))

    def edges(self, gram: int, text: str, start: int, end: int) -> tuple[int, int]:
        """The span of a gram in a text, with the punctuation that surrounds its benchmark text, if it is there."""
        before = (len(own) for own in self.before.get(gram, ()) if text.endswith(own, 0, start))
        after = (len(own) for own in self.after.get(gram, ()) if text.startswith(own, end))
        return start - max(before, default=0), end + max(after, default=0)


def _value(record: dict[str, Any], field: str | None) -> str:
    """The text of a field; empty where there is none."""
    if field is None:
        return ""
    field, _, chosen = field.removesuffix("]").partition("[")
    found: Any = record
    for step in field.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    if isinstance(found, list) and chosen:
        number = _value(record, chosen)
        place = int(number) if number.isdecimal() else "ABCDEFGHIJ".find(number) if number else -1
        return str(found[place]) if 0 <= place < len(found) else ""
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
    count = 0
    for path in paths:
        for record in records(path):
            values = [
                _value(record, field) for field in (benchmark.question, benchmark.answer, benchmark.passage)
            ]
            parts = tuple(unicodedata.normalize("NFC", value) for value in values)
            known |= dict.fromkeys(record)
            if parts not in seen:
                seen.add(parts)
                texts.add(first + len(names), *parts)
                names.append(_value(record, benchmark.id) or str(count))
            count += 1
    if not seen - {("", "", "")}:
        fields = [field for field in (benchmark.question, benchmark.answer, benchmark.passage) if field]
        raise StageError(
            f"benchmark {benchmark.name}: no record has text in {' or '.join(fields) or 'any field'}; its "
            f"records have {', '.join(known) or 'no fields at all'}; name the right ones under question:, "
            "answer: or passage:"
        )
    return names, count - len(names)


def _beyond(
    texts: Sequence[tuple[str, int]], grams: Grams, places: npt.NDArray[np.int64]
) -> tuple[dict[int, set[str]], dict[int, set[str]]]:
    """What stands before the first token of a text and behind its last, by the gram there."""
    kinds = classes()
    before: dict[int, set[str]] = {}
    after: dict[int, set[str]] = {}
    for k in np.flatnonzero(grams.starts == 0).tolist():
        text, _ = texts[grams.owners[k]]
        first = next(at for at, c in enumerate(text) if kinds[ord(c)] & WORD)
        if found := text[:first].lstrip():
            before.setdefault(int(places[k]), set()).add(found)
    for k in np.flatnonzero(grams.starts + grams.lengths == grams.tokens[grams.owners]).tolist():
        text, _ = texts[grams.owners[k]]
        last = next(at for at in range(len(text) - 1, -1, -1) if kinds[ord(text[at])] & WORD)
        if found := text[last + 1 :].rstrip():
            after.setdefault(int(places[k]), set()).add(found)
    return before, after


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
    places = table.find(grams.grams)
    pairs = distinct(places << 32 | grams.owners)
    of_gram, of_text = pairs >> 32, pairs & 0xFFFFFFFF
    weak = np.zeros(len(table.grams), np.bool_)
    weak[places[grams.distinct < min_distinct]] = True
    if max_texts is not None:
        weak |= np.bincount(of_gram, minlength=len(weak)) > max_texts
    owned = list(texts.items_of.values())
    owners = np.append(0, np.cumsum([len(items) for items in owned])).astype(np.int64)
    items = np.array([item for own in owned for item in own], np.int64)
    least, most = np.full(len(owned), 1 << 40), np.zeros(len(owned), np.int64)
    np.minimum.at(least, grams.owners, grams.starts)
    np.maximum.at(most, grams.owners, grams.starts + grams.lengths)
    checked = np.zeros(len(names), np.bool_)
    checked[items[np.repeat(most > 0, np.diff(owners))]] = True
    of_benchmark = np.array(numbers, np.int64)
    counts = tuple(
        Count(int(own.sum()), repeated[number], int((own & ~checked).sum()))
        for number in range(len(benchmarks))
        for own in [of_benchmark == number]
    )
    before, after = _beyond(list(texts.items_of), grams, places)
    starts = np.searchsorted(of_gram, np.arange(len(weak) + 1))
    sizes = np.maximum(most - least, 0)
    return Index(
        table, weak, starts, of_text, sizes, owners, items, before, after, of_benchmark, tuple(names), counts
    )


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
        StageError: a benchmark has none of the fields.
        BenchmarkFileError: a file is broken.
    """
    stamped = tuple(
        tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in paths) for paths in files
    )
    return _index(benchmarks, stamped, rules, min_distinct, max_texts)
