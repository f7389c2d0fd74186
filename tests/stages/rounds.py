"""Runs one stage over a table cut into parts, in memory, as the pipeline does over files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import Global, Out, Shuffle


def cut(rows: pa.Table, bounds: Sequence[int]) -> list[pa.Table]:
    """The rows in parts that end at these positions."""
    ends = sorted({min(max(bound, 0), len(rows)) for bound in bounds} | {len(rows)})
    return [rows.slice(start, end - start) for start, end in zip([0, *ends], ends, strict=False)]


def run_global(
    stage: Global, parts: Sequence[pa.Table], order: Sequence[int] | None = None
) -> tuple[pa.Table, pa.Table | None]:
    """Every row with the stage's columns and `reason`, and the last ruling."""
    ruling: pa.Table | None = None
    for turn in range(stage.rounds):
        findings = [stage.survey(part, turn, ruling) for part in parts]
        met = pa.concat_tables([findings[at] for at in order or range(len(parts))])
        decided = [
            stage.decide(met.filter(pc.equal(met["bucket"], bucket)), turn)
            for bucket in sorted(set(met["bucket"].to_pylist()))
        ]
        ruling = stage.settle(pa.concat_tables(decided), turn)
    outs = [with_columns(part, stage.apply(part, ruling)) for part in parts]
    return pa.concat_tables(outs), ruling


def with_columns(rows: pa.Table, out: Out) -> pa.Table:
    """The rows with what a stage says of them."""
    for name, column in {**out.columns, "reason": out.reasons.cast(pa.string())}.items():
        rows = rows.append_column(name, column)
    return rows


def run_shuffle(stage: Shuffle, parts: Sequence[pa.Table], folder: Path) -> list[dict[str, Any]]:
    """Writes the shards and the manifest; returns the shards' entries."""
    folder.mkdir(parents=True, exist_ok=True)
    routed = pa.concat_tables([stage.route(part)[0] for part in parts])
    buckets = routed["bucket"].to_numpy()
    weights = {int(b): int(routed["weight"].to_numpy()[buckets == b].sum()) for b in np.unique(buckets)}
    entries = []
    for name, group in stage.groups(weights).items():
        rows = pa.concat_tables([routed.filter(pc.equal(routed["bucket"], bucket)) for bucket in group])
        entries.append(dict(stage.write(name, rows, folder / f"{name}.arrow")))
    stage.manifest(entries, folder)
    return entries
