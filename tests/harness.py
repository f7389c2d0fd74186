"""Runs stages over tables in memory, as the pipeline does over files: parts, living rows, rounds, buckets.

The order in which parts and buckets are visited comes from a random generator, so that a stage that depends
on it is found out.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import Global, Local, Out, Shuffle, Stage


@dataclass
class Part:
    """Rows of a part with every column written so far, and which of them are alive."""

    rows: pa.Table
    alive: list[bool] = field(default_factory=list)

    def living(self, columns: Sequence[str]) -> pa.Table:
        """What a stage is handed."""
        positions = np.flatnonzero(self.alive)
        rows = self.rows.take(pa.array(positions))
        names = ["doc_id", *(name for name in dict.fromkeys(columns) if name in rows.column_names)]
        table = rows.select([name for name in names if name != "row"])
        return table.append_column("row", pa.array(positions.astype(np.uint32)))

    def take(self, stage: Stage, out: Out) -> None:
        """Adds a stage's columns and applies its reasons."""
        positions = np.flatnonzero(self.alive)
        places = np.zeros(len(self.alive), np.int64)
        places[positions] = np.arange(len(positions))
        indices = pa.array(places, mask=~np.array(self.alive, bool))
        for name, kind in stage.written.items():
            column = out.columns[name].cast(kind).take(indices)
            rows = self.rows.drop_columns(name) if name in self.rows.column_names else self.rows
            self.rows = rows.append_column(name, column)
        lives = out.reasons.is_null().to_pylist()
        self.alive = [
            alive and lives[place] for alive, place in zip(self.alive, places.tolist(), strict=True)
        ]


def cut(rows: pa.Table, bounds: Sequence[int]) -> list[Part]:
    """The rows in parts that end at these positions."""
    ends = sorted({min(max(bound, 0), len(rows)) for bound in bounds} | {len(rows)})
    starts = [0, *ends]
    return [Part(rows.slice(a, b - a), [True] * (b - a)) for a, b in zip(starts, ends, strict=False)]


def outs(stage: Local | Global, parts: Sequence[Part], draw: random.Random) -> list[Out]:
    """What a stage says of each part."""
    if isinstance(stage, Local):
        return [stage.apply(part.living((*stage.wanted, *stage.optional))) for part in parts]
    ruling: pa.Table | None = None
    for turn in range(stage.rounds):
        ruling = _round(stage, turn, parts, ruling, draw)
    columns = (*stage.needed, *stage.optional)
    return [stage.apply(part.living(columns), _told(ruling, n)) for n, part in enumerate(parts)]


def artifacts(stage: Global, parts: Sequence[Part], draw: random.Random) -> Mapping[str, bytes]:
    """What a stage publishes."""
    ruling: pa.Table | None = None
    for turn in range(stage.rounds):
        ruling = _round(stage, turn, parts, ruling, draw)
    return stage.artifacts(ruling)


def _round(
    stage: Global, turn: int, parts: Sequence[Part], ruling: pa.Table | None, draw: random.Random
) -> pa.Table:
    findings = []
    for number, part in enumerate(parts):
        found = stage.survey(part.living(stage.survey_reads(turn)), turn, _told(ruling, number))
        findings.append(found.append_column("part", pa.array(np.full(len(found), number, np.uint32))))
    draw.shuffle(findings)
    met = pa.concat_tables(findings)
    buckets = sorted(set(met["bucket"].to_pylist())) or [0]
    draw.shuffle(buckets)
    decided = [stage.decide(met.filter(pc.equal(met["bucket"], bucket)), turn) for bucket in buckets]
    while stage.mergeable is not None and len(decided) > 1 and sum(map(len, decided)) > stage.mergeable:
        decided = [stage.merge(pa.concat_tables(decided[k : k + 2]), turn) for k in range(0, len(decided), 2)]
    return stage.settle(pa.concat_tables(decided), turn)


def _told(ruling: pa.Table | None, part: int) -> pa.Table | None:
    if ruling is None or not {"part", "row"} <= set(ruling.column_names):
        return ruling
    return ruling.filter(pc.equal(ruling["part"], part)).drop_columns("part").sort_by("row")


def shards(stage: Shuffle, parts: Sequence[Part], folder: Path, draw: random.Random) -> dict[str, bytes]:
    """The files of the packed folder."""
    routed = [stage.route(part.living((*stage.reads, *stage.optional)))[0] for part in parts]
    draw.shuffle(routed)
    written(stage, pa.concat_tables(routed), folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def written(stage: Shuffle, rows: pa.Table, folder: Path) -> list[dict[str, Any]]:
    """Writes routed rows as shards with their manifest; returns the shards' entries."""
    folder.mkdir(parents=True, exist_ok=True)
    buckets = rows["bucket"].to_numpy()
    weights = {int(b): int(rows["weight"].to_numpy()[buckets == b].sum()) for b in np.unique(buckets)}
    entries = []
    for name, group in stage.groups(weights).items():
        chosen = pa.concat_tables([rows.filter(pc.equal(rows["bucket"], bucket)) for bucket in group])
        entries.append(dict(stage.write(name, chosen, folder / f"{name}.arrow")))
    stage.manifest(entries, folder)
    return entries
