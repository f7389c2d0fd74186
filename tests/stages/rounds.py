"""Stages over parts in memory: a Global with the ruling it came to, a Shuffle with the entries of its shards."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import Global, Shuffle
from tests import harness


def run_global(stage: Global, parts: Sequence[pa.Table], seed: int = 0) -> tuple[pa.Table, pa.Table | None]:
    """Every row with the stage's columns and `reason`, and the last ruling.

    Args:
        stage: the stage.
        parts: its rows, all alive.
        seed: decides in which order parts and buckets are visited.
    """
    draw = random.Random(seed)
    alive = [harness.Part(rows, [True] * len(rows)) for rows in parts]
    ruling: pa.Table | None = None
    for turn in range(stage.rounds):
        ruling = harness._round(stage, turn, alive, ruling, draw)
    tables = []
    for rows in parts:
        out = stage.apply(rows, ruling)
        for name, column in {**out.columns, "reason": out.reasons.cast(pa.string())}.items():
            rows = rows.append_column(name, column)  # noqa: PLW2901 - column by column
        tables.append(rows)
    return pa.concat_tables(tables), ruling


def cut(rows: pa.Table, bounds: Sequence[int]) -> list[pa.Table]:
    """The rows in parts that end at these positions."""
    return [part.rows for part in harness.cut(rows, bounds)]


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
