"""Times the report and the verbs that look, on a made-up run: python -m tests.bench.seeing FOLDER [DOCUMENTS].

The run's tables are drawn from a seed and written as the pipeline writes them, without running it: 300
characters a document, a fifth of them dropped by clean, a fifth duplicates; what tasks count of them is counted here
one part after the other. Bars: 1 million documents, report
below 3 MB in below 30 s; `explain` below 2 s on 100,000.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import report, statistics, tabulate
from pipeline.runs import Run
from pipeline.store import file_sha256, publish, writing
from stages.clean import Clean

PART = 50_000
CLEAN = Clean(presets=("gopher", "fineweb")).model_dump(mode="json")
WORDS = np.array(["mill", "stone", "water", "wheel", "grain", "flour", "sack", "river", "weir", "race"])


def part(draw: np.random.Generator, first: int, rows: int) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Load's columns, clean's columns and the documents table of one part."""
    ids = [draw.bytes(16) for _ in range(rows)]
    text = [" ".join(row) for row in WORDS[draw.integers(0, len(WORDS), (rows, 50))]]
    size = pa.array([len(line) for line in text], pa.int64())
    source = pa.array([f"source{n}" for n in draw.integers(0, 12, rows)])
    fate = np.array(["kept", "clean", "dedup", "kept", "kept"], object)[draw.integers(0, 5, rows)]
    why = {"kept": None, "clean": "gopher.words", "dedup": "near"}
    reason = pa.array([why[one] for one in fate], pa.string())
    url = pa.array([f"https://host{n}.example/page" for n in draw.integers(0, 5000, rows)])
    load = pa.table({"doc_id": pa.array(ids, pa.binary(16)), "source": source, "url": url,
                     "text": pa.array(text, pa.large_string()), "bytes": size, "reason": pa.nulls(rows, pa.string()),
                     "alive": pa.array(np.ones(rows, bool))})  # fmt: skip
    measured: dict[str, Any] = {"profile": pa.array(["en"] * rows)}
    for name, kind in Clean.writes.items():
        if name not in {"text", "bytes", "profile"}:
            values = draw.integers(0, 500, rows) if pa.types.is_integer(kind) else draw.random(rows)
            measured[name] = pa.array(values).cast(kind)
    clean = pa.table({**measured, "reason": reason, "alive": pa.array(fate != "clean")})
    names = pa.array([one.hex() for one in ids])
    table: dict[str, Any] = {
        "doc_id": names, "source": source, "file": pa.array(["made-up"] * rows), "fate": pa.array(fate),
        "record": pa.array(np.arange(first, first + rows)), "reason": reason, "lang": pa.array(["en"] * rows),
        "tokens": size, "repeats": pa.array((fate == "kept").astype(np.int32)),
        "duplicate_of": pa.array([names[0].as_py() if one == "dedup" else None for one in fate], pa.string()),
        "similarity": pa.array(draw.random(rows), mask=fate != "dedup"),
        "cluster_size": pa.array(draw.integers(1, 5, rows).astype(np.int32)),
    }  # fmt: skip
    table |= measured
    columns = [(name, kind) for name, kind, _ in tabulate.FIXED] + tabulate.metric_columns()
    made = {name: table[name].cast(kind) if name in table else pa.nulls(rows, kind) for name, kind in columns}
    return load, clean, pa.table(made)


