"""Duplicates in numbers: how similar, in how large clusters, which source loses to which, what LSH misses.

The curve is the chance that two documents of a given similarity meet in a band at all (RULES 11.3); whether
they then count as duplicates is decided by their exact similarity.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from pipeline.stored import Stored
from stages.naming import stage_class

STEPS: Final = 50  # of the curve


def duplicates(stored: Stored) -> dict[str, Any]:
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
    stage: Any = stage_class("dedup").model_validate(entry["parameters"])  # imported where it ran only
    (bands, rows), threshold = stage.banding, stage.threshold
    counted = stored.statistics["counts"]
    found: dict[str, Any] = {
        "dropped": sum(entry["dropped"].values()),
        "similarity": counted["similarity"],
        "clusters": {size: counted["clusters"][size] for size in sorted(counted["clusters"], key=int)},
        "losses": _losses(counted["losses"]),
        "bands": bands,
        "rows": rows,
        "threshold": threshold,
        "curve": [],
        "missed": None,
        "max_cluster": stage.max_cluster,
        "giants": [
            {"survivor": own["doc_id"], "source": own["source"], "documents": own["documents"]}
            for own in stored.statistics["most"]
            if own["documents"] > stage.max_cluster
        ],
    }
    if stage.near:
        x = np.linspace(0, 1, STEPS + 1)
        found["curve"] = [[round(float(s), 3), float(1 - (1 - s**rows) ** bands)] for s in x]
        above = np.linspace(threshold, 1, 1001)
        found["missed"] = float(((1 - above**rows) ** bands).mean())
    return found


def _losses(counted: dict[str, dict[str, int]]) -> list[dict[str, Any]]:
    rows = [
        {"source": source, "survivor": survivor or None, "documents": documents}
        for source, found in counted.items()
        for survivor, documents in found.items()
    ]
    return sorted(rows, key=lambda row: (-row["documents"], str(row["source"]), str(row["survivor"])))
