"""dedup: documents that repeat a kept one, exactly or nearly, anywhere in the corpus.

Round 0 finds candidates: documents that share the hash of their comparison form (RULES 10.1), a band of their
MinHash signature (Broder 1997; RULES 11.2) or, if asked, an address (RULES 7). Documents under one key form a
star, overlapping stars a component. Round 1 verifies: candidates send their shingle sets, one for each
distinct form, and inside a component, in survivor order (`preference.py`), a document is removed only if a
kept one has an exact Jaccard similarity of at least `threshold` (RULES 11.4; `verdicts.py`). So no chain A~B~C
eats C, and `duplicate_of` always names a kept document that is as similar as promised. With `lines`, round 2
then removes passages that too many of the kept documents have (`passages.py`).

Nothing depends on where a document lies: components are named after content, ties go to the least doc_id.
Kernels are imported where they are used: a plan does not pay for them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from stages.base import Global, Out
from stages.candidates import ADDRESS, BAND, FORM, LETTERS, addresses, marked, merged, settled, stretches
from stages.columns import DOC_ID, TEXT, ids, utf8, whole
from stages.passages import VERDICT, Passages
from stages.preference import Preference, columns_for, order_of, weights


@lru_cache(maxsize=8)
def _optimal(threshold: float, num_perm: int) -> tuple[int, int]:
    """Bands and rows that datasketch's optimiser chooses: (bands, rows)."""
    from datasketch.lsh import _optimal_param  # noqa: PLC0415 - imports scipy

    bands, rows = _optimal_param(threshold, num_perm, 0.5, 0.5)
    return int(bands), int(rows)


def _samples(removed: pa.Table, survivor: bytes) -> list[str]:
    """The three least doc_ids, as hex digits, among those that were removed for a document."""
    own = removed.filter(pc.equal(removed["duplicate_of"], pa.scalar(survivor, DOC_ID)))
    return sorted(value.hex() for value in own["doc_id"].to_pylist())[:3]


