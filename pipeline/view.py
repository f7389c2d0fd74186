"""A part as a stage sees it: the join, by position, of columns that earlier stages wrote, living rows only.

A view is JSON (it travels in a task): column -> file, and the file that says which rows are alive. Columns
of a stage's output are scattered back to all rows, null where a row was dead before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.errors import StageFailed
from pipeline.store import read_table
from stages.base import Out, Stage

# Stages get these whatever they read; the ledger needs the source, and bytes where they are known.
ALWAYS: Final = ("doc_id", "source")
LEDGER: Final = ("source", "bytes", "token_count")


@dataclass(frozen=True)
class Living:
    """The living rows of a part.

    Attributes:
        rows: requested columns, `row` (uint32, position in the part) and `doc_id`.
        ledger: columns the ledger counts by, for the same rows.
        total: rows of the part, dead ones included.
        positions: position of each living row, int64.
    """

    rows: pa.Table
    ledger: pa.Table
    total: int
    positions: npt.NDArray[np.int64]


def read(view: Mapping[str, Any], columns: tuple[str, ...]) -> Living:
    """Reads the columns of a view, dead rows left out."""
    wanted = {*columns, *ALWAYS, *LEDGER} & set(view["columns"])
    by_file: dict[str, list[str]] = {}
    for name in sorted(wanted):
        by_file.setdefault(view["columns"][name], []).append(name)
    alive = read_table(Path(view["alive"]), ["alive"]).column("alive")
    positions = np.flatnonzero(alive.to_numpy(zero_copy_only=False))
    found: dict[str, pa.ChunkedArray] = {}
    for path, names in by_file.items():
        table = read_table(Path(path), names)
        if len(positions) < len(alive):
            table = table.take(pa.array(positions))
        found |= {name: table.column(name) for name in names}
    row = pa.array(positions.astype(np.uint32))
    kept = [name for name in dict.fromkeys((*ALWAYS, *columns)) if name in found]
    rows = pa.table({"row": row, **{name: found[name] for name in kept}})
    ledger = pa.table({name: found[name] for name in LEDGER if name in found})
    return Living(rows, ledger, len(alive), positions)


def scatter(living: Living, out: Out, stage: Stage) -> pa.Table:
    """A stage's output as a table over all rows of the part: its columns, `reason` and `alive`.

    Raises:
        StageFailed: the stage broke its declaration (columns, lengths, reason codes).
    """
    word, size = stage.word(), living.rows.num_rows
    if set(out.columns) != set(stage.written):
        raise StageFailed(
            f"stage {word} declares columns {sorted(stage.written)} but wrote {sorted(out.columns)}"
        )
    named = {**out.columns, "reason": out.reasons}
    for name, column in named.items():
        if len(column) != size:
            raise StageFailed(
                f"stage {word} was given {size} rows and wrote {len(column)} values of {name!r}"
            )
    unknown = set(out.reasons.unique().to_pylist()) - {None, *stage.reasons}
    if unknown:
        raise StageFailed(f"stage {word} drops rows for undeclared reasons {sorted(unknown)}")
    kinds = {**stage.written, "reason": pa.string()}
    columns = {name: column.cast(kinds[name]) for name, column in named.items()}
    lives = columns["reason"].is_null()
    if size == living.total:
        return pa.table({**columns, "alive": lives})
    places = np.zeros(living.total, np.int64)
    dead = np.ones(living.total, bool)
    places[living.positions] = np.arange(size)
    dead[living.positions] = False
    indices = pa.array(places, mask=dead)
    alive = lives.take(indices).fill_null(False)
    return pa.table({**{name: column.take(indices) for name, column in columns.items()}, "alive": alive})
