"""The documents table of one part: what the stages wrote, joined by position, with the fate of every row.

Columns that no stage of the recipe writes are null, so that the schema is the same for every recipe, but for
the metadata that load keeps, which stand behind all others. Reads columns, computes nothing new; where the
tables of a run lie is `documents.py`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.store import columns_of, read_table
from stages.base import Stage
from stages.columns import TEXT
from stages.naming import stage_class, stage_names

__all__ = [
    "ASIDE",
    "FIXED",
    "VERSION",
    "hexadecimal",
    "metadata_columns",
    "metric_columns",
    "tabulate",
    "texts",
]

HITS: Final = pa.list_(
    pa.struct([("benchmark", pa.string()), ("item", pa.string()), ("start", pa.int64()), ("end", pa.int64())])
)

# Fixed columns, in order: name, type, and the column of a stage that it comes from.
FIXED: Final = (
    ("doc_id", pa.string(), "doc_id"),
    ("orig_id", pa.string(), "orig_id"),
    ("source", pa.string(), "source"),
    ("file", pa.string(), "file"),
    ("record", pa.int64(), "record"),
    ("fate", pa.string(), ""),
    ("reason", pa.string(), ""),
    ("lang", pa.string(), "lang"),
    ("lang_score", pa.float64(), "lang_score"),
    ("duplicate_of", pa.string(), "duplicate_of"),
    ("similarity", pa.float64(), "similarity"),
    ("cluster_size", pa.int32(), "cluster_size"),
    ("contamination", HITS, "contamination"),
    ("chars", pa.int64(), "chars"),
    ("tokens", pa.int64(), "token_count"),
    ("repeats", pa.int32(), "repeats"),
)
ASIDE: Final = {"bytes": pa.int64(), "url": pa.string()}
"""Columns that are counted but stand in no table."""
_BULK: Final = frozenset({"text", "tokens", "bytes", "excerpt", "offset", "url", "split_at"})
VERSION: Final = 4


def metric_columns() -> list[tuple[str, pa.DataType]]:
    """The measurements that follow the fixed columns, whatever the recipe: clean's, langid's, then other stages'.

    Everything that a stage writes of a document and that is one number or word: the score of `quality`, the
    group of `mix`, and what stages added to the folder write.
    """
    taken = {source for _, _, source in FIXED} | _BULK
    words = ("clean", "langid", *(word for word in stage_names() if word not in {"clean", "langid"}))
    found: dict[str, pa.DataType] = {}
    for word in words:
        for name, kind in stage_class(word).writes.items():
            if name not in taken and not pa.types.is_nested(kind):
                found.setdefault(name, kind)
    return list(found.items())


def metadata_columns(load: Stage) -> list[tuple[str, pa.DataType]]:
    """The columns of load's `metadata`, which end the table."""
    return [(name, kind) for name, kind in load.written.items() if name not in load.writes]


def tabulate(
    parts: Sequence[tuple[str, Path]], metadata: Sequence[tuple[str, pa.DataType]] = ()
) -> tuple[pa.Table, pa.Table]:
    """The documents of one part, and what is counted besides.

    Args:
        parts: (stage, data file) in the order of the recipe, load first.
        metadata: columns and types of the metadata that load keeps.

    Returns:
        The documents table, and the columns of `ASIDE` for the same rows.
    """
    found: dict[str, pa.ChunkedArray] = {}
    rows = 0
    fate = np.zeros(0, object)
    reason = np.zeros(0, object)
    for place, (word, path) in enumerate(parts):
        names = [n for n in columns_of(path) if n not in {"text", "tokens", "excerpt", "reason", "alive"}]
        columns = read_table(path, [*names, "reason"])
        if place == 0:
            rows = columns.num_rows
            fate, reason = np.full(rows, "kept", object), np.full(rows, None, object)
        given = columns.column("reason").combine_chunks()
        dead = ~given.is_null().to_numpy(zero_copy_only=False)
        fate[dead] = "quarantined" if place == 0 else word
        reason[dead] = given.filter(pa.array(dead)).to_numpy(zero_copy_only=False)
        found |= {name: columns.column(name) for name in names}
    columns_out: dict[str, Any] = {}
    for name, kind, source in FIXED:
        columns_out[name] = _column(found, source, kind, rows)
    columns_out["fate"], columns_out["reason"] = pa.array(fate, pa.string()), pa.array(reason, pa.string())
    kept = pa.array(fate == "kept")
    repeats = columns_out["repeats"] if "repeats" in found else pa.array(np.ones(rows, np.int32))
    columns_out["repeats"] = pc.if_else(kept, repeats, pa.scalar(0, pa.int32()))
    for name, kind in [*metric_columns(), *metadata]:
        columns_out[name] = _column(found, name, kind, rows)
    aside = {name: _column(found, name, kind, rows) for name, kind in ASIDE.items()}
    return pa.table(columns_out), pa.table(aside)


def texts(parts: Sequence[tuple[str, Path]], rows: npt.NDArray[np.int64]) -> pa.Array:
    """The text of some rows as the stages left it last; null where there never was one.

    A stage that drops a row may leave null what an earlier stage had written.
    """
    found: pa.Array = pa.nulls(len(rows), TEXT)
    for _, path in reversed(parts):
        if found.null_count and "text" in columns_of(path):
            own = read_table(path, ["text"]).column("text").combine_chunks().take(pa.array(rows))
            found = own if found.null_count == len(found) else pc.coalesce(found, own)
    return found


def _column(found: Mapping[str, pa.ChunkedArray], name: str, kind: pa.DataType, rows: int) -> pa.Array:
    if name not in found:
        return pa.nulls(rows, kind)
    column = found[name].combine_chunks()
    if pa.types.is_fixed_size_binary(column.type):
        return hexadecimal(column)
    return column.cast(kind)


def hexadecimal(column: pa.Array) -> pa.Array:
    """128-bit ids as 32 hex digits, nulls kept."""
    return pa.array([None if value is None else value.hex() for value in column.to_pylist()], pa.string())