class Dedup(Global):
    """Exact, then MinHash-LSH over the whole corpus; every candidate is verified by its Jaccard similarity."""

    version: ClassVar[int] = 3
    reads: ClassVar[tuple[str, ...]] = ("text", "source")
    writes: ClassVar[Mapping[str, pa.DataType]] = {
        "duplicate_of": DOC_ID,
        "similarity": pa.float64(),
        "cluster_size": pa.int32(),
        "survivor_source": pa.string(),
        "signature": pa.list_(pa.uint32()),
        "text": TEXT,
        "bytes": pa.int64(),
        "passages_removed": pa.int32(),
    }
    meanings: ClassVar[Mapping[str, str]] = {
        "duplicate_of": "the kept document that it repeats",
        "similarity": "Jaccard similarity of the two, verified; 1 for exact copies",
        "cluster_size": "documents that stand in for one another, the kept one included",
        "survivor_source": "the source of that kept document",
        "signature": "MinHash values over the shingles, where `signatures` asks for them",
        "text": "the text without passages that too many documents have, where `lines` is set",
        "bytes": "its bytes in UTF-8",
        "passages_removed": "how many passages were taken out of it",
    }
    reasons: ClassVar[Mapping[str, str]] = {
        "exact": "the same text as a kept document, up to white space.",
        "letters": "the same letters and numbers as a kept document: case, punctuation and spacing differ.",
        "near": "as similar to a kept document as the threshold asks, or more.",
        "url": "the same address as a kept document, whatever the text.",
        "passages": "too little was left when passages that many documents have were removed.",
    }
    publishes: ClassVar[tuple[str, ...]] = ("duplicates.json",)
    libraries: ClassVar[tuple[str, ...]] = ("datasketch",)
    guards: ClassVar[frozenset[str]] = frozenset({"max_drop", "max_cluster", "edges"})

    exact: bool = True
    """Remove documents whose text is the same up to white space, the shortest ones too."""

    near: bool = True
    """Remove documents whose shingles are those of a kept one, as far as `threshold` asks."""

    url: bool = False
    """Remove documents from the address of a kept one: without scheme, `www.`, `?utm_...` and the like."""

    lines: Passages | None = None
    """Then remove lines, paragraphs or sentences that many of the kept documents have; null: do not."""

    ngram: int = Field(5, ge=1)
    """Tokens in a shingle; a document with fewer tokens meets exact duplicates only."""

    fold_digits: bool = False
    """Read every digit as 0, so that pages that differ in numbers alone are the same."""

    bands: int = Field(14, ge=1, le=1024)
    """Documents that share one band of their signature are compared."""

    rows: int = Field(8, ge=1, le=256)
    """Permutations in a band: more make a band harder to share."""

    num_perm: int | None = Field(None, ge=2, le=4096)
    """Instead of `bands` and `rows`: so many permutations, divided as suits `threshold` (datasketch's rule)."""

    threshold: float = Field(0.75, gt=0.0, le=1.0)
    """Least Jaccard similarity of a removed document with the kept one it names; equality counts."""

    prefer: tuple[Preference, ...] = ("source", "longest")
    """Which of several copies is kept: the earlier `source`, the higher `quality`, the `longest` text,
    `newest(FIELD)` or `oldest(FIELD)` by a column of dates or numbers; then always the least doc_id."""

    keep: Literal["one", "all"] = "one"
    """`one` of each cluster, the others are dropped; `all`: drop nobody, only write the columns."""

    signatures: bool = False
    """Also write the MinHash signature as a column, which datasketch's LeanMinHash loads."""

    seed: int = 0
    """Of the permutations."""

    sources: tuple[str, ...] = ()
    """Sources in order of priority (filled from `load`); others come after them, by name."""

    buckets: int = Field(64, ge=1, le=65536)
    """Into how many piles findings are dealt; one pile must fit into memory."""

    edges: int = Field(8_000_000, ge=1)
    """Shared keys from which components are found in one piece (32 bytes each); beyond it, in rounds over files."""

    max_cluster: int = Field(1000, ge=2)
    """A cluster of more documents than this is named in the report and on the terminal, with samples."""

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not (self.exact or self.near or self.url or self.lines):
            raise ValueError("exact and near are both off: leave dedup out of the recipe instead")
        if self.num_perm is not None and self.model_fields_set & {"bands", "rows"}:
            raise ValueError("give num_perm, or bands and rows: num_perm chooses them from the threshold")
        return self

    @property
    def banding(self) -> tuple[int, int]:
        """(bands, rows) as given, or as datasketch chooses them for `threshold`."""
        return (self.bands, self.rows) if self.num_perm is None else _optimal(self.threshold, self.num_perm)

    @property
    def written(self) -> Mapping[str, pa.DataType]:
        """The verdicts; `signatures` and `lines` add theirs."""
        absent = set() if self.signatures else {"signature"}
        absent |= set() if self.lines else {"text", "bytes", "passages_removed"}
        return {name: kind for name, kind in self.writes.items() if name not in absent}

    @property
    def wanted(self) -> tuple[str, ...]:
        """Text and source, the address if it counts, and what is preferred."""
        return (*self.reads, *(["url"] if self.url else []), *columns_for(self.prefer))

    @property
    def needed(self) -> tuple[str, ...]:
        """Only signatures and `lines` look at texts again."""
        return ("text",) if self.signatures or self.lines else ()

    @property
    def rounds(self) -> int:
        """Candidates, then verification; then passages, if asked."""
        return 3 if self.lines else 2

    @property
    def mergeable(self) -> int | None:
        """Memberships of candidates beyond this are merged over files."""
        return self.edges

    def survey_identity(self, turn: int) -> dict[str, Any]:
        """What decides the findings: never the threshold (but through num_perm), never who survives."""
        folds = {"fold_digits": True} if self.fold_digits else {}
        address = {"url": True} if self.url else {}
        if turn == 2 and self.lines:
            return {"lines": self.lines.model_dump(mode="json"), "buckets": self.buckets, "keep": self.keep}
        if turn:
            prefer = [word for word in self.prefer if word not in {"source", "longest"}]
            own = {"prefer": prefer} if prefer else {}
            return {"ngram": self.ngram, "buckets": self.buckets, **folds, **address, **own}
        near = {"ngram": self.ngram, "banding": self.banding, "seed": self.seed} if self.near else None
        return {"exact": self.exact, "near": near, "buckets": self.buckets, **folds, **address}

    def survey_reads(self, turn: int) -> tuple[str, ...]:
        """Only verification asks who is preferred."""
        return {0: ("text", "url") if self.url else ("text",), 1: self.wanted}.get(turn, ("text",))

    def survey(self, rows: pa.Table, turn: int, ruling: pa.Table | None) -> pa.Table:
        """Round 0: the keys of every row. Round 1: what verification needs of every candidate. Round 2: passages."""
        if turn == 0 or ruling is None:
            return pa.concat_tables([self._keys(stretch) for stretch in stretches(rows)])
        if turn == 1:
            places = np.searchsorted(rows["row"].to_numpy(), ruling["row"].to_numpy())
            chosen = rows.take(pa.array(places))
            told = ruling.select(["component", "sends"])
            for name in told.column_names:
                chosen = chosen.append_column(name, told[name])
            return pa.concat_tables([self._candidates(stretch) for stretch in stretches(chosen)])
        assert self.lines is not None  # noqa: S101 - there is a round 2 only with lines
        return self.lines.survey(rows, ruling, self.buckets, everyone=self.keep == "all")

    def _keys(self, rows: pa.Table) -> pa.Table:
        """{bucket, key, row}: keys of the comparison form, of the letters, of every band, of the address."""
        from stages.kernels.comparison import exact_keys  # noqa: PLC0415
        from stages.kernels.minhash import band_keys  # noqa: PLC0415
        from stages.kernels.units import normalised  # noqa: PLC0415

        texts, _ = normalised(rows["text"])
        data, offsets = utf8(texts)
        own = rows["row"].to_numpy()
        keys: list[npt.NDArray[np.uint64]] = []
        owners: list[npt.NDArray[np.uint32]] = []
        forms, lengths = exact_keys(data, offsets)
        keyed = lengths > 0 if self.exact else np.zeros(len(own), np.bool_)
        if self.near:
            banding = (*self.banding, self.seed)
            found, letters, counts = band_keys(
                data, offsets, self.ngram, *banding, fold_digits=self.fold_digits
            )
            shingled = counts > 0
            keys += [marked(found[shingled].ravel(), BAND), marked(letters[shingled], LETTERS)]
            owners += [np.repeat(own[shingled], banding[0]), own[shingled]]
            keyed |= shingled
        if self.url:
            address = addresses(rows["url"])[:, 0]
            keys.append(marked(address[address != 0], ADDRESS))
            owners.append(own[address != 0])
        keys.append(marked(forms[keyed, 0], FORM))
        owners.append(own[keyed])
        key = np.concatenate(keys)
        bucket = ((key >> np.uint64(48)) * np.uint64(self.buckets)) >> np.uint64(16)
        return pa.table(
            {
                "bucket": pa.array(bucket.astype(np.uint16)),
                "key": pa.array(key),
                "row": pa.array(np.concatenate(owners).astype(np.uint32)),
            }
        )

    def _candidates(self, chosen: pa.Table) -> pa.Table:
        """{bucket, component, row, doc_id, form, address, source, chars, weights, letters, shingles}."""
        from stages.kernels.comparison import exact_keys  # noqa: PLC0415
        from stages.kernels.minhash import shingle_sets  # noqa: PLC0415
        from stages.kernels.units import normalised  # noqa: PLC0415

        texts, _ = normalised(chosen["text"])
        forms, lengths = exact_keys(*utf8(texts))
        sends = chosen["sends"].to_numpy()
        senders = whole(texts).filter(whole(chosen["sends"]))
        shingles, sent, letters = shingle_sets(*utf8(senders), self.ngram, fold_digits=self.fold_digits)
        spelled = np.zeros(len(sends), np.uint64)
        spelled[sends] = np.where(np.diff(sent) > 0, letters, np.uint64(0))
        bounds = np.zeros(len(sends) + 1, np.int64)
        bounds[1:][sends] = np.diff(sent)
        address = addresses(chosen["url"])[:, 1] if self.url else np.zeros(len(sends), np.uint64)
        bucket = (chosen["component"].to_numpy() >> np.uint64(2)) % np.uint64(self.buckets)
        return pa.table(
            {
                "bucket": pa.array(bucket.astype(np.uint16)),
                "component": chosen["component"],
                "row": chosen["row"],
                "doc_id": chosen["doc_id"],
                "form": pa.FixedSizeBinaryArray.from_buffers(DOC_ID, len(forms), [None, pa.py_buffer(forms)]),
                "address": pa.array(address),
                "source": chosen["source"].cast(pa.string()),
                "chars": pa.array(lengths),
                "weights": weights(self.prefer, chosen),
                "letters": pa.array(spelled),
                "shingles": pa.LargeListArray.from_arrays(pa.array(np.cumsum(bounds)), pa.array(shingles)),
            }
        )

    def decide(self, findings: pa.Table, turn: int) -> pa.Table:
        """Round 0: members of every key that more than one document has. Then: the verdicts. Then: passages."""
        if turn == 0:
            from stages.kernels.components import shared  # noqa: PLC0415

            members = shared(findings["key"].to_numpy())
            return findings.select(["part", "row", "key"]).take(pa.array(members))
        if turn == 1:
            from stages.verdicts import verdicts  # noqa: PLC0415

            doc_ids = ids(findings["doc_id"]).view(">u8").astype(np.uint64)
            keys = order_of(self.prefer, self.sources, findings, doc_ids)
            return verdicts(findings, keys, self.threshold, exact=self.exact)
        assert self.lines is not None  # noqa: S101
        return self.lines.decide(findings)

    def merge(self, rulings: pa.Table, turn: int) -> pa.Table:
        """Round 0: two rows a candidate at most, one star a component: a spanning forest settles to the same."""
        if turn:
            return rulings
        return merged(rulings)

    def settle(self, rulings: pa.Table, turn: int) -> pa.Table:
        """Round 0: {part, row, component, sends}, the component of every candidate."""
        if turn:
            return rulings
        return settled(rulings, near=self.near)

    def artifacts(self, ruling: pa.Table | None) -> Mapping[str, bytes]:
        """duplicates.json: the curve of what the bands find, cluster sizes, the largest clusters.

        `curve` is [similarity, probability that a pair with it becomes a candidate] (RULES 11.3), `sizes`
        [documents, clusters of so many], `largest` the survivors of the twenty largest clusters, each with
        the least doc_ids of those removed for it.
        """
        bands, per_band = self.banding
        curve = [[s / 100, round(1 - (1 - (s / 100) ** per_band) ** bands, 4)] for s in range(50, 101, 5)]
        found: dict[str, Any] = {"bands": bands, "rows": per_band, "curve": curve, "sizes": [], "largest": []}
        if ruling is not None and self.lines:
            ruling = self.lines.verdicts(ruling)
        if ruling is not None and ruling.num_rows:
            removed = ruling.filter(pc.is_valid(ruling["duplicate_of"]))
            clusters = removed.group_by("duplicate_of").aggregate([("cluster_size", "max")])
            pairs = [(-own["cluster_size_max"], own["duplicate_of"]) for own in clusters.to_pylist()]
            found["sizes"] = sorted(Counter(-size for size, _ in pairs).items())
            found["largest"] = [
                {"survivor": name.hex(), "documents": -size, "removed": _samples(removed, name)}
                for size, name in sorted(pairs)[:20]
            ]
        return {"duplicates.json": json.dumps(found, indent=1).encode()}

    def alarms(self, artifacts: Mapping[str, bytes]) -> list[str]:
        """Clusters larger than `max_cluster`: a template, boilerplate, an empty page that everybody serves."""
        return [
            f"dedup: {own['documents']} documents were taken for copies of {own['survivor']}, more than max_cluster "
            f"{self.max_cluster}; among them {', '.join(own['removed'])}. Look at them with `gristmill explain DOC`; "
            f"if they are no copies, raise dedup.threshold or clean off what they share; if they are, raise "
            f"dedup.max_cluster."
            for own in json.loads(artifacts["duplicates.json"])["largest"]
            if own["documents"] > self.max_cluster
        ]

    def apply(self, rows: pa.Table, ruling: pa.Table | None) -> Out:
        """The verdicts as columns; who is in no cluster is a cluster of one."""
        said = self.lines.verdicts(ruling) if self.lines and ruling is not None else ruling
        told = said.num_rows if said is not None else 0
        places = np.full(rows.num_rows, told, np.int64)
        if said is not None:
            places[np.searchsorted(rows["row"].to_numpy(), said["row"].to_numpy())] = np.arange(told)
        taken = pa.array(places, mask=places == told)
        columns: dict[str, pa.Array] = {}
        for field in VERDICT:
            columns[field.name] = (
                whole(said[field.name]).take(taken) if said is not None and told
                else pa.nulls(rows.num_rows, field.type)
            )  # fmt: skip
        reasons = columns.pop("reason") if self.keep == "one" else pa.nulls(rows.num_rows, pa.string())
        columns = {name: column for name, column in columns.items() if name in self.written}
        columns["cluster_size"] = columns["cluster_size"].fill_null(1)
        tallies: dict[str, int] = {}
        if self.signatures:
            columns["signature"] = self._signatures(rows)
        if self.lines and ruling is not None:
            rewritten, reasons, tallies = self.lines.apply(rows, ruling, reasons)
            columns |= rewritten
        return Out(columns, reasons, tallies)

    def _signatures(self, rows: pa.Table) -> pa.Array:
        """The signature of every row, null for a document without shingle."""
        from stages.kernels.minhash import signatures  # noqa: PLC0415
        from stages.kernels.units import normalised  # noqa: PLC0415

        bands, per_band = self.banding
        data, offsets = utf8(normalised(rows["text"])[0])
        found, counts = signatures(
            data, offsets, self.ngram, bands * per_band, self.seed, fold_digits=self.fold_digits
        )
        ends = np.append(0, np.cumsum(np.where(counts > 0, bands * per_band, 0))).astype(np.int32)
        values = pa.array(found[counts > 0].ravel())
        return pa.ListArray.from_arrays(pa.array(ends), values, mask=pa.array(counts == 0))
