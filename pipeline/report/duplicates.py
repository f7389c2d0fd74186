"""Duplicates in numbers: how similar, in how large clusters, which source loses to which, what LSH misses.

The curve is the chance that two documents of a given similarity meet in a band at all (RULES 11.3); whether
they then count as duplicates is decided by their exact similarity.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.report.counts import Documents
from pipeline.stored import Stored
from stages.naming import stage_class

STEPS: Final = 50  # of the curve
BINS: Final = 20  # of similarity


def duplicates(stored: Stored, table: Documents) -> dict[str, Any]:
    """Everything the report says of duplicates; empty if dedup did not run.

    Returns:
        `dropped`; `similarity`: counts in 20 bins from 0 to 1; `clusters`: size -> clusters; `losses`: (source
        of the dropped, source of the survivor, documents); `bands`, `rows`, `threshold`; `curve`: (similarity,
        chance to meet); `missed`: the chance to be missed, averaged from the threshold to 1; `giants`: (survivor,
        its source, documents) of clusters beyond `max_cluster`, and the limit.
    """
    entry = stored.entry("dedup")
    if entry is None:
        return {}
    similar = table.table.column("similarity").drop_null().to_numpy()
    sizes = table.table.filter(table.kept).column("cluster_size").drop_null().to_numpy()
    clusters = np.unique(sizes[sizes > 1], return_counts=True)
    stage: Any = stage_class("dedup").model_validate(entry["parameters"])  # imported where it ran only
    (bands, rows), threshold = stage.banding, stage.threshold
    found: dict[str, Any] = {
        "dropped": sum(entry["dropped"].values()),
        "similarity": [int(n) for n in np.histogram(similar, bins=BINS, range=(0.0, 1.0))[0]],
        "clusters": {str(a): b for a, b in zip(clusters[0].tolist(), clusters[1].tolist(), strict=True)},
        "losses": _losses(table),
        "bands": bands,
        "rows": rows,
        "threshold": threshold,
        "curve": [],
        "missed": None,
        "max_cluster": stage.max_cluster,
        "giants": _giants(table, stage.max_cluster),
    }
    if stage.near:
        x = np.linspace(0, 1, STEPS + 1)
        found["curve"] = [[round(float(s), 3), float(1 - (1 - s**rows) ** bands)] for s in x]
        above = np.linspace(threshold, 1, 1001)
        found["missed"] = float(((1 - above**rows) ** bands).mean())
    return found


def _giants(table: Documents, limit: int) -> list[dict[str, Any]]:
    kept = table.table.filter(table.kept)
    large = kept.filter(pc.greater(pc.fill_null(kept.column("cluster_size"), 0), limit))
    order = [("cluster_size", "descending"), ("doc_id", "ascending")]
    return [
        {"survivor": row["doc_id"], "source": row["source"], "documents": row["cluster_size"]}
        for row in large.select(["doc_id", "source", "cluster_size"]).sort_by(order).to_pylist()[:20]
    ]


def _losses(table: Documents) -> list[dict[str, Any]]:
    rows = table.table.filter(pc.equal(table.table.column("fate"), "dedup"))
    at = pc.index_in(rows.column("duplicate_of"), value_set=table.table.column("doc_id").combine_chunks())
    survivors = table.table.column("source").take(at)
    pairs = pa.table({"source": rows.column("source"), "survivor": survivors}).group_by(
        ["source", "survivor"], use_threads=False
    )
    counted = pairs.aggregate([([], "count_all")]).to_pylist()
    ordered = sorted(counted, key=lambda row: (-row["count_all"], str(row["source"]), str(row["survivor"])))
    return [
        {"source": row["source"], "survivor": row["survivor"], "documents": row["count_all"]}
        for row in ordered
    ]
