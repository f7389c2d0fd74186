"""What a worker does with one task: read columns, call the stage, publish, answer briefly.

A task is JSON: paths, parameters and the stem to publish under. It is idempotent (results are published
put-if-absent), so retries, duplicates and late tasks of a dead driver need no coordination. This module
does not know why a task is needed (`flow.py`) nor where it runs (`executors.py`).
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import exchange, statistics, tabulate, view
from pipeline.errors import InfrastructureFailed, StageFailed
from pipeline.keys import build_digest
from pipeline.store import Marker, file_sha256, mark, publish, read_table, sync_folder, writing, writing_named
from stages.base import Global, InputFile, Local, Shuffle, Slice, Source, Stage, StageError
from stages.naming import stage_class

Task = dict[str, Any]

_SHA256: Final = 64  # hex digits; a refused file carries its reason instead of a digest


def perform(task: Task) -> dict[str, Any]:
    """Runs one task; the receipt names the marker it published.

    Raises:
        InfrastructureFailed: this worker runs another build of Gristmill than the driver.
        StageFailed: the stage raised; the message names stage, part and cause.
        StageError: the stage says that the recipe asks for what the data cannot give.
    """
    if task["build"] != build_digest():
        raise InfrastructureFailed(
            f"a worker runs build {build_digest()} of gristmill, the driver {task['build']}: install the same "
            f"version on both"
        )
    started = time.perf_counter()
    stage = stage_class(task["stage"]["word"]).model_validate(task["stage"]["parameters"])
    stage = stage.located(
        {label: [Path(p) for p in paths] for label, paths in task["stage"]["files"].items()}
    )
    try:
        _operate(stage, task, started)
    except (StageFailed, StageError, InfrastructureFailed, MemoryError):
        raise
    except OSError as error:
        raise InfrastructureFailed(f"{task['out']} could not be made: {error}") from error
    except Exception as error:
        where = f"stage {stage.word()}, {task['op']}, {Path(task['out']).name}"
        raise StageFailed(f"{where}: {type(error).__name__}: {error}") from error
    finally:
        pa.default_memory_pool().release_unused()  # what the task held goes back to the machine
    return {"out": task["out"]}


def _operate(stage: Stage, task: Task, started: float) -> Marker:
    match task["op"], stage:
        case "read", Source():
            return read_slice(stage, task, started)
        case "tabulate", Source():
            return _tabulate(stage, task, started)
        case "apply", Local() | Global():
            return _apply(stage, task, started)
        case "survey", Global():
            return _survey(stage, task, started)
        case "decide", Global():
            return _decide(stage, task, started)
        case "merge", Global():
            return _merge(stage, task, started)
        case "settle", Global():
            return _settle(stage, task, started)
        case "learn", Local():
            return _learn(stage, task, started)
        case "route", Shuffle():
            return _route(stage, task, started)
        case "write", Shuffle():
            return _write(stage, task, started)
        case "manifest", Shuffle():
            return _manifest(stage, task, started)
        case "inspect", Shuffle():
            return _inspect(task, started)
        case operation, _:
            raise StageFailed(
                f"stage {stage.word()} is a {type(stage).__base__}, which knows no {operation!r}"
            )


def spec(task: Task) -> Any:
    """The long part of a task, which travels through a file."""
    return json.loads(Path(task["spec"]).read_bytes())


def _cost(started: float) -> dict[str, Any]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes on Linux
    return {"seconds": round(time.perf_counter() - started, 3), "peak_mb": peak // 1024}


def _ledger(columns: pa.Table, reasons: pa.Array, fate: str) -> dict[str, dict[str, Any]]:
    """Per source: rows in, alive, dropped (or quarantined) by reason, and bytes and tokens alive."""
    sources = pc.dictionary_encode(view_column(columns, "source"))
    names = sources.dictionary.to_pylist()
    codes = sources.indices.to_numpy()
    lives = reasons.is_null().to_numpy(zero_copy_only=False)
    ledger: dict[str, dict[str, Any]] = {}
    for code, name in enumerate(names):
        here = codes == code
        dead = reasons.filter(pa.array(here & ~lives)).value_counts().to_pylist()
        entry: dict[str, Any] = {"in": int(here.sum()), "alive": int((here & lives).sum())}
        entry |= {"dropped": {}, "quarantined": {}} | {fate: {d["values"]: d["counts"] for d in dead}}
        for column in ("bytes", "token_count"):
            if column in columns.column_names:
                values = view_column(columns, column).filter(pa.array(here & lives))
                entry[column] = pc.sum(values).as_py() or 0
        ledger[str(name)] = entry
    return ledger


def view_column(table: pa.Table, name: str) -> pa.Array:
    """A column as one array."""
    return table.column(name).combine_chunks()


def _alive_digest(alive: pa.Array) -> str:
    bits = np.packbits(alive.to_numpy(zero_copy_only=False))
    return exchange.table_sha256(pa.table({"rows": [len(alive)], "bits": [bits.tobytes()]}))


def _publish_rows(
    task: Task, out: str, table: pa.Table, ledger: Mapping[str, Any], extra: Mapping[str, Any]
) -> Marker:
    alive = view_column(table, "alive")
    body = {
        "rows": table.num_rows,
        "alive": pc.sum(alive).as_py() or 0,
        "alive_sha256": _alive_digest(alive),
        "ledger": ledger,
        **extra,
    }
    tokens = any(pa.types.is_large_list(kind) for kind in table.schema.types)
    return publish(Path(out), table, {**body, "stage": task["stage"]["word"]}, parquet=not tokens)


def read_slice(stage: Source, task: Task, started: float) -> Marker:
    """Source: a slice becomes parts, published one after the other; the slice's marker names them."""
    piece = spec(task)
    files = tuple(InputFile(**{**f, "lines": tuple(f["lines"])}) for f in piece["files"])
    parts: list[str] = []
    rows = 0
    for table in stage.read(Slice(**{**piece, "files": files})):
        reasons = view_column(table, "reason")
        kept = [*stage.written, "reason", "alive"]
        name = f"{Path(task['out']).name}.{len(parts):04d}"
        tallies = json.loads((table.schema.metadata or {}).get(b"tallies", b"{}"))
        ledger = _ledger(table.select(["source", "bytes"]), reasons, "quarantined")
        plain = table.append_column("alive", reasons.is_null()).select(kept).replace_schema_metadata(None)
        out = str(Path(task["out"]).with_name(name))
        _publish_rows(task, out, plain, ledger, {"tallies": tallies, **_cost(started)})
        started = time.perf_counter()
        parts.append(name)
        rows += table.num_rows
    for file in files:
        refused = len(file.sha256) != _SHA256
        if not refused and Path(file.path).stat().st_size != file.size:
            raise StageFailed(f"{file.path} changed while it was read; run again when it is complete")
    return mark(Path(task["out"]), {"rows": rows, "parts": parts, **_cost(started)})


