"""Rows on their way from parts to buckets: one file a part, sorted by bucket, a slice a bucket.

Used for the findings of Global stages and for the routed rows of the Shuffle. Files are Arrow IPC and
memory-mapped, so a reader touches only the slices it needs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.store import Marker, publish, read_table


def send(stem: Path, table: pa.Table, body: Mapping[str, Any], *, weighed: bool = False) -> Marker:
    """Publishes rows with a column `bucket`; the marker says where each bucket's slice lies.

    If they are weighed, they have a column `weight` (int64), and the marker says its sum for each bucket.
    """
    buckets = table.column("bucket").to_numpy()
    if (buckets[1:] < buckets[:-1]).any():
        table = table.take(pa.array(np.argsort(buckets, kind="stable")))
    found, counts = np.unique(buckets, return_counts=True)
    starts = np.cumsum(counts) - counts
    slices = {
        str(b): [s, n] for b, s, n in zip(found.tolist(), starts.tolist(), counts.tolist(), strict=True)
    }
    if weighed:
        weights = np.add.reduceat(table.column("weight").to_numpy(), starts) if len(starts) else np.zeros(0)
        body = {
            **body,
            "weights": {str(b): int(w) for b, w in zip(found.tolist(), weights.tolist(), strict=True)},
        }
    return publish(stem, table, {**body, "slices": slices}, parquet=False)


def receive(
    sent: Iterable[Mapping[str, Any]], *buckets: int, opened: dict[str, pa.Table] | None = None
) -> pa.Table:
    """The rows of some buckets from all parts; `part` (uint32) is added.

    Args:
        sent: for each part `path`, `part` and `slices` (bucket -> [start, rows]).
        buckets: the buckets asked for, ascending; rows come in the order of the parts, then of the buckets.
        opened: files that are mapped already, and where those mapped here are noted. A task that asks for its
            buckets one by one gives one: each mapping of a file counts its pages anew, a thousand are gigabytes.
    """
    tables: list[pa.Table] = []
    empty: pa.Table | None = None
    mapped = {} if opened is None else opened
    for entry in sent:
        spans = [entry["slices"][str(bucket)] for bucket in buckets if str(bucket) in entry["slices"]]
        if spans or empty is None:
            table = mapped.get(entry["path"])
            if table is None:
                table = mapped[entry["path"]] = read_table(Path(entry["path"]))
            empty = _of_part(table.slice(0, 0), entry["part"]) if empty is None else empty
            tables += [_of_part(table.slice(start, rows), entry["part"]) for start, rows in _joined(spans)]
    if empty is None:
        raise ValueError("findings of no part at all")
    return pa.concat_tables(tables) if tables else empty


def _of_part(table: pa.Table, part: int) -> pa.Table:
    return table.append_column("part", pa.array(np.full(len(table), part, np.uint32)))


def _joined(spans: Iterable[Sequence[int]]) -> list[tuple[int, int]]:
    """Spans (start, rows) of which those that follow one another are one."""
    joined: list[tuple[int, int]] = []
    for start, rows in spans:
        if joined and sum(joined[-1]) == start:
            joined[-1] = (joined[-1][0], joined[-1][1] + rows)
        else:
            joined.append((start, rows))
    return joined


def ranges(loads: Mapping[int, int], limit: int) -> list[tuple[int, ...]]:
    """Adjacent buckets joined until a group carries `limit` rows: few tasks for small corpora."""
    groups: list[list[int]] = []
    carried = limit
    for bucket in sorted(loads):
        if carried + loads[bucket] > limit:
            groups.append([])
            carried = 0
        groups[-1].append(bucket)
        carried += loads[bucket]
    return [tuple(group) for group in groups]


def part_slices(ruling: pa.Table) -> tuple[pa.Table, dict[str, list[Any]]]:
    """A ruling sorted by part and row, and part -> [start, rows, digest of the slice without `part`]."""
    ruling = ruling.sort_by([("part", "ascending"), ("row", "ascending")]).combine_chunks()
    found, counts = np.unique(ruling.column("part").to_numpy(), return_counts=True)
    starts = np.cumsum(counts) - counts
    slices: dict[str, list[Any]] = {}
    for part, start, rows in zip(found.tolist(), starts.tolist(), counts.tolist(), strict=True):
        piece = ruling.slice(start, rows).drop_columns("part")
        slices[str(part)] = [start, rows, table_sha256(piece)]
    return ruling, slices


def table_sha256(table: pa.Table) -> str:
    """A digest of a table's content (its IPC stream), whatever file it lies in."""
    sink = pa.BufferOutputStream()
    whole = table.combine_chunks().take(pa.array(np.arange(table.num_rows)))
    with pa.ipc.new_stream(sink, whole.schema) as writer:
        writer.write_table(whole.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()


def ruling_for(path: Path, slices: Mapping[str, Sequence[Any]] | None, part: int) -> pa.Table:
    """What a ruling says to one part: its slice, or all of it when it names no parts."""
    ruling = read_table(path)
    if slices is None:
        return ruling
    start, rows, _ = slices.get(str(part), (0, 0, ""))
    return ruling.slice(start, rows).drop_columns("part")


def told(ruling: Marker | None, part: int) -> tuple[dict[str, Any] | None, str]:
    """What a task is told of a ruling, and the digest of what it will hear."""
    if ruling is None:
        return None, ""
    slices = ruling["slices"]
    found = {"path": str(ruling.data), "slices": None}
    if slices is None:
        return found, ruling.sha256
    own = slices.get(str(part))
    return {**found, "slices": {str(part): own} if own else {}}, own[2] if own else "none"
