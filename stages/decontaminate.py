"""decontaminate: documents that hold questions or answers of the benchmarks a model will be judged by.

The survey finds every n-gram of the benchmarks in every document (13 match tokens; 20 where characters are
tokens; Brown et al. 2020, appendix C; RULES 12). Hits that share a token or have none between them are one
region. A region convicts its document, unless it consists of phrases only: grams that more than
`max_document_frequency` different documents have, grams of too few different words, or of too many
benchmark texts. A gram that several documents have is a phrase too where little else of its text stands
around it: benchmarks are copied whole, phrases come alone. Phrases still belong to a region that another gram
convicts.

Evidence is a span of characters in the stored text, with benchmark and item. How often a gram occurs is counted
over the whole corpus, so verdicts depend on neither its cut nor the order in which it grew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from stages.base import Global, Out, Share
from stages.benchmarks import Benchmark
from stages.columns import TEXT
from stages.cutting import JOINT, cut_away, joints_of
from stages.kernels.lengths import LONGEST, Rules

if TYPE_CHECKING:
    from stages.gramindex import Index

_HIT: Final = pa.struct(
    [("benchmark", pa.string()), ("item", pa.string()), ("start", pa.int64()), ("end", pa.int64())]
)
_BUCKETS: Final = 64

_UNGUARDED: Final[dict[str, Any]] = {
    "max_document_frequency": None,
    "suspect_frequency": None,
    "min_distinct_words": 1,
    "max_items": None,
}
_VARIANTS: Final[dict[str, dict[str, Any]]] = {
    "gpt3": {**_UNGUARDED, "max_document_frequency": 10, "action": "cut"},
    "datatrove": {**_UNGUARDED, "n": 12, "short": 12},
    "nemo": {**_UNGUARDED, "max_occurrences": 10, "action": "cut", "edge": "sentence"},
    "tulu3": {**_UNGUARDED, "n": 8, "coverage": 0.5},
}
"""RULES 12.5."""


_SURVEYED: Final = {"benchmarks", "n", "short", "n_cjk", "short_cjk", "min_distinct_words", "max_items"}


def _steps(values: Any) -> Any:
    """Where a value differs from the one before: bool[n]; the first does."""
    return np.append(True, values[1:] != values[:-1])[: len(values)]


class Decontaminate(Global):
    """Finds n-grams of the benchmarks, with the span of every hit, past phrases common in the corpus.

    What holds one is dropped, cut or tagged.
    """

    version: ClassVar[int] = 3
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

    variant: Literal["gpt3", "datatrove", "nemo", "tulu3"] | None = None
    """A published rule: its lengths, guards and action are the defaults of the other keys.

    `gpt3`: Brown et al. 2020; 13 tokens, grams in more than 10 documents ignored, `cut`.
    `datatrove`: 12 tokens, no guard, `drop`. `nemo`: 8 to 13 tokens by the length of the item, grams that occur
    more than 10 times ignored, `cut` to the ends of sentences. `tulu3`: 8 tokens, and more than half of an item
    must be found. Tokens are those of RULES 12.1 in all of them, and texts of single characters (Chinese) keep
    their lengths, which those rules do not know.
    """

    max_document_frequency: int | None = Field(10, ge=1)
    """A gram in more different documents than this is a common phrase and convicts nobody; null: no limit.

    Exact copies of a document count once.
    """

    max_occurrences: int | None = Field(None, ge=1)
    """A gram that occurs more often than this in the corpus, copies not counted, convicts nobody; null: no limit."""

    suspect_frequency: int | None = Field(3, ge=1)
    """A gram in more different documents than this convicts only where `suspect_coverage` of a benchmark text
    is found around it; null: whatever is found."""

    suspect_coverage: Share = 0.5
    """See `suspect_frequency`."""

    min_distinct_words: int = Field(4, ge=1)
    """A gram with fewer different words, numbers not counted, convicts nobody."""

    coverage: Share | None = None
    """Null: any gram convicts. Else a gram convicts only where this share of its benchmark text is found."""

    max_items: int | None = Field(10, ge=1)
    """A gram in more different benchmark texts than this is their form, and convicts nobody; null: no limit."""

    window: int = Field(200, ge=0)
    """Of `cut`: characters that go with a region on either side, and then on to the next `edge`."""

    edge: Literal["word", "sentence"] = "word"
    """Of `cut`: where a cut may be, at white space or behind a mark that ends a sentence."""

    min_piece: int = Field(200, ge=1)
    """Of `cut`: shorter pieces between regions go too."""

    max_regions: int = Field(10, ge=1)
    """Of `cut`: a document with more regions is dropped."""

    @model_validator(mode="before")
    @classmethod
    def _of_variant(cls, given: Any) -> Any:
        named = given.get("variant") if isinstance(given, Mapping) else None
        return {**_VARIANTS[named], **given} if isinstance(named, str) and named in _VARIANTS else given

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

    def files(self) -> Mapping[str, tuple[str, ...]]:
        """The benchmark files."""
        return {benchmark.name: benchmark.paths for benchmark in self.benchmarks}

    def survey_identity(self, turn: int) -> dict[str, Any]:
        """What decides the hits: not the action, nor how often a phrase may occur."""
        del turn
        return self.model_dump(mode="json", include=_SURVEYED)

    def _index(self) -> Index:
        from stages.gramindex import index_of  # noqa: PLC0415 - Numba is for workers, not for plans

        rules = Rules(self.n, self.short, self.n_cjk, self.short_cjk)
        files = [self.paths(benchmark.name) for benchmark in self.benchmarks]
        return index_of(self.benchmarks, files, rules, self.min_distinct_words, self.max_items)

    def survey(self, rows: pa.Table, turn: int, ruling: pa.Table | None) -> pa.Table:
        """{bucket, gram, weak, form, row, first, tokens, start, end}: every hit, with its place.

        `first` and `tokens` count match tokens, `start` and `end` characters of the stored text; `form` is the
        document up to white space, so that copies count once.
        """
        del turn, ruling
        from stages.evidence import located  # noqa: PLC0415 - Numba is for workers, not for plans

        index = self._index()
        hits, spans, forms = located(rows["text"], index)
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
        """The same hits, with `documents` and `occurrences` of each gram in the corpus, copies not counted."""
        del turn
        hits = findings.drop_columns("bucket")
        grams, forms, rows = (hits[name].to_numpy() for name in ("gram", "form", "row"))
        places = hits["part"].to_numpy().astype(np.uint64) << np.uint64(32) | rows
        order = np.lexsort((places, forms, grams))
        new_gram = _steps(grams[order])
        new_form = new_gram | _steps(forms[order])
        number = np.empty(len(order), np.int64)
        number[order] = np.cumsum(new_gram) - 1
        # Of documents of one form, the first stands for all.
        begins = np.maximum.accumulate(np.where(new_form, np.arange(len(order)), 0))
        first = places[order] == places[order][begins]
        return hits.append_column(
            "documents", pa.array(np.bincount(number[order][new_form]).astype(np.int64)[number])
        ).append_column("occurrences", pa.array(np.bincount(number[order][first]).astype(np.int64)[number]))

    def _convicting(self, hits: Mapping[str, Any], grams: Any, index: Index) -> tuple[Any, Any]:
        """Which hits convict, and which would, were their grams not common in the corpus: bool[hits] each."""
        from stages.evidence import covering, documents  # noqa: PLC0415 - Numba is for workers, not for plans

        common = np.zeros(len(grams), np.bool_)
        if self.max_document_frequency is not None:
            common |= hits["documents"] > self.max_document_frequency
        if self.max_occurrences is not None:
            common |= hits["occurrences"] > self.max_occurrences
        common &= ~hits["weak"]
        convicts = ~(hits["weak"] | common)
        suspect = np.zeros(len(grams), np.bool_)
        if self.suspect_frequency is not None:
            suspect |= hits["documents"] > self.suspect_frequency
        for first, end in documents(hits):
            own = slice(first, end)
            if self.coverage is not None and convicts[own].any():
                convicts[own] &= covering(hits, grams, first, end, index, self.coverage)
            if (suspect[own] & convicts[own]).any():
                enough = covering(hits, grams, first, end, index, self.suspect_coverage)
                common[own] |= convicts[own] & suspect[own] & ~enough
                convicts[own] &= ~common[own]
        return convicts, common

    def settle(self, rulings: pa.Table, turn: int) -> pa.Table:
        """The evidence, and what the grams say that convict or are common: see `evidence.RULING`."""
        del turn
        from stages import evidence  # noqa: PLC0415 - Numba is for workers, not for plans

        index = self._index()
        order = [("part", "ascending"), ("row", "ascending"), ("first", "ascending"), ("tokens", "ascending")]
        hits = rulings.sort_by(order)
        columns = {name: hits[name].to_numpy(zero_copy_only=False) for name in hits.column_names}
        grams = index.table.find(columns["gram"])
        convicts, common = self._convicting(columns, grams, index)
        names = [benchmark.name for benchmark in self.benchmarks]
        return evidence.ruling(columns, grams, convicts, common, index, names)

    def artifacts(self, ruling: pa.Table | None) -> Mapping[str, bytes]:
        """contamination.json: by benchmark its items, those that cannot be checked, those found, and where."""
        from stages import evidence  # noqa: PLC0415 - Numba is for workers, not for plans

        counts = {own.name: count for own, count in zip(self.benchmarks, self._index().counts, strict=True)}
        tables = evidence.tables(counts, ruling.to_pylist() if ruling is not None else [])
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
            pieces = cut_away(text, regions, self.window, sentences=self.edge == "sentence")
            kept = [piece for piece in pieces if len(piece) >= self.min_piece]
            tallies["fragments"] = tallies.get("fragments", 0) + len(pieces) - len(kept)
            shorter = sum(len(piece) for piece in pieces if len(piece) < self.min_piece)
            tallies["fragment_characters"] = tallies.get("fragment_characters", 0) + shorter
            text = JOINT.join(kept)
            rows = pa.table({"row": pa.array([0], pa.uint32()), "text": pa.array([text], TEXT)})
            hits = self.survey(rows, 0, None)
            spans = list(zip(hits["start"].to_pylist(), hits["end"].to_pylist(), strict=True))
            joints = joints_of(kept)
            regions = {(start, end) for start, end in spans if any(start < at < end for at in joints)}
        tallies["characters_cut"] = tallies.get("characters_cut", 0) + whole - len(text)
        return text or None
