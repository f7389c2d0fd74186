"""What a part says of itself in numbers that merge: made in a task beside the documents table, read by the report.

    counts     nested names -> integers, or lists of them (bins): they add up
    distinct   nested names -> HyperLogLog registers: they merge by their maximum
    least      nested names -> (doc_id, row) with the least doc_ids: a choice that nobody made
    most       the largest clusters of duplicates

All laws are commutative, associative and indifferent to cuts, so any cut of the corpus gives the same numbers
(of sketches, the same estimate). Nothing here knows the report; only `shards` opens a file.

    counting.py      documents, bytes and tokens by source, language, group, reason, benchmark, host
    measurements.py  the measurements of clean, in bins and beyond cuts
    sketches.py      distinct values
    phrases.py       what three words in a row are common
    shards.py        how rows are filled and how often each token occurs
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.statistics import counting, measurements, phrases, shards, sketches

__all__ = [
    "EXAMPLES", "FILE", "LARGEST", "Statistics", "counting", "measurements", "merged", "of_part", "phrases",
    "shards", "sketches",
]  # fmt: skip

FILE: Final = "statistics.json"
"""The artifact that holds the statistics of a part or of a shard."""
EXAMPLES: Final = 3
"""Documents that are remembered of each reason and of each benchmark."""
LARGEST: Final = 20
"""Clusters that are remembered."""

Statistics = dict[str, Any]
Texts = Callable[[npt.NDArray[np.int64]], pa.Array]


def of_part(
    table: pa.Table, aside: pa.Table, clean: Mapping[str, Any] | None, sampled: pa.Array, texts: Texts
) -> Statistics:
    """The statistics of a part.

    Args:
        table: its documents table.
        aside: columns of `tabulate.ASIDE` for the same rows.
        clean: parameters of clean, if it ran.
        sampled: bool, the rows whose phrases are counted (`phrases.sampled`).
        texts: asked for the texts of the rows that are kept or sampled (int64 positions): large_string.
    """
    rows = table.num_rows
    for name in aside.column_names:
        table = table.append_column(name, aside.column(name))
    read = pc.or_(pc.equal(table.column("fate"), "kept"), sampled)
    told = texts(np.flatnonzero(read.to_numpy()))
    some = table.filter(read)
    return {
        "counts": {
            "documents": rows,
            **counting.counts(table),
            "measurements": measurements.counts(table, clean) if clean is not None else {},
            "phrases": phrases.counts(some, told, sampled.filter(read)),
        },
        "distinct": sketches.distinct(table, some, told),
        "least": counting.least(table, EXAMPLES),
        "most": counting.largest(table, LARGEST),
    }


def merged(parts: Iterable[Statistics]) -> Statistics:
    """The statistics of all parts, in load order; rows are then counted from the first part's first row."""
    total: Statistics = {"counts": {}, "distinct": {}, "least": {}, "most": []}
    first = 0
    for part in parts:
        _add(total["counts"], part["counts"])
        sketches.unite(total["distinct"], part["distinct"])
        _choose(total["least"], part["least"], first)
        total["most"] += [{**one, "row": one["row"] + first} for one in part["most"]]
        total["most"] = sorted(total["most"], key=lambda one: (-one["documents"], one["doc_id"]))[:LARGEST]
        first += part["counts"]["documents"]
    return total


def _add(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict):
            _add(into.setdefault(name, {}), value)
        elif isinstance(value, list):
            had = into.get(name, [])
            size = max(len(had), len(value))
            both = (list(one) + [0] * (size - len(one)) for one in (had, value))
            into[name] = [a + b for a, b in zip(*both, strict=True)]
        else:
            into[name] = into.get(name, 0) + value


def _choose(into: dict[str, Any], more: Mapping[str, Any], first: int) -> None:
    for name, value in more.items():
        if isinstance(value, dict):
            _choose(into.setdefault(name, {}), value, first)
        else:
            moved = [(doc, row + first) for doc, row in value]
            into[name] = sorted([*into.get(name, []), *moved])[:EXAMPLES]
