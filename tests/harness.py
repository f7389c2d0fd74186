"""Runs one stage over tables in memory, as the pipeline would over parts. It knows no store and no files."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import Global, Out


def part_of(columns: dict[str, Sequence[object] | pa.Array], ids: Iterable[int]) -> pa.Table:
    """A part with `row` and `doc_id` (from numbers) beside the columns given."""
    doc_ids = [number.to_bytes(16, "big") for number in ids]
    return pa.table(
        {
            "row": pa.array(range(len(doc_ids)), pa.uint32()),
            "doc_id": pa.array(doc_ids, pa.binary(16)),
            **columns,
        }
    )


def with_rows(table: pa.Table) -> pa.Table:
    """The table as a part of its own: `row` counts from 0."""
    rows = pa.array(np.arange(table.num_rows, dtype=np.uint32))
    kept = table.drop_columns("row") if "row" in table.column_names else table
    return kept.add_column(0, "row", rows)


def cut(table: pa.Table, parts: int, rng: random.Random) -> list[pa.Table]:
    """The rows in random order, in so many parts (some may be empty)."""
    order = list(range(table.num_rows))
    rng.shuffle(order)
    edges = [0, *sorted(rng.randint(0, len(order)) for _ in range(parts - 1)), len(order)]
    return [
        with_rows(table.take(pa.array(order[a:b], pa.int64())))
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    ]


def _told(ruling: pa.Table | None, part: int) -> pa.Table | None:
    if ruling is None or not {"part", "row"} <= set(ruling.column_names):
        return ruling
    own = ruling.filter(pc.equal(ruling["part"], pa.scalar(part, pa.uint32())))
    return own.drop_columns("part").sort_by("row")


def rulings(stage: Global, parts: Sequence[pa.Table], seed: int = 0) -> list[pa.Table]:
    """The ruling of every round; buckets and their findings come in random order."""
    rng = random.Random(seed)
    ruling: pa.Table | None = None
    found = []
    for turn in range(stage.rounds):
        findings = []
        for part, rows in enumerate(parts):
            own = stage.survey(rows, turn, _told(ruling, part))
            findings.append(own.append_column("part", pa.array([part] * own.num_rows, pa.uint32())))
        together = pa.concat_tables(findings)
        shuffled = together.take(
            pa.array(rng.sample(range(together.num_rows), together.num_rows), pa.int64())
        )
        buckets = sorted(set(shuffled["bucket"].to_pylist())) or [0]
        rng.shuffle(buckets)
        decided = [
            stage.decide(shuffled.filter(pc.equal(shuffled["bucket"], bucket)), turn) for bucket in buckets
        ]
        ruling = stage.settle(pa.concat_tables(decided), turn)
        found.append(ruling)
    return found


def run_global(stage: Global, parts: Sequence[pa.Table], seed: int = 0) -> list[Out]:
    """All rounds of a Global stage over these parts, then what it says of each part."""
    found = rulings(stage, parts, seed)
    last = found[-1] if found else None
    return [stage.apply(rows, _told(last, part)) for part, rows in enumerate(parts)]


def by_id(parts: Sequence[pa.Table], outs: Sequence[Out]) -> dict[bytes, dict[str, object]]:
    """doc_id -> reason and columns, over all parts."""
    found: dict[bytes, dict[str, object]] = {}
    for rows, out in zip(parts, outs, strict=True):
        table = pa.table({"reason": out.reasons, **out.columns})
        found |= dict(zip(rows["doc_id"].to_pylist(), table.to_pylist(), strict=True))
    return found
