"""What dedup publishes of its clusters: duplicates.json, and the alarms about clusters that deserve a look.

Which documents are a cluster is decided in `verdicts`; the report's own numbers are the pipeline's business.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stages.columns import DOC_ID


def _samples(removed: pa.Table, survivor: bytes) -> list[str]:
    """The three least doc_ids, as hex digits, among those that were removed for a document."""
    own = removed.filter(pc.equal(removed["duplicate_of"], pa.scalar(survivor, DOC_ID)))
    return sorted(value.hex() for value in own["doc_id"].to_pylist())[:3]


def published(said: pa.Table | None, bands: int, rows: int, *, near: bool) -> bytes:
    """duplicates.json.

    Args:
        said: the verdicts, with `doc_id`, `duplicate_of` and `cluster_size`; None where there are none.
        bands: bands of a signature.
        rows: permutations in a band.
        near: whether bands were looked at.

    Returns:
        `bands`, `rows`; `curve`, [similarity, probability that a pair with it shares a band] (RULES 11.3),
        empty where nobody looked;
        `sizes`, [documents, clusters of so many]; `largest`, the survivors of the twenty largest clusters,
        each with the least doc_ids of those removed for it.
    """
    steps = range(50, 101, 5) if near else ()
    curve = [[s / 100, round(1 - (1 - (s / 100) ** rows) ** bands, 4)] for s in steps]
    found: dict[str, Any] = {"bands": bands, "rows": rows, "curve": curve, "sizes": [], "largest": []}
    if said is not None and said.num_rows:
        removed = said.filter(pc.is_valid(said["duplicate_of"]))
        clusters = removed.group_by("duplicate_of").aggregate([("cluster_size", "max")])
        pairs = [(-own["cluster_size_max"], own["duplicate_of"]) for own in clusters.to_pylist()]
        found["sizes"] = sorted(Counter(-size for size, _ in pairs).items())
        found["largest"] = [
            {"survivor": name.hex(), "documents": -size, "removed": _samples(removed, name)}
            for size, name in sorted(pairs)[:20]
        ]
    return json.dumps(found, indent=1).encode()


def giants(published: bytes, most: int, *, closure: bool) -> list[str]:
    """A sentence for each cluster of more than `most` documents.

    Args:
        published: duplicates.json.
        most: `max_cluster`.
        closure: whether nobody was compared, so that no threshold helps.
    """
    remedy = "set dedup.clusters: verified" if closure else "raise dedup.threshold"
    return [
        f"dedup: {own['documents']} documents were taken for copies of {own['survivor']}, more than max_cluster "
        f"{most}; among them {', '.join(own['removed'])}. Look at them with `gristmill explain DOC`; "
        f"if they are no copies, {remedy} or clean off what they share; if they are, raise dedup.max_cluster."
        for own in json.loads(published)["largest"]
        if own["documents"] > most
    ]
