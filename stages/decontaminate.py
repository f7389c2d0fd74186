"""decontaminate: documents that hold questions or answers of the benchmarks a model will be judged by.

The survey finds every n-gram of the benchmarks in every document (13 match tokens; 20 where characters are
tokens; Brown et al. 2020, appendix C; RULES 12). Hits that share a token or have none between them are one
region. A region convicts its document, unless it consists of phrases only: grams that more than
`max_document_frequency` different documents have, grams of too few different words, or of too many
benchmark texts. Such grams still belong to a region that another one convicts.

Evidence is a span of characters in the stored text, with benchmark and item.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar, Final, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from stages.base import Global, Out, Share
from stages.benchmarks import Benchmark, Index, index_of
from stages.columns import TEXT, utf8
from stages.cutting import JOINT, cut_away, joints_of
from stages.evidence import covering, documents, items_of, regions
from stages.kernels.comparison import exact_keys
from stages.kernels.ngrams import LONGEST, Rules, scan, spans_of
from stages.kernels.units import normalised, origins

_HIT: Final = pa.struct(
    [("benchmark", pa.string()), ("item", pa.string()), ("start", pa.int64()), ("end", pa.int64())]
)
_BUCKETS: Final = 64


class Decontaminate(Global):
    """Finds n-grams of the benchmarks, with the span of every hit, past phrases common in the corpus.

    What holds one is dropped, cut or tagged.
    """

    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[Mapping[str, pa.DataType]] = {
        "contamination": pa.list_(_HIT),
        "text": TEXT,
        "bytes": pa.int64(),
    }
    meanings: ClassVar[Mapping[str, str]] = {
        "contamination": "benchmark, item, and the characters of the text that hold it, a hit each",
        "text": "the text without the regions that were cut",
        "bytes": "bytes of the text in UTF-8",
    }
    reasons: ClassVar[Mapping[str, str]] = {"contaminated": "holds a question or answer of a benchmark."}
    publishes: ClassVar[tuple[str, ...]] = ("contamination.json",)

    benchmarks: tuple[Benchmark, ...] = Field(min_length=1)
    """The benchmarks to look for."""

    action: Literal["drop", "cut", "tag"] = "drop"
    """Drop a contaminated document, cut the regions out of it, or only write the evidence beside it."""

    n: int = Field(13, ge=1, le=LONGEST)
    """Tokens that must match in a row."""

    short: int = Field(8, ge=1, le=LONGEST)
    """A part of an item with fewer than `n` tokens must match whole; below this it cannot be checked."""

    n_cjk: int = Field(20, ge=1, le=LONGEST)
    """`n` where more than half of an item's tokens are single characters (Chinese, Japanese, Thai)."""

    short_cjk: int = Field(12, ge=1, le=LONGEST)
    """`short` for such items."""

    max_document_frequency: int | None = Field(10, ge=1)
    """A gram in more different documents than this is a common phrase and convicts nobody; null: no limit.

    Exact copies of a document count once.
    """

    min_distinct_words: int = Field(4, ge=1)
    """A gram with fewer different words, numbers not counted, convicts nobody."""

    coverage: Share | None = None
    """Null: any gram convicts. Else a gram convicts only where this share of its benchmark text is found."""

    max_items: int | None = Field(10, ge=1)
    """A gram in more different benchmark texts than this is their form, and convicts nobody; null: no limit."""

    window: int = Field(200, ge=0)
    """Of `cut`: characters that go with a region on either side, and then on to the edge of a word."""

    min_piece: int = Field(200, ge=1)
    """Of `cut`: shorter pieces between regions go too."""

    max_regions: int = Field(10, ge=1)
    """Of `cut`: a document with more regions is dropped."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [benchmark.name for benchmark in self.benchmarks]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two benchmarks are called {name}: give every one its own name")
        if self.short > self.n or self.short_cjk > self.n_cjk:
            raise ValueError("short must not exceed n, nor short_cjk n_cjk: shorter parts match whole")
        return self

    @property
    def written(self) -> Mapping[str, pa.DataType]:
        """The evidence; `cut` also writes texts."""
        return self.writes if self.action == "cut" else {"contamination": self.writes["contamination"]}

    @property
    def needed(self) -> tuple[str, ...]:
        """Only `cut` looks at texts again."""
        return ("text",) if self.action == "cut" else ()

    @property
    def rounds(self) -> int:
        """Grams found, then counted over the corpus."""
        return 1

    def files(self) -> Mapping[str, tuple[str, ...]]:
        """The benchmark files."""
        return {benchmark.name: benchmark.paths for benchmark in self.benchmarks}

    def survey_identity(self, turn: int) -> dict[str, Any]:
        """What decides the hits: not the action, nor how often a phrase may occur."""
        del turn
        later = {"action", "coverage", "max_document_frequency", "window", "min_piece", "max_regions"}
        return {name: value for name, value in self.identity().items() if name not in later}

    def _index(self) -> Index:
        rules = Rules(self.n, self.short, self.n_cjk, self.short_cjk)
        files = [self.paths(benchmark.name) for benchmark in self.benchmarks]
        return index_of(self.benchmarks, files, rules, self.min_distinct_words, self.max_items)

    def survey(self, rows: pa.Table, turn: int, ruling: pa.Table | None) -> pa.Table:
        """{bucket, gram, weak, form, row, first, tokens, start, end}: every hit, with its place.

        `first` and `tokens` count match tokens, `start` and `end` characters of the stored text; `form` is the
        document up to white space, so that copies count once.
        """
        del turn, ruling
        index = self._index()
        texts, changed = normalised(rows["text"])
        data, offsets = utf8(texts)
        hits = scan(data, offsets, index.table)
        found, starts = np.unique(hits[:, 0], return_index=True)
        spans = np.zeros((len(hits), 2), np.int64)
        forms = np.zeros(len(hits), np.uint64)
        stored = rows["text"]
        for row, (start, stop) in zip(found.tolist(), pairwise([*starts.tolist(), len(hits)]), strict=True):
            own = slice(start, stop)
            text = stored[row].as_py()
            tokens = spans_of(data, int(offsets[row]), int(offsets[row + 1]))
            if row in changed:
                back = origins(text)
                tokens = np.stack([back[tokens[:, 0], 0], back[tokens[:, 1] - 1, 1]], 1)
            first, last = hits[own, 1], hits[own, 1] + hits[own, 2] - 1
            spans[own] = [
                index.edges(gram, text, start, end)
                for gram, start, end in zip(
                    hits[own, 3].tolist(), tokens[first, 0].tolist(), tokens[last, 1].tolist(), strict=True
                )
            ]
            forms[own] = exact_keys(data, offsets[row : row + 2])[0][0, 0]
        grams = index.table.grams[hits[:, 3]]
        return pa.table(
            {
                "bucket": pa.array(((grams >> np.uint64(32)) % np.uint64(_BUCKETS)).astype(np.uint16)),
                "gram": pa.array(grams),
                "weak": pa.array(index.weak[hits[:, 3]]),
                "form": pa.array(forms),
                "row": rows["row"].take(pa.array(hits[:, 0])),
                "first": pa.array(hits[:, 1]),
                "tokens": pa.array(hits[:, 2]),
                "start": pa.array(spans[:, 0]),
                "end": pa.array(spans[:, 1]),
            }
        )

    def decide(self, findings: pa.Table, turn: int) -> pa.Table:
        """The same hits; `weak` also where the gram is a common phrase of the corpus."""
        del turn
        hits = findings.drop_columns("bucket")
        if self.max_document_frequency is None:
            return hits
        grams, forms = hits["gram"].to_numpy(), hits["form"].to_numpy()
        order = np.lexsort((forms, grams))
        new_gram = np.append(True, grams[order][1:] != grams[order][:-1])[: len(order)]
        new_form = new_gram | np.append(True, forms[order][1:] != forms[order][:-1])[: len(order)]
        number = np.empty(len(order), np.int64)
        number[order] = np.cumsum(new_gram) - 1
        frequency = np.bincount(number[order][new_form])
        common = (frequency > self.max_document_frequency)[number]
        weak = hits["weak"].to_numpy(zero_copy_only=False) | common
        return hits.set_column(hits.column_names.index("weak"), "weak", pa.array(weak))

    def settle(self, rulings: pa.Table, turn: int) -> pa.Table:
        """{part, row, benchmark, item, start, end, tokens, new_region, new_document, new_item}: the evidence.

        A row for every region and every benchmark in it, with the benchmark's item of most grams there; the
        flags mark the first row of a region, of a benchmark in a document, of an item in the corpus.
        """
        del turn
        index = self._index()
        order = [("part", "ascending"), ("row", "ascending"), ("first", "ascending"), ("tokens", "ascending")]
        hits = rulings.sort_by(order)
        columns = {name: hits[name].to_numpy(zero_copy_only=False) for name in hits.column_names}
        grams = index.table.find(columns["gram"])
        evidence: list[tuple[Any, ...]] = []
        convicts = ~columns["weak"]
        for first, end in documents(columns):
            if self.coverage is not None:
                convicts[first:end] &= covering(columns, grams, first, end, index, self.coverage)
        for start, stop in (region for own in documents(columns) for region in regions(columns, *own)):
            if not convicts[start:stop].any():
                continue
            last = columns["first"][start:stop] + columns["tokens"][start:stop]
            place = (columns["start"][start:stop].min(), columns["end"][start:stop].max())
            length = last.max() - columns["first"][start]
            evidence += [
                (
                    columns["part"][start],
                    columns["row"][start],
                    self.benchmarks[index.benchmark[item]].name,
                    index.names[item],
                    *place,
                    length,
                )
                for item in items_of(index, np.unique(grams[start:stop]))
            ]
        names = ("part", "row", "benchmark", "item", "start", "end", "tokens")
        kinds = (pa.uint32(), pa.uint32(), pa.string(), pa.string(), pa.int64(), pa.int64(), pa.int64())
        values = zip(*evidence, strict=True) if evidence else ((),) * len(names)
        table = pa.table(
            {name: pa.array(column, kind) for name, column, kind in zip(names, values, kinds, strict=True)}
        )
        for flag, key in (
            ("new_region", ("part", "row", "start")),
            ("new_document", ("part", "row", "benchmark")),
            ("new_item", ("benchmark", "item")),
        ):
            seen: set[tuple[Any, ...]] = set()
            flags = []
            for value in zip(*(table[name].to_pylist() for name in key), strict=True):
                flags.append(value not in seen)
                seen.add(value)
            table = table.append_column(flag, pa.array(flags, pa.bool_()))
        return table

    def artifacts(self, ruling: pa.Table | None) -> Mapping[str, bytes]:
        """contamination.json: by benchmark its items, those that cannot be checked, those found, and where."""
        found = ruling.to_pylist() if ruling is not None else []
        tables = []
        for benchmark, count in zip(self.benchmarks, self._index().counts, strict=True):
            own = [row for row in found if row["benchmark"] == benchmark.name]
            tables.append(
                {
                    "benchmark": benchmark.name,
                    "items": count.items,
                    "repeated": count.repeated,
                    "not_checkable": count.not_checkable,
                    "items_hit": sum(row["new_item"] for row in own),
                    "documents": sum(row["new_document"] for row in own),
                    "regions": len(own),
                    "longest": max((row["tokens"] for row in own), default=0),
                }
            )
        return {"contamination.json": json.dumps(tables, ensure_ascii=False, indent=1).encode()}

    def apply(self, rows: pa.Table, ruling: pa.Table | None) -> Out:
        """The evidence of every row as a list, and whom it drops."""
        by_row: dict[int, list[dict[str, Any]]] = {}
        tallies: dict[str, int] = {}
        for hit in ruling.to_pylist() if ruling is not None else []:
            by_row.setdefault(hit["row"], []).append({name: hit[name] for name in _HIT.names})
            for table, counted in (("items", "new_item"), ("documents", "new_document")):
                name = f"{hit['benchmark']}.{table}"
                tallies[name] = tallies.get(name, 0) + hit[counted]
        hits = [by_row.get(row) for row in rows["row"].to_pylist()]
        columns = {"contamination": pa.array(hits, self.writes["contamination"])}
        reason = "contaminated" if self.action == "drop" else None
        reasons = [reason if found else None for found in hits]
        if self.action == "cut":
            texts: list[str | None] = []
            for place, found in enumerate(hits):
                text = rows["text"][place].as_py()
                if found:
                    text = self._cut(text, {(hit["start"], hit["end"]) for hit in found}, tallies)
                    reasons[place] = "contaminated" if text is None else None
                texts.append(text)
            columns["text"] = pa.array(texts, TEXT)
            columns["bytes"] = pc.binary_length(columns["text"]).cast(pa.int64())
        return Out(columns, pa.array(reasons, pa.string()), tallies)

    def _cut(self, text: str, regions: set[tuple[int, int]], tallies: dict[str, int]) -> str | None:
        """The text without its regions, joined by paragraph breaks; None where nothing remains.

        Joining two pieces can make a new gram, which is cut in turn, until none reaches over a joint.
        """
        if len(regions) > self.max_regions:
            return None
        whole = len(text)
        while regions:
            pieces = cut_away(text, regions, self.window)
            kept = [piece for piece in pieces if len(piece) >= self.min_piece]
            tallies["fragments"] = tallies.get("fragments", 0) + len(pieces) - len(kept)
            text = JOINT.join(kept)
            rows = pa.table({"row": pa.array([0], pa.uint32()), "text": pa.array([text], TEXT)})
            hits = self.survey(rows, 0, None)
            spans = list(zip(hits["start"].to_pylist(), hits["end"].to_pylist(), strict=True))
            joints = joints_of(kept)
            regions = {(start, end) for start, end in spans if any(start < at < end for at in joints)}
        tallies["characters_cut"] = tallies.get("characters_cut", 0) + whole - len(text)
        return text or None
