"""dedup: documents that repeat a kept one, exactly or nearly, anywhere in the corpus.

Round 0 finds candidates: documents that share the hash of their comparison form (RULES 10.1), or a band of
their MinHash signature (Broder 1997; RULES 11.2). Documents under one key form a star, overlapping stars a
component. Round 1 verifies: candidates send their shingle sets, one for each distinct form, and inside a
component, in survivor order, a document is removed only if a kept one has an exact Jaccard similarity of at
least `threshold` (RULES 11.4). So no chain A~B~C eats C, and `duplicate_of` always names a kept document that
is as similar as promised.

Nothing depends on where a document lies: components are named after content, ties go to the least doc_id.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, Final, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from stages.base import Global, Out
from stages.columns import DOC_ID, ids, utf8, whole
from stages.kernels.comparison import exact_keys
from stages.kernels.components import components, numbered, shared
from stages.kernels.jaccard import survivors
from stages.kernels.minhash import band_keys, shingle_sets
from stages.kernels.units import normalised

_KEY: Final = pa.uint64()
_SHINGLES: Final = pa.large_list(pa.uint64())


# What a key is of, in its two lowest bits.
_BAND: Final = 0
_FORM: Final = 1
_LETTERS: Final = 2


def _marked(keys: npt.NDArray[np.uint64], kind: int) -> npt.NDArray[np.uint64]:
    return keys & ~np.uint64(3) | np.uint64(kind)


@lru_cache(maxsize=8)
def _optimal(threshold: float, num_perm: int) -> tuple[int, int]:
    """Bands and rows that datasketch's optimiser chooses: (bands, rows)."""
    from datasketch.lsh import _optimal_param  # noqa: PLC0415 - imports scipy

    bands, rows = _optimal_param(threshold, num_perm, 0.5, 0.5)
    return int(bands), int(rows)


def _senders(
    nodes: npt.NDArray[np.int32],
    keys: npt.NDArray[np.uint64],
    names: npt.NDArray[np.uint64],
    places: npt.NDArray[np.uint64],
) -> npt.NDArray[np.bool_]:
    """Which candidates send their shingles: the first of each form, and none where a component has one form."""
    sends = np.ones(len(names), np.bool_)
    forms = np.flatnonzero(keys & np.uint64(3) == _FORM)
    order = forms[np.lexsort((places[nodes[forms]], keys[forms]))]
    sends[nodes[order[1:][keys[order[1:]] == keys[order[:-1]]]]] = False
    _, inverse, counts = np.unique(names[sends], return_inverse=True, return_counts=True)
    sends[np.flatnonzero(sends)[counts[inverse] == 1]] = False
    return sends


