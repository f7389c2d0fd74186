"""The documents table: a row a document, in load order, with its fate and every measurement.

One Parquet file a part under RUN/documents, joined by position from what the stages wrote; columns that no
stage of the recipe writes are null, so that the schema is the same for every recipe, but for the metadata that
load keeps, which stand behind all others. Reads columns, computes nothing new.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import IntegrityError
from pipeline.executors import cores
from pipeline.flow import Flow
from pipeline.keys import short
from pipeline.runs import Run
from pipeline.store import Marker, columns_of, discard, inspect, publish, read_marker, read_table
from stages.base import Stage
from stages.formats.metadata import MEANING
from stages.naming import stage_class, stage_names

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
_BULK: Final = frozenset({"text", "tokens", "bytes", "excerpt", "offset", "url", "split_at"})
VERSION: Final = 3


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


def meanings(run: Run | None = None) -> dict[str, str]:
    """Column of the documents table -> one sentence, in the order of the columns; of a run, its metadata too."""
    said = {"": ""}
    for word in stage_names():
        said |= {name: text for name, text in stage_class(word).meanings.items() if name not in said}
    own = {
        "fate": "kept, quarantined, or the stage that dropped the document",
        "reason": "why it was dropped or quarantined; null if it was kept",
        "tokens": "tokens of the text, without the one that ends it",
    }
    columns = [(name, source) for name, _, source in FIXED] + [(name, name) for name, _ in metric_columns()]
    found = {name: own.get(name) or said.get(source, "") for name, source in columns}
    first = min((run.path / "documents").glob("*.parquet"), default=None) if run else None
    more = pq.read_schema(first).names if first else []
    return found | {name: MEANING for name in more if name not in found}


def write(flow: Flow, run: Run) -> None:
    """Writes RUN/documents; tables that an earlier run made are linked, not made again."""
    folder = run.path / "documents"
    folder.mkdir(exist_ok=True)
    stages = [done for done in flow.walked if done.parts]
    metadata = metadata_columns(stages[0].stage)

    def part(index: int) -> None:
        markers = {done.stage.word(): done.parts[index] for done in stages}
        stem = flow.store / "documents" / short(VERSION, [marker.sha256 for marker in markers.values()])
        state, marker = inspect(stem)
        if state != "fresh" or marker is None:
            discard(stem)
            marker = publish(stem, table(markers, metadata), {}, parquet=True)
        target = folder / f"{index:05d}.parquet"
        target.unlink(missing_ok=True)
        assert marker.data is not None  # noqa: S101 - published with data
        os.link(marker.data, target)

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(part, range(len(stages[0].parts))))


def table(markers: Mapping[str, Marker], metadata: Sequence[tuple[str, pa.DataType]] = ()) -> pa.Table:
    """The documents of one part.

    Args:
        markers: stage -> the part's marker at that stage, in the order of the recipe.
        metadata: columns and types of the metadata that load keeps.
    """
    found: dict[str, pa.ChunkedArray] = {}
    rows = 0
    fate = np.zeros(0, object)
    reason = np.zeros(0, object)
    for place, (word, marker) in enumerate(markers.items()):
        path = Path(str(marker.data))
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
    return pa.table(columns_out)


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


def quarantined(run: Run) -> list[dict[str, Any]]:
    """The records that load could not read: source, file, record, offset, reason and excerpt."""
    names = ["source", "file", "record", "offset", "reason", "excerpt"]
    rows: list[dict[str, Any]] = []
    for stem in next((entry["parts"] for entry in run.record()["stages"]), ()):
        marker = read_marker(Path(stem))
        if marker is None or marker.data is None:
            raise IntegrityError(f"{stem} is damaged; run the recipe again to make it anew")
        columns = read_table(marker.data, names)
        rows += columns.filter(pc.is_valid(columns.column("reason"))).to_pylist()
    return rows


def read(run: Run, columns: list[str] | None = None) -> pa.Table:
    """The documents table of a run, or some of its columns."""
    return pa.concat_tables([pq.read_table(path, columns=columns) for path in run.documents()])
