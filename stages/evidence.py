"""From hits of grams to evidence: regions, which items they show, and the tables about them (RULES 12.3).

Works on arrays of hits sorted by document and first token; which of them convict is the business of
`decontaminate`. Loops over hits, which are few.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.benchmarks import Count
from stages.columns import utf8
from stages.gramindex import Index, phrases
from stages.kernels.comparison import exact_keys
from stages.kernels.ngrams import scan, spans_of
from stages.kernels.units import normalised, origins

Hits = Mapping[str, npt.NDArray[Any]]

RULING: Final = pa.schema(
    [
        ("part", pa.uint32()),
        ("row", pa.uint32()),
        ("benchmark", pa.string()),
        ("item", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("tokens", pa.int64()),
        ("new_region", pa.bool_()),
        ("new_document", pa.bool_()),
        ("new_item", pa.bool_()),
        ("phrase", pa.string()),
        ("documents", pa.int64()),
        ("common", pa.bool_()),
        ("whole", pa.bool_()),
    ]
)
"""A row for every region and every benchmark in it, with the benchmark's item of most grams there; the flags
mark the first row of a region, of a benchmark in a document, of an item in the corpus. Then, for the part
`NOBODY`, phrases: what grams say that convict or are `common`, in how many `documents`, and whether that is the
`whole` text of an item."""

NOBODY: Final = 0xFFFFFFFF
"""No part has this number: these rows are for the tables."""

SHOWN: Final = 20
"""Phrases of a kind and a benchmark in the tables."""

_FLAGS: Final = {
    "new_region": ("part", "row", "start"),
    "new_document": ("part", "row", "benchmark"),
    "new_item": ("benchmark", "item"),
}


def located(
    texts: pa.ChunkedArray, index: Index
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Every hit in some texts, and where it stands.

    Returns:
        hits: int64[hits, 4], as `scan` has them.
        spans: int64[hits, 2], [start, end) in characters of the stored text.
        forms: uint64[hits], the document up to white space, the same for copies.
    """
    composed, changed = normalised(texts)
    data, offsets = utf8(composed)
    hits = scan(data, offsets, index.table)
    found, starts = np.unique(hits[:, 0], return_index=True)
    spans = np.zeros((len(hits), 2), np.int64)
    forms = np.zeros(len(hits), np.uint64)
    for row, (start, stop) in zip(found.tolist(), pairwise([*starts.tolist(), len(hits)]), strict=True):
        own = slice(start, stop)
        text = texts[row].as_py()
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
    return hits, spans, forms


def documents(hits: Hits) -> Iterator[tuple[int, int]]:
    """[first, last) hits of each document."""
    places = hits["part"].astype(np.uint64) << np.uint64(32) | hits["row"]
    edges = (
        np.flatnonzero(np.append(True, places[1:] != places[:-1])) if len(places) else np.zeros(0, np.int64)
    )
    return zip(edges.tolist(), [*edges[1:].tolist(), len(places)], strict=True) if len(edges) else iter(())