def _by_form(
    component: npt.NDArray[np.uint64], forms: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Exact copies collapsed: positions of the first of each form, ascending; and each row's place in them."""
    order = np.lexsort((forms[:, 1], forms[:, 0], component))
    new = np.ones(len(order), np.bool_)
    for values in (component[order], forms[order, 0], forms[order, 1]):
        new[1:] &= values[1:] == values[:-1]
    new[1:] = ~new[1:]
    first = order[new]  # lexsort is stable: the first of each form in survivor order
    places = np.empty(len(order), np.int64)
    places[order] = np.cumsum(new) - 1
    rank = np.argsort(first)
    inverse = np.empty(len(rank), np.int64)
    inverse[rank] = np.arange(len(rank))
    return first[rank], inverse[places]


def _sets(
    findings: pa.Table, order: npt.NDArray[np.int64], copies: npt.NDArray[np.int64], forms: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """The shingles and letters of each form, from the one copy that sent them; no shingle where none did."""
    sets = whole(findings["shingles"])
    sent = sets.value_lengths().to_numpy(zero_copy_only=False)[order] > 0
    places = np.full(forms, -1, np.int64)
    places[copies[sent]] = order[sent]
    taken = sets.take(pa.array(places, mask=places < 0))
    lengths = taken.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    letters = findings["letters"].to_numpy()[places]
    return taken.flatten().to_numpy(), np.append(0, np.cumsum(lengths)).astype(np.int64), letters


class Dedup(Global):
    """Exact, then MinHash-LSH over the whole corpus; every candidate is verified by its Jaccard similarity."""

    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("text", "source")
    writes: ClassVar[Mapping[str, pa.DataType]] = {
        "duplicate_of": DOC_ID,
        "similarity": pa.float64(),
        "cluster_size": pa.int32(),
    }
    meanings: ClassVar[Mapping[str, str]] = {
        "duplicate_of": "the kept document that it repeats",
        "similarity": "Jaccard similarity of the two, verified; 1 for exact copies",
        "cluster_size": "documents that stand in for one another, the kept one included",
    }
    reasons: ClassVar[Mapping[str, str]] = {
        "exact": "the same text as a kept document, up to white space.",
        "letters": "the same letters and numbers as a kept document: case, punctuation and spacing differ.",
        "near": "as similar to a kept document as the threshold asks, or more.",
    }
    publishes: ClassVar[tuple[str, ...]] = ("duplicates.json",)
    libraries: ClassVar[tuple[str, ...]] = ("datasketch",)

    exact: bool = True
    """Remove documents whose text is the same up to white space, the shortest ones too."""

    near: bool = True
    """Remove documents whose shingles are those of a kept one, as far as `threshold` asks."""

    ngram: int = Field(5, ge=1)
    """Tokens in a shingle; a document with fewer tokens meets exact duplicates only."""

    bands: int = Field(14, ge=1, le=1024)
    """Documents that share one band of their signature are compared."""

    rows: int = Field(8, ge=1, le=256)
    """Permutations in a band: more make a band harder to share."""

    num_perm: int | None = Field(None, ge=2, le=4096)
    """Instead of `bands` and `rows`: so many permutations, divided as suits `threshold` (datasketch's rule)."""

    threshold: float = Field(0.75, gt=0.0, le=1.0)
    """Least Jaccard similarity of a removed document with the kept one it names; equality counts."""

    prefer: tuple[Literal["source", "longest"], ...] = ("source", "longest")
    """Which of several copies is kept: the earlier source, the longer text; then always the least doc_id."""

    keep: Literal["one", "all"] = "one"
    """`one` of each cluster, the others are dropped; `all`: drop nobody, only write the columns."""

    seed: int = 0
    """Of the permutations."""

    sources: tuple[str, ...] = ()
    """Sources in order of priority (filled from `load`); others come after them, by name."""

    buckets: int = Field(64, ge=1, le=65536)
    """Into how many piles findings are dealt; one pile must fit into memory."""

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not (self.exact or self.near):
            raise ValueError("exact and near are both off: leave dedup out of the recipe instead")
        if self.num_perm is not None and self.model_fields_set & {"bands", "rows"}:
            raise ValueError("give num_perm, or bands and rows: num_perm chooses them from the threshold")
        return self

    @property
    def banding(self) -> tuple[int, int]:
        """(bands, rows) as given, or as datasketch chooses them for `threshold`."""
        return (self.bands, self.rows) if self.num_perm is None else _optimal(self.threshold, self.num_perm)

    @property
    def rounds(self) -> int:
        """Candidates, then verification."""
        return 2

    def survey_identity(self, turn: int) -> dict[str, Any]:
        """What decides the findings: never the threshold (but through num_perm), never who survives."""
        if turn:
            return {"ngram": self.ngram, "buckets": self.buckets}
        near = {"ngram": self.ngram, "banding": self.banding, "seed": self.seed} if self.near else None
        return {"exact": self.exact, "near": near, "buckets": self.buckets}

    def survey(self, rows: pa.Table, turn: int, ruling: pa.Table | None) -> pa.Table:
        """Round 0: the keys of every row. Round 1: what verification needs of every candidate."""
        if turn == 0 or ruling is None:
            return self._keys(rows)
        return self._candidates(rows, ruling)

    def _keys(self, rows: pa.Table) -> pa.Table:
        """{bucket, key, row}: keys of the comparison form, of the letters, of every band."""
        texts, _ = normalised(rows["text"])
        data, offsets = utf8(texts)
        own = rows["row"].to_numpy()
        keys: list[npt.NDArray[np.uint64]] = []
        owners: list[npt.NDArray[np.uint32]] = []
        forms, lengths = exact_keys(data, offsets)
        keyed = lengths > 0 if self.exact else np.zeros(len(own), np.bool_)
        if self.near:
            bands, per_band = self.banding
            found, letters, counts = band_keys(data, offsets, self.ngram, bands, per_band, self.seed)
            shingled = counts > 0
            keys += [_marked(found[shingled].ravel(), _BAND), _marked(letters[shingled], _LETTERS)]
            owners += [np.repeat(own[shingled], bands), own[shingled]]
            keyed |= shingled
        keys.append(_marked(forms[keyed, 0], _FORM))
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

    def _candidates(self, rows: pa.Table, ruling: pa.Table) -> pa.Table:
        """{bucket, component, row, doc_id, form, source, chars, letters, shingles}, a row a candidate."""
        places = np.searchsorted(rows["row"].to_numpy(), ruling["row"].to_numpy())
        chosen = rows.take(pa.array(places))
        texts, _ = normalised(chosen["text"])
        data, offsets = utf8(texts)
        forms, lengths = exact_keys(data, offsets)
        sends = ruling["sends"].to_numpy(zero_copy_only=False)
        senders = whole(texts).filter(whole(ruling["sends"]))
        shingles, sent, letters = shingle_sets(*utf8(senders), self.ngram)
        spelled = np.zeros(len(sends), np.uint64)
        spelled[sends] = letters
        bounds = np.zeros(len(sends) + 1, np.int64)
        bounds[1:][sends] = np.diff(sent)
        component = ruling["component"].to_numpy()
        bucket = component % np.uint64(self.buckets)
        return pa.table(
            {
                "bucket": pa.array(bucket.astype(np.uint16)),
                "component": ruling["component"],
                "row": ruling["row"],
                "doc_id": chosen["doc_id"],
                "form": pa.FixedSizeBinaryArray.from_buffers(DOC_ID, len(forms), [None, pa.py_buffer(forms)]),
                "source": chosen["source"].cast(pa.string()),
                "chars": pa.array(lengths),
                "letters": pa.array(spelled),
                "shingles": pa.LargeListArray.from_arrays(pa.array(np.cumsum(bounds)), pa.array(shingles)),
            }
        )

    def decide(self, findings: pa.Table, turn: int) -> pa.Table:
        """Round 0: members of every key that more than one document has. Round 1: the verdicts."""
        if turn:
            return self._verified(findings)
        members = shared(findings["key"].to_numpy())
        return findings.select(["part", "row", "key"]).take(pa.array(members))

    def settle(self, rulings: pa.Table, turn: int) -> pa.Table:
        """Round 0: {part, row, component, sends}, the component of every candidate."""
        if turn:
            return rulings
        keys = rulings["key"].to_numpy()  # equal ones stand together: a bucket decides all of a key's
        places = rulings["part"].to_numpy().astype(np.uint64) << np.uint64(32)
        places |= rulings["row"].to_numpy()
        nodes, documents = numbered(places)
        names = components(nodes, keys, len(documents))
        return pa.table(
            {
                "part": pa.array((documents >> np.uint64(32)).astype(np.uint32)),
                "row": pa.array((documents & np.uint64(0xFFFFFFFF)).astype(np.uint32)),
                "component": pa.array(names),
                "sends": pa.array(_senders(nodes, keys, names, documents)),
            }
        )

    def _verified(self, findings: pa.Table) -> pa.Table:
        """{part, row, duplicate_of, similarity, cluster_size, reason}, a row a member of a cluster."""
        order = self._survivor_order(findings)
        found = findings.drop_columns("shingles").take(pa.array(order))
        component = found["component"].to_numpy()
        forms = ids(found["form"]).view(np.uint64)
        leaders, copies = _by_form(component, forms)
        shingles, bounds, letters = _sets(findings, order, copies, len(leaders))
        starts = np.flatnonzero(np.append(True, component[leaders][1:] != component[leaders][:-1]))
        groups = np.append(starts, len(leaders)) if len(leaders) else np.zeros(1, np.int64)
        survivor, similarity = survivors(shingles, bounds, letters, groups, self.threshold)
        near = survivor[copies] >= 0
        kept = leaders[np.where(near, survivor[copies], copies)] if len(leaders) else leaders
        cluster = np.bincount(kept, minlength=len(found))[kept]
        removed = kept != np.arange(len(kept))
        members = np.flatnonzero(cluster > 1)
        removed, kept = removed[members], kept[members]
        alike = letters[copies] == letters[survivor[copies]]
        reason = np.where(near & ~alike, "near", np.where(near | (not self.exact), "letters", "exact"))[
            members
        ]
        doc_ids = whole(found["doc_id"])
        return pa.table(
            {
                "part": found["part"].take(pa.array(members)),
                "row": found["row"].take(pa.array(members)),
                "duplicate_of": doc_ids.take(pa.array(kept, mask=~removed)),
                "similarity": pa.array(similarity[copies][members], mask=~removed),
                "cluster_size": pa.array(cluster[members].astype(np.int32)),
                "reason": pa.array(reason, pa.string(), mask=~removed),
            }
        )

    def _survivor_order(self, findings: pa.Table) -> npt.NDArray[np.int64]:
        """Rows by component, and inside it whoever is to be kept first (RULES 10.2)."""
        doc_ids = ids(findings["doc_id"]).view(">u8").astype(np.uint64)
        keys: list[npt.NDArray[Any]] = [doc_ids[:, 1], doc_ids[:, 0]]
        for preference in reversed(self.prefer):
            if preference == "longest":
                keys.append(-findings["chars"].to_numpy())
            else:
                keys.append(self._source_ranks(findings["source"]))
        return np.lexsort([*keys, findings["component"].to_numpy()])

    def _source_ranks(self, column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
        names = whole(column).dictionary_encode()
        present = names.dictionary.to_pylist()
        ranked = [*self.sources, *sorted(set(present) - set(self.sources))]
        ranks = np.array([ranked.index(name) for name in present], np.int64)
        found: npt.NDArray[np.int64] = ranks[np.asarray(names.indices)]
        return found

    def artifacts(self, ruling: pa.Table | None) -> Mapping[str, bytes]:
        """duplicates.json: the curve of what the bands find, cluster sizes, the largest clusters.

        `curve` is [similarity, probability that a pair with it becomes a candidate] (RULES 11.3), `sizes`
        [documents, clusters of so many], `largest` the survivors of the twenty largest clusters.
        """
        bands, per_band = self.banding
        curve = [[s / 100, round(1 - (1 - (s / 100) ** per_band) ** bands, 4)] for s in range(50, 101, 5)]
        found: dict[str, Any] = {"bands": bands, "rows": per_band, "curve": curve, "sizes": [], "largest": []}
        if ruling is not None and ruling.num_rows:
            removed = ruling.filter(pc.is_valid(ruling["duplicate_of"]))
            clusters = removed.group_by("duplicate_of").aggregate([("cluster_size", "max")])
            pairs = [(-own["cluster_size_max"], own["duplicate_of"].hex()) for own in clusters.to_pylist()]
            found["sizes"] = sorted(Counter(-size for size, _ in pairs).items())
            found["largest"] = [{"survivor": name, "documents": -size} for size, name in sorted(pairs)[:20]]
        return {"duplicates.json": json.dumps(found, indent=1).encode()}

    def apply(self, rows: pa.Table, ruling: pa.Table | None) -> Out:
        """The verdicts as columns; who is in no cluster is a cluster of one."""
        told = ruling.num_rows if ruling is not None else 0
        places = np.full(rows.num_rows, told, np.int64)
        if ruling is not None:
            places[np.searchsorted(rows["row"].to_numpy(), ruling["row"].to_numpy())] = np.arange(told)
        taken = pa.array(places, mask=places == told)
        if ruling is None or not told:
            columns = {name: pa.nulls(rows.num_rows, kind) for name, kind in self.writes.items()}
            reasons = pa.nulls(rows.num_rows, pa.string())
        else:
            columns = {name: whole(ruling[name]).take(taken) for name in self.writes}
            reasons = whole(ruling["reason"]).take(taken)
        if self.keep == "all":
            reasons = pa.nulls(rows.num_rows, pa.string())
        columns["cluster_size"] = columns["cluster_size"].fill_null(1)
        return Out(columns, reasons)
