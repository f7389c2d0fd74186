"""The grams of all benchmarks, filed: which windows of a document are in an item, and in which.

A part of at least n tokens gives all its n-grams, a shorter one is one gram, and an item none of whose parts
is long enough cannot be checked (RULES 12.2). Every process builds the index once, however many parts of the
corpus it scans. What is done with hits is the business of `decontaminate` and `evidence`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.attached import Stamped, stamped
from stages.benchmarks import Benchmark, Count, Texts, gather
from stages.columns import TEXT, utf8
from stages.kernels.characters import WORD, classes
from stages.kernels.lengths import Rules
from stages.kernels.ngrams import Grams, Table, distinct, grams_of, spans_of, table_of

I32 = npt.NDArray[np.int32]

Files = tuple[Stamped, ...]
"""By benchmark its files, each with the time of its last change (ns) and its size (bytes)."""

Edges = Mapping[int, frozenset[str]]


@dataclass(frozen=True)
class Index:
    """All benchmarks, indexed.

    Attributes:
        table: the grams.
        weak: bool[grams], grams of too few different tokens or of too many texts to convict alone.
        starts: int32[grams + 1], where in `texts` the texts of each gram lie.
        texts: int32[], texts (parts of items), ascending for each gram.
        sizes: int32[texts], tokens that the grams of each text cover.
        owners: int32[texts + 1], where in `items` the items of each text lie.
        items: int32[], items.
        before, after: gram at a text's edge -> what stands beyond it there, but no white space.
        benchmark: int32[items], place of each item's benchmark.
        names: the items' names.
        counts: by benchmark.
        source: what it was made from.
    """

    table: Table
    weak: npt.NDArray[np.bool_]
    starts: I32
    texts: I32
    sizes: I32
    owners: I32
    items: I32
    before: Edges
    after: Edges
    benchmark: I32
    names: tuple[str, ...]
    counts: tuple[Count, ...]
    source: tuple[tuple[Benchmark, ...], Files, Rules]

    def texts_of(self, gram: int) -> I32:
        """The texts that hold a gram."""
        return self.texts[self.starts[gram] : self.starts[gram + 1]]

    def items_of(self, gram: int) -> I32:
        """The items that hold a gram, ascending."""
        texts = self.texts_of(gram).tolist()
        return np.unique(np.concatenate([self.items[self.owners[t] : self.owners[t + 1]] for t in texts]))

    def edges(self, gram: int, text: str, start: int, end: int) -> tuple[int, int]:
        """The span of a gram in a text, with the punctuation that surrounds its benchmark text, if it is there."""
        before = (_along(text, start, own, -1) for own in self.before.get(gram, ()))
        after = (_along(text, end, own, 1) for own in self.after.get(gram, ()))
        return min(before, default=start), max(after, default=end)


def _along(text: str, at: int, edge: str, step: int) -> int:
    """Where punctuation ends that stands at a place, read forwards (1) or backwards (-1); `at` if it does not.

    Where it has white space, the text may have any, or none.
    """
    place = at if step > 0 else at - 1
    for character in edge[::step]:
        if character.isspace():
            while 0 <= place < len(text) and text[place].isspace():
                place += step
        elif 0 <= place < len(text) and text[place] == character:
            place += step
        else:
            return at
    return place if step > 0 else place + 1


@dataclass(frozen=True)
class Phrase:
    """Grams of one benchmark text that follow on each other.

    Attributes:
        text: what they say, as the benchmark writes it.
        documents: how many different documents have the commonest of them.
        item: an item that says it.
        whole: whether that is all that the text says.
    """

    text: str
    documents: int
    item: int
    whole: bool


def _grams(texts: Texts, rules: Rules) -> tuple[list[str], npt.NDArray[np.int64], Grams, Any]:
    """The spellings, the text of each, the grams of all, and the spellings as bytes and offsets."""
    spellings, seams, numbers = texts.spellings()
    encoded = utf8(pa.array(spellings, TEXT))
    return (
        spellings,
        np.array(numbers, np.int64),
        grams_of(*encoded, np.array(seams, np.int64), rules),
        encoded,
    )


def _beyond(spellings: Sequence[str], grams: Grams, places: I32) -> tuple[Edges, Edges]:
    """What stands before the first token of a text and behind its last, by the gram there."""
    kinds = classes()
    before: dict[int, frozenset[str]] = {}
    after: dict[int, frozenset[str]] = {}
    pool: dict[frozenset[str], frozenset[str]] = {}  # most are "." or "?": each is kept once
    first = grams.starts == 0
    last = grams.starts + grams.lengths == grams.tokens[grams.owners]
    for mine, edges, tail in ((first, before, False), (last, after, True)):
        for place, owner in zip(places[mine].tolist(), grams.owners[mine].tolist(), strict=True):
            text = spellings[owner]
            if tail:
                edge = next(at for at in range(len(text), 0, -1) if kinds[ord(text[at - 1])] & WORD)
                found = text[edge:].rstrip()
            else:
                edge = next(at for at in range(len(text)) if kinds[ord(text[at])] & WORD)
                found = text[:edge].lstrip()
            if found and found not in edges.get(place, ()):
                both = edges.get(place, frozenset()) | {found}
                edges[place] = pool.setdefault(both, both)
    return before, after


@lru_cache(maxsize=2)
def _index(
    benchmarks: tuple[Benchmark, ...], files: Files, rules: Rules, min_distinct: int, max_texts: int | None
) -> Index:
    texts = gather(benchmarks, [[path for path, _, _ in own] for own in files])
    spellings, numbers, grams, _ = _grams(texts, rules)
    table = table_of(grams, rules.head)
    places = table.find(grams.grams)
    pairs = distinct(places.astype(np.int64) << 32 | numbers[grams.owners])
    of_gram, of_text = pairs >> 32, (pairs & 0xFFFFFFFF).astype(np.int32)
    weak = np.zeros(len(table.grams), np.bool_)
    weak[places[grams.distinct < min_distinct]] = True
    if max_texts is not None:
        weak |= np.bincount(of_gram, minlength=len(weak)) > max_texts
    owned = list(texts.items_of.values())
    owners = np.append(0, np.cumsum([len(items) for items in owned])).astype(np.int32)
    items = np.array([item for own in owned for item in own], np.int32)
    written = grams.owners < len(owned)  # as the benchmark writes it: the other spellings come behind
    least, most = np.full(len(owned), 1 << 30, np.int32), np.zeros(len(owned), np.int32)
    ordered = grams.owners[written]
    # In the order of texts and places, so that what is assigned last is the first begin and the last end.
    least[ordered[::-1]] = grams.starts[written][::-1]
    most[ordered] = (grams.starts + grams.lengths)[written]
    checked = np.zeros(len(texts.names), np.bool_)
    checked[items[np.repeat(most > 0, np.diff(owners))]] = True
    of_benchmark = np.array(texts.benchmark, np.int32)
    counts = tuple(
        Count(int(own.sum()), texts.repeated[number], int((own & ~checked).sum()))
        for number in range(len(benchmarks))
        for own in [of_benchmark == number]
    )
    before, after = _beyond(spellings, grams, places)
    starts = np.searchsorted(of_gram, np.arange(len(weak) + 1)).astype(np.int32)
    sizes = np.maximum(most - least, 0)
    source = (benchmarks, files, rules)
    return Index(
        table, weak, starts, of_text, sizes, owners, items, before, after, of_benchmark, tuple(texts.names),
        counts, source,
    )  # fmt: skip


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
    return _index(benchmarks, tuple(map(stamped, files)), rules, min_distinct, max_texts)


def phrases(index: Index, *wanted: Mapping[int, int]) -> list[list[Phrase]]:
    """What some grams say: grams that follow on each other in a benchmark text are one phrase.

    The benchmarks are read once more: the index holds no texts.

    Args:
        index: the index.
        wanted: gram -> in how many documents it is; any number of them.

    Returns:
        For each of `wanted` every phrase once, the commonest first, then in alphabetical order.
    """
    if not any(wanted):
        return [[] for _ in wanted]
    benchmarks, files, rules = index.source
    texts = gather(benchmarks, [[path for path, _, _ in own] for own in files])
    spellings, _, grams, (data, offsets) = _grams(texts, rules)
    places = index.table.find(grams.grams)
    written = grams.owners < len(texts.items_of)
    told = []
    for own in wanted:
        frequency = np.zeros(len(index.weak), np.int64)
        frequency[list(own)] = list(own.values())
        found: dict[str, Phrase] = {}
        for first, last in _runs(grams, places, np.flatnonzero((frequency[places] > 0) & written)):
            owner = int(grams.owners[first])
            start, stop = int(grams.starts[first]), int(grams.starts[last] + grams.lengths[last])
            spans = spans_of(data, int(offsets[owner]), int(offsets[owner + 1]))
            text = spellings[owner][spans[start, 0] : spans[stop - 1, 1]]
            documents = int(frequency[places[first : last + 1]].max())
            item = int(index.items[index.owners[owner]])
            if text not in found or found[text].documents < documents:
                found[text] = Phrase(text, documents, item, stop - start == len(spans))
        told.append(sorted(found.values(), key=lambda phrase: (-phrase.documents, phrase.text)))
    return told


def _runs(grams: Grams, places: I32, chosen: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """First and last of chosen grams that follow on each other in one text; of runs that are equal the first."""
    follows = (np.diff(chosen) == 1) & (np.diff(grams.owners[chosen]) == 0)
    bounds = [0, *(np.flatnonzero(~follows) + 1).tolist(), len(chosen)]
    said: set[bytes] = set()
    for begin, end in pairwise(bounds):
        if begin < end and (own := places[chosen[begin:end]].tobytes()) not in said:
            said.add(own)
            yield int(chosen[begin]), int(chosen[end - 1])