def _apply(stage: Local | Global, task: Task, started: float) -> Marker:
    """Local and Global: columns and reasons for the living rows of one part."""
    columns = stage.needed if isinstance(stage, Global) else stage.wanted
    living = view.read(task["view"], (*columns, *stage.optional))
    if isinstance(stage, Global):
        ruling = None
        if task["ruling"] is not None:
            ruling = exchange.ruling_for(Path(task["ruling"]["path"]), task["ruling"]["slices"], task["part"])
        out = stage.apply(living.rows, ruling)
    else:
        out = stage.apply(living.rows)
    table = view.scatter(living, out, stage)
    counted = living.ledger
    for name in ("bytes", "token_count"):
        if name in out.columns:
            counted = counted.drop_columns(name) if name in counted.column_names else counted
            counted = counted.append_column(name, out.columns[name])
    reasons = out.reasons.cast(pa.string())
    extra = {"tallies": dict(out.tallies), **_cost(started)}
    return _publish_rows(task, task["out"], table, _ledger(counted, reasons, "dropped"), extra)


def _survey(stage: Global, task: Task, started: float) -> Marker:
    living = view.read(task["view"], stage.survey_reads(task["turn"]))
    ruling = None
    if task["ruling"] is not None:
        ruling = exchange.ruling_for(Path(task["ruling"]["path"]), task["ruling"]["slices"], task["part"])
    findings = stage.survey(living.rows, task["turn"], ruling)
    return exchange.send(Path(task["out"]), findings, {"rows": findings.num_rows, **_cost(started)})


def _decide(stage: Global, task: Task, started: float) -> Marker:
    sent = spec(task)
    opened: dict[str, pa.Table] = {}
    tables = [
        stage.decide(exchange.receive(sent, bucket, opened=opened), task["turn"])
        for bucket in task["buckets"]
    ]
    rulings = pa.concat_tables(tables)
    return publish(Path(task["out"]), rulings, {"rows": rulings.num_rows, **_cost(started)}, parquet=False)


def _merge(stage: Global, task: Task, started: float) -> Marker:
    rulings = stage.merge(pa.concat_tables([read_table(Path(path)) for path in spec(task)]), task["turn"])
    return publish(Path(task["out"]), rulings, {"rows": rulings.num_rows, **_cost(started)}, parquet=False)