def regions(hits: Hits, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """[first, last) hits of each region of a document: they share a token, or have none between them."""
    first, reach = start, int(hits["first"][start])
    for k in range(start, stop):
        if hits["first"][k] > reach:
            yield first, k
            first = k
        reach = max(reach, int(hits["first"][k] + hits["tokens"][k]))
    yield first, stop


def covering(
    hits: Hits, grams: npt.NDArray[np.int32], start: int, stop: int, index: Index, share: float
) -> npt.NDArray[np.bool_]:
    """Which hits of a document belong to a place where enough of one benchmark text is found.

    A place ends where more tokens lie between two hits of a text than the text has. Found are the tokens of
    the document that its hits cover there; enough is `share` of those that all grams of the text cover.

    Args:
        hits: sorted hits.
        grams: int32[hits], place of each hit's gram in the index.
        start: first hit of the document.
        stop: end of its hits, exclusive.
        index: the benchmarks.
        share: in [0, 1].

    Returns:
        bool[stop - start].
    """
    of_text: dict[int, list[int]] = {}
    for k in range(start, stop):
        for text in index.texts_of(int(grams[k])).tolist():
            of_text.setdefault(text, []).append(k)
    enough = np.zeros(stop - start, np.bool_)
    for text, own in of_text.items():
        size = int(index.sizes[text])
        place: list[int] = []
        covered = reach = 0
        for k in [*own, -1]:
            first = int(hits["first"][k]) if k >= 0 else 0
            if place and (k < 0 or first - reach > size):
                enough[place] |= covered >= share * size
                place, covered = [], 0
            if k < 0:
                break
            end = first + int(hits["tokens"][k])
            covered += end - max(first, reach) if place else end - first
            reach = max(reach, end) if place else end
            place.append(k - start)
    return enough


def ruling(
    hits: Hits,
    grams: npt.NDArray[np.int32],
    convicts: npt.NDArray[np.bool_],
    common: npt.NDArray[np.bool_],
    index: Index,
    names: Sequence[str],
) -> pa.Table:
    """What `decontaminate` settles on: see `RULING`.

    Args:
        hits: sorted hits.
        grams: int32[hits], place of each hit's gram in the index.
        convicts: bool[hits], hits that convict.
        common: bool[hits], hits that do not because their phrases are common in the corpus.
        index: the benchmarks.
        names: what they are called.
    """
    rows: list[dict[str, Any]] = []
    seen: set[tuple[Any, ...]] = set()
    for start, stop in (region for own in documents(hits) for region in regions(hits, *own)):
        if not convicts[start:stop].any():
            continue
        own = slice(start, stop)
        place = {
            "part": int(hits["part"][start]),
            "row": int(hits["row"][start]),
            "start": int(hits["start"][own].min()),
            "end": int(hits["end"][own].max()),
            "tokens": int((hits["first"][own] + hits["tokens"][own]).max() - hits["first"][start]),
        }
        for item in items_of(index, np.unique(grams[own])):
            row = {**place, "benchmark": names[index.benchmark[item]], "item": index.names[item]}
            for flag, key in _FLAGS.items():
                value = (flag, *(row[name] for name in key))
                row[flag] = value not in seen
                seen.add(value)
            rows.append(row)
    counted = [
        dict(zip(grams[mine].tolist(), hits["documents"][mine].tolist(), strict=True))
        for mine in (convicts, common)
    ]
    for shared, said in zip((False, True), phrases(index, *counted), strict=True):
        left = dict.fromkeys(names, SHOWN)
        for phrase in said:
            name = names[index.benchmark[phrase.item]]
            left[name] -= 1
            if left[name] >= 0:
                rows.append(
                    {"part": NOBODY, "row": len(rows), "benchmark": name, "item": index.names[phrase.item],
                     "phrase": phrase.text, "documents": phrase.documents, "common": shared, "whole": phrase.whole}
                )  # fmt: skip
    return pa.Table.from_pylist(rows, schema=RULING)


def tables(counts: Mapping[str, Count], ruled: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A benchmark each: its items, what could be checked and was found, how much of it, and the phrases."""
    found: list[dict[str, Any]] = []
    for name, count in counts.items():
        own = [row for row in ruled if row["benchmark"] == name]
        hits = [row for row in own if row["phrase"] is None]
        said = [row for row in own if row["phrase"] is not None]
        shown = [
            {"text": row["phrase"], "documents": row["documents"], "item": row["item"], "whole": row["whole"]}
            for row in said
        ]
        checkable = count.items - count.not_checkable
        items_hit = sum(row["new_item"] for row in hits)
        found.append(
            {
                "benchmark": name,
                "items": count.items,
                "repeated": count.repeated,
                "checkable": checkable,
                "not_checkable": count.not_checkable,
                "items_hit": items_hit,
                "share": items_hit / checkable if checkable else None,
                "documents": sum(row["new_document"] for row in hits),
                "regions": len(hits),
                "longest": max((row["tokens"] for row in hits), default=0),
                "matched_tokens": sum(row["tokens"] for row in hits),
                "matched_characters": sum(row["end"] - row["start"] for row in hits),
                "grams": [entry for row, entry in zip(said, shown, strict=True) if not row["common"]],
                "common_phrases": [entry for row, entry in zip(said, shown, strict=True) if row["common"]],
            }
        )
    return found


def items_of(index: Index, grams: npt.NDArray[np.int32]) -> list[int]:
    """Of each benchmark that holds some of the grams, the item that holds most; the earlier of equals."""
    found = np.concatenate([index.items_of(gram) for gram in grams.tolist()])
    items, counts = np.unique(found, return_counts=True)
    best: dict[int, int] = {}
    for k in np.argsort(-counts, kind="stable").tolist():
        best.setdefault(int(index.benchmark[items[k]]), int(items[k]))
    return [best[number] for number in sorted(best)]
