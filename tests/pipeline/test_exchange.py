"""Findings reach their bucket whole, from all parts, whatever the order they were written in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import exchange


def _sent(folder: Path, parts: list[list[int]]) -> list[dict[str, object]]:
    sent = []
    for part, buckets in enumerate(parts):
        table = pa.table(
            {"bucket": pa.array(buckets, pa.uint16()), "row": pa.array(range(len(buckets)), pa.uint32())}
        )
        marker = exchange.send(folder / f"{part}", table, {})
        sent.append({"path": str(marker.data), "part": part, "slices": marker["slices"]})
    return sent


@settings(max_examples=25, deadline=None)
@given(parts=st.lists(st.lists(st.integers(0, 4), max_size=8), min_size=1, max_size=4))
def test_every_row_arrives_once_in_its_bucket(parts: list[list[int]], tmp_path_factory: object) -> None:
    """The buckets together hold each (part, row) exactly once."""
    folder = tmp_path_factory.mktemp("sent")  # type: ignore[attr-defined]
    sent = _sent(folder, parts)
    arrived = []
    for bucket in range(5):
        table = exchange.receive(sent, bucket)
        assert set(table.column("bucket").to_pylist()) <= {bucket}
        arrived += zip(table.column("part").to_pylist(), table.column("row").to_pylist(), strict=True)
    expected = [(part, row) for part, rows in enumerate(parts) for row in range(len(rows))]
    assert sorted(arrived) == expected


def test_small_buckets_are_joined_up_to_the_limit() -> None:
    """Adjacent buckets share a task until it carries the limit; a bucket above it stands alone."""
    assert exchange.ranges({0: 3, 1: 3, 2: 9, 5: 1}, 6) == [(0, 1), (2,), (5,)]
    assert exchange.ranges({}, 6) == []


def test_a_ruling_reaches_each_part_as_its_own_slice(tmp_path: Path) -> None:
    """Slices are sorted by row, leave `part` out, and are empty for parts that are not named."""
    ruling = pa.table(
        {
            "part": pa.array([2, 0, 2], pa.uint32()),
            "row": pa.array([7, 1, 3], pa.uint32()),
            "verdict": ["c", "a", "b"],
        }
    )
    table, slices = exchange.part_slices(ruling)
    marker = exchange.publish(tmp_path / "ruling", table, {}, parquet=False)
    heard = exchange.ruling_for(marker.data, slices, 2)
    assert heard.to_pydict() == {"row": [3, 7], "verdict": ["b", "c"]}
    assert exchange.ruling_for(marker.data, slices, 1).num_rows == 0
    assert exchange.ruling_for(marker.data, None, 1).num_rows == 3


def test_the_digest_of_a_slice_depends_on_its_rows_alone() -> None:
    """A slice of a larger table has the digest of the same rows written alone."""
    table = pa.table({"x": pa.array(np.arange(10)), "s": [str(n) for n in range(10)]})
    alone = pa.table({"x": pa.array(np.arange(3, 6)), "s": ["3", "4", "5"]})
    assert exchange.table_sha256(table.slice(3, 3)) == exchange.table_sha256(alone)
    assert exchange.table_sha256(table.slice(2, 3)) != exchange.table_sha256(alone)
