"""Documents, bytes and tokens of a part, by whatever the report tells them apart by; examples; large clusters.

Names are JSON's: a value that is null stands under "" (no source, language or host is called so).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SUMMED: Final = ("documents", "bytes", "chars", "words", "tokens", "repeated", "ends", "contaminated")
"""What is added up by source, language and group: `repeated` is tokens times repeats, `ends` the repeats of
documents with a token, `contaminated` documents with a benchmark's text."""
BINS: Final = 20  # of similarity, from 0 to 1
_HOST: Final = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(?P<h>[^/:?#]+)"


def counts(table: pa.Table) -> dict[str, Any]:
    """Everything that is counted in whole numbers.

    Args:
        table: the documents table with the columns of `tabulate.ASIDE`.

    Returns:
        `tokenised`: documents whose tokens are known; `source`, `lang`, `mix_group`: value -> fate -> sums of
        `SUMMED`; `lengths`: `before` and `after`, by powers of two characters; `similarity`, `clusters` (size ->
        clusters), `losses` (source -> source of the survivor -> documents), `copies_lost`; `contamination`:
        benchmark -> documents, dropped, regions, characters and tokens dropped, items -> regions; `hosts`:
        host -> documents, kept.
    """
    kept = pc.equal(table.column("fate"), "kept")
    repeats = table.column("repeats").cast(pa.int64())
    hits = pc.fill_null(pc.list_value_length(table.column("contamination")), 0)
    added = {
        "documents": pa.array(np.ones(table.num_rows, np.int64)),
        "repeated": pc.multiply(table.column("tokens"), repeats),
        "ends": pc.multiply(repeats, pc.greater(table.column("tokens"), 0).cast(pa.int64())),
        "contaminated": pc.greater(hits, 0).cast(pa.int64()),
    }
    for name, column in added.items():
        table = table.append_column(name, column)
    return {
        "tokenised": table.num_rows - table.column("tokens").null_count,
        **{key: _by(table, key) for key in ("source", "lang", "mix_group")},
        "lengths": _lengths(table.column("chars"), kept),
        **_duplicates(table, kept),
        "contamination": _contamination(table),
        "hosts": _hosts(table.column("url"), kept),
    }


def least(table: pa.Table, most: int) -> dict[str, Any]:
    """The documents with the least doc_ids of each fate and reason, and of each benchmark: (doc_id, row)."""
    reasons: dict[str, dict[str, Any]] = {}
    rows = pa.array(np.arange(table.num_rows))
    for group in table.group_by(["fate", "reason"], use_threads=False).aggregate([]).to_pylist():
        if group["reason"] is not None:
            here = pc.and_(
                pc.equal(table.column("fate"), group["fate"]),
                pc.equal(table.column("reason"), group["reason"]),
            )
            reasons.setdefault(group["fate"], {})[group["reason"]] = _least(table, rows.filter(here), most)
    column = table.column("contamination").combine_chunks()
    owner, named = pc.list_parent_indices(column), column.flatten().field("benchmark")
    found = {
        name: _least(table, owner.filter(pc.equal(named, name)).unique(), most)
        for name in sorted(named.unique().to_pylist())
    }
    return {"reasons": reasons, "contamination": found}


def largest(table: pa.Table, most: int) -> list[dict[str, Any]]:
    """The kept documents that stand for most others: `documents`, `doc_id`, `source`, `row`."""
    rows = pa.array(np.arange(table.num_rows))
    stands = pc.and_(
        pc.equal(table.column("fate"), "kept"), pc.greater(pc.fill_null(table.column("cluster_size"), 0), 1)
    )
    some = table.select(["doc_id", "source", "cluster_size"]).append_column("row", rows).filter(stands)
    order = [("cluster_size", "descending"), ("doc_id", "ascending")]
    return [
        {"documents": own["cluster_size"], **{name: own[name] for name in ("doc_id", "source", "row")}}
        for own in some.sort_by(order).slice(0, most).to_pylist()
    ]


def _least(table: pa.Table, rows: pa.Array, most: int) -> list[tuple[str, int]]:
    ids = table.column("doc_id").take(rows)
    order = pc.array_sort_indices(ids).slice(0, most)
    return list(zip(ids.take(order).to_pylist(), rows.take(order).to_pylist(), strict=True))


def _by(table: pa.Table, key: str) -> dict[str, dict[str, dict[str, int]]]:
    """Value -> fate -> sums."""
    grouped = table.group_by([key, "fate"], use_threads=False).aggregate([(name, "sum") for name in SUMMED])
    found: dict[str, dict[str, dict[str, int]]] = {}
    for row in grouped.to_pylist():
        sums = {name: row[f"{name}_sum"] or 0 for name in SUMMED}
        found.setdefault(row[key] or "", {})[row["fate"]] = sums
    return found


def _lengths(chars: pa.ChunkedArray, kept: pa.ChunkedArray) -> dict[str, list[int]]:
    """Documents by length in characters: bin i holds [2^i, 2^(i+1)), the first also 0."""
    known = pc.is_valid(chars)
    return {"before": _log2(chars.filter(known)), "after": _log2(chars.filter(pc.and_(known, kept)))}


def _log2(values: pa.ChunkedArray) -> list[int]:
    numbers = values.to_numpy()
    exponents = np.frexp(np.maximum(numbers, 1).astype(np.float64))[1] - 1
    return [int(n) for n in np.bincount(exponents)] if len(numbers) else []


def _duplicates(table: pa.Table, kept: pa.ChunkedArray) -> dict[str, Any]:
    similar = table.column("similarity").drop_null().to_numpy()
    sizes = table.column("cluster_size").filter(kept).drop_null().to_numpy()
    clusters = np.unique(sizes[sizes > 1], return_counts=True)
    losses: dict[str, dict[str, int]] = {}
    dropped = table.filter(pc.equal(table.column("fate"), "dedup"))
    grouped = dropped.group_by(["source", "survivor_source"], use_threads=False).aggregate(
        [([], "count_all")]
    )
    for row in grouped.to_pylist():
        losses.setdefault(row["source"], {})[row["survivor_source"] or ""] = row["count_all"]
    # Whoever is contaminated takes along those that were dropped for it.
    gone = table.filter(
        pc.and_(pc.equal(table.column("fate"), "decontaminate"), pc.is_null(table.column("duplicate_of")))
    )
    lost = pc.sum(pc.subtract(gone.column("cluster_size").drop_null(), 1)).as_py() or 0
    return {
        "similarity": [int(n) for n in np.histogram(similar, bins=BINS, range=(0.0, 1.0))[0]],
        "clusters": {str(a): b for a, b in zip(clusters[0].tolist(), clusters[1].tolist(), strict=True)},
        "losses": losses,
        "copies_lost": int(lost),
    }


def _contamination(table: pa.Table) -> dict[str, Any]:
    column = table.column("contamination").combine_chunks()
    row, hits = pc.list_parent_indices(column), column.flatten()
    hit = pa.table(
        {
            "benchmark": hits.field("benchmark"),
            "item": hits.field("item"),
            "row": row,
            "dropped": pc.equal(table.column("fate").take(row), "decontaminate"),
            "chars": table.column("chars").take(row),
            "tokens": table.column("tokens").take(row),
        }
    )
    found: dict[str, Any] = {}
    for name in sorted(hit.column("benchmark").unique().to_pylist()):
        mine = hit.filter(pc.equal(hit.column("benchmark"), name))
        gone = mine.filter(mine.column("dropped")).group_by("row", use_threads=False)
        lost = gone.aggregate([("chars", "min"), ("tokens", "min")])
        items = mine.column("item").value_counts().to_pylist()
        tokens = pc.sum(
            lost.column("tokens_min")
        ).as_py()  # null where documents are dropped before they have any
        found[name] = {
            "documents": len(mine.column("row").unique()),
            "dropped": lost.num_rows,
            "regions": mine.num_rows,
            "characters_dropped": pc.sum(lost.column("chars_min")).as_py() or 0,
            **({"tokens_dropped": tokens} if tokens is not None else {}),
            "items": {item["values"]: item["counts"] for item in items},
        }
    return found


def _hosts(urls: pa.ChunkedArray, kept: pa.ChunkedArray) -> Mapping[str, Mapping[str, int]]:
    """Host -> documents read and kept, of documents with an address."""
    host = pc.utf8_lower(pc.struct_field(pc.extract_regex(urls, _HOST), "h"))
    table = pa.table({"host": host, "kept": kept.cast(pa.int64())})
    named = table.filter(pc.is_valid(table.column("host"))).group_by("host", use_threads=False)
    rows = named.aggregate([([], "count_all"), ("kept", "sum")]).to_pylist()
    return {row["host"]: {"documents": row["count_all"], "kept": row["kept_sum"]} for row in rows}