def make(folder: Path, count: int) -> Run:
    """The folder of a run of so many documents."""
    draw = np.random.default_rng(7)
    run = Run(folder / "runs" / "made-up")
    (run.path / "documents").mkdir(parents=True)
    stems: dict[str, list[str]] = {"load": [], "clean": [], "documents": []}
    seconds = 0.0
    book = {"in": count, "alive": count, "dropped": {}, "quarantined": {}}
    for number, first in enumerate(range(0, count, PART)):
        load, clean, table = part(draw, first, min(PART, count - first))
        for word, columns in (("load", load), ("clean", clean)):
            stem = folder / "store" / word / f"{number:05d}"
            publish(stem, columns, {"rows": len(columns)}, parquet=True)
            stems[word].append(str(stem))
        begun = time.perf_counter()
        stems["documents"].append(counted(folder, run, number, load, table, count))
        seconds += time.perf_counter() - begun
    fates = {"clean": {"gopher.words": count // 5}, "dedup": {"near": count // 5}}
    given = {"clean": CLEAN, "dedup": {"bands": 14, "rows": 8, "threshold": 0.75}}
    stages = [
        {"stage": word, "key": "0" * 16, "in": count, "alive": count, "dropped": fates.get(word, {}),
         "quarantined": 0, "quarantined_by_reason": {}, "seconds": 0.0, "bytes": 300 * count, "tokens": None,
         "peak_mb": 0, "by_source": {"all": {**book, "dropped": fates.get(word, {})}}, "tallies": {}, "made": [0, 0],
         "identity": {"libraries": {}}, "parameters": given.get(word, {}), "parts": stems.get(word, []), "steps": {}}
        for word in ("load", "clean", "dedup")
    ]  # fmt: skip
    (run.path / "recipe.resolved.yaml").write_text("name: made-up\n")
    named = {"parts": stems["documents"], "shards": []}
    run.update(
        run="made-up",
        name="made-up",
        recipe="none",
        state="done",
        started=0.0,
        stages=stages,
        statistics=named,
    )
    print(f"statistics of {count} documents: {seconds:.1f} s on one processor")
    return run


def counted(folder: Path, run: Run, number: int, load: pa.Table, table: pa.Table, count: int) -> str:
    """What the task of a part does, from its tables: the documents table and the statistics beside it."""
    empty = pa.nulls(len(table), pa.string())
    aside = pa.table({name: load[name] if name in load.column_names else empty for name in tabulate.ASIDE})
    chosen = statistics.phrases.sampled(table.column("doc_id"), statistics.phrases.level(count))
    text = load["text"].combine_chunks()
    found = statistics.of_part(table, aside, CLEAN, chosen, lambda rows: text.take(pa.array(rows)))
    stem = folder / "store" / "documents" / f"{number:05d}"
    path = stem.with_name(f"{stem.name}.{statistics.FILE}")
    with writing(path) as beside:
        beside.write_text(json.dumps(found))
    files = {path.name: [path.stat().st_size, file_sha256(path)]}
    marker = publish(stem, table, {"rows": len(table), "files": files}, parquet=True)
    assert marker.data is not None
    (run.path / "documents" / f"{number:05d}.parquet").hardlink_to(marker.data)
    return str(stem)


def main() -> None:
    """Makes the run unless it is there, then prints seconds, bytes and peak memory."""
    folder = Path(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    run = Run(folder / "runs" / "made-up")
    if not (run.path / "run.json").is_file():
        run = make(folder, count)
    started = time.perf_counter()
    report.write(SimpleNamespace(name="made-up"), run)  # type: ignore[arg-type] # only its name is asked for
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    size = (run.path / "report.html").stat().st_size
    doc = pq.read_table(min((run.path / "documents").glob("*.parquet")), columns=["doc_id"])["doc_id"][
        7
    ].as_py()
    print(f"documents {count}  report {seconds:.1f} s, {size / 1e6:.2f} MB, peak {peak} MB")
    found = verb("explain", doc, "--json", work=folder)
    assert json.loads(found)["doc_id"] == doc
    for words in (("explain", "--grep", "mill stone water wheel"), ("explain", "--grep", "no such words"),
                  ("documents",), ("documents", "--columns"), ("status",), ("diff", run.id, run.id)):  # fmt: skip
        verb(*words, work=folder)


def verb(*words: str, work: Path) -> bytes:
    """Runs a verb cold, prints seconds of wall clock and of CPU, and returns what it printed."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", *words, "--work", str(work)]
    done = subprocess.run(command, check=True, capture_output=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{wall:5.2f} s, {cpu:5.2f} s of CPU  {' '.join(words)}")
    return done.stdout


if __name__ == "__main__":
    main()
