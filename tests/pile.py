"""A handful of documents as a table, and what a Global stage says of each, however they are cut into parts."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from stages.base import Global
from tests import harness


def pile(texts: Sequence[str], **columns: Sequence[object]) -> pa.Table:
    """Documents numbered from 0: doc_id is the number, big-endian; the source is `s` unless given."""
    ids = [number.to_bytes(16, "big") for number in range(len(texts))]
    given = {"source": ["s"] * len(texts), **columns}
    return pa.table(
        {"doc_id": pa.array(ids, pa.binary(16)), "text": pa.array(texts, pa.large_string()), **given}
    )


def scattered(rows: pa.Table, parts: int, seed: int) -> list[harness.Part]:
    """The rows in random order, in so many parts; some may be empty."""
    draw = random.Random(seed)
    order = draw.sample(range(len(rows)), len(rows))
    bounds = [draw.randint(0, len(rows)) for _ in range(parts - 1)]
    return harness.cut(rows.take(pa.array(order, pa.int64())), bounds)


def said(stage: Global, parts: Sequence[harness.Part], seed: int = 0) -> dict[int, dict[str, Any]]:
    """Number of a document -> its reason and the stage's columns."""
    found: dict[int, dict[str, Any]] = {}
    outs = harness.outs(stage, parts, random.Random(seed))
    for part, out in zip(parts, outs, strict=True):
        ids = [int.from_bytes(value, "big") for value in part.living(())["doc_id"].to_pylist()]
        columns = {name: out.columns[name].cast(kind) for name, kind in stage.written.items()}
        found |= dict(zip(ids, pa.table({"reason": out.reasons, **columns}).to_pylist(), strict=True))
    return found


def everywhere(stage: Global, rows: pa.Table) -> dict[int, dict[str, Any]]:
    """The same for one part, two and seven in random orders, which must agree."""
    whole = said(stage, scattered(rows, 1, 0))
    for parts in (2, 7):
        assert said(stage, scattered(rows, parts, parts), parts) == whole
    return whole


def columns_of(found: Mapping[int, Mapping[str, Any]], name: str) -> list[Any]:
    """One column, by number of the document; doc_ids as numbers."""
    values = [found[number][name] for number in sorted(found)]
    return [int.from_bytes(value, "big") if isinstance(value, bytes) else value for value in values]
