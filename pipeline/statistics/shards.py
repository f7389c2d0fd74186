"""How the rows of a shard are filled, and how often each token occurs in it: counted in a task a shard."""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def of_shard(path: Path) -> dict[str, Any]:
    """`file`, `rows`, `cuts` (pieces of documents that began in an earlier row), `rows_by_segments`, `tokens`.

    `tokens` is how often each id occurs, padding included: int64 little-endian as text, by id.
    """
    counts, cuts, by_number = np.zeros(0, np.int64), 0, np.zeros(0, np.int64)
    shard = pa.ipc.open_file(pa.memory_map(str(path), "rb"))
    rows = 0
    for number in range(shard.num_record_batches):
        batch = shard.get_batch(number)
        rows += batch.num_rows
        counts = added(counts, np.bincount(batch.column("input_ids").flatten().to_numpy()))
        cuts += pc.sum(pc.greater(batch.column("segment_start").flatten(), 0)).as_py() or 0
        by_number = added(
            by_number, np.bincount(pc.list_value_length(batch.column("segment_doc")).to_numpy())
        )
    packed = b64encode(zlib.compress(counts.astype("<i8").tobytes(), 1)).decode("ascii")
    return {
        "file": path.name,
        "rows": rows,
        "cuts": cuts,
        "rows_by_segments": by_number.tolist(),
        "tokens": packed,
    }


def merged(shards: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], npt.NDArray[np.int64]]:
    """The sums of some shards, and how often each id occurs in them: int64[highest id + 1]."""
    counts, by_number = np.zeros(0, np.int64), np.zeros(0, np.int64)
    total = {"rows": 0, "cuts": 0}
    for shard in shards:
        counts = added(counts, np.frombuffer(zlib.decompress(b64decode(shard["tokens"])), "<i8"))
        by_number = added(by_number, np.array(shard["rows_by_segments"], np.int64))
        total = {name: total[name] + shard[name] for name in total}
    return {**total, "rows_by_segments": by_number.tolist()}, counts


def added(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The sum of two arrays of counts, the shorter one taken to end in zeros."""
    found = np.zeros(max(len(one), len(other)), np.int64)
    found[: len(one)] += one
    found[: len(other)] += other
    return found
