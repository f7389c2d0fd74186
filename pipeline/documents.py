"""The documents table of a run: a file a part, made in tasks together with the part's statistics.

    made(flow)           tables and statistics in the store, made where they are missing or damaged
    link(made, run)      RUN/documents/*.parquet, links into the store; run.json says what statistics there are
    meanings             what the columns mean
    quarantined          the records that load could not read

What a row says is `tabulate.py`'s business, what is counted `statistics/`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import IntegrityError
from pipeline.flow import Flow
from pipeline.keys import short
from pipeline.runs import Run
from pipeline.statistics import phrases
from pipeline.store import Marker, read_marker, read_table
from pipeline.tabulate import FIXED, VERSION, metric_columns
from stages.formats.metadata import MEANING
from stages.naming import stage_class, stage_names


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


def made(flow: Flow, of: int | None = None) -> dict[str, list[Marker]]:
    """`parts`: a documents table and statistics a part; `shards`: statistics a shard.

    Args:
        flow: a walk that is done.
        of: documents of the corpus, if these are a sample of it.
    """
    return {"parts": _tabulated(flow, of), "shards": _inspected(flow)}


def link(found: Mapping[str, Sequence[Marker]], run: Run) -> None:
    """Writes RUN/documents and the names of the statistics, from what `made` returned."""
    folder = run.path / "documents"
    folder.mkdir(exist_ok=True)
    for index, marker in enumerate(found["parts"]):
        target = folder / f"{index:05d}.parquet"
        target.unlink(missing_ok=True)
        assert marker.data is not None  # noqa: S101 - published with data
        os.link(marker.data, target)
    stems = {
        name: [marker.path.with_suffix("").relative_to(run.work).as_posix() for marker in markers]
        for name, markers in found.items()
    }
    run.update(statistics=stems)


def _tabulated(flow: Flow, of: int | None) -> list[Marker]:
    """A documents table and statistics a part."""
    stages = [done for done in flow.walked if done.parts]
    load = stages[0].stage
    clean = next((done.stage for done in stages if done.stage.word() == "clean"), None)
    parameters = clean.model_dump(mode="json") if clean is not None else None
    level = phrases.level(of or sum(part["rows"] for part in stages[0].parts))
    tasks = []
    for index in range(len(stages[0].parts)):
        markers = {done.stage.word(): done.parts[index] for done in stages}
        name = short(VERSION, [marker.sha256 for marker in markers.values()], parameters, level)
        files = [(word, str(marker.data)) for word, marker in markers.items()]
        out = flow.store / "documents" / name
        tasks.append(flow.task("tabulate", load, {}, out, parts=files, clean=parameters, level=level))
    return flow.step("documents", "tabulate", tasks)


def _inspected(flow: Flow) -> list[Marker]:
    """Statistics a shard."""
    last = flow.walked[-1]
    tasks = []
    for shard in last.steps.get("write", ()):
        out = flow.store / "documents" / short(VERSION, shard.sha256)
        tasks.append(flow.task("inspect", last.stage, {}, out, shard=str(shard.data)))
    return flow.step("documents", "inspect", tasks)


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
