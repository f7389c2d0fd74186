"""Benchmark files as texts: what `decontaminate` looks for, and which items it came from.

Every item has parts: questions, answers, passages, and every question and answer joined, of which only the
grams that reach from one into the other are new (RULES 12.2). An item that repeats an earlier one of its
benchmark counts once. A part is looked for as it stands and, where that makes other words, without the marks
inside it: "3,650" is also "3650". Grams are the business of `gramindex`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from stages.base import StageError
from stages.formats.benchmark import records

Fields = str | tuple[str, ...] | None

_FIELDS_SHOWN: Final = 30

# Marks between two characters of words: whoever deletes punctuation makes one word of two. Characters that are
# words by themselves (Thai, Lao, Burmese, Khmer, Han, kana) stay apart whatever stands between them.
_WORD: Final = r"[^\W_\u0E00-\u0EFF\u1000-\u109F\u1780-\u17FF\u2E80-\u312F\u31F0-\u9FFF\uF900-\uFAFF]"
_BEFORE_WORD: Final = re.compile(rf"[.,:;!?…，。、；：！？．]{_WORD}")
_MARKS: Final = re.compile(rf"(?<={_WORD})[.,:;!?…，。、；：！？．]+(?={_WORD})")


class Benchmark(BaseModel):
    """One benchmark: its files, and which fields of their records are matched.

    Dots lead into nested objects and into every object of a list, unless a field's own name has them; lists of values are joined by spaces;
    `choices[gold]` is the choice that the field `gold` numbers from 0 or names by a letter from A. Where
    several fields are named, each is a text of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Field(min_length=1)
    """How evidence and report call it."""

    paths: tuple[str, ...] = Field(min_length=1)
    """Files of records: JSON Lines, a JSON array, CSV, TSV, Parquet, Arrow, or plain text, of which every line
    is a record with the field `text`; compressed or not; globs allowed."""

    question: Fields = "question"
    """Field of the question, or a list of fields."""

    answer: Fields = None
    """Field of the answer, or a list of them; matched alone and joined to each question."""

    passage: Fields = None
    """Field of a context that the question is about, or a list of fields."""

    id: str | None = "id"
    """Field of the item's name; where a record has none, its number in the benchmark, from 0."""


@dataclass(frozen=True)
class Count:
    """What became of the items of one benchmark when it was indexed."""

    items: int
    repeated: int
    not_checkable: int


@dataclass
class Texts:
    """The parts of all items.

    Attributes:
        items_of: (text, seam) -> items it belongs to; every distinct text once, numbered by its place here.
            The seam is the bytes of the first of two joined texts, -1 where nothing was joined.
        names: of the items.
        benchmark: of each item the place of its benchmark.
        repeated: by benchmark, records that say the same as an earlier one.
    """

    items_of: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    benchmark: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)

    def add(self, questions: Sequence[str], answers: Sequence[str], passages: Sequence[str]) -> None:
        """Adds the parts of the item that was named last."""
        item = len(self.names) - 1
        parts = [(text, -1) for text in dict.fromkeys([*questions, *answers, *passages])]
        parts += [(f"{q}\n{a}", len(q.encode())) for q in questions for a in answers]
        for part in dict.fromkeys(parts):
            self.items_of.setdefault(part, []).append(item)

    def spellings(self) -> tuple[list[str], list[int], list[int]]:
        """The texts, then those that read otherwise without the marks inside: text, seam, number of the text."""
        texts = [text for text, _ in self.items_of]
        seams = [seam for _, seam in self.items_of]
        numbers = list(range(len(texts)))
        for number, (text, seam) in enumerate(self.items_of):
            if not _BEFORE_WORD.search(text):  # ten times as fast, and true of most
                continue
            parts = (
                [text] if seam < 0 else [text.encode()[:seam].decode(), text.encode()[seam + 1 :].decode()]
            )
            other = [_MARKS.sub("", part) for part in parts]
            if other != parts:
                texts.append("\n".join(other))
                seams.append(-1 if seam < 0 else len(other[0].encode()))
                numbers.append(number)
        return texts, seams, numbers


def _values(found: Any, steps: Sequence[str]) -> Any:
    """What the steps of a field lead to; None where they lead nowhere."""
    for place, step in enumerate(steps):
        if isinstance(found, list):
            inner = [_values(value, steps[place:]) for value in found]
            return [value for value in inner if value is not None]
        found = found.get(step) if isinstance(found, dict) else None
    return found


def _value(record: dict[str, Any], name: str) -> str:
    """The text of a field; empty where there is none."""
    name, _, chosen = name.removesuffix("]").partition("[")
    found = record[name] if name in record else _values(record, name.split("."))
    if isinstance(found, list) and chosen:
        number = _value(record, chosen)
        place = int(number) if number.isdecimal() else "ABCDEFGHIJ".find(number) if len(number) == 1 else -1
        return _text(found[place]) if 0 <= place < len(found) else ""
    return _text(found)


def _text(value: Any) -> str:
    """A value as text, of a list the values joined; an object is none, its fields have names of their own."""
    if isinstance(value, list):
        return " ".join(filter(None, map(_text, value)))
    return "" if value is None or isinstance(value, dict) else str(value)


def _named(fields: Fields) -> tuple[str, ...]:
    return () if fields is None else (fields,) if isinstance(fields, str) else fields


def _paths_in(value: Any, before: str = "") -> Iterator[str]:
    """The fields of a record, nested ones with dots."""
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _paths_in(inner, f"{before}.{name}" if before else str(name))
    elif before:
        yield before


def gather(benchmarks: Sequence[Benchmark], files: Sequence[Sequence[Path]]) -> Texts:
    """The texts of all items of all benchmarks.

    Raises:
        StageError: no record of a benchmark has text in one of the fields that the recipe names.
        BenchmarkFileError: a file is broken.
    """
    texts = Texts()
    for number, benchmark in enumerate(benchmarks):
        _gather(number, benchmark, files[number], texts)
    return texts


def _gather(number: int, benchmark: Benchmark, paths: Sequence[Path], texts: Texts) -> None:
    kinds = [_named(fields) for fields in (benchmark.question, benchmark.answer, benchmark.passage)]
    asked = dict.fromkeys(name for names in kinds for name in names)
    named = benchmark.id if benchmark.id != "id" else None  # many have no `id`: the default may lead nowhere
    missing = dict.fromkeys([*asked, *([named] if named else [])])
    known: dict[str, None] = {}
    seen: set[tuple[tuple[str, ...], ...]] = set()
    count = 0
    for path in paths:
        for record in records(path):
            found = {name: unicodedata.normalize("NFC", _value(record, name)) for name in asked}
            identity = _value(record, benchmark.id) if benchmark.id else ""
            if missing:
                known |= dict.fromkeys(_paths_in(record))
                for name in [name for name in missing if found.get(name) or (name == named and identity)]:
                    del missing[name]
            parts = tuple(tuple(found[name] for name in names if found[name]) for names in kinds)
            if parts not in seen:
                seen.add(parts)
                texts.names.append(identity or str(count))
                texts.benchmark.append(number)
                texts.add(*parts)
            count += 1
    if missing or not any(any(parts) for parts in seen):
        fields = list(known)[:_FIELDS_SHOWN] + ["…"] * (len(known) > _FIELDS_SHOWN)
        raise StageError(
            f"benchmark {benchmark.name}: no record has text in {' or '.join(missing) or 'any field'}; its "
            f"{count:,} records have {', '.join(fields) or 'no fields at all'}; name the right ones under "
            "question:, answer:, passage: or id:"
        )
    texts.repeated.append(count - len([place for place in texts.benchmark if place == number]))