def _settle(stage: Global, task: Task, started: float) -> Marker:
    """The round's ruling; in the last round also the stage's artifacts, as files beside it."""
    ruling = None
    body: dict[str, Any] = {"rows": 0, "slices": None}
    if task["turn"] >= 0:
        rulings = pa.concat_tables([read_table(Path(path)) for path in spec(task)])
        ruling = stage.settle(rulings, task["turn"])
        if counts := (ruling.schema.metadata or {}).get(b"tallies"):
            body["tallies"] = json.loads(counts)
            ruling = ruling.replace_schema_metadata(None)
        if {"part", "row"} <= set(ruling.column_names):
            ruling, body["slices"] = exchange.part_slices(ruling)
        body["rows"] = ruling.num_rows
    stem = Path(task["out"])
    files = _artifacts(stem, stage.artifacts(ruling)) if task["last"] else {}
    body |= {"files": files, **_cost(started)}
    return mark(stem, body) if ruling is None else publish(stem, ruling, body, parquet=False)


def _learn(stage: Local, task: Task, started: float) -> Marker:
    """Local: what it publishes, made from its files alone, once for all parts."""
    stem = Path(task["out"])
    return mark(stem, {"rows": 0, "files": _artifacts(stem, stage.artifacts()), **_cost(started)})


def _artifacts(stem: Path, made: Mapping[str, bytes]) -> dict[str, list[Any]]:
    """Writes artifacts beside a marker; file name -> size and sha256."""
    files: dict[str, list[Any]] = {}
    for name, content in made.items():
        path = stem.with_name(f"{stem.name}.{name}")
        with writing(path) as beside:
            beside.write_bytes(content)
        files[path.name] = [len(content), file_sha256(path)]
    return files


def _route(stage: Shuffle, task: Task, started: float) -> Marker:
    living = view.read(task["view"], (*stage.reads, *stage.optional))
    routed, tallies = stage.route(living.rows)
    ledger = _ledger(living.ledger, pa.nulls(living.rows.num_rows, pa.string()), "dropped")
    body = {"rows": routed.num_rows, "ledger": ledger, "tallies": dict(tallies)}
    return exchange.send(Path(task["out"]), routed, {**body, **_cost(started)}, weighed=True)


def _write(stage: Shuffle, task: Task, started: float) -> Marker:
    """Shuffle: the buckets of one shard, from all parts, become its file."""
    sent = spec(task)
    group = exchange.receive(sent, *task["buckets"])
    folder, stem = Path(task["folder"]), Path(task["out"])
    path = folder / f"{task['name']}.arrow"
    with writing_named(path) as beside:
        entry = dict(stage.write(task["name"], group.drop_columns("part"), beside))
    data = {
        "data": f"{folder.name}/{path.name}",
        "bytes": path.stat().st_size,
        "sha256": entry.get("sha256") or file_sha256(path),  # a shard is large; its own digest will do
    }
    return mark(stem, {**data, "rows": entry.get("rows", 0), "entry": entry, **_cost(started)})


def _manifest(stage: Shuffle, task: Task, started: float) -> Marker:
    folder = Path(task["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    stage.manifest(spec(task), folder)
    files = {
        f"{folder.name}/{path.name}": [path.stat().st_size, file_sha256(path)]
        for path in sorted(folder.glob("*.json"))
    }
    sync_folder(folder)
    return mark(Path(task["out"]), {"files": files, "rows": 0, **_cost(started)})


def _tabulate(load: Source, task: Task, started: float) -> Marker:
    """A part of the documents table, and its statistics beside it."""
    parts = [(word, Path(path)) for word, path in task["parts"]]
    table, aside = tabulate.tabulate(parts, tabulate.metadata_columns(load))
    chosen = statistics.phrases.sampled(table.column("doc_id"), task["level"])
    found = statistics.of_part(table, aside, task["clean"], chosen, lambda rows: tabulate.texts(parts, rows))
    stem = Path(task["out"])
    files = _artifacts(stem, {statistics.FILE: json.dumps(found, ensure_ascii=False).encode()})
    return publish(stem, table, {"rows": table.num_rows, "files": files, **_cost(started)}, parquet=True)


def _inspect(task: Task, started: float) -> Marker:
    """The statistics of a shard."""
    found = statistics.shards.of_shard(Path(task["shard"]))
    stem = Path(task["out"])
    files = _artifacts(stem, {statistics.FILE: json.dumps(found).encode()})
    return mark(stem, {"rows": found["rows"], "files": files, **_cost(started)})
